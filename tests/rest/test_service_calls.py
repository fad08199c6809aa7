"""Generations, streams of events, models and usage, over REST."""

import json
import re
from typing import Any

import httpx
import pytest
from google.api.annotations_pb2 import http as http_option
from imageservice.v1 import image_service_pb2 as pb

from tests.pictures import png
from tests.rest.errors import detail, error_of, violations
from tests.rest.seed import EDIT, GENERATE, UPSCALER, check_image, made
from tests.rest.test_service_seed import uploaded
from tests.tenant import PREFIXES, Tenant

STREAM = "/image-tasks:stream"


def events_of(text: str) -> list[tuple[str, Any]]:
    """The events of a stream: their one field and its value."""
    assert text.endswith("\n\n")
    events = [json.loads(block.removeprefix("data: ")) for block in text.strip().split("\n\n")]
    return [pair for event in events for pair in event.items()]


def url_templates() -> list[tuple[str, str]]:
    """Every method and path of the contract, under both prefixes."""
    templates = []
    for method in pb.DESCRIPTOR.services_by_name["ImageService"].methods:
        rule = method.GetOptions().Extensions[http_option]
        for each in (rule, *rule.additional_bindings):
            verb = each.WhichOneof("pattern")
            templates.append((verb.upper(), getattr(each, verb)))
    return templates


def test_every_call_has_a_path_under_both_prefixes() -> None:
    first, second = (
        {(verb, path.removeprefix(prefix)) for verb, path in url_templates() if path.startswith(f"{prefix}/")}
        for prefix in PREFIXES
    )
    assert first == second
    assert len(first) + len(second) == len(url_templates())


@pytest.mark.parametrize(("verb", "path"), url_templates())
def test_every_path_is_of_a_call_and_needs_a_token(tenant: Tenant, verb: str, path: str) -> None:
    address = tenant.url(re.sub(r"{\w+}", "0" * 32, path))
    assert httpx.request(verb, address).status_code == 401
    assert httpx.request(verb, address.replace("/v1/", "/v1/nothing/")).status_code == 404


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_task_is_run_as_server_sent_events(tenant: Tenant, prefix: str) -> None:
    body = {"generate": {"prompt": "a fox", "numImages": 2}}

    response = tenant.rest(prefix=prefix).post(STREAM, json=body)

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-request-id"]
    events = events_of(response.text)
    names = [name for name, _ in events]
    assert (names[0], names[-1], names.count("image")) == ("queued", "completed", 2)
    completed = events[-1][1]
    assert completed["state"] == "SUCCEEDED"
    assert completed["generationId"] == events[0][1]["generationId"]
    assert [value for name, value in events if name == "image"] == completed["images"]
    for image in completed["images"]:
        check_image(image)


def test_progress_is_honest_and_never_goes_back(tenant: Tenant) -> None:
    source = uploaded(tenant.rest(), png(300, 300))["id"]
    body = {"upscale": {"imageId": source, "modelId": UPSCALER, "upscaleFactor": 2}}

    events = events_of(tenant.rest().post(STREAM, json=body).text)

    fractions = [value["fraction"] for name, value in events if name == "progress"]
    assert len(fractions) > 1
    assert fractions == sorted(set(fractions))
    assert 0 <= fractions[0] < fractions[-1] <= 1


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"task"}),
        ({"generate": {"prompt": "", "numImages": 99}}, {"prompt", "numImages"}),
        ({"generate": {"prompt": "a fox", "workspaceId": "elsewhere"}}, {"generate.workspaceId"}),
    ],
)
def test_what_is_wrong_before_the_stream_is_an_ordinary_error(
    tenant: Tenant, body: dict[str, Any], fields: set[str]
) -> None:
    assert set(violations(tenant.rest().post(STREAM, json=body))) == fields


