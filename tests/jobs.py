"""Orders for models, and a job that keeps what it is told."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from limner.domain.image import Image, OutputFormat
from limner.domain.task import AUTO_ASPECT_RATIO, EditTask, GenerateTask, MissingPicture
from limner.service.ports import MadePicture, Order, Submission

MODEL = "model"


@dataclass
class RecordedSubmission:
    """One request that may cost money."""

    indexes: tuple[int, ...]
    provider_job_id: str = ""
    voided: bool = False

    async def accepted(self, provider_job_id: str) -> None:
        self.provider_job_id = provider_job_id

    async def void(self) -> None:
        self.voided = True


@dataclass
class RecordingJob:
    """A ``Job`` that keeps what it is told."""

    pictures: dict[int, MadePicture] = field(default_factory=dict)
    missing: dict[int, MissingPicture] = field(default_factory=dict)
    submissions: list[RecordedSubmission] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)
    words: str = ""
    watched: bool = False
    keeps_bytes: bool = True

    def progress(self, fraction: float) -> None:
        self.fractions.append(fraction)

    def preview(self, index: int, data: bytes, content_type: str) -> None:
        raise AssertionError("nobody watches")

    async def submitting(self, indexes: Sequence[int], model_id: str = "") -> Submission:
        self.submissions.append(RecordedSubmission(tuple(indexes)))
        return self.submissions[-1]

    async def made(self, picture: MadePicture) -> None:
        if not self.keeps_bytes:
            picture = MadePicture(index=picture.index, data=picture.data[:8], seed=picture.seed)
        self.pictures[picture.index] = picture

    def missed(self, missing: MissingPicture) -> None:
        self.missing[missing.index] = missing

    def describe(self, text: str) -> None:
        self.words = text

    @property
    def voided(self) -> int:
        """How many requests surely bought nothing."""
        return sum(each.voided for each in self.submissions)


@dataclass(frozen=True)
class StoredPicture:
    """An input whose bytes lie ready."""

    data: bytes
    format: OutputFormat = OutputFormat.PNG
    size_bytes: int = 0
    """What the facts say, when that is not the truth."""

    @property
    def image(self) -> Image:
        now = datetime.now(UTC)
        return Image(
            id="0" * 32,
            workspace_id="acme",
            created_by_user_id="ada",
            width=1,
            height=1,
            size_bytes=self.size_bytes or len(self.data),
            format=self.format,
            sha256="",
            created_at=now,
            updated_at=now,
        )

    async def read(self) -> bytes:
        return self.data

    async def stream(self) -> AsyncIterator[bytes]:
        yield await self.read()


def generate_order(
    prompt: str = "a cat",
    *,
    ratio: str = "1:1",
    count: int = 1,
    seed: int = 7,
    output_format: OutputFormat | None = OutputFormat.PNG,
) -> Order:
    """Return an order for new pictures."""
    task = GenerateTask(
        model_id=MODEL, prompt=prompt, num_images=count, aspect_ratio=ratio, output_format=output_format
    )
    return Order(task=task, seed=seed)


def edit_order(
    *inputs: StoredPicture, prompt: str = "warmer", ratio: str = AUTO_ASPECT_RATIO, count: int = 1, seed: int = 7
) -> Order:
    """Return an order for pictures from others."""
    ids = tuple(each.image.id for each in inputs)
    task = EditTask(model_id=MODEL, prompt=prompt, image_ids=ids, num_images=count, aspect_ratio=ratio)
    return Order(task=task, seed=seed, inputs=inputs)
