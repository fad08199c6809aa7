"""What the gateway and the service find wrong with a request comes at once, and only to those who may ask."""

from typing import Any

import httpx
import pytest
from imageservice.v1 import image_service_pb2 as pb

from limner.domain.errors import InvalidFieldError
from limner.domain.task import Operation
from limner.rpc.policies import POLICIES, Access
from limner.rpc.violations import GATEWAY_KEY
from limner.service.caller import Role
from limner.service.drafts import TaskDraft
from limner.service.idempotency import claim_of
from tests.pictures import png
from tests.rest.errors import detail, error_of, violations
from tests.rest.seed import EDIT, GENERATE, UPSCALE, UPSCALER, made
from tests.rest.stand_in import StandIn
from tests.rest.test_service_seed import uploaded
from tests.rpc.answers import answer
from tests.tenant import Tenant

STREAM = "/image-tasks:stream"
CALLS = [name for name, access in POLICIES.items() if name.startswith("/") and access is not Access.OPEN]
"""By their full names; pages, which are no calls, have none with a slash ahead."""
INT32 = "must be an integer from -2147483648 to 2147483647"


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        (
            GENERATE,
            {"prompt": 1, "numImages": 99, "aspectRatio": "7:5", "seed": "x", "colour": "red"},
            {"prompt", "numImages", "aspectRatio", "seed", "colour"},
        ),
        (GENERATE, {"prompt": "", "numImages": "x", "modelId": "nope"}, {"prompt", "numImages", "modelId"}),
        (GENERATE, {"prompt": "", "num_images": "x"}, {"prompt", "num_images"}),
        (GENERATE, {"prompt": "", "requestId": ""}, {"prompt", "requestId"}),
        (GENERATE, {"prompt": 1, "requestId": "x" * 129}, {"prompt", "requestId"}),
        (GENERATE, {"modelId": 5, "prompt": "a fox", "outputFormat": "gif"}, {"modelId", "outputFormat"}),
        (EDIT, {"imageIds": ["x", 1, [2]], "prompt": ""}, {"imageIds[1]", "imageIds[2]", "prompt"}),
        (EDIT, {"imageIds": "x", "numImages": 0, "prompt": "warmer"}, {"imageIds", "numImages"}),
        (
            UPSCALE,
            {"imageId": 5, "upscaleFactor": "x", "outputFormat": "gif"},
            {"imageId", "upscaleFactor", "outputFormat", "modelId"},
        ),
        (UPSCALE, {"imageId": ["a"], "modelId": UPSCALER, "upscaleFactor": 5}, {"imageId", "upscaleFactor"}),
        (STREAM, {"generate": {"numImages": "x", "prompt": ""}, "x": 1}, {"generate.numImages", "prompt", "x"}),
        (STREAM, {"generate": {"prompt": 7}, "edit": {"prompt": 7}}, {"generate.prompt", "edit", "edit.prompt"}),
        (STREAM, {"generate": "x"}, {"generate"}),
        (STREAM, {"x": 1}, {"x", "task"}),
        (
            STREAM,
            {"generate": {"prompt": "a fox", "workspaceId": "elsewhere", "seed": -1}},
            {"generate.workspaceId", "generate.seed"},
        ),
    ],
)
def test_wrong_types_and_wrong_values_come_at_once(
    tenant: Tenant, path: str, body: dict[str, Any], fields: set[str]
) -> None:
    assert set(violations(tenant.rest().post(path, json=body))) == fields


def test_each_keeps_what_is_said_of_it(tenant: Tenant) -> None:
    found = violations(
        tenant.rest().post(f"{GENERATE}?a%00b=1&seed=2", json={"prompt": "ü", "ünï": 1, "numImages": 11})
    )

    assert found == {
        "a b": "is not a query parameter of this call",
        "seed": "is not a query parameter of this call",
        "ünï": "is not a field of this request",
        "numImages": "must be 1 to 10, is 11",
    }


def test_wrong_query_parameters_come_at_once(tenant: Tenant) -> None:
    assert set(violations(tenant.rest().get("/images?pageSize=x&pageToken=y&z=1"))) == {"pageSize", "pageToken", "z"}
    assert set(violations(tenant.rest().get("/images?pageSize=-1&pageToken=y"))) == {"pageSize", "pageToken"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", GENERATE, {"prompt": 1}),
        ("POST", STREAM, {"generate": {"prompt": 1}}),
        ("GET", "/images?pageSize=x", None),
        ("GET", "/usage?x=1", None),
        ("DELETE", f"/images/{'0' * 32}?x=1", None),
        ("POST", f"/generations/{'0' * 32}:cancel", {"x": 1}),
    ],
)
def test_who_may_not_ask_learns_nothing_of_what_is_wrong(tenant: Tenant, method: str, path: str, body: Any) -> None:
    nobody = tenant.rest()
    nobody.headers.pop("authorization")
    stranger = tenant.rest()
    stranger.headers.update(dict(tenant.service.metadata("eve", workspaces={"elsewhere": Role.MEMBER})))

    answers = [client.request(method, path, json=body) for client in (nobody, stranger, tenant.rest())]

    assert [each.status_code for each in answers] == [401, 403, 400]
    assert [detail(error_of(each), "ErrorInfo")["reason"] for each in answers] == [
        "CREDENTIALS_MISSING",
        "PERMISSION_DENIED",
        "INVALID_FIELD",
    ]


