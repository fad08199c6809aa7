"""Which requests are the same."""

import dataclasses
from typing import Any

import pytest

from limner.domain.errors import InvalidFieldError
from limner.domain.task import Finish, Operation
from limner.service.drafts import TaskDraft
from limner.service.idempotency import claim_of, fingerprint

GENERATE = TaskDraft(operation=Operation.GENERATE, prompt="a fox")
EDIT = TaskDraft(operation=Operation.EDIT, prompt="a fox", image_ids=("1", "2"))


@pytest.mark.parametrize(
    ("draft", "facts"),
    [
        (GENERATE, {"prompt": "  a fox\n"}),
        (GENERATE, {"num_images": 1}),
        (GENERATE, {"output_format": ""}),
        (GENERATE, {"aspect_ratio": "1:1"}),
        (GENERATE, {"model_id": ""}),
        (EDIT, {"aspect_ratio": "auto"}),
    ],
)
def test_defaults_may_be_written_or_left_out(draft: TaskDraft, facts: dict[str, Any]) -> None:
    assert fingerprint(dataclasses.replace(draft, **facts)) == fingerprint(draft)


@pytest.mark.parametrize(
    ("draft", "facts"),
    [
        (GENERATE, {"prompt": "a wolf"}),
        (GENERATE, {"num_images": 2}),
        (GENERATE, {"output_format": "png"}),
        (GENERATE, {"output_format": "webp"}),
        (GENERATE, {"aspect_ratio": "16:9"}),
        (GENERATE, {"model_id": "another"}),
        (GENERATE, {"seed": 0}),
        (GENERATE, {"operation": Operation.UPSCALE, "upscale_factor": 2}),
        (EDIT, {"image_ids": ("2", "1")}),
        (EDIT, {"aspect_ratio": "1:1"}),
        (EDIT, {"masked": True}),
        (GENERATE, {"finish": Finish(quality="high")}),
        (GENERATE, {"finish": Finish(compression=0)}),
    ],
)
def test_whatever_changes_the_outcome_makes_another_request(draft: TaskDraft, facts: dict[str, Any]) -> None:
    assert fingerprint(dataclasses.replace(draft, **facts)) != fingerprint(draft)


def test_a_key_comes_by_field_or_by_header() -> None:
    by_field, by_header = claim_of(GENERATE, "key", None), claim_of(GENERATE, None, "key")
    assert by_field == by_header == claim_of(GENERATE, "key", "key")
    assert by_field is not None
    assert by_field.key == "key"
    assert claim_of(GENERATE, None, None) is None


@pytest.mark.parametrize(
    ("field", "header"), [("", None), (None, ""), ("x" * 129, None), ("a\nb", None), (None, "a\0b"), ("one", "two")]
)
def test_what_is_no_key_is_refused(field: str | None, header: str | None) -> None:
    with pytest.raises(InvalidFieldError) as error:
        claim_of(GENERATE, field, header)
    assert [each.field for each in error.value.violations] == ["requestId"]


def test_a_key_may_have_128_characters_of_any_script() -> None:
    assert claim_of(GENERATE, "狐" * 128, None)


def test_a_key_from_when_png_was_the_default_format_still_belongs_to_its_request() -> None:
    then = "4d2e8454217f34ab84e5156b533a36d929edad7d9028725caebdb5b7714d764c"
    claim = claim_of(GENERATE, "key", None)
    explicit = claim_of(dataclasses.replace(GENERATE, output_format="png"), "key", None)
    assert claim is not None and explicit is not None
    assert claim.former_fingerprint == explicit.fingerprint == then
    assert explicit.former_fingerprint == ""
