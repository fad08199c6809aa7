"""The three documented calls, answered field by field, under both prefixes, by curl and by a program."""

import json
import shutil
import subprocess
from typing import Any

import httpx
import pytest

from limner.service.caller import Role
from tests.pictures import decoded, png
from tests.rest.errors import detail, error_of, violations
from tests.rest.seed import EDIT, GENERATE, UPSCALE, UPSCALER, made
from tests.tenant import PREFIXES, Tenant


def uploaded(client: httpx.Client, picture: bytes = b"", content_type: str = "image/png") -> dict[str, Any]:
    response = client.post("/images", content=picture or png(), headers={"content-type": content_type})
    assert response.status_code == 200, response.text
    return dict(response.json())


def test_generate_answers_what_is_documented(tenant: Tenant) -> None:
    body = {"prompt": " a red fox ", "numImages": 2, "aspectRatio": "16:9", "outputFormat": "jpeg", "modelId": "sketch"}

    answer = made(tenant.rest().post(GENERATE, json=body))

    assert len(answer["images"]) == 2
    for image in answer["images"]:
        seed = image["parameters"].pop("seed")
        assert isinstance(seed, int)
        assert image["parameters"] == {"aspectRatio": "16:9", "outputFormat": "jpeg", "numImages": 2}
        assert image["workspaceId"] == tenant.id
        assert (image["createdByUserId"], image["prompt"], image["model"]) == ("ada", "a red fox", "sketch")
        assert image["inputImageIds"] == []
        assert image["imageWidth"] / image["imageHeight"] == pytest.approx(16 / 9, rel=0.02)


def test_generate_needs_a_prompt_only(tenant: Tenant) -> None:
    (image,) = made(tenant.rest().post(GENERATE, json={"prompt": "a fox"}))["images"]

    assert image["imageWidth"] == image["imageHeight"]
    assert image["parameters"]["outputFormat"] == "png"
    assert image["parameters"]["aspectRatio"] == "1:1"
    assert image["parameters"]["numImages"] == 1


def test_edit_answers_what_is_documented(tenant: Tenant) -> None:
    ada = tenant.rest()
    sources = [uploaded(ada, png(24, 16))["id"], uploaded(ada)["id"]]
    body = {
        "prompt": "black and white",
        "imageIds": sources,
        "numImages": 1,
        "aspectRatio": "auto",
        "outputFormat": "webp",
        "modelId": "sketch",
    }

    (image,) = made(ada.post(EDIT, json=body))["images"]

    assert image["inputImageIds"] == sources
    assert (image["prompt"], image["model"]) == ("black and white", "sketch")
    assert image["parameters"]["aspectRatio"] == "auto"
    assert image["parameters"]["outputFormat"] == "webp"


