"""The upscalers with their real networks, asked as the service asks them."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageCms, ImageDraw

from limner.domain.errors import InvalidFieldError, OverloadedError, ProviderUnavailableError, StorageUnavailableError
from limner.domain.image import Image, OutputFormat
from limner.domain.limits import KIB, MIB
from limner.domain.task import MissingPicture, UpscaleTask
from limner.models.realesrgan import RealEsrganModel, UpscalerProcess
from limner.service.ports import MadePicture, Order, Submission
from tests import phones
from tests.event_loop import held

PROJECT = Path(__file__).resolve().parents[3]
ANIME, PHOTO = "realesr-animevideo", "realesrgan-x4plus"


def peak_memory_bytes(process: UpscalerProcess) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * KIB


class StoredPicture:
    def __init__(self, data: bytes, width: int, height: int) -> None:
        self._data = data
        self.reads = 0
        self.image = Image(
            id="0" * 32,
            workspace_id="w",
            created_by_user_id="u",
            width=width,
            height=height,
            size_bytes=len(data),
            format=OutputFormat.PNG,
            sha256="",
            created_at=datetime.now(UTC),
            updated_at=datetime.now(UTC),
        )

    async def read(self) -> bytes:
        self.reads += 1
        return self._data

    async def stream(self) -> AsyncIterator[bytes]:
        yield self._data


class RecordingJob:
    def __init__(self) -> None:
        self.fractions: list[float] = []
        self.pictures: list[MadePicture] = []
        self.watched = False

    def progress(self, fraction: float) -> None:
        self.fractions.append(fraction)

    def preview(self, index: int, data: bytes, content_type: str) -> None:
        raise AssertionError

    async def submitting(self, indexes: Sequence[int], model_id: str = "") -> Submission:
        raise AssertionError

    async def made(self, picture: MadePicture) -> None:
        self.pictures.append(picture)

    def missed(self, missing: MissingPicture) -> None:
        raise AssertionError

    def describe(self, text: str) -> None:
        raise AssertionError


def drawing(width: int, height: int, mode: str = "RGB") -> Pictures.Image:
    """Return a picture with gradients, edges and fine lines."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    levels = np.stack([x * 255 / max(width, 2), y * 255 / max(height, 2), (x // 12 + y // 15) % 2 * 80 + 90], axis=-1)
    picture = Pictures.fromarray(levels.astype(np.uint8))
    ImageDraw.Draw(picture).ellipse((width // 4, height // 4, width // 2, height // 2), fill="orange", outline="black")
    return picture.convert(mode)


def stored(picture: Pictures.Image, file_format: str = "png", **options: object) -> StoredPicture:
    file = io.BytesIO()
    picture.save(file, file_format, **options)
    return StoredPicture(file.getvalue(), *picture.size)


def order(source: StoredPicture, factor: int = 2, output_format: OutputFormat = OutputFormat.PNG) -> Order:
    task = UpscaleTask(model_id="m", image_id="0" * 32, upscale_factor=factor, output_format=output_format)
    return Order(task=task, seed=0, inputs=(source,))


async def upscaled(
    model: RealEsrganModel, source: StoredPicture, factor: int = 2, output_format: OutputFormat = OutputFormat.PNG
) -> Pictures.Image:
    job = RecordingJob()
    await model.run(order(source, factor, output_format), job)
    (made,) = job.pictures
    picture = Pictures.open(io.BytesIO(made.data))
    assert made.info is not None
    assert (made.info.width, made.info.height, made.info.format) == (*picture.size, output_format)
    assert picture.format == output_format.upper()
    return picture


def levels(picture: Pictures.Image) -> NDArray[np.int64]:
    return np.asarray(picture).astype(np.int64)


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.02)


Start = Callable[..., UpscalerProcess]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    processes: list[UpscalerProcess] = []

    def start(**arguments: float) -> UpscalerProcess:
        processes.append(UpscalerProcess(**arguments))  # type: ignore[arg-type]
        return processes[-1]

    yield start
    for process in processes:
        await process.close()


@pytest.fixture
def anime(start: Start) -> RealEsrganModel:
    return RealEsrganModel(ANIME, start())


@pytest.mark.parametrize("network", [ANIME, PHOTO])
async def test_model_is_ready_and_says_what_it_does(start: Start, network: str) -> None:
    model = RealEsrganModel(network, start())
    assert model.unready_reason() == ""
    assert model.capabilities.id == network
    assert model.capabilities.upscale_factors == (2, 3, 4)
    assert list(model.capabilities.violations(order(StoredPicture(b"", 1, 1)).task)) == []


def test_service_imports_nothing_heavy() -> None:
    code = "import sys, limner.models.realesrgan; print({'ncnn', 'numpy', 'PIL'} & set(sys.modules))"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True).stdout == b"set()\n"


