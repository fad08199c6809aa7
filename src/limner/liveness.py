"""Which workers of this machine are alive: each holds a lock that the kernel takes back when it dies."""

import fcntl
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from limner.domain.identifiers import is_id

MAX_MESSAGE_BYTES: Final = 256 * 1024

_CHECKSUM_BYTES: Final = 9
_READS: Final = 5
_READ_AGAIN_S: Final = 0.002


class WorkerLocks:
    """One locked file per worker in a folder, named by the worker's id.

    Without it, work that a crash left behind would wait for its lease to end; with it, the next start goes on
    with it at once. Workers on other machines are known by their leases alone.

    The file holds what the worker tells of itself, so that no message outlives its worker, and none is left to clean
    up. It is written in place, under a checksum: who reads a message that is half written sees it, and reads again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = -1

    def hold(self, worker_id: str) -> None:
        """Tell, as long as this process lives, that the worker lives."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Locked before it has its name: else others might lock it first, and bury who has just begun to live.
        nameless = self._folder / f"{worker_id}.new"
        self._held = os.open(nameless, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._held, fcntl.LOCK_EX)
        nameless.rename(self._folder / worker_id)

    def release(self, worker_id: str) -> None:
        """Tell that the worker has ended. Harmless when it never began."""
        if self._held < 0:
            return
        with suppress(FileNotFoundError):
            (self._folder / worker_id).unlink()
        os.close(self._held)
        self._held = -1

    def tell(self, worker_id: str, message: bytes) -> None:
        """Let others read a message of this worker instead of its last one; after its end nothing happens. Blocks.

        Raises ``OSError`` when the disk does not take it.
        """
        if len(message) > MAX_MESSAGE_BYTES:
            raise ValueError("the message is too long")
        # Not by the held descriptor: the worker may end, and its number be another file's, while this waits.
        with suppress(FileNotFoundError), _opened(self._folder / worker_id, os.O_WRONLY) as descriptor:
            framed = _framed(message)
            if os.pwrite(descriptor, framed, 0) < len(framed):
                raise OSError("the disk is full")
            os.ftruncate(descriptor, len(framed))

    def living(self) -> dict[str, bytes]:
        """Return the last message of each living worker, by its id; empty when there is none that is whole. Blocks."""
        return {path.name: message for path in self._files() if (message := _message_of_living(path)) is not None}

    def dead(self) -> tuple[str, ...]:
        """Return the ids of workers that died without a word, each once."""
        return tuple(self._bury())

    def _files(self) -> Iterator[Path]:
        with suppress(FileNotFoundError):
            yield from (path for path in self._folder.iterdir() if is_id(path.name))

    def _bury(self) -> Iterator[str]:
        for path in self._files():
            with suppress(FileNotFoundError), _opened(path, os.O_RDWR) as descriptor:
                if not _locked(descriptor, fcntl.LOCK_EX):
                    continue
                path.unlink()
                yield path.name


@contextmanager
def _opened(path: Path, mode: int) -> Iterator[int]:
    """Open a file that is there."""
    descriptor = os.open(path, mode | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    """Return whether the file could be locked: then its worker does not live."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _framed(message: bytes) -> bytes:
    return b"%08x\n" % zlib.crc32(message) + message


def _message_of_living(path: Path) -> bytes | None:
    with suppress(FileNotFoundError), _opened(path, os.O_RDONLY) as descriptor:
        if not _locked(descriptor, fcntl.LOCK_SH):
            return _message(descriptor)
    return None


def _message(descriptor: int) -> bytes:
    for attempt in range(_READS):
        time.sleep(_READ_AGAIN_S if attempt else 0)
        framed = os.pread(descriptor, _CHECKSUM_BYTES + MAX_MESSAGE_BYTES, 0)
        message = framed[_CHECKSUM_BYTES:]
        if not framed or framed == _framed(message):
            return message
    return b""
