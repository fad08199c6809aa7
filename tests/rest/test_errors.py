"""The service's errors through the gateway, and the gateway's own."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import pytest

from limner.domain.limits import MIB
from limner.gateway.options import GatewayOptions
from tests.rest.conftest import Background
from tests.rest.errors import detail, error_of
from tests.rest.stand_in import StandIn

GENERATE = "/v1/workspaces/acme/image-generation-tasks"
STATUSES = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "INTERNAL": 500,
    "CANCELLED": 499,
}


@pytest.mark.parametrize("how", ["", " after-metadata"])
@pytest.mark.parametrize(("name", "http_status"), STATUSES.items())
def test_a_status_comes_as_its_http_status_with_its_details(
    rest: httpx.Client, name: str, http_status: int, how: str
) -> None:
    response = rest.post(GENERATE, json={"prompt": f"fail {name}{how}"})

    assert response.status_code == http_status
    error = error_of(response)
    assert error["code"] == grpc.StatusCode[name].value[0]
    assert error["message"] == f'{name} "ü" \n'
    assert detail(error, "ErrorInfo")["metadata"] == {"key": 'a "value"'}
    assert detail(error, "RetryInfo")["retryDelay"] == "2s"
    assert detail(error, "BadRequest")["fieldViolations"][0]["field"] == "prompt"
    assert response.headers["retry-after"] == "2"


def test_an_error_with_an_unknown_detail_keeps_its_code_and_message(rest: httpx.Client) -> None:
    response = rest.post(GENERATE, json={"prompt": "strange"})

    assert response.status_code == 404
    assert error_of(response) == {"code": 5, "message": 'NOT_FOUND "ü" \n', "details": []}


@pytest.mark.parametrize("path", ["/", "/nope", "/v1/nope", "/api/image-service/v1/nope", "/v2/models", "//x"])
def test_an_unknown_path_is_not_found(rest: httpx.Client, path: str) -> None:
    response = rest.get(path + "?secret=1")

    assert response.status_code == 404
    assert error_of(response)["code"] == 5
    assert "secret" not in response.text


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "QUERY"])
def test_another_method_on_a_known_path_is_not_found_and_named(rest: httpx.Client, method: str) -> None:
    response = rest.request(method, GENERATE)

    assert response.status_code == 404
    assert error_of(response)["message"] == f"No call answers {method} {GENERATE}."


def test_too_large_headers_are_refused(rest: httpx.Client) -> None:
    response = rest.get("/v1/models", headers={"x-long": "x" * 70_000})

    assert response.status_code == 431
    assert error_of(response)["code"] == 3


@pytest.mark.parametrize(
    "request_line", [b"GET / HTTP/1.1\r\n\r\n", b"GARBAGE\r\n\r\n", b"GET /%00 HTTP/1.1\r\nhost: x\r\n\r\n"]
)
def test_what_is_not_http_gets_a_json_error(rest: httpx.Client, request_line: bytes) -> None:
    with socket.create_connection((rest.base_url.host, rest.base_url.port or 0), timeout=5) as connection:
        connection.sendall(request_line)
        answer = connection.recv(65536)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"content-type: application/json" in head
    assert head.count(b"x-request-id: ") == 1
    assert httpx.Response(200, content=body).json()["code"] == 3


@pytest.fixture(scope="module")
def nobody_behind(background: Background) -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with background.gateway(GatewayOptions(port=0, upstreams=[f"127.0.0.1:{taken.getsockname()[1]}"])) as gateway:
            yield gateway.address


def test_a_service_that_is_down_is_unavailable(nobody_behind: str) -> None:
    response = httpx.post(f"http://{nobody_behind}{GENERATE}", json={"prompt": "a"})

    assert response.status_code == 503
    error = error_of(response)
    assert error["code"] == 14
    assert "127.0.0.1" not in response.text
    assert detail(error, "ErrorInfo")["reason"] == "SERVICE_UNAVAILABLE"


def test_a_grpc_client_sees_a_service_that_is_down_as_a_grpc_status(nobody_behind: str) -> None:
    with grpc.insecure_channel(nobody_behind) as channel, pytest.raises(grpc.RpcError) as caught:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/imageservice.v1.ImageService/GetImage")
        call(b"", timeout=5)

    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "{" not in (caught.value.details() or "")


def test_a_silent_call_ends_with_deadline_exceeded(background: Background, upstream: tuple[StandIn, str]) -> None:
    options = GatewayOptions(port=0, upstreams=[upstream[1]], silence_timeout_s=0.3)
    with background.gateway(options) as gateway:
        response = httpx.post(f"http://{gateway.address}{GENERATE}", json={"prompt": "wait 2"})

    assert response.status_code == 504
    assert error_of(response)["code"] == 4


def test_calls_beyond_the_bound_are_told_to_come_again(background: Background, upstream: tuple[StandIn, str]) -> None:
    options = GatewayOptions(port=0, upstreams=[upstream[1]], max_calls_in_flight=1)
    with background.gateway(options) as gateway, ThreadPoolExecutor(4) as pool:
        address = f"http://{gateway.address}{GENERATE}"
        responses = list(pool.map(lambda _: httpx.post(address, json={"prompt": "wait 0.5"}), range(4)))

    refused = [response for response in responses if response.status_code != 200]
    assert refused
    for response in refused:
        assert response.status_code == 429
        error = error_of(response)
        assert error["code"] == 8
        assert detail(error, "ErrorInfo")["reason"] == "OVERLOADED"
        assert detail(error, "RetryInfo")["retryDelay"] == "1s"
        assert response.headers["retry-after"] == "1"


def test_beyond_its_memory_the_gateway_refuses_calls(background: Background, upstream: tuple[StandIn, str]) -> None:
    options = GatewayOptions(port=0, upstreams=[upstream[1]], max_heap_bytes=MIB)
    with background.gateway(options) as gateway:
        response = refused_by(f"http://{gateway.address}{GENERATE}")

    assert response.status_code == 503
    assert error_of(response)["code"] == 14


def refused_by(address: str) -> httpx.Response:
    """Call until it is refused: Envoy looks at its memory four times a second."""
    for _ in range(100):
        if (response := httpx.post(address, json={})).is_error:
            break
        time.sleep(0.02)
    return response
