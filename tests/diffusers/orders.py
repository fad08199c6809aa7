"""Orders for pipelines, and a job that keeps what it is told, previews too."""

import asyncio
import io
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image as Pictures

from limner.domain.image import Image, OutputFormat
from limner.domain.task import AUTO_ASPECT_RATIO, EditTask, GenerateTask, UpscaleTask
from limner.models.diffusers import DiffusersModel
from limner.service.ports import MadePicture, Order
from tests.jobs import MODEL, RecordingJob, StoredPicture


@dataclass
class Story:
    """What happened to several jobs, in its order."""

    events: list[tuple[str, float]] = field(default_factory=list)


@dataclass
class StudioJob(RecordingJob):
    """A job that tells of its steps and previews."""

    name: str = ""
    story: Story = field(default_factory=Story)
    previews: list[tuple[int, bytes]] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    fraction_at_first_picture: float = 0

    def progress(self, fraction: float) -> None:
        super().progress(fraction)
        self.story.events.append((self.name, fraction))
        if fraction > 0:
            self.began.set()

    async def made(self, picture: MadePicture) -> None:
        if not self.pictures:
            self.fraction_at_first_picture = self.fractions[-1]
        await super().made(picture)

    def preview(self, index: int, data: bytes, content_type: str) -> None:
        assert content_type == "image/png"
        self.previews.append((index, data))

    @property
    def images(self) -> list[Pictures.Image]:
        """The pictures, in their order."""
        return [opened(self.pictures[index].data) for index in sorted(self.pictures)]


@dataclass(frozen=True)
class SizedPicture(StoredPicture):
    """An input whose facts tell its size."""

    width: int = 1
    height: int = 1

    @property
    def image(self) -> Image:
        return replace(super().image, width=self.width, height=self.height)


def opened(data: bytes) -> Pictures.Image:
    picture = Pictures.open(io.BytesIO(data))
    picture.load()
    return picture


def stored(picture: Pictures.Image, file_format: str = "png", **options: object) -> SizedPicture:
    file = io.BytesIO()
    picture.save(file, file_format, **options)
    return SizedPicture(file.getvalue(), OutputFormat(file_format), width=picture.width, height=picture.height)


def generate(count: int = 1, *, seed: int = 5, ratio: str = "1:1", prompt: str = "a cat") -> Order:
    return Order(task=GenerateTask(model_id=MODEL, prompt=prompt, num_images=count, aspect_ratio=ratio), seed=seed)


def edit(
    *inputs: StoredPicture, count: int = 1, seed: int = 5, ratio: str = AUTO_ASPECT_RATIO, prompt: str = "a cat"
) -> Order:
    ids = tuple(each.image.id for each in inputs)
    task = EditTask(model_id=MODEL, prompt=prompt, image_ids=ids, num_images=count, aspect_ratio=ratio)
    return Order(task=task, seed=seed, inputs=inputs)


def upscale(source: StoredPicture, factor: int = 4) -> Order:
    task = UpscaleTask(model_id=MODEL, image_id=source.image.id, upscale_factor=factor)
    return Order(task=task, seed=5, inputs=(source,))


async def made(model: DiffusersModel, order: Order, **job: Any) -> StudioJob:
    """Run the order to its end."""
    studio_job = StudioJob(**job)
    await model.run(order, studio_job)
    return studio_job


async def begun(model: DiffusersModel, order: Order) -> "asyncio.Task[StudioJob]":
    """Start the order, and return when its first step is done."""
    job = StudioJob()

    async def run() -> StudioJob:
        await model.run(order, job)
        return job

    task = asyncio.create_task(run())
    waiting = asyncio.create_task(job.began.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    assert not task.done()
    return task
