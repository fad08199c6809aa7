"""What every repository keeps to about webhook deliveries, on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limner.domain.identifiers import new_id
from limner.domain.task import Failure, Generation, GenerationState, Operation
from limner.persistence.repository import SqlRepository
from limner.service.ports import Delivery
from tests.real_parts.databases import migrated
from tests.starts import start_of

NOW = datetime(2026, 11, 23, 12, 30, 15, 123456, tzinfo=UTC)
LEASE = NOW + timedelta(minutes=1)
LATER = NOW + timedelta(hours=1)
ACME, OTHER = "acme", "other"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return migrated(request.param, tmp_path)


@pytest.fixture
async def repository(url: str) -> AsyncIterator[SqlRepository]:
    repository = SqlRepository(url)
    yield repository
    await repository.close()


@pytest.fixture
async def replica(url: str) -> AsyncIterator[SqlRepository]:
    """Another process's way to the same database."""
    replica = SqlRepository(url)
    yield replica
    await replica.close()


async def ended(
    repository: SqlRepository, workspace_id: str = ACME, *, at: datetime = NOW, notify: bool = True
) -> Generation:
    """Keep a generation that failed."""
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
    await repository.start_generation(start_of(generation, "worker", LEASE))
    failure = Failure(reason="PROVIDER_UNAVAILABLE", message="No.")
    generation = replace(generation, state=GenerationState.FAILED, failure=failure, updated_at=at)
    assert await repository.finish_generation(generation, 0, notify=notify)
    return generation


async def leased(repository: SqlRepository, now: datetime = NOW, until: datetime = LEASE) -> tuple[Delivery, ...]:
    return await repository.lease_deliveries(ACME, now, until, 100)


async def test_the_end_of_a_generation_is_due_at_once(repository: SqlRepository) -> None:
    generation = await ended(repository)
    assert await repository.workspaces_to_notify(NOW) == (ACME,)
    (delivery,) = await leased(repository)
    assert (delivery.workspace_id, delivery.generation_id, delivery.attempts) == (ACME, generation.id, 0)


async def test_nothing_is_due_that_nobody_wants_to_be_told_of(repository: SqlRepository) -> None:
    await ended(repository, notify=False)
    await ended(repository, at=LATER)
    assert await repository.workspaces_to_notify(NOW) == ()
    assert await leased(repository) == ()


async def test_each_workspace_with_something_due_is_told_once(repository: SqlRepository) -> None:
    for workspace_id in (ACME, OTHER, ACME):
        await ended(repository, workspace_id)
    assert sorted(await repository.workspaces_to_notify(NOW)) == [ACME, OTHER]
    assert len(await leased(repository)) == 2
    assert await repository.workspaces_to_notify(NOW) == (OTHER,)


async def test_the_longest_due_come_first_and_no_more_than_asked_for(repository: SqlRepository) -> None:
    late = await ended(repository, at=NOW + timedelta(seconds=2))
    early = await ended(repository, at=NOW)
    first = await repository.lease_deliveries(ACME, LATER, LATER + timedelta(minutes=1), 1)
    second = await repository.lease_deliveries(ACME, LATER, LATER + timedelta(minutes=1), 1)
    assert [each.generation_id for each in (*first, *second)] == [early.id, late.id]


async def test_a_leased_delivery_is_due_again_when_the_lease_ends(repository: SqlRepository) -> None:
    await ended(repository)
    (delivery,) = await leased(repository)
    assert await leased(repository) == ()
    assert await leased(repository, LEASE - timedelta(microseconds=1)) == ()
    assert await leased(repository, LEASE, LATER) == (delivery,)


async def test_no_two_workers_get_the_same_delivery(repository: SqlRepository, replica: SqlRepository) -> None:
    generations = {(await ended(repository)).id for _ in range(40)}
    rounds = [where.lease_deliveries(ACME, NOW, LEASE, 3) for _ in range(20) for where in (repository, replica)]
    taken = [delivery.generation_id for batch in await asyncio.gather(*rounds) for delivery in batch]
    assert len(taken) == len(set(taken))
    # What was locked when somebody looked is there for who looks next.
    taken += [delivery.generation_id for delivery in await leased(repository)]
    assert sorted(taken) == sorted(generations)


async def test_a_delivery_that_ended_is_never_due_again(repository: SqlRepository) -> None:
    await ended(repository)
    (delivery,) = await leased(repository)
    await repository.end_delivery(delivery.id)
    assert await repository.workspaces_to_notify(LATER) == ()
    assert await leased(repository, LATER) == ()


async def test_a_failed_attempt_counts_and_puts_the_delivery_off(repository: SqlRepository) -> None:
    await ended(repository)
    (delivery,) = await leased(repository)
    await repository.postpone_delivery(delivery, LATER)
    assert await leased(repository, LATER - timedelta(microseconds=1)) == ()
    (again,) = await leased(repository, LATER, LATER)
    assert again == replace(delivery, attempts=1)


async def test_a_worker_that_lost_its_lease_neither_revives_nor_counts(
    repository: SqlRepository, replica: SqlRepository
) -> None:
    for _ in range(2):
        await ended(repository)
    slow = await leased(repository)
    first, second = await leased(replica, LEASE, LATER)
    await replica.end_delivery(first.id)
    await replica.postpone_delivery(second, LATER)
    for each in slow:
        await repository.postpone_delivery(each, NOW)
    assert await leased(repository, LATER, LATER) == (replace(second, attempts=1),)


async def test_many_are_settled_at_once(repository: SqlRepository) -> None:
    for _ in range(30):
        await ended(repository)
    deliveries = await leased(repository)
    settled = [
        repository.end_delivery(each.id) if number % 2 else repository.postpone_delivery(each, LATER)
        for number, each in enumerate(deliveries)
    ]
    await asyncio.gather(*settled)
    assert {each.id for each in await leased(repository, LATER, LATER)} == {each.id for each in deliveries[::2]}
