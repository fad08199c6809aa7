"""Every order in which things may happen, tried on the real service: a model checker without a model.

The workers are real ``TaskRunner``s, and what they keep goes through the real statements into SQLite. Each call of a
port whose moment matters stops at a gate; a schedule says which call goes on next, how it ends, who dies and whose
lease lapses. Schedules are tried depth first; one that comes to a state that was seen before is not followed further.
"""

import asyncio
import contextlib
import selectors
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from limner.domain.errors import (
    ContentRejectedError,
    LimnerError,
    Outcome,
    ProviderUnavailableError,
    StorageUnavailableError,
)
from limner.domain.image import OutputFormat
from limner.domain.task import Generation, GenerationState, Operation
from limner.persistence import reads, writes
from limner.persistence.tables import metadata
from limner.service.caller import Caller, Role
from limner.service.catalogue import Catalogue
from limner.service.drafts import TaskDraft
from limner.service.ports import (
    BlobExistsError,
    BlobNotFoundError,
    Claim,
    Job,
    KnownSubmission,
    MadePicture,
    Order,
    PictureInfo,
    ReadyPicture,
    Start,
    Started,
    Unfinished,
)
from limner.service.stores import Stores
from limner.service.tasks import Asked, Rules, TaskRunner
from tests.purchase.billed import capabilities

Action: TypeAlias = tuple[str, ...]
WORKSPACE = "acme"
ADA = Caller(user_id="ada", workspaces={WORKSPACE: Role.MEMBER})
_EPOCH = datetime(2026, 11, 23, tzinfo=UTC)
_LAPSED = _EPOCH - timedelta(days=1)
_LONGEST = 200
"""Steps that end a schedule in any case."""


@dataclass(frozen=True)
class Scope:
    """What may happen in the schedules of one exploration, and how often."""

    resumable: bool = False
    pictures: int = 1
    calls: int = 1
    crashes: int = 0
    takeovers: int = 0
    cancels: int = 0
    hang_ups: int = 0
    outages: int = 0
    outcomes: tuple[str, ...] = ("sold",)
    """How the provider may answer: ``sold``, ``refused``, ``dropped``."""
    shared_disk: bool = True
    """Whether the workers share a spool."""


class _Nothing(selectors.SelectSelector):
    """Never waits: time passes at once."""

    def select(self, timeout: float | None = None) -> list[Any]:
        return []


class InstantLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still until it is set forward."""

    def __init__(self) -> None:
        super().__init__(_Nothing())
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Run what can run now."""
        while self._ready:  # type: ignore[attr-defined]
            self.call_soon(self.stop)
            self.run_forever()

    def skip(self) -> bool:
        """Set the clock to the next moment that something waits for; tell whether there is one."""
        timers = [timer for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        if timers:
            self.now = min(timer.when() for timer in timers)
            self.call_soon(self.stop)
            self.run_forever()
        return bool(timers)


@dataclass
class Gate:
    """A call of a port that waits for its turn."""

    worker: str
    label: str
    outcomes: tuple[str, ...]
    turn: "asyncio.Future[str]"


@dataclass
class Worker:
    """A process: its runner, and whether it still lives."""

    name: str
    runner: TaskRunner
    spool: dict[str, bytes]
    dead: bool = False
    tasks: list["asyncio.Task[Any]"] = field(default_factory=list)


class Broken(AssertionError):  # noqa: N818 - what it names is the promise
    """A promise was broken; the schedule says how."""


class World:
    """Two workers, a database, a store, a provider and its callers."""

    def __init__(self, scope: Scope, connection: Connection, parts: "Parts") -> None:
        self.scope = scope
        self.loop = InstantLoop()
        self.connection = connection
        self.gates: list[Gate] = []
        self.late: list[tuple[str, Callable[[], None]]] = []
        """Writes whose callers gave up on them: they may still happen."""
        self.blobs: dict[str, bytes] = {}
        self.sold: Counter[int] = Counter()
        self.jobs: dict[str, tuple[int, ...]] = {}
        self.answers: list[Generation | LimnerError | str] = []
        self.calls: list[tuple[str, asyncio.Task[Any]]] = []
        self.used: Counter[str] = Counter()
        self.over = False
        self._parts = parts
        self._spools: list[dict[str, bytes]] = []
        self.workers: dict[str, Worker] = {}
        for name in ("A", "B"):
            self.start_worker(name)

    # What may happen.

    def actions(self) -> list[Action]:
        """All that may happen next, the usual first."""
        found: list[Action] = [
            ("go", gate.worker, gate.label, outcome) for gate in self.live_gates() for outcome in self._outcomes(gate)
        ]
        found += [("late", label) for label, _ in self.late]
        alive = [worker.name for worker in self.workers.values() if not worker.dead]
        if self.used["call"] < self.scope.calls:
            found += [("call", name) for name in (alive if self.used["call"] else alive[:1])]
        if self.used["call"]:
            found += [("crash", name) for name in alive[:1] if self.used["crash"] < self.scope.crashes]
            found += [("takeover", name) for name in alive if self.used["takeover"] < self.scope.takeovers]
            found += [("cancel", name) for name in alive if self.used["cancel"] < self.scope.cancels]
        if self.used["hang-up"] < self.scope.hang_ups:
            found += [("hang-up", str(number)) for number, (_, call) in enumerate(self.calls) if not call.done()]
        return found

    def do(self, action: Action) -> None:
        """Let it happen, and run until everybody waits."""
        kind, *details = action
        getattr(self, f"_do_{kind.replace('-', '_')}")(*details)
        if kind != "go":
            self.used[kind] += 1
        self.settle()
        self.check()

    def settle(self) -> None:
        self.loop.settle()
        for _ in range(40):
            if self.live_gates() or not self.loop.skip():
                break
            self.loop.settle()

    def live_gates(self) -> list[Gate]:
        return [gate for gate in self.gates if not gate.turn.done() and not self.workers[gate.worker].dead]

    def _outcomes(self, gate: Gate) -> Sequence[str]:
        if "down" in gate.outcomes and self.used["outage"] >= self.scope.outages:
            return [each for each in gate.outcomes if each != "down"]
        return gate.outcomes

    def _do_go(self, worker: str, label: str, outcome: str) -> None:
        gate = next(each for each in self.live_gates() if (each.worker, each.label) == (worker, label))
        self.used["outage"] += outcome == "down"
        gate.turn.set_result(outcome)

    def _do_late(self, label: str) -> None:
        number = [each for each, _ in self.late].index(label)
        _, write = self.late.pop(number)
        write()

    def _do_call(self, name: str) -> None:
        asked = Asked(
            caller=ADA,
            workspace_id=WORKSPACE,
            draft=TaskDraft(operation=Operation.GENERATE, prompt="a fox", num_images=self.scope.pictures),
            claim=Claim(key="key", fingerprint="same"),
        )
        self.calls.append((name, self._spawn(name, self._answered(self.workers[name].runner.run(asked)))))

    def _do_crash(self, name: str) -> None:
        """The process is gone, and another one takes its place on the same machine."""
        self.workers[name].dead = True
        self.start_worker(f"{name}'", self.workers[name].spool)

    def _do_takeover(self, name: str) -> None:
        """Leases lapse, whoever holds them, and a worker looks for them."""
        self.connection.exec_driver_sql("UPDATE generations SET lease_until = ?", (_LAPSED.isoformat(" "),))
        self._spawn(name, self.workers[name].runner._beat())

    def _do_cancel(self, name: str) -> None:
        (generation_id,) = self.connection.exec_driver_sql("SELECT id FROM generations LIMIT 1").scalars().all() or [""]
        self._spawn(name, self.workers[name].runner.cancel(ADA, WORKSPACE, generation_id))

    def _do_hang_up(self, number: str) -> None:
        self.calls[int(number)][1].cancel()

    def _spawn(self, name: str, work: Any) -> "asyncio.Task[Any]":
        async def quietly() -> Any:
            with contextlib.suppress(LimnerError):
                return await work

        task = self.loop.create_task(quietly())
        self.workers[name].tasks.append(task)
        return task

    async def _answered(self, call: Awaitable[Generation]) -> None:
        try:
            self.answers.append(await call)
        except LimnerError as error:
            self.answers.append(error)

    # What must hold.

    def check(self) -> None:
        """Look at what must hold at any time."""
        twice = [index for index, count in self.sold.items() if count > 1]
        if twice:
            raise Broken(f"bought twice: {twice}")
        shown = set(self.connection.exec_driver_sql("SELECT id FROM images").scalars())
        if shown - self.blobs.keys():
            raise Broken("a row without bytes")
        for answer in self.answers:
            if isinstance(answer, Generation) and {image.id for image in answer.images} - shown:
                raise Broken("an answer without rows")
        if len({answer.id for answer in self.answers if isinstance(answer, Generation)}) > 1:
            raise Broken("two answers to one key")

    def finish(self) -> None:
        """Let all end without further trouble, and look at what must hold then."""
        for _ in range(_LONGEST):
            if gates := self.live_gates():
                self.do(("go", gates[0].worker, gates[0].label, gates[0].outcomes[0]))
            elif self._running():
                heir = next(worker for worker in reversed(self.workers.values()) if not worker.dead)
                self.do(("takeover", heir.name))
            else:
                break
        self.check()
        states = Counter(self.connection.exec_driver_sql("SELECT state FROM generations").scalars())
        if states[GenerationState.RUNNING]:
            raise Broken("nobody ends it")
        shown = self.connection.exec_driver_sql("SELECT count(*) FROM images").scalar()
        sold = sum(self.sold.values())
        excused = states[GenerationState.UNKNOWN] or (states[GenerationState.CANCELLED] and self.used["cancel"])
        if sold and not shown and not excused:
            raise Broken(f"paid and lost: {dict(states)}")
        # With a worker that only seemed dead the id may come after the doubt.
        surely_dead = not self.scope.takeovers
        if states[GenerationState.UNKNOWN] and self.scope.resumable and surely_dead and not self._doubts():
            raise Broken("known and given up")

    def _doubts(self) -> int:
        """How many purchases the provider knows no id of."""
        query = "SELECT count(*) FROM submissions WHERE NOT void AND provider_job_id IS NULL"
        return int(self.connection.exec_driver_sql(query).scalar() or 0)

    def _running(self) -> bool:
        query = "SELECT count(*) FROM generations WHERE state = 'running'"
        return bool(self.connection.exec_driver_sql(query).scalar())

    def state(self) -> object:
        """What tells two states apart: all that is kept, and where everybody stands."""
        rows = [
            tuple(map(tuple, self.connection.exec_driver_sql(f"SELECT {columns} FROM {table} ORDER BY rowid")))
            for table, columns in (
                ("generations", "state, worker_id, lease_until < '2026', cancel_requested"),
                ("submissions", "number, void, provider_job_id"),
                ("idempotency_keys", "generation_id"),
                ("images", "position"),
            )
        ]
        names = self._names()
        return (
            _named(tuple(rows), names),
            tuple(sorted(names.get(key, key) for key in self.blobs)),
            tuple(tuple(sorted(names.get(key, key) for key in spool)) for spool in self._spools),
            tuple(sorted(self.sold.items())),
            tuple(sorted((+self.used).items())),
            tuple(sorted((gate.worker, gate.label) for gate in self.live_gates())),
            tuple(sorted(label for label, _ in self.late)),
            tuple(type(answer).__name__ for answer in self.answers),
            tuple(call.done() for _, call in self.calls),
            tuple(_stand(worker) for worker in self.workers.values() if not worker.dead),
        )

    def _names(self) -> dict[str, str]:
        names = {}
        rows = self.connection.exec_driver_sql("SELECT id, planned_image_ids FROM generations ORDER BY rowid")
        for number, (generation_id, planned) in enumerate(rows):
            names[generation_id] = f"g{number}"
            ids = planned.strip("[]").replace('"', "").split(", ")
            names |= {image_id: f"g{number}i{index}" for index, image_id in enumerate(ids)}
        return names

    # Its parts.

    def start_worker(self, name: str, spool: dict[str, bytes] | None = None) -> None:
        if spool is None:
            spool = self._spools[0] if self._spools and self.scope.shared_disk else {}
        if not any(each is spool for each in self._spools):
            self._spools.append(spool)
        stores = Stores(
            repository=self._parts.repository(self, name),  # type: ignore[arg-type]
            blobs=self._parts.blobs(self, name),  # type: ignore[arg-type]
            spool=self._parts.spool(self, name, spool),
            codec=TrustingCodec(),
            clock=lambda: _EPOCH,
        )
        model = ResumableSeller(self, name) if self.scope.resumable else Seller(self, name)
        catalogue = Catalogue([model], {Operation.GENERATE: "seller"})
        runner = TaskRunner(catalogue, stores, Rules(), worker_id=name)
        self.workers[name] = Worker(name, runner, spool)

    async def gate(self, worker: str, label: str, *outcomes: str, late: Callable[[], None] | None = None) -> str:
        """Wait until the schedule lets the call go on, and return how it ends."""
        if self.over:
            raise asyncio.CancelledError
        same = sum(each.label.startswith(label) and each.worker == worker for each in self.live_gates())
        gate = Gate(worker, f"{label}#{same}", outcomes or ("ok",), self.loop.create_future())
        self.gates.append(gate)
        try:
            return await gate.turn
        except asyncio.CancelledError:
            if late is not None and not self.over:
                self.late.append((f"{worker} {label}", late))
            raise
        finally:
            self.gates.remove(gate)

    def close(self) -> None:
        """End all that still waits."""
        self.over = True
        asyncio.set_event_loop(self.loop)
        for _ in range(50):
            tasks = asyncio.all_tasks(self.loop)
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            self.loop.settle()
        asyncio.set_event_loop(None)
        self.loop.close()


def _named(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    return tuple(_named(each, names) for each in value) if isinstance(value, tuple | list) else value


def _stand(worker: Worker) -> object:
    """Where the runs of a worker stand, beside what waits at gates."""
    return worker.name, tuple(
        (
            run._waiters,
            run._superseded,
            type(run._cancel_error).__name__,
            type(run.error).__name__,
            run._answerable.is_set(),
            len(run._purchases),
            tuple(sorted(run._pictures._images)),
            tuple(sorted(run._pictures._undelivered)),
            tuple(sorted(run._pictures._missing)),
        )
        for run in worker.runner._runs.values()
    )


class GatedRepository:
    """A worker's way to the database: the real statements, each when the schedule says so."""

    def __init__(self, world: World, worker: str) -> None:
        self._world = world
        self._worker = worker

    async def start_generation(self, start: Start) -> Started:
        started: Started = await self._write(writes.start_generations, start)
        return started

    async def add_submission(
        self, generation_id: str, worker_id: str, number: int, indexes: Sequence[int], model_id: str
    ) -> None:
        await self._write(writes.add_submissions, writes.Purchase(generation_id, worker_id, number, indexes, model_id))

    async def accept_submission(self, generation_id: str, number: int, provider_job_id: str) -> None:
        await self._write(writes.accept_submissions, (generation_id, number, provider_job_id))

    async def void_submission(self, generation_id: str, number: int) -> None:
        await self._write(writes.void_submissions, (generation_id, number))

    async def finish_generation(
        self, generation: Generation, cost_micros: int, *, worker_id: str = "", notify: bool = False
    ) -> bool:
        finish = writes.Finish(generation, cost_micros, worker_id, notify)
        ended: bool = await self._write(writes.finish_generations, finish)
        return ended

    async def request_cancel(self, workspace_id: str, generation_id: str) -> None:
        await self._write(writes.request_cancels, (workspace_id, generation_id))

    async def renew_leases(self, worker_id: str, generation_ids: Sequence[str], lease_until: datetime) -> None:
        pass  # a schedule says whose leases lapse

    async def take_over(
        self, worker_id: str, now: datetime, lease_until: datetime, limit: int
    ) -> tuple[Unfinished, ...]:
        taker = writes.TakeOver(worker_id, now, lease_until, limit)
        taken: tuple[Unfinished, ...] = await self._write(writes.take_over, taker)
        return taken

    async def forget_keys(self, before: datetime) -> None:
        pass

    async def unknown_outcomes(self, image_ids: Sequence[str]) -> tuple[Unfinished, ...]:
        return reads.unknown_outcomes(self._world.connection, image_ids)

    async def unknown_images(self, image_ids: Sequence[str]) -> tuple[str, ...]:
        return reads.unknown_images(self._world.connection, image_ids)

    async def generation(self, workspace_id: str, generation_id: str) -> Generation | None:
        await self._world.gate(self._worker, "generation")
        return reads.generation(self._world.connection, workspace_id, generation_id)

    async def _write(self, write: Any, item: Any) -> Any:
        await self._world.gate(self._worker, write.__name__, late=lambda: write(self._world.connection, [item]))
        (outcome,) = write(self._world.connection, [item])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class GatedBlobs:
    """A worker's way to the store."""

    def __init__(self, world: World, worker: str) -> None:
        self._world = world
        self._worker = worker

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        if await self._world.gate(self._worker, "put", "ok", "down", late=lambda: self._put(key, data)) == "down":
            raise StorageUnavailableError
        self._put(key, data)

    def _put(self, key: str, data: bytes) -> None:
        if self._world.blobs.setdefault(key, data) != data:
            raise BlobExistsError

    async def read(self, key: str) -> bytes:
        if await self._world.gate(self._worker, "read", "ok", "down") == "down":
            raise StorageUnavailableError
        try:
            return self._world.blobs[key]
        except KeyError as error:
            raise BlobNotFoundError from error

    async def delete(self, key: str) -> None:
        await self._world.gate(self._worker, "delete")
        self._world.blobs.pop(key, None)


class GatedSpool:
    """A worker's disk."""

    goes_first = True

    def __init__(self, world: World, worker: str, files: dict[str, bytes]) -> None:
        self._world = world
        self._worker = worker
        self._files = files

    async def keep(self, key: str, data: bytes) -> None:
        await self._world.gate(self._worker, "keep")
        self._files.setdefault(key, data)

    async def read(self, key: str) -> bytes | None:
        return self._files.get(key)

    async def keys(self) -> tuple[str, ...]:
        return tuple(self._files)

    async def discard(self, key: str) -> None:
        self._files.pop(key, None)

    async def set_aside(self, key: str, data: bytes) -> None:
        raise AssertionError("every picture of this model can be shown")

    def require_room(self) -> None:
        pass

    async def close(self) -> None:
        pass


class TrustingCodec:
    """Takes everything for a picture."""

    async def verify(self, data: bytes) -> PictureInfo:
        return PictureInfo(format=OutputFormat.PNG, width=1, height=1)

    async def kept(self, data: bytes, wanted: OutputFormat | None) -> ReadyPicture:
        return ReadyPicture(data, await self.verify(data), made_as=OutputFormat.PNG)

    async def received(self, data: bytes) -> ReadyPicture:
        return await self.kept(data, None)

    async def prepared(self, data: bytes) -> ReadyPicture | None:
        return None

    def close(self) -> None:
        pass


class Seller:
    """A worker's way to the provider: picture by picture, on the line."""

    def __init__(self, world: World, worker: str) -> None:
        self._world = world
        self._worker = worker
        self.capabilities = replace(capabilities("seller"), seeds=True)

    def unready_reason(self) -> str:
        return ""

    async def run(self, order: Order, job: Job) -> None:
        for index in range(order.task.num_images):
            submission = await job.submitting([index])
            outcome = await self._world.gate(
                self._worker,
                "buy",
                *self._world.scope.outcomes,
                late=lambda of=index: self._sell(of),  # type: ignore[misc]
            )
            if outcome == "refused":
                await submission.void()
                raise ProviderUnavailableError(outcome=Outcome.NOT_BOUGHT)
            self._sell(index)
            if outcome == "dropped":
                raise ProviderUnavailableError(outcome=Outcome.UNKNOWN)
            await self._accepted(submission, index)
            await job.made(MadePicture(index=index, data=f"picture {index}".encode()))

    async def _accepted(self, submission: Any, index: int) -> None:
        """Nothing to tell: the picture came with the answer."""

    def _sell(self, index: int) -> None:
        self._world.sold[index] += 1

    async def close(self) -> None:
        pass


class ResumableSeller(Seller):
    """The same by jobs, which the provider knows."""

    async def _accepted(self, submission: Any, index: int) -> None:
        await submission.accepted(f"job {index}")
        await self._world.gate(self._worker, "fetch")

    async def resume(self, order: Order, submissions: Sequence[KnownSubmission], job: Job) -> None:
        for each in submissions:
            (index,) = each.indexes
            if not self._world.sold[index]:
                raise ContentRejectedError
            await self._world.gate(self._worker, "fetch")
            await job.made(MadePicture(index=index, data=f"picture {index}".encode()))

    async def cancel(self, submission: KnownSubmission) -> bool:
        await self._world.gate(self._worker, "withdraw")
        return True


@dataclass
class Explored:
    """What an exploration came to."""

    states: int = 0
    schedules: int = 0
    broken: tuple[str, tuple[Action, ...]] | None = None


@dataclass(frozen=True)
class Parts:
    """What the workers are made of; a test plants its faults here."""

    repository: type[GatedRepository] = GatedRepository
    blobs: type[GatedBlobs] = GatedBlobs
    spool: type[GatedSpool] = GatedSpool


def explore(scope: Scope, parts: Parts | None = None, *, most: int = 100_000) -> Explored:
    """Try all schedules of a scope until a promise breaks."""
    explored, seen = Explored(), set[object]()
    with _database() as connection:
        waiting: list[tuple[Action, ...]] = [()]
        while waiting and explored.schedules < most:
            prefix = waiting.pop()
            explored.schedules += 1
            schedule = prefix
            _clear(connection)
            world = World(scope, connection, parts or Parts())
            try:
                for action in prefix:
                    world.do(action)
                while len(schedule) < _LONGEST:
                    state = hash(world.state())
                    if state in seen:
                        break
                    seen.add(state)
                    actions = world.actions()
                    if not actions:
                        world.finish()
                        break
                    waiting += [(*schedule, each) for each in actions[1:]]
                    schedule = (*schedule, actions[0])
                    world.do(actions[0])
            except Broken as error:
                explored.broken = str(error), schedule
                break
            finally:
                world.close()
    explored.states = len(seen)
    return explored


@contextlib.contextmanager
def _database() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool, isolation_level="AUTOCOMMIT")
    metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _clear(connection: Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())
