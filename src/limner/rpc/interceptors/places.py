"""A few places for which callers queue, each behind himself."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from limner.domain.errors import OverloadedError

QUEUE: Final = 256
"""How many of one caller wait; more are refused."""


class FairPlaces:
    """Lets ``count`` calls in, of one caller at most all but one, so that each other caller finds a place.

    The next place goes to the waiting caller with the fewest calls under way: those who lost their places because
    they were slow count, so that who is silent in many calls comes after who is not.
    """

    def __init__(self, count: int, *, queue: int = QUEUE) -> None:
        self._free = count
        self._each = max(1, count - 1)
        self._queue = queue
        self._held: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def place(self, caller: str) -> "AsyncIterator[Place]":
        """Wait for a place, and hold it, unless it is given back before. Raises ``OverloadedError``."""
        await self._take(caller)
        self._under_way[caller] += 1
        place = Place(self, caller)
        try:
            yield place
        finally:
            _less(self._under_way, caller)
            place.give_back()

    async def _take(self, caller: str) -> None:
        if self._free and self._held[caller] < self._each:
            self._hold(caller)
            return
        waiting = self._waiting.setdefault(caller, deque())
        if len(waiting) >= self._queue:
            raise OverloadedError
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(caller)  # the place came as the caller left
            elif caller in self._waiting:
                self._forget(caller, turn)
            raise

    def _hold(self, caller: str) -> None:
        self._free -= 1
        self._held[caller] += 1

    def anybody_waits(self, *, but: str = "") -> bool:
        """Tell whether somebody waits, or somebody else than the one named."""
        return any(each != but for each in self._waiting)

    def give_back(self, caller: str) -> None:
        """Give a caller's place to the next who waits."""
        self._free += 1
        _less(self._held, caller)
        entitled = [each for each in self._waiting if self._held[each] < self._each]
        if not entitled:
            return
        chosen = min(entitled, key=lambda each: self._under_way[each])  # of equals, who was served longest ago
        turn = self._waiting[chosen].popleft()
        self._waiting.move_to_end(chosen)
        if not self._waiting[chosen]:
            del self._waiting[chosen]
        self._hold(chosen)
        if turn.done():  # its caller left, and has not yet been forgotten
            self.give_back(chosen)
        else:
            turn.set_result(None)

    def _forget(self, caller: str, turn: "asyncio.Future[None]") -> None:
        waiting = self._waiting[caller]
        if turn in waiting:
            waiting.remove(turn)
        if not waiting:
            del self._waiting[caller]


class Place:
    """One place, which is given back once."""

    __slots__ = ("_caller", "_given_back", "_places")

    def __init__(self, places: FairPlaces, caller: str) -> None:
        self._places = places
        self._caller = caller
        self._given_back = False

    def pass_on(self, *, own: bool) -> bool:
        """Give it back if another caller waits, or, with ``own``, anybody; tell whether it was given back."""
        if self._places.anybody_waits(but="" if own else self._caller):
            self.give_back()
        return self._given_back

    def give_back(self) -> None:
        """Let the next one in."""
        if not self._given_back:
            self._given_back = True
            self._places.give_back(self._caller)


def _less(counts: Counter[str], caller: str) -> None:
    counts[caller] -= 1
    if not counts[caller]:
        del counts[caller]