def test_missing_package_is_named() -> None:
    code = """
from limner.models.realesrgan import RealEsrganModel, UpscalerProcess
print(RealEsrganModel("realesr-animevideo", UpscalerProcess()).unready_reason())
"""
    environment = {"PYTHONPATH": str(PROJECT / "src")}
    without_packages = subprocess.run([sys.executable, "-S", "-c", code], env=environment, capture_output=True)
    assert b"the package ncnn is not installed" in without_packages.stdout


@pytest.mark.parametrize("factor", [2, 3, 4])
async def test_every_factor_is_exact_and_the_picture_stays_the_same(anime: RealEsrganModel, factor: int) -> None:
    source = drawing(61, 47)
    result = await upscaled(anime, stored(source), factor)
    assert result.size == (61 * factor, 47 * factor)
    assert np.abs(levels(result.resize((61, 47), Pictures.Resampling.BOX)) - levels(source)).mean() < 12


@pytest.mark.parametrize("factor", [2, 3, 4])
async def test_photo_network_makes_every_factor(start: Start, factor: int) -> None:
    source = drawing(9, 7)
    result = await upscaled(RealEsrganModel(PHOTO, start()), stored(source), factor)
    assert result.size == (9 * factor, 7 * factor)
    assert np.abs(levels(result.resize((9, 7), Pictures.Resampling.BOX)) - levels(source)).mean() < 25


@pytest.mark.parametrize("size", [(1, 1), (1, 33), (1500, 2)])
async def test_extreme_shapes_are_enlarged(anime: RealEsrganModel, size: tuple[int, int]) -> None:
    result = await upscaled(anime, stored(drawing(*size)), 4)
    assert result.size == (4 * size[0], 4 * size[1])


async def test_tiles_leave_no_seam(start: Start) -> None:
    source = stored(drawing(150, 130))
    tiled = levels(await upscaled(RealEsrganModel(ANIME, start(tile=80)), source, 3))
    whole = levels(await upscaled(RealEsrganModel(ANIME, start(tile=400)), source, 3))
    assert np.abs(tiled - whole).max() <= 2


async def test_progress_rises_with_each_tile(start: Start) -> None:
    job = RecordingJob()
    await RealEsrganModel(ANIME, start(tile=80)).run(order(stored(drawing(150, 130))), job)
    assert job.fractions == pytest.approx([step / 13 for step in range(1, 14)])


async def test_alpha_is_kept_and_transparent_black_leaves_no_rim(anime: RealEsrganModel) -> None:
    source = Pictures.new("RGBA", (48, 48), (0, 0, 0, 0))
    ImageDraw.Draw(source).rectangle((12, 12, 35, 35), fill=(240, 200, 40, 255))
    result = levels(await upscaled(anime, stored(source), 2))
    assert result[4, 4, 3] == 0
    assert result[48, 48, 3] == 255
    visible = result[result[..., 3] > 200]
    assert np.abs(visible[:, :3] - (240, 200, 40)).max() < 30


@pytest.mark.parametrize("output_format", list(OutputFormat))
async def test_result_has_the_format_that_was_asked(anime: RealEsrganModel, output_format: OutputFormat) -> None:
    source = Pictures.new("RGBA", (20, 20), (0, 0, 0, 0))
    result = await upscaled(anime, stored(source), 2, output_format)
    assert result.mode == ("RGB" if output_format is OutputFormat.JPEG else "RGBA")
    if output_format is OutputFormat.JPEG:
        assert levels(result).min() > 250


