"""Addresses that a browser opens without a token."""

import base64
import secrets
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from imageservice.v1 import image_service_pb2 as pb

from limner.auth.address_keys import FILE
from limner.service.caller import Role
from tests import pictures
from tests.rest.errors import detail, error_of, violations
from tests.service import running_service
from tests.tenant import PREFIXES, Tenant, tenant_of
from tests.web.kept import Kept

PICTURE = pictures.encoded(pictures.noise(300, 200), "PNG")


@pytest.fixture
def kept(tenant: Tenant) -> Kept:
    return Kept(tenant, PICTURE)


def signed(kept: Kept, prefix: str = "/v1", **body: Any) -> dict[str, str]:
    response = kept.tenant.rest(prefix=prefix).post(f"/images/{kept.image['id']}:signContentUrl", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, str] = response.json()
    assert set(answer) == {"url", "expiresAt"}
    return answer


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_signed_address_needs_no_token(kept: Kept, prefix: str) -> None:
    before = datetime.now(UTC)
    answer = signed(kept, prefix)

    assert answer["url"].startswith(f"http://{kept.tenant.service.http_address}/v1/content/")
    response = httpx.get(answer["url"])
    assert (response.status_code, response.content) == (200, PICTURE)
    assert response.headers["content-type"] == "image/png"
    assert response.headers["etag"] == kept.etag
    lasts = datetime.fromisoformat(answer["expiresAt"]) - before
    assert timedelta(minutes=59) < lasts <= timedelta(hours=1)


def test_no_body_at_all_means_the_defaults(kept: Kept) -> None:
    response = kept.ada.post(f"/images/{kept.image['id']}:signContentUrl")

    assert httpx.get(response.json()["url"]).content == PICTURE


def test_curl_opens_it(kept: Kept, tmp_path: Path) -> None:
    subprocess.run(["curl", "-sS", "--fail", "-o", tmp_path / "cat.png", signed(kept)["url"]], check=True)

    assert (tmp_path / "cat.png").read_bytes() == PICTURE


def test_it_may_lead_to_a_derivative(kept: Kept) -> None:
    shown = httpx.get(signed(kept, width=128, format="avif")["url"])

    assert shown.headers["content-type"] == "image/avif"
    assert shown.content == kept.ada.get(f"{kept.path}?width=128&format=avif").content


def test_nobody_keeps_it_for_longer_than_it_is_good(kept: Kept) -> None:
    cache = httpx.get(signed(kept, ttlSeconds=60)["url"]).headers["cache-control"]

    kind, age, _ = cache.split(", ")
    assert kind == "private"
    assert 50 <= int(age.removeprefix("max-age=")) <= 60


def test_it_takes_conditions_and_parts_and_head(kept: Kept) -> None:
    url = signed(kept)["url"]

    assert httpx.get(url, headers={"if-none-match": kept.etag}).status_code == 304
    assert httpx.get(url, headers={"range": "bytes=0-3"}).content == PICTURE[:4]
    assert httpx.head(url).headers["content-length"] == str(len(PICTURE))


def test_it_ends_with_the_image(kept: Kept) -> None:
    url = signed(kept)["url"]
    kept.ada.delete(f"/images/{kept.image['id']}")

    assert httpx.get(url).status_code == 404


@pytest.mark.parametrize("ttl", [0, -1, 604_801])
def test_it_lasts_seven_days_at_most(kept: Kept, ttl: int) -> None:
    response = kept.ada.post(f"/images/{kept.image['id']}:signContentUrl", json={"ttlSeconds": ttl, "width": 3})

    assert set(violations(response)) == {"ttlSeconds", "width"}


def test_what_is_not_there_is_not_signed(kept: Kept) -> None:
    response = kept.ada.post(f"/images/{'0' * 32}:signContentUrl", json={})

    assert response.status_code == 404


def test_a_stranger_signs_nothing(kept: Kept) -> None:
    url = f"http://{kept.tenant.service.http_address}/v1/workspaces/{kept.tenant.id}/images/{kept.image['id']}"

    assert httpx.post(f"{url}:signContentUrl", json={}).status_code == 401
    with kept.tenant.service.rest("eve", workspaces={"elsewhere": Role.MEMBER}) as eve:
        assert eve.post(f"{url}:signContentUrl", json={}).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: "A" + text[1:],
        lambda text: text.rpartition(".")[0],
        lambda text: text.replace(".", "%2E.", 1),
        lambda text: "x",
        lambda text: "%FF",
        lambda text: "a" * 5000,
    ],
)
def test_what_was_not_signed_so_is_refused(kept: Kept, change: Any) -> None:
    base, _, last = signed(kept)["url"].rpartition("/")

    response = httpx.get(f"{base}/{change(last)}")

    assert response.status_code == 401
    assert detail(error_of(response), "ErrorInfo")["reason"] == "CREDENTIALS_INVALID"
    assert kept.image["id"] not in response.text


def test_over_grpc_it_is_a_path_of_the_service(kept: Kept) -> None:
    request = pb.SignContentUrlRequest(workspace_id=kept.tenant.id, image_id=kept.image["id"])

    answer = kept.tenant.stub.SignContentUrl(request, metadata=kept.tenant.metadata())

    assert answer.url.startswith("/v1/content/")
    assert httpx.get(kept.tenant.url(answer.url)).content == PICTURE


def test_no_caller_says_for_another_where_the_service_is(kept: Kept) -> None:
    response = kept.ada.post(
        f"/images/{kept.image['id']}:signContentUrl", json={}, headers={"x-limner-origin": "https://evil.example"}
    )

    assert response.json()["url"].startswith(f"http://{kept.tenant.service.http_address}/")


def test_old_addresses_are_good_as_long_as_their_key_is_kept(tmp_path: Path) -> None:
    def url_of(*keys: str) -> str:
        settings = {"LIMNER_URL_KEYS": ",".join(keys), "LIMNER_PUBLIC_URL": "https://x.example/"}
        with running_service(tmp_path, env=settings) as service, tenant_of(service) as tenant:
            return signed(Kept(tenant, PICTURE))["url"]

    def status(url: str, *keys: str) -> int:
        with running_service(tmp_path, env={"LIMNER_URL_KEYS": ",".join(keys)}) as service:
            return httpx.get(url.replace("https://x.example", f"http://{service.http_address}")).status_code

    old, new = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
    url = url_of(old)

    assert url.startswith("https://x.example/v1/content/")
    assert status(url, new, old) == 200
    assert status(url, new) == 401


def test_the_data_directory_keeps_the_key_for_its_owner_alone(kept: Kept) -> None:
    path = kept.tenant.service.data_dir / FILE

    assert path.stat().st_mode & 0o777 == 0o600
    assert len(base64.b64decode(path.read_text())) == 32


def test_no_address_is_in_the_log(kept: Kept) -> None:
    url = signed(kept)["url"]
    httpx.get(url)

    assert url.rpartition("/")[2] not in "".join(kept.tenant.service.log)
