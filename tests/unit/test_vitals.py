"""What workers tell of themselves."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limner.domain.identifiers import new_id
from limner.domain.limits import MAX_IDENTIFIER_CHARS
from limner.liveness import MAX_MESSAGE_BYTES, WorkerLocks
from limner.vitals import (
    CLOSED,
    HALF_OPEN,
    MAX_BREAKERS,
    OPEN,
    BreakerVitals,
    Vitals,
    breakers_of,
    keep_telling,
    vitals_of_living,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DOWN = BreakerVitals(
    provider="openai", model="gpt-image-2", consecutive_failures=5, open_until=NOW + timedelta(seconds=8)
)
FINE = BreakerVitals(provider="fal", model="flux-dev")


class CountingLocks(WorkerLocks):
    """Locks that count what is written, and whose disk may be full."""

    full = False
    told = 0

    def tell(self, worker_id: str, message: bytes) -> None:
        if self.full:
            raise OSError("the disk is full")
        self.told += 1
        super().tell(worker_id, message)


@pytest.fixture
def mine() -> str:
    return new_id()


@pytest.fixture
def locks(tmp_path: Path, mine: str) -> Iterator[CountingLocks]:
    locks = CountingLocks(tmp_path)
    locks.hold(mine)
    yield locks
    locks.release(mine)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (conditions are about files)
            await asyncio.sleep(0.005)


async def end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_an_open_breaker_turns_half_open_by_itself() -> None:
    assert FINE.state(NOW) == CLOSED
    assert DOWN.state(NOW) == OPEN
    assert DOWN.state(NOW + timedelta(seconds=8)) == HALF_OPEN


async def test_vitals_are_read_as_they_were_told(locks: CountingLocks, mine: str) -> None:
    told = Vitals(in_flight=3, breakers=(DOWN, FINE))
    task = asyncio.create_task(keep_telling(locks, mine, lambda: told, period_s=0.005))
    await until(lambda: locks.told == 1)

    assert vitals_of_living(locks) == {mine: told}
    (found,) = breakers_of(vitals_of_living(locks).values())[("openai", "gpt-image-2")]
    assert found.open_until == DOWN.open_until
    await end(task)


async def test_nothing_is_written_while_nothing_changes(locks: CountingLocks, mine: str) -> None:
    readings = 0
    current = Vitals(breakers=(DOWN,))

    def read() -> Vitals:
        nonlocal readings
        readings += 1
        jitter = timedelta(microseconds=readings)
        return replace(current, breakers=tuple(replace(each, open_until=NOW + jitter) for each in current.breakers))

    task = asyncio.create_task(keep_telling(locks, mine, read, period_s=0.005))
    await until(lambda: readings > 20)
    assert locks.told == 1
    current = Vitals(breakers=(replace(DOWN, consecutive_failures=6),))
    await until(lambda: locks.told == 2)
    current = Vitals(in_flight=1, breakers=current.breakers)
    await until(lambda: locks.told == 3)
    await end(task)


async def test_what_the_disk_did_not_take_is_told_later(
    locks: CountingLocks, mine: str, caplog: pytest.LogCaptureFixture
) -> None:
    locks.full = True
    readings = 0

    def read() -> Vitals:
        nonlocal readings
        readings += 1
        return Vitals(in_flight=7)

    task = asyncio.create_task(keep_telling(locks, mine, read, period_s=0.005))
    await until(lambda: readings > 5)
    assert [record.message for record in caplog.records] == ["this worker can't tell how it is"]
    locks.full = False
    await until(lambda: vitals_of_living(locks) == {mine: Vitals(in_flight=7)})
    await end(task)


def test_a_message_is_bounded_and_leaves_out_what_is_well() -> None:
    name = "😀" * MAX_IDENTIFIER_CHARS
    fine = tuple(replace(FINE, model=f"{index}{name}"[:MAX_IDENTIFIER_CHARS]) for index in range(MAX_BREAKERS))
    message = Vitals(breakers=(*fine, replace(DOWN, model=name))).encoded()

    assert len(message) <= MAX_MESSAGE_BYTES
    assert message.count(b'"provider"') == MAX_BREAKERS
    assert b'"openai"' in message


@pytest.mark.parametrize(
    "message", [b"", b"{}", b"[]", b"null", b"\xff", b'{"in_flight": 1, "breakers": [{"provider": "x"}]}']
)
def test_what_can_not_be_understood_is_unknown(locks: CountingLocks, mine: str, message: bytes) -> None:
    locks.tell(mine, message)
    assert vitals_of_living(locks) == {mine: None}


def test_breakers_of_all_workers_are_put_together() -> None:
    found = breakers_of([Vitals(breakers=(DOWN, FINE)), None, Vitals(breakers=(DOWN,))])
    assert list(found.items()) == [(("fal", "flux-dev"), [FINE]), (("openai", "gpt-image-2"), [DOWN, DOWN])]
