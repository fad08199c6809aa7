"""What a picture of the ``sketch`` model costs, drawn one after another."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.report import Figure, Section
from limner.domain.image import OutputFormat
from limner.domain.task import GenerateTask, MissingPicture
from limner.models.sketch import SketchModel
from limner.service.ports import MadePicture, Order, Submission

PROMPTS = (
    "A red fox asleep in fresh snow at dawn",
    "Three sailing boats on a stormy sea at night",
    "A city street in the rain, neon lights",
    "Portrait of a cat with a hat",
    "Mountains, a lake, pine trees, autumn, golden hour",
)
RATIOS = ("1:1", "16:9", "9:16", "4:3")
AIM_MS = 150


class Received:
    """A job that throws the pictures away."""

    watched = False

    def progress(self, fraction: float) -> None: ...

    def preview(self, index: int, data: bytes, content_type: str) -> None: ...

    async def submitting(self, indexes: Sequence[int], model_id: str = "") -> Submission:
        raise NotImplementedError

    async def made(self, picture: MadePicture) -> None: ...

    def missed(self, missing: MissingPicture) -> None: ...

    def describe(self, text: str) -> None: ...


def measure() -> Section:
    return Section(
        "sketch: a picture of about one megapixel, encoded",
        [asyncio.run(drawn(output_format)) for output_format in OutputFormat],
        [f"Medians over {len(PROMPTS)} prompts in {len(RATIOS)} shapes, one picture after another; warm."],
    )


async def drawn(output_format: OutputFormat) -> Figure:
    model = SketchModel()
    await model.run(order(PROMPTS[0], "1:1", output_format), Received())
    times = []
    for seed, prompt in enumerate(PROMPTS):
        for ratio in RATIOS:
            begun = time.perf_counter()
            await model.run(order(prompt, ratio, output_format, seed), Received())
            times.append((time.perf_counter() - begun) * 1000)
    await model.close()
    median = statistics.median(times)
    return Figure(
        output_format.value, f"{median:.0f} ms", f"longest {max(times):.0f} ms", f"< {AIM_MS} ms", median < AIM_MS
    )


def order(prompt: str, ratio: str, output_format: OutputFormat, seed: int = 0) -> Order:
    task: Any = GenerateTask(model_id="sketch", prompt=prompt, aspect_ratio=ratio, output_format=output_format)
    return Order(task=task, seed=seed)
