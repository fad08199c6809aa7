"""What a caller asks for: a task, and the generation that keeps track of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from limner.domain.errors import Outcome
from limner.domain.image import Image, OutputFormat


class Operation(StrEnum):
    """What a task does."""

    GENERATE = "generate"
    EDIT = "edit"
    UPSCALE = "upscale"


AUTO_ASPECT_RATIO = "auto"
"""An edit's default: the shape of the first input."""

ASPECT_RATIOS: Mapping[str, tuple[int, int]] = {
    "1:1": (1, 1),
    "16:9": (16, 9),
    "9:16": (9, 16),
    "4:3": (4, 3),
    "3:4": (3, 4),
    "3:2": (3, 2),
    "2:3": (2, 3),
    "21:9": (21, 9),
    "4:5": (4, 5),
    "5:4": (5, 4),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How pictures shall be made, in the words of the models that can be told so; empty where nothing is asked."""

    quality: str = ""
    background: str = ""
    compression: int | None = None
    """The quality of a JPEG's or WebP's encoding, 0 to 100."""


AS_IT_COMES: Final = Finish()


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateTask:
    """New pictures from a prompt."""

    model_id: str
    prompt: str
    num_images: int = 1
    aspect_ratio: str = "1:1"
    output_format: OutputFormat | None = None
    """``None`` for the bytes as the model made them, or PNG when they are none of ours."""
    seed: int | None = None
    finish: Finish = AS_IT_COMES

    @property
    def operation(self) -> Operation:
        """Always ``generate``."""
        return Operation.GENERATE


@dataclass(frozen=True, slots=True, kw_only=True)
class EditTask:
    """New pictures from existing ones and a prompt."""

    model_id: str
    prompt: str
    image_ids: tuple[str, ...]
    num_images: int = 1
    aspect_ratio: str = AUTO_ASPECT_RATIO
    output_format: OutputFormat | None = None
    seed: int | None = None
    finish: Finish = AS_IT_COMES
    masked: bool = False
    """Whether the last of the pictures is a mask, whose transparent parts tell where to edit the first."""

    @property
    def operation(self) -> Operation:
        """Always ``edit``."""
        return Operation.EDIT


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleTask:
    """One existing picture, larger."""

    model_id: str
    image_id: str
    upscale_factor: int
    output_format: OutputFormat | None = None

    @property
    def operation(self) -> Operation:
        """Always ``upscale``."""
        return Operation.UPSCALE

    @property
    def prompt(self) -> str:
        """Empty: an upscale has none."""
        return ""

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The one input."""
        return (self.image_id,)

    @property
    def num_images(self) -> int:
        """Always one."""
        return 1

    @property
    def seed(self) -> int | None:
        """None: an upscale has no seed."""
        return None


Task: TypeAlias = GenerateTask | EditTask | UpscaleTask


def input_image_ids(task: Task) -> tuple[str, ...]:
    """Return the ids of the pictures that the task starts from."""
    return () if isinstance(task, GenerateTask) else task.image_ids


class GenerationState(StrEnum):
    """Where a generation stands. It leaves ``RUNNING`` once and for all."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """A purchase whose outcome nobody knows: told as a failure, never bought again, mended by a late result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPicture:
    """A picture that was asked for and not made, and why."""

    index: int
    """Position among the asked pictures, from 0."""
    reason: str
    """A value of ``ErrorReason``, such as ``CONTENT_REJECTED``."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmarkedPicture:
    """A picture that was made and kept, and should carry a mark that it does not."""

    image_id: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a generation failed, as it is told to callers and kept."""

    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    outcome: Outcome | None = None
    """What became of the purchase, where somebody can say."""
    repeatable: bool = False
    """Surely nothing was bought and a new try may end better: the same idempotency key begins anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a worker needs to do the work, or to go on with it where another worker stopped."""

    task: Task
    seed: int
    image_ids: tuple[str, ...]
    """The id of each picture, known before it is made: bytes that a crash left behind are found by it."""
    prices_micros: Mapping[str, int] = field(default_factory=dict)
    """What a picture costs in millionths of a US dollar, by the model that makes it."""
    traceparent: str = ""
    """The span that it belongs to (W3C Trace Context); empty when nobody traces it."""

    @property
    def unit_cost_micros(self) -> int:
        """The most that a picture may cost: it is reserved."""
        return max(self.prices_micros.values(), default=0)

    def cost_micros(self, images: Iterable[Image]) -> int:
        """Return what these pictures cost together."""
        return sum(self.prices_micros.get(image.model, self.unit_cost_micros) for image in images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One task of one caller, from before the model is asked until its pictures are shown."""

    id: str
    workspace_id: str
    created_by_user_id: str
    operation: Operation
    model: str
    prompt: str
    requested_images: int
    input_image_ids: tuple[str, ...] = ()
    state: GenerationState = GenerationState.RUNNING
    images: tuple[Image, ...] = ()
    inputs: tuple[Image, ...] = ()
    """The pictures that it started from, those deleted since among them."""
    missing: tuple[MissingPicture, ...] = ()
    unmarked: tuple[UnmarkedPicture, ...] = ()
    description: str = ""
    failure: Failure | None = None
    may_bill: bool = False
    """After a cancellation: whether the provider may still charge for it."""
    created_at: datetime
    updated_at: datetime
