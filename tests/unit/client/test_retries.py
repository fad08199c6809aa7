"""Which failed calls the clients repeat, and that a task has one key however often it is made."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from imageservice.v1 import image_service_pb2 as pb
from imageservice.v1 import image_service_pb2_grpc

from limner.client import (
    NO_RETRIES,
    AsyncClient,
    Client,
    GenerateImagesRequest,
    LimnerClientError,
    OverloadedError,
    RetryBudget,
    UnavailableError,
)
from limner.client.retries import Tries

DOWN = grpc.StatusCode.UNAVAILABLE
QUICK = RetryBudget(tries=4, first_delay_s=0.001)


class Service(image_service_pb2_grpc.ImageServiceServicer):
    """Fails as often as it is told to, and remembers under which keys it was asked."""

    def __init__(self) -> None:
        self.failures: list[tuple[grpc.StatusCode, str, dict[str, str]]] = []
        self.keys: list[str] = []
        self.uploads = 0

    def fail(self, times: int, code: grpc.StatusCode = DOWN, reason: str = "", **facts: str) -> None:
        self.failures += [(code, reason, facts)] * times

    def GenerateImages(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.keys.append(request.request_id)
        self._fail_as_told(context)
        return pb.GenerateImagesResponse(generation_id="made")

    def RunTask(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        self.keys.append(request.generate.request_id)
        event = pb.RunTaskEvent()
        event.queued.generation_id = "made"
        yield event
        self._fail_as_told(context)
        event = pb.RunTaskEvent()
        event.completed.generation_id = "made"
        yield event

    def UploadImage(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.uploads += 1
        self._fail_as_told(context)

    def ListModels(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._fail_as_told(context)
        return pb.ListModelsResponse()

    def _fail_as_told(self, context: Any) -> None:
        if not self.failures:
            return
        code, reason, facts = self.failures.pop(0)
        status = status_pb2.Status(code=code.value[0], message="not now")
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="imageservice", metadata=facts))
        if reason == "OVERLOADED":
            status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=Duration(nanos=1_000_000)))
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, "not now")


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()  # type: ignore[abstract]  # it has the calls that are made
    server = grpc.server(futures.ThreadPoolExecutor(2))
    image_service_pb2_grpc.add_ImageServiceServicer_to_server(service, server)
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"  # type: ignore[attr-defined]
    server.start()
    yield service
    server.stop(0).wait()


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, service: Service) -> Callable[..., Any]:
    """Calls a method of either client."""

    def by_sync(method: str, *args: Any, retries: RetryBudget = QUICK, **options: Any) -> Any:
        with Client(service.address, retries=retries, workspace="acme") as client:  # type: ignore[attr-defined]
            answer = getattr(client, method)(*args, **options)
            return list(answer) if method == "run" else answer

    def by_async(method: str, *args: Any, retries: RetryBudget = QUICK, **options: Any) -> Any:
        async def called() -> Any:
            async with AsyncClient(service.address, retries=retries, workspace="acme") as client:  # type: ignore[attr-defined]
                answer = getattr(client, method)(*args, **options)
                return [event async for event in answer] if method == "run" else await answer

        return asyncio.run(called())

    return by_sync if request.param == "sync" else by_async


def test_a_task_is_repeated_under_one_key_of_its_own(service: Service, call: Callable[..., Any]) -> None:
    service.fail(3)
    assert call("generate", "a fox").generation_id == "made"
    assert len(service.keys) == 4
    assert len(set(service.keys)) == 1 and service.keys[0]
    call("generate", "a fox")
    assert len(set(service.keys)) == 2


def test_a_callers_key_is_kept(service: Service, call: Callable[..., Any]) -> None:
    service.fail(1)
    call("generate", "a fox", request_id="order-17")
    assert service.keys == ["order-17"] * 2


def test_an_overload_is_waited_for(service: Service, call: Callable[..., Any]) -> None:
    service.fail(2, grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert call("generate", "a fox").generation_id == "made"


def test_the_budget_has_an_end_and_the_error_says_how_to_go_on(service: Service, call: Callable[..., Any]) -> None:
    service.fail(9, reason="DATABASE_UNAVAILABLE", generationId="g17")
    with pytest.raises(UnavailableError) as failed:
        call("generate", "a fox")
    assert len(service.keys) == QUICK.tries
    assert failed.value.generation_id == "g17"
    assert failed.value.idempotency_key == service.keys[0]
    assert "get_generation('g17')" in str(failed.value) and service.keys[0] in str(failed.value)


@pytest.mark.parametrize(
    ("code", "reason", "facts"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "CONTENT_REJECTED", {}),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", {}),
        (grpc.StatusCode.FAILED_PRECONDITION, "PROVIDER_MISCONFIGURED", {}),
        (grpc.StatusCode.INTERNAL, "INTERNAL", {}),
        (grpc.StatusCode.UNAVAILABLE, "PROVIDER_UNAVAILABLE", {"outcome": "unknown"}),
        (grpc.StatusCode.UNAVAILABLE, "PROVIDER_UNAVAILABLE", {"outcome": "bought"}),
    ],
)
def test_what_would_end_alike_is_not_repeated(
    service: Service, call: Callable[..., Any], code: grpc.StatusCode, reason: str, facts: dict[str, str]
) -> None:
    service.fail(9, code, reason, **facts)
    with pytest.raises(LimnerClientError):
        call("generate", "a fox")
    assert len(service.keys) == 1


def test_reads_are_repeated_and_uploads_are_not(service: Service, call: Callable[..., Any]) -> None:
    service.fail(1)
    assert call("models") == []
    service.fail(9)
    with pytest.raises(UnavailableError) as failed:
        call("upload", b"a picture")
    assert service.uploads == 1
    assert failed.value.advice == ""


def test_a_stream_that_breaks_off_is_taken_up_again(service: Service, call: Callable[..., Any]) -> None:
    service.fail(1)
    events = call("run", GenerateImagesRequest(prompt="a fox"))
    assert [event.WhichOneof("event") for event in events] == ["queued", "queued", "completed"]
    assert len(set(service.keys)) == 1 and len(service.keys) == 2


def test_who_wants_no_retries_has_none(service: Service, call: Callable[..., Any]) -> None:
    service.fail(1)
    with pytest.raises(UnavailableError):
        call("generate", "a fox", retries=NO_RETRIES)
    assert len(service.keys) == 1


def test_no_try_begins_behind_the_deadline() -> None:
    now = [0.0]
    tries = Tries(RetryBudget(tries=9, first_delay_s=2), 5, clock=lambda: now[0])
    assert tries.begin() == 5
    delay_s = tries.delay_after(UnavailableError("down"))
    assert delay_s is not None and 1 <= delay_s <= 2
    now[0] = 4.5
    assert tries.begin() == 0.5
    assert tries.delay_after(UnavailableError("down")) is None


@pytest.mark.parametrize(("asked_s", "waited"), [(3.0, 3.0), (61.0, None)])
def test_a_service_that_asks_for_a_long_wait_is_left_alone(asked_s: float, waited: float | None) -> None:
    tries = Tries(RetryBudget(), 600)
    tries.begin()
    assert tries.delay_after(OverloadedError("full", retry_after_s=asked_s)) == waited
