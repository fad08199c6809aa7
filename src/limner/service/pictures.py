"""The pictures of one generation: verified, brought into the asked format, and kept where a crash can't reach them."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from limner.domain import limits
from limner.domain.errors import ProviderUnavailableError, StorageUnavailableError
from limner.domain.image import Image, OutputFormat, Parameters
from limner.domain.model import ModelCapabilities
from limner.domain.task import Generation, MissingPicture, Plan, Task, UnmarkedPicture, UpscaleTask
from limner.service import failpoints
from limner.service.marking import Draft, Marking
from limner.service.ports import (
    BlobExistsError,
    BlobNotFoundError,
    InvalidPictureError,
    MadePicture,
    PictureInfo,
    ReadyPicture,
)
from limner.service.stores import Stores, digest

log = logging.getLogger(__name__)

_ROUNDED_PIXELS: Final = 16
"""How far an edge of an upscale may be from the promised one, beside two percent: models work in blocks of pixels."""


class Pictures:
    """Keeps each picture under the id that the plan gave it, so that whoever takes over finds its bytes."""

    def __init__(
        self, generation: Generation, plan: Plan, stores: Stores, model: ModelCapabilities | None = None
    ) -> None:
        self._generation = generation
        self._model = model
        self._marking = Marking(generation, plan, stores.blobs, stores.marks)
        self._plan = plan
        self._stores = stores
        self._images: dict[int, Image] = {}
        self._missing: dict[int, MissingPicture] = {}
        self._undelivered: dict[int, Image] = {}

    @property
    def images(self) -> tuple[Image, ...]:
        """Those that are kept, in the order of the asked pictures."""
        return tuple(self._images[index] for index in sorted(self._images))

    @property
    def missing(self) -> Mapping[int, MissingPicture]:
        """Those that are known not to come, by index."""
        return self._missing

    @property
    def unmarked(self) -> tuple[UnmarkedPicture, ...]:
        """Those that are kept and should carry a mark that they do not."""
        return self._marking.unmarked(self.images)

    @property
    def open_indexes(self) -> tuple[int, ...]:
        """The indexes of the pictures that are neither kept nor known to be missing."""
        settled = self._images.keys() | self._missing.keys()
        return tuple(index for index in range(len(self._plan.image_ids)) if index not in settled)

    def miss(self, missing: MissingPicture) -> None:
        """Note that a picture will not come. One that is kept came: who says otherwise knows less."""
        if missing.index not in self._images:
            self._missing[missing.index] = missing

    async def keep(self, picture: MadePicture) -> None:
        """Keep a finished picture; one that is not usable becomes a missing one.

        Raises ``StorageUnavailableError`` when neither the store nor the spool takes its bytes.
        """
        failpoints.reach("picture-received")
        if picture.index in self._images:
            return
        self._missing.pop(picture.index, None)
        try:
            image, data = await self._image_of(picture)
        except InvalidPictureError as error:
            await self._set_aside(picture, str(error))
            return
        await self._store(picture.index, image, data)

    async def adopt(self, maker_of: Callable[[int], ModelCapabilities | None]) -> None:
        """Take over the pictures that another worker kept before it died; ``maker_of`` tells which model made them."""
        for index in self.open_indexes:
            image_id, origin = self._plan.image_ids[index], self._origin(index, maker_of(index))
            if image := await self._facts(index, await self._stored(image_id), origin):
                self._images[index] = image
                await self._stores.spool.discard(image_id)
            elif image := await self._facts(index, await self._stores.spool.read(image_id), origin):
                self._images[index] = self._undelivered[index] = image

    async def deliver(self) -> None:
        """Bring what lies in the spool to the store. Raises ``StorageUnavailableError`` when it is still down."""
        for index, spooled in tuple(self._undelivered.items()):
            image, data = spooled, await self._stores.spool.read(spooled.id)
            if data is not None:
                image, data = await self._marked_late(index, image, data)
            if data is None or not await self._put(image, data) or await digest(data) != image.sha256:
                await self._take_stored(index, _origin_of(image))
            failpoints.reach("picture-delivered")
            await self._stores.spool.discard(image.id)
            del self._undelivered[index]

    async def forget(self) -> None:
        """Delete the bytes of those pictures that nobody will ever see, since another worker ended the generation."""
        for image_id in await self._stores.repository.unknown_images([image.id for image in self.images]):
            await self._stores.spool.discard(image_id)
            await self._stores.blobs.delete(image_id)

    async def _store(self, index: int, image: Image, data: bytes) -> None:
        """Keep the bytes, in the spool when the store is down; other bytes that another worker stored come first."""
        spool = self._stores.spool
        if spool.goes_first:
            await self._spool(image, data)
        try:
            is_stored = await self._put(image, data)
        except StorageUnavailableError:
            if not spool.goes_first:
                await self._spool(image, data)
            self._images[index] = self._undelivered[index] = image
            return
        failpoints.reach("picture-stored")
        if is_stored:
            self._images[index] = image
        else:
            await self._take_stored(index, _origin_of(image))
        if spool.goes_first or self._marking.marks_anything:
            await spool.discard(image.id)

    async def _spool_unsigned(self, image_id: str, data: bytes) -> None:
        """Keep the bytes before they are signed: that takes its time, and they may be paid for."""
        try:
            await self._stores.spool.keep(image_id, data)
        except StorageUnavailableError as error:
            log.warning("a picture is signed before it is kept", extra={"image_id": image_id, "why": str(error)})

    async def _marked_late(self, index: int, image: Image, data: bytes) -> tuple[Image, bytes]:
        """Sign what a crash or an outage left unsigned in the spool."""
        draft = Draft(image_id=image.id, original=data, data=data, made_as=image.format, kept_as=image.format)
        marked = await self._marking.mark_late(draft, self._model and self._model.maker(image.model))
        if marked is data:
            return image, data
        image = replace(image, size_bytes=len(marked), sha256=await digest(marked))
        self._images[index] = image
        return image, marked

    async def _set_aside(self, picture: MadePicture, why: str) -> None:
        """Keep the bytes of a picture that can't be shown for the operator: they may be paid for."""
        image_id = self._plan.image_ids[picture.index]
        if len(picture.data) <= limits.MAX_STORED_BYTES:
            await self._stores.spool.set_aside(image_id, picture.data)
        facts = {"generation_id": self._generation.id, "image_id": image_id, "model": self._generation.model}
        log.error("a picture can't be shown; its bytes are set aside in the spool", extra={**facts, "why": why})
        message = "The model's picture can't be shown. Its bytes are kept for the operator of the service."
        self.miss(MissingPicture(index=picture.index, reason=ProviderUnavailableError.reason, message=message))

    async def _spool(self, image: Image, data: bytes) -> None:
        await self._stores.spool.keep(image.id, data)
        failpoints.reach("picture-spooled")

    async def _put(self, image: Image, data: bytes) -> bool:
        """Store the bytes; tell whether the store has them now, and not others that came first."""
        try:
            await self._stores.blobs.put(image.id, data, image.format.content_type)
        except BlobExistsError:
            return False
        return True

    async def _take_stored(self, index: int, origin: "_Origin") -> None:
        """Take the picture as the store has it."""
        image = await self._facts(index, await self._stored(self._plan.image_ids[index]), origin)
        if image is not None:
            self._images[index] = image
            return
        log.error("the bytes of a picture are lost", extra={"image_id": self._plan.image_ids[index]})
        self._images.pop(index, None)
        reason = StorageUnavailableError.reason
        self.miss(MissingPicture(index=index, reason=reason, message="The picture was made, and its bytes were lost."))

    async def _facts(self, index: int, data: bytes | None, origin: "_Origin") -> Image | None:
        """Return the facts of bytes that another worker kept; ``None`` when there are none, or no picture."""
        if data is None:
            return None
        try:
            info = await self._stores.codec.verify(data)
        except InvalidPictureError:
            log.exception("what was kept is no picture", extra={"image_id": self._plan.image_ids[index]})
            return None
        await self._marking.look(self._plan.image_ids[index], data)
        return await self._described(index, data, info, origin)

    async def _stored(self, image_id: str) -> bytes | None:
        try:
            return await self._stores.blobs.read(image_id)
        except BlobNotFoundError:
            return None

    def _origin(self, index: int, maker: ModelCapabilities | None) -> "_Origin":
        if maker is None:
            return _Origin(self._generation.model)
        return _Origin(maker.id, (self._plan.seed + index) % (limits.MAX_SEED + 1) if maker.seeds else None)

    async def _image_of(self, picture: MadePicture) -> tuple[Image, bytes]:
        data, wanted = picture.data, self._plan.task.output_format
        if len(data) > limits.MAX_STORED_BYTES:
            raise InvalidPictureError("larger than is kept")
        ready = await self._ready(picture, wanted)
        data, info, made_as = ready.data, ready.info, ready.made_as
        self._require_promised_size(info)
        origin = _Origin(picture.model_id or self._generation.model, picture.seed)
        draft = Draft(
            image_id=self._plan.image_ids[picture.index],
            original=picture.data if made_as else data,
            data=data,
            made_as=made_as or info.format,
            kept_as=info.format,
        )
        if self._marking.marks_anything:
            await self._spool_unsigned(draft.image_id, data)
        data = await self._marking.mark(draft, self._model and self._model.maker(origin.model_id))
        return await self._described(picture.index, data, info, origin), data

    async def _ready(self, picture: MadePicture, wanted: OutputFormat | None) -> ReadyPicture:
        """Return the picture as it is kept; what a model encoded itself as it was asked needs no look."""
        if picture.info is not None and wanted in (None, picture.info.format):
            return ReadyPicture(picture.data, picture.info, made_as=picture.info.format)
        return await self._stores.codec.kept(picture.data, wanted)

    def _require_promised_size(self, info: PictureInfo) -> None:
        """Refuse an upscale by another factor than was asked for: its parameters would tell a lie."""
        task = self._plan.task
        if not isinstance(task, UpscaleTask):
            return
        source, made = self._generation.inputs[0], sorted((info.width, info.height))
        promised = sorted((source.width * task.upscale_factor, source.height * task.upscale_factor))
        if any(abs(got - wanted) > _ROUNDED_PIXELS + wanted // 50 for got, wanted in zip(made, promised, strict=True)):
            raise InvalidPictureError("not as large as was asked for")

    async def _described(self, index: int, data: bytes, info: PictureInfo, origin: "_Origin") -> Image:
        generation, now = self._generation, self._stores.clock()
        return Image(
            id=self._plan.image_ids[index],
            workspace_id=generation.workspace_id,
            created_by_user_id=generation.created_by_user_id,
            generation_id=generation.id,
            prompt=generation.prompt,
            model=origin.model_id,
            parameters=used_parameters(self._plan.task, info.format, origin.seed),
            input_image_ids=generation.input_image_ids,
            width=info.width,
            height=info.height,
            size_bytes=len(data),
            format=info.format,
            sha256=await digest(data),
            created_at=now,
            updated_at=now,
        )


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a picture comes from."""

    model_id: str
    seed: int | None = None


def _origin_of(image: Image) -> _Origin:
    seed = image.parameters.get("seed")
    return _Origin(image.model, seed if isinstance(seed, int) else None)


def used_parameters(task: Task, output_format: OutputFormat, seed: int | None) -> Parameters:
    """Return what was really used to make a picture, by JSON name."""
    if isinstance(task, UpscaleTask):
        return {"upscaleFactor": task.upscale_factor, "outputFormat": output_format.value, "numImages": 1}
    parameters: dict[str, str | int] = {
        "aspectRatio": task.aspect_ratio,
        "outputFormat": output_format.value,
        "numImages": task.num_images,
    }
    if seed is not None:
        parameters["seed"] = seed
    told = {"quality": task.finish.quality, "background": task.finish.background}
    return parameters | {name: value for name, value in told.items() if value}
