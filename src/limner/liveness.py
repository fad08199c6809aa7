"""Which workers of this machine are alive: each holds a lock that the kernel takes back when it dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from limner.domain.identifiers import is_id

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class WorkerLocks:
    """One locked file per worker in a folder, named by the worker's id.

    Without it, work that a crash left behind would wait for its lease to end; with it, the next start goes on
    with it at once. Workers on other machines are known by their leases alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = -1

    def hold(self, worker_id: str) -> None:
        """Tell, as long as this process lives, that the worker lives."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Locked before it has its name: else others might lock it first, and bury who has just begun to live.
        nameless = self._folder / f"{worker_id}.new"
        self._held = os.open(nameless, _FLAGS, 0o600)
        fcntl.flock(self._held, fcntl.LOCK_EX)
        nameless.rename(self._folder / worker_id)

    def release(self, worker_id: str) -> None:
        """Tell that the worker has ended."""
        with suppress(FileNotFoundError):
            (self._folder / worker_id).unlink()
        os.close(self._held)

    def dead(self) -> tuple[str, ...]:
        """Return the ids of workers that died without a word, each once."""
        return tuple(self._bury())

    def _bury(self) -> Iterator[str]:
        for path in self._folder.iterdir():
            if not is_id(path.name):
                continue
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # it ended in order
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            except (BlockingIOError, FileNotFoundError):
                continue  # it lives, or ended in order, or was buried by another
            else:
                yield path.name
            finally:
                os.close(descriptor)
