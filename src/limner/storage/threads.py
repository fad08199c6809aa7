"""Threads for calls that block on a disk or a network."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from limner.domain.errors import StorageUnavailableError

P = ParamSpec("P")
T = TypeVar("T")


class StorageThreads:
    """The threads of one store.

    Who finds all of them busy waits, and is not refused: what is stored has often been paid for. The wait
    ends with ``StorageUnavailableError`` after ``timeout_s`` seconds, so no more calls wait than callers do.
    """

    def __init__(self, name: str, *, threads: int, timeout_s: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._timeout_s = timeout_s

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function and return its result. A call that runs already ends by itself."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(self._pool.submit(function, *args, **kwargs))
        except TimeoutError as error:
            raise StorageUnavailableError("The storage does not answer in time.") from error

    def start(self, function: Callable[[], object]) -> None:
        """Run a blocking function some time, without waiting for it; at once when the threads have ended."""
        try:
            self._pool.submit(function)
        except RuntimeError:
            function()

    def close(self) -> None:
        """Let what was begun or waits end, and then the threads."""
        self._pool.shutdown(wait=False)
