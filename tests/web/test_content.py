"""Content over HTTP: as stored, in part, or not at all for who has it; through the gateway of a real service."""

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from limner.domain import limits
from limner.service.caller import Role
from tests import pictures
from tests.rest.errors import detail, error_of, violations
from tests.rest.seed import EDIT, GENERATE, made
from tests.service import Service
from tests.tenant import PREFIXES, Tenant
from tests.web.kept import Kept

SMALL = pictures.encoded(pictures.noise(64, 64), "PNG")
LARGE = pictures.encoded(pictures.noise(700, 500), "PNG")
"""More than the 256 KiB up to which a picture is read at once."""


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def kept(tenant: Tenant, request: pytest.FixtureRequest) -> Iterator[Kept]:
    yield Kept(tenant, request.param)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_bytes_come_as_stored(kept: Kept, prefix: str) -> None:
    response = kept.tenant.rest(prefix=prefix).get(kept.path)

    assert response.status_code == 200
    assert response.content == kept.data
    assert response.headers["etag"] == kept.etag
    assert response.headers["content-length"] == str(len(kept.data))
    assert response.headers["content-type"] == "image/png"
    assert response.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["x-request-id"]
    assert response.headers["server"] == "limner"


def test_head_says_what_get_would(kept: Kept) -> None:
    got, head = kept.get(), kept.ada.head(kept.path)

    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-length", "content-type", "cache-control", "accept-ranges"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize("value", ["{}", "W/{}", '"other", {}', '"other" , W/{}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_the_bytes_is_not_sent_them(kept: Kept, value: str, method: str) -> None:
    response = kept.ada.request(method, kept.path, headers={"if-none-match": value.format(kept.etag)})

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == kept.etag
    assert response.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "content-type" not in response.headers


@pytest.mark.parametrize("value", ['"other"', "nonsense", ""])
def test_who_has_other_bytes_is_sent_these(kept: Kept, value: str) -> None:
    assert kept.get(if_none_match=value).content == kept.data


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("0-0", 0, 1), ("10-19", 10, 20), ("100-", 100, None), ("-7", -7, None), ("5-99999999999999999999", 5, None)],
)
def test_a_part_is_answered_alone(kept: Kept, asked: str, start: int, end: int | None) -> None:
    response = kept.get(range=f"bytes={asked}")

    part = kept.data[start:end]
    first = start if start >= 0 else len(kept.data) + start
    assert (response.status_code, response.content) == (206, part)
    assert response.headers["content-range"] == f"bytes {first}-{first + len(part) - 1}/{len(kept.data)}"
    assert response.headers["content-length"] == str(len(part))
    assert response.headers["etag"] == kept.etag


def test_a_suffix_of_more_than_there_is_is_all_of_it(kept: Kept) -> None:
    response = kept.get(range=f"bytes=-{len(kept.data) * 2}")

    assert (response.status_code, response.content) == (206, kept.data)


@pytest.mark.parametrize("asked", ["bytes={size}-", "bytes=99999999999999999999-", "bytes=-0"])
def test_a_part_behind_the_end_is_refused_with_the_size(kept: Kept, asked: str) -> None:
    response = kept.get(range=asked.format(size=len(kept.data)))

    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{len(kept.data)}"
    assert set(violations(response)) == {"range"}


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-3", "items=0-1", "bytes=-", "bytes", "bytes=a-b", ""])
def test_what_is_no_single_part_gets_the_whole(kept: Kept, asked: str) -> None:
    response = kept.get(range=asked)

    assert (response.status_code, response.content) == (200, kept.data)


@pytest.mark.parametrize(
    ("condition", "status"),
    [("{}", 206), ('"other"', 200), ("W/{}", 200), ("Sat, 28 Nov 2026 09:00:00 GMT", 200)],
)
def test_a_part_is_answered_only_of_the_bytes_that_are_meant(kept: Kept, condition: str, status: int) -> None:
    assert kept.get(range="bytes=0-9", if_range=condition.format(kept.etag)).status_code == status


def test_head_knows_no_parts(kept: Kept) -> None:
    response = kept.ada.head(kept.path, headers={"range": "bytes=0-9"})

    assert (response.status_code, response.headers["content-length"]) == (200, str(len(kept.data)))


