"""What is said of a picture's marks: of images that are kept here, and of any file."""

import asyncio
from dataclasses import replace
from typing import Final

from limner.domain import limits
from limner.domain.errors import (
    FieldViolation,
    ImageNotFoundError,
    InvalidFieldError,
    OverloadedError,
    ProviderMisconfiguredError,
)
from limner.domain.identifiers import is_id
from limner.domain.image import Image
from limner.domain.provenance import GENERATOR, Mark, Marker, MarkIngredient, MarkState, Provenance
from limner.service.marks import Marks, UnreadableMarksError
from limner.service.ports import BlobNotFoundError
from limner.service.stores import Stores

LOOKS_AT_ONCE: Final = 4
"""How many pictures a worker holds in memory to look at their marks."""

LOOKS_WAITING: Final = 64


class ProvenanceReader:
    """The calls that tell marks."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._places = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._asking = 0

    async def of_image(self, workspace_id: str, image_id: str) -> Provenance:
        """Tell the marks of an image as it is stored."""
        marks, repository = self._marks(), self._stores.repository
        image = await repository.image(workspace_id, image_id) if is_id(image_id) else None
        if image is None:
            raise ImageNotFoundError
        if self._asking >= LOOKS_AT_ONCE + LOOKS_WAITING:
            raise OverloadedError
        self._asking += 1
        try:
            async with self._places:
                found = await marks.read(await self._stores.blobs.read(image.id))
        except BlobNotFoundError as error:
            raise ImageNotFoundError from error
        finally:
            self._asking -= 1
        return await self._located(_attributed(found, image), workspace_id)

    async def of_picture(self, workspace_id: str, data: bytes) -> Provenance:
        """Tell the marks of any picture; nothing of it is kept."""
        marks = self._marks()
        if len(data) > limits.MAX_UPLOAD_BYTES:
            raise _wrong(f"must have at most {limits.MAX_UPLOAD_BYTES:,} bytes, has {len(data):,}")
        try:
            found = await marks.read(data)
        except UnreadableMarksError as error:
            raise _wrong(str(error)) from error
        return await self._located(found, workspace_id)

    def _marks(self) -> Marks:
        if self._stores.marks is None:
            raise ProviderMisconfiguredError("This service can't look at marks: limner[provenance] is not installed.")
        return self._stores.marks

    async def _located(self, found: Provenance, workspace_id: str) -> Provenance:
        """Leave only such ids that a manifest of our own names and that are images of the workspace."""
        return replace(found, marks=tuple([await self._mark(each, workspace_id) for each in found.marks]))

    async def _mark(self, mark: Mark, workspace_id: str) -> Mark:
        believed = mark.by is Marker.LIMNER and mark.state in (MarkState.TRUSTED, MarkState.VALID)
        known: dict[str, bool] = {}
        for image_id in {each.image_id for each in mark.ingredients} if believed else ():
            there = is_id(image_id) and await self._stores.repository.image(workspace_id, image_id) is not None
            known[image_id] = there
        return replace(mark, ingredients=tuple(_named(each, known) for each in mark.ingredients))


def _named(ingredient: MarkIngredient, known: dict[str, bool]) -> MarkIngredient:
    return ingredient if known.get(ingredient.image_id) else replace(ingredient, image_id="")


def _attributed(found: Provenance, image: Image) -> Provenance:
    """Say that the provider made what is marked, was made here, and was not marked by us."""
    if not image.model:
        return found
    return replace(found, marks=tuple(_provided(each) for each in found.marks))


def _provided(mark: Mark) -> Mark:
    ours = mark.by is Marker.LIMNER or mark.generator == GENERATOR
    return mark if ours or mark.state is MarkState.ABSENT else replace(mark, by=Marker.PROVIDER)


def _wrong(problem: str) -> InvalidFieldError:
    return InvalidFieldError([FieldViolation("picture", problem)])
