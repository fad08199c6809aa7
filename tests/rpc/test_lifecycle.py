"""From the start to the end: deadlines, cancellation, overload, orderly and disorderly ends, several workers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from google.api.httpbody_pb2 import HttpBody
from grpc import StatusCode
from imageservice.v1 import image_pb2, image_service_pb2_grpc
from imageservice.v1 import image_service_pb2 as pb

from tests.pictures import encoded, noise
from tests.rpc.answers import answer, failure
from tests.service import WORKSPACE, Service, running_service
from tests.tenant import Tenant, tenant_of

Stub = image_service_pb2_grpc.ImageServiceStub
State = image_pb2.Generation
RUNNING, SUCCEEDED, FAILED, CANCELLED = State.RUNNING, State.SUCCEEDED, State.FAILED, State.CANCELLED
UPSCALER = "realesr-animevideo"
SECONDS, A_WHILE, A_MOMENT = 1_024, 320, 192
"""Edges in pixels of pictures whose enlargement takes about ten seconds, two, and one."""

PATIENCE_S = 20.0


def until(condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
    """Wait for a condition, and return what it returned."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)
    return result


class Upscale:
    """A long upscale whose events are read one by one."""

    def __init__(self, tenant: Tenant, edge: int = SECONDS) -> None:
        self.tenant = tenant
        upload = pb.UploadImageRequest(
            workspace_id=tenant.id, picture=HttpBody(data=encoded(noise(edge, edge), "PNG", compress_level=0))
        )
        source = tenant.stub.UploadImage(upload, metadata=tenant.metadata())
        self.request = pb.UpscaleImageRequest(
            workspace_id=tenant.id, image_id=source.id, model_id=UPSCALER, upscale_factor=2
        )

    def begin(self) -> None:
        """Return when the model is at work."""
        self.stream = self.tenant.stub.RunTask(
            pb.RunTaskRequest(workspace_id=self.tenant.id, upscale=self.request), metadata=self.tenant.metadata()
        )
        self.generation_id = next(self.stream).queued.generation_id
        assert next(self.stream).WhichOneof("event") == "progress"

    def end(self) -> tuple[Any, Any]:
        """Read on to the end; return the last event, and the status of an error."""
        events: list[Any] = []
        try:
            events.extend(self.stream)
        except grpc.RpcError as error:
            return events[-1], failure(error, [])
        return events[-1], None

    def generation(self, stub: Stub | None = None) -> Any:
        request = pb.GetGenerationRequest(workspace_id=self.tenant.id, generation_id=self.generation_id)
        return (stub or self.tenant.stub).GetGeneration(request, metadata=self.tenant.metadata())

    def cancel(self) -> Any:
        request = pb.CancelGenerationRequest(workspace_id=self.tenant.id, generation_id=self.generation_id)
        return self.tenant.stub.CancelGeneration(request, metadata=self.tenant.metadata())

    def reserved(self) -> int:
        usage = self.tenant.stub.GetUsage(
            pb.GetUsageRequest(workspace_id=self.tenant.id), metadata=self.tenant.metadata()
        )
        return int(usage.images.reserved)


@contextmanager
def own_service(data_dir: Path, *arguments: str, **settings: str) -> Iterator[tuple[Service, Tenant]]:
    """A service that a test may harm."""
    with running_service(data_dir, *arguments, env=settings) as service, tenant_of(service) as tenant:
        yield service, tenant


def test_a_caller_who_hangs_up_stops_work_that_costs_nothing(tenant: Tenant) -> None:
    upscale = Upscale(tenant)
    upscale.begin()

    upscale.stream.cancel()

    generation = until(lambda: (found := upscale.generation()).state != RUNNING and found)
    assert generation.state == CANCELLED
    assert list(generation.images) == []
    assert upscale.reserved() == 0


def test_a_deadline_stops_work_that_costs_nothing(tenant: Tenant) -> None:
    upscale = Upscale(tenant)

    done = answer(tenant.stub.UpscaleImage, upscale.request, tenant.metadata(), timeout=1)

    assert done.code is StatusCode.DEADLINE_EXCEEDED
    until(lambda: upscale.reserved() == 0, timeout_s=5)
    images = tenant.stub.ListImages(pb.ListImagesRequest(workspace_id=tenant.id), metadata=tenant.metadata()).images
    assert [image.id for image in images] == [upscale.request.image_id]


def test_a_rest_client_that_hangs_up_stops_work_too(tenant: Tenant) -> None:
    upscale = Upscale(tenant)
    body = {"imageId": upscale.request.image_id, "modelId": UPSCALER, "upscaleFactor": 2}

    with pytest.raises(httpx.ReadTimeout):
        tenant.rest().post("/image-upscale-tasks", json=body, timeout=1)

    until(lambda: upscale.reserved() == 0, timeout_s=5)


