"""A thousand generations in flight at once, on a model that takes 2 seconds: what the service adds to them."""

import statistics
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil
from imageservice.v1.image_service_pb2 import GenerateImagesRequest

from benchmarks import load
from benchmarks.calls import PROMPT
from benchmarks.report import Figure, Section
from benchmarks.service import GENERATE, WORKSPACE, Running, ready_service, running
from limner.domain.limits import KIB

IN_FLIGHT = 1_000
ROOM = 2_048
MODEL_S = 2.0
CONNECTIONS = 4
REPEATS = 4
P99_AIM_MS = 100
KIB_AIM = 60


def measure() -> Section:
    with running(ready_service(MODEL_S), LIMNER_MAX_IN_FLIGHT=str(ROOM)) as service:
        call_all(service, calls=100, spread_s=0.1)  # connects, compiles statements, starts threads
        idle = service.process.memory_info().rss
        with peak_rss(service.process) as peaks:
            steady = call_all(service, calls=IN_FLIGHT * REPEATS, spread_s=MODEL_S)
        kib = (max(peaks) - idle) / KIB / IN_FLIGHT
        burst = call_all(service, calls=IN_FLIGHT, spread_s=0)
    p99 = percentile(steady, 0.99)
    return Section(
        f"{IN_FLIGHT:,} generations in flight on a model that takes {MODEL_S:.0f} s",
        [
            Figure("added latency, p50", f"{percentile(steady, 0.5):,.0f} ms"),
            Figure("added latency, p99", f"{p99:,.0f} ms", "", f"< {P99_AIM_MS} ms", p99 < P99_AIM_MS),
            Figure("memory per call", f"{kib:.0f} KiB", "growth of RSS", f"< {KIB_AIM} KiB", kib < KIB_AIM),
            Figure("all sent at one moment, p50", f"{percentile(burst, 0.5):,.0f} ms"),
            Figure("all sent at one moment, p99", f"{percentile(burst, 0.99):,.0f} ms"),
        ],
        [
            f"{IN_FLIGHT:,} callers begin within {MODEL_S:.0f} s and call {REPEATS} times each: 500 calls a second.",
            f"SQLite, gRPC directly, {CONNECTIONS} connections; a Python client, and what it adds itself is counted.",
            f"LIMNER_MAX_IN_FLIGHT={ROOM}: by default one worker takes fewer and refuses the rest.",
        ],
    )


def call_all(service: Running, *, calls: int, spread_s: float) -> Sequence[float]:
    """Return what was added to the model's time, in milliseconds, for each call."""
    request = GenerateImagesRequest(workspace_id=WORKSPACE, prompt=PROMPT)
    outcome = load.run_client(
        load.Load(
            address=service.grpc_address,
            method=GENERATE,
            request=request.SerializeToString(),
            metadata=service.metadata(),
            calls=calls,
            connections=CONNECTIONS,
            callers=min(calls, IN_FLIGHT) // CONNECTIONS,
            spread_s=spread_s,
        )
    )
    return [(each - MODEL_S) * 1000 for each in outcome.latencies_s]


def percentile(values: Sequence[float], share: float) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


@contextmanager
def peak_rss(process: psutil.Process) -> Iterator[list[int]]:
    """Look at the resident memory again and again; the list has it in bytes, its first value from now."""
    seen = [process.memory_info().rss]
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            seen.append(process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
