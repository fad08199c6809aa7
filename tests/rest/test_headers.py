"""What headers may say and do: types of bodies, sizes, names that are not the caller's, and HTTP/2."""

import shutil
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from limner.domain.limits import KIB, MAX_HEADERS_BYTES, MAX_PATH_BYTES, MAX_TOKEN_CHARS, MAX_UPLOAD_BYTES, MIB
from limner.gateway.process import Gateway
from tests.rest.conftest import ORIGIN
from tests.rest.errors import detail, error_of, violations
from tests.rest.stand_in import StandIn

ACME = "/v1/workspaces/acme"
GENERATE = f"{ACME}/image-generation-tasks"
IMAGES = f"{ACME}/images"
GET_IMAGE = "/imageservice.v1.ImageService/GetImage"
GRPC_TYPES = [
    "application/grpc",
    "application/grpc+proto",
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpcx",
    "application/grpc; charset=utf-8",
    "APPLICATION/GRPC",
]


def refused(response: httpx.Response) -> str:
    """Return which header an answer of 415 names."""
    assert response.status_code == 415
    error = error_of(response)
    assert error["code"] == 3
    assert detail(error, "ErrorInfo")["reason"] == "INVALID_FIELD"
    (violation,) = detail(error, "BadRequest")["fieldViolations"]
    return str(violation["field"])


@pytest.mark.parametrize(
    "content_type",
    [
        *GRPC_TYPES,
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "image/png",
        "application/json; charset=iso-8859-1",
        "application/json, text/plain",
        "nonsense",
    ],
)
def test_a_body_that_is_not_called_json_is_refused(rest: httpx.Client, stand_in: StandIn, content_type: str) -> None:
    stand_in.requests = []

    response = rest.post(GENERATE, content=b'{"prompt": "a cat"}', headers={"content-type": content_type})

    assert refused(response) == "content-type"
    assert stand_in.requests == []


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON ; charset=UTF-8", 'application/json;charset="utf-8"', ""]
)
def test_json_may_be_called_so_in_several_ways(rest: httpx.Client, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}

    assert rest.post(GENERATE, content=b'{"prompt": "a cat"}', headers=headers).status_code == 200


@pytest.mark.parametrize(
    "content_type", [*GRPC_TYPES, "multipart/form-data; boundary=x", "application/json", "text/plain"]
)
def test_an_upload_that_is_not_called_a_picture_is_refused(rest: httpx.Client, content_type: str) -> None:
    assert refused(rest.post(IMAGES, content=b"x", headers={"content-type": content_type})) == "content-type"


@pytest.mark.parametrize("content_type", ["image/png", "IMAGE/HEIC", "image/svg+xml", "application/octet-stream", ""])
def test_an_upload_may_be_called_any_picture(rest: httpx.Client, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}

    assert rest.post(IMAGES, content=b"x", headers=headers).status_code == 200


@pytest.mark.parametrize("content_type", GRPC_TYPES)
@pytest.mark.parametrize(("method", "path"), [("GET", IMAGES), ("GET", f"{IMAGES}/1"), ("DELETE", f"{IMAGES}/1")])
def test_a_call_without_a_body_is_none_of_grpc_either(
    rest: httpx.Client, method: str, path: str, content_type: str
) -> None:
    assert refused(rest.request(method, path, headers={"content-type": content_type})) == "content-type"


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, identity", "x"])
@pytest.mark.parametrize(("path", "content_type"), [(GENERATE, "application/json"), (IMAGES, "image/png")])
def test_a_compressed_body_is_refused_by_name(rest: httpx.Client, path: str, content_type: str, encoding: str) -> None:
    headers = {"content-type": content_type, "content-encoding": encoding}

    assert refused(rest.post(path, content=b"{}", headers=headers)) == "content-encoding"
    assert rest.post(path, content=b"{}", headers={**headers, "content-encoding": "identity"}).status_code == 200


