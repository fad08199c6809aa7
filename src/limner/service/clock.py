"""The time of day."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

Clock: TypeAlias = Callable[[], datetime]

_UNNOTICED_S: Final = 1.0
"""A smaller difference is none: the clock shall not jump with every look."""


def utc_now() -> datetime:
    """Return the time in UTC, to the microsecond."""
    return datetime.now(UTC)


class SharedClock:
    """Tells the time that all workers of a database share, as leases and idempotency keys need it.

    It looks at the database's own clock now and then, and goes on by this machine's monotonic one, which nobody can
    set. Before the first look, and where the database has no clock of its own, it tells the machine's time of day.
    """

    def __init__(self, machine: Clock = utc_now, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._machine = machine
        self._monotonic = monotonic
        self._seen: datetime | None = None
        self._seen_at_s = 0.0

    def __call__(self) -> datetime:
        """Return the time in UTC."""
        return self._machine() if self._seen is None else self._told(self._seen, self._monotonic())

    async def look(self, read: Callable[[], Awaitable[datetime | None]]) -> bool:
        """Look at the clock of the database; tell whether it has one.

        What is seen was so at some moment of the look, taken for its middle. A difference that the other moments would
        explain is none.
        """
        begun_s = self._monotonic()
        seen = await read()
        if seen is None:
            return False
        half_s = (self._monotonic() - begun_s) / 2
        at_s, unnoticed = begun_s + half_s, timedelta(seconds=half_s + _UNNOTICED_S)
        if self._seen is None or abs(seen - self._told(self._seen, at_s)) > unnoticed:
            self._seen, self._seen_at_s = seen, at_s
        return True

    def _told(self, seen: datetime, at_s: float) -> datetime:
        return seen + timedelta(seconds=at_s - self._seen_at_s)
