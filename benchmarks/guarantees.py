"""What safe purchases cost: ``GenerateImages`` with and without them, side by side, on both databases.

With them, each call claims an idempotency key, takes quota, keeps its plan under a lease, and keeps its purchase before
it is made. Without them, rows are written once, when all is over. Both sync the picture's bytes and the last commit.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import grpc
from imageservice.v1 import image_service_pb2_grpc
from imageservice.v1.image_service_pb2 import GenerateImagesRequest

from benchmarks import load
from benchmarks.calls import PROMPT, busy_s
from benchmarks.report import Figure, Section
from benchmarks.service import GENERATE, WORKSPACE, Running, ready_service, running
from tests.real_parts.postgres import running_postgres

ROUNDS = 7
CALLS = 1_500
CALLS_ALONE = 60
AIM_SHARE = 0.85
AIM_MS = 1.0
REQUEST = GenerateImagesRequest(workspace_id=WORKSPACE, prompt=PROMPT, model_id="ready")


class Side:
    """One of the two servers that are compared, and what its rounds measured."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self._channel = grpc.insecure_channel(server.grpc_address)
        self._stub = image_service_pb2_grpc.ImageServiceStub(self._channel)
        self._metadata = server.metadata()
        self.rates: list[float] = []
        self.micros: list[float] = []
        """Processor time of the server's process per call."""
        self.latencies_ms: list[float] = []

    def measure(self) -> None:
        before = busy_s(self._server)
        message = REQUEST.SerializeToString()
        address, metadata = self._server.grpc_address, self._metadata
        outcome = load.run(load.Load(address=address, method=GENERATE, request=message, metadata=metadata, calls=CALLS))
        if outcome.answer_bytes < CALLS * 300:
            raise RuntimeError("some calls made no picture")
        self.rates.append(CALLS / outcome.seconds)
        self.micros.append((busy_s(self._server) - before) / CALLS * 1e6)

    def call_once(self) -> None:
        begun = time.perf_counter()
        self._stub.GenerateImages(REQUEST, metadata=self._metadata)
        self.latencies_ms.append((time.perf_counter() - begun) * 1e3)

    def forget(self) -> None:
        self.rates.clear()
        self.micros.clear()
        self.latencies_ms.clear()

    def close(self) -> None:
        self._channel.close()


def measure() -> Section:
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres(durable=True))
        figures = [*compared("SQLite", {}, {})]
        urls = [{"LIMNER_DATABASE_URL": postgres.new_database()} for _ in range(2)]
        figures += compared("PostgreSQL", *urls)
    return Section(
        "Safe purchases, beside the same calls without what makes them safe, one worker",
        figures,
        [
            f"Medians of {ROUNDS} rounds that take turns: 64 callers, then one; {load.GENERATOR}.",
            "Safe: key, quota, plan, lease, purchase kept before it is made. Else: all rows written once, at the end.",
        ],
    )


def compared(database: str, safe: dict[str, str], plain: dict[str, str]) -> Iterator[Figure]:
    with side("guarded", safe) as guarded, side("unguarded", plain) as unguarded:
        sides = guarded, unguarded
        for each in sides:
            each.measure()
            each.forget()
        for _ in range(ROUNDS):
            for each in sides:
                each.measure()
            for _ in range(CALLS_ALONE):
                for each in sides:
                    each.call_once()
    aimed = database == "SQLite"
    with_rate, without_rate = (statistics.median(each.rates) for each in sides)
    share = statistics.median(one / other for one, other in zip(guarded.rates, unguarded.rates, strict=True))
    yield Figure(
        f"{database}: rate, 64 callers",
        f"{with_rate:,.0f} /s",
        f"{without_rate:,.0f} without: {share:.0%}",
        f">= {AIM_SHARE:.0%}" if aimed else "",
        share >= AIM_SHARE if aimed else None,
    )
    cost, bare_cost = (statistics.median(each.micros) for each in sides)
    yield Figure(f"{database}: processor time per call", f"{cost:,.0f} µs", f"{bare_cost:,.0f} without")
    alone, bare_alone = (statistics.median(each.latencies_ms) for each in sides)
    added = alone - bare_alone
    yield Figure(
        f"{database}: added median, 1 caller",
        f"{added:.2f} ms",
        f"{alone:.2f} and {bare_alone:.2f} ms",
        f"<= {AIM_MS:.0f} ms" if aimed else "",
        added <= AIM_MS if aimed else None,
    )


@contextmanager
def side(kind: str, settings: dict[str, str]) -> Iterator[Side]:
    with running(ready_service(kind), data_dir=None, **settings) as server:
        measured = Side(server)
        try:
            yield measured
        finally:
            measured.close()
