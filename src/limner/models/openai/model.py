"""The adapter: a model behind OpenAI's protocol as a model of the catalogue."""

import asyncio
import functools
import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from limner.domain.errors import (
    LimnerError,
    Outcome,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
)
from limner.domain.model import ModelCapabilities
from limner.models.complaint import Complaint
from limner.models.http.api import ProviderApi
from limner.models.http.breaker import CircuitBreaker
from limner.models.http.outcome import definite, provider_errors, surely_unbought
from limner.models.http.results import ResultAddresses, ResultError, ResultFetcher
from limner.models.http.retry import RetryPolicy, retry_surely_unbought
from limner.models.openai.answers import Entry, entries_of, streamed_entry
from limner.models.openai.refusals import refusal, refused_fields, says_busy
from limner.models.openai.requests import Call, Upstream, calls, changes_wish
from limner.models.tally import Tally
from limner.outbound.answer import Response, picture_bytes
from limner.outbound.budget import Share
from limner.outbound.client import HttpClient, Timeouts
from limner.outbound.errors import CallError, UnreadableAnswerError
from limner.service.ports import Job, MadePicture, Order

log = logging.getLogger(__name__)

TIMEOUTS: Final = Timeouts(first_byte_s=300.0, total_s=600.0)
"""A picture of high quality takes minutes; 600 s is what the vendor's SDK waits."""

_RETRY_WITHIN_S: Final = 30.0


