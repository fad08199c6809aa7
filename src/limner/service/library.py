"""The pictures of a workspace: bringing one's own, looking, listing, deleting."""

import asyncio
import logging
from dataclasses import replace

from limner.domain import limits
from limner.domain.errors import FieldViolation, ImageNotFoundError, InvalidFieldError, LimnerError
from limner.domain.identifiers import is_id, new_id
from limner.domain.image import Cursor, Image, ImageFilter, ImagePage, Retention
from limner.domain.usage import Quota, Usage
from limner.service import failpoints, policy
from limner.service.caller import Caller
from limner.service.instruments import EXPIRED_IMAGES
from limner.service.ports import InvalidPictureError
from limner.service.stores import Stores, digest
from limner.service.turns import FairTurns

log = logging.getLogger(__name__)

PURGE_INTERVAL_S = 60.0
_PURGE_BATCH = 100
_MAX_WAITING_UPLOADS = 64
"""Of one workspace."""


class ImageLibrary:
    """The image calls."""

    def __init__(self, stores: Stores, *, quota: Quota | None = None, decoded_at_once: int = 1) -> None:
        """``decoded_at_once`` uploads are decoded at a time, workspaces in turn: fewer than the codec has threads, so
        that the uploads of one workspace hold up neither those of others nor pictures that were paid for.
        """
        self._stores = stores
        self._quota = quota or Quota()
        self._decoding = FairTurns(decoded_at_once, queue=_MAX_WAITING_UPLOADS)

    async def upload(self, caller: Caller, workspace_id: str, data: bytes) -> Image:
        """Keep a caller's own picture: its bytes first, then the row that shows them."""
        if len(data) > limits.MAX_UPLOAD_BYTES:
            raise _wrong_picture(f"must have at most {limits.MAX_UPLOAD_BYTES:,} bytes, has {len(data):,}")
        try:
            async with self._decoding.turn(workspace_id):
                ready = await self._stores.codec.received(data)
        except InvalidPictureError as error:
            raise _wrong_picture(str(error)) from error
        now = self._stores.clock()
        image = Image(
            id=new_id(),
            workspace_id=workspace_id,
            created_by_user_id=caller.user_id,
            width=ready.info.width,
            height=ready.info.height,
            size_bytes=len(ready.data),
            format=ready.info.format,
            sha256=await digest(ready.data),
            created_at=now,
            updated_at=now,
        )
        await self._stores.blobs.put(image.id, ready.data, image.format.content_type)
        failpoints.reach("upload-stored")
        await self._stores.repository.add_image(image)
        return image

    async def image(self, workspace_id: str, image_id: str) -> Image:
        """Return the facts about an image."""
        image = await self._stores.repository.image(workspace_id, image_id) if is_id(image_id) else None
        if image is None:
            raise ImageNotFoundError
        return image

    async def images(self, workspace_id: str, where: ImageFilter, after: Cursor | None, limit: int) -> ImagePage:
        """Return a page of images, newest first."""
        if not _names_something(where):
            return ImagePage((), None)
        return await self._stores.repository.list_images(workspace_id, where, after, limit)

    async def delete(self, caller: Caller, workspace_id: str, image_id: str) -> None:
        """Delete an image, and the bytes that nothing needs any longer."""
        image = await self.image(workspace_id, image_id)
        policy.require_creator_or_admin(caller, image)
        await self._delete(image)

    async def expire(self, usual: Retention, limit: int) -> int:
        """Delete up to ``limit`` images that their workspaces do not keep any longer; return how many they were.

        ``usual`` is for workspaces that have no time of their own.
        """
        expired = await self._stores.repository.expired_images(usual, self._stores.clock(), limit)
        for image in expired:
            await self._delete(image)
            EXPIRED_IMAGES.add(1)
        return len(expired)

    async def _delete(self, image: Image) -> None:
        workspace_id, image_id = image.workspace_id, image.id
        unneeded = await self._stores.repository.delete_image(workspace_id, image_id, self._stores.clock())
        failpoints.reach("images-deleted")
        try:
            await self._purge(unneeded)
        except LimnerError as error:
            log.warning("bytes of deleted images are purged later", extra={"reason": error.reason})

    async def usage(self, workspace_id: str) -> Usage:
        """Return what the workspace used in the running month, and may use."""
        repository = self._stores.repository
        used = await repository.usage(workspace_id, f"{self._stores.clock():%Y-%m}")
        return replace(used, quota=await repository.quota(workspace_id) or self._quota)

    async def keep_purging(self) -> None:
        """Delete, again and again, the bytes that a crash or an outage left behind. Never returns."""
        while True:
            try:
                while unneeded := await self._stores.repository.images_to_purge(_PURGE_BATCH):
                    await self._purge(unneeded)
            except LimnerError as error:
                log.warning("deleted images are not purged", extra={"reason": error.reason})
            await asyncio.sleep(PURGE_INTERVAL_S)

    async def _purge(self, image_ids: tuple[str, ...]) -> None:
        """Delete the bytes first, so that a crash between leaves a mark to purge again."""
        for image_id in image_ids:
            await self._stores.blobs.delete(image_id)
        if image_ids:
            failpoints.reach("bytes-purged")
            await self._stores.repository.mark_purged(image_ids)


def _names_something(where: ImageFilter) -> bool:
    """Tell whether the filter's values could be ids at all; the database is never asked for others."""
    return (not where.generation_id or is_id(where.generation_id)) and where.created_by_user_id.isprintable()


def _wrong_picture(problem: str) -> InvalidFieldError:
    return InvalidFieldError([FieldViolation("picture", problem)])
