"""One generation at work, from its kept row to its one commit. ``docs/architecture.md`` draws the states."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from time import perf_counter
from typing import Final

from limner.domain.errors import (
    DatabaseUnavailableError,
    GenerationCancelledError,
    InternalError,
    InterruptedTaskError,
    LimnerError,
    Outcome,
    OverloadedError,
    ProviderUnavailableError,
    QuotaExceededError,
    StorageUnavailableError,
)
from limner.domain.model import ModelCapabilities
from limner.domain.task import Generation, GenerationState, MissingPicture, Plan
from limner.service import failpoints, tracing
from limner.service.events import Preview, Progress, Watch
from limner.service.instruments import PROVIDER_REQUEST_DURATION, QUEUE_WAIT, asked_model
from limner.service.outcome_records import record_end
from limner.service.outcomes import ABANDONED, ended, failure_of, left_to_others, nothing_made
from limner.service.pictures import Pictures
from limner.service.ports import (
    ImageModel,
    LeaseLostError,
    MadePicture,
    Order,
    ResumableModel,
)
from limner.service.purchases import Inheritance, KeptSubmission, Purchases
from limner.service.stores import Stores
from limner.service.turns import FairTurns

log = logging.getLogger(__name__)

_PATIENCE_ATTEMPTS: Final = 5
_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 5.0
PATIENCE_S: Final = 10.0
"""How long callers wait for a step that neither ends nor fails."""

_OUTAGES: Final = (StorageUnavailableError, DatabaseUnavailableError, OverloadedError)
"""What passes: a paid picture waits for it."""


class Run:
    """Asks the model, keeps each picture as it comes, and shows all of them in one commit.

    It is the model's ``Job``, and runs in a task of its own, which outlives the calls that wait for it. Callers are
    answered when it ends, or when the storage or the database keeps it from ending: then it goes on by itself.
    """

    def __init__(
        self,
        generation: Generation,
        plan: Plan,
        order: Order,
        model: ImageModel,
        stores: Stores,
        turns: FairTurns,
        *,
        worker_id: str,
        inherited: Inheritance | None = None,
        notify: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.generation = generation
        self.error: LimnerError | None = None
        self._plan = plan
        self._order = order
        self._model = model
        self._stores = stores
        self._turns = turns
        self._worker_id = worker_id
        self._inherited = inherited
        self._notify = notify
        self._patience_s = patience_s
        self._pictures = Pictures(generation, plan, stores, model.capabilities)
        self._purchases = Purchases(generation.id, stores.repository, inherited)
        self._superseded = False
        self._reclaimed = generation.state is not GenerationState.RUNNING
        self._description = ""
        self._fraction = 0.0
        self._may_bill = False
        self._waiters = 1 if inherited else 0  # of its callers nobody knows, so no caller who leaves ends it
        self._watches: set[Watch] = set()
        self._watch_expected = False
        self._answerable = asyncio.Event()
        self._cancel_error: LimnerError | None = None
        self._task: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None

    @property
    def task(self) -> "asyncio.Task[None]":
        """The work, once it was started."""
        assert self._task is not None
        return self._task

    def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.create_task(self._work(), name=f"generation-{self.generation.id}")

    async def wait(self) -> Generation:
        """Return the generation in its final state, or raise why it made no image, or why that takes so long."""
        self.join()
        try:
            await self._answerable.wait()
        finally:
            self.leave()
        if self.error is not None:
            raise self.error.again()
        return self.generation

    def join(self) -> None:
        """Count one more caller who waits."""
        self._waiters += 1

    async def settled(self) -> None:
        """Return when callers are answered, without being one of them."""
        await self._answerable.wait()

    def leave(self) -> None:
        """Count one fewer. When nobody waits any longer, work stops that costs nothing to stop."""
        self._waiters -= 1
        if self._waiters or self._answerable.is_set():
            return
        if self._model.capabilities.local or self.interruptible:
            self.cancel(GenerationCancelledError("Every caller went away.", metadata={ABANDONED: "true"}))

    def cancel(self, error: LimnerError) -> None:
        """Ask the model to stop; ``error`` is what those who wait are told. What is made by then is kept."""
        if self._cancel_error is None:
            self._cancel_error = error
            if self._asking is not None:
                self._asking.cancel()

    def abandon(self) -> None:
        """Stop at once and leave the generation running: whoever takes over goes on with it."""
        self.error = self._told(left_to_others())
        self.task.cancel()

    @property
    def interruptible(self) -> bool:
        """Whether nothing was bought, so that a shutdown may end it."""
        return not self._purchases

    def expect_watch(self) -> None:
        """Count a watcher who comes as soon as the run was started: the model may look earlier."""
        self._watch_expected = True

    def watch(self, *, previews: bool = True) -> Watch:
        """Return the events from now on, beginning with how far it is."""
        watch = Watch(previews=previews)
        if self._fraction:
            watch.publish(Progress(self._fraction))
        self._watches.add(watch)
        if self._answerable.is_set():
            watch.end()
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Forget a watcher."""
        self._watch_expected = False
        self._watches.discard(watch)

    # What the model tells (ports.Job).

    @property
    def watched(self) -> bool:
        """Whether anybody watches who wants previews."""
        return self._watch_expected or any(watch.previews for watch in self._watches)

    def progress(self, fraction: float) -> None:
        """Pass the progress on; it never goes back."""
        if self._fraction < fraction <= 1:
            self._fraction = fraction
            self._publish(Progress(fraction))

    def preview(self, index: int, data: bytes, content_type: str) -> None:
        """Pass an early form of a picture on."""
        if self._watches:
            self._publish(Preview(index, data, content_type))

    async def submitting(self, indexes: Sequence[int], model_id: str = "") -> KeptSubmission:
        """Keep that a purchase is about to be made. Refused when another worker went on with the generation."""
        model_id = model_id or self.generation.model
        asked_model.set(model_id)
        try:
            return await self._purchases.begin(self._worker_id, indexes, model_id)
        except LeaseLostError as error:
            self._superseded = True
            raise InterruptedTaskError("Another worker goes on with this.") from error

    def missed(self, missing: MissingPicture) -> None:
        """Note that a picture will not come."""
        self._pictures.miss(missing)

    def describe(self, text: str) -> None:
        """Note what the provider said."""
        self._description = text

    async def made(self, picture: MadePicture) -> None:
        """Keep a picture, however long neither the storage nor the spool takes it: it may be paid for."""
        await self._patiently(lambda: self._pictures.keep(picture), StorageUnavailableError)

    # The work itself.

    async def _work(self) -> None:
        tracing.generation_id.set(self.generation.id)
        facts = {tracing.GENERATION: self.generation.id, tracing.MODEL: self.generation.model}
        parent = self._plan.traceparent if self._inherited else ""
        with tracing.span("generation", facts, traceparent=parent) as span:
            await self._do_all()
            span.note({tracing.OUTCOME: self.generation.state.value})
            if self.error is not None:
                span.fail(self.error.reason)

    async def _do_all(self) -> None:
        try:
            error = await self._asked()
            if isinstance(error, GenerationCancelledError):
                self._may_bill = await self._cancel_at_provider()
                failpoints.reach("job-cancelled")
            await self._patiently(self._pictures.deliver, StorageUnavailableError)
            if self._superseded and not self._pictures.images:
                self.error = self._told(error or InterruptedTaskError())
                return
            failpoints.reach("before-commit")
            outcome, error = self._outcome(error)
            with tracing.span("commit"):
                await self._patiently(lambda: self._commit(outcome), DatabaseUnavailableError)
            failpoints.reach("after-commit")
            self.error = self._final_error(outcome, error)
        except Exception:
            log.exception("a run failed", extra={"generation_id": self.generation.id})
            self.error = self._told(InternalError())
        finally:
            self._answer()
            self._purchases.stop_keeping()
            self._purchases.end_spans()

    async def _asked(self) -> LimnerError | None:
        """Return why the model made nothing more, or ``None`` when it is done."""
        if self._cancel_error is not None:
            return self._cancel_error
        self._asking = asyncio.current_task()
        try:
            if self._inherited is None:
                await self._run_model()
            else:
                await self._go_on(self._inherited)
        except asyncio.CancelledError:
            if self._cancel_error is None:
                raise
            return self._cancel_error
        except LimnerError as error:
            return error
        except Exception:
            log.exception("a model failed", extra={"generation_id": self.generation.id})
            return InternalError()
        finally:
            self._asking = None
        return None

    async def _run_model(self) -> None:
        """Wait for the workspace's turn, and let the model make the pictures."""
        waiting_since = perf_counter()
        async with AsyncExitStack() as holding:
            with tracing.span("queue.wait", {tracing.MODEL: self.generation.model}):
                await holding.enter_async_context(self._turns.turn(self.generation.workspace_id))
            began = perf_counter()
            QUEUE_WAIT.observe(began - waiting_since, self.generation.model)
            outcome = "failed"
            try:
                await self._model.run(self._order, self)
                outcome = "ok"
            finally:
                if self._model.capabilities.local:  # the others' requests are timed one by one
                    PROVIDER_REQUEST_DURATION.observe(perf_counter() - began, self.generation.model, outcome)

    async def _go_on(self, inherited: Inheritance) -> None:
        """Go on where a dead worker stopped: never buy again what may have been bought."""
        await self._patiently(lambda: self._pictures.adopt(self._maker_of), StorageUnavailableError)
        if not self._pictures.open_indexes:
            return
        if inherited.cancel_requested:
            raise GenerationCancelledError
        if not self._purchases:
            await self._run_model()
            return
        error = await self._resumed()
        if self._purchases.in_doubt(self._pictures.open_indexes, resumable=isinstance(self._model, ResumableModel)):
            raise ProviderUnavailableError(
                "The service was interrupted while it bought this; nobody knows whether it was made.",
                outcome=Outcome.UNKNOWN,
            ) from error
        if error is not None:
            raise error
        if self._pictures.open_indexes:
            raise InterruptedTaskError("The service was interrupted before it asked for this.")

    async def _resumed(self) -> LimnerError | None:
        """Wait at the provider for what it is known to have accepted; return why not all of that came."""
        open_indexes = set(self._pictures.open_indexes)
        jobs = [each for each in self._purchases.known() if open_indexes.intersection(each.indexes)]
        if not jobs or not isinstance(self._model, ResumableModel):
            return None
        try:
            await self._model.resume(self._order, jobs, self)
        except LimnerError as error:
            return error
        return None

    def _maker_of(self, index: int) -> ModelCapabilities | None:
        """Return which model made a picture that another worker kept: the one that was asked for it.

        Nobody was asked for money: then it is the one of this machine.
        """
        capabilities = self._model.capabilities
        for each in self._purchases.live:
            if index in each.indexes:
                return capabilities.maker(each.model_id)
        return next((each for each in (capabilities, *capabilities.fallback) if each.local), capabilities)

    def _outcome(self, error: LimnerError | None) -> tuple[Generation, LimnerError | None]:
        """Return how the generation ends, and what its callers are told in place of images."""
        images = self._pictures.images
        missing = self._all_missing(error)
        if not images and error is None:
            error = nothing_made(missing, paid=not self.interruptible)
        if images and not isinstance(error, GenerationCancelledError):
            error = None
        may_bill = (
            self._may_bill if isinstance(error, GenerationCancelledError) else not images and bool(self._purchases)
        )
        made = replace(
            self.generation,
            images=images,
            missing=missing,
            unmarked=self._pictures.unmarked,
            description=self._description,
            may_bill=may_bill,
        )
        if error is not None:
            error = self._told(error)
        return ended(made, error, self._stores.clock(), unbought=self.interruptible), error

    def _all_missing(self, error: LimnerError | None) -> tuple[MissingPicture, ...]:
        """Return why each asked picture that was not made is missing."""
        error = error or ProviderUnavailableError("The model did not make this picture.")
        missing = dict(self._pictures.missing)
        for index in self._pictures.open_indexes:
            missing[index] = MissingPicture(index=index, reason=error.reason, message=error.message)
        for index in range(len(self._plan.image_ids), self.generation.requested_images):
            reason, message = QuotaExceededError.reason, QuotaExceededError.default_message
            missing[index] = MissingPicture(index=index, reason=reason, message=message)
        return tuple(missing[index] for index in sorted(missing))

    async def _commit(self, outcome: Generation) -> None:
        """Keep the outcome; or take what another worker kept instead."""
        cost_micros = self._plan.cost_micros(outcome.images)
        repository = self._stores.repository
        if await repository.finish_generation(outcome, cost_micros, worker_id=self._worker_id, notify=self._notify):
            self.generation = outcome
            self._record(outcome)
            return
        kept = await repository.generation(outcome.workspace_id, outcome.id)
        if kept is not None and kept.state is GenerationState.RUNNING:
            raise DatabaseUnavailableError  # another worker went on with it: its outcome comes soon
        # No row: the database lost power before anything was bought, and with it the plan.
        self.generation = kept or ended(
            self.generation, InterruptedTaskError(), self._stores.clock(), unbought=self.interruptible
        )
        with suppress(LimnerError):  # what is left the sweeper finds
            await self._pictures.forget()

    def _record(self, outcome: Generation) -> None:
        bought = self._purchases
        record_end(outcome, self._plan, bought.live, bought.voided_models, reclaimed=self._reclaimed)

    def _final_error(self, outcome: Generation, error: LimnerError | None) -> LimnerError | None:
        """Return what callers are told: of this run's own outcome, or of the one that another worker kept."""
        kept = self.generation
        if kept.state is outcome.state or kept.state is GenerationState.SUCCEEDED:
            return error if kept.state is outcome.state else None
        return failure_of(kept)

    async def _patiently(self, step: Callable[[], Awaitable[None]], slow: type[LimnerError]) -> None:
        """Do a step as often as it takes; when that lasts, tell those who wait, and go on without them.

        They are told what went wrong at last, or ``slow`` when nothing went wrong yet.
        """
        timer = asyncio.get_running_loop().call_later(self._patience_s, lambda: self._stall(slow()))
        try:
            await self._repeatedly(step)
        finally:
            timer.cancel()

    async def _repeatedly(self, step: Callable[[], Awaitable[None]]) -> None:
        delay_s, attempt = _FIRST_DELAY_S, 0
        while True:
            try:
                await step()
            except _OUTAGES as error:
                attempt += 1
                if attempt == _PATIENCE_ATTEMPTS:
                    self._stall(error)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
            else:
                return

    def _stall(self, error: LimnerError) -> None:
        log.warning("a paid generation waits for an outage", extra={"generation_id": self.generation.id})
        self.error = self._told(error)
        self._answer()

    def _answer(self) -> None:
        self._answerable.set()
        for watch in self._watches:
            watch.end()

    def _told(self, error: LimnerError) -> LimnerError:
        """Return the error for callers. It is kept, so without the frames that it passed, and the pictures in them."""
        told = error.again()
        told.metadata = {**error.metadata, "generationId": self.generation.id}
        return told

    async def _cancel_at_provider(self) -> bool:
        """Ask the provider to stop what it accepted; return whether it may still bill."""
        if not isinstance(self._model, ResumableModel):
            return bool(self._purchases)
        known = self._purchases.known()
        try:
            verdicts = [await self._model.cancel(each) for each in known]
        except LimnerError:
            return True
        return any(verdicts) or len(known) < len(self._purchases)

    def _publish(self, event: Progress | Preview) -> None:
        for watch in self._watches:
            watch.publish(event)
