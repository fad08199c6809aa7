"""Marks on what is made: a manifest that says how a picture came to be, before its bytes are kept.

A picture that can't be marked is kept all the same, since it may be paid for; that is said in the generation's detail.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from limner.domain import limits
from limner.domain.derivative import Derivative
from limner.domain.errors import LimnerError
from limner.domain.image import Image, OutputFormat
from limner.domain.model import ModelCapabilities
from limner.domain.provenance import MarkKind, MarkState, Provenance, SourceType
from limner.domain.task import EditTask, GenerateTask, Generation, Plan, UnmarkedPicture, UpscaleTask
from limner.service import failpoints
from limner.service.marks import Ingredient, Making, Marks, UnmarkedError, UnreadableMarksError
from limner.service.ports import BlobNotFoundError, BlobStore

log = logging.getLogger(__name__)

_WHOLE: Final = (MarkState.TRUSTED, MarkState.VALID)
_ACTIONS: Final = {GenerateTask: "c2pa.created", EditTask: "c2pa.edited", UpscaleTask: "c2pa.resized"}
_INLINE_LOOK_BYTES: Final = 2 * limits.MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A picture about to be kept."""

    image_id: str
    original: bytes
    """As the model made it."""
    data: bytes
    """As it is to be kept: the same, or in another format."""
    made_as: OutputFormat
    kept_as: OutputFormat


class Marking:
    """Marks the pictures of one generation. What they were made from is read once."""

    def __init__(self, generation: Generation, plan: Plan, blobs: BlobStore, marks: Marks | None) -> None:
        self._generation = generation
        self._plan = plan
        self._blobs = blobs
        self._marks = marks
        self._inputs: dict[bool, list[Ingredient]] = {}
        self._unmarked: dict[str, UnmarkedPicture] = {}

    def unmarked(self, images: tuple[Image, ...]) -> tuple[UnmarkedPicture, ...]:
        """Return what of these images should be marked and is not."""
        return tuple(self._unmarked[image.id] for image in images if image.id in self._unmarked)

    @property
    def marks_anything(self) -> bool:
        """Whether pictures are signed or get a watermark."""
        return self._marks is not None and (self._marks.signs or self._marks.watermarks)

    async def mark_late(self, draft: Draft, maker: ModelCapabilities | None) -> bytes:
        """Return the bytes to keep of a picture that was to be marked before; those that are signed stay."""
        if not self.marks_anything or await _seems_signed(draft.data):
            return draft.data
        self._unmarked.pop(draft.image_id, None)
        return await self.mark(draft, maker)

    async def mark(self, draft: Draft, maker: ModelCapabilities | None) -> bytes:
        """Return the bytes to keep: signed, or as they are."""
        if self._marks is None:
            return draft.data
        try:
            return await self._marked(draft, maker, self._marks)
        except (UnmarkedError, LimnerError, BlobNotFoundError) as error:
            log.warning("a picture is kept without a mark", extra={"image_id": draft.image_id, "why": str(error)})
        except Exception:  # whatever it was, the picture may be paid for
            log.exception("a picture is kept without a mark", extra={"image_id": draft.image_id})
        self._note(draft.image_id)
        return draft.data

    async def look(self, image_id: str, data: bytes) -> None:
        """Note whether what another worker kept is marked."""
        if self._marks is not None and self._marks.signs and not await _seems_signed(data):
            self._note(image_id)

    async def _marked(self, draft: Draft, maker: ModelCapabilities | None, marks: Marks) -> bytes:
        signed = await _seems_signed(draft.original) and await _is_whole(marks, draft.original)
        if signed and draft.original == draft.data and not (marks.signs and marks.wraps):
            return draft.data
        data = await self._watermarked(draft, maker, marks)
        if not marks.signs:
            return data
        ingredients = [*await self._made_from(marks, as_parents=not signed)]
        if signed:
            name = f"{draft.image_id}-provider"
            ingredients.insert(0, await marks.ingredient(name, draft.original, draft.made_as, parent=True))
        making = self._making(draft, maker, marks, ingredients, over_provider=signed)
        data = await marks.sign(data, draft.kept_as, making)
        if len(data) > limits.MAX_STORED_BYTES:
            raise UnmarkedError("with its manifest it is larger than is kept")
        failpoints.reach("picture-signed")
        return data

    async def _watermarked(self, draft: Draft, maker: ModelCapabilities | None, marks: Marks) -> bytes:
        """Return the picture with a watermark, or without one where its model, or its provider, gives one."""
        if not marks.watermarks or (maker is not None and maker.watermarked):
            return draft.data
        try:
            return await marks.watermark(draft.data, draft.kept_as)
        except UnmarkedError as error:
            log.warning("a picture has no watermark", extra={"image_id": draft.image_id, "why": str(error)})
            self._note(draft.image_id)
            return draft.data

    def _making(
        self,
        draft: Draft,
        maker: ModelCapabilities | None,
        marks: Marks,
        ingredients: list[Ingredient],
        *,
        over_provider: bool,
    ) -> Making:
        task, trained = self._plan.task, maker is None or maker.trained
        source_type = SourceType.TRAINED_ALGORITHMIC_MEDIA if trained else SourceType.ALGORITHMIC_MEDIA
        if trained and not isinstance(task, GenerateTask):
            source_type = SourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA
        converted = "c2pa.transcoded" if draft.made_as is not draft.kept_as else "c2pa.repackaged"
        return Making(
            action=converted if over_provider else _ACTIONS[type(task)],
            title=f"{draft.image_id}.{draft.kept_as.value}",
            source_type=source_type,
            model=maker.id if maker else self._generation.model,
            model_version=maker.version if maker else "",
            ingredients=ingredients,
            told=dict(self._told(marks.told)),
        )

    def _told(self, included: frozenset[str]) -> Iterator[tuple[str, str]]:
        generation = self._generation
        facts = {
            "prompt": generation.prompt,
            "user": generation.created_by_user_id,
            "workspace": generation.workspace_id,
        }
        return ((name, text) for name, text in facts.items() if name in included and text)

    async def _made_from(self, marks: Marks, *, as_parents: bool) -> list[Ingredient]:
        """Return the inputs, of which the first is what a picture is a new form of; one after the other in memory."""
        if as_parents not in self._inputs:
            inputs = {image.id: image for image in self._generation.inputs}.values()
            self._inputs[as_parents] = [
                await marks.ingredient(
                    image.id, await self._blobs.read(image.id), image.format, parent=as_parents and number == 0
                )
                for number, image in enumerate(inputs)
            ]
        return self._inputs[as_parents]

    def _note(self, image_id: str) -> None:
        self._unmarked[image_id] = UnmarkedPicture(image_id=image_id, message="The image could not be marked.")


