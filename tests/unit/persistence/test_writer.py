"""Group commit: what shares a transaction, and what happens when one goes wrong."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, event, insert, select, text
from sqlalchemy.exc import OperationalError

from limner.domain.errors import DatabaseUnavailableError, OverloadedError
from limner.persistence.engine import open_engine
from limner.persistence.writer import GroupCommitWriter
from tests.real_parts.postgres import shared_postgres

metadata = MetaData()
numbers = Table("numbers", metadata, Column("number", Integer, primary_key=True))


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path / 'numbers.db'}", connections=2)
    metadata.create_all(engine)
    return engine


@pytest.fixture
async def writer(engine: Engine) -> AsyncIterator[GroupCommitWriter]:
    writer = GroupCommitWriter(engine, queue_length=100)
    yield writer
    await writer.close()
    engine.dispose()


def add_numbers(connection: Connection, items: Sequence[int]) -> Sequence[int]:
    connection.execute(insert(numbers), [{"number": item} for item in items])
    return [2 * item for item in items]


def add_each(connection: Connection, items: Sequence[Callable[[], int]]) -> Sequence[int]:
    return [add_numbers(connection, [item()])[0] for item in items]


def kept(engine: Engine) -> list[int]:
    with engine.begin() as connection:
        return list(connection.scalars(select(numbers.c.number).order_by(numbers.c.number)))


def count_commits(engine: Engine) -> list[Any]:
    commits: list[Any] = []
    event.listen(engine, "commit", commits.append)
    return commits


def held(release: threading.Event, begun: threading.Event | None = None) -> Callable[[], int]:
    """A first item that keeps the writer busy until others wait behind it. ``begun`` tells that it does."""

    def item() -> int:
        if begun is not None:
            begun.set()
        release.wait(10)
        return 1000

    return item


async def behind_a_held_call(writer: GroupCommitWriter, *calls: tuple[Any, Any]) -> list[Any]:
    release, begun = threading.Event(), threading.Event()
    first = asyncio.create_task(writer.run(add_each, held(release, begun)))
    await asyncio.to_thread(begun.wait, 10)
    waiting = [asyncio.create_task(writer.run(write, item)) for write, item in calls]
    await asyncio.sleep(0)
    release.set()
    await first
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_result_comes_when_it_is_committed(writer: GroupCommitWriter, engine: Engine) -> None:
    assert await writer.run(add_numbers, 7) == 14
    assert kept(engine) == [7]


async def test_calls_that_wait_share_a_transaction(writer: GroupCommitWriter, engine: Engine) -> None:
    commits = count_commits(engine)
    answers = await behind_a_held_call(writer, *((add_numbers, number) for number in range(50)))
    assert answers == [2 * number for number in range(50)]
    assert len(commits) == 2


async def test_one_wrong_call_fails_alone(writer: GroupCommitWriter, engine: Engine) -> None:
    def broken(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        add_numbers(connection, items)
        raise ArithmeticError

    calls = [(add_numbers, 1), (broken, 2), (add_numbers, 3), (add_numbers, 1)]
    answers = await behind_a_held_call(writer, *calls)
    assert answers[0] == 2
    assert isinstance(answers[1], ArithmeticError)
    assert answers[2] == 6
    assert "UNIQUE" in str(answers[3])
    assert kept(engine) == [1, 3, 1000]


async def test_a_refusal_is_raised_and_leaves_the_others(writer: GroupCommitWriter, engine: Engine) -> None:
    def odd_only(connection: Connection, items: Sequence[int]) -> Sequence[int | ValueError]:
        add_numbers(connection, [item for item in items if item % 2])
        return [item if item % 2 else ValueError(item) for item in items]

    commits = count_commits(engine)
    answers = await behind_a_held_call(writer, *((odd_only, number) for number in range(4)))
    assert [type(answer) for answer in answers] == [ValueError, int, ValueError, int]
    assert len(commits) == 2


async def test_a_full_queue_refuses_at_once_and_takes_more_when_there_is_room(engine: Engine) -> None:
    writer = GroupCommitWriter(engine, queue_length=3)
    release = threading.Event()
    tasks = [asyncio.create_task(writer.run(add_each, held(release)))]
    tasks += [asyncio.create_task(writer.run(add_numbers, number)) for number in range(2)]
    await asyncio.sleep(0)  # each of them stands in the queue now
    with pytest.raises(OverloadedError):
        await writer.run(add_numbers, 3)
    release.set()
    await asyncio.gather(*tasks)
    assert await writer.run(add_numbers, 4) == 8
    await writer.close()
    engine.dispose()


async def test_a_call_given_up_while_it_waits_is_not_run(writer: GroupCommitWriter, engine: Engine) -> None:
    release, begun = threading.Event(), threading.Event()
    first = asyncio.create_task(writer.run(add_each, held(release, begun)))
    await asyncio.to_thread(begun.wait, 10)
    second = asyncio.create_task(writer.run(add_numbers, 2))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    release.set()
    await first
    assert await writer.run(add_numbers, 3) == 6
    assert kept(engine) == [3, 1000]


async def test_a_connection_lost_before_the_commit_costs_nothing(writer: GroupCommitWriter, engine: Engine) -> None:
    await writer.run(add_numbers, 1)
    lost = iter([True])

    def flaky(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        add_numbers(connection, items)
        if next(lost, False):
            connection.connection.driver_connection.close()  # type: ignore[union-attr]
            add_numbers(connection, items)
        return items

    assert await writer.run(flaky, 2) == 2
    assert kept(engine) == [1, 2]


async def test_an_unavailable_database_fails_all_that_wait_once(writer: GroupCommitWriter, engine: Engine) -> None:
    tries: list[int] = []

    def unavailable(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        tries.append(len(items))
        raise OperationalError("INSERT", None, Exception("disk full"))

    answers = await behind_a_held_call(writer, *((unavailable, number) for number in range(20)))
    assert {type(answer) for answer in answers} == {DatabaseUnavailableError}
    assert len({id(answer) for answer in answers}) == 20
    assert tries == [20]
    assert await writer.run(add_numbers, 5) == 10


async def test_a_commit_that_failed_is_not_tried_again(writer: GroupCommitWriter, engine: Engine) -> None:
    tries: list[int] = []

    def count(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        tries.extend(items)
        return items

    def lose_connection(connection: Connection) -> None:
        event.remove(engine, "commit", lose_connection)
        raise OperationalError("COMMIT", None, Exception("connection lost"), connection_invalidated=True)

    event.listen(engine, "commit", lose_connection)
    with pytest.raises(DatabaseUnavailableError) as failure:
        await writer.run(count, 1)
    assert failure.value.may_be_kept
    assert tries == [1]
    assert await writer.run(add_numbers, 2) == 4


async def test_two_replicas_that_wait_for_each_other_both_succeed() -> None:
    engines = [open_engine(shared_postgres().new_database(), connections=1)]
    engines.append(open_engine(engines[0].url.render_as_string(hide_password=False), connections=1))
    metadata.create_all(engines[0])
    both_hold_one = threading.Barrier(2)
    tries: list[int] = []

    def hold_in_order(connection: Connection, items: Sequence[list[int]]) -> Sequence[int]:
        (item,) = items
        tries.append(item[0])
        connection.execute(text("UPDATE numbers SET number = number WHERE number = :it"), {"it": item[0]})
        if len(tries) <= 2:
            both_hold_one.wait(5)
        connection.execute(text("UPDATE numbers SET number = number WHERE number = :it"), {"it": item[1]})
        return [item[0]]

    writers = [GroupCommitWriter(engine, queue_length=100) for engine in engines]
    await writers[0].run(add_numbers, 1)
    await writers[0].run(add_numbers, 2)
    orders = ([1, 2], [2, 1])
    runs = (writer.run(hold_in_order, order) for writer, order in zip(writers, orders, strict=True))
    assert await asyncio.gather(*runs) == [1, 2]
    assert len(tries) == 3
    for writer, engine in zip(writers, engines, strict=True):
        await writer.close()
        engine.dispose()


async def test_closing_writes_what_waits(engine: Engine) -> None:
    writer = GroupCommitWriter(engine, queue_length=100)
    tasks = [asyncio.create_task(writer.run(add_numbers, number)) for number in range(10)]
    await asyncio.sleep(0)
    await writer.close()
    assert await asyncio.gather(*tasks) == [2 * number for number in range(10)]
    assert kept(engine) == list(range(10))
    engine.dispose()


class TestFlushing:
    def sqlite(self, tmp_path: Path) -> tuple[Engine, str]:
        return open_engine(f"sqlite:///{tmp_path / 'numbers.db'}", connections=1), "PRAGMA synchronous"

    def postgresql(self, _: Path) -> tuple[Engine, str]:
        return open_engine(shared_postgres().new_database(), connections=1), "SHOW synchronous_commit"

    @pytest.mark.parametrize(("database", "lazy", "safe"), [("sqlite", "1", "2"), ("postgresql", "off", "on")])
    async def test_a_transaction_flushes_when_one_of_its_calls_wants_it(
        self, database: str, lazy: str, safe: str, tmp_path: Path
    ) -> None:
        engine, question = getattr(self, database)(tmp_path)
        writer = GroupCommitWriter(engine, queue_length=100)

        def ask(connection: Connection, items: Sequence[threading.Event | None]) -> Sequence[str]:
            for item in items:
                if item is not None:
                    item.wait(5)
            return [str(connection.exec_driver_sql(question).scalar()) for _ in items]

        release = threading.Event()
        first = asyncio.create_task(writer.run(ask, release, flush=False))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(writer.run(ask, None, flush=flush)) for flush in (False, True)]
        await asyncio.sleep(0)
        release.set()
        assert await first == lazy
        assert await asyncio.gather(*rest) == [safe, safe]
        assert await writer.run(ask, None, flush=False) == lazy
        assert await writer.run(ask, None) == safe
        await writer.close()
        engine.dispose()
