"""Pictures in and out as raw bytes."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from limner.domain.limits import MAX_UPLOAD_BYTES, MIB
from tests.rest.errors import error_of, violations
from tests.rest.stand_in import CACHE_CONTROL, ETAG, StandIn

IMAGES = "/v1/workspaces/acme/images"
PNG = {"content-type": "image/png"}


def pieces(size: int) -> Iterator[bytes]:
    """Make httpx send a body without telling its length."""
    for start in range(0, size, MIB):
        yield b"x" * min(MIB, size - start)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_picture_of_the_largest_size_is_taken(rest: httpx.Client, stand_in: StandIn, chunked: bool) -> None:
    body = pieces(MAX_UPLOAD_BYTES) if chunked else b"x" * MAX_UPLOAD_BYTES
    response = rest.post(IMAGES, content=body, headers=PNG)

    assert response.json()["imageSize"] == MAX_UPLOAD_BYTES
    assert stand_in.requests[0].picture.content_type == "image/png"  # type: ignore[attr-defined]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_picture_of_one_byte_more_is_refused(rest: httpx.Client, chunked: bool) -> None:
    body = pieces(MAX_UPLOAD_BYTES + 1) if chunked else b"x" * (MAX_UPLOAD_BYTES + 1)
    response = rest.post(IMAGES, content=body, headers=PNG)

    assert response.status_code == 413
    assert set(violations(response)) == {"body"}


def test_a_picture_that_is_too_large_is_refused_before_it_was_sent(rest: httpx.Client) -> None:
    head = f"POST {IMAGES} HTTP/1.1\r\nhost: x\r\ncontent-length: {MAX_UPLOAD_BYTES + 1}\r\n\r\n"
    with socket.create_connection((rest.base_url.host, rest.base_url.port or 0), timeout=5) as connection:
        connection.sendall(head.encode())

        assert connection.recv(12) == b"HTTP/1.1 413"


def test_json_beyond_a_mebibyte_is_refused(rest: httpx.Client) -> None:
    response = rest.post("/v1/workspaces/acme/image-generation-tasks", content=b" " * (2 * MIB))

    assert response.status_code == 413
    assert set(violations(response)) == {"body"}


@pytest.mark.parametrize("size", [1000, MIB, 20 * MIB])
def test_content_comes_as_stored(rest: httpx.Client, size: int) -> None:
    response = rest.get(f"{IMAGES}/bytes-{size}-{min(size, MIB // 4)}/content")

    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert response.headers["etag"] == ETAG
    assert response.headers["cache-control"] == CACHE_CONTROL
    assert response.headers["content-length"] == str(size)
    assert "x-content-length" not in response.headers
    assert response.content == b"x" * size


def test_content_that_is_missing_is_a_json_error(rest: httpx.Client) -> None:
    response = rest.get(f"{IMAGES}/missing/content")

    assert response.status_code == 404
    assert error_of(response)["code"] == 5


def test_a_page_of_the_longest_prompts_fits(rest: httpx.Client) -> None:
    response = rest.get(f"{IMAGES}?pageSize=200")

    assert len(response.json()["images"]) == 200


def test_deleting_answers_an_empty_object(rest: httpx.Client) -> None:
    response = rest.delete(f"{IMAGES}/1")

    assert response.json() == {}