async def marked_derivative(
    marks: Marks | None, image: Image, data: bytes, made: bytes, derivative: Derivative
) -> bytes:
    """Return a derivative of a marked picture with a mark of its own, which names the picture; else as it was made."""
    if marks is None or not marks.signs or not await _seems_signed(data):
        return made
    try:
        source = await marks.ingredient(image.id, data, image.format, parent=True)
        action = "c2pa.resized" if derivative.width else "c2pa.transcoded"
        making = Making(action=action, title=f"{image.id}-{derivative.name}", ingredients=[source])
        return await marks.sign(made, derivative.format, making)
    except (UnmarkedError, LimnerError) as error:
        log.warning("a derivative has no mark", extra={"image_id": image.id, "why": str(error)})
        return made


async def _seems_signed(data: bytes) -> bool:
    """Tell whether it is worth looking for a manifest. Quick, and never wrong about one that is there."""
    if len(data) <= _INLINE_LOOK_BYTES:
        return b"jumb" in data and b"c2pa" in data
    return await asyncio.to_thread(lambda: b"jumb" in data and b"c2pa" in data)


async def _is_whole(marks: Marks, data: bytes) -> bool:
    try:
        found: Provenance = await marks.read(data)
    except UnreadableMarksError:
        return False
    return any(mark.kind is MarkKind.C2PA and mark.state in _WHOLE for mark in found.marks)
