"""Turns at a model that does only so much at once: workspaces take them in rotation."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from limner.domain.errors import OverloadedError


class FairTurns:
    """Lets ``concurrency`` tasks in; the others wait, at most ``queue`` of each workspace.

    The next turn goes to the workspace that was served longest ago, so one that asks for much waits behind
    itself, and not the others behind it. ``concurrency`` 0 lets everybody in.
    """

    def __init__(self, concurrency: int, *, queue: int) -> None:
        self._concurrency = concurrency
        self._free = concurrency
        self._queue = queue
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, workspace_id: str) -> AsyncIterator[None]:
        """Wait for a turn, and hold it. Raises ``OverloadedError`` when too many of the workspace wait."""
        if self._concurrency == 0:
            yield
            return
        await self._acquire(workspace_id)
        try:
            yield
        finally:
            self._pass_on()

    async def _acquire(self, workspace_id: str) -> None:
        if self._free > 0:
            self._free -= 1
            return
        waiting = self._waiting.get(workspace_id, deque())
        if len(waiting) >= self._queue:
            raise OverloadedError("Too many tasks of this workspace wait for this model. Try again later.")
        self._waiting[workspace_id] = waiting
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # the turn came as the caller left
            else:
                self._forget(workspace_id, turn)
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            workspace_id, waiting = self._waiting.popitem(last=False)
            turn = waiting.popleft()
            if waiting:
                self._waiting[workspace_id] = waiting  # at the end: the others come first
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _forget(self, workspace_id: str, turn: "asyncio.Future[None]") -> None:
        waiting = self._waiting.get(workspace_id)
        if waiting is not None and turn in waiting:
            waiting.remove(turn)
            if not waiting:
                del self._waiting[workspace_id]
