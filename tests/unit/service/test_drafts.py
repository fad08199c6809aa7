"""What callers may leave out, and everything that is wrong with what they sent."""

from dataclasses import replace
from typing import Any

import pytest

from limner.domain.errors import InvalidFieldError
from limner.domain.task import ASPECT_RATIOS, EditTask, Finish, GenerateTask, Operation, UpscaleTask
from limner.service.catalogue import Catalogue
from limner.service.drafts import TaskDraft, checked
from tests.unit.service.scripted import Scripted

GENERATE, EDIT, UPSCALE = Operation.GENERATE, Operation.EDIT, Operation.UPSCALE


def catalogue(**facts: Any) -> Catalogue:
    model = Scripted()
    model.capabilities = replace(model.capabilities, **facts)
    return Catalogue([model], {GENERATE: "scripted", EDIT: "scripted"})


def draft(operation: Operation, **fields: Any) -> TaskDraft:
    least: dict[Operation, dict[str, Any]] = {
        GENERATE: {"prompt": "a fox"},
        EDIT: {"prompt": "warmer", "image_ids": ("a",)},
        UPSCALE: {"model_id": "scripted", "image_ids": ("a",), "upscale_factor": 2},
    }
    return TaskDraft(operation=operation, **{**least[operation], **fields})


def wrong(operation: Operation, facts: dict[str, Any] | None = None, **fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidFieldError) as refusal:
        checked(draft(operation, **fields), catalogue(**(facts or {})))
    return {each.field: each.description for each in refusal.value.violations}


def test_what_is_left_out_gets_its_default() -> None:
    assert checked(draft(GENERATE), catalogue())[0] == GenerateTask(model_id="scripted", prompt="a fox")
    assert checked(draft(EDIT), catalogue())[0] == EditTask(
        model_id="scripted", prompt="warmer", image_ids=("a",), aspect_ratio="auto"
    )
    assert checked(draft(UPSCALE), catalogue())[0] == UpscaleTask(model_id="scripted", image_id="a", upscale_factor=2)


def test_what_a_model_can_be_told_beyond_the_picture_is_checked() -> None:
    finish = Finish(quality="best", background="transparent", compression=101)

    found = wrong(GENERATE, {"qualities": ("low", "high")}, finish=finish, output_format="jpeg")

    assert found == {
        "quality": "must be one of low, high",
        "background": "scripted can't be told its background",
        "outputCompression": "must be 0 to 100",
    }
    assert wrong(EDIT, masked=True, image_ids=("a", "b")) == {"mask": "scripted takes no mask"}


def test_a_jpeg_is_never_transparent_and_a_png_never_lossy() -> None:
    able = {"backgrounds": ("transparent",), "compresses": True}

    assert set(wrong(GENERATE, able, finish=Finish(background="transparent"), output_format="jpeg")) == {"background"}
    assert set(wrong(GENERATE, able, finish=Finish(compression=40))) == {"outputCompression"}


def test_the_prompt_is_trimmed() -> None:
    assert checked(draft(GENERATE, prompt="\n a fox\t"), catalogue())[0].prompt == "a fox"


@pytest.mark.parametrize("operation", Operation)
def test_each_field_is_checked_with_all_the_others(operation: Operation) -> None:
    fields: dict[str, Any] = {
        "prompt": " ",
        "num_images": 11,
        "aspect_ratio": "7:5",
        "output_format": "gif",
        "model_id": "nope",
        "image_ids": ("",) * 17 if operation is EDIT else ("",),
        "upscale_factor": 0,
    }
    common = {"outputFormat", "modelId"}
    drawn = common | {"prompt", "numImages", "aspectRatio"}
    expected = {GENERATE: drawn, EDIT: drawn | {"imageIds"}, UPSCALE: common | {"imageId", "upscaleFactor"}}

    assert set(wrong(operation, **fields)) == expected[operation]


@pytest.mark.parametrize("count", [-1, 0, 11, 2**31 - 1])
def test_the_number_of_images_is_1_to_10(count: int) -> None:
    assert wrong(GENERATE, num_images=count) == {"numImages": f"must be 1 to 10, is {count}"}


def test_auto_is_for_edits_alone() -> None:
    assert set(wrong(GENERATE, aspect_ratio="auto")) == {"aspectRatio"}
    assert isinstance(checked(draft(EDIT, aspect_ratio="auto"), catalogue())[0], EditTask)


@pytest.mark.parametrize("ratio", ASPECT_RATIOS)
def test_every_ratio_of_the_contract_is_known(ratio: str) -> None:
    task, _ = checked(draft(GENERATE, aspect_ratio=ratio), catalogue())

    assert isinstance(task, GenerateTask)
    assert task.aspect_ratio == ratio


@pytest.mark.parametrize(
    ("operation", "facts", "fields", "field", "told"),
    [
        (GENERATE, {"aspect_ratios": ("1:1", "3:2")}, {"aspect_ratio": "16:9"}, "aspectRatio", "1:1, 3:2"),
        (GENERATE, {"max_images": 2}, {"num_images": 3}, "numImages", "2"),
        (GENERATE, {"max_prompt_chars": 4}, {}, "prompt", "4"),
        (GENERATE, {"seeds": False}, {"seed": 0}, "seed", "no seeds"),
        (GENERATE, {"operations": (UPSCALE,)}, {}, "modelId", "upscale"),
        (GENERATE, {"output_formats": ()}, {"output_format": "png"}, "outputFormat", "one of"),
        (EDIT, {"max_input_images": 1}, {"image_ids": ("a", "b")}, "imageIds", "1"),
        (UPSCALE, {}, {"upscale_factor": 3}, "upscaleFactor", "2, 4"),
        (UPSCALE, {}, {"model_id": None}, "modelId", "is required"),
    ],
)
def test_what_the_model_can_not_do_is_refused_with_what_it_can(
    operation: Operation, facts: dict[str, Any], fields: dict[str, Any], field: str, told: str
) -> None:
    violations = wrong(operation, facts, **fields)

    assert set(violations) == {field}
    assert told in violations[field]


def test_a_nul_character_is_no_text() -> None:
    assert set(wrong(GENERATE, prompt="a\0b")) == {"prompt"}
