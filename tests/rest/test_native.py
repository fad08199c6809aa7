"""gRPC, grpc-web and browsers on the same port."""

import base64
import re
import struct
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from imageservice.v1 import image_pb2, image_service_pb2, image_service_pb2_grpc

from limner.gateway.process import Gateway
from tests.rest.conftest import ORIGIN

GET_IMAGE = "/imageservice.v1.ImageService/GetImage"


def test_grpc_passes_through(gateway: Gateway) -> None:
    with grpc.insecure_channel(gateway.address) as channel:
        stub = image_service_pb2_grpc.ImageServiceStub(channel)
        image = stub.GetImage(image_service_pb2.GetImageRequest(image_id="7"))
        events = list(stub.RunTask(image_service_pb2.RunTaskRequest()))

    assert image.id == "7"
    assert len(events) == 3


def test_a_grpc_error_keeps_its_details(gateway: Gateway) -> None:
    with grpc.insecure_channel(gateway.address) as channel, pytest.raises(grpc.RpcError) as caught:
        stub = image_service_pb2_grpc.ImageServiceStub(channel)
        stub.GenerateImages(image_service_pb2.GenerateImagesRequest(prompt="fail NOT_FOUND"))

    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == 'NOT_FOUND "ü" \n'
    assert "grpc-status-details-bin" in [each.key for each in caught.value.trailing_metadata()]


def test_health_and_reflection_pass_through(gateway: Gateway) -> None:
    with grpc.insecure_channel(gateway.address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        said = health.Check(health_pb2.HealthCheckRequest())
        (answer,) = reflection.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))

    assert said.status == health_pb2.HealthCheckResponse.SERVING
    assert "imageservice.v1.ImageService" in [each.name for each in answer.list_services_response.service]


def test_an_unknown_grpc_method_is_unimplemented(gateway: Gateway) -> None:
    with grpc.insecure_channel(gateway.address) as channel, pytest.raises(grpc.RpcError) as caught:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/v1/nope")
        call(b"")

    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("text", [False, True])
def test_grpc_web_is_answered(rest: httpx.Client, text: bool) -> None:
    message = image_service_pb2.GetImageRequest(image_id="7").SerializeToString()
    frame = struct.pack(">BI", 0, len(message)) + message
    content_type = "application/grpc-web-text" if text else "application/grpc-web+proto"
    response = rest.post(
        GET_IMAGE,
        content=base64.b64encode(frame) if text else frame,
        headers={"content-type": content_type, "accept": content_type, "x-grpc-web": "1"},
    )

    pieces = re.findall(rb"[^=]+=*", response.content)
    body = b"".join(map(base64.b64decode, pieces)) if text else response.content
    _, length = struct.unpack(">BI", body[:5])
    assert image_pb2.Image.FromString(body[5 : 5 + length]).id == "7"
    assert b"grpc-status:0" in body[5 + length :]


def test_a_page_of_an_allowed_origin_may_call(rest: httpx.Client) -> None:
    preflight = rest.options(
        "/v1/workspaces/acme/image-generation-tasks",
        headers={"origin": ORIGIN, "access-control-request-method": "POST"},
    )
    call = rest.post("/v1/workspaces/acme/image-generation-tasks", json={}, headers={"origin": ORIGIN})

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "idempotency-key" in preflight.headers["access-control-allow-headers"]
    assert call.headers["access-control-allow-origin"] == ORIGIN
    assert "x-request-id" in call.headers["access-control-expose-headers"]


def test_an_error_is_readable_for_a_page_of_an_allowed_origin(rest: httpx.Client) -> None:
    for response in (
        rest.post("/v1/workspaces/acme/image-generation-tasks", content="{", headers={"origin": ORIGIN}),
        rest.get("/v1/nope", headers={"origin": ORIGIN}),
    ):
        assert response.headers["access-control-allow-origin"] == ORIGIN


def test_a_page_of_another_origin_may_not_call(rest: httpx.Client) -> None:
    response = rest.get("/v1/models", headers={"origin": "https://evil.example"})

    assert "access-control-allow-origin" not in response.headers
