"""What can't be kept is refused before it is bought, whichever model would make it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from limner.domain.errors import InvalidFieldError
from limner.domain.identifiers import new_id
from limner.domain.image import Image, OutputFormat
from limner.domain.model import ModelCapabilities
from limner.domain.task import EditTask, GenerateTask, Operation, Task, UpscaleTask
from limner.service.ports import Job, Order
from limner.service.results import require_keepable
from tests.pictures import GREY, png
from tests.unit.service.conftest import ADA, WORKSPACE, World, asked
from tests.unit.service.scripted import Scripted

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def image(width: int, height: int) -> Image:
    """The facts of an upload."""
    return Image(
        id=new_id(),
        workspace_id=WORKSPACE,
        created_by_user_id="ada",
        width=width,
        height=height,
        size_bytes=1,
        format=OutputFormat.PNG,
        sha256="",
        created_at=NOW,
        updated_at=NOW,
    )


def upscale(factor: int, wanted: OutputFormat | None = None) -> Task:
    return UpscaleTask(model_id="m", image_id="i", upscale_factor=factor, output_format=wanted)


def edit(wanted: OutputFormat | None, ratio: str = "auto") -> Task:
    return EditTask(model_id="m", prompt="p", image_ids=("i",), aspect_ratio=ratio, output_format=wanted)


@pytest.mark.parametrize(
    ("task", "size", "field"),
    [
        (upscale(4), (4001, 4001), "upscaleFactor"),
        (upscale(2), (8193, 1), "upscaleFactor"),
        (upscale(2), (1, 8193), "upscaleFactor"),
        (upscale(4, OutputFormat.WEBP), (4096, 1), "outputFormat"),
        (edit(OutputFormat.WEBP), (16_384, 1), "outputFormat"),
    ],
)
def test_too_large_a_result_is_refused_by_field(task: Task, size: tuple[int, int], field: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        require_keepable(task, [image(*size)])
    assert [each.field for each in caught.value.violations] == [field]


@pytest.mark.parametrize(
    ("task", "size"),
    [
        (upscale(4), (2000, 2000)),
        (upscale(4, OutputFormat.WEBP), (4095, 1)),
        (upscale(4, OutputFormat.PNG), (4096, 1)),
        (edit(OutputFormat.WEBP), (16_383, 1)),
        (edit(OutputFormat.WEBP, "1:1"), (16_384, 1)),
        (edit(None), (16_384, 1)),
    ],
)
def test_what_can_be_kept_is_not_refused(task: Task, size: tuple[int, int]) -> None:
    require_keepable(task, [image(*size)])


def test_new_pictures_start_from_none() -> None:
    require_keepable(GenerateTask(model_id="m", prompt="p", output_format=OutputFormat.WEBP), [])


async def test_nothing_is_asked_of_any_model_for_a_result_that_can_not_be_kept(world: World) -> None:
    async def script(order: Order, job: Job) -> None:
        raise AssertionError("nobody asks this")

    uploaded = await world.library.upload(ADA, WORKSPACE, png(4001, 4001, colour=GREY))
    model = Scripted(script, local=False)
    draft: dict[str, Any] = {"image_ids": (uploaded.id,), "model_id": "scripted", "upscale_factor": 4}
    with pytest.raises(InvalidFieldError, match="16004 x 16004"):
        await world.runner(model).run(asked(Operation.UPSCALE, **draft))


def test_capabilities_judge_no_format_where_none_is_asked_for() -> None:
    model = ModelCapabilities(id="m", description="", operations=(Operation.GENERATE,), output_formats=())
    task = GenerateTask(model_id="m", prompt="p")
    assert list(model.violations(task)) == []
    assert [each.field for each in model.violations(replace(task, output_format=OutputFormat.PNG))] == ["outputFormat"]