def test_a_cancelled_generation_ends_at_once_for_all_who_wait(tenant: Tenant) -> None:
    upscale = Upscale(tenant)
    upscale.begin()
    began = time.monotonic()

    cancelled = upscale.cancel()

    assert cancelled.state == CANCELLED
    assert not cancelled.may_bill
    event, done = upscale.end()
    assert time.monotonic() - began < 5
    assert event.completed.state == CANCELLED
    assert done.code is StatusCode.CANCELLED
    assert done.reason == "GENERATION_CANCELLED"


def test_what_is_too_much_is_refused_at_once_and_told_when_to_come_back(tmp_path: Path) -> None:
    with own_service(tmp_path, LIMNER_MAX_IN_FLIGHT="1") as (_, tenant):
        upscale = Upscale(tenant)
        upscale.begin()
        request = pb.GenerateImagesRequest(workspace_id=tenant.id, prompt="a fox")

        done = answer(tenant.stub.GenerateImages, request, tenant.metadata())
        response = tenant.rest().post("/image-generation-tasks", json={"prompt": "a fox"})

        assert (done.code, done.reason) == (StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert done.retry_delay_s > 0
        assert response.status_code == 429
        assert response.headers["retry-after"] == "1"
        assert tenant.rest().get("/images").status_code == 200
        upscale.cancel()
        assert answer(tenant.stub.GenerateImages, request, tenant.metadata()).code is StatusCode.OK


def test_sigterm_lets_running_work_end_and_be_answered(tmp_path: Path) -> None:
    with own_service(tmp_path) as (service, tenant):
        upscale = Upscale(tenant, A_MOMENT)
        upscale.begin()

        service.process.send_signal(signal.SIGTERM)

        event, done = upscale.end()
        assert done is None
        assert event.completed.state == SUCCEEDED
        assert service.process.wait(PATIENCE_S) == 0
    assert not [record for record in service.records() if record["level"] == "error"]


def test_work_that_takes_longer_than_the_drain_is_interrupted_and_told_so(tmp_path: Path) -> None:
    with own_service(tmp_path, LIMNER_DRAIN_TIMEOUT_S="0.5") as (service, tenant):
        upscale = Upscale(tenant)
        upscale.begin()

        service.process.send_signal(signal.SIGTERM)

        assert service.process.wait(PATIENCE_S) == 0
    with own_service(tmp_path) as (_, again):
        generation = upscale.generation(again.stub)
        assert generation.state == FAILED
        assert "INTERRUPTED" in str(generation.error)


def test_after_a_kill_the_next_start_goes_on_with_what_was_running(tmp_path: Path) -> None:
    with own_service(tmp_path) as (service, tenant):
        upscale = Upscale(tenant, A_WHILE)
        upscale.begin()
        children = psutil.Process(service.process.pid).children(recursive=True)
        service.process.kill()
        service.process.wait()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []

    with own_service(tmp_path) as (_, again):
        generation = until(lambda: (found := upscale.generation(again.stub)).state != RUNNING and found)
        assert generation.state == SUCCEEDED
        assert [image.image_width for image in generation.images] == [2 * A_WHILE]
        assert [image.id for image in generation.input_images] == [upscale.request.image_id]


def test_envoy_comes_back_when_it_is_killed(tmp_path: Path) -> None:
    with own_service(tmp_path) as (service, tenant):
        rest = tenant.rest()
        (envoy,) = [each for each in psutil.Process(service.process.pid).children() if each.name() == "envoy"]
        envoy.kill()
        envoy.wait(PATIENCE_S)

        def answers() -> bool:
            try:
                return rest.get("/images").status_code == 200
            except httpx.TransportError:
                return False

        until(answers)
        assert service.stop() == 0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Tenant]]:
    """Two workers. Each takes one task at a time, so that a second task shows the second worker."""
    folder = tmp_path_factory.mktemp("pair")
    with own_service(folder, "--workers", "2", LIMNER_MAX_IN_FLIGHT="1") as pair:
        yield pair


def is_worker(process: psutil.Process) -> bool:
    try:
        return "limner.worker" in process.cmdline()
    except psutil.Error:  # it is dead already
        return False


