"""``GenerateImages`` against a bare echo: calls per second and processor time, directly and through Envoy."""

import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import grpc
from imageservice.v1 import image_service_pb2_grpc
from imageservice.v1.image_service_pb2 import GenerateImagesRequest, GetUsageRequest

from benchmarks import load
from benchmarks.report import Figure, Section
from benchmarks.service import EDGE_PIXELS, GENERATE, WORKSPACE, Running, ready_service, running
from tests.real_parts.postgres import running_postgres

ROUNDS = 5
ECHO_CALLS = 6_000
CALLS = 2_000
AIM = 0.4
PROMPT = "A red fox asleep in fresh snow at dawn, oil on canvas, soft light, muted colours."


@dataclass
class Case:
    """One way to one server, and what its rounds measured."""

    name: str
    server: Running
    through_envoy: bool
    calls: int
    echo: "Case | None" = None
    """What it is compared with."""
    aimed: bool = False
    model: str = "ready"
    rates: list[float] = field(default_factory=list)
    micros: list[float] = field(default_factory=list)
    """Processor time of the server's process per call."""

    def run(self, calls: int) -> None:
        request = GenerateImagesRequest(workspace_id=WORKSPACE, prompt=PROMPT, model_id=self.model)
        address = self.server.http_address if self.through_envoy else self.server.grpc_address
        before = busy_s(self.server)
        outcome = load.run(
            load.Load(
                address=address,
                method=GENERATE,
                request=request.SerializeToString(),
                metadata=self.server.metadata(),
                calls=calls,
            )
        )
        self.rates.append(calls / outcome.seconds)
        self.micros.append((busy_s(self.server) - before) / calls * 1e6)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    def figure(self) -> Figure:
        cost = f"{statistics.median(self.micros):4.0f} µs of processor time each"
        value = f"{self.rate:,.0f} /s"
        if self.echo is None:
            return Figure(self.name, value, cost)
        share = self.rate / self.echo.rate
        note = f"{share:4.0%} of {self.echo.name}, {cost}"
        return (
            Figure(self.name, value, note, f">= {AIM:.0%}", share >= AIM)
            if self.aimed
            else Figure(self.name, value, note)
        )


def measure() -> Section:
    with cases() as all_cases:
        for case in all_cases:
            case.run(case.calls // 4)
            case.rates.clear()
            case.micros.clear()
        for _ in range(ROUNDS):
            for case in all_cases:
                case.run(case.calls)
        check_bought(all_cases)
        request = GenerateImagesRequest(workspace_id=WORKSPACE, prompt=PROMPT, model_id="ready").ByteSize()
        return Section(
            f"GenerateImages with a ready {EDGE_PIXELS} × {EDGE_PIXELS} picture, one worker",
            [case.figure() for case in all_cases],
            [
                f"Medians of {ROUNDS} rounds that take turns; 4 connections with 16 callers each; by {load.GENERATOR}.",
                f"All send the same {request} bytes and the same token; the echo answers those, the call about 600.",
                "decoded: the service looks into the bytes, as it does where a model does not say what they are.",
            ],
        )


@contextmanager
def cases() -> Iterator[list[Case]]:
    with ExitStack() as stack:
        url = stack.enter_context(running_postgres(durable=True)).new_database()
        echo = stack.enter_context(running(ready_service("echo")))
        sqlite = stack.enter_context(running(ready_service(0)))
        postgresql = stack.enter_context(running(ready_service(0), LIMNER_DATABASE_URL=url))
        bare = Case("bare grpc.aio echo", echo, False, ECHO_CALLS)
        behind = Case("echo behind Envoy", echo, True, ECHO_CALLS // 2, bare)
        yield [
            bare,
            Case("SQLite", sqlite, False, CALLS, bare, aimed=True),
            Case("PostgreSQL", postgresql, False, CALLS, bare, aimed=True),
            Case("SQLite, decoded", sqlite, False, CALLS // 2, bare, model="checked"),
            behind,
            Case("SQLite, behind Envoy", sqlite, True, CALLS // 2, behind),
            Case("PostgreSQL, behind Envoy", postgresql, True, CALLS // 2, behind),
        ]


def check_bought(all_cases: list[Case]) -> None:
    """Raise when a call was answered without a picture: h2load does not see how a gRPC call ended."""
    for server in {
        case.server.grpc_address: case.server for case in all_cases if case.server is not all_cases[0].server
    }.values():
        made = sum(case.calls * ROUNDS + case.calls // 4 for case in all_cases if case.server is server)
        with grpc.insecure_channel(server.grpc_address) as channel:
            stub = image_service_pb2_grpc.ImageServiceStub(channel)
            used = stub.GetUsage(GetUsageRequest(workspace_id=WORKSPACE), metadata=server.metadata()).images.used
        if used != made:
            raise RuntimeError(f"{made} pictures were asked for, {used} made")


def busy_s(server: Running) -> float:
    times = server.process.cpu_times()
    return float(times.user + times.system)
