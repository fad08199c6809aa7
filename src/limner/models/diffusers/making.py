"""Makes one batch after another, and tells of each step and picture. Runs in the worker process."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch

from limner.models.conversation import Line
from limner.models.diffusers.memory import give_back, is_out_of_memory
from limner.models.diffusers.pictures import decoded, is_black, padded, png
from limner.models.diffusers.pipelines import Outcome, Pipeline, Pipelines, SetupError, Subject
from limner.models.diffusers.sizes import size_for
from limner.models.diffusers.wire import (
    Batch,
    Made,
    Missed,
    PipelineSpec,
    Preview,
    Ready,
    Recipe,
    Steps,
    Wanted,
    Why,
)
from limner.service.ports import InvalidPictureError

_PREVIEWS: Final = 3
"""How many a picture has on its way."""

_log = logging.getLogger(__name__)


class Cancelled(Exception):  # noqa: N818 - no error
    """Nobody wants the pictures of this call any longer."""


class Service(Protocol):
    """The other end."""

    def wants(self, number: int) -> bool:
        """Whether somebody still waits for this picture."""

    def tell(self, line: Line, data: bytes = b"") -> None:
        """Send a line, and the bytes that follow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A picture that is about to be made."""

    wanted: Wanted
    subject: Subject
    size: tuple[int, int]
    """What the pipeline is asked for."""
    crop: tuple[int, int]
    """What of the result, from its upper left corner, is the picture."""


class Studio:
    """Makes pictures on one device."""

    def __init__(self, device: str, service: Service) -> None:
        self._pipelines = Pipelines(device)
        self._service = service
        self._most_pixels: dict[PipelineSpec, int] = {}
        """How many pixels a pipeline makes at a time, where memory was short before."""

    def make(self, batch: Batch, inputs: Sequence[Sequence[bytes]]) -> None:
        """Make or miss every picture of the batch. What is raised was not expected: this process should end."""
        try:
            pipeline = self._pipelines.get(batch.recipe.pipeline)
        except Exception as error:
            self._miss(batch.pictures, _why(error))
            return
        self._service.tell(Ready())
        prepared = (self._prepared(pipeline, batch.recipe, *each) for each in zip(batch.pictures, inputs, strict=True))
        self._make_in_turn(pipeline, batch.recipe, [each for each in prepared if each])

    def _prepared(self, pipeline: Pipeline, recipe: Recipe, wanted: Wanted, data: Sequence[bytes]) -> Prepared | None:
        """Return the picture with its inputs decoded, or miss it."""
        try:
            most = pipeline.most_tokens(wanted.prompt)
            images = tuple(decoded(each) for each in data)
        except InvalidPictureError as error:
            self._miss([wanted], Why.INPUT, str(error))
            return None
        except Exception as error:
            self._miss([wanted], _why(error))
            return None
        if most:
            self._miss([wanted], Why.PROMPT, str(most))
            return None
        subject = Subject(prompt=wanted.prompt, seed=wanted.seed, images=images)
        if not recipe.factor:
            size = recipe.size if any(recipe.size) else size_for(images[0].size, recipe.pixels, recipe.multiple)
            return Prepared(wanted=wanted, subject=subject, size=size, crop=size)
        width, height = images[0].size
        larger = padded(images[0], recipe.multiple)
        return Prepared(
            wanted=wanted,
            subject=Subject(prompt=wanted.prompt, seed=wanted.seed, images=(larger,)),
            size=larger.size,
            crop=(width * recipe.factor, height * recipe.factor),
        )

    def _make_in_turn(self, pipeline: Pipeline, recipe: Recipe, waiting: list[Prepared]) -> None:
        """Make as many pictures at a time as memory holds; when that is none, miss one."""
        while waiting := self._still_wanted(waiting):
            pixels = waiting[0].size[0] * waiting[0].size[1]
            count = max(1, self._most_pixels.get(recipe.pipeline, len(waiting) * pixels) // pixels)
            chunk = waiting[:count]
            outcomes = self._outcomes(pipeline, recipe, chunk)
            if outcomes is not None:
                self._hand_over(pipeline, recipe, chunk, outcomes)
            elif self._pipelines.drop_others(recipe.pipeline):
                continue
            elif len(chunk) > 1:
                self._most_pixels[recipe.pipeline] = len(chunk) // 2 * pixels
                continue
            else:
                self._miss([chunk[0].wanted], Why.MEMORY)
            waiting = waiting[len(chunk) :]

    def _still_wanted(self, waiting: list[Prepared]) -> list[Prepared]:
        self._miss([each.wanted for each in waiting if not self._service.wants(each.wanted.number)], Why.CANCELLED)
        return [each for each in waiting if self._service.wants(each.wanted.number)]

    def _outcomes(
        self, pipeline: Pipeline, recipe: Recipe, chunk: Sequence[Prepared]
    ) -> Sequence[Outcome | Why] | None:
        """Return what comes out for each picture, or ``None`` when memory is too short for them together."""
        numbers = [each.wanted.number for each in chunk]

        def on_step(done: int, total: int, latents: torch.Tensor | None) -> None:
            if not any(self._service.wants(number) for number in numbers):
                raise Cancelled
            self._service.tell(Steps(numbers=numbers, done=min(done, total), total=total))
            if latents is not None and len(latents) == len(chunk) and done in _preview_steps(total):
                self._preview(pipeline, chunk, latents)

        try:
            return pipeline.make([each.subject for each in chunk], chunk[0].size, dict(recipe.arguments), on_step)
        except Cancelled:
            return [Why.CANCELLED] * len(chunk)
        except Exception as error:
            why = _why(error)
        give_back()  # here, where the failed call's memory is free
        return None if why is Why.MEMORY else [why] * len(chunk)

    def _hand_over(
        self, pipeline: Pipeline, recipe: Recipe, chunk: Sequence[Prepared], outcomes: Sequence[Outcome | Why]
    ) -> None:
        for each, outcome in zip(chunk, outcomes, strict=True):
            result = self._checked(pipeline, recipe, each, outcome)
            if isinstance(result, Why):
                self._miss([each.wanted], result)
                continue
            image = result.image.crop((0, 0, *each.crop))
            try:
                data = png(image)
            except InvalidPictureError:
                self._miss([each.wanted], Why.TOO_LARGE)
                continue
            made = Made(number=each.wanted.number, size_bytes=len(data), width=image.width, height=image.height)
            self._service.tell(made, data)

    def _checked(self, pipeline: Pipeline, recipe: Recipe, each: Prepared, outcome: Outcome | Why) -> Outcome | Why:
        """Return what came out, or why it is not handed over."""
        if isinstance(outcome, Why):
            return outcome
        if not self._service.wants(each.wanted.number):
            return Why.CANCELLED
        if outcome.flagged:
            return Why.REJECTED
        if not recipe.factor and is_black(outcome.image):
            return Why.REJECTED if pipeline.has_checker else Why.FAULT
        return outcome

    def _preview(self, pipeline: Pipeline, chunk: Sequence[Prepared], latents: torch.Tensor) -> None:
        for each, latent in zip(chunk, latents, strict=True):
            if each.wanted.preview and pipeline.colours and (data := pipeline.colours.picture(latent)):
                self._service.tell(Preview(number=each.wanted.number, size_bytes=len(data)), data)

    def _miss(self, pictures: Iterable[Wanted], why: Why, detail: str = "") -> None:
        for wanted in pictures:
            self._service.tell(Missed(number=wanted.number, why=why, detail=detail))


def _preview_steps(total: int) -> set[int]:
    return {total * part // (_PREVIEWS + 1) for part in range(1, _PREVIEWS + 1)}


def _why(error: Exception) -> Why:
    """Return why a picture can't be made; raise what tells that this process can't use its device any longer."""
    if is_out_of_memory(error):
        return Why.MEMORY
    if isinstance(error, SetupError):
        _log.error("%s", error)
        return Why.SETUP
    if isinstance(error, torch.AcceleratorError):
        raise error
    _log.error("a pipeline failed", exc_info=error)
    return Why.FAULT