@pytest.mark.parametrize(("mode", "expected"), [("L", "L"), ("LA", "LA"), ("P", "RGB"), ("1", "L"), ("I;16", "L")])
async def test_grey_stays_grey_and_other_modes_become_colours(anime: RealEsrganModel, mode: str, expected: str) -> None:
    if mode == "I;16":
        source = Pictures.fromarray((levels(drawing(16, 12, "L")) * 256).astype(np.uint16))
    else:
        source = drawing(16, 12, mode)
    result = await upscaled(anime, stored(source), 2)
    assert result.mode == expected
    assert 60 < levels(result.convert("L")).mean() < 200


async def test_orientation_is_applied(anime: RealEsrganModel) -> None:
    source = drawing(40, 24)
    exif = Pictures.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    result = await upscaled(anime, stored(source, "jpeg", exif=exif, quality=95), 2)
    assert result.size == (48, 80)
    assert result.getexif().get(0x0112, 1) == 1
    upright = source.transpose(Pictures.Transpose.ROTATE_270)
    assert np.abs(levels(result.resize((24, 40), Pictures.Resampling.BOX)) - levels(upright)).mean() < 15


async def test_colour_profile_is_kept(anime: RealEsrganModel) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    result = await upscaled(anime, stored(drawing(8, 8), icc_profile=profile), 2)
    assert result.info["icc_profile"] == profile


async def begin(model: RealEsrganModel, source: StoredPicture) -> asyncio.Task[None]:
    """Start a large upscale and return when some tiles are done."""
    job = RecordingJob()
    task = asyncio.create_task(model.run(order(source, 4), job))
    await until(lambda: len(job.fractions) > 1 or task.done(), within_s=30)
    return task


async def test_closing_makes_running_and_waiting_pictures_unavailable(start: Start) -> None:
    process, source = start(tile=60), stored(drawing(1000, 1000))
    model = RealEsrganModel(ANIME, process)
    running = await begin(model, source)
    waiting = asyncio.create_task(model.run(order(source), RecordingJob()))
    await asyncio.sleep(0)
    await process.close()
    for task in (running, waiting):
        with pytest.raises(ProviderUnavailableError):
            await task
    assert process.pid is None


async def cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelling_stops_at_once_and_the_next_picture_works(start: Start) -> None:
    process = start(tile=100)
    task = await begin(RealEsrganModel(PHOTO, process), stored(drawing(1024, 1024)))
    assert process.pid is not None
    worker = psutil.Process(process.pid)
    began_at = time.monotonic()
    await cancelled(task)
    await until(lambda: not worker.is_running())
    assert time.monotonic() - began_at < 1
    assert (await upscaled(RealEsrganModel(ANIME, process), stored(drawing(8, 8)))).size == (16, 16)


async def test_killed_worker_is_unavailable_and_the_next_picture_works(start: Start) -> None:
    process = start(tile=60)
    model = RealEsrganModel(ANIME, process)
    task = await begin(model, stored(drawing(1000, 1000)))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ProviderUnavailableError):
        await task
    assert (await upscaled(model, stored(drawing(8, 8)))).size == (16, 16)


async def test_worker_that_dies_while_idle_is_not_noticed(start: Start) -> None:
    process = start()
    model = RealEsrganModel(ANIME, process)
    await upscaled(model, stored(drawing(8, 8)))
    assert process.pid is not None
    worker = psutil.Process(process.pid)
    worker.kill()
    await until(lambda: not worker.is_running())
    await upscaled(model, stored(drawing(8, 8)))


async def test_unreadable_picture_is_refused_by_field_and_the_worker_lives_on(start: Start) -> None:
    process = start()
    model = RealEsrganModel(ANIME, process)
    await upscaled(model, stored(drawing(8, 8)))
    before = process.pid
    with pytest.raises(InvalidFieldError) as caught:
        await model.run(order(StoredPicture(b"no picture", 8, 8)), RecordingJob())
    assert [each.field for each in caught.value.violations] == ["imageId"]
    await upscaled(model, stored(drawing(8, 8)))
    assert process.pid == before


