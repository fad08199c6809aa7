"""Starting, joining, watching and cancelling generations, and ending them in an orderly way."""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from limner.domain.errors import (
    DatabaseUnavailableError,
    GenerationCancelledError,
    GenerationNotFoundError,
    ImageNotFoundError,
    InterruptedTaskError,
    LimnerError,
    Outcome,
    ProviderMisconfiguredError,
)
from limner.domain.identifiers import is_id, new_id
from limner.domain.image import Image
from limner.domain.limits import MAX_SEED
from limner.domain.model import ModelCapabilities
from limner.domain.task import Failure, Generation, GenerationState, Plan, Task, UpscaleTask, input_image_ids
from limner.domain.usage import Quota
from limner.service import failpoints, policy, tracing
from limner.service.caller import Caller
from limner.service.catalogue import Catalogue
from limner.service.drafts import TaskDraft, checked
from limner.service.events import Completed, Event, Finished, Queued
from limner.service.outcomes import ABANDONED, ended, failure_of, left_to_others
from limner.service.ports import Claim, ImageModel, Job, Order, Start, Started, Unfinished
from limner.service.purchases import Inheritance
from limner.service.results import require_keepable
from limner.service.run import PATIENCE_S, Run
from limner.service.seats import Seats
from limner.service.stores import StoredInput, Stores
from limner.service.turns import FairTurns

log = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=30)
"""How long a worker that fell silent still counts as alive."""

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_TAKE_OVER_BATCH: Final = 20
_FIRST_LOOK_S: Final = 0.05
_LONGEST_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a worker looks after what all share, and for how long callers wait, in seconds."""

    heartbeat_s: float = 5.0
    """From one renewal of its leases to the next; that is when it takes over what dead workers left, too."""
    cancel_check_s: float = 1.0
    patience_s: float = PATIENCE_S
    """How long callers wait for a step that neither ends nor fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the operator decided about tasks."""

    max_in_flight: int = 1024
    quota: Quota = field(default_factory=Quota)
    price_ceiling_micros: int = 0
    """What a picture of unknown price counts as, in millionths of a US dollar."""
    keys_kept: timedelta = timedelta(hours=24)
    notified_workspaces: frozenset[str] = frozenset()
    """Those that get a webhook when a generation ends."""
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One task call."""

    caller: Caller
    workspace_id: str
    draft: TaskDraft
    claim: Claim | None = None
    told_early: bool = False
    """Whether the caller learns the generation's id before its end."""
    watched: bool = False
    """Whether the caller wants to see early forms of the pictures."""


