"""Processor time of a process and of its threads, as Linux counts it."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

_NANOSECONDS: Final = 1e-9


def by_thread(process: psutil.Process) -> Mapping[str, float]:
    """Return the seconds that each kind of thread has run so far; those named alike but for a number count together.

    Threads that have ended are left out, so only differences between moments with the same threads mean something.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            name = (task / "comm").read_text().strip().rstrip("0123456789_-")
            run = float((task / "schedstat").read_text().split()[0]) * _NANOSECONDS
            seconds["event loop" if task.name == str(process.pid) else name] += run
    return seconds


def of_tree(process: psutil.Process) -> float:
    """Return the seconds that a process and its living children have run so far."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return what was added under each name."""
    return {name: seconds - before.get(name, 0) for name, seconds in after.items()}
