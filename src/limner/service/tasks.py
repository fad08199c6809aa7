"""Starting, watching and cancelling generations, and ending them in an orderly way."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

from limner.domain.errors import (
    GenerationCancelledError,
    GenerationNotFoundError,
    ImageNotFoundError,
    InterruptedTaskError,
    LimnerError,
    OverloadedError,
    ProviderMisconfiguredError,
)
from limner.domain.identifiers import is_id, new_id
from limner.domain.image import Image
from limner.domain.limits import MAX_SEED
from limner.domain.task import Generation, GenerationState, Task, input_image_ids
from limner.service import policy
from limner.service.caller import Caller
from limner.service.catalogue import Catalogue
from limner.service.drafts import TaskDraft, checked
from limner.service.events import Completed, Event, Finished, Queued
from limner.service.ports import Order
from limner.service.run import LEASE, Run, StoredInput, Stores, ended

log = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
_REAP_BATCH = 100


class TaskRunner:
    """The task calls. Holds at most ``max_in_flight`` runs; more are refused before anything is done."""

    def __init__(self, catalogue: Catalogue, stores: Stores, *, worker_id: str, max_in_flight: int) -> None:
        self._catalogue = catalogue
        self._stores = stores
        self._worker_id = worker_id
        self._max_in_flight = max_in_flight
        self._runs: dict[str, Run] = {}
        self._starting = 0
        self._draining = False

    async def run(self, caller: Caller, workspace_id: str, draft: TaskDraft) -> Generation:
        """Do the task and return its generation with images; raise why when none could be made."""
        run = await self._start(caller, workspace_id, draft)
        return await run.wait()

    async def events(self, caller: Caller, workspace_id: str, draft: TaskDraft) -> AsyncIterator[Event]:
        """Do the task and yield what happens; a failure is raised after its ``Completed``."""
        run = await self._start(caller, workspace_id, draft)
        watch = run.watch()
        run.join()
        try:
            await run.accepted()
            yield Queued(run.generation.id)
            async for event in watch:
                yield event
        finally:
            run.unwatch(watch)
            run.leave()
        for image in run.generation.images:
            yield Finished(image)
        if run.generation.state is not GenerationState.RUNNING:
            yield Completed(run.generation)
        if run.error is not None:
            raise run.error

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
        run = self._runs.get(generation_id)
        if run is not None:
            run.cancel(GenerationCancelledError())
            await asyncio.wait([run.task])
        elif generation.state is GenerationState.RUNNING:
            # Another worker runs it: its images will find no running row to be shown by.
            await self._end(generation, GenerationCancelledError())
        return await self.generation(workspace_id, generation_id)

    async def drain(self, timeout_s: float) -> None:
        """Refuse new work, wait for the running work, and interrupt what is not done in time."""
        self._draining = True
        tasks = [run.task for run in self._runs.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        for run in tuple(self._runs.values()):
            run.cancel(InterruptedTaskError())
        if rest := [run.task for run in self._runs.values()]:
            await asyncio.wait(rest, timeout=timeout_s)

    async def keep_leases(self) -> None:
        """Tell again and again that this worker lives, and end what dead workers left behind. Never returns."""
        while True:
            try:
                now = self._stores.clock()
                if self._runs:
                    await self._stores.repository.renew_leases(self._worker_id, now + LEASE)
                await self._reap()
            except LimnerError as error:
                log.warning("leases are not kept", extra={"reason": error.reason})
            await asyncio.sleep(HEARTBEAT_S)

    async def _start(self, caller: Caller, workspace_id: str, draft: TaskDraft) -> Run:
        task, model = checked(draft, self._catalogue)
        if why := model.unready_reason():
            raise ProviderMisconfiguredError(f"{task.model_id} is not ready: {why}")
        self._admit()
        self._starting += 1
        try:
            inputs = await self._inputs(caller, workspace_id, task)
        finally:
            self._starting -= 1
        generation = self._new_generation(caller, workspace_id, task)
        order = Order(
            task=task,
            seed=task.seed if task.seed is not None else secrets.randbelow(MAX_SEED + 1),
            inputs=tuple(StoredInput(image, self._stores.blobs) for image in inputs),
        )
        return self._launch(Run(replace(generation, inputs=inputs), order, model, self._stores, self._worker_id))

    def _launch(self, run: Run) -> Run:
        generation_id = run.generation.id
        self._runs[generation_id] = run
        run.start()
        run.task.add_done_callback(lambda _: self._runs.pop(generation_id, None))
        return run

    def _admit(self) -> None:
        if self._draining:
            raise InterruptedTaskError("The service is shutting down. Try again.")
        if len(self._runs) + self._starting >= self._max_in_flight:
            raise OverloadedError

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

    async def _reap(self) -> None:
        now = self._stores.clock()
        for generation in await self._stores.repository.lapsed_generations(now, _REAP_BATCH):
            log.warning("a worker died at work", extra={"generation_id": generation.id})
            await self._end(generation, InterruptedTaskError())

    async def _end(self, generation: Generation, error: LimnerError) -> None:
        await self._stores.repository.finish_generation(ended(generation, error, self._stores.clock()), cost_micros=0)
