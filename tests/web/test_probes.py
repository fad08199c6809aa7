"""The probes, through the gateway of a real service."""

import httpx
import pytest

from tests.service import Service


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_service_that_runs_says_ok_to_anybody(service: Service, path: str, method: str) -> None:
    response = httpx.request(method, f"http://{service.http_address}{path}")

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text == ("ok\n" if method == "GET" else "")
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz/", "/readyz/x", "/-/accepting"])
def test_what_is_near_them_leads_nowhere(service: Service, path: str) -> None:
    assert httpx.get(f"http://{service.http_address}{path}").status_code in (404, 415)
