"""How much memory answers may take, of all requests of a process together."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from limner.domain import limits

BUDGET_BYTES: Final = 320 * limits.MIB


class ByteBudget:
    """Lets large answers in one after the other, in the order in which they come, as long as they fit.

    An answer that waits is not read, so that its server waits, too. One that is larger than the whole budget goes
    alone. One that grows beyond what it said is not stopped: it holds up those that come after it.
    """

    def __init__(self, size_bytes: int = BUDGET_BYTES) -> None:
        self._free = self._size = size_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """Hold what one call takes; leaving gives it back."""
        share = Share(self)
        try:
            yield share
        finally:
            share.give_back()

    async def take(self, size_bytes: int) -> None:
        """Wait for room, and take it."""
        if not self._waiting and self._fits(size_bytes):
            self._free -= size_bytes
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (size_bytes, turn)
        self._waiting.append(place)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(size_bytes)  # the room came as the caller left
            else:
                self._waiting.remove(place)
                self._let_in()
            raise

    def overdraw(self, size_bytes: int) -> None:
        """Take room that may not be there."""
        self._free -= size_bytes

    def give(self, size_bytes: int) -> None:
        """Give room back."""
        self._free += size_bytes
        self._let_in()

    def _fits(self, size_bytes: int) -> bool:
        return size_bytes <= self._free or self._free == self._size

    def _let_in(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size_bytes, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= size_bytes
                turn.set_result(None)


class Share:
    """What one call holds of a budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._held = 0
        self._used = 0

    async def reserve(self, size_bytes: int) -> None:
        """Wait for room for an answer of this size.

        Who holds some already does not wait: two might wait for each other.
        """
        if self._held:
            self._budget.overdraw(size_bytes)
        else:
            await self._budget.take(size_bytes)
        self._held += size_bytes

    def use(self, size_bytes: int) -> None:
        """Note that so many bytes more are there."""
        self._used += size_bytes
        if self._used > self._held:
            self._budget.overdraw(self._used - self._held)
            self._held = self._used

    def give_back(self) -> None:
        """Give all of it back."""
        self._budget.give(self._held)
        self._held = self._used = 0
