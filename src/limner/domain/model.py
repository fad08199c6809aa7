"""What a model can do, and whether a task fits it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final, Self

from limner.domain import limits
from limner.domain.errors import FieldViolation
from limner.domain.image import OutputFormat
from limner.domain.task import ASPECT_RATIOS, AUTO_ASPECT_RATIO, EditTask, Finish, Operation, Task, UpscaleTask

TRANSPARENT: Final = "transparent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCapabilities:
    """One entry of the catalogue."""

    id: str
    description: str
    operations: tuple[Operation, ...]
    aspect_ratios: tuple[str, ...] = tuple(ASPECT_RATIOS)
    """What it can draw; ``auto`` among them when edits may keep their input's shape."""
    output_formats: tuple[OutputFormat, ...] = tuple(OutputFormat)
    max_images: int = limits.MAX_IMAGES_PER_TASK
    max_input_images: int = 0
    upscale_factors: tuple[int, ...] = ()
    max_prompt_chars: int = limits.MAX_PROMPT_CHARS
    seeds: bool = False
    """Whether a seed reproduces a picture."""
    qualities: tuple[str, ...] = ()
    """The qualities that it can be asked for, in its vendor's words."""
    backgrounds: tuple[str, ...] = ()
    """The backgrounds that it can be asked for, in its vendor's words."""
    compresses: bool = False
    """Whether it can be told how much to compress a JPEG or WebP."""
    masks: bool = False
    """Whether an edit can be told by a mask where to edit."""
    price_usd: Decimal | None = None
    """Per picture; ``None`` when unknown."""
    local: bool = False
    """Made on this machine: free to stop, so a caller who leaves before the end stops it."""
    concurrency: int = 0
    """How many tasks it works on side by side in one worker; more wait in turn. 0 for no bound."""
    max_waiting: int = 256
    """How many tasks of one workspace wait for their turn; more are refused."""
    trained: bool = True
    """Whether it is a trained model; a program that draws by rules is none."""
    watermarked: bool = False
    """Whether its pictures carry a watermark of its maker's, so that none of ours is put over it."""
    version: str = ""
    """As manifests tell it beside the id."""
    retires: date | None = None
    fallback: "tuple[ModelCapabilities, ...]" = ()
    """Models that are asked in its place when surely nothing was bought."""

    def violations(self, task: Task) -> Iterator[FieldViolation]:
        """Yield what of the task this model can't do, naming the field and what it can do."""
        if task.operation not in self.operations:
            yield FieldViolation("modelId", f"{self.id} can {_listed(self.operations)}, not {task.operation}")
            return
        if task.output_format is not None:
            yield from _unless_in("outputFormat", task.output_format, self.output_formats)
        if isinstance(task, UpscaleTask):
            yield from _unless_in("upscaleFactor", task.upscale_factor, self.upscale_factors)
            return
        yield from _unless_in("aspectRatio", task.aspect_ratio, self._ratios_for(task))
        if task.num_images > self.max_images:
            yield FieldViolation("numImages", f"{self.id} makes at most {self.max_images}")
        if len(task.prompt) > self.max_prompt_chars:
            yield FieldViolation("prompt", f"{self.id} takes at most {self.max_prompt_chars} characters")
        if task.seed is not None and not self.seeds:
            yield FieldViolation("seed", f"{self.id} has no seeds")
        if isinstance(task, EditTask) and len(task.image_ids) - task.masked > self.max_input_images:
            yield FieldViolation("imageIds", f"{self.id} takes at most {self.max_input_images} images")
        if isinstance(task, EditTask) and task.masked and not self.masks:
            yield FieldViolation("mask", f"{self.id} takes no mask")
        yield from self._finish_violations(task.finish, task.output_format)

    def _finish_violations(self, finish: Finish, output_format: OutputFormat | None) -> Iterator[FieldViolation]:
        for name, value, allowed in (
            ("quality", finish.quality, self.qualities),
            ("background", finish.background, self.backgrounds),
        ):
            if value and not allowed:
                yield FieldViolation(name, f"{self.id} can't be told its {name}")
            elif value:
                yield from _unless_in(name, value, allowed)
        if finish.background == TRANSPARENT in self.backgrounds and output_format is OutputFormat.JPEG:
            yield FieldViolation("background", "a JPEG can't be transparent")
        if finish.compression is not None and not self.compresses:
            yield FieldViolation("outputCompression", f"{self.id} can't be told how much to compress")
        elif finish.compression is not None and output_format in (None, OutputFormat.PNG):
            text = "only goes with outputFormat jpeg or webp: a PNG is always compressed without loss"
            yield FieldViolation("outputCompression", text)

    def overridden(self, overrides: Mapping[str, Any]) -> Self:
        """Return the entry with an operator's words, by field, in place of what is known.

        Raises ``ValueError`` for operations, aspect ratios, factors or seeds that the model hasn't got.
        """
        for name in ("operations", "aspect_ratios", "upscale_factors"):
            known = getattr(self, name)
            if lacking := [each for each in overrides.get(name, ()) if each not in known]:
                raise ValueError(f"{name}: the model has {_listed(known) or 'none'}, not {_listed(lacking)}")
        if overrides.get("seeds") and not self.seeds:
            raise ValueError("seeds: the model has none")
        return replace(self, **overrides)

    def maker(self, model_id: str) -> "ModelCapabilities | None":
        """Return this model or that one of its fallback with the id, or ``None``."""
        return next((each for each in (self, *self.fallback) if each.id == model_id), None)

    def _ratios_for(self, task: Task) -> tuple[str, ...]:
        if isinstance(task, EditTask):
            return self.aspect_ratios
        return tuple(ratio for ratio in self.aspect_ratios if ratio != AUTO_ASPECT_RATIO)


def _unless_in(field: str, value: object, allowed: Iterable[object]) -> Iterator[FieldViolation]:
    allowed = tuple(allowed)
    if value not in allowed:
        yield FieldViolation(field, f"must be one of {_listed(allowed)}")


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)
