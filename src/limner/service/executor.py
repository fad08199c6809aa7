"""A bounded place for work that would stall the event loop."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from limner.domain.errors import OverloadedError

P = ParamSpec("P")
T = TypeVar("T")


class BoundedExecutor:
    """Some threads, and a queue of bounded length in front of them.

    A call that finds the queue full is refused at once with ``OverloadedError``. A call that is cancelled
    while it waits never runs; one that runs already ends by itself, and its place is free only then.
    """

    def __init__(self, name: str, *, threads: int, queue: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads + queue

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function in a thread and return its result."""
        if self._free <= 0:
            raise OverloadedError
        loop = asyncio.get_running_loop()
        self._free -= 1
        future = self._pool.submit(functools.partial(function, *args, **kwargs))
        future.add_done_callback(lambda _: self._release_soon(loop))
        try:
            return await asyncio.wrap_future(future)
        finally:
            # It knows what it raises, which knows this frame: a circle that would keep the arguments, whole pictures,
            # until a collection comes by.
            del future

    def close(self) -> None:
        """Refuse what waits and end the threads when they are done."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _release_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        # Called by a worker thread, or on the loop when the work was cancelled before it began.
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        self._free += 1
