"""A service that ends while callers wait: what they are told, about money first of all."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc import StatusCode
from imageservice.v1 import image_service_pb2 as pb

from tests.e2e.providers import KEYS, Catalogue, settings_of
from tests.fakes.background import background
from tests.fakes.openai import FakeOpenAi, fake_openai
from tests.http2 import HalfSent
from tests.rest.test_streams import events_of
from tests.rpc.answers import Answer, answer
from tests.service import Service, running_service
from tests.tenant import Tenant, tenant_of

MODEL = "openai"
OUTLASTS_ALL = "[[fault:hang=100]]"
OUTLASTS_NOTHING = "[[fault:hang=1]]"
PATIENCE_S = 30.0


@pytest.fixture
def provider() -> Iterator[FakeOpenAi]:
    with background() as loop:
        yield loop.enter(fake_openai())


@contextmanager
def selling(provider: FakeOpenAi, folder: Path, *arguments: str, **settings: str) -> Iterator[tuple[Service, Tenant]]:
    """A service that buys from the provider."""
    catalogue = Catalogue()
    catalogue.add(MODEL, settings_of(provider, MODEL))
    catalogue.write(folder / "models.toml")
    environment = KEYS | {"LIMNER_MODELS": str(folder / "models.toml")} | settings
    with running_service(folder / "data", *arguments, env=environment) as service, tenant_of(service) as tenant:
        yield service, tenant


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def body(prompt: str) -> dict[str, Any]:
    return {"prompt": prompt, "modelId": MODEL}


def request(tenant: Tenant, prompt: str) -> pb.GenerateImagesRequest:
    return pb.GenerateImagesRequest(workspace_id=tenant.id, prompt=prompt, model_id=MODEL)


def metadata_of(told: Answer) -> dict[str, str]:
    return dict(told.detail(ErrorInfo).metadata)


class Waiting:
    """Callers who wait side by side."""

    def __init__(self, provider: FakeOpenAi) -> None:
        self._provider = provider
        self._pool = ThreadPoolExecutor(16)

    def call(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> "Future[Any]":
        """Make a call, and return when the provider has been asked, or the call is done."""
        before = len(self._provider.requests)
        future = self._pool.submit(method, *arguments, **options)
        until(lambda: len(self._provider.requests) > before or future.done())
        return future


def test_a_shutdown_in_the_middle_of_a_purchase_says_that_it_may_have_been_bought(
    provider: FakeOpenAi, tmp_path: Path
) -> None:
    with selling(provider, tmp_path, LIMNER_DRAIN_TIMEOUT_S="2") as (service, tenant):
        waiting = Waiting(provider)
        over_grpc = waiting.call(answer, tenant.stub.GenerateImages, request(tenant, OUTLASTS_ALL), tenant.metadata())
        over_rest = waiting.call(tenant.rest().post, "/image-generation-tasks", json=body(OUTLASTS_ALL))
        stream = waiting.call(tenant.rest().post, "/image-tasks:stream", json={"generate": body(OUTLASTS_ALL)})

        service.process.send_signal(signal.SIGTERM)

        told = over_grpc.result(PATIENCE_S)
        assert (told.code, told.reason) == (StatusCode.UNAVAILABLE, "INTERRUPTED")
        assert metadata_of(told)["outcome"] == "unknown"
        assert "GetGeneration" in told.text
        assert "same idempotency key" in told.text
        response = over_rest.result(PATIENCE_S)
        assert response.status_code == 503
        (info,) = response.json()["details"]
        assert (info["reason"], info["metadata"]["outcome"]) == ("INTERRUPTED", "unknown")
        last = events_of(stream.result(PATIENCE_S))[-1]["completed"]
        assert last["mayBill"]
        assert last["error"]["details"][0]["metadata"]["outcome"] == "unknown"
        assert service.process.wait(PATIENCE_S) == 0

    ids = {metadata_of(told)["generationId"], info["metadata"]["generationId"], last["generationId"]}
    with selling(provider, tmp_path) as (_, again):
        for generation_id in ids:
            asking = pb.GetGenerationRequest(workspace_id=tenant.id, generation_id=generation_id)
            assert again.stub.GetGeneration(asking, metadata=tenant.metadata()).may_bill
    assert len(ids) == len(provider.ledger.purchases) == 3


def test_all_workers_drain_at_once_and_within_one_deadline(provider: FakeOpenAi, tmp_path: Path) -> None:
    settings = {"LIMNER_DRAIN_TIMEOUT_S": "3", "LIMNER_MAX_IN_FLIGHT": "2"}
    with selling(provider, tmp_path, "--workers", "3", **settings) as (service, tenant), ExitStack() as closing:
        waiting = Waiting(provider)
        calls: list[Future[Answer]] = []
        while len(calls) < 6:  # two in each worker
            channel = closing.enter_context(grpc.insecure_channel(service.http_address))
            method = channel.unary_unary(
                "/imageservice.v1.ImageService/GenerateImages",
                request_serializer=pb.GenerateImagesRequest.SerializeToString,
                response_deserializer=pb.GenerateImagesResponse.FromString,
            )
            call = waiting.call(answer, method, request(tenant, OUTLASTS_ALL), tenant.metadata())
            if not call.done():
                calls.append(call)
        began = time.monotonic()

        service.process.send_signal(signal.SIGTERM)

        answers = [each.result(PATIENCE_S) for each in calls]
        assert service.process.wait(PATIENCE_S) == 0
        assert time.monotonic() - began < 6, "three deadlines of 3 s are 9"
    assert {(each.code, each.reason, metadata_of(each)["outcome"]) for each in answers} == {
        (StatusCode.UNAVAILABLE, "INTERRUPTED", "unknown")
    }


def test_what_was_made_during_the_drain_can_be_fetched(provider: FakeOpenAi, tmp_path: Path) -> None:
    with selling(provider, tmp_path) as (service, tenant):
        client = tenant.rest()
        call = Waiting(provider).call(client.post, "/image-generation-tasks", json=body(OUTLASTS_NOTHING))

        service.process.send_signal(signal.SIGTERM)

        (image,) = call.result(PATIENCE_S).json()["images"]
        content = httpx.get(tenant.url(image["_links"]["content"]), headers=dict(tenant.metadata()))
        assert content.status_code == 200
        assert len(content.content) == image["imageSize"]
        assert service.process.wait(PATIENCE_S) == 0


def test_nothing_new_is_begun_during_the_drain_and_that_costs_nothing(provider: FakeOpenAi, tmp_path: Path) -> None:
    with selling(provider, tmp_path, LIMNER_DRAIN_TIMEOUT_S="6") as (service, tenant):
        Waiting(provider).call(answer, tenant.stub.GenerateImages, request(tenant, OUTLASTS_ALL), tenant.metadata())

        service.process.send_signal(signal.SIGTERM)

        asking = request(tenant, OUTLASTS_NOTHING)
        until(lambda: answer(tenant.stub.GenerateImages, asking, tenant.metadata()).code is StatusCode.UNAVAILABLE)
        told = answer(tenant.stub.GenerateImages, asking, tenant.metadata())
        assert told.reason == "INTERRUPTED"
        assert metadata_of(told)["outcome"] == "not_bought"
        assert tenant.rest().get("/images").status_code == 200


def test_it_is_not_ready_first_and_still_does_its_work(provider: FakeOpenAi, tmp_path: Path) -> None:
    with selling(provider, tmp_path, LIMNER_DRAIN_DELAY_S="3") as (service, tenant):
        with grpc.insecure_channel(service.grpc_address) as channel:
            check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert check(b"") == b"\x08\x01"

            service.process.send_signal(signal.SIGTERM)

            until(lambda: check(b"") == b"\x08\x02")
            assert answer(tenant.stub.GenerateImages, request(tenant, "a fox"), tenant.metadata()).code is StatusCode.OK
            assert tenant.rest().post("/image-generation-tasks", json=body("a fox")).status_code == 200
        assert service.process.wait(PATIENCE_S) == 0


def test_who_is_connected_is_told_to_leave_while_all_is_still_answered(provider: FakeOpenAi, tmp_path: Path) -> None:
    with selling(provider, tmp_path, LIMNER_DRAIN_DELAY_S="3") as (service, tenant):
        client = tenant.rest()
        assert "connection" not in client.get("/images").headers

        service.process.send_signal(signal.SIGTERM)

        until(lambda: client.get("/images").headers.get("connection") == "close")
        headers = [(":method", "GET"), (":scheme", "http"), (":path", "/healthz"), (":authority", "limner")]
        over_http2 = HalfSent(service.http_address, headers, ended=True)
        over_http2.wait_for_goaway()
        over_http2.hang_up()
        assert client.post("/image-generation-tasks", json=body("a fox")).status_code == 200
        assert service.process.wait(PATIENCE_S) == 0
