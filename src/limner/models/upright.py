"""Inputs as hosted models get them: upright, and without what tells of a place or a person.

What a caller uploads is kept as it is; a provider is sent no more of it than the picture. Local models need no such
care: they decode by the same room, and nothing leaves the machine.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import IO, Final

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.image import Image
from limner.domain.model import ModelCapabilities
from limner.domain.task import UpscaleTask
from limner.service.ports import (
    ImageModel,
    InputPicture,
    InvalidPictureError,
    Job,
    KnownSubmission,
    Order,
    PictureCodec,
    ResumableModel,
)

_PART_BYTES: Final = limits.CONTENT_CHUNK_BYTES


class UprightModel:
    """An ``ImageModel`` that prepares the inputs of another one, before that buys anything."""

    def __init__(self, model: ImageModel, codec: PictureCodec) -> None:
        self._model = model
        self._codec = codec

    @property
    def capabilities(self) -> ModelCapabilities:
        """What the model can do."""
        return self._model.capabilities

    def unready_reason(self) -> str:
        """Return why the model can't work now."""
        return self._model.unready_reason()

    async def run(self, order: Order, job: Job) -> None:
        """Make the pictures. Raises ``InvalidFieldError`` for an input that no decoder shows."""
        with ExitStack() as files:
            inputs = [await self._prepared(each, order, files) for each in order.inputs]
            await self._model.run(replace(order, inputs=tuple(inputs)), job)

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()

    async def _prepared(self, source: InputPicture, order: Order, files: ExitStack) -> InputPicture:
        """Return the input, itself when it may go as it is; otherwise it lies in a file until the model is done."""
        try:
            ready = await self._codec.prepared(await source.read())
        except InvalidPictureError as error:
            field = "imageId" if isinstance(order.task, UpscaleTask) else "imageIds"
            raise InvalidFieldError([FieldViolation(field, f"a picture can't be read: {error}")]) from error
        if ready is None:
            return source
        info, size_bytes = ready.info, len(ready.data)
        file = files.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 (the stack closes it)
        await asyncio.to_thread(file.write, ready.data)
        image = replace(source.image, width=info.width, height=info.height, format=info.format, size_bytes=size_bytes)
        return FileInput(image, file)


class ResumableUprightModel(UprightModel):
    """One of a model that knows its work by an id; what was submitted needs no inputs any longer."""

    def __init__(self, model: ResumableModel, codec: PictureCodec) -> None:
        super().__init__(model, codec)
        self._resumable = model

    async def resume(self, order: Order, submissions: Sequence[KnownSubmission], job: Job) -> None:
        """Go on waiting at the model."""
        await self._resumable.resume(order, submissions, job)

    async def cancel(self, submission: KnownSubmission) -> bool:
        """Ask the model to stop; return whether it may still bill."""
        return await self._resumable.cancel(submission)


def with_upright_inputs(model: ImageModel, codec: PictureCodec) -> ImageModel:
    """Return the model with prepared inputs; resumable when it is."""
    return ResumableUprightModel(model, codec) if isinstance(model, ResumableModel) else UprightModel(model, codec)


@dataclass(frozen=True, slots=True)
class FileInput:
    """A picture in a file without a name, so that a call that waits for minutes holds none of its bytes."""

    image: Image
    file: IO[bytes]

    async def read(self) -> bytes:
        """Return all bytes."""
        return b"".join([part async for part in self.stream()])

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the bytes in order; several calls may read at once."""
        for start in range(0, self.image.size_bytes, _PART_BYTES):
            yield await asyncio.to_thread(_part, self.file, start)


def _part(file: IO[bytes], start: int) -> bytes:
    return os.pread(file.fileno(), _PART_BYTES, start)
