"""A store that forgets everything with its process: for tests and trials."""

from collections.abc import AsyncIterator

from limner.service.ports import BlobExistsError, BlobNotFoundError
from limner.storage.blob import require_key, require_owner, require_size


class MemoryBlob:
    """An ``OpenBlob`` in memory."""

    file = None

    def __init__(self, data: bytes, whole_bytes: int) -> None:
        self._data = data
        self.size_bytes = len(data)
        self.whole = data if len(data) <= whole_bytes else None

    async def parts(self, start: int, end: int, chunk_bytes: int) -> AsyncIterator[bytes]:
        """Yield the bytes of a range."""
        for offset in range(start, end, chunk_bytes):
            yield self._data[offset : min(offset + chunk_bytes, end)]

    async def close(self) -> None:
        """Do nothing."""


class MemoryBlobStore:
    """A ``BlobStore`` in a dictionary. Survives no crash; otherwise keeps every promise of the port."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """Keep ``data``."""
        kept = self._blobs.setdefault(require_key(key), bytes(require_size(data)))
        if kept != data:
            raise BlobExistsError

    async def read(self, key: str) -> bytes:
        """Return the whole."""
        try:
            return self._blobs[require_key(key)]
        except KeyError as error:
            raise BlobNotFoundError from error

    async def stream(self, key: str, chunk_bytes: int) -> AsyncIterator[bytes]:
        """Yield the bytes in order."""
        data = await self.read(key)
        for start in range(0, len(data), chunk_bytes):
            yield data[start : start + chunk_bytes]

    async def open(self, key: str, *, whole_bytes: int = 0) -> "MemoryBlob":
        """Return the blob."""
        return MemoryBlob(await self.read(key), whole_bytes)

    async def delete(self, key: str) -> None:
        """Forget the bytes, and those of variants."""
        require_owner(key)
        for each in tuple(self._blobs):
            if each.partition("/")[0] == key:
                del self._blobs[each]

    async def keys(self, after: str, until: str) -> AsyncIterator[str]:
        """Yield the keys of a range."""
        for key in tuple(self._blobs):
            if after < key <= until and "/" not in key:
                yield key

    async def owners_of_variants(self, after: str, until: str) -> AsyncIterator[str]:
        """Yield the keys of a range that have variants."""
        for key in {each.partition("/")[0] for each in self._blobs if "/" in each}:
            if after < key <= until:
                yield key

    async def check(self) -> None:
        """Return: memory is always there."""

    async def close(self) -> None:
        """Forget everything."""
        self._blobs.clear()