@pytest.mark.parametrize("name", phones.ODD_EXIF)
async def test_odd_exif_values_end_no_worker_and_leave_the_picture_upright(anime: RealEsrganModel, name: str) -> None:
    source = StoredPicture(phones.with_odd_exif(name, 24, 16), 24, 16)
    assert (await upscaled(anime, source)).size == (32, 48)


async def test_hung_worker_is_given_up(start: Start) -> None:
    process = start(tile=60, silence_s=3.0)
    task = await begin(RealEsrganModel(ANIME, process), stored(drawing(1000, 1000)))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(ProviderUnavailableError):
        await task
    assert process.pid is None


async def test_more_than_the_queue_is_refused_with_an_estimate(start: Start) -> None:
    process = start(queue=1, tile=120)
    model, source = RealEsrganModel(ANIME, process), stored(drawing(1000, 1000))
    running = await begin(model, source)
    waiting = asyncio.create_task(RealEsrganModel(PHOTO, process).run(order(source), RecordingJob()))
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError) as caught:
        await model.run(order(source), RecordingJob())
    assert caught.value.retry_after_s is not None
    assert 1 <= caught.value.retry_after_s < 600
    await cancelled(waiting)
    assert not running.done()
    await cancelled(running)
    await upscaled(model, stored(drawing(8, 8)))


async def test_idle_worker_ends_and_the_next_picture_works(start: Start) -> None:
    process = start(idle_s=0.05)
    model = RealEsrganModel(ANIME, process)
    await upscaled(model, stored(drawing(8, 8)))
    await until(lambda: process.pid is None)
    await upscaled(model, stored(drawing(8, 8)))


async def test_waiting_picture_that_is_cancelled_leaves_the_running_one_alone(start: Start) -> None:
    process = start(idle_s=0.05)
    job = RecordingJob()
    running = asyncio.create_task(RealEsrganModel(ANIME, process).run(order(stored(drawing(500, 500))), job))
    waiting = asyncio.create_task(RealEsrganModel(ANIME, process).run(order(stored(drawing(8, 8))), RecordingJob()))
    await asyncio.sleep(0.01)
    await cancelled(waiting)
    await running
    assert len(job.pictures) == 1


async def test_unreadable_store_leaves_the_worker_running(start: Start) -> None:
    class LostPicture(StoredPicture):
        async def read(self) -> bytes:
            raise StorageUnavailableError

    process = start()
    model = RealEsrganModel(ANIME, process)
    await upscaled(model, stored(drawing(8, 8)))
    with pytest.raises(StorageUnavailableError):
        await model.run(order(LostPicture(b"", 8, 8)), RecordingJob())
    assert process.pid is not None


async def test_closing_ends_the_worker(start: Start) -> None:
    process = start()
    model = RealEsrganModel(ANIME, process)
    await upscaled(model, stored(drawing(8, 8)))
    assert process.pid is not None
    worker = psutil.Process(process.pid)
    await model.close()
    assert not worker.is_running()


SERVICE = """
import asyncio, sys
from tests.unit.models.test_realesrgan import ANIME, RealEsrganModel, UpscalerProcess, begin, drawing, stored
async def main():
    process = UpscalerProcess(tile=60)
    await begin(RealEsrganModel(ANIME, process), stored(drawing(1000, 1000)))
    print(process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_worker_ends_when_the_service_is_killed() -> None:
    environment = {"PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path])}
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert service.stdout is not None
    worker = psutil.Process(int(await service.stdout.readline()))
    service.kill()
    await service.communicate()
    await until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


async def test_event_loop_is_never_stalled(anime: RealEsrganModel) -> None:
    source = order(stored(drawing(256, 256)), 4)
    upscaling = await held(lambda: anime.run(source, RecordingJob()), under_s=0.005)
    assert upscaling.longest_turn_s < 0.005


async def test_memory_stays_within_bounds(start: Start) -> None:
    process = start()
    await upscaled(RealEsrganModel(ANIME, process), stored(drawing(640, 480)), 4, OutputFormat.JPEG)
    assert peak_memory_bytes(process) < 400 * MIB
