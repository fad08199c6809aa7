"""Pictures by way of a provider: the service beside LiteLLM's proxy, in front of the same fake of OpenAI.

One worker each. LiteLLM hands the provider's answer on and keeps nothing; the service checks each picture and keeps
its bytes and rows. LiteLLM is installed into a virtual environment of its own, ``.bench/``, on the first run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from imageservice.v1.image_service_pb2 import GenerateImagesRequest

from benchmarks import load
from benchmarks.calls import PROMPT
from benchmarks.in_flight import peak_rss
from benchmarks.report import Figure, Section
from benchmarks.service import GENERATE, WORKSPACE, Running, running
from limner.domain.limits import KIB, MIB
from tests.fakes.openai import KEY
from tests.real_parts.ports import held_port

LITELLM: Final = "litellm[proxy]==1.106.2"
FOLDER: Final = Path(".bench/litellm")
MODEL: Final = "gpt-image-2"
SIZES: Final = {"12 KiB": 12 * KIB, "1.4 MiB": round(1.4 * MIB)}
CALLERS: Final = 32
ROUNDS: Final = 3
SECONDS: Final = 3.0
"""How long a round should take."""
MASTER_KEY: Final = "sk-of-the-benchmark"
BODY: Final = json.dumps({"model": MODEL, "prompt": PROMPT, "n": 1}).encode()


@dataclass(frozen=True)
class Way:
    """One way to a picture."""

    name: str
    process: psutil.Process
    grpc: Running | None = None
    url: str = ""
    key: str = ""

    def rate(self, callers: int, calls: int) -> float:
        """Return how many calls a second so many callers make, each again when it has its answer."""
        if self.grpc is not None:
            return calls / self._grpc_s(callers, calls)
        return calls / http_s(f"{self.url}/images/generations", self.key, callers, calls)

    def _grpc_s(self, callers: int, calls: int) -> float:
        assert self.grpc is not None
        connections = min(callers, 4)
        request = GenerateImagesRequest(workspace_id=WORKSPACE, prompt=PROMPT, model_id=MODEL)
        outcome = load.run(
            load.Load(
                address=self.grpc.grpc_address,
                method=GENERATE,
                request=request.SerializeToString(),
                metadata=self.grpc.metadata(),
                calls=calls,
                connections=connections,
                callers=callers // connections,
            )
        )
        if outcome.answer_bytes < calls * 300:
            raise RuntimeError("some calls made no picture")
        return outcome.seconds


def http_s(url: str, key: str, callers: int, calls: int) -> float:
    """Make the calls over HTTP/1.1, and return how long that took."""
    assert load.H2LOAD
    with tempfile.NamedTemporaryFile() as body:
        body.write(BODY)
        body.flush()
        headers = ["-H", "content-type: application/json", "-H", f"authorization: Bearer {key}"]
        command = [load.H2LOAD, "--h1", "-n", str(calls), "-c", str(callers), "-d", body.name, *headers, url]
        done = subprocess.run(command, capture_output=True, text=True)
    finished = re.search(r"finished in ([\d.]+)(m?s)", done.stdout)
    succeeded = re.search(r"status codes: (\d+) 2xx", done.stdout)
    if not (finished and succeeded) or int(succeeded[1]) != calls:
        raise RuntimeError(done.stdout + done.stderr)
    return float(finished[1]) * (1e-3 if finished[2] == "ms" else 1)


def measure() -> Section:
    title = "Pictures by way of a provider, one worker"
    if load.H2LOAD is None:
        return Section(title, [], ["Not measured: it needs h2load (Debian: nghttp2-client)."])
    try:
        installed_litellm()
    except subprocess.CalledProcessError:
        return Section(title, [], [f"Not measured: {LITELLM} could not be installed."])
    figures = [figure for name, size in SIZES.items() for figure in measured(name, size)]
    remarks = [
        f"Medians of {ROUNDS} rounds of {SECONDS:.0f} s that take turns; the fake runs on the same machine, and its",
        "own rate is the ceiling of both. Latency is that of one caller less that of the fake itself. By h2load.",
        f"Memory is that of the worker's process; {LITELLM}.",
    ]
    return Section(title, figures, remarks)


def measured(name: str, size_bytes: int) -> Iterator[Figure]:
    with fake(size_bytes) as direct, limner(direct.url) as ours, litellm(direct.url) as theirs:
        ways = (direct, ours, theirs)
        with peak_rss(ours.process) as our_peak, peak_rss(theirs.process) as their_peak:
            many = medians(ways, CALLERS)
        alone = medians(ways, 1)
    our_ms, their_ms = (1000 / alone[way.name] - 1000 / alone["fake"] for way in (ours, theirs))
    our_mib, their_mib = max(our_peak) / MIB, max(their_peak) / MIB
    yield Figure(f"{name}: the fake itself", f"{many['fake']:,.0f} /s", f"{1000 / alone['fake']:.1f} ms for one caller")
    yield compared(f"{name}: rate, {CALLERS} callers", many["limner"], many["litellm"], "/s", 10)
    yield compared(f"{name}: added latency, 1 caller", our_ms, their_ms, "ms", 0.1)
    yield compared(f"{name}: peak memory", our_mib, their_mib, "MiB", 0.5)


def compared(what: str, ours: float, theirs: float, unit: str, aim: float) -> Figure:
    """Return a line of both; an aim above 1 is a rate that should be larger, one below is a cost."""
    share = ours / theirs
    met = share >= aim if aim > 1 else share <= aim
    sign = ">=" if aim > 1 else "<="
    return Figure(what, f"{ours:,.1f} {unit}", f"LiteLLM {theirs:,.1f} {unit}: × {share:.2f}", f"{sign} × {aim:g}", met)


def medians(ways: Sequence[Way], callers: int) -> dict[str, float]:
    """Return the median rate of each; what a round asks for is found by a short one before."""
    calls = {way.name: max(callers, round(way.rate(callers, 2 * callers) * SECONDS)) for way in ways}
    calls = {
        way.name: max(callers, round(way.rate(callers, max(callers, calls[way.name] // 3)) * SECONDS)) for way in ways
    }
    rates: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(ROUNDS):
        for way in ways:
            rates[way.name].append(way.rate(callers, calls[way.name]))
    return {name: sorted(each)[len(each) // 2] for name, each in rates.items()}


@contextmanager
def fake(size_bytes: int) -> Iterator[Way]:
    command = [sys.executable, "-m", "tests.fakes.openai", "--picture-bytes", str(size_bytes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        yield Way("fake", psutil.Process(process.pid), url=process.stdout.readline().strip(), key=KEY)
        process.stdin.close()


@contextmanager
def limner(provider: str) -> Iterator[Way]:
    lines = ["[[models]]", f'id = "{MODEL}"', 'adapter = "openai"', f'base_url = "{provider}"', 'api_key_env = "A_KEY"']
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as catalogue:
        catalogue.write("\n".join(lines))
        catalogue.flush()
        command = [sys.executable, "-m", "limner", "serve", "--grpc-port", "0", "--http-port", "0"]
        with running(command, LIMNER_MODELS=catalogue.name, A_KEY=KEY) as service:
            yield Way("limner", service.process, grpc=service)


@contextmanager
def litellm(provider: str) -> Iterator[Way]:
    parameters = {"model": f"openai/{MODEL}", "api_base": provider, "api_key": KEY}
    config = {"model_list": [{"model_name": MODEL, "litellm_params": parameters}]}
    with tempfile.TemporaryDirectory() as folder, held_port() as port:
        path = Path(folder, "config.yaml")
        path.write_text(json.dumps(config))  # which is YAML, too
        command = [installed_litellm(), "--config", str(path), "--port", str(port), "--num_workers", "1"]
        log = Path(folder, "log")
        # The prices come from the package, not from its vendor's repository.
        settings = {"LITELLM_MASTER_KEY": MASTER_KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        with (
            log.open("w") as file,
            subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | settings) as it,
        ):
            try:
                wait_for(f"http://127.0.0.1:{port}/health/liveliness", it, log)
                yield Way("litellm", psutil.Process(it.pid), url=f"http://127.0.0.1:{port}/v1", key=MASTER_KEY)
            finally:
                it.terminate()


def installed_litellm() -> str:
    """Return LiteLLM's command, installed where it is not."""
    command = FOLDER.resolve() / "bin" / "litellm"
    if not command.exists():
        shutil.rmtree(FOLDER, ignore_errors=True)
        venv.create(FOLDER, with_pip=True)
        pip = [
            str(FOLDER / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            LITELLM,
        ]
        subprocess.run(pip, check=True)
    return str(command)


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    while process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(log.read_text())
