"""Tiny pipelines over the real worker process, asked as the service asks them."""

import asyncio
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from PIL import Image as Pictures
from PIL import ImageChops

from limner.domain.errors import (
    ContentRejectedError,
    InvalidFieldError,
    OverloadedError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
    StorageUnavailableError,
)
from limner.domain.image import OutputFormat
from limner.domain.limits import KIB, MIB
from limner.domain.task import Operation
from limner.models.diffusers import Device, DiffusersModel, DiffusersOptions
from tests.diffusers.conftest import PROJECT
from tests.diffusers.orders import SizedPicture, Story, StudioJob, begun, edit, generate, made, opened, stored, upscale
from tests.event_loop import held
from tests.jobs import StoredPicture
from tests.pictures import painting

if importlib.util.find_spec("torch") is None:
    pytest.skip("PyTorch is not installed: make test-diffusers", allow_module_level=True)

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEPS = 4
NATIVE_EDGE = 64
LARGE = {"pixels": 160**2, "steps": 12}
"""Options of a picture whose steps take some hundredths of a second."""
ENDLESS = {"pixels": 160**2, "steps": 900}

Build = Callable[..., DiffusersModel]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def device() -> AsyncIterator[Device]:
    """A device that most tests share: its process starts once."""
    device = Device("cpu")
    yield device
    await device.close()


@pytest_asyncio.fixture(loop_scope="module")
async def own_device() -> AsyncIterator[Device]:
    """A device for a test that breaks it."""
    device = Device("cpu", silence_s=20)
    yield device
    await device.close()


@pytest.fixture
def build(pipelines: Path, device: Device) -> Build:
    def build(name: str = "plain", on: Device = device, **options: Any) -> DiffusersModel:
        return DiffusersModel(name, str(pipelines / name), on, DiffusersOptions(**{"steps": STEPS, **options}))

    return build


def difference(one: Pictures.Image, other: Pictures.Image) -> int:
    """The largest difference of two pictures in any level."""
    assert one.size == other.size
    return max(ImageChops.difference(one, other).tobytes())


