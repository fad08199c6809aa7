"""What the operator's metrics say after all kinds of calls, held against the database."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from limner.settings import Settings
from tests.e2e.providers import KEYS, Catalogue
from tests.e2e.test_breakers import until
from tests.fakes.background import background
from tests.fakes.openai import fake_openai
from tests.pictures import png
from tests.purchase.books import read_books
from tests.rest.seed import GENERATE
from tests.samples import samples
from tests.service import WORKSPACE, Service, running_service

MODEL = "gpt-image-2"
PRICE_USD = 0.04
Page = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("metrics")
    with background() as loop:
        provider = loop.enter(fake_openai())
        catalogue = Catalogue()
        facts = {"adapter": "openai", "base_url": provider.base_url, "api_key_env": "FAKE_OPENAI"}
        catalogue.add(MODEL, facts | {"price_usd": PRICE_USD})
        catalogue.add("sketch", {"adapter": "sketch"})
        catalogue.write(folder / "models.toml")
        env = KEYS | {"LIMNER_MODELS": str(folder / "models.toml"), "LIMNER_QUOTA_IMAGES_PER_MONTH": "20"}
        with running_service(folder / "data", "--workers", "2", "--metrics-port", "0", env=env) as service:
            yield service


@pytest.fixture(scope="module")
def page(service: Service) -> Page:
    """The metrics after some calls of each kind."""
    prompts = ["a fox", "a fox", "a fox [[fault:moderation]]", "a fox [[fault:unavailable]]", "a fox [[fault:drop]]"]
    prompts.append("a fox [[fault:bad-key]]")
    with service.rest() as client:
        for prompt in prompts:
            _generate(client, prompt=prompt, modelId=MODEL)
        _generate(client, prompt="two foxes", modelId=MODEL, numImages=2)
        _generate(client, prompt="a red apple", modelId="sketch")
        assert _generate(client, prompt="").status_code == 400
        headers = {"content-type": "image/png"}
        picture = png()
        uploaded = client.post(f"/v1/workspaces/{WORKSPACE}/images", content=picture, headers=headers).json()
        assert client.get(uploaded["_links"]["content"]).content == picture
    with service.rest("eve", workspaces={}) as client:
        assert _generate(client, prompt="a fox").status_code == 403
    return samples(_scrape(service).content)


def test_calls_are_timed_by_method_and_code(page: Page) -> None:
    count = "limner_rpc_duration_seconds_count"
    assert page[count, "GenerateImages", "OK"] == 4
    assert page[count, "GenerateImages", "INVALID_ARGUMENT"] == 2
    assert page[count, "GenerateImages", "PERMISSION_DENIED"] == 1
    assert page[count, "UploadImage", "OK"] == 1
    assert page["limner_rpc_duration_seconds_bucket", "UploadImage", "OK", "+Inf"] == 1


def test_refusals_are_counted_by_reason(page: Page) -> None:
    for reason in ("INVALID_FIELD", "PERMISSION_DENIED", "CONTENT_REJECTED", "PROVIDER_MISCONFIGURED"):
        assert page["limner_rejections_total", reason] == 1
    assert page["limner_rejections_total", "PROVIDER_UNAVAILABLE"] == 2


def test_purchases_images_and_spend_are_those_of_the_books(page: Page, service: Service) -> None:
    books = read_books(Settings.read({"LIMNER_DATA_DIR": str(service.data_dir)}))
    bought = [row for group in books.submissions.values() for row in group]
    purchases = {key: value for key, value in page.items() if key[0] == "limner_purchases_total"}
    assert sum(purchases.values()) == len(bought) > 0
    assert sum(value for key, value in purchases.items() if "not_bought" in key) == sum(row.void for row in bought)
    made = Counter(row.model for group in books.images.values() for row in group if row.generation_id)
    assert made == {MODEL: 4, "sketch": 1}
    assert {model: page["limner_images_total", "generate", model] for model in made} == made
    used_micros = sum(cost for _, cost in books.usage.values())
    assert page["limner_spend_usd_total", MODEL] == pytest.approx(4 * PRICE_USD)
    spent = sum(value for key, value in page.items() if key[0] == "limner_spend_usd_total")
    assert spent == pytest.approx(used_micros / 1_000_000)


def test_what_became_of_each_purchase_is_told_apart(page: Page) -> None:
    assert page["limner_purchases_total", MODEL, "bought"] == 3
    assert page["limner_purchases_total", MODEL, "unknown"] == 2
    assert page["limner_purchases_total", MODEL, "not_bought"] == 2
    outcomes = {key[2] for key in page if key[0] == "limner_task_duration_seconds_count" and MODEL in key}
    assert {"succeeded", "failed", "unknown"} <= {
        key[3] for key in page if key[0] == "limner_task_duration_seconds_count"
    }
    assert outcomes == {MODEL}


def test_providers_turns_and_the_storage_are_timed(page: Page) -> None:
    assert page["limner_provider_request_duration_seconds_count", MODEL, "ok"] == 3
    assert page["limner_provider_request_duration_seconds_count", MODEL, "broken"] == 1
    assert page["limner_provider_request_duration_seconds_count", "sketch", "ok"] == 1
    assert page["limner_queue_wait_seconds_count", "sketch"] == 1
    assert page["limner_storage_duration_seconds_count", "put"] == 6
    assert page["limner_storage_duration_seconds_count", "open"] == 1


def test_gauges_tell_that_nothing_is_left_behind(page: Page, service: Service) -> None:
    assert page["limner_workers",] == 2
    until(lambda: _in_flight(service) == (0, 0))  # workers tell it every second
    assert page["limner_spool_bytes",] == 0


def test_no_label_holds_what_is_a_callers(service: Service, page: Page) -> None:
    values = {value for key in page for value in key[1:]}
    assert not values & {WORKSPACE, "ada", "eve", "a fox"}
    assert all(len(value) < 32 for value in values)


def test_scrapers_that_ask_for_openmetrics_get_it(service: Service) -> None:
    answer = _scrape(service, accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def _in_flight(service: Service) -> tuple[float, float]:
    page = samples(_scrape(service).content)
    return page["limner_tasks_in_flight",], page["limner_leases",]


def _generate(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post(f"/v1/workspaces/{WORKSPACE}{GENERATE}", json=body)


def _scrape(service: Service, accept: str = "text/plain") -> httpx.Response:
    (record,) = [each for each in service.records() if each["message"] == "metrics are served"]
    return httpx.get(record["address"], headers={"accept": accept})
