"""The embedded model ``sketch`` behind its port: orders in, pictures, progress and words out."""

import asyncio
import io
import math
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
from PIL import Image as Pillow

from limner.domain.errors import OverloadedError
from limner.domain.image import OutputFormat
from limner.domain.task import ASPECT_RATIOS, EditTask, GenerateTask
from limner.models.sketch import SketchModel
from limner.service.ports import InputPicture, MadePicture, Order, Submission


@dataclass
class RecordingJob:
    """A job that keeps what it is told."""

    pictures: dict[int, MadePicture] = field(default_factory=dict)
    fractions: list[float] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    first: asyncio.Event = field(default_factory=asyncio.Event)

    def progress(self, fraction: float) -> None:
        self.fractions.append(fraction)

    def preview(self, index: int, data: bytes, content_type: str) -> None:
        raise AssertionError("sketch has no previews")

    async def submitting(self, indexes: Sequence[int], model_id: str = "") -> Submission:
        raise AssertionError("sketch buys nothing")

    @property
    def watched(self) -> bool:
        return True

    async def made(self, picture: MadePicture) -> None:
        await asyncio.sleep(0)
        self.pictures[picture.index] = picture
        self.first.set()

    def missed(self, missing: object) -> None:
        raise AssertionError("sketch misses nothing")

    def describe(self, text: str) -> None:
        self.words.append(text)


class StoredPicture:
    """An input whose bytes lie ready."""

    image = None

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self) -> bytes:
        return self._data

    async def stream(self) -> AsyncIterator[bytes]:
        yield self._data


@pytest.fixture
async def model() -> AsyncIterator[SketchModel]:
    model = SketchModel(threads=1, queue=4)
    yield model
    await model.close()


def order_for(prompt: str, *, seed: int = 1, **fields: object) -> Order:
    return Order(task=GenerateTask(model_id="sketch", prompt=prompt, **fields), seed=seed)  # type: ignore[arg-type]


def edit_for(prompt: str, *inputs: bytes, seed: int = 1, **fields: object) -> Order:
    pictures: tuple[InputPicture, ...] = tuple(StoredPicture(data) for data in inputs)  # type: ignore[misc]
    task = EditTask(model_id="sketch", prompt=prompt, image_ids=("0" * 32,) * len(inputs), **fields)  # type: ignore[arg-type]
    return Order(task=task, seed=seed, inputs=pictures)


async def made_from(model: SketchModel, order: Order) -> RecordingJob:
    job = RecordingJob()
    await model.run(order, job)
    return job


async def test_pictures_are_the_same_for_the_same_prompt_and_seed(model: SketchModel) -> None:
    first, second = [await made_from(model, order_for("a fox in a forest", seed=7)) for _ in range(2)]
    assert first.pictures[0].data == second.pictures[0].data


async def test_picture_i_is_made_from_seed_plus_i_modulo_2_to_the_32(model: SketchModel) -> None:
    job = await made_from(model, order_for("a fox", seed=2**32 - 1, num_images=2))
    alone = await made_from(model, order_for("a fox", seed=0))
    assert [job.pictures[index].seed for index in range(2)] == [2**32 - 1, 0]
    assert job.pictures[1].data == alone.pictures[0].data


async def test_other_seeds_make_other_pictures(model: SketchModel) -> None:
    job = await made_from(model, order_for("a fox in a forest", num_images=4))
    assert len({picture.data for picture in job.pictures.values()}) == 4


async def test_fresh_processes_make_the_same_bytes(model: SketchModel) -> None:
    """Neither hashes of strings nor what was drawn before may matter."""
    program = (
        "import sys, hashlib;"
        "import sketch;"
        "made = sketch.paint('three cats and a red car in the rain', (1184, 888), 5).picture;"
        "edit = sketch.edit('add a dog and make it vintage', [made], None, 5).picture;"
        "print(hashlib.sha256(made.tobytes() + edit.tobytes()).hexdigest())"
    )
    digests = set()
    for hash_seed in ("1", "2"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdout=-1, env={**os.environ, "PYTHONHASHSEED": hash_seed}
        )
        digests.add((await process.communicate())[0])
        assert process.returncode == 0
    assert len(digests) == 1


@pytest.mark.parametrize("ratio", ASPECT_RATIOS)
async def test_every_ratio_is_exact_at_about_a_megapixel(model: SketchModel, ratio: str) -> None:
    picture = (await made_from(model, order_for("a dog", aspect_ratio=ratio))).pictures[0]
    assert picture.info is not None
    wide, high = ASPECT_RATIOS[ratio]
    assert picture.info.width * high == picture.info.height * wide
    assert math.isclose(picture.info.width * picture.info.height, 1024 * 1024, rel_tol=0.06)


