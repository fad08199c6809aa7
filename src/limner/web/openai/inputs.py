"""The pictures that an edit brings along: kept as images of the workspace, or not at all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final
from weakref import WeakValueDictionary

from limner.domain.errors import FieldViolation, InvalidFieldError, LimnerError
from limner.domain.image import Image, OutputFormat
from limner.service.caller import Caller
from limner.service.drafts import TaskDraft
from limner.service.library import ImageLibrary
from limner.web.openai.bodies import MASK, Body, ReceivedPicture, wrong

FORMS_AT_ONCE: Final = 8
"""How many edits of one user a worker receives at a time. Of others nothing is read until then."""

AT_ONCE: Final = 2
"""How many pictures a worker takes from the disk at a time: each may need 75 MiB."""


@dataclass(slots=True)
class Inputs:
    """The inputs of one edit, in order, the mask last."""

    ids: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Those that came with the request."""


def with_digests(draft: TaskDraft, body: Body) -> TaskDraft:
    """Return a draft that is the same for the same pictures, before they have ids: for keys, and to check the rest."""
    given = [*body.pictures, *([body.mask] if body.mask is not None else [])]
    named = tuple(each if isinstance(each, str) else f"sha256:{each.sha256}" for each in given)
    return replace(draft, image_ids=named, masked=body.mask is not None)


class Receiving:
    """Places for edits while they come, to each user alike: each takes up to 128 MiB of the disk, and open files."""

    def __init__(self, at_once: int = FORMS_AT_ONCE) -> None:
        self._at_once = at_once
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def place(self, user_id: str) -> AsyncIterator[None]:
        """Wait for a place of the user's and keep it while the context lasts."""
        places = self._places.get(user_id)
        if places is None:
            places = self._places[user_id] = asyncio.Semaphore(self._at_once)
        async with places:
            yield


class InputKeeper:
    """Keeps the pictures of edits in the library."""

    def __init__(self, library: ImageLibrary) -> None:
        self._library = library
        self._places = asyncio.Semaphore(AT_ONCE)

    async def keep(self, inputs: Inputs, caller: Caller, workspace_id: str, body: Body) -> None:
        """Keep what came with the request, and note it in ``inputs`` as it goes."""
        images = [await self._kept(inputs, caller, workspace_id, each) for each in body.pictures]
        if body.mask is not None:
            mask = await self._kept(inputs, caller, workspace_id, body.mask)
            _require_fitting(mask, images)

    async def discard(self, inputs: Inputs, caller: Caller, workspace_id: str, used: Sequence[str]) -> None:
        """Delete what came with the request and no generation started from: it was refused, or made before."""
        for image_id in inputs.kept:
            if image_id not in used:
                with suppress(LimnerError):  # then it stays, as any upload of the caller's
                    await self._library.delete(caller, workspace_id, image_id)

    async def _kept(
        self, inputs: Inputs, caller: Caller, workspace_id: str, picture: ReceivedPicture | str
    ) -> Image | None:
        if isinstance(picture, str):
            inputs.ids.append(picture)
            return None
        async with self._places:
            data = await picture.read()
            try:
                image = await self._library.upload(caller, workspace_id, data)
            except InvalidFieldError as error:
                raise InvalidFieldError(
                    FieldViolation(picture.param, each.description) for each in error.violations
                ) from error
        inputs.ids.append(image.id)
        inputs.kept.append(image.id)
        return image


def _require_fitting(mask: Image | None, images: Sequence[Image | None]) -> None:
    """Refuse a mask that no model would take, as far as both came along."""
    first = images[0] if images else None
    if mask is not None and mask.format is not OutputFormat.PNG:
        raise wrong(MASK, "must be a PNG")
    if mask is not None and first is not None and (mask.width, mask.height) != (first.width, first.height):
        raise wrong(MASK, f"must be {first.width}x{first.height}, as the first image, is {mask.width}x{mask.height}")
