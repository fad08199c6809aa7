"""Heavy work in turns: one slice of it, of all tasks together, in each round of the event loop."""

import asyncio


class Turns:
    """Keeps fifty answers that arrive at once from stalling the loop: each round does one slice of one of them."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def mine(self) -> None:
        """Return when the caller may do one slice of work, at once and without awaiting."""
        async with self._lock:
            await asyncio.sleep(0)
