"""fal's queue: a request is submitted, waited for, and can be withdrawn.

It is asked how a job stands rather than listening to the status stream: each question stands alone, so it survives
dropped connections, load balancers that cut after a minute, and a restart; the stream would need all this beside it.
"""

import asyncio
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from limner.domain.backoff import Backoff
from limner.domain.errors import ProviderMisconfiguredError
from limner.models.fal.answers import failure, members, names_its_fault
from limner.models.fal.requests import Call
from limner.models.http.api import ProviderApi
from limner.models.http.outcome import definite
from limner.outbound.answer import Response
from limner.outbound.body import json_body
from limner.outbound.client import Timeouts
from limner.outbound.errors import CallError, OutcomeUnknownError

log = logging.getLogger(__name__)

MEDIA_LIFETIME_S: Final = 86_400
"""How long fal keeps pictures of ours: long enough to fetch them after a restart."""

_NAMESPACES: Final = ("workflows", "comfy")
_REQUEST_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_PATH: Final = re.compile(r"[0-9A-Za-z_./-]{1,200}")
_OVER: Final = frozenset({"COMPLETED", "FAILED", "ERROR", "CANCELLED", "CANCELED"})
"""Documented is the first alone; a failed job is completed too, with an error."""
_CALL_TIMEOUTS: Final = Timeouts(connect_s=5.0, first_byte_s=20.0, total_s=30.0)
_CANCEL_TIMEOUTS: Final = Timeouts(connect_s=3.0, first_byte_s=5.0, total_s=8.0)
_CONVINCING: Final = 4
"""How often an answer that would end the waiting for something paid must come before it is believed."""
_CONVINCING_FAULTS: Final = 2
"""The same for an error in fal's own form."""
_LONGEST_DOUBT_S: Final = 15.0
_REMEMBERED: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, and how often to ask, in seconds."""

    submit_s: float = 60.0
    """For an answer to a submission."""
    job_s: float = 600.0
    """For a job, from its submission to its end. It may not begin later either."""
    first_poll_s: float = 0.15
    longest_poll_s: float = 3.0
    """Between, the wait is a tenth of the time waited already: so much longer may a job seem to take."""

    def pause_s(self, waited_s: float, doubts: int) -> float:
        """Return how long to wait before asking again; four times as long after each doubtful answer in a row."""
        pause_s = min(max(self.first_poll_s, waited_s / 10), self.longest_poll_s)
        return Backoff(pause_s, _LONGEST_DOUBT_S, factor=4).delay_s(doubts + 1)


@dataclass(frozen=True, slots=True)
class Ticket:
    """An accepted request: the addresses by which it is known, as paths below the queue's."""

    response: str
    status: str
    cancel: str

    def __str__(self) -> str:
        """Return it as a text from which ``parse`` makes it again."""
        return f"{self.response}|{self.status}|{self.cancel}"

    @classmethod
    def parse(cls, text: str) -> "Ticket":
        """Return the ticket that was written as ``text``; raise ``ValueError`` for what is none."""
        paths = text.split("|")
        if len(paths) != 3 or not all(_PATH.fullmatch(path) for path in paths):
            raise ValueError("no ticket of fal's queue")
        return cls(*paths)

    @classmethod
    def of_request(cls, endpoint: str, request_id: str) -> "Ticket":
        """Return the usual addresses, which name the application alone."""
        words = endpoint.split("/")
        app = "/".join(words[: 3 if words[0] in _NAMESPACES else 2])
        path = f"{app}/requests/{request_id}"
        return cls(path, f"{path}/status", f"{path}/cancel")


