"""What strangers, who have no token, cost the gateway and the workers: refusals, and nothing that stays."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from limner.domain.limits import KIB, MIB
from limner.service.caller import Role
from tests.pictures import png
from tests.rest.errors import detail, error_of
from tests.rest.seed import GENERATE
from tests.tenant import PREFIXES, Tenant

LARGE = 5 * MIB
DEADLINE_S = 10
GET_IMAGE = "/imageservice.v1.ImageService/GetImage"


def reason(response: httpx.Response) -> str:
    return str(detail(error_of(response), "ErrorInfo")["reason"])


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ({}, 401, "CREDENTIALS_MISSING"),
        ({"authorization": "Bearer nonsense"}, 401, "CREDENTIALS_INVALID"),
        ({"authorization": "other"}, 403, "PERMISSION_DENIED"),
    ],
)
def test_a_large_body_is_refused_before_it_has_come(
    tenant: Tenant, prefix: str, chunked: bool, headers: dict[str, str], status: int, expected: str
) -> None:
    if headers.get("authorization") == "other":
        headers = dict(tenant.service.metadata("eve", workspaces={"elsewhere": Role.MEMBER}))
    for path, content_type in (("/images", "image/png"), (GENERATE, "application/json")):
        length = "transfer-encoding: chunked" if chunked else f"content-length: {9 * KIB}"
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = [f"POST {prefix}/workspaces/{tenant.id}{path} HTTP/1.1", "host: x", f"content-type: {content_type}"]

        response = answered(tenant, "\r\n".join([*head, length, *lines, "", "1"]).encode())

        assert response.status_code == status
        assert reason(response) == expected


def answered(tenant: Tenant, request: bytes) -> httpx.Response:
    """Return what comes for a request whose body never ends."""
    with connected(tenant) as connection:
        connection.settimeout(DEADLINE_S)
        connection.sendall(request)
        data = b""
        while more := connection.recv(64 * KIB):  # up to where the gateway hangs up, and lets go of what has come
            data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line.split(": ", 1) for line in head.decode().splitlines()[1:]]
    return httpx.Response(int(data.split()[1]), headers=[(name, value) for name, value in lines], content=body)


def connected(tenant: Tenant) -> socket.socket:
    host, _, port = tenant.service.http_address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=DEADLINE_S)


def test_those_who_may_are_let_in(tenant: Tenant) -> None:
    ada = tenant.rest()
    picture = png(600, 400)
    large = picture if len(picture) > 64 * KIB else picture + bytes(70 * KIB)

    assert ada.post("/images", content=iter([picture]), headers={"content-type": "image/png"}).status_code == 200
    assert ada.post(GENERATE, content=iter([b'{"prompt": "a fox"}'])).status_code == 200
    assert ada.post(GENERATE, content=b'{"prompt": "a fox"' + b" " * 100_000 + b"}").status_code == 200
    assert ada.post("/images", content=large, headers={"content-type": "image/png"}).status_code in (200, 400)


def test_a_refused_upload_is_told_so_over_http2(tenant: Tenant, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (tmp_path / "body").write_bytes(bytes(LARGE))
    done = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--http2-prior-knowledge", "--write-out", "\n%{http_code}"),
            *("--data-binary", f"@{tmp_path / 'body'}", "--header", "content-type: image/png"),
            tenant.url(f"/v1/workspaces/{tenant.id}/images"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )

    body, _, status = done.stdout.rpartition("\n")
    assert status == "401"
    assert "CREDENTIALS_MISSING" in body


@pytest.fixture
def asked(tenant: Tenant) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tenant.url(""), timeout=DEADLINE_S) as client:
        yield client


@pytest.mark.parametrize("body", [b"", b"\0", bytes(4), bytes(5)])
@pytest.mark.parametrize(
    "content_type", ["application/grpc-web+proto", "application/grpc-web-text", "application/grpc"]
)
def test_a_call_that_brings_no_message_is_answered_at_once(asked: httpx.Client, content_type: str, body: bytes) -> None:
    started = time.monotonic()
    response = asked.post(GET_IMAGE, content=body, headers={"content-type": content_type, "te": "trailers"})

    assert time.monotonic() - started < DEADLINE_S / 2
    assert response.status_code in (200, 400, 401)
    told: Any = response.headers.get("grpc-status") or response.text
    assert told