def test_a_generation_is_shown_with_all_its_fields(tenant: Tenant) -> None:
    ada = tenant.rest()
    source = uploaded(ada)
    answer = made(ada.post(EDIT, json={"prompt": "warmer", "imageIds": [source["id"]]}))

    generation = ada.get(f"/generations/{answer['generationId']}").json()

    assert generation.pop("createdAt") <= generation.pop("updatedAt")
    (traced,) = generation.pop("inputImages")
    assert {**traced, "_links": None} == {**source, "_links": None}
    assert generation == {
        "generationId": answer["generationId"],
        "workspaceId": tenant.id,
        "createdByUserId": "ada",
        "operation": "edit",
        "model": "sketch",
        "prompt": "warmer",
        "state": "SUCCEEDED",
        "images": answer["images"],
        "description": answer["description"],
        "mayBill": False,
    }


@pytest.mark.parametrize("generation_id", ["0" * 32, "nonsense", "%F0%9F%A6%8A"])
def test_an_unknown_generation_is_not_found(tenant: Tenant, generation_id: str) -> None:
    response = tenant.rest().get(f"/generations/{generation_id}")

    assert response.status_code == 404
    assert detail(error_of(response), "ErrorInfo")["reason"] == "GENERATION_NOT_FOUND"


def test_cancelling_what_has_ended_changes_nothing(tenant: Tenant) -> None:
    ada = tenant.rest()
    generation_id = made(ada.post(GENERATE, json={"prompt": "a fox"}))["generationId"]

    response = ada.post(f"/generations/{generation_id}:cancel")

    assert response.status_code == 200
    assert response.json() == ada.get(f"/generations/{generation_id}").json()
    assert tenant.rest("bob").post(f"/generations/{generation_id}:cancel").status_code == 403


def test_models_tell_what_they_can_do(tenant: Tenant) -> None:
    models = tenant.rest().get(tenant.url("/v1/models")).json()["models"]

    by_id = {model["id"]: model for model in models}
    assert set(by_id) == {"sketch", "realesrgan-x4plus", "realesr-animevideo"}
    sketch, upscaler = by_id["sketch"], by_id[UPSCALER]
    assert set(sketch) == {
        "id",
        "description",
        "operations",
        "aspectRatios",
        "outputFormats",
        "maxImages",
        "maxInputImages",
        "upscaleFactors",
        "seeds",
        "maxPromptChars",
        "priceUsd",
        "ready",
        "unreadyReason",
        "defaultFor",
    }
    assert (sketch["operations"], sketch["defaultFor"]) == (["generate", "edit"], ["generate", "edit"])
    assert sketch["outputFormats"] == ["png", "jpeg", "webp"]
    assert "auto" in sketch["aspectRatios"]
    assert (sketch["seeds"], sketch["ready"], sketch["unreadyReason"]) == (True, True, "")
    assert (upscaler["operations"], upscaler["upscaleFactors"]) == (["upscale"], [2, 3, 4])


def test_usage_counts_what_was_made_and_not_what_was_uploaded_or_deleted(tenant: Tenant) -> None:
    ada = tenant.rest()
    uploaded(ada)
    images = made(ada.post(GENERATE, json={"prompt": "a fox", "numImages": 2}))["images"]
    ada.delete(f"/images/{images[0]['id']}")

    usage = ada.get("/usage").json()

    assert usage.pop("month").count("-") == 1
    assert usage == {
        "workspaceId": tenant.id,
        "images": {"used": 2, "reserved": 0},
        "money": {"currency": "USD", "used": 0, "reserved": 0},
    }


@pytest.mark.parametrize(("name", "value"), [("x-a!b", "1"), ("x-trace-bin", "not base64"), ("x-name", "Zoë")])
def test_a_header_that_http_allows_and_grpc_does_not_harms_no_call(tenant: Tenant, name: str, value: str) -> None:
    response = tenant.rest().get("/images", headers=[(name.encode(), value.encode("latin-1"))])

    assert response.status_code == 200, response.text


def test_a_key_that_no_header_can_carry_is_refused_not_dropped(tenant: Tenant) -> None:
    headers = [(b"idempotency-key", "Zoë".encode("latin-1"))]

    response = tenant.rest().post(GENERATE, json={"prompt": "a fox"}, headers=headers)

    assert set(violations(response)) == {"requestId"}
