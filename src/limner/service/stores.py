"""Where the pictures and facts of the service go."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from limner.domain import limits
from limner.domain.image import Image
from limner.service.clock import Clock
from limner.service.marks import Marks
from limner.service.ports import BlobStore, PictureCodec, Repository, Spool

_INLINE_DIGEST_BYTES: Final = limits.MIB
"""Up to this size a digest takes less of the event loop's time than its 5 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What a run, the library and the sweeper share."""

    repository: Repository
    blobs: BlobStore
    spool: Spool
    codec: PictureCodec
    clock: Clock
    marks: Marks | None = None
    """``None`` where nothing for them is installed."""

    async def close(self) -> None:
        """Release all of them."""
        self.codec.close()
        if self.marks is not None:
            self.marks.close()
        await self.spool.close()
        await self.blobs.close()
        await self.repository.close()


@dataclass(frozen=True, slots=True)
class StoredInput:
    """A picture that lies in the blob store (``ports.InputPicture``)."""

    image: Image
    blobs: BlobStore

    async def read(self) -> bytes:
        """Return the bytes as stored."""
        return await self.blobs.read(self.image.id)

    def stream(self) -> AsyncIterator[bytes]:
        """Yield the bytes as stored."""
        return self.blobs.stream(self.image.id, limits.CONTENT_CHUNK_BYTES)


async def digest(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of the bytes."""
    if len(data) <= _INLINE_DIGEST_BYTES:
        return hashlib.sha256(data).hexdigest()
    return (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
