"""A store that forgets everything with its process: for tests and trials."""

from collections.abc import AsyncIterator

from limner.service.ports import BlobExistsError, BlobNotFoundError
from limner.storage.blob import require_key, require_size


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

    async def delete(self, key: str) -> None:
        """Forget the bytes."""
        self._blobs.pop(require_key(key), None)

    async def keys(self, after: str, until: str) -> AsyncIterator[str]:
        """Yield the keys of a range."""
        for key in tuple(self._blobs):
            if after < key <= until:
                yield key

    async def check(self) -> None:
        """Return: memory is always there."""

    async def close(self) -> None:
        """Forget everything."""
        self._blobs.clear()