def test_what_is_left_of_a_wrong_request_is_not_done(tenant: Tenant) -> None:
    ada = tenant.rest()
    image_id = uploaded(ada, png())["id"]

    assert ada.delete(f"/images/{image_id}?force=true").status_code == 400
    upload = ada.post("/images?title=x", content=png(), headers={"content-type": "image/png"})
    assert set(violations(upload)) == {"title"}
    assert (
        ada.post(GENERATE, json={"prompt": "a fox", "seed": "x"}, headers={"idempotency-key": "k"}).status_code == 400
    )
    assert ada.post(STREAM, json={"generate": {"prompt": "a fox", "x": 1}}).status_code == 400

    assert [image["id"] for image in ada.get("/images").json()["images"]] == [image_id]
    assert ada.get("/usage").json()["images"]["used"] == 0


def test_a_wrong_request_does_not_use_up_its_key(tenant: Tenant) -> None:
    ada, key = tenant.rest(), {"idempotency-key": "k"}

    assert ada.post(GENERATE, json={"prompt": "a fox", "x": 1}, headers=key).status_code == 400
    first = made(ada.post(GENERATE, json={"prompt": "a fox"}, headers=key))
    assert ada.post(GENERATE, json={"prompt": "a fox", "x": 1}, headers=key).status_code == 400
    assert made(ada.post(GENERATE, json={"prompt": "a fox"}, headers=key)) == first


def test_a_rest_caller_can_not_speak_for_the_gateway(tenant: Tenant) -> None:
    forged = {GATEWAY_KEY: "cHJvbXB0AGlzIGJhZA"}
    assert tenant.rest().get("/images", headers=forged).status_code == 200
    (wrong,) = violations(tenant.rest().get("/images?x=1", headers=forged))
    assert wrong == "x"


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("told", [b"a\0is bad\0b\0too", b"", b"\xff\0is bad"])
def test_every_call_refuses_what_the_gateway_found_wrong(tenant: Tenant, method: str, told: bytes) -> None:
    name = method.rpartition("/")[2]
    (rpc,) = [each for each in pb.DESCRIPTOR.services_by_name["ImageService"].methods if each.name == name]
    request = getattr(pb, rpc.input_type.name)()
    if POLICIES[method] is Access.MEMBER:
        request.workspace_id = tenant.id
    metadata: Any = (*tenant.metadata(), (GATEWAY_KEY, told))

    done = answer(getattr(tenant.stub, name), request, metadata)

    field, _, rest = told.decode(errors="replace").partition("\0")
    assert done.reason == "INVALID_FIELD"
    assert done.violations[field] == (rest.partition("\0")[0] or "is wrong")


# By the stand-in: what the gateway passes on.


def test_what_is_wrong_is_taken_out_and_the_rest_is_passed_on(rest: httpx.Client, stand_in: StandIn) -> None:
    body = (
        '{ "prompt" : "a, \\"cat\\"}" ,"numImages":"x", "modelId":["a",{"b":1}], "x" : {"y": [1, "}"]} , "seed": 1e2,'
        ' "seed": 3, "workspaceId":"other", "aspectRatio" : {} }'
    )
    found = violations(rest.post("/v1/workspaces/acme/image-generation-tasks?q=1", content=body))

    assert set(found) == {"q", "numImages", "modelId", "x", "seed", "workspaceId", "aspectRatio"}
    assert stand_in.requests == [pb.GenerateImagesRequest(workspace_id="acme", prompt='a, "cat"}', seed=100)]


def test_a_body_of_unknown_length_is_mended_too(rest: httpx.Client, stand_in: StandIn) -> None:
    parts = iter([b'{"prompt": "a ', b'cat", "numImages": "', b'x"}'])
    found = violations(rest.post("/v1/workspaces/acme/image-generation-tasks", content=parts))

    assert found == {"numImages": INT32}
    assert stand_in.requests == [pb.GenerateImagesRequest(workspace_id="acme", prompt="a cat")]


def test_a_wrong_member_is_taken_out_of_an_object_that_stays(rest: httpx.Client, stand_in: StandIn) -> None:
    body = {"generate": {"prompt": "a cat", "numImages": "x", "y": {"z": 1}}, "edit": {"prompt": 1}}
    found = violations(rest.post("/v1/workspaces/acme/image-tasks:stream", json=body))

    assert set(found) == {"generate.numImages", "generate.y", "edit", "edit.prompt"}
    task = pb.GenerateImagesRequest(prompt="a cat")
    assert stand_in.requests == [pb.RunTaskRequest(workspace_id="acme", generate=task)]


def test_wrong_query_parameters_are_taken_out(rest: httpx.Client, stand_in: StandIn) -> None:
    found = violations(rest.get("/v1/workspaces/acme/images?pageToken=a%2Fb&pageSize=x&pageToken=c&z"))

    assert set(found) == {"pageSize", "pageToken", "z"}
    assert stand_in.requests == [pb.ListImagesRequest(workspace_id="acme", page_token="a/b")]


def test_a_service_that_knows_nothing_of_it_does_not_do_the_rest(rest: httpx.Client, stand_in: StandIn) -> None:
    headers = {"idempotency-key": "mine"}
    rest.post("/v1/workspaces/acme/image-generation-tasks", json={"prompt": "a cat", "x": 1}, headers=headers)

    with pytest.raises(InvalidFieldError):
        claim_of(TaskDraft(operation=Operation.GENERATE), None, stand_in.metadata["idempotency-key"])


@pytest.mark.parametrize(("fields", "token"), [(20, "x"), (1, "x" * 4096)])
def test_more_than_headers_can_hold_is_refused_by_the_gateway(
    rest: httpx.Client, stand_in: StandIn, fields: int, token: str
) -> None:
    stand_in.requests = []
    body = {f"{index}{'x' * 300}": 1 for index in range(fields)}
    headers = {"authorization": f"Bearer {token}"}
    response = rest.post("/v1/workspaces/acme/image-generation-tasks", json=body, headers=headers)

    assert len(violations(response)) == fields
    assert stand_in.requests == []
