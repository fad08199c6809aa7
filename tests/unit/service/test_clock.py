"""The time that workers share."""

from datetime import UTC, datetime, timedelta

import pytest

from limner.domain.errors import DatabaseUnavailableError
from limner.service.clock import SharedClock

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Machine:
    """A machine's clocks, and a database's an hour ahead, all in the hands of the test."""

    def __init__(self) -> None:
        self.now, self.ticks_s = NOON, 100.0
        self.database: datetime | None = NOON + HOUR
        self.look_s = 0.0
        self.clock = SharedClock(lambda: self.now, monotonic=lambda: self.ticks_s)

    def wait(self, seconds: float) -> None:
        self.ticks_s += seconds
        self.now += timedelta(seconds=seconds)
        if self.database is not None:
            self.database += timedelta(seconds=seconds)

    async def read(self) -> datetime | None:
        self.wait(self.look_s / 2)
        seen = self.database
        self.wait(self.look_s / 2)
        return seen


@pytest.fixture
def machine() -> Machine:
    return Machine()


async def test_before_it_looked_it_tells_the_machines_time(machine: Machine) -> None:
    assert machine.clock() == NOON


async def test_it_tells_the_databases_time(machine: Machine) -> None:
    assert await machine.clock.look(machine.read)
    machine.wait(30)
    assert machine.clock() == machine.database == NOON + HOUR + timedelta(seconds=30)


async def test_who_sets_the_machines_clock_is_not_noticed(machine: Machine) -> None:
    await machine.clock.look(machine.read)
    machine.now -= 5 * HOUR
    assert machine.clock() == machine.database


async def test_without_a_clock_of_the_databases_own_it_tells_the_machines(machine: Machine) -> None:
    machine.database = None
    assert not await machine.clock.look(machine.read)
    machine.now += HOUR
    assert machine.clock() == NOON + HOUR


async def test_a_slow_look_is_taken_for_the_middle_of_it(machine: Machine) -> None:
    machine.look_s = 4.0
    await machine.clock.look(machine.read)
    assert machine.clock() == machine.database


async def test_a_small_difference_does_not_move_it(machine: Machine) -> None:
    await machine.clock.look(machine.read)
    before = machine.clock()
    assert machine.database is not None
    machine.database -= timedelta(seconds=0.9)
    await machine.clock.look(machine.read)
    assert machine.clock() == before
    machine.database -= timedelta(seconds=0.9)
    await machine.clock.look(machine.read)
    assert machine.clock() == machine.database


async def test_a_look_that_is_answered_late_changes_nothing(machine: Machine) -> None:
    async def read_late() -> datetime | None:
        machine.wait(20)
        return machine.database

    await machine.clock.look(machine.read)
    await machine.clock.look(read_late)
    assert machine.clock() == machine.database


async def test_a_look_that_fails_changes_nothing(machine: Machine) -> None:
    async def fail() -> datetime | None:
        raise DatabaseUnavailableError

    await machine.clock.look(machine.read)
    with pytest.raises(DatabaseUnavailableError):
        await machine.clock.look(fail)
    assert machine.clock() == machine.database
