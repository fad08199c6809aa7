"""The bytes of images, as stored or as a derivative, for whoever may see them."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

from limner.domain import limits
from limner.domain.derivative import WIDTHS, Derivative, DerivativeFormat
from limner.domain.errors import FieldViolation, ImageNotFoundError, InvalidFieldError, OverloadedError
from limner.domain.identifiers import is_id
from limner.domain.image import Image
from limner.service import failpoints
from limner.service.marking import marked_derivative
from limner.service.ports import BlobExistsError, BlobNotFoundError, Deriver, InvalidPictureError, OpenBlob
from limner.service.stores import Stores

log = logging.getLogger(__name__)

_RECIPE: Final = "1"
"""Changed with what derivatives look like, so that no cache takes a new one for an old one."""


@dataclass(frozen=True, slots=True)
class Content:
    """What an address of a picture leads to. Its bytes never change."""

    image: Image
    derivative: Derivative | None = None

    @property
    def key(self) -> str:
        """Where its bytes lie in the blob store."""
        return f"{self.image.id}/{self.derivative.name}" if self.derivative else self.image.id

    @property
    def etag(self) -> str:
        """What stands for its bytes, without quotes."""
        if self.derivative is None:
            return self.image.sha256
        source = f"{self.image.sha256} {self.derivative.name} {_RECIPE}"
        return hashlib.sha256(source.encode()).hexdigest()

    @property
    def content_type(self) -> str:
        """The MIME type."""
        return self.derivative.format.content_type if self.derivative else self.image.format.content_type


class Contents:
    """Finds content, and makes derivatives that are not there yet: each once, for all who ask meanwhile."""

    def __init__(self, stores: Stores, deriver: Deriver, *, at_once: int = 1, waiting: int = 64) -> None:
        """``at_once`` pictures are in memory whole, to be made into others; so many more may be ``waiting``."""
        self._stores = stores
        self._deriver = deriver
        self._places = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self._making: dict[str, asyncio.Task[None]] = {}

    async def find(
        self,
        workspace_id: str,
        image_id: str,
        generation_id: str = "",
        *,
        width: int = 0,
        format_name: str = "",
        wrong: Sequence[FieldViolation] = (),
    ) -> Content:
        """Return which content is asked for; with a generation, of an image that it started from, even a deleted one.

        Raises ``InvalidFieldError``, with what else is ``wrong`` in the request, and ``ImageNotFoundError``.
        """
        violations = [*wrong, *_wrong_width(width), *_wrong_format(format_name)]
        if violations:
            raise InvalidFieldError(violations)
        image = await self._readable(workspace_id, image_id, generation_id)
        if not width and not format_name:
            return Content(image)
        # As wide as the picture is one derivative, whatever larger width was asked for.
        narrower = width if width < image.width else 0
        return Content(image, Derivative(narrower, DerivativeFormat(format_name or image.format.value)))

    async def open(self, content: Content, *, whole_bytes: int = 0) -> OpenBlob:
        """Return the bytes; to be closed by the caller. Raises ``ImageNotFoundError`` for one deleted meanwhile."""
        blobs = self._stores.blobs
        try:
            try:
                return await blobs.open(content.key, whole_bytes=whole_bytes)
            except BlobNotFoundError:
                if content.derivative is None:
                    raise
            await self._made(content)
            return await blobs.open(content.key, whole_bytes=whole_bytes)
        except BlobNotFoundError as error:
            # Deleted since the row was read; a row without bytes is otherwise a fault for the sweeper.
            log.warning("an image has no bytes", extra={"image_id": content.image.id})
            raise ImageNotFoundError from error

    async def stream(self, content: Content) -> tuple[int, AsyncGenerator[bytes, None]]:
        """Return how many bytes there are, and all of them in parts."""
        blob = await self.open(content)
        return blob.size_bytes, _parts(blob)

    def close(self) -> None:
        """Release what makes derivatives."""
        self._deriver.close()

    async def _readable(self, workspace_id: str, image_id: str, generation_id: str) -> Image:
        repository = self._stores.repository
        image: Image | None = None
        if is_id(image_id) and not generation_id:
            image = await repository.image(workspace_id, image_id)
        elif is_id(image_id) and is_id(generation_id):
            image = await repository.input_image(workspace_id, generation_id, image_id)
        if image is None:
            raise ImageNotFoundError
        return image

    async def _made(self, content: Content) -> None:
        """Return when the derivative is there. Who leaves stops it for nobody else."""
        making = self._making.get(content.key)
        if making is None:
            if len(self._making) >= self._most:
                raise OverloadedError
            making = self._making[content.key] = asyncio.create_task(self._make_in_turn(content), name="derivative")
            making.add_done_callback(lambda _: self._making.pop(content.key, None))
        await asyncio.shield(making)

    async def _make_in_turn(self, content: Content) -> None:
        async with self._places:
            await self._make(content)

    async def _make(self, content: Content) -> None:
        assert content.derivative is not None
        image, blobs = content.image, self._stores.blobs
        try:
            data = await blobs.read(image.id)
            made = await self._deriver.derive(data, content.derivative)
        except InvalidPictureError as error:
            raise InvalidFieldError([FieldViolation("format", f"can't be made of this picture: {error}")]) from error
        made = await marked_derivative(self._stores.marks, image, data, made, content.derivative)
        try:
            await blobs.put(content.key, made, content.content_type)
        except BlobExistsError:
            return  # another worker was faster, with another version of an encoder: what is there stays
        failpoints.reach("derivative-stored")
        await self._take_back_orphan(content)

    async def _take_back_orphan(self, content: Content) -> None:
        """Delete what was made of an image whose bytes were purged meanwhile. After a crash a second purge does it."""
        try:
            await (await self._stores.blobs.open(content.image.id)).close()
        except BlobNotFoundError:
            await self._stores.blobs.delete(content.image.id)


async def _parts(blob: OpenBlob) -> AsyncGenerator[bytes, None]:
    try:
        async for part in blob.parts(0, blob.size_bytes, limits.CONTENT_CHUNK_BYTES):
            yield part
    finally:
        await blob.close()


def _wrong_width(width: int) -> list[FieldViolation]:
    if width in (0, *WIDTHS):
        return []
    return [FieldViolation("width", f"must be one of {', '.join(map(str, WIDTHS))}")]


def _wrong_format(name: str) -> list[FieldViolation]:
    if name in ("", *DerivativeFormat):
        return []
    return [FieldViolation("format", f"must be one of {', '.join(DerivativeFormat)}")]
