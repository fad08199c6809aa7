"""OpenAI's SDKs, unchanged, against the real service: what they get, and what is refused by name."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.pictures import chunk, png
from tests.rest.seed import EDIT, GENERATE
from tests.rest.test_service_seed import uploaded
from tests.tenant import Tenant
from tests.web.openai.clients import ids_of, node, picture_of, sdk

PICTURE = png(48, 32)
BROKEN = png(16, 16, before=chunk(b"caBX", b"\0\0\0\x20jumb\0\0\0\x18jumdc2pa\0\0\0\0"))
"""A picture with a manifest that is none."""


def listed(tenant: Tenant) -> list[str]:
    return [image["id"] for image in tenant.rest().get("/images").json()["images"]]


def test_pictures_come_with_their_ids_and_are_the_workspaces(tenant: Tenant) -> None:
    answer = sdk(tenant).images.generate(prompt="a red fox", n=2, size="1536x1024", output_format="webp", user="u-1")

    images = [tenant.rest().get(f"/images/{each}").json() for each in ids_of(answer)]
    assert [image["parameters"]["aspectRatio"] for image in images] == ["3:2", "3:2"]
    assert {image["generationId"] for image in images} == {answer.generation_id}  # type: ignore[attr-defined]
    assert (answer.output_format, answer.safety_identifier) == ("webp", "u-1")
    for each, image in zip(answer.data or [], images, strict=True):
        made = picture_of(each.b64_json)
        assert (made.format, made.size) == ("WEBP", (image["imageWidth"], image["imageHeight"]))
        assert answer.size == f"{made.width}x{made.height}"


@pytest.mark.parametrize("stream", [False, True])
def test_an_address_opens_without_a_token(tenant: Tenant, stream: bool) -> None:
    answer: Any = sdk(tenant).images.generate(prompt="a fox", response_format="url", stream=stream)

    urls = [event.url for event in answer] if stream else [each.url for each in answer.data]
    for url in urls:
        assert url.startswith(tenant.url(""))
        picture = httpx.get(url)
        assert picture.headers["content-type"] == "image/png"
        assert picture.content.startswith(b"\x89PNG")
    assert len(urls) == 1


def test_what_is_left_to_the_model_may_be_said(tenant: Tenant) -> None:
    answer = sdk(tenant).images.generate(
        prompt="a fox", size="auto", quality="auto", background="auto", moderation="auto", response_format="b64_json"
    )

    assert len(answer.data or []) == 1


def test_a_stream_ends_with_the_whole_picture(tenant: Tenant) -> None:
    events = list(sdk(tenant).images.generate(prompt="a fox", n=2, stream=True, partial_images=2))

    assert [event.type for event in events] == ["image_generation.completed"] * 2
    for event in events:
        made = picture_of(event.b64_json)
        assert event.size == f"{made.width}x{made.height}"


def test_every_event_ends_with_its_blank_line(tenant: Tenant) -> None:
    response = tenant.rest().post("/openai/images/generations", json={"prompt": "a fox", "stream": "true", "n": "2"})

    assert response.headers["content-type"] == "text/event-stream"
    assert response.text.endswith("}\n\n")
    names = [block.partition("\n")[0] for block in response.text.removesuffix("\n\n").split("\n\n")]
    assert names == ["event: image_generation.completed"] * 2


def test_edits_start_from_one_picture_or_from_several(tenant: Tenant) -> None:
    client = sdk(tenant)

    one = client.images.edit(image=io.BytesIO(PICTURE), prompt="black and white")
    several = client.images.edit(image=[("a.png", PICTURE), ("b.png", PICTURE)], prompt="black and white")

    (made,) = [tenant.rest().get(f"/images/{each}").json() for each in ids_of(several)]
    assert len(made["inputImageIds"]) == 2
    assert one.size == "48x32"
    assert set(made["inputImageIds"]) <= set(listed(tenant))


def test_an_edit_may_stream(tenant: Tenant) -> None:
    (event,) = list(sdk(tenant).images.edit(image=PICTURE, prompt="warmer", stream=True))

    assert event.type == "image_edit.completed"
    assert picture_of(event.b64_json).size == (48, 32)


@pytest.mark.parametrize("action", ["edit", "editSeveral"])
def test_node_edits_by_forms_of_no_told_length(tenant: Tenant, tmp_path: Path, action: str) -> None:
    (tmp_path / "cat.png").write_bytes(PICTURE)
    token = tenant.metadata()[0][1].removeprefix("Bearer ")

    answer = node(tenant.service, tenant.id, token, action, tmp_path / "cat.png")

    assert set(answer["ids"]) <= set(listed(tenant))
    assert answer["kinds"] == [base64.b64encode(PICTURE).decode()[:5]]


def test_node_generates_lists_and_streams(tenant: Tenant) -> None:
    token = tenant.metadata()[0][1].removeprefix("Bearer ")
    arguments = (tenant.service, tenant.id, token)

    assert "sketch" in node(*arguments, "models")
    assert len(node(*arguments, "generate")["ids"]) == 2
    assert node(*arguments, "stream") == [["image_generation.completed", True]]
    assert node(*arguments, "fail")["param"] == "prompt"


def test_an_edit_may_be_json(tenant: Tenant) -> None:
    kept = uploaded(tenant.rest(), PICTURE)["id"]
    data = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
    body = {"prompt": "black and white", "images": [{"file_id": kept}, {"image_url": data}]}

    answer = tenant.rest().post("/openai/images/edits", json=body)

    assert answer.status_code == 200, answer.text
    made = tenant.rest().get(f"/images/{answer.json()['data'][0]['id']}").json()
    assert made["inputImageIds"][0] == kept
    assert len(made["inputImageIds"]) == 2


@pytest.mark.parametrize(
    ("images", "param"),
    [
        ([{"image_url": "https://pictures.example/cat.png"}], "images[0].image_url"),
        ([{"image_url": "data:image/png;base64,@@"}], "images[0].image_url"),
        ([{"file_id": "x", "image_url": "y"}], "images[0]"),
        ([{"name": "x"}], "images[0].name"),
        ("x", "images"),
        ([], "image"),
    ],
)
def test_a_picture_is_named_or_brought_never_fetched(tenant: Tenant, images: Any, param: str) -> None:
    answer = tenant.rest().post("/openai/images/edits", json={"prompt": "warmer", "images": images})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_another_users_picture_is_not_edited(tenant: Tenant) -> None:
    kept = uploaded(tenant.rest("bob"), PICTURE)["id"]

    answer = tenant.rest("ada").post(
        "/openai/images/edits", json={"prompt": "warmer", "images": [{"file_id": kept}, {"file_id": kept}]}
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"svg": {"model": "x"}, "output_format": "svg"}, "svg", "unsupported_parameter"),
    ({"frame_count": 3}, "frame_count", "unsupported_parameter"),
    ({"frame_duration_ms": 30}, "frame_duration_ms", "unsupported_parameter"),
    ({"complexity": "low"}, "complexity", "unsupported_parameter"),
    ({"style": "vivid"}, "style", "unsupported_parameter"),
    ({"moderation": "low"}, "moderation", "invalid_value"),
    ({"extra_body": {"watermark": False}}, "watermark", "unknown_parameter"),
    ({"quality": "high"}, "quality", "invalid_value"),
    ({"background": "transparent"}, "background", "invalid_value"),
    ({"output_compression": 50, "output_format": "webp"}, "output_compression", "invalid_value"),
    ({"output_format": "gif"}, "output_format", "invalid_value"),
    ({"size": "100x900"}, "size", "invalid_value"),
    ({"size": "large"}, "size", "invalid_value"),
    ({"size": "1024x1024", "extra_body": {"aspect_ratio": "16:9"}}, "aspect_ratio", "invalid_value"),
    ({"n": 11}, "n", "invalid_value"),
    ({"model": "dall-e-3"}, "model", "invalid_value"),
    ({"partial_images": 2}, "partial_images", "invalid_value"),
    ({"partial_images": 4, "stream": True}, "partial_images", "invalid_value"),
]


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED, ids=[str(each[0]) for each in REFUSED])
def test_what_cannot_be_done_is_refused_by_name(tenant: Tenant, fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk(tenant).images.generate(prompt="a fox", **fields)

    assert (refusal.value.param, refusal.value.code) == (param, code)
    assert refusal.value.type == "invalid_request_error"
    assert param in refusal.value.message
    assert refusal.value.request_id
    assert listed(tenant) == []


@pytest.mark.parametrize(("name", "value"), [("mask", PICTURE), ("markup", PICTURE), ("input_fidelity", "high")])
def test_an_edit_refuses_by_name_and_keeps_no_picture(tenant: Tenant, name: str, value: Any) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk(tenant).images.edit(image=PICTURE, prompt="warmer", **{name: value})

    assert refusal.value.param == name
    assert listed(tenant) == []


def test_no_picture_at_all_is_named(tenant: Tenant) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk(tenant).images.edit(image=b"no picture", prompt="warmer")

    assert refusal.value.param == "image"
    assert listed(tenant) == []


@pytest.mark.parametrize("length_told", [True, False])
def test_a_form_may_come_in_pieces(tenant: Tenant, length_told: bool) -> None:
    request = httpx.Request(
        "POST",
        "http://any",
        data={"prompt": "black and white", "n": "1", "stream": "false", "size": "auto"},
        files=[("image[]", ("a.png", PICTURE, "image/png")), ("image[]", ("b.png", PICTURE, "image/png"))],
    )
    body = request.read()

    def pieces() -> Iterator[bytes]:
        yield from (body[at : at + 100] for at in range(0, len(body), 100))

    headers = {"content-type": request.headers["content-type"]}
    answer = tenant.rest().post("/openai/images/edits", content=body if length_told else pieces(), headers=headers)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{", {"content-type": "application/json"}),
        (b"[]", {"content-type": "application/json"}),
        (b"[" * 100_000, {"content-type": "application/json"}),
        (b"prompt=x", {"content-type": "application/x-www-form-urlencoded"}),
        (b"--b\r\nnothing", {"content-type": "multipart/form-data; boundary=b"}),
        (b"", {"content-type": "multipart/form-data"}),
        (
            b'--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\n\xff\r\n--b--',
            {"content-type": "multipart/form-data; boundary=b"},
        ),
    ],
)
def test_a_broken_body_is_the_callers_fault(tenant: Tenant, body: bytes, headers: dict[str, str]) -> None:
    for call in ("generations", "edits"):
        answer = tenant.rest().post(f"/openai/images/{call}", content=body, headers=headers)
        assert answer.status_code == 400, answer.text
        assert set(answer.json()["error"]) >= {"message", "type", "param", "code"}


def test_models_are_listed_and_told_one_by_one(tenant: Tenant) -> None:
    client = sdk(tenant)

    assert {model.id for model in client.models.list()} >= {"sketch", "realesr-animevideo"}
    assert client.models.retrieve("sketch").id == "sketch"
    with pytest.raises(openai.NotFoundError) as refusal:
        client.models.retrieve("some/thing")
    assert refusal.value.param == "model"


@pytest.mark.parametrize(
    ("picture", "outcome", "state"), [(PICTURE, "not_detected", "not_present"), (BROKEN, "detected", "invalid")]
)
def test_the_marks_of_a_picture_are_told(tenant: Tenant, picture: bytes, outcome: str, state: str) -> None:
    check = sdk(tenant).content_provenance_checks.create(file=("x.png", picture))

    (result,) = check.results
    assert result.type == "c2pa"
    assert (result.outcome, result.validation_state) == (outcome, state)
    assert listed(tenant) == []


def test_a_check_needs_one_picture(tenant: Tenant) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk(tenant).content_provenance_checks.create(file=b"no picture")
    assert refusal.value.param == "file"


@pytest.mark.parametrize(
    ("call", "name"),
    [("content_provenance_checks", "image"), ("content_provenance_checks", "mask"), ("images/edits", "file")],
)
def test_a_file_under_another_calls_name_is_refused_as_unknown(tenant: Tenant, call: str, name: str) -> None:
    response = tenant.rest().post(f"/openai/{call}", files={name: ("x.png", PICTURE, "image/png")})

    assert response.status_code == 400
    told = response.json()["error"]
    assert (told["param"], told["code"]) == (name, "unknown_parameter")


def test_a_key_counts_as_everywhere(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "order-17"}
    client = sdk(tenant)

    first = client.images.generate(prompt="a fox", extra_headers=headers)
    again = client.images.generate(prompt="a fox", extra_headers=headers)
    by_rest = tenant.rest().post(GENERATE, json={"prompt": "a fox"}, headers=headers).json()

    assert ids_of(first) == ids_of(again) == [image["id"] for image in by_rest["images"]]
    with pytest.raises(openai.ConflictError) as refusal:
        client.images.generate(prompt="a wolf", extra_headers=headers)
    assert refusal.value.code == "idempotency_key_reused"
    assert refusal.value.response.headers["x-should-retry"] == "false"


def test_an_edit_that_is_repeated_keeps_its_pictures_once(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "edit-17"}
    client = sdk(tenant)

    first = client.images.edit(image=PICTURE, prompt="warmer", extra_headers=headers)
    before = listed(tenant)
    again = client.images.edit(image=PICTURE, prompt="warmer", extra_headers=headers)

    assert ids_of(first) == ids_of(again)
    assert listed(tenant) == before
    with pytest.raises(openai.ConflictError):
        client.images.edit(image=png(16, 16), prompt="warmer", extra_headers=headers)
    assert listed(tenant) == before


def test_no_token_and_no_member_are_told_apart(tenant: Tenant) -> None:
    with pytest.raises(openai.AuthenticationError) as refusal:
        sdk(tenant).with_options(api_key="nonsense").images.generate(prompt="a fox")
    assert refusal.value.code == "invalid_api_key"

    stranger = sdk(tenant).with_options(base_url=f"http://{tenant.service.http_address}/v1/workspaces/other/openai")
    with pytest.raises(openai.PermissionDeniedError):
        stranger.models.list()


def test_what_comes_of_an_edit_by_openais_door_can_be_edited_by_ours(tenant: Tenant) -> None:
    (made,) = ids_of(sdk(tenant).images.generate(prompt="a fox"))

    answer = tenant.rest().post(EDIT, json={"prompt": "warmer", "imageIds": [made]})

    assert answer.status_code == 200, json.dumps(answer.json())
