"""The adapter: an order becomes calls, which run side by side."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from limner.domain.errors import (
    LimnerError,
    Outcome,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
)
from limner.domain.model import ModelCapabilities
from limner.models.fal.account import FalAccount
from limner.models.fal.answers import Result, failure, result
from limner.models.fal.catalogue import FalFacts
from limner.models.fal.queue import Ticket
from limner.models.fal.requests import Call, Input, calls, seed_of
from limner.models.http.breaker import CircuitBreaker
from limner.models.http.outcome import provider_errors, surely_unbought
from limner.models.http.retry import RetryPolicy, retry_surely_unbought
from limner.models.tally import Tally
from limner.outbound.errors import UnboughtError
from limner.service.ports import InputPicture, Job, KnownSubmission, MadePicture, Order, Submission

log = logging.getLogger(__name__)

_LATE_ANSWER_S: Final = 10.0
"""How long a cancelled order waits for the answer to a submission, so that it can be withdrawn or resumed."""


class FalModel:
    """A model of fal's.

    Pictures above ``FalFacts.per_call`` are made by several calls, and one bad picture does not take the others
    along. A submission is repeated only when surely nothing was bought.
    """

    def __init__(
        self,
        facts: FalFacts,
        account: FalAccount,
        *,
        capabilities: ModelCapabilities | None = None,
        breaker: CircuitBreaker | None = None,
        retries: RetryPolicy | None = None,
    ) -> None:
        self._facts = facts
        self._account = account
        self._capabilities = capabilities or facts.capabilities()
        self._breaker = breaker
        self._retries = retries

    @property
    def capabilities(self) -> ModelCapabilities:
        """What it can do."""
        return self._capabilities

    def unready_reason(self) -> str:
        """Return that the key is missing, or an empty text."""
        return self._account.unready_reason()

    async def run(self, order: Order, job: Job) -> None:
        """Buy the pictures and hand them over. Cancelled, it leaves what was submitted alone, and its id kept."""
        if reason := self.unready_reason():
            raise ProviderMisconfiguredError(f"{self._capabilities.id}: {reason}.", outcome=Outcome.NOT_BOUGHT)
        with self._attempt():
            await self._run(order, job)

    async def resume(self, order: Order, submissions: Sequence[KnownSubmission], job: Job) -> None:
        """Wait for what was bought before, and tell of that alone."""
        tally = Tally(order, job)
        async with asyncio.TaskGroup() as group:
            for submission in submissions:
                group.create_task(self._resume(submission, order, tally))
        tally.settle()

    async def cancel(self, submission: KnownSubmission) -> bool:
        """Take the job out of fal's queue; what runs already may end, and be billed."""
        try:
            return await self._account.queue.withdraw(Ticket.parse(submission.provider_job_id))
        except ValueError:
            return True

    async def close(self) -> None:
        """Do nothing: the connections are the http client's."""

    def _attempt(self) -> AbstractContextManager[None]:
        return self._breaker.attempt() if self._breaker is not None else nullcontext()

    async def _run(self, order: Order, job: Job) -> None:
        with provider_errors():
            inputs = await self._placed(order)
        tally = Tally(order, job)
        async with asyncio.TaskGroup() as group:
            for call in calls(self._facts, order, inputs):
                group.create_task(self._make(call, job, tally))
        tally.settle()

    async def _placed(self, order: Order) -> Sequence[Input]:
        return await asyncio.gather(*(self._place(picture) for picture in order.inputs))

    async def _place(self, picture: InputPicture) -> Input:
        async with self._account.hands:
            return await self._account.storage.place(picture)

    async def _make(self, call: Call, job: Job, tally: Tally) -> None:
        try:
            with provider_errors():
                ticket = await self._buy(call, job)
                await self._deliver(ticket, call.indexes, call.seed, tally)
        except LimnerError as error:
            tally.lost(call.indexes, error)

    async def _resume(self, known: KnownSubmission, order: Order, tally: Tally) -> None:
        seed = seed_of(self._facts, order, known.indexes)
        try:
            with provider_errors():
                await self._deliver(_ticket(known), known.indexes, seed, tally)
        except LimnerError as error:
            tally.lost(known.indexes, error)

    # Buying.

    async def _buy(self, call: Call, job: Job) -> Ticket:
        async def attempt() -> Ticket:
            return await self._submit(call, await job.submitting(call.indexes))

        return await retry_surely_unbought(attempt, self._retries, within_s=self._account.patience.job_s)

    async def _submit(self, call: Call, submission: Submission) -> Ticket:
        # In a task of its own: a cancelled order still has to learn what it bought, or nobody could withdraw it.
        submitting = asyncio.create_task(self._submit_once(call, submission))
        try:
            return await asyncio.shield(submitting)
        except asyncio.CancelledError:
            await asyncio.wait({submitting}, timeout=_LATE_ANSWER_S)
            submitting.cancel()
            raise

    async def _submit_once(self, call: Call, submission: Submission) -> Ticket:
        try:
            ticket = await self._account.queue.submit(call)
        except (UnboughtError, LimnerError) as error:
            if surely_unbought(error):
                await submission.void()
            raise
        await _keep(submission, ticket)
        return ticket

    # Fetching.

    async def _deliver(self, ticket: Ticket, indexes: Sequence[int], seed: int | None, tally: Tally) -> None:
        made = await self._result(ticket, tally.prompt)
        tally.describe(indexes[0], made.description)
        async with asyncio.TaskGroup() as group:
            for place, index in enumerate(indexes):
                group.create_task(self._fetch(made, place, index, seed, tally))

    async def _result(self, ticket: Ticket, prompt: str) -> Result:
        try:
            response = await self._account.queue.wait(ticket)
        except TimeoutError as error:
            may_bill = await self._account.queue.withdraw(ticket)
            outcome = Outcome.UNKNOWN if may_bill else Outcome.NOT_BOUGHT
            raise ProviderUnavailableError("The model took too long.", outcome=outcome) from error
        if response.status >= 300:
            raise failure(response, began=True, prompt=prompt) or ProviderUnavailableError(outcome=Outcome.UNKNOWN)
        return result(response, prompt)

    async def _fetch(self, made: Result, place: int, index: int, seed: int | None, tally: Tally) -> None:
        if error := made.refusal(place):
            tally.lost((index,), error)
            return
        try:
            # A hand is full until the picture is kept: that bounds the memory of all orders together.
            async with self._account.hands:
                with provider_errors():
                    data = await self._account.results.fetch(made.pictures[place])
                await tally.made(MadePicture(index=index, data=data, seed=seed))
        except LimnerError as error:
            tally.lost((index,), error)


async def _keep(submission: Submission, ticket: Ticket) -> None:
    """Have the ticket kept; the work is bought and goes on also when it can't be."""
    try:
        await submission.accepted(str(ticket))
    except LimnerError as error:
        log.error("a provider's id could not be kept", extra={"provider": "fal", "why": error.reason})


def _ticket(known: KnownSubmission) -> Ticket:
    try:
        return Ticket.parse(known.provider_job_id)
    except ValueError as error:
        raise ProviderUnavailableError(outcome=Outcome.UNKNOWN) from error