def test_what_means_something_to_grpc_alone_does_not_reach_the_service(rest: httpx.Client, stand_in: StandIn) -> None:
    sent = {
        "grpc-timeout": "1S",
        "grpc-encoding": "identity",
        "grpc-previous-rpc-attempts": "1",
        "some-bin": "AAAA",
        "x-limner-violations-bin": "AAAA",
        "x-limner-anything": "1",
        "x-kept": "1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }

    for response in (rest.post(GENERATE, json={}, headers=sent), rest.get(IMAGES, headers=sent)):
        assert response.status_code == 200
        passed = {name for name in stand_in.metadata if name in sent}
        assert passed == {"x-kept", "traceparent"}


def test_what_is_the_gateways_does_not_pass_as_grpc_either(rest: httpx.Client, stand_in: StandIn) -> None:
    headers = {
        "content-type": "application/grpc-web+proto",
        "x-limner-anything": "1",
        "x-kept": "1",
        "some-bin": "AAAA",
    }

    assert rest.post(GET_IMAGE, content=bytes(5), headers=headers).status_code == 200
    assert {"x-kept", "some-bin"} <= set(stand_in.metadata)
    assert "x-limner-anything" not in stand_in.metadata


@pytest.mark.parametrize("timeout", ["soon", "", "1", "S", "123456789S", "-1S", "1.5S", "1 S", "1s"])
def test_a_timeout_that_is_none_is_the_callers_fault(rest: httpx.Client, timeout: str) -> None:
    headers = {"grpc-timeout": timeout, "te": "trailers"}

    assert rest.post(GENERATE, json={}, headers=headers).status_code == 200
    web = rest.post(GET_IMAGE, content=bytes(5), headers={**headers, "content-type": "application/grpc-web+proto"})
    native = rest.post(GET_IMAGE, content=bytes(5), headers={**headers, "content-type": "application/grpc"})
    assert web.status_code == 400
    assert (native.status_code, native.headers["grpc-status"]) == (200, "3")


@pytest.mark.parametrize("timeout", ["1S", "99999999n", "1H"])
def test_a_timeout_is_passed_on(rest: httpx.Client, timeout: str) -> None:
    headers = {"grpc-timeout": timeout, "content-type": "application/grpc-web+proto"}

    assert rest.post(GET_IMAGE, content=bytes(5), headers=headers).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "gzip, chunked", "identity", "chunked, chunked", "x"])
def test_an_odd_transfer_encoding_is_the_callers_fault(gateway: Gateway, encoding: str) -> None:
    head = f"POST {GENERATE} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: {encoding}\r\n\r\n0\r\n\r\n"

    answer = exchanged(gateway, head.encode())

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/json" in answer


def exchanged(gateway: Gateway, request: bytes) -> bytes:
    """Return the beginning of what is answered to bytes."""
    host, _, port = gateway.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(64 * KIB)


@pytest.mark.parametrize("size", [9 * KIB, 12 * KIB, MAX_TOKEN_CHARS])
def test_a_long_token_is_taken_every_time(rest: httpx.Client, stand_in: StandIn, size: int) -> None:
    headers = {"authorization": f"Bearer {'x' * size}"}

    answers = [rest.get(IMAGES, headers=headers) for _ in range(20)]

    assert {answer.status_code for answer in answers} == {200}
    assert stand_in.metadata["authorization"] == headers["authorization"]


