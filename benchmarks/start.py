"""How long ``limner serve`` takes until it is ready, and the memory that it and Envoy take then."""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import Figure, Section
from benchmarks.service import running
from limner.domain.limits import MIB

ROUNDS = 5
READY_AIM_S = 1.5
IDLE_AIM_MIB = 150
SETTLE_S = 2.0
SERVE = (sys.executable, "-m", "limner", "serve", "--grpc-port", "0", "--http-port", "0")


def measure() -> Section:
    cold, warm, memory = [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            data_dir = Path(folder) / "data"
            cold.append(ready_s(data_dir)[0])
            seconds, sizes = ready_s(data_dir, settle_s=SETTLE_S)
            warm.append(seconds)
            memory.append(sizes)
    server, envoy = (
        [statistics.median(size) / MIB for size in zip(*part, strict=True)] for part in zip(*memory, strict=True)
    )
    figures = [_ready("cold: no data folder yet, schema made", cold), _ready("warm", warm)]
    for name, values in (("server", server), ("Envoy", envoy)):
        figures.append(Figure(f"idle memory of {name}", f"{values[0]:.0f} MiB", _other(values)))
    both = [one + other for one, other in zip(server, envoy, strict=True)]
    aim = f"< {IDLE_AIM_MIB} MiB"
    figures.append(Figure("idle memory of both", f"{both[0]:.0f} MiB", _other(both), aim, both[0] < IDLE_AIM_MIB))
    return Section(
        "limner serve: from the command to its ready line, and at rest",
        figures,
        [
            f"Medians of {ROUNDS} starts; memory {SETTLE_S:.0f} s after the start, as RSS, which counts shared pages "
            "twice. PSS falls when other processes of the machine share them.",
        ],
    )


def ready_s(data_dir: Path, settle_s: float = 0) -> tuple[float, tuple[tuple[int, int, int], tuple[int, int, int]]]:
    """Start the service; return the seconds until it was ready, and RSS, PSS and USS of the server and of Envoy."""
    begun = time.perf_counter()
    with running(SERVE, data_dir=data_dir) as service:
        seconds = time.perf_counter() - begun
        time.sleep(settle_s)
        server, envoy = (process.memory_full_info() for process in (service.process, service.envoy))
        return seconds, ((server.rss, server.pss, server.uss), (envoy.rss, envoy.pss, envoy.uss))


def _ready(what: str, times: list[float]) -> Figure:
    median = statistics.median(times)
    note = f"from {min(times):.2f} to {max(times):.2f}"
    return Figure(what, f"{median:.2f} s", note, f"< {READY_AIM_S} s", median < READY_AIM_S)


def _other(values: list[float]) -> str:
    return f"PSS {values[1]:.0f}, USS {values[2]:.0f} MiB"
