"""Pictures by way of a provider: the service beside LiteLLM and Portkey, in front of the same fake of OpenAI.

One worker each, in turns. The others hand the provider's answer on and keep nothing; the service checks each picture
and keeps its bytes and rows. Uploads, content and lists, which they have not, are measured in the same run.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
from imageservice.v1.image_service_pb2 import GenerateImagesRequest

from benchmarks import http_load, load, own_calls, peers, photographs, processor_time
from benchmarks.calls import PROMPT
from benchmarks.in_flight import peak_rss
from benchmarks.photographs import Photograph
from benchmarks.report import Figure, Section
from benchmarks.service import GENERATE, WORKSPACE, Running, running
from limner.domain.limits import KIB, MIB
from tests.fakes.openai import KEY

CALLERS: Final = 32
LARGE_CALLERS: Final = 8
"""For pictures of several MiB: with more, the answers alone fill a machine's memory."""
LARGE_BYTES: Final = 4 * MIB
ROUNDS: Final = 3
SECONDS: Final = 1.0
"""How long a round should take."""
PICTURES: Final = (
    photographs.PNG_12_KIB,
    photographs.PNG_1_4_MIB,
    photographs.PNG_8_MIB,
    photographs.JPEG_1_4_MIB,
    photographs.WEBP_0_5_MIB,
)
RATE_AIMS: Final = {"PNG of 12 KiB": (4, 1), "PNG of 1.4 MiB": (3, 4)}
"""Times the rate of LiteLLM and of Portkey."""
LATENCY_AIMS: Final = {"PNG of 12 KiB": 0.4, "PNG of 1.4 MiB": 0.5}
"""Times what LiteLLM adds."""
MEMORY_AIM: Final = 0.5
"""Times LiteLLM's."""


@dataclass
class Way:
    """One way to a picture, and what its rounds measured."""

    name: str
    process: psutil.Process
    seconds: Callable[[int, int], float]
    """Makes calls: how many, by how many callers; returns how long they took."""
    rates: list[float] = field(default_factory=list)
    processor_ms: list[float] = field(default_factory=list)
    """Of the process and its children, per call."""
    threads_ms: list[Mapping[str, float]] = field(default_factory=list)

    def measure(self, calls: int, callers: int) -> None:
        before, threads_before = processor_time.of_tree(self.process), processor_time.by_thread(self.process)
        self.rates.append(calls / self.seconds(calls, callers))
        spent = processor_time.of_tree(self.process) - before
        threads = processor_time.difference(threads_before, processor_time.by_thread(self.process))
        self.processor_ms.append(spent / calls * 1000)
        self.threads_ms.append({name: each / calls * 1000 for name, each in threads.items()})

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    def threads(self) -> str:
        names = {name for each in self.threads_ms for name in each}
        medians = {name: statistics.median(each.get(name, 0) for each in self.threads_ms) for name in names}
        busy = sorted(((ms, name) for name, ms in medians.items() if ms >= 0.01), reverse=True)
        return ", ".join(f"{name} {ms:.2f}" for ms, name in busy)


def measure() -> Section:
    title = "Pictures by way of a provider, one worker"
    try:
        peers.installed_litellm(), peers.installed_portkey()
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        return Section(title, [], [f"Not measured: {peers.LITELLM} or {peers.PORTKEY} could not be installed: {error}"])
    with providers() as (urls, fakes), limner(urls) as ours:
        with peers.litellm(urls) as litellm, peers.portkey(urls) as portkey:
            figures = [
                figure
                for picture in PICTURES
                for figure in compared(picture, ways(picture, urls, fakes, ours, litellm, portkey))
            ]
        figures += own_calls.figures(ours)
    remarks = [
        f"Medians of {ROUNDS} rounds of about {SECONDS:.0f} s that take turns, least and most in brackets.",
        "The fake runs on the same machine; its own rate is the ceiling of all.",
        "Added latency is one caller's, less that of the fake.",
        f"gRPC calls by {load.GENERATOR}; HTTP by {'h2load' if load.H2LOAD else 'a Python client'}.",
        f"Processor time is of the process, per call. {peers.LITELLM}, {peers.PORTKEY}.",
    ]
    return Section(title, figures, remarks)


def ways(
    picture: Photograph,
    urls: Mapping[str, str],
    fakes: Mapping[str, psutil.Process],
    ours: Running,
    litellm: peers.Peer,
    portkey: peers.Peer,
) -> Sequence[Way]:
    """Return the fake itself, the service and the others, as ways to this picture."""
    direct = f"{urls[picture.name]}/images/generations"
    return (
        Way("fake", fakes[picture.name], by_http(direct, peers.MODEL, {"authorization": f"Bearer {KEY}"})),
        Way("Limner", ours.process, by_grpc(ours, picture)),
        *(
            Way(name, each.process, by_http(each.url, each.model(picture.name), each.headers(picture.name)))
            for name, each in (("LiteLLM", litellm), ("Portkey", portkey))
        ),
    )


def by_http(url: str, model: str, headers: Mapping[str, str]) -> Callable[[int, int], float]:
    body = json.dumps({"model": model, "prompt": PROMPT, "n": 1})
    headers = {"content-type": "application/json", **headers}

    def seconds(calls: int, callers: int) -> float:
        wanted = http_load.HttpLoad(url=url, body=body, headers=headers, calls=calls, callers=callers)
        return http_load.seconds_of(wanted)

    return seconds


