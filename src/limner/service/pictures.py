"""The pictures of one generation: verified, brought into the asked format, and kept where a crash can't reach them."""

import logging
from collections.abc import Mapping

from limner.domain import limits
from limner.domain.errors import ProviderUnavailableError, StorageUnavailableError
from limner.domain.image import Image, OutputFormat, Parameters
from limner.domain.task import Generation, MissingPicture, Plan, Task, UpscaleTask
from limner.service import failpoints
from limner.service.ports import (
    BlobExistsError,
    BlobNotFoundError,
    InvalidPictureError,
    MadePicture,
    PictureInfo,
)
from limner.service.stores import Stores, digest

log = logging.getLogger(__name__)


class Pictures:
    """Keeps each picture under the id that the plan gave it, so that whoever takes over finds its bytes."""

    def __init__(self, generation: Generation, plan: Plan, stores: Stores, *, seeds: bool) -> None:
        self._generation = generation
        self._plan = plan
        self._seeds = seeds
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
    def open_indexes(self) -> tuple[int, ...]:
        """The indexes of the pictures that are neither kept nor known to be missing."""
        settled = self._images.keys() | self._missing.keys()
        return tuple(index for index in range(len(self._plan.image_ids)) if index not in settled)

    def miss(self, missing: MissingPicture) -> None:
        """Note that a picture will not come."""
        self._missing[missing.index] = missing

    async def keep(self, picture: MadePicture) -> None:
        """Keep a finished picture; one that is not usable becomes a missing one.

        Raises ``StorageUnavailableError`` when neither the store nor the spool takes its bytes.
        """
        failpoints.reach("picture-received")
        if picture.index in self._images:
            return
        try:
            image, data = await self._image_of(picture)
        except InvalidPictureError as error:
            log.warning("a model's picture is not usable", extra={"model": self._generation.model, "why": str(error)})
            reason = ProviderUnavailableError.reason
            self.miss(MissingPicture(index=picture.index, reason=reason, message="The model's picture is not usable."))
            return
        self._images[picture.index] = await self._store(picture.index, image, data)

    async def adopt(self) -> None:
        """Take over the pictures that another worker kept before it died."""
        for index in self.open_indexes:
            image_id = self._plan.image_ids[index]
            spooled = await self._stores.spool.read(image_id)
            data = spooled if spooled is not None else await self._stored(image_id)
            if data is None:
                continue
            info = await self._stores.codec.verify(data)
            self._images[index] = await self._described(index, data, info, self._seed_of(index))
            if spooled is not None:
                self._undelivered[index] = self._images[index]

    async def deliver(self) -> None:
        """Bring what lies in the spool to the store. Raises ``StorageUnavailableError`` when it is still down."""
        for index, image in tuple(self._undelivered.items()):
            data = await self._stores.spool.read(image.id)
            if data is not None:
                await self._stores.blobs.put(image.id, data, image.format.content_type)
                await self._stores.spool.discard(image.id)
            del self._undelivered[index]

    async def forget(self, shown: frozenset[str]) -> None:
        """Delete the bytes of those pictures that nobody will ever see."""
        for image in self._images.values():
            if image.id not in shown:
                await self._stores.spool.discard(image.id)
                await self._stores.blobs.delete(image.id)

    async def _store(self, index: int, image: Image, data: bytes) -> Image:
        """Keep the bytes and return their facts: those of another worker's bytes, where these came first."""
        spool = self._stores.spool
        if spool.goes_first:
            await spool.keep(image.id, data)
            failpoints.reach("picture-spooled")
        try:
            await self._stores.blobs.put(image.id, data, image.format.content_type)
        except BlobExistsError:
            return await self._facts_of_stored(index, image)
        except StorageUnavailableError:
            if not spool.goes_first:
                await spool.keep(image.id, data)
                failpoints.reach("picture-spooled")
            self._undelivered[index] = image
            return image
        failpoints.reach("picture-stored")
        if spool.goes_first:
            await spool.discard(image.id)
        return image

    async def _facts_of_stored(self, index: int, image: Image) -> Image:
        stored = await self._stores.blobs.read(image.id)
        info = await self._stores.codec.verify(stored)
        return await self._described(index, stored, info, self._seed_of(index))

    async def _stored(self, image_id: str) -> bytes | None:
        try:
            return await self._stores.blobs.read(image_id)
        except BlobNotFoundError:
            return None

    def _seed_of(self, index: int) -> int | None:
        return (self._plan.seed + index) % (limits.MAX_SEED + 1) if self._seeds else None

    async def _image_of(self, picture: MadePicture) -> tuple[Image, bytes]:
        data, wanted = picture.data, self._plan.task.output_format
        if len(data) > limits.MAX_STORED_BYTES:
            raise InvalidPictureError("larger than is kept")
        info = picture.info or await self._stores.codec.verify(data)
        if info.format is not wanted:
            data = await self._stores.codec.convert(data, wanted)
            info = await self._stores.codec.verify(data)
        return await self._described(picture.index, data, info, picture.seed), data

    async def _described(self, index: int, data: bytes, info: PictureInfo, seed: int | None) -> Image:
        generation, now = self._generation, self._stores.clock()
        return Image(
            id=self._plan.image_ids[index],
            workspace_id=generation.workspace_id,
            created_by_user_id=generation.created_by_user_id,
            generation_id=generation.id,
            prompt=generation.prompt,
            model=generation.model,
            parameters=used_parameters(self._plan.task, info.format, seed),
            input_image_ids=generation.input_image_ids,
            width=info.width,
            height=info.height,
            size_bytes=len(data),
            format=info.format,
            sha256=await digest(data),
            created_at=now,
            updated_at=now,
        )


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
    return parameters