class OpenAiModel:
    """One model on one server.

    Pictures beyond what a call makes are asked for by more calls side by side; what one of them loses, the others
    keep. Only what was surely not bought is asked for again. Cancelling closes the connections, which is all that
    the protocol has to stop the work. ``client`` and ``breaker`` are the caller's, who closes the client.
    """

    def __init__(
        self,
        capabilities: ModelCapabilities,
        upstream: Upstream,
        *,
        base_url: str,
        client: HttpClient,
        breaker: CircuitBreaker,
        api_key: str = "",
        api_key_env: str = "",
        result_hosts: Iterable[str] = (),
        timeouts: Timeouts = TIMEOUTS,
        retry: RetryPolicy | None = None,
        retry_within_s: float = _RETRY_WITHIN_S,
    ) -> None:
        credentials = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._capabilities = capabilities
        self._upstream = upstream
        self._breaker = breaker
        self._api = ProviderApi(client, base_url, credentials, timeouts)
        self._results = ResultFetcher(client, ResultAddresses(base_url=base_url, hosts=result_hosts))
        self._unready = f"{api_key_env} is not set" if api_key_env and not api_key else ""
        self._retry = retry or RetryPolicy()
        self._retry_within_s = retry_within_s
        self._omitted = upstream.omit

    @property
    def capabilities(self) -> ModelCapabilities:
        """What it can do."""
        return self._capabilities

    @property
    def refused_fields(self) -> tuple[str, ...]:
        """The fields that the server turned out not to take; the operator's own ``omit`` is not among them."""
        return tuple(sorted(self._omitted - self._upstream.omit))

    def unready_reason(self) -> str:
        """Return that the key is missing; empty when it is there or none is needed."""
        return self._unready

    async def run(self, order: Order, job: Job) -> None:
        """Buy the pictures. Raises ``InvalidFieldError`` for a prompt that the server would misread."""
        if self._unready:
            raise ProviderMisconfiguredError(outcome=Outcome.NOT_BOUGHT)
        upstream = replace(self._upstream, omit=self._omitted)
        planned = tuple(calls(order, upstream, watched=job.watched))
        tally = Tally(order, job)
        async with asyncio.TaskGroup() as group:
            for call in planned:
                group.create_task(self._make(call, tally))
        tally.settle()

    async def close(self) -> None:
        """Do nothing: the connections are the client's."""

    async def _make(self, call: Call, tally: Tally) -> None:
        # What the answer takes is given back when its last picture is kept.
        with self._api.share() as share:
            try:
                call, entries = await self._buy(call, tally, share)
            except LimnerError as error:
                tally.lost(call.indexes, error)
            else:
                await self._hand_over(call, entries, tally, share)

    async def _buy(self, call: Call, tally: Tally, share: Share) -> tuple[Call, list[Entry]]:
        """Return what came, and of which call: it is made again without each field that the server does not take."""
        while True:
            call = call.without(self._omitted)
            if changes_wish(tally.order.task, self._omitted - self._upstream.omit):
                raise ProviderMisconfiguredError(
                    "The provider does not take a field that this request needs.", outcome=Outcome.NOT_BOUGHT
                )
            submit = functools.partial(self._submit, call, tally, share)
            try:
                with provider_errors():
                    return call, await retry_surely_unbought(submit, self._retry, within_s=self._retry_within_s)
            except _FieldRefusedError as refused:
                self._omit(refused.fields)

    def _omit(self, fields: frozenset[str]) -> None:
        if new := fields - self._omitted:
            self._omitted |= new
            facts = {
                "model": self._capabilities.id,
                "fields": sorted(new),
                "setting": f"omit = {sorted(self._omitted)}",
            }
            log.warning("a provider's server does not take a field; it is left out from now on", extra=facts)

    async def _submit(self, call: Call, tally: Tally, share: Share) -> list[Entry]:
        with self._breaker.attempt():
            submission = await tally.job.submitting(call.indexes)
            try:
                return await self._ask(call, tally, share)
            except (CallError, LimnerError, _FieldRefusedError) as error:
                if isinstance(error, CallError):
                    log.warning("a call failed", extra={"model": self._capabilities.id, "why": str(error)})
                if isinstance(error, _FieldRefusedError) or surely_unbought(error):
                    await submission.void()
                raise

    async def _ask(self, call: Call, tally: Tally, share: Share) -> list[Entry]:
        async with self._api.stream("POST", call.path, call.body(tally.order.inputs), share=share) as stream:
            if stream.is_events and stream.status < 300:
                show = _Previews(call, tally.job, self._upstream.previews).show
                return [await streamed_entry(stream, show, tally.prompt)]
            response = await stream.read()
        complaint = Complaint.of(response, tally.prompt) if response.status >= 300 else Complaint()
        if fields := refused_fields(response.status, complaint, call.fields):
            raise _FieldRefusedError(fields)
        if error := refusal(response.status, complaint):
            self._note(error, complaint, response)
            raise error
        return entries_of(definite(response, unbought=says_busy(response.status, complaint)), tally.prompt)

    def _note(self, error: LimnerError, complaint: Complaint, response: Response) -> None:
        """Log a refusal, in no words of the vendor's but its codes."""
        facts = {
            "status": response.status,
            "codes": complaint.safe_codes,
            "fields": sorted(complaint.fields)[:8],
            "told": error.reason,
            "provider_request": response.header("x-request-id"),
        }
        log.warning("a provider refuses", extra={"model": self._capabilities.id, **facts})

    async def _hand_over(self, call: Call, entries: list[Entry], tally: Tally, share: Share) -> None:
        """Keep the pictures one by one, and let go of each as soon as it is kept."""
        complete = len(entries) >= len(call.indexes)
        for place, index in enumerate(call.indexes[: len(entries)]):
            entry, entries[place] = entries[place], Entry()
            # Of a short list nobody knows which picture is which.
            seed = call.seed + place if call.seed is not None and complete else None
            await self._keep(index, entry, seed, tally, share)
        if missing := call.indexes[len(entries) :]:
            tally.lost(missing, _lost("The model made fewer pictures than asked."))

    async def _keep(self, index: int, entry: Entry, seed: int | None, tally: Tally, share: Share) -> None:
        try:
            with provider_errors():
                data = await self._bytes_of(entry, share)
        except LimnerError as error:
            tally.lost((index,), error)
            return
        await tally.made(MadePicture(index=index, data=data, seed=seed))
        tally.describe(index, entry.revised_prompt)

    async def _bytes_of(self, entry: Entry, share: Share) -> bytes:
        if entry.refusal:
            raise entry.refusal
        if entry.base64 or not entry.address:
            try:
                return picture_bytes(entry.base64)
            except UnreadableAnswerError as error:
                raise ResultError("an answer holds no picture where one should be") from error
        return await self._results.fetch(entry.address, share=share)


class _FieldRefusedError(Exception):
    """A request was not taken because of fields that can be left out; surely nothing was bought."""

    def __init__(self, fields: frozenset[str]) -> None:
        super().__init__("a field is not known")
        self.fields = fields


class _Previews:
    """Passes the early forms of a picture on."""

    def __init__(self, call: Call, job: Job, expected: int) -> None:
        self._index, self._job, self._expected = call.indexes[0], job, expected

    def show(self, number: int, data: bytes, content_type: str) -> None:
        self._job.preview(self._index, data, content_type)
        self._job.progress(min(number + 1, self._expected) / (self._expected + 1))


def _lost(message: str) -> ProviderUnavailableError:
    return ProviderUnavailableError(message, outcome=Outcome.UNKNOWN)