async def cancelled(task: "asyncio.Task[StudioJob]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.02)


# Pictures


async def test_model_is_ready_without_being_loaded(build: Build) -> None:
    model = build(on=Device())
    assert model.unready_reason() == ""
    assert list(model.capabilities.violations(generate().task)) == []


async def test_model_is_not_ready_without_weights_or_abilities(tmp_path: Path) -> None:
    model = DiffusersModel("m", str(tmp_path), Device())
    assert "neither a folder with a pipeline nor in the hub's cache" in model.unready_reason()
    with pytest.raises(ProviderMisconfiguredError):
        await made(model, generate())
    (tmp_path / "model_index.json").write_text('{"_class_name": "NewestPipeline"}')
    assert "say it by its operations" in DiffusersModel("m", str(tmp_path), Device()).unready_reason()
    options = DiffusersOptions(operations=(Operation.GENERATE,))
    assert DiffusersModel("m", str(tmp_path), Device(), options).unready_reason() == ""


async def test_picture_comes_as_png_with_its_facts_and_seed(build: Build) -> None:
    job = await made(build(), generate(2, seed=2**32 - 1))
    assert [job.pictures[index].seed for index in (0, 1)] == [2**32 - 1, 0]
    for picture in job.pictures.values():
        image = opened(picture.data)
        assert picture.info is not None
        assert (picture.info.format, image.format, image.mode) == (OutputFormat.PNG, "PNG", "RGB")
        assert (picture.info.width, picture.info.height) == image.size == (NATIVE_EDGE, NATIVE_EDGE)


@pytest.mark.parametrize(("ratio", "size"), [("16:9", (88, 48)), ("3:4", (48, 64)), ("21:9", (112, 48))])
async def test_shape_is_what_was_asked(build: Build, ratio: str, size: tuple[int, int]) -> None:
    job = await made(build(), generate(ratio=ratio))
    assert job.images[0].size == size


async def test_progress_tells_of_each_step(build: Build) -> None:
    job = await made(build(), generate())
    assert job.fractions == pytest.approx([0, 1 / 5, 2 / 5, 3 / 5, 4 / 5, 1])


async def test_progress_of_several_batches_is_that_of_the_order(build: Build) -> None:
    job = await made(build(max_batch=2), generate(3))
    assert job.fractions == sorted(job.fractions)
    assert job.fractions[0] == 0
    assert job.fractions[-1] == 1
    assert len([fraction for fraction in job.fractions if fraction > 0.67]) == STEPS + 1


async def test_previews_come_when_somebody_watches(build: Build) -> None:
    job = await made(build(steps=8), generate(2), watched=True)
    assert [index for index, _ in job.previews] == [0, 1] * 3
    assert all(opened(data).size == (NATIVE_EDGE // 4, NATIVE_EDGE // 4) for _, data in job.previews)
    assert (await made(build(steps=8), generate(2), watched=False)).previews == []


# Seeds


@pytest.mark.parametrize("name", ["plain", "ancestral"])
async def test_same_seed_makes_the_same_picture_to_the_byte(build: Build, name: str) -> None:
    first, second = [await made(build(name), generate(2)) for _ in range(2)]
    assert [first.pictures[index].data for index in (0, 1)] == [second.pictures[index].data for index in (0, 1)]
    assert difference(*first.images) > 20


@pytest.mark.parametrize("name", ["plain", "ancestral"])
async def test_picture_does_not_depend_on_its_batch(build: Build, name: str) -> None:
    together = (await made(build(name, max_batch=4), generate(4, seed=5))).images
    for index, picture in enumerate(together):
        alone = await made(build(name), generate(1, seed=5 + index))
        assert difference(picture, alone.images[0]) <= 1


async def test_edited_picture_does_not_depend_on_its_batch(build: Build) -> None:
    source = stored(painting(96, 96))
    together = (await made(build(), edit(source, count=3))).images
    for index, picture in enumerate(together):
        alone = await made(build(), edit(source, seed=5 + index))
        assert difference(picture, alone.images[0]) <= 1


# Batches


async def test_pictures_that_are_made_alike_share_a_batch(build: Build) -> None:
    model, story = build(max_batch=4), Story()
    running = await begun(build(**LARGE), generate())
    together = [
        asyncio.create_task(made(model, generate(2, prompt="a cat"), name="cat", story=story)),
        asyncio.create_task(made(model, generate(1, prompt="a wide one", ratio="16:9"), name="wide", story=story)),
        asyncio.create_task(made(model, generate(1, prompt="a dog"), name="dog", story=story)),
    ]
    cat, _, dog = await asyncio.gather(*together)
    await running
    steps = [name for name, fraction in story.events if 0 < fraction < 0.9]
    assert steps == ["cat", "cat", "dog"] * STEPS + ["wide"] * STEPS
    assert difference(dog.images[0], (await made(model, generate(prompt="a dog"))).images[0]) <= 1
    assert difference(cat.images[0], dog.images[0]) > 5


async def test_more_than_the_places_is_refused_whole(build: Build, pipelines: Path) -> None:
    device = Device("cpu", places=3)
    model = build(on=device, **LARGE)
    assert model.capabilities.max_images == 3
    running = await begun(model, generate(2))
    with pytest.raises(OverloadedError) as caught:
        await made(model, generate(2))
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s >= 1
    waiting = asyncio.create_task(made(model, generate(1)))
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await made(model, generate(1))
    await cancelled(waiting)
    assert len((await running).pictures) == 2
    assert len((await made(model, generate(3))).pictures) == 3
    await device.close()


# Edits and upscales


async def test_edit_keeps_the_shape_of_its_upright_input(build: Build) -> None:
    exif = Pictures.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    job = await made(build(), edit(stored(painting(160, 90), "jpeg", exif=exif)))
    assert job.images[0].size == (48, 88)


async def test_edit_has_the_shape_that_was_asked(build: Build) -> None:
    job = await made(build(), edit(stored(painting(160, 90)), ratio="1:1"))
    assert job.images[0].size == (NATIVE_EDGE, NATIVE_EDGE)


async def test_edit_starts_from_its_input(build: Build) -> None:
    model = build(strength=0.1, steps=10)
    white, black = [
        (await made(model, edit(stored(Pictures.new("RGBA", (64, 64), colour))))).images[0]
        for colour in ("#ffff", "#000f")
    ]
    assert difference(white, black) > 5
    clear = (await made(model, edit(stored(Pictures.new("RGBA", (64, 64), "#0000"))))).images[0]
    assert difference(white, clear) == 0


async def test_progress_of_an_edit_counts_the_steps_that_are_really_made(build: Build) -> None:
    job = await made(build(strength=0.5, steps=8), edit(stored(painting(64, 64))))
    assert job.fractions == pytest.approx([0, 1 / 5, 2 / 5, 3 / 5, 4 / 5, 1])


@pytest.mark.parametrize("size", [(23, 17), (64, 48)])
async def test_upscale_is_exact(build: Build, size: tuple[int, int]) -> None:
    model = build("upscaler")
    assert model.capabilities.upscale_factors == (4,)
    job = await made(model, upscale(stored(painting(*size))))
    assert job.images[0].size == (4 * size[0], 4 * size[1])
    assert job.fractions == pytest.approx([0, 1 / 5, 2 / 5, 3 / 5, 4 / 5, 1])


# Refusals


async def test_flagged_pictures_are_rejected(build: Build) -> None:
    with pytest.raises(ContentRejectedError):
        await made(build("flagged"), generate(2))


async def test_one_flagged_picture_leaves_the_others_alone(build: Build) -> None:
    job = await made(build("some-flagged"), generate(6, seed=0))
    assert job.pictures
    assert job.missing
    assert job.pictures.keys() | job.missing.keys() == set(range(6))
    assert {missing.reason for missing in job.missing.values()} == {"CONTENT_REJECTED"}
    assert job.fractions[-1] == 1
    unflagged = await made(build("unflagged"), generate(6, seed=0))
    assert len(unflagged.pictures) == 6


async def test_black_picture_of_an_overflow_is_not_handed_over(build: Build) -> None:
    with pytest.raises(ProviderUnavailableError):
        await made(build("overflowing"), generate())


async def test_prompt_that_would_be_cut_off_is_refused(build: Build) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        await made(build(), generate(prompt="x" * 76))
    (violation,) = caught.value.violations
    assert (violation.field, violation.description) == ("prompt", "the model reads at most 77 tokens")
    assert (await made(build(), generate(prompt="x" * 75))).pictures


async def test_input_that_can_not_be_read_takes_no_other_along(build: Build) -> None:
    class LostPicture(SizedPicture):
        async def read(self) -> bytes:
            raise StorageUnavailableError

    running = await begun(build(**LARGE), generate())
    fine, broken, lost = await asyncio.gather(
        made(build(), edit(stored(painting(64, 64)))),
        made(build(), edit(StoredPicture(b"no picture"))),
        made(build(), edit(LostPicture(b""))),
        return_exceptions=True,
    )
    assert isinstance(fine, StudioJob)
    assert isinstance(broken, InvalidFieldError)
    assert isinstance(lost, StorageUnavailableError)
    await running


async def test_pickled_weights_are_loaded_only_when_allowed(build: Build) -> None:
    with pytest.raises(ProviderMisconfiguredError):
        await made(build("pickled"), generate())
    assert (await made(build("pickled", pickles=True), generate())).pictures


@pytest.mark.parametrize("component", ["unet", ""])
async def test_code_beside_the_weights_is_never_run(
    build: Build, pipelines: Path, tmp_path: Path, device: Device, component: str
) -> None:
    folder, trace = shutil.copytree(pipelines / "plain", tmp_path / "plain"), tmp_path / "trace"
    (folder / component / "own.py").write_text(f"open({str(trace)!r}, 'w')\nclass Own: ...\n")
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"unet": ["own", "Own"]} if component else {"_class_name": ["own", "Own"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    model = DiffusersModel("m", str(folder), device, DiffusersOptions(operations=build().capabilities.operations))
    with pytest.raises(ProviderMisconfiguredError):
        await made(model, generate())
    assert not trace.exists()


async def test_argument_that_the_pipeline_does_not_know_is_a_wrong_setup(build: Build) -> None:
    with pytest.raises(ProviderMisconfiguredError):
        await made(build(arguments={"no_such_thing": 1}), generate())
    assert (await made(build(arguments={"eta": 0.5}, negative_prompt="grey"), generate(2))).pictures


# Cancelling


async def test_cancelling_stops_at_the_next_step_and_keeps_the_worker(build: Build, device: Device) -> None:
    model = build(**ENDLESS)
    task, pid = await begun(model, generate()), device.pid
    began_at = time.monotonic()
    await cancelled(task)
    assert (await made(build(), generate())).pictures
    assert time.monotonic() - began_at < 5
    assert device.pid == pid


async def test_cancelling_one_order_of_a_batch_leaves_the_other_alone(build: Build) -> None:
    model = build(max_batch=2, **LARGE)
    running = await begun(build(**LARGE), generate())
    staying, leaving = [asyncio.create_task(made(model, generate(seed=seed))) for seed in (1, 2)]
    await running
    await asyncio.sleep(0.1)
    await cancelled(leaving)
    alone = await made(model, generate(seed=1))
    assert difference((await staying).images[0], alone.images[0]) <= 1


async def test_waiting_order_that_is_cancelled_is_never_made(build: Build) -> None:
    running = await begun(build(**LARGE), generate())
    story = Story()
    waiting = asyncio.create_task(made(build(), generate(), story=story))
    await asyncio.sleep(0.01)
    await cancelled(waiting)
    await running
    assert (await made(build(), generate())).pictures
    assert [fraction for _, fraction in story.events] == [0]


# The process


async def test_killed_worker_is_unavailable_and_what_waits_goes_on(build: Build, own_device: Device) -> None:
    running = await begun(build(on=own_device, **LARGE), generate())
    waiting = asyncio.create_task(made(build(on=own_device), generate()))
    await asyncio.sleep(0)
    pid = own_device.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ProviderUnavailableError):
        await running
    assert (await waiting).pictures
    assert own_device.pid != pid


async def test_hung_worker_is_given_up(build: Build) -> None:
    device = Device("cpu", silence_s=1)
    running = await begun(build(on=device, **LARGE), generate())
    assert device.pid is not None
    os.kill(device.pid, signal.SIGSTOP)
    with pytest.raises(ProviderUnavailableError):
        await running
    assert device.pid is None
    await device.close()


def virtual_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmSize:")[1].split()[0]) * KIB


def environment_of(pid: int | None) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def limit_memory(pid: int, more_bytes: int) -> None:
    """Let the process have only so much more memory than now; -1 for any amount."""
    soft = virtual_bytes(pid) + more_bytes if more_bytes >= 0 else resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_AS, (soft, resource.RLIM_INFINITY))


async def test_short_memory_halves_batches_then_overloads_and_is_survived(build: Build, own_device: Device) -> None:
    model = build(on=own_device, pixels=256**2, steps=1, max_batch=8)
    alone = await made(model, generate())
    pid = own_device.pid
    assert pid is not None

    limit_memory(pid, 130 * MIB)  # measured: below 110 not one picture fits, from 150 on all do
    parts = await made(model, generate(8))
    assert len(parts.pictures) == 8
    assert parts.fraction_at_first_picture < 0.4  # all together, it would be 1/2
    assert difference(parts.images[0], alone.images[0]) <= 1

    limit_memory(pid, 16 * MIB)
    with pytest.raises(OverloadedError):
        await made(build(on=own_device, pixels=512**2, steps=1), generate())

    limit_memory(pid, -1)
    assert (await made(model, generate())).pictures
    assert own_device.pid == pid


async def test_worker_sees_no_credentials(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("HF_TOKEN", "secret")
    device = Device("cpu")
    await made(build(on=device), generate())
    assert b"secret" not in environment_of(device.pid)
    await device.close()


async def test_closing_ends_the_worker_and_what_waits(build: Build) -> None:
    device = Device("cpu")
    model = build(on=device, **LARGE)
    running = await begun(model, generate())
    waiting = asyncio.create_task(made(build(on=device), generate()))
    await asyncio.sleep(0)
    assert device.pid is not None
    worker = psutil.Process(device.pid)
    await model.close()
    assert not worker.is_running()
    results = await asyncio.gather(running, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [ProviderUnavailableError] * 2
    with pytest.raises(ProviderUnavailableError):
        await made(model, generate())


SERVICE = """
import asyncio, sys
from limner.domain.task import Operation
from limner.models.diffusers import Device, DiffusersModel, DiffusersOptions
from tests.diffusers.orders import begun, generate
async def main():
    device = Device("cpu")
    await begun(DiffusersModel("m", sys.argv[1], device, DiffusersOptions(pixels=320 ** 2, steps=900)), generate())
    print(device.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_worker_ends_when_the_service_is_killed(pipelines: Path) -> None:
    environment = {"PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path])}
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, str(pipelines / "plain"), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert service.stdout is not None
    worker = psutil.Process(int(await service.stdout.readline()))
    service.kill()
    await service.communicate()
    await until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


async def test_event_loop_is_never_stalled(build: Build) -> None:
    model = build(max_batch=2, **LARGE)

    async def make_four() -> None:
        assert len((await made(model, generate(4), watched=True)).pictures) == 4

    making = await held(make_four, under_s=0.005)
    assert making.longest_turn_s < 0.005