def test_upscale_answers_what_is_documented(tenant: Tenant) -> None:
    ada = tenant.rest()
    source = uploaded(ada, png(10, 7))
    body = {"imageId": source["id"], "modelId": UPSCALER, "upscaleFactor": 3, "outputFormat": "png"}

    answer = made(ada.post(UPSCALE, json=body))

    (image,) = answer["images"]
    assert (image["imageWidth"], image["imageHeight"]) == (30, 21)
    assert (image["prompt"], image["model"]) == ("", UPSCALER)
    assert image["inputImageIds"] == [source["id"]]
    assert image["parameters"] == {"upscaleFactor": 3, "outputFormat": "png", "numImages": 1}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_content_link_leads_to_the_picture_under_both_prefixes(tenant: Tenant, prefix: str) -> None:
    ada = tenant.rest()
    (image,) = made(ada.post(GENERATE, json={"prompt": "a fox", "outputFormat": "png"}))["images"]
    link = image["_links"]["content"]
    assert link == f"/v1/workspaces/{tenant.id}/images/{image['id']}/content"

    response = ada.get(tenant.url(prefix + link.removeprefix("/v1")))

    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert response.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert response.headers["etag"].strip('"')
    assert len(response.content) == image["imageSize"]
    assert decoded(response.content).size == (image["imageWidth"], image["imageHeight"])


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_documented_curl_calls_work(tenant: Tenant, prefix: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    token = dict(tenant.metadata())["authorization"].removeprefix("Bearer ")

    def curl(path: str, body: dict[str, Any]) -> dict[str, Any]:
        command = [
            "curl",
            "--silent",
            "--show-error",
            "-X",
            "POST",
            tenant.url(f"{prefix}/workspaces/{tenant.id}{path}"),
        ]
        command += ["-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json"]
        done = subprocess.run([*command, "-d", json.dumps(body, indent=2)], check=True, capture_output=True, text=True)
        return dict(json.loads(done.stdout))

    generated = curl(GENERATE, {"prompt": "string", "numImages": 1, "aspectRatio": "1:1", "outputFormat": "png"})
    source = generated["images"][0]["id"]
    edited = curl(EDIT, {"prompt": "string", "imageIds": [source], "numImages": 1, "aspectRatio": "auto"})
    small = uploaded(tenant.rest())["id"]
    upscaled = curl(UPSCALE, {"imageId": small, "modelId": UPSCALER, "upscaleFactor": 2, "outputFormat": "png"})

    assert edited["images"][0]["inputImageIds"] == [source]
    assert upscaled["images"][0]["inputImageIds"] == [small]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (EDIT, {"prompt": "warmer", "imageIds": ["ID"]}),
        (UPSCALE, {"imageId": "ID", "modelId": UPSCALER, "upscaleFactor": 2}),
    ],
    ids=["edit", "upscale"],
)
@pytest.mark.parametrize(
    "rights", [{}, {"role": Role.ADMIN}, {"admin": True}], ids=["member", "workspace admin", "admin"]
)
def test_pictures_of_others_are_not_edited_or_upscaled(
    tenant: Tenant, path: str, body: dict[str, Any], rights: dict[str, Any]
) -> None:
    image_id = uploaded(tenant.rest("ada"))["id"]

    response = tenant.rest("bob", **rights).post(path, content=json.dumps(body).replace("ID", image_id))

    assert response.status_code == 403
    error = error_of(response)
    assert error["code"] == 7
    assert detail(error, "ErrorInfo")["reason"] == "PERMISSION_DENIED"


@pytest.mark.parametrize("path", [GENERATE, EDIT, UPSCALE])
def test_malformed_json_is_a_json_error(tenant: Tenant, path: str) -> None:
    response = tenant.rest().post(path, content=b'{"prompt": "a fox"')

    assert "body" in violations(response)


def test_an_unknown_path_is_a_json_error(tenant: Tenant) -> None:
    response = tenant.rest().post("/image-imagination-tasks", json={})

    assert response.status_code == 404
    assert error_of(response)["code"] == 5


@pytest.mark.parametrize(
    ("field", "value"),
    [("numImages", "many"), ("numImages", 1.5), ("prompt", 7), ("prompt", ["a"]), ("seed", -1), ("aspectRatio", {})],
)
def test_a_wrong_type_names_its_field(tenant: Tenant, field: str, value: object) -> None:
    response = tenant.rest().post(GENERATE, json={"prompt": "a fox", field: value})

    assert set(violations(response)) == {field}


def test_a_field_that_does_not_exist_is_named(tenant: Tenant) -> None:
    assert set(violations(tenant.rest().post(GENERATE, json={"prompt": "a fox", "colour": "red"}))) == {"colour"}


@pytest.mark.parametrize("character", ["x", "ü", "🦊"])
def test_a_prompt_has_up_to_32_000_characters(tenant: Tenant, character: str) -> None:
    response = tenant.rest().post(GENERATE, json={"prompt": character * 32_001})

    assert violations(response) == {"prompt": "must have 1 to 32,000 characters after trimming, has 32,001"}
    longest = tenant.rest().post(GENERATE, json={"prompt": f"  {character * 32_000}  ", "numImages": 0})
    assert set(violations(longest)) == {"numImages"}


