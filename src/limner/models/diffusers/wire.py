"""What service and worker say to each other, as in ``limner.models.conversation``.

    service → worker    Batch, each picture's inputs; Cancel
    worker → service    Ready, Steps …, Preview + bytes, Made + bytes, Missed …, Done

There is one batch at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self, TypeAlias

from limner.models.conversation import Line

Number: TypeAlias = int | float
Option: TypeAlias = Number | bool | str


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSpec:
    """What is loaded: equal ones are loaded once."""

    source: str
    """A folder, or a hub id."""
    dtype: str = ""
    """``float32``, ``float16`` or ``bfloat16``; empty for what suits the device."""
    variant: str = ""
    """What stands in the names of the weight files, such as ``fp16``."""
    download: bool = False
    pickles: bool = False
    """Whether weights may be pickles, which can hold code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What pictures of one batch have in common."""

    pipeline: PipelineSpec
    operation: str
    """``generate``, ``edit`` or ``upscale``."""
    size: tuple[int, int] = (0, 0)
    """Width and height in pixels; (0, 0) has the shape of the first input, with about ``pixels``."""
    pixels: int
    multiple: int
    """What width and height are multiples of."""
    factor: int = 0
    inputs: tuple[str, ...] = ()
    """Ids of the inputs that the size depends on."""
    arguments: tuple[tuple[str, Option], ...] = ()
    """What else the pipeline is called with, such as ``num_inference_steps``."""
    max_batch: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One picture of a batch. ``input_bytes`` are the lengths of its inputs, whose bytes follow the batch."""

    number: int
    """What the picture is called until it is made or missed."""
    prompt: str
    seed: int
    preview: bool
    input_bytes: tuple[int, ...] = ()


class Why(StrEnum):
    """Why a picture is missed."""

    CANCELLED = "cancelled"
    REJECTED = "rejected"
    """The safety checker flags it."""
    PROMPT = "prompt"
    """The prompt is longer than the model reads."""
    MEMORY = "memory"
    """Even alone it does not fit into memory."""
    INPUT = "input"
    """An input can't be read; the detail says why."""
    TOO_LARGE = "too large"
    """As a file it is larger than may be kept."""
    SETUP = "setup"
    """The pipeline can't be loaded, or not called like that."""
    FAULT = "fault"
    """Anything else, such as an input that can't be read."""


@dataclass(frozen=True, kw_only=True)
class Batch(Line):
    """Make these pictures together."""

    recipe: Recipe
    pictures: tuple[Wanted, ...]

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return the batch that has these values."""
        recipe = dict(values["recipe"])
        recipe["pipeline"] = PipelineSpec(**recipe["pipeline"])
        recipe["arguments"] = tuple((name, value) for name, value in recipe["arguments"])
        recipe["size"] = tuple(recipe["size"])
        return cls(recipe=Recipe(**recipe), pictures=tuple(Wanted(**picture) for picture in values["pictures"]))


@dataclass(frozen=True, kw_only=True)
class Cancel(Line):
    """Nobody wants these pictures any longer."""

    numbers: list[int]


@dataclass(frozen=True, kw_only=True)
class Ready(Line):
    """The pipeline is loaded and the work begins."""


@dataclass(frozen=True, kw_only=True)
class Steps(Line):
    """So many steps of these pictures are done; making a picture of what came out of them is one more."""

    numbers: list[int]
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Preview(Line):
    """A small PNG of what a picture will be follows."""

    number: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Made(Line):
    """A finished picture, as PNG, follows."""

    number: int
    size_bytes: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Missed(Line):
    """A picture will not come."""

    number: int
    why: Why
    detail: str = ""
    """The most tokens of a prompt, for ``Why.PROMPT``."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return the line that has these values."""
        return cls(**{**values, "why": Why(values["why"])})


@dataclass(frozen=True, kw_only=True)
class Done(Line):
    """All pictures of the batch are accounted for."""