class FalQueue:
    """One queue, by one key. It buys in ``submit`` alone, and there once."""

    def __init__(self, api: ProviderApi, base_url: str, patience: Patience) -> None:
        self._api = api
        self._base = f"{base_url.rstrip('/')}/"
        self._patience = patience
        self._withdrawn: OrderedDict[Ticket, bool] = OrderedDict()

    async def submit(self, call: Call) -> Ticket:
        """Submit a request, and return by what it is known.

        Raises ``UnboughtError`` or a ``LimnerError`` when it was not taken, ``OutcomeUnknownError`` when nobody knows.
        """
        timeouts = Timeouts(first_byte_s=self._patience.submit_s, total_s=2 * self._patience.submit_s)
        body = json_body(call.fields)
        response = await self._api.post(call.endpoint, body, headers=self._headers(), timeouts=timeouts)
        if error := failure(response, began=False, prompt=str(call.fields.get("prompt", ""))):
            raise error
        return self._ticket(call.endpoint, definite(response))

    async def wait(self, ticket: Ticket) -> Response:
        """Return the answer of a job that is over, whatever its status.

        What goes wrong with asking is asked again: it buys nothing. Raises ``TimeoutError`` after ``job_s``, a
        ``LimnerError`` when the key is not accepted any longer, ``OutcomeUnknownError`` when the job is not known.
        """
        clock = asyncio.get_running_loop().time
        began, doubts = clock(), 0
        async with asyncio.timeout(self._patience.job_s):
            while True:
                try:
                    if response := await self._answer(ticket, doubts):
                        return response
                    doubts = 0
                except _DoubtfulAnswerError:
                    doubts += 1
                    if doubts >= _CONVINCING:
                        raise
                except CallError as error:
                    log.info("fal could not be asked", extra={"why": str(error)})
                await asyncio.sleep(self._patience.pause_s(clock() - began, doubts))

    async def withdraw(self, ticket: Ticket) -> bool:
        """Ask that a job is not done; return whether it may be billed. A second time the first answer counts."""
        if ticket not in self._withdrawn:
            self._withdrawn[ticket] = await self._withdraw(ticket)
            if len(self._withdrawn) > _REMEMBERED:
                self._withdrawn.popitem(last=False)
        return self._withdrawn[ticket]

    async def _withdraw(self, ticket: Ticket) -> bool:
        try:
            response = await self._api.put(ticket.cancel, timeouts=_CANCEL_TIMEOUTS)
            # 200 OK: taken out of the queue. 202: it runs, and may end before it hears of this. 400: it is over.
            return response.status != HTTPStatus.OK or members(response).get("status") != "OK"
        except CallError as error:
            log.warning("a job of fal's could not be withdrawn", extra={"why": str(error)})
            return True

    def _headers(self) -> Mapping[str, str]:
        return {
            # Else fal may quietly ask another model than the caller did.
            "x-app-fal-disable-fallback": "true",
            # Nothing begins any more when nobody waits any more. fal's own retries end then too; they stay on, as
            # only a success is billed, and once.
            "X-Fal-Request-Timeout": f"{self._patience.job_s:g}",
            # The pictures are kept here; X-Fal-Store-IO is not turned off, since a restart asks for the result again.
            "X-Fal-Object-Lifecycle-Preference": json.dumps({"expiration_duration_seconds": MEDIA_LIFETIME_S}),
        }

    def _ticket(self, endpoint: str, response: Response) -> Ticket:
        told = members(response)
        request_id = str(told.get("request_id") or response.header("x-fal-request-id"))
        if not _REQUEST_ID.fullmatch(request_id):
            raise OutcomeUnknownError("fal took a request and does not say under which id")
        try:
            paths = [self._path(told.get(name)) for name in ("response_url", "status_url", "cancel_url")]
            return Ticket(*paths)
        except ValueError:
            log.warning("fal names addresses that are not its queue's: the usual ones are used")
            return Ticket.of_request(endpoint, request_id)

    def _path(self, address: object) -> str:
        """Return an address as a path below the queue's; raise ``ValueError`` for one elsewhere: it gets no key."""
        path = address.removeprefix(self._base) if isinstance(address, str) and address.startswith(self._base) else ""
        if not path or not _PATH.fullmatch(path) or ".." in path:
            raise ValueError("not an address of the queue")
        return path

    async def _answer(self, ticket: Ticket, doubts: int) -> Response | None:
        """Return the answer of the job, or ``None`` while it is not over.

        A result that makes no sense counts only after some ``doubts``: it is paid for.
        """
        status = await self._get(ticket.status)
        if status.status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            raise OutcomeUnknownError(f"status {status.status}")
        told = members(status)
        if str(told.get("status")) not in _OVER:
            return None
        response = await self._result(ticket)
        if response.status == HTTPStatus.BAD_REQUEST and "in progress" in response.text():
            return None
        failed = bool(told.get("error") or told.get("error_type"))
        sensible = failed or (response.status < 500 and bool(members(response)))
        convincing = _CONVINCING_FAULTS if names_its_fault(response) else _CONVINCING
        if not sensible and doubts + 1 < convincing:
            raise _DoubtfulAnswerError(f"a result with status {response.status}")
        return response

    async def _result(self, ticket: Ticket) -> Response:
        """Get the answer of a job that is over. The queue just said so: one that breaks off is not an outage."""
        try:
            return await self._get(ticket.response)
        except _AskedTooOftenError:
            raise
        except OutcomeUnknownError as error:
            raise _DoubtfulAnswerError(str(error)) from error

    async def _get(self, path: str) -> Response:
        response = await self._api.get(path, timeouts=_CALL_TIMEOUTS)
        if response.status == HTTPStatus.NOT_FOUND:
            raise _DoubtfulAnswerError("fal does not know the job")
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise failure(response, began=True) or ProviderMisconfiguredError
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise _AskedTooOftenError("fal is asked too often")
        return response


class _AskedTooOftenError(OutcomeUnknownError):
    """A question that was not answered, and may be asked later."""


class _DoubtfulAnswerError(OutcomeUnknownError):
    """An answer that is believed only when it comes again."""
