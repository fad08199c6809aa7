"""The probes, through the gateway of a real service."""

import signal
from pathlib import Path

import httpx
import pytest

from tests.service import Service, running_service


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


def test_a_service_that_is_about_to_end_is_not_ready_but_lives_and_answers(tmp_path: Path) -> None:
    with running_service(tmp_path, env={"LIMNER_DRAIN_DELAY_S": "60"}) as service, service.rest() as ada:
        watching = ready(service)
        service.process.send_signal(signal.SIGTERM)
        while watching.status_code == 200:
            watching = ready(service)
        lives = httpx.get(f"http://{service.http_address}/healthz")
        answered = ada.get("/v1/models")
        service.process.kill()

    assert (watching.status_code, watching.text) == (503, "draining\n")
    assert (lives.status_code, answered.status_code) == (200, 200)


def ready(service: Service) -> httpx.Response:
    return httpx.get(f"http://{service.http_address}/readyz")


def test_a_service_without_its_storage_is_not_ready_and_says_so(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        images = tmp_path / "images"
        images.rename(tmp_path / "gone")
        answer = ready(service)
        lives = httpx.get(f"http://{service.http_address}/healthz")

    assert (answer.status_code, answer.text) == (503, "no answer from: storage\n")
    assert lives.status_code == 200
