"""Requests as no client library writes them: an answer in JSON, and no way round the checks."""

import socket
from typing import BinaryIO

import httpx
import pytest

from limner.gateway.process import Gateway
from tests.rest.errors import error_of
from tests.rest.stand_in import StandIn

IMAGES = "/v1/workspaces/acme/images"
GENERATE = "/v1/workspaces/acme/image-generation-tasks"
JSON = "content-type: application/json\r\n"


def answers(gateway: Gateway, request: str, count: int = 1) -> list[httpx.Response]:
    """Return what comes for some requests that are sent at once."""
    host, _, port = gateway.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request.encode())
        file = connection.makefile("rb")
        return [read_response(file) for _ in range(count)]


def read_response(file: BinaryIO) -> httpx.Response:
    status = int(file.readline().split()[1])
    lines = iter(lambda: file.readline().decode().rstrip("\r\n"), "")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    length = int(dict(headers)["content-length"])
    return httpx.Response(status, headers=headers, content=file.read(length))


def answer(gateway: Gateway, request: str) -> httpx.Response:
    return answers(gateway, request)[0]


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("CONNECT acme:443", "", 404),
        (f"CONNECT {IMAGES}", "", 400),
        ("OPTIONS *", "", 404),
        (f"TRACE {IMAGES}", "", 404),
        (f"BREW {IMAGES}", "", 400),
        (f"get {IMAGES}", "", 400),
        (f"GET {IMAGES}", "connection: upgrade\r\nupgrade: websocket\r\n", 400),
        (f"GET {IMAGES}", "x-a: 1\0\r\n", 400),
        (f"GET {IMAGES}", "".join(f"x-{index}: 1\r\n" for index in range(150)), 431),
        (f"GET {IMAGES}/%00", "", 400),
        (f"POST {GENERATE}", "content-length: 3\r\ncontent-length: 4\r\n", 400),
        (f"POST {GENERATE}", "content-length: 3\r\ntransfer-encoding: chunked\r\n", 400),
        (f"POST {GENERATE}", "content-length: -3\r\n", 400),
        (f"POST {GENERATE}", "content-length: 99999999999999999999\r\n", 400),
        (f"POST {GENERATE}", "content-length: 1000000000000000000\r\n", 413),
        (f"POST {IMAGES}", "transfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        ("GET /imageservice.v1.ImageService/GetImage", "", 404),
        ("POST /imageservice.v1.ImageService/GetImage", f"{JSON}content-length: 2\r\n\r\n{{}}", 404),
    ],
)
def test_an_odd_request_is_the_callers_fault(
    gateway: Gateway, stand_in: StandIn, request_line: str, headers: str, status: int
) -> None:
    stand_in.requests = []

    response = answer(gateway, f"{request_line} HTTP/1.1\r\nhost: x\r\n{headers}\r\n")

    assert response.status_code == status
    error_of(response)
    assert stand_in.requests == []


@pytest.mark.parametrize("path", [f"http://evil.example{IMAGES}", f"{IMAGES}/", f"/v1/../{IMAGES}", f"/{IMAGES}"])
def test_another_spelling_of_an_address_is_that_address(gateway: Gateway, stand_in: StandIn, path: str) -> None:
    response = answer(gateway, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")

    assert response.status_code in (200, 404)
    if response.status_code == 200:
        assert stand_in.requests[0].workspace_id == "acme"  # type: ignore[attr-defined]


def test_many_requests_that_come_at_once_are_answered_in_turn(gateway: Gateway) -> None:
    responses = answers(gateway, f"GET {IMAGES} HTTP/1.1\r\nhost: x\r\n\r\n" * 100, count=100)

    assert {response.status_code for response in responses} == {200}


def test_trailers_say_nothing_to_the_service(gateway: Gateway, stand_in: StandIn) -> None:
    body = "2\r\n{}\r\n0\r\nx-limner-violations-bin: AAAA\r\ngrpc-timeout: 1n\r\n\r\n"
    head = f"POST {GENERATE} HTTP/1.1\r\nhost: x\r\n{JSON}transfer-encoding: chunked\r\n\r\n"

    assert answer(gateway, head + body).status_code == 200
    assert "x-limner-violations-bin" not in stand_in.metadata


def test_no_caller_tells_the_gateway_when_to_give_up_or_to_try_again(rest: httpx.Client, stand_in: StandIn) -> None:
    headers = {
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-upstream-rq-per-try-timeout-ms": "1",
        "x-envoy-hedge-on-per-try-timeout": "true",
        "x-envoy-expected-rq-timeout-ms": "1",
    }
    assert rest.post(GENERATE, json={"prompt": "wait 0.2"}, headers=headers).status_code == 200

    stand_in.calls = 0
    headers = {
        "x-envoy-retry-on": "5xx,gateway-error",
        "x-envoy-retry-grpc-on": "unavailable",
        "x-envoy-max-retries": "5",
    }
    assert rest.post(GENERATE, json={"prompt": "fail UNAVAILABLE"}, headers=headers).status_code == 503
    assert stand_in.calls == 1