class TaskRunner:
    """The task calls. Holds at most ``max_in_flight`` runs; more are refused before anything is done."""

    def __init__(
        self,
        catalogue: Catalogue,
        stores: Stores,
        rules: Rules,
        *,
        worker_id: str,
        dead_workers: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """Run tasks as ``worker_id``. ``dead_workers`` names, each once, workers that surely work no longer."""
        self._catalogue = catalogue
        self._stores = stores
        self._rules = rules
        self._worker_id = worker_id
        self._dead_workers = dead_workers
        self._runs: dict[str, Run] = {}
        self._seats = Seats(rules.max_in_flight)
        self._turns: dict[str, FairTurns] = {}
        self._withdrawing: set[asyncio.Task[None]] = set()
        self._draining = False
        self._ended = asyncio.Event()
        self._last_beat: datetime | None = None
        self._dead: set[str] = set()  # whose leases are still to be ended: each is named once
        self._reclaimed = False

    @property
    def in_flight(self) -> int:
        """How many runs there are now."""
        return len(self._runs)

    async def run(self, asked: Asked) -> Generation:
        """Do the task and return its generation with images; raise why when none could be made."""
        while True:
            try:
                return await self._outcome(asked.workspace_id, await self._start(asked))
            except GenerationCancelledError as error:
                if error.metadata.get(ABANDONED) != "true":
                    raise
            # Its callers went away as this one, with the same key, joined them: the key is free again.

    async def begin(self, asked: Asked) -> Generation:
        """Start the task and return its generation at once; one that was asked for before as it stands."""
        started = await self._start(replace(asked, told_early=True))
        if not isinstance(started, Run):
            return await self.generation(asked.workspace_id, started)
        started.join()  # for good: nobody who leaves shall end it
        return started.generation

    async def events(self, asked: Asked) -> AsyncGenerator[Event, None]:
        """Do the task and yield what happens; a failure is raised after its ``Completed``."""
        started = await self._start(replace(asked, told_early=True))
        if isinstance(started, Run):
            run = started
            async for event in _events_of(run, previews=asked.watched):
                yield event
            generation, error = run.generation, run.error
        else:
            yield Queued(started)
            generation = await self._final(asked.workspace_id, started)
            error = failure_of(generation)
        for image in generation.images:
            yield Finished(image)
        if error is not None and generation.state is GenerationState.RUNNING:
            generation = _interrupted(generation, error)
        if generation.state is not GenerationState.RUNNING or error is not None:
            yield Completed(generation)
        if error is not None:
            raise error.again()

    async def generation(self, workspace_id: str, generation_id: str) -> Generation:
        """Return a generation."""
        if not is_id(generation_id):
            raise GenerationNotFoundError
        generation = await self._stores.repository.generation(workspace_id, generation_id)
        if generation is None:
            raise GenerationNotFoundError
        return generation

    async def cancel(self, caller: Caller, workspace_id: str, generation_id: str) -> Generation:
        """Stop a running generation and return it; one that has ended is returned as it is."""
        generation = await self.generation(workspace_id, generation_id)
        policy.require_creator_or_admin(caller, generation)
        if generation.state is not GenerationState.RUNNING:
            return generation
        # Kept first, even when it runs here: whoever takes over must not go on with what was withdrawn.
        await self._stores.repository.request_cancel(workspace_id, generation_id)
        failpoints.reach("cancel-kept")
        run = self._runs.get(generation_id)
        if run is None:
            return await self._final(workspace_id, generation_id)
        run.cancel(GenerationCancelledError())
        await run.settled()
        return await self.generation(workspace_id, generation_id)

    async def drain(self, timeout_s: float, *, ending_s: float = 2.0) -> bool:
        """Refuse new work, wait for the running work, and stop what is not done in time; tell whether any was running.

        What surely bought nothing fails, and may be asked for again; a purchase stays as it is kept, for whoever
        takes over. Then all who wait have been told: ``ending_s`` is how long that may take, beside ``timeout_s``.
        """
        self._draining = True
        tasks = [run.task for run in self._runs.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        for run in tuple(self._runs.values()):
            if run.interruptible:
                run.cancel(InterruptedTaskError(outcome=Outcome.NOT_BOUGHT))
            else:
                run.abandon()
        if rest := [run.task for run in self._runs.values()]:
            await asyncio.wait(rest, timeout=ending_s)
            for task in rest:
                task.cancel()
            with suppress(LimnerError):  # then whoever takes over waits for the leases' end
                await self._stores.repository.end_leases([self._worker_id])
        self._ended.set()
        for withdrawing in self._withdrawing:
            withdrawing.cancel()
        return bool(tasks or rest)

    async def keep_leases(self) -> None:
        """Tell again and again that this worker lives, and go on with what dead workers left. Never returns."""
        while True:
            with _logged("leases are not kept"):
                await self._beat()
            await asyncio.sleep(self._rules.pace.heartbeat_s)

    async def heed_cancellations(self) -> None:
        """Cancel, again and again, what other workers were asked to cancel. Never returns."""
        while True:
            await asyncio.sleep(self._rules.pace.cancel_check_s)
            with _logged("cancellations are not heeded"):
                await self._heed_cancellations()

    async def _outcome(self, workspace_id: str, started: Run | str) -> Generation:
        if isinstance(started, Run):
            return await started.wait()
        generation = await self._final(workspace_id, started)
        if error := failure_of(generation):
            raise error
        return generation

    async def _start(self, asked: Asked) -> Run | str:
        """Return the run of the task, or the id of a generation that another worker runs, or that has ended."""
        task, model = checked(asked.draft, self._catalogue)
        if (why := model.unready_reason()) and not model.capabilities.fallback:
            raise ProviderMisconfiguredError(f"{task.model_id} is not ready: {why}")
        beginning = asyncio.create_task(self._begin(asked, task, model))
        try:
            # A caller who hangs up can't part the row from its run.
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            beginning.add_done_callback(_give_up)
            raise
        finally:
            del beginning  # it keeps what it raises, which keeps this frame

    async def _begin(self, asked: Asked, task: Task, model: ImageModel) -> Run | str:
        if self._draining:
            raise InterruptedTaskError("The service is shutting down. Try again.", outcome=Outcome.NOT_BOUGHT)
        self._stores.spool.require_room()
        self._seats.take(asked.workspace_id)
        run: Run | None = None
        try:
            inputs = await self._inputs(asked.caller, asked.workspace_id, task)
            require_keepable(task, inputs)
            generation = self._new_generation(asked.caller, asked.workspace_id, task)
            plan = self._new_plan(task, model)
            started = await self._keep(asked, generation, plan)
            if started.joined:
                return self._runs.get(started.generation_id, started.generation_id)
            failpoints.reach("generation-kept")
            granted = _granted(plan, started.granted_images)
            run = self._launch(replace(generation, inputs=inputs), granted, model, watched=asked.watched)
            return run
        finally:
            if run is None:
                self._seats.give(asked.workspace_id)

    async def _keep(self, asked: Asked, generation: Generation, plan: Plan) -> Started:
        start = Start(
            generation=generation,
            plan=plan,
            worker_id=self._worker_id,
            lease_until=generation.created_at + LEASE,
            claim=asked.claim,
            quota=self._rules.quota,
            durable=asked.told_early,
        )
        try:
            return await self._stores.repository.start_generation(start)
        except DatabaseUnavailableError as error:
            if error.may_be_kept:
                withdrawing = asyncio.create_task(self._withdraw(generation), name=f"withdrawal-{generation.id}")
                self._withdrawing.add(withdrawing)
                withdrawing.add_done_callback(self._withdrawing.discard)
            raise

    async def _withdraw(self, generation: Generation) -> None:
        """End a generation that may be kept and that nobody runs: it bought nothing, so its key is free again.

        Tried until its lease ends, when whoever takes over goes on with it.
        """
        repository, delay_s = self._stores.repository, _FIRST_LOOK_S
        with suppress(TimeoutError):
            async with asyncio.timeout(LEASE.total_seconds()):
                while True:
                    withdrawn = ended(generation, InterruptedTaskError(), self._stores.clock(), unbought=True)
                    with suppress(LimnerError):
                        await repository.finish_generation(withdrawn, 0, worker_id=self._worker_id)
                        return
                    await asyncio.sleep(delay_s)
                    delay_s = min(delay_s * 1.5, _LONGEST_LOOK_S)

    def _launch(
        self,
        generation: Generation,
        plan: Plan,
        model: ImageModel,
        inherited: Inheritance | None = None,
        *,
        watched: bool = False,
    ) -> Run:
        """Start a run on a seat that was taken for it."""
        run = Run(
            generation,
            plan,
            _order(generation, plan, self._stores),
            model,
            self._stores,
            self._turns_of(model),
            worker_id=self._worker_id,
            inherited=inherited,
            notify=generation.workspace_id in self._rules.notified_workspaces,
            patience_s=self._rules.pace.patience_s,
        )
        self._runs[generation.id] = run
        if watched:
            run.expect_watch()
        run.start()
        run.task.add_done_callback(lambda _: self._leave(run))
        return run

    def _leave(self, run: Run) -> None:
        self._runs.pop(run.generation.id, None)
        self._seats.give(run.generation.workspace_id)

    def _turns_of(self, model: ImageModel) -> FairTurns:
        capabilities = model.capabilities
        if capabilities.id not in self._turns:
            self._turns[capabilities.id] = FairTurns(capabilities.concurrency, queue=capabilities.max_waiting)
        return self._turns[capabilities.id]

    async def _inputs(self, caller: Caller, workspace_id: str, task: Task) -> tuple[Image, ...]:
        """Return the pictures that the task starts from, each of them the caller's own."""
        wanted = input_image_ids(task)
        if not wanted:
            return ()
        found = await self._stores.repository.images(workspace_id, [each for each in wanted if is_id(each)])
        if len(found) < len(wanted):
            raise ImageNotFoundError
        for image in found:
            policy.require_creator(caller, image)
        return found

    def _new_generation(self, caller: Caller, workspace_id: str, task: Task) -> Generation:
        now = self._stores.clock()
        return Generation(
            id=new_id(),
            workspace_id=workspace_id,
            created_by_user_id=caller.user_id,
            operation=task.operation,
            model=task.model_id,
            prompt=task.prompt,
            requested_images=task.num_images,
            input_image_ids=input_image_ids(task),
            created_at=now,
            updated_at=now,
        )

    def _new_plan(self, task: Task, model: ImageModel) -> Plan:
        return Plan(
            task=task,
            seed=task.seed if task.seed is not None else secrets.randbelow(MAX_SEED + 1),
            image_ids=tuple(new_id() for _ in range(task.num_images)),
            prices_micros={
                each.id: self._price_micros(each) for each in (model.capabilities, *model.capabilities.fallback)
            },
            traceparent=tracing.traceparent(),
        )

    def _price_micros(self, model: ModelCapabilities) -> int:
        price = model.price_usd
        return self._rules.price_ceiling_micros if price is None else int(price * 1_000_000)

    async def _final(self, workspace_id: str, generation_id: str) -> Generation:
        """Wait until a generation that another worker runs has ended, and return it.

        Raises ``InterruptedTaskError`` when this worker ends before.
        """
        delay_s = _FIRST_LOOK_S
        while True:
            generation = await self.generation(workspace_id, generation_id)
            if generation.state is not GenerationState.RUNNING:
                return generation
            with suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._ended.wait()
                error = left_to_others()
                error.metadata = {**error.metadata, "generationId": generation_id}
                raise error
            delay_s = min(delay_s * 1.5, _LONGEST_LOOK_S)

    async def _heed_cancellations(self) -> None:
        if not self._runs:
            return
        for generation_id in await self._stores.repository.cancel_requests(self._worker_id):
            if run := self._runs.get(generation_id):
                run.cancel(GenerationCancelledError())

    async def _beat(self) -> None:
        """Renew the leases, and take over what has none any longer.

        After a beat that failed or came late nothing is taken over: whatever held this worker up, an outage of the
        database or a clock that was set, may have kept the others from renewing theirs.
        """
        now, repository = self._stores.clock(), self._stores.repository
        in_time = self._last_beat is None or abs(now - self._last_beat) < LEASE
        self._last_beat = _LONG_AGO
        if self._runs:
            await repository.renew_leases(self._worker_id, tuple(self._runs), now + LEASE)
        if in_time and not self._draining:
            await self._take_over()
            await self._reclaim_spooled()
        await repository.forget_keys(now - self._rules.keys_kept)
        self._last_beat = now

    async def _reclaim_spooled(self) -> None:
        """Give what a crash left in the spool to generations that ended as unknown meanwhile, once."""
        if self._reclaimed:
            return
        spool, repository = self._stores.spool, self._stores.repository
        keys = await spool.keys()
        for unfinished in await repository.unknown_outcomes(keys):
            self.reclaim(unfinished)
        for key in await repository.unknown_images(keys):
            await spool.discard(key)
        self._reclaimed = True

    async def _take_over(self) -> None:
        self._dead.update(self._dead_workers())
        if self._dead:
            await self._stores.repository.end_leases(sorted(self._dead))
            self._dead.clear()
        now = self._stores.clock()
        taken = await self._stores.repository.take_over(self._worker_id, now, now + LEASE, _TAKE_OVER_BATCH)
        if taken:
            failpoints.reach("taken-over")
        for unfinished in taken:
            log.warning("going on where a worker died", extra={"generation_id": unfinished.generation.id})
            self.reclaim(unfinished)

    def reclaim(self, unfinished: Unfinished) -> None:
        """Go on with a generation that another worker left, or whose outcome nobody knew.

        Not when this worker was the one that only seemed dead: then its run knows more.
        """
        generation = unfinished.generation
        if generation.id in self._runs or self._draining:
            return
        inherited = Inheritance(
            submissions=unfinished.submissions,
            submitted=unfinished.submitted,
            cancel_requested=unfinished.cancel_requested,
        )
        model = self._catalogue.find(generation.model) or RemovedModel(unfinished.plan.task)
        self._seats.take_again(generation.workspace_id)
        self._launch(generation, _granted(unfinished.plan, unfinished.granted_images), model, inherited)


class RemovedModel:
    """Stands for a model that is not configured any longer: what it made is kept, and nothing more is made."""

    def __init__(self, task: Task) -> None:
        self.capabilities = ModelCapabilities(id=task.model_id, description="", operations=(task.operation,))

    def unready_reason(self) -> str:
        """Return that it is gone."""
        return "it is not configured any longer"

    async def run(self, order: Order, job: Job) -> None:
        """Refuse."""
        raise InterruptedTaskError("The model is not configured any longer.")

    async def close(self) -> None:
        """Do nothing."""


@contextmanager
def _logged(fault: str) -> Iterator[None]:
    """Log what goes wrong with something that is done again and again, so that it is done again."""
    try:
        yield
    except LimnerError as error:
        log.warning(fault, extra={"reason": error.reason})
    except Exception:
        log.exception(fault)


async def _events_of(run: Run, *, previews: bool) -> AsyncIterator[Event]:
    watch = run.watch(previews=previews)
    run.join()
    try:
        yield Queued(run.generation.id)
        async for event in watch:
            yield event
    finally:
        run.unwatch(watch)
        run.leave()


def _interrupted(generation: Generation, error: LimnerError) -> Generation:
    """Return a generation that goes on without its caller, with why."""
    failure = Failure(reason=error.reason, message=error.message, metadata=dict(error.metadata), outcome=error.outcome)
    may_bill = error.outcome is not Outcome.NOT_BOUGHT
    return replace(generation, failure=failure, may_bill=may_bill)


def _order(generation: Generation, plan: Plan, stores: Stores) -> Order:
    inputs = tuple(StoredInput(image, stores.blobs) for image in generation.inputs)
    return Order(task=plan.task, seed=plan.seed, inputs=inputs)


def _granted(plan: Plan, images: int) -> Plan:
    """Return the plan for as many pictures as the quota allows."""
    if images == len(plan.image_ids) or isinstance(plan.task, UpscaleTask):
        return plan
    return replace(plan, task=replace(plan.task, num_images=images), image_ids=plan.image_ids[:images])


def _give_up(beginning: "asyncio.Task[Run | str]") -> None:
    """Let a run go whose caller left before it began."""
    if not beginning.cancelled() and beginning.exception() is None and isinstance(run := beginning.result(), Run):
        run.join()
        run.leave()
