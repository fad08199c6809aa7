"""``sketch``: illustrations drawn from icons on this machine, without a neural network, weights or a network."""

import asyncio
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError, OverloadedError
from limner.domain.image import OutputFormat
from limner.domain.model import ModelCapabilities
from limner.domain.task import ASPECT_RATIOS, AUTO_ASPECT_RATIO, EditTask, GenerateTask, Operation
from limner.imaging.encoding import Effort
from limner.service.executor import BoundedExecutor
from limner.service.ports import InvalidPictureError, Job, MadePicture, Order, PictureInfo

SEEDS: Final = limits.MAX_SEED + 1
MAX_INPUT_IMAGES: Final = 4

_PIXELS: Final = 1024 * 1024
_STEP: Final = 2
"""Edges are a ratio's numbers times a multiple of this."""


_MOST_PIXELS: Final = 4 * 1024 * 1024
"""Larger inputs of edits are made smaller."""

_EFFORT: Final = Effort(jpeg_quality=90, webp_quality=88, webp_method=1)


@dataclass(frozen=True, slots=True)
class _Made:
    data: bytes
    info: PictureInfo
    description: str


def sketch_capabilities(model_id: str = "sketch") -> ModelCapabilities:
    """Return what the model can do."""
    return ModelCapabilities(
        id=model_id,
        description="A drawn illustration from icons, no neural network. Free, offline, reads English.",
        operations=(Operation.GENERATE, Operation.EDIT),
        aspect_ratios=(*ASPECT_RATIOS, AUTO_ASPECT_RATIO),
        max_input_images=MAX_INPUT_IMAGES,
        seeds=True,
        price_usd=Decimal(0),
        local=True,
        trained=False,
        concurrency=16,  # more orders than threads: their rows and bytes are kept while others are drawn
    )


class SketchModel:
    """An ``ImageModel`` that draws what it knows icons and colours for, and says what it did not draw.

    ``threads`` pictures are drawn at a time, from ``threads`` orders or one; ``queue`` more orders may wait,
    and what comes then is refused.
    """

    def __init__(self, *, capabilities: ModelCapabilities | None = None, threads: int = 2, queue: int = 64) -> None:
        self._capabilities = capabilities or sketch_capabilities()
        self._free_orders = threads + queue
        # One more than threads: a picture is kept while the next is drawn. Finished pictures do not pile up.
        self._places = asyncio.Semaphore(threads + 1)
        # Pictures whose order was cancelled end in their threads; those that follow wait here meanwhile.
        self._executor = BoundedExecutor("sketch", threads=threads, queue=self._free_orders)

    @property
    def capabilities(self) -> ModelCapabilities:
        """What it can do."""
        return self._capabilities

    def unready_reason(self) -> str:
        """Return an empty text: all it needs is in the package."""
        return ""

    async def run(self, order: Order, job: Job) -> None:
        """Make the pictures. Cancelled, it starts no other one; one that is being drawn ends unseen."""
        if self._free_orders <= 0:
            raise OverloadedError
        self._free_orders -= 1
        try:
            await self._make_all(order, job)
        finally:
            self._free_orders += 1

    async def close(self) -> None:
        """Refuse what waits and end the threads."""
        self._executor.close()

    async def _make_all(self, order: Order, job: Job) -> None:
        job.progress(0.0)
        indexes = range(order.task.num_images)
        making = [asyncio.create_task(self._make(index, order, job)) for index in indexes]
        try:
            for done, picture in enumerate(asyncio.as_completed(making), 1):
                await picture
                job.progress(done / len(making))
        finally:
            for task in making:
                task.cancel()
            await asyncio.gather(*making, return_exceptions=True)

    async def _make(self, index: int, order: Order, job: Job) -> None:
        async with self._places:
            inputs = [await each.read() for each in order.inputs]
            seed = (order.seed + index) % SEEDS
            made = await self._executor.run(_draw, order, inputs, seed)
            if index == 0:
                job.describe(made.description)
            await job.made(MadePicture(index=index, data=made.data, seed=seed, info=made.info))


def canvas_size(aspect_ratio: str) -> tuple[int, int]:
    """Return width and height in pixels: exactly this ratio, about one megapixel."""
    wide, high = ASPECT_RATIOS[aspect_ratio]
    factor = round(math.sqrt(_PIXELS / (wide * high)) / _STEP) * _STEP
    return wide * factor, high * factor


# What follows runs in a thread.


def _draw(order: Order, inputs: list[bytes], seed: int) -> _Made:
    # Icons, Pillow and ThorVG are loaded for the first picture, not at the start of the service.
    import sketch
    from limner.imaging.decoding import decoded
    from limner.imaging.encoding import encoded
    from limner.imaging.framing import in_shape

    task = order.task
    if isinstance(task, GenerateTask):
        painted = sketch.paint(task.prompt, canvas_size(task.aspect_ratio), seed)
        picture = painted.picture
    elif isinstance(task, EditTask):
        try:
            pictures = [decoded(data, most_pixels=_MOST_PIXELS).coloured for data in inputs]
        except InvalidPictureError as error:
            raise InvalidFieldError([FieldViolation("imageIds", f"a picture can't be read: {error}")]) from error
        painted = sketch.edit(task.prompt, pictures, ASPECT_RATIOS.get(task.aspect_ratio), seed)
        is_auto = task.aspect_ratio == AUTO_ASPECT_RATIO
        picture = in_shape(painted.picture, pictures[0].size) if is_auto else painted.picture
    else:
        raise TypeError(f"sketch can not {task.operation}")
    ready = encoded(picture, task.output_format or OutputFormat.PNG, effort=_EFFORT)
    return _Made(ready.data, ready.info, painted.description)