def by_grpc(service: Running, picture: Photograph) -> Callable[[int, int], float]:
    request = GenerateImagesRequest(
        workspace_id=WORKSPACE, prompt=PROMPT, model_id=model_id(picture.name), output_format=picture.format
    )

    def seconds(calls: int, callers: int) -> float:
        connections = min(callers, 4)
        outcome = load.run_here(
            load.Load(
                address=service.grpc_address,
                method=GENERATE,
                request=request.SerializeToString(),
                metadata=service.metadata(),
                calls=calls,
                connections=connections,
                callers=callers // connections,
            )
        )
        if outcome.answer_bytes < calls * 300:
            raise RuntimeError("some calls made no picture")
        return outcome.seconds

    return seconds


def compared(picture: Photograph, ways: Sequence[Way]) -> Iterator[Figure]:
    """Measure all ways, by many callers and by one, and yield the figures."""
    size = len(picture.encoded())
    callers = LARGE_CALLERS if size > LARGE_BYTES else CALLERS
    with ExitStack() as stack:
        peaks = [stack.enter_context(peak_rss(way.process)) for way in ways]
        take_turns(ways, callers)
    fake, ours, litellm, portkey = ways
    yield Figure(f"{picture.name}, really", f"{size / KIB:,.0f} KiB", f"the fake itself: {fake.rate:,.0f} /s")
    for other, aim in zip((litellm, portkey), RATE_AIMS.get(picture.name, (0, 0)), strict=True):
        yield ratio(f"{picture.name}: rate, {callers} callers", ours.rates, other.name, other.rates, "/s", aim)
    for other in (litellm, portkey):
        what = f"{picture.name}: processor time"
        yield ratio(what, ours.processor_ms, other.name, other.processor_ms, "ms", 0)
    yield Figure(
        f"{picture.name}: Limner's by thread", f"{statistics.median(ours.processor_ms):.1f} ms", ours.threads()
    )
    memory = [[max(each) / MIB] for each in peaks]
    yield ratio(f"{picture.name}: peak memory", memory[1], "LiteLLM", memory[2], "MiB", -MEMORY_AIM)
    if picture.name not in LATENCY_AIMS:
        return
    for way in ways:
        way.rates.clear()
    take_turns(ways, 1)
    added = {way.name: [1000 / each - 1000 / fake.rate for each in way.rates] for way in ways}
    for other, most in ((litellm, LATENCY_AIMS[picture.name]), (portkey, 0)):
        what = f"{picture.name}: added latency, 1 caller"
        yield ratio(what, added["Limner"], other.name, added[other.name], "ms", -most)


def take_turns(ways: Sequence[Way], callers: int) -> None:
    """Measure each way in each round; what a round asks for is found by a short one before."""
    calls: dict[str, int] = {}
    for way in ways:
        calls[way.name] = max(callers, round(SECONDS * 2 * callers / way.seconds(2 * callers, callers)))
    for _ in range(ROUNDS):
        for each in ways:
            each.measure(calls[each.name], callers)


def ratio(what: str, ours: Sequence[float], name: str, theirs: Sequence[float], unit: str, aim: float) -> Figure:
    """Return a line of both; an aim above 0 is a ratio to be reached, one below 0 the largest one, 0 none."""
    share = statistics.median(ours) / statistics.median(theirs)
    met = None if not aim else share >= aim if aim > 0 else share <= -aim
    sign = "" if not aim else f"{'>=' if aim > 0 else '<='} × {abs(aim):g}"
    return Figure(what, f"{spread(ours)} {unit}", f"{name} {spread(theirs)} {unit}: × {share:.2f}", sign, met)


def spread(values: Sequence[float]) -> str:
    """Return the median, and the least and most in brackets."""
    digits = 0 if statistics.median(values) >= 100 else 1
    middle = f"{statistics.median(values):,.{digits}f}"
    return f"{middle} [{min(values):,.{digits}f}, {max(values):,.{digits}f}]" if len(values) > 1 else middle


@contextmanager
def providers() -> Iterator[tuple[Mapping[str, str], Mapping[str, psutil.Process]]]:
    """Run a fake for each picture; yield their base URLs and processes by the picture's name."""
    urls: dict[str, str] = {}
    processes: dict[str, psutil.Process] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for picture in PICTURES:
            path = folder / picture.name.replace(" ", "-")
            path.write_bytes(picture.encoded())
            command = [sys.executable, "-m", "tests.fakes.openai", "--picture", str(path)]
            process = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            assert process.stdin and process.stdout
            stack.callback(process.stdin.close)
            urls[picture.name] = process.stdout.readline().strip()
            processes[picture.name] = psutil.Process(process.pid)
        yield urls, processes


@contextmanager
def limner(urls: Mapping[str, str]) -> Iterator[Running]:
    """Run the service as ``limner serve`` does, with a model for each fake."""
    lines = []
    for name, url in urls.items():
        lines += ["[[models]]", f'id = "{model_id(name)}"', 'adapter = "openai"', f'upstream_model = "{peers.MODEL}"']
        lines += [f'base_url = "{url}"', 'api_key_env = "A_KEY"']
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as catalogue:
        catalogue.write("\n".join(lines))
        catalogue.flush()
        command = [sys.executable, "-m", "benchmarks.named_threads", "limner", "serve"]
        command += ["--grpc-port", "0", "--http-port", "0"]
        with running(command, LIMNER_MODELS=catalogue.name, A_KEY=KEY) as service:
            yield service


def model_id(name: str) -> str:
    """Return the catalogue's id for the fake of this picture."""
    return name.lower().replace(" ", "-")