@pytest.mark.parametrize("output_format", OutputFormat)
async def test_every_format_is_what_its_info_says(model: SketchModel, output_format: OutputFormat) -> None:
    picture = (await made_from(model, order_for("a dog", output_format=output_format))).pictures[0]
    assert picture.info is not None
    with Pillow.open(io.BytesIO(picture.data)) as decoded:
        assert decoded.format == output_format.name
        assert decoded.size == (picture.info.width, picture.info.height)
    assert picture.info.format is output_format


async def test_progress_rises_to_one_with_each_picture(model: SketchModel) -> None:
    job = await made_from(model, order_for("a dog", num_images=4))
    assert job.fractions == [0.0, 0.25, 0.5, 0.75, 1.0]


async def test_words_that_were_not_drawn_are_told_once(model: SketchModel) -> None:
    job = await made_from(model, order_for("a majestic cat and a florbulent dog", num_images=3))
    assert len(job.words) == 1
    assert "cat" in job.words[0]
    assert "Not understood: majestic, florbulent" in job.words[0]


async def test_more_orders_than_fit_are_refused_and_the_rest_is_made() -> None:
    model = SketchModel(threads=1, queue=2)
    try:
        jobs = [RecordingJob() for _ in range(6)]
        results = await asyncio.gather(*(model.run(order_for("a dog"), job) for job in jobs), return_exceptions=True)
        refused = [result for result in results if isinstance(result, OverloadedError)]
        assert len(refused) == 3
        assert sum(len(job.pictures) for job in jobs) == 3
    finally:
        await model.close()


async def test_one_order_of_ten_fits_a_queue_of_one() -> None:
    model = SketchModel(threads=1, queue=1)
    try:
        assert len((await made_from(model, order_for("a dog", num_images=10))).pictures) == 10
    finally:
        await model.close()


async def test_a_cancelled_order_makes_no_further_pictures(model: SketchModel) -> None:
    job = RecordingJob()
    running = asyncio.create_task(model.run(order_for("a dog in a forest", num_images=10), job))
    await job.first.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    made = len(job.pictures)
    await asyncio.sleep(0.2)
    assert made == len(job.pictures) < 10


async def test_an_order_cancelled_before_its_start_draws_nothing_and_frees_its_place() -> None:
    model = SketchModel(threads=1, queue=1)
    try:
        first = asyncio.create_task(model.run(order_for("a dog", num_images=3), RecordingJob()))
        await asyncio.sleep(0)
        waiting = RecordingJob()
        second = asyncio.create_task(model.run(order_for("a cat"), waiting))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert not waiting.pictures
        assert (await made_from(model, order_for("a cow"))).pictures
    finally:
        await model.close()


async def test_an_edit_keeps_the_shape_of_its_input(model: SketchModel) -> None:
    source = (await made_from(model, order_for("a cat", aspect_ratio="3:2"))).pictures[0]
    edited = (await made_from(model, edit_for("make it warmer", source.data))).pictures[0]
    assert source.info is not None
    assert edited.info is not None
    assert (edited.info.width, edited.info.height) == (source.info.width, source.info.height)


async def test_an_edit_can_be_asked_for_several_variants(model: SketchModel) -> None:
    source = (await made_from(model, order_for("a cat"))).pictures[0].data
    job = await made_from(model, edit_for("add a bird", source, num_images=3))
    assert len({picture.data for picture in job.pictures.values()}) == 3
    assert job.words == ["Edited by rules, without a neural network: added bird. Words used: add a bird."]


async def test_a_picture_takes_less_than_a_second_of_a_core(model: SketchModel) -> None:
    order = order_for("three cats and a dog under a tree in the mountains, rain", num_images=5)
    await made_from(model, replace(order, seed=0))
    begin = time.process_time()  # what others do on this machine does not count
    await made_from(model, order)
    assert (time.process_time() - begin) / 5 < 1


async def test_the_event_loop_runs_on_while_pictures_are_drawn(model: SketchModel) -> None:
    await made_from(model, order_for("a dog"))
    pauses: list[float] = []
    drawing = asyncio.create_task(made_from(model, order_for("cats in a city in the rain at night", num_images=10)))
    while not drawing.done():
        begin = time.perf_counter()
        await asyncio.sleep(0.001)
        pauses.append(time.perf_counter() - begin - 0.001)
    # Generous for a busy machine: a picture drawn on the loop would stop it for 40 ms, each time.
    assert statistics.quantiles(pauses, n=20)[-1] < 0.02
