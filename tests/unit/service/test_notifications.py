"""Deliveries are made at least once, patiently, and none at the cost of another's receiver."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limner.domain.errors import DatabaseUnavailableError
from limner.domain.identifiers import new_id
from limner.domain.task import Failure, Generation, GenerationState, Operation
from limner.persistence.repository import SqlRepository
from limner.service.notifications import (
    AT_ONCE,
    AT_ONCE_PER_WORKSPACE,
    JITTER,
    LEASE,
    RETRY_DELAYS,
    Notifier,
)
from limner.service.ports import Delivery, DeliveryError, ReceiverGoneError
from tests.real_parts.databases import migrated_sqlite
from tests.starts import start_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FOREVER = timedelta(days=365)


@dataclass
class Sender:
    """Receivers that do what a test tells them; ``attempts`` are those that began."""

    workspaces: frozenset[str] = frozenset({"acme"})
    receive: Callable[[Delivery], Awaitable[None]] | None = None
    attempts: list[Delivery] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    under_way: Counter[str] = field(default_factory=Counter)
    most_under_way: Counter[str] = field(default_factory=Counter)

    async def send(self, delivery: Delivery, generation: Generation) -> None:
        assert delivery.generation_id == generation.id
        assert generation.state is GenerationState.FAILED
        self.attempts.append(delivery)
        self.under_way[delivery.workspace_id] += 1
        self.most_under_way |= self.under_way
        self.most_under_way["all of them"] = max(self.most_under_way["all of them"], self.under_way.total())
        try:
            if self.receive:
                await self.receive(delivery)
        finally:
            self.under_way[delivery.workspace_id] -= 1
        self.taken.append(delivery.generation_id)

    async def close(self) -> None:
        pass


class FlakyRepository(SqlRepository):
    """Is down for the next looks, or the next ends of deliveries."""

    failing_looks = 0
    failing_ends = 0

    async def workspaces_to_notify(self, now: datetime) -> tuple[str, ...]:
        if self.failing_looks > 0:
            self.failing_looks -= 1
            raise DatabaseUnavailableError
        return await super().workspaces_to_notify(now)

    async def end_delivery(self, delivery_id: str) -> None:
        if self.failing_ends > 0:
            self.failing_ends -= 1
            raise DatabaseUnavailableError
        await super().end_delivery(delivery_id)


@dataclass
class Post:
    """The notifier of a worker, its database, and a clock that a test moves."""

    repository: FlakyRepository
    sender: Sender = field(default_factory=Sender)
    now: datetime = NOW

    @asynccontextmanager
    async def working(self, *, sender: Sender | None = None, jitter: float = 0.5) -> AsyncIterator[None]:
        notifier = Notifier(
            self.repository,
            sender or self.sender,
            lambda: self.now,
            jitter=lambda: jitter,
            look_interval_s=0.01,
        )
        task = asyncio.create_task(notifier.keep_notifying())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    async def ended(self, workspace_id: str = "acme") -> str:
        """Keep a generation that failed, and return its id."""
        generation = Generation(
            id=new_id(),
            workspace_id=workspace_id,
            created_by_user_id="user",
            operation=Operation.GENERATE,
            model="sketch",
            prompt="a fox",
            requested_images=1,
            created_at=NOW,
            updated_at=NOW,
        )
        await self.repository.start_generation(start_of(generation, "worker", NOW))
        failure = Failure(reason="PROVIDER_UNAVAILABLE", message="No.")
        failed = replace(generation, state=GenerationState.FAILED, failure=failure)
        assert await self.repository.finish_generation(failed, 0, notify=True)
        return generation.id

    async def due_at(self, moment: datetime) -> bool:
        return bool(await self.repository.workspaces_to_notify(moment))

    async def settled(self) -> None:
        """Return when nothing is due and no attempt is under way."""
        await until(lambda: self.sender.under_way.total() == 0)
        while await self.due_at(self.now):  # noqa: ASYNC110  only the database knows
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.03)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110  any condition
            await asyncio.sleep(0.005)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    url = migrated_sqlite(tmp_path)
    repository = FlakyRepository(url)
    yield Post(repository)
    await repository.close()


async def fails(delivery: Delivery) -> None:
    raise DeliveryError("no")


async def test_what_ended_is_told_once(post: Post) -> None:
    ids = [await post.ended() for _ in range(10)]
    async with post.working():
        await until(lambda: len(post.sender.taken) == 10)
        await post.settled()
    assert sorted(post.sender.taken) == sorted(ids)
    assert not await post.due_at(NOW + FOREVER)


async def test_what_ends_later_is_told_soon(post: Post) -> None:
    async with post.working():
        await asyncio.sleep(0.05)
        generation_id = await post.ended()
        await until(lambda: post.sender.taken == [generation_id])


async def test_what_nobody_receives_waits(post: Post) -> None:
    await post.ended("nobody's")
    async with post.working():
        await asyncio.sleep(0.1)
    assert post.sender.attempts == []
    assert await post.repository.workspaces_to_notify(NOW) == ("nobody's",)


async def test_a_failed_delivery_is_tried_again_by_the_schedule_and_then_given_up(post: Post) -> None:
    await post.ended()
    post.sender.receive = fails
    async with post.working():
        for attempts, delay in enumerate(RETRY_DELAYS, 1):
            await until(lambda attempts=attempts: len(post.sender.attempts) == attempts)  # type: ignore[misc]
            await post.settled()
            assert not await post.due_at(post.now + delay - timedelta(seconds=1))
            post.now += delay
        await until(lambda: len(post.sender.attempts) == len(RETRY_DELAYS) + 1)
        await post.settled()
    assert [each.attempts for each in post.sender.attempts] == list(range(len(RETRY_DELAYS) + 1))
    assert len({each.id for each in post.sender.attempts}) == 1
    assert not await post.due_at(NOW + FOREVER)


def test_the_schedule_spans_three_days() -> None:
    assert timedelta(days=3) < sum(RETRY_DELAYS, timedelta()) < timedelta(days=3, hours=6)


@pytest.mark.parametrize(("jitter", "part"), [(0.0, 1 - JITTER), (1.0, 1 + JITTER)])
async def test_chance_moves_a_retry_a_little(post: Post, jitter: float, part: float) -> None:
    await post.ended()
    post.sender.receive = fails
    async with post.working(jitter=jitter):
        await until(lambda: len(post.sender.attempts) == 1)
        await post.settled()
    due = NOW + RETRY_DELAYS[0] * part
    assert not await post.due_at(due - timedelta(microseconds=1))
    assert await post.due_at(due)


@pytest.mark.parametrize(
    ("wish_s", "delay"),
    [(1, RETRY_DELAYS[0]), (600, timedelta(minutes=10)), (10**9, timedelta(hours=24))],
)
async def test_a_receiver_gets_the_time_that_it_asks_for(post: Post, wish_s: float, delay: timedelta) -> None:
    async def busy(delivery: Delivery) -> None:
        raise DeliveryError("busy", retry_after_s=wish_s)

    await post.ended()
    post.sender.receive = busy
    async with post.working():
        await until(lambda: len(post.sender.attempts) == 1)
        await post.settled()
    assert not await post.due_at(NOW + delay - timedelta(microseconds=1))
    assert await post.due_at(NOW + delay)


async def test_a_receiver_that_is_gone_is_not_asked_again(post: Post) -> None:
    async def gone(delivery: Delivery) -> None:
        raise ReceiverGoneError("gone")

    await post.ended()
    post.sender.receive = gone
    async with post.working():
        await until(lambda: len(post.sender.attempts) == 1)
        await post.settled()
    assert not await post.due_at(NOW + FOREVER)


async def test_a_bug_counts_as_a_failure_and_stops_nothing(post: Post) -> None:
    async def breaks(delivery: Delivery) -> None:
        raise ZeroDivisionError

    await post.ended()
    post.sender.receive = breaks
    async with post.working():
        await until(lambda: len(post.sender.attempts) == 1)
        await post.settled()
        post.sender.receive = None
        post.now += RETRY_DELAYS[0]
        await until(lambda: len(post.sender.taken) == 1)


async def test_a_slow_receiver_holds_nobody_up(post: Post) -> None:
    stuck = asyncio.Event()

    async def receive(delivery: Delivery) -> None:
        if delivery.workspace_id == "slow":
            await stuck.wait()

    post.sender = Sender(frozenset({"slow", "quick"}), receive)
    for _ in range(20):
        await post.ended("slow")
    async with post.working():
        await until(lambda: post.sender.under_way["slow"] == AT_ONCE_PER_WORKSPACE)
        quick = [await post.ended("quick") for _ in range(20)]
        await until(lambda: len(post.sender.taken) == 20)
        assert sorted(post.sender.taken) == sorted(quick)
        stuck.set()
        await until(lambda: len(post.sender.taken) == 40)
    assert post.sender.most_under_way["slow"] == AT_ONCE_PER_WORKSPACE


async def test_not_more_is_under_way_than_a_worker_can_bear(post: Post) -> None:
    stuck = asyncio.Event()

    async def receive(delivery: Delivery) -> None:
        await stuck.wait()

    workspaces = [f"workspace-{number}" for number in range(AT_ONCE // AT_ONCE_PER_WORKSPACE + 5)]
    post.sender = Sender(frozenset(workspaces), receive)
    count = len(workspaces) * AT_ONCE_PER_WORKSPACE
    await asyncio.gather(*(post.ended(each) for each in workspaces for _ in range(AT_ONCE_PER_WORKSPACE)))
    async with post.working():
        await until(lambda: post.sender.under_way.total() == AT_ONCE)
        await asyncio.sleep(0.05)
        stuck.set()
        await until(lambda: len(post.sender.taken) == count)
    assert post.sender.most_under_way["all of them"] == AT_ONCE


async def test_two_workers_tell_each_end_once(post: Post) -> None:
    other = Sender()
    ids = [await post.ended() for _ in range(50)]
    async with post.working(), post.working(sender=other):
        await until(lambda: len(post.sender.taken) + len(other.taken) >= 50)
        await post.settled()
    assert sorted(post.sender.taken + other.taken) == sorted(ids)


async def test_a_worker_that_died_leaves_its_deliveries_to_others(post: Post) -> None:
    dead = Sender(receive=lambda _: asyncio.sleep(60))
    generation_id = await post.ended()
    async with post.working(sender=dead):
        await until(lambda: len(dead.attempts) == 1)
    async with post.working():
        await asyncio.sleep(0.05)
        assert post.sender.attempts == []
        post.now += LEASE
        await until(lambda: post.sender.taken == [generation_id])
    assert post.sender.attempts[0].attempts == 0  # it counts as no failure of the receiver's


async def test_a_database_that_is_down_is_waited_for(post: Post) -> None:
    post.repository.failing_looks = 3
    generation_id = await post.ended()
    async with post.working():
        await until(lambda: post.sender.taken == [generation_id])


async def test_an_end_that_could_not_be_kept_is_told_again(post: Post) -> None:
    post.repository.failing_ends = 1
    generation_id = await post.ended()
    async with post.working():
        await until(lambda: post.sender.taken == [generation_id])
        await asyncio.sleep(0.05)
        post.now += LEASE
        await until(lambda: post.sender.taken == [generation_id] * 2)
        await post.settled()
    assert len({each.id for each in post.sender.attempts}) == 1
    assert not await post.due_at(NOW + FOREVER)