class TestTwoWorkers:
    def workers(self, service: Service) -> list[psutil.Process]:
        return [each for each in psutil.Process(service.process.pid).children() if is_worker(each)]

    def test_calls_through_the_gateway_reach_both(self, pair: tuple[Service, Tenant]) -> None:
        service, tenant = pair
        with grpc.insecure_channel(service.http_address) as channel:
            tenant.stub = Stub(channel)
            one, other = Upscale(tenant), Upscale(tenant)
            one.begin()
            until(lambda: self.begun(other))

            assert one.generation().state == other.generation().state == RUNNING
            for each in (one, other):
                each.stream.cancel()
            until(lambda: one.reserved() == 0)

    def begun(self, upscale: Upscale) -> bool:
        """Begin, when the worker whose turn it is has room."""
        try:
            upscale.begin()
        except grpc.RpcError as error:
            assert failure(error, []).reason == "OVERLOADED"
            return False
        return True

    def test_a_worker_that_dies_is_replaced(self, pair: tuple[Service, Tenant]) -> None:
        service, tenant = pair
        rest = tenant.rest()
        victim = self.workers(service)[0]

        victim.kill()

        until(lambda: victim not in (alive := self.workers(service)) and len(alive) == 2)
        until(lambda: {rest.get("/images").status_code for _ in range(8)} == {200})

    def test_both_end_with_the_service(self, pair: tuple[Service, Tenant]) -> None:
        service, _ = pair
        workers = self.workers(service)

        assert service.stop() == 0
        assert len(workers) == 2
        assert not any(each.is_running() for each in workers)


def refused_start(data_dir: Path, *arguments: str, **settings: str) -> str:
    """Start a service that must not start, and return what it says about it."""
    environment = {"LIMNER_DATA_DIR": str(data_dir), **settings}
    command = [sys.executable, "-m", "limner", "serve", "--grpc-port", "0", "--http-port", "0", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, env={**clean_environment(), **environment}
    )
    assert done.returncode != 0
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LIMNER_")}


@pytest.mark.parametrize("option", ["--grpc-port", "--http-port"])
def test_a_second_service_on_the_same_port_says_so(service: Service, tmp_path: Path, option: str) -> None:
    address = service.grpc_address if option == "--grpc-port" else service.http_address
    port = address.rpartition(":")[2]

    told = refused_start(tmp_path, option, port)

    assert port in told
    assert "in use" in told


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_real_keys_nobody_else_is_listened_to(tmp_path: Path, host: str) -> None:
    told = refused_start(tmp_path, "--host", host)

    assert "LIMNER_AUTH_JWKS" in told
    assert "loopback" in told


def test_all_wrong_settings_are_told_at_once(tmp_path: Path) -> None:
    told = refused_start(
        tmp_path,
        LIMNER_MAX_IN_FLIGHT="many",
        LIMNER_STORAGE="s3://bucket",
        LIMNER_DATABASE_URL="mysql://root:hunter2@localhost/x",
        LIMNER_AUTH_JWKS="http://keys.example/jwks",
        LIMNER_LOG_LEVEL="loud",
        LIMNER_MODELS=str(tmp_path / "missing.toml"),
        LIMNER_GRPC_PORT="70000",
    )

    for name in ("MAX_IN_FLIGHT", "STORAGE", "DATABASE_URL", "AUTH_JWKS", "LOG_LEVEL", "MODELS", "GRPC_PORT"):
        assert f"LIMNER_{name}" in told
    assert "hunter2" not in told


def test_a_database_that_is_not_there_is_told(tmp_path: Path) -> None:
    told = refused_start(tmp_path, LIMNER_DATABASE_URL="postgresql://user:hunter2@127.0.0.1:1/limner")

    assert "database" in told.lower()
    assert "hunter2" not in told


def test_the_ready_line_is_all_of_the_output(tmp_path: Path) -> None:
    with running_service(tmp_path, "--no-gateway") as service:
        assert service.http_address == ""
        assert service.stop() == 0
        assert service.process.stdout is not None
        assert service.process.stdout.read() == ""


def test_prompts_and_tokens_are_not_in_the_log(service: Service, tenant: Tenant) -> None:
    request = pb.GenerateImagesRequest(workspace_id=tenant.id, prompt="a most secret fox")
    tenant.stub.GenerateImages(request, metadata=(*tenant.metadata(), ("x-request-id", "look-for-me")))

    (line,) = until(lambda: [record for record in service.records() if record.get("request_id") == "look-for-me"])

    assert (line["method"], line["code"], line["user"]) == (
        "/imageservice.v1.ImageService/GenerateImages",
        "OK",
        "ada",
    )
    log = "".join(service.log)
    assert "most secret" not in log
    assert tenant.metadata()[0][1].split(".")[0] not in log


def test_tokens_of_the_command_line_are_accepted(service: Service) -> None:
    command = [sys.executable, "-m", "limner", "token", "--data-dir", str(service.data_dir), "--user", "ada"]
    done = subprocess.run([*command, "--workspace", WORKSPACE], capture_output=True, text=True, check=True)

    url = f"http://{service.http_address}/v1/workspaces/{WORKSPACE}/images"
    response = httpx.get(url, headers={"authorization": f"Bearer {done.stdout.strip()}"})

    assert response.status_code == 200
