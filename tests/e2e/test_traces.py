"""What a collector of OpenTelemetry receives of calls of all kinds, held against what their callers were told."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from imageservice.v1 import image_service_pb2

from tests.e2e.providers import KEYS, Catalogue, settings_of
from tests.e2e.test_breakers import until
from tests.fakes.background import background
from tests.fakes.fal import fake_fal
from tests.fakes.openai import fake_openai
from tests.fakes.recorder import Recorder
from tests.real_parts.collector import Collector, ReceivedSpan, collector
from tests.rest.seed import GENERATE
from tests.service import WORKSPACE, Service, running_service

MODEL = "gpt-image-2"
SERVER, CLIENT = 2, 3
CALL = "imageservice.v1.ImageService/GenerateImages"
PROMPT = "a prompt that nobody else may read"


@dataclass
class Traced:
    """A service whose calls are traced."""

    service: Service
    collector: Collector
    provider: Recorder | None = None

    def generate(self, prompt: str = PROMPT, model: str = MODEL, **headers: str) -> httpx.Response:
        with self.service.rest() as client:
            path = f"/v1/workspaces/{WORKSPACE}{GENERATE}"
            return client.post(path, json={"prompt": prompt, "modelId": model}, headers=headers)

    def trace(self, trace_id: str, *names: str) -> dict[str, ReceivedSpan]:
        """The spans of a trace by their name, once all of these are there."""
        until(lambda: set(names) <= {span.name for span in self.collector.of_trace(trace_id)})
        return {span.name: span for span in self.collector.of_trace(trace_id)}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("traces")
    with background() as loop, collector() as received:
        provider = loop.enter(fake_openai())
        catalogue = Catalogue()
        catalogue.add(MODEL, {"adapter": "openai", "base_url": provider.base_url, "api_key_env": "FAKE_OPENAI"})
        catalogue.write(folder / "models.toml")
        env = KEYS | exporting(received) | {"LIMNER_MODELS": str(folder / "models.toml")}
        with running_service(folder / "data", env=env) as service:
            yield Traced(service, received, provider.recorder)


def exporting(received: Collector) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": received.address,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_METRIC_EXPORT_INTERVAL": "100",
    }


def a_parent(trace_id: str, *, sampled: bool = True) -> str:
    return f"00-{trace_id}-{secrets.token_hex(8)}-0{int(sampled)}"


def test_a_trace_goes_from_the_callers_span_to_the_purchase(traced: Traced) -> None:
    trace_id = secrets.token_hex(16)
    parent = a_parent(trace_id)
    answer = traced.generate(traceparent=parent)
    assert answer.status_code == 200

    spans = traced.trace(trace_id, CALL, "generation", "queue.wait", "purchase", "provider.request", "store", "commit")
    parents = {name: span.parent_id for name, span in spans.items()}
    assert parents[CALL] == parent.split("-")[2]
    assert parents["generation"] == spans[CALL].span_id
    assert parents["purchase"] == parents["queue.wait"] == spans["generation"].span_id
    assert parents["provider.request"] == spans["purchase"].span_id
    assert parents["commit"] == spans["generation"].span_id
    assert (spans[CALL].kind, spans["provider.request"].kind) == (SERVER, CLIENT)
    assert spans["generation"].attributes["limner.generation.id"] == answer.json()["generationId"]
    assert spans["purchase"].attributes["limner.model"] == MODEL
    assert not any(span.failed for span in spans.values())


def test_a_provider_of_ones_own_goes_on_with_the_trace(traced: Traced) -> None:
    trace_id = secrets.token_hex(16)
    traced.generate(traceparent=a_parent(trace_id))
    purchase = traced.trace(trace_id, "purchase")["purchase"]
    assert traced.provider is not None
    assert traced.provider.arrivals[-1].headers["traceparent"] == f"00-{trace_id}-{purchase.span_id}-01"


def test_log_lines_of_a_generation_carry_its_trace(traced: Traced) -> None:
    trace_id = secrets.token_hex(16)
    traced.generate(traceparent=a_parent(trace_id))
    until(lambda: any(record.get("trace_id") == trace_id for record in traced.service.records()))


@pytest.mark.parametrize(
    ("prompt", "status", "failed"),
    [
        (PROMPT, 0, False),
        ("a fox [[fault:moderation]]", 3, False),
        ("a fox [[fault:drop]]", 14, True),
        ("a fox [[fault:bad-key]]", 9, False),
    ],
)
def test_every_span_has_the_code_that_the_caller_was_told(
    traced: Traced, prompt: str, status: int, failed: bool
) -> None:
    trace_id = secrets.token_hex(16)
    answer = traced.generate(prompt, traceparent=a_parent(trace_id))
    assert answer.json().get("code", 0) == status

    call = traced.trace(trace_id, CALL)[CALL]
    assert (call.attributes["rpc.grpc.status_code"], call.failed) == (status, failed)


def test_a_call_that_its_caller_gave_up_is_not_told_as_fine(traced: Traced) -> None:
    trace_id = secrets.token_hex(16)
    metadata = (*traced.service.metadata(), ("traceparent", a_parent(trace_id)))
    request = image_service_pb2.GenerateImagesRequest(
        workspace_id=WORKSPACE, prompt="a fox [[fault:hang]]", model_id=MODEL
    )
    with traced.service.stub() as stub, pytest.raises(grpc.RpcError) as refused:
        stub.GenerateImages(request, metadata=metadata, timeout=0.5)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    call = traced.trace(trace_id, CALL)[CALL]
    assert call.failed
    assert call.attributes["rpc.grpc.status_code"] != 0


def test_a_caller_who_samples_nothing_is_obeyed(traced: Traced) -> None:
    silent, loud = secrets.token_hex(16), secrets.token_hex(16)
    traced.generate(traceparent=a_parent(silent, sampled=False))
    traced.generate(traceparent=a_parent(loud))
    traced.trace(loud, CALL)
    assert traced.collector.of_trace(silent) == []


def test_metrics_reach_the_collector_too(traced: Traced) -> None:
    traced.generate()
    until(lambda: {"limner_rpc_duration_seconds", "limner_images", "limner_spend_usd"} <= traced.collector.metrics)


def test_the_service_says_who_it_is(traced: Traced) -> None:
    traced.generate()
    until(lambda: bool(traced.collector.resources))
    assert traced.collector.resources[0]["service.name"] == "limner"


def test_nothing_that_is_exported_or_logged_holds_what_is_private(traced: Traced) -> None:
    trace_id, token = secrets.token_hex(16), traced.service.token()
    headers = {"idempotency-key": "a-key-of-mine", "authorization": f"Bearer {token}"}
    assert traced.generate(**headers, traceparent=a_parent(trace_id)).status_code == 200
    traced.trace(trace_id, CALL, "generation")
    exported = b"".join(traced.collector.raw)
    logged = json.dumps(traced.service.records()).encode()
    for secret in (PROMPT, token, "a-key-of-mine", *KEYS.values()):
        assert secret.encode() not in exported
        assert secret.encode() not in logged


def test_who_takes_over_goes_on_with_the_trace(tmp_path: Path) -> None:
    trace_id = secrets.token_hex(16)
    with background() as loop, collector() as received:
        provider = loop.enter(fake_fal())
        provider.hold = True
        catalogue = Catalogue()
        catalogue.add("flux-dev", settings_of(provider, "flux-dev"))
        catalogue.write(tmp_path / "models.toml")
        env = KEYS | exporting(received) | {"LIMNER_MODELS": str(tmp_path / "models.toml")}
        with running_service(tmp_path / "data", "--workers", "2", env=env) as service:
            traced = Traced(service, received)
            headers = {"prefer": "respond-async", "traceparent": a_parent(trace_id)}
            begun = traced.generate("a fox", "flux-dev", **headers).json()
            until(lambda: bool(provider.submissions()))
            traced.trace(trace_id, CALL)
            for worker in psutil.Process(service.process.pid).children():
                if "limner.worker" in worker.cmdline():
                    worker.kill()
            provider.hold = False
            taken_over = traced.trace(trace_id, "generation")["generation"]
            assert taken_over.attributes["limner.generation.id"] == begun["generationId"]
            assert not taken_over.failed
    assert len(provider.submissions()) == 1
