"""A blob store whose operations are timed."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from time import perf_counter

from limner.service import tracing
from limner.service.instruments import STORAGE_DURATION
from limner.service.ports import BlobStore, OpenBlob


class ObservedBlobStore:
    """A ``BlobStore`` that passes everything on to another."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        """As ``BlobStore.put``."""
        with STORAGE_DURATION.time("put"), tracing.span("store"):
            await self._blobs.put(key, data, content_type)

    async def read(self, key: str) -> bytes:
        """As ``BlobStore.read``."""
        with STORAGE_DURATION.time("read"):
            return await self._blobs.read(key)

    async def stream(self, key: str, chunk_bytes: int) -> AsyncIterator[bytes]:
        """As ``BlobStore.stream``. What is timed is the wait for its parts, and not for who takes them."""
        waited, since = 0.0, perf_counter()
        try:
            async with aclosing(self._blobs.stream(key, chunk_bytes)) as parts:  # type: ignore[type-var]
                async for part in parts:
                    waited += perf_counter() - since
                    yield part
                    since = perf_counter()
        finally:
            STORAGE_DURATION.observe(waited, "stream")

    async def open(self, key: str, *, whole_bytes: int = 0) -> OpenBlob:
        """As ``BlobStore.open``. Reading its parts is not timed: that is mostly the wait for who takes them."""
        with STORAGE_DURATION.time("open"):
            return await self._blobs.open(key, whole_bytes=whole_bytes)

    async def delete(self, key: str) -> None:
        """As ``BlobStore.delete``."""
        with STORAGE_DURATION.time("delete"):
            await self._blobs.delete(key)

    def keys(self, after: str, until: str) -> AsyncIterator[str]:
        """As ``BlobStore.keys``."""
        return self._blobs.keys(after, until)

    def owners_of_variants(self, after: str, until: str) -> AsyncIterator[str]:
        """As ``BlobStore.owners_of_variants``."""
        return self._blobs.owners_of_variants(after, until)

    async def check(self) -> None:
        """As ``BlobStore.check``."""
        await self._blobs.check()

    async def close(self) -> None:
        """As ``BlobStore.close``."""
        await self._blobs.close()
