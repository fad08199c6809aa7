"""The spool: paid pictures on this machine's disk, until the store that is down has them."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from limner.domain.errors import StorageUnavailableError
from limner.domain.limits import MAX_STORED_BYTES
from limner.service.ports import BlobExistsError, BlobNotFoundError
from limner.storage.filesystem import FileBlobStore

UNSHOWN: Final = "unshown"
"""The folder of what was paid for and can't be shown."""

_LOOK_AGAIN_S: Final = 0.25


class FileSpool:
    """A ``Spool`` in a folder, which must exist and may be shared by the workers of one machine."""

    def __init__(self, root: Path, *, goes_first: bool, max_bytes: int, min_free_bytes: int = MAX_STORED_BYTES) -> None:
        """Set the bounds.

        goes_first: whether pictures come here before the store is asked.
        max_bytes: what waits here at most, in bytes. Each worker counts its own, and what it saw of the others'.
        min_free_bytes: what stays free on the disk.
        """
        self._root = root
        self._goes_first = goes_first
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._files = FileBlobStore(root, readers=2, writers=2)
        self._unshown: FileBlobStore | None = None
        self._sizes = _sizes_in(root)
        self._looked_at = float("-inf")
        self._disk_is_full = False

    @property
    def goes_first(self) -> bool:
        """Whether a picture is kept here before the store is asked."""
        return self._goes_first

    async def keep(self, key: str, data: bytes) -> None:
        """Keep the bytes; other bytes that are kept under this key already stay."""
        try:
            await self._files.put(key, data, "")
            self._sizes[key] = len(data)
        except BlobExistsError:
            self._sizes.setdefault(key, len(data))

    async def read(self, key: str) -> bytes | None:
        """Return the bytes, or ``None``."""
        try:
            return await self._files.read(key)
        except BlobNotFoundError:
            return None

    async def keys(self) -> tuple[str, ...]:
        """Return the keys of all that is kept here."""
        return tuple([key async for key in self._files.keys("", "g")])

    async def discard(self, key: str) -> None:
        """Forget the bytes."""
        await self._files.delete(key)
        self._sizes.pop(key, None)

    async def set_aside(self, key: str, data: bytes) -> None:
        """Keep what can't be shown, in a folder beside. It takes room here until the operator takes it away."""
        if self._unshown is None:
            try:
                (self._root / UNSHOWN).mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                raise StorageUnavailableError from error
            self._unshown = FileBlobStore(self._root / UNSHOWN, readers=1, writers=1)
        with suppress(BlobExistsError):
            await self._unshown.put(key, data, "")
        self._sizes[f"{UNSHOWN}/{key}"] = len(data)

    def require_room(self) -> None:
        """Raise ``StorageUnavailableError`` unless what a purchase brings would fit, here and on the disk."""
        now = time.monotonic()
        if now - self._looked_at > _LOOK_AGAIN_S:
            self._looked_at = now
            self._disk_is_full = _free_bytes(self._root) < self._min_free_bytes
            if self._is_full:
                self._sizes = _sizes_in(self._root)  # other workers may have delivered theirs
        if self._disk_is_full or self._is_full:
            raise StorageUnavailableError("There is no room to keep what would be bought. Try again later.")

    async def close(self) -> None:
        """End the threads."""
        await self._files.close()
        if self._unshown is not None:
            await self._unshown.close()

    @property
    def _is_full(self) -> bool:
        return sum(self._sizes.values()) > self._max_bytes


def spooled(root: Path) -> tuple[int, int]:
    """Return how many pictures wait in a spool's folder, and their size in bytes. Blocks."""
    sizes = _sizes_in(root)
    return len(sizes), sum(sizes.values())


def unshown_in(root: Path) -> tuple[Path, ...]:
    """Return the files of what was paid for and can't be shown."""
    return tuple(sorted(root.glob(f"{UNSHOWN}/??/*")))


def _sizes_in(root: Path) -> dict[str, int]:
    sizes = {}
    for path in (*root.glob("??/*"), *unshown_in(root)):
        with suppress(FileNotFoundError):  # delivered meanwhile
            name = f"{UNSHOWN}/{path.name}" if UNSHOWN in path.relative_to(root).parts else path.name
            sizes[name] = path.stat().st_size
    return sizes


def _free_bytes(path: Path) -> int:
    try:
        status = os.statvfs(path)
    except OSError as error:
        raise StorageUnavailableError from error
    return status.f_bavail * status.f_frsize