@pytest.mark.parametrize(
    ("url", "headers", "field"),
    [
        (IMAGES, {"authorization": f"Bearer {'x' * (MAX_TOKEN_CHARS + 1)}"}, "authorization"),
        (f"{IMAGES}?pageToken={'x' * MAX_PATH_BYTES}", {}, "path"),
        (f"{IMAGES}/{'x' * MAX_PATH_BYTES}", {}, "path"),
        (IMAGES, {"x-long": "x" * MAX_HEADERS_BYTES}, "headers"),
        (IMAGES, {f"x-{index}": "x" * (MAX_HEADERS_BYTES // 50) for index in range(60)}, "headers"),
    ],
)
def test_what_is_too_long_is_told_as_such(rest: httpx.Client, url: str, headers: dict[str, str], field: str) -> None:
    response = rest.get(url, headers=headers)

    assert response.status_code == 431
    error = error_of(response)
    assert error["code"] == 3
    assert [each["field"] for each in detail(error, "BadRequest")["fieldViolations"]] == [field]


@pytest.mark.parametrize("options", [{"origin": ORIGIN}, {"origin": "https://evil.example"}, {}])
def test_a_cache_is_told_that_the_answer_depends_on_the_origin(rest: httpx.Client, options: dict[str, str]) -> None:
    for response in (
        rest.get(IMAGES, headers=options),
        rest.get("/nope", headers=options),
        rest.post(GENERATE, content="{", headers=options),
        rest.post(GET_IMAGE, content=bytes(5), headers={**options, "content-type": "application/grpc-web"}),
    ):
        assert response.headers.get_list("vary", split_commas=True) == ["origin"]


def test_a_page_may_send_and_read_what_browsers_keep_back(rest: httpx.Client) -> None:
    preflight = rest.options(GENERATE, headers={"origin": ORIGIN, "access-control-request-method": "POST"})
    allowed = preflight.headers["access-control-allow-headers"].split(", ")
    exposed = rest.get(IMAGES, headers={"origin": ORIGIN}).headers["access-control-expose-headers"].split(", ")

    assert {"authorization", "traceparent", "range", "if-none-match", "idempotency-key", "content-type"} <= set(allowed)
    assert {"etag", "content-range", "accept-ranges", "retry-after", "x-request-id", "content-length"} <= set(exposed)
    assert "HEAD" in preflight.headers["access-control-allow-methods"].split(", ")


@pytest.mark.parametrize(
    ("path", "content_type", "size", "declared"),
    [
        (GENERATE, "application/json", 2 * MIB, True),
        (GENERATE, "application/json", 2 * MIB, False),
        (GENERATE, "application/json", MAX_UPLOAD_BYTES + 1, True),
        (IMAGES, "image/png", MAX_UPLOAD_BYTES + 1, True),
    ],
)
def test_a_body_that_is_too_large_is_told_as_such_over_http2(
    gateway: Gateway, tmp_path: Path, path: str, content_type: str, size: int, declared: bool
) -> None:
    response = over_http2(gateway, path, b"x" * size, tmp_path, content_type, declared=declared)

    assert response.status_code == 413
    assert set(violations(response)) == {"body"}


def test_a_small_body_that_is_refused_by_its_headers_is_told_so_over_http2(gateway: Gateway, tmp_path: Path) -> None:
    for _ in range(20):
        assert over_http2(gateway, GENERATE, b"{}", tmp_path, "text/plain").status_code == 415
        assert over_http2(gateway, "/v1/nope", b"{}", tmp_path, "application/json").status_code == 404
        assert over_http2(gateway, GENERATE, b"{}", tmp_path, "application/grpc").status_code == 415


def over_http2(
    gateway: Gateway, path: str, body: bytes, folder: Path, content_type: str, *, declared: bool = True
) -> httpx.Response:
    """Return what curl, which speaks HTTP/2, is answered."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (folder / "body").write_bytes(body)
    done = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--http2-prior-knowledge", "--include", "--max-time", "30"),
            *("--data-binary", f"@{folder / 'body'}", "--header", f"content-type: {content_type}"),
            *(() if declared else ("--header", "transfer-encoding: chunked", "--header", "content-length:")),
            f"http://{gateway.address}{path}",
        ],
        check=True,
        capture_output=True,
    )
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    status, *lines = head.decode().splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    return httpx.Response(int(status.split()[1]), headers=headers, content=content)