def test_curl_goes_on_where_a_download_broke_off(kept: Kept, tmp_path: Path) -> None:
    half = tmp_path / "half.png"
    half.write_bytes(kept.data[: len(kept.data) // 2])
    token = dict(kept.tenant.metadata("ada"))["authorization"]
    url = kept.tenant.url(f"/v1/workspaces/{kept.tenant.id}{kept.path}")

    subprocess.run(["curl", "-sS", "--fail", "-C", "-", "-o", half, "-H", f"authorization: {token}", url], check=True)

    assert half.read_bytes() == kept.data


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("user", "image_id", "status", "why"),
    [
        ("", None, 401, "CREDENTIALS_MISSING"),
        ("stranger", None, 403, "PERMISSION_DENIED"),
        ("ada", "0" * 32, 404, "IMAGE_NOT_FOUND"),
        ("ada", "nonsense", 404, "IMAGE_NOT_FOUND"),
        ("ada", "%FF", 404, "IMAGE_NOT_FOUND"),
        ("ada", "%F0%9F%A6%8A", 404, "IMAGE_NOT_FOUND"),
    ],
)
def test_who_may_not_have_it_is_told_as_everywhere(
    service: Service, kept: Kept, method: str, user: str, image_id: str | None, status: int, why: str
) -> None:
    workspaces = {} if user == "stranger" else {kept.tenant.id: Role.MEMBER}
    path = f"/v1/workspaces/{kept.tenant.id}/images/{image_id or kept.image['id']}/content"

    with service.rest(user, workspaces=workspaces or {"elsewhere": Role.MEMBER}) as client:
        response = client.request(method, path)

    assert response.status_code == status
    if method == "GET":
        assert detail(error_of(response), "ErrorInfo")["reason"] == why
    else:
        assert response.content == b""


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("width=100", "width"),
        ("width=0", "width"),
        ("width=-512", "width"),
        ("width=512.0", "width"),
        ("width=%D9%A5%D9%A1%D9%A2", "width"),
        ("width=", "width"),
        ("width=512&width=128", "width"),
        ("format=gif", "format"),
        ("format=PNG", "format"),
        ("size=5", "size"),
    ],
)
def test_a_wrong_query_is_named(kept: Kept, query: str, field: str) -> None:
    response = kept.ada.get(f"{kept.path}?{query}")

    assert response.status_code == 400
    assert set(violations(response)) == {field}


def test_the_values_that_can_be_asked_for_are_named(kept: Kept) -> None:
    found = violations(kept.ada.get(f"{kept.path}?width=100&format=gif"))

    assert found == {
        "width": "must be one of 128, 256, 512, 1024, 2048",
        "format": "must be one of png, jpeg, webp, avif",
    }


def test_a_deleted_picture_is_gone_and_not_unchanged(kept: Kept) -> None:
    assert kept.ada.delete(f"/images/{kept.image['id']}").status_code == 200

    assert kept.get().status_code == 404
    assert kept.get(if_none_match=kept.etag).status_code == 404
    assert kept.ada.head(kept.path).status_code == 404


def test_a_deleted_input_is_read_through_what_was_made_of_it(tenant: Tenant) -> None:
    ada = tenant.rest()
    source = made(ada.post(GENERATE, json={"prompt": "a fox"}))["images"][0]
    edited = made(ada.post(EDIT, json={"prompt": "black and white", "imageIds": [source["id"]]}))["images"][0]
    stored = ada.get(tenant.url(source["_links"]["content"])).content
    ada.delete(f"/images/{source['id']}")

    inputs = ada.get(f"/generations/{edited['generationId']}").json()["inputImages"]
    path = tenant.url(inputs[0]["_links"]["content"])

    assert ada.get(path).content == stored
    assert ada.get(path, headers={"range": "bytes=0-3"}).content == stored[:4]
    assert Image.open(io.BytesIO(ada.get(f"{path}?width=128&format=webp").content)).width == 128
    assert ada.get(path.replace(edited["generationId"], "0" * 32)).status_code == 404
    by_query = f"/images/{source['id']}/content?generationId={edited['generationId']}"
    assert ada.get(by_query).content == stored
    assert ada.get(f"{path}?generationId={edited['generationId']}").status_code == 400


def test_a_large_picture_that_is_left_early_holds_nobody_up(tenant: Tenant) -> None:
    kept = Kept(tenant, pictures.png(16, 16, after=pictures.chunk(b"prVt", bytes(limits.MAX_UPLOAD_BYTES - 200))))
    for _ in range(5):
        with kept.ada.stream("GET", kept.path) as response:
            next(response.iter_raw(1024))

    assert kept.get().content == kept.data
