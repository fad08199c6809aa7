"""How long our own code holds the event loop up, and how much memory it takes meanwhile."""

import asyncio
import gc
import heapq
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self

import psutil

_LOOK_S: Final = 0.001
_RUNS: Final = 5


class LoopWatch:
    """Looks every millisecond at what the loop's thread did since the last look, and at the process's memory.

    Time is the thread's own time of the processor, so that other threads and programs do not count.
    """

    def __init__(self) -> None:
        self.turns_s: list[float] = []
        self.grown_bytes = 0
        self._process = psutil.Process()

    async def __aenter__(self) -> Self:
        gc.collect()
        self._before_bytes = self._process.memory_info().rss
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _watch(self) -> None:
        while True:
            before_s = time.thread_time()
            await asyncio.sleep(_LOOK_S)
            self.turns_s.append(time.thread_time() - before_s)
            self.grown_bytes = max(self.grown_bytes, self._process.memory_info().rss - self._before_bytes)


@dataclass(frozen=True, slots=True)
class Held:
    """For how many seconds the best of some runs held the loop, and how much memory the worst of them took."""

    longest_turn_s: float
    grown_bytes: int


async def held(work: Callable[[], Awaitable[object]], *, under_s: float, alike: int = 1) -> Held:
    """Do some work until it never holds the loop for as long as ``under_s``, at most five times.

    Code that holds the loop up does so in each run, and in each ``alike`` times at least, where the work is made of
    so many like things: of so many turns the shortest counts. A busy machine does so now and then, in the thread's own
    time too: others empty its caches, and a hypervisor takes the processor away unseen.
    """
    best_s, grown_bytes = math.inf, 0
    for _ in range(_RUNS):
        async with LoopWatch() as watch:
            await work()
        longest_s = min(heapq.nlargest(alike, watch.turns_s))
        best_s, grown_bytes = min(best_s, longest_s), max(grown_bytes, watch.grown_bytes)
        if best_s < under_s:
            break
    return Held(best_s, grown_bytes)