def test_the_longest_prompt_is_drawn(tenant: Tenant) -> None:
    (image,) = made(tenant.rest().post(GENERATE, json={"prompt": "fox " * 7_999 + "owl"}))["images"]

    assert len(image["prompt"]) == 31_999


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        (GENERATE, {}, {"prompt"}),
        (
            GENERATE,
            {"prompt": " ", "numImages": 11, "aspectRatio": "7:5", "outputFormat": "gif", "modelId": "nope"},
            {"prompt", "numImages", "aspectRatio", "outputFormat", "modelId"},
        ),
        (GENERATE, {"prompt": "a fox", "aspectRatio": "auto"}, {"aspectRatio"}),
        (GENERATE, {"prompt": "a fox", "modelId": UPSCALER}, {"modelId"}),
        (EDIT, {}, {"prompt", "imageIds"}),
        (EDIT, {"prompt": "warmer", "imageIds": ["a"] * 5, "numImages": 0}, {"imageIds", "numImages"}),
        (EDIT, {"prompt": "warmer", "imageIds": ["a"] * 17}, {"imageIds"}),
        (UPSCALE, {}, {"imageId", "modelId", "upscaleFactor"}),
        (UPSCALE, {"imageId": "a", "modelId": UPSCALER, "upscaleFactor": 5}, {"upscaleFactor"}),
        (UPSCALE, {"imageId": "a", "modelId": "sketch", "upscaleFactor": 2}, {"modelId"}),
        (
            UPSCALE,
            {"imageId": "", "modelId": UPSCALER, "upscaleFactor": -1, "outputFormat": "bmp"},
            {"imageId", "upscaleFactor", "outputFormat"},
        ),
    ],
)
def test_all_violations_come_at_once(tenant: Tenant, path: str, body: dict[str, Any], fields: set[str]) -> None:
    assert set(violations(tenant.rest().post(path, json=body))) == fields


def test_a_refused_value_comes_with_those_that_the_model_can_do(tenant: Tenant) -> None:
    body = {"imageId": "a", "modelId": UPSCALER, "upscaleFactor": 5}

    assert violations(tenant.rest().post(UPSCALE, json=body)) == {"upscaleFactor": "must be one of 2, 3, 4"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (EDIT, {"prompt": "warmer", "imageIds": ["0" * 32]}),
        (EDIT, {"prompt": "warmer", "imageIds": ["../../etc/passwd"]}),
        (UPSCALE, {"imageId": "f" * 32, "modelId": UPSCALER, "upscaleFactor": 2}),
    ],
)
def test_inputs_that_do_not_exist_are_not_found(tenant: Tenant, path: str, body: dict[str, Any]) -> None:
    response = tenant.rest().post(path, json=body)

    assert response.status_code == 404
    assert detail(error_of(response), "ErrorInfo")["reason"] == "IMAGE_NOT_FOUND"


def test_nobody_is_told_what_another_workspace_holds(tenant: Tenant) -> None:
    image_id = uploaded(tenant.rest("ada"))["id"]
    other = tenant.rest("eve", admin=True)
    url = tenant.url(f"/v1/workspaces/elsewhere/images/{image_id}")

    assert other.get(url).status_code == 404
    stranger = httpx.get(url, headers=dict(tenant.metadata("ada")))
    assert stranger.status_code == 403
    assert detail(error_of(stranger), "ErrorInfo")["reason"] == "PERMISSION_DENIED"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic YTpi"])
def test_calls_without_a_good_token_are_unauthenticated(tenant: Tenant, header: str) -> None:
    url = tenant.url(f"/v1/workspaces/{tenant.id}{GENERATE}")

    response = httpx.post(url, json={"prompt": "a fox"}, headers={"authorization": header} if header else {})

    assert response.status_code == 401
    error = error_of(response)
    assert error["code"] == 16
    reason = detail(error, "ErrorInfo")["reason"]
    assert reason == ("CREDENTIALS_MISSING" if header in ("", "Bearer") else "CREDENTIALS_INVALID")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", GENERATE, 200),
        ("POST", EDIT, 400),
        ("GET", "/images", 200),
        ("GET", "/images/none", 404),
        ("GET", "/nope", 404),
    ],
)
def test_the_callers_request_id_comes_back(tenant: Tenant, method: str, path: str, status: int) -> None:
    body = {"prompt": "a fox"} if method == "POST" else None
    headers = {"x-request-id": "order-66"}

    response = tenant.rest().request(method, path, json=body, headers=headers)

    assert response.status_code == status
    assert response.headers.get_list("x-request-id") == ["order-66"]


def test_a_request_without_an_id_gets_one_of_its_own(tenant: Tenant) -> None:
    ada = tenant.rest()

    ids = {ada.get("/images").headers["x-request-id"] for _ in range(3)}

    assert len(ids) == 3
    assert all(len(each) == 36 for each in ids)
