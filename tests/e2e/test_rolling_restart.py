"""Two replicas behind one gateway, restarted one after the other under load. ``LIMNER_ROLLING_CALLS`` says how much."""

import os
import random
import shutil
import signal
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from limner.auth.local_key import LocalKey
from limner.gateway.options import GatewayOptions
from limner.gateway.process import Gateway
from tests.e2e.providers import KEYS, Catalogue, settings_of
from tests.fakes.background import background
from tests.fakes.openai import FakeOpenAi, fake_openai
from tests.pictures import png
from tests.real_parts.gcs import fake_gcs, make_bucket
from tests.real_parts.postgres import shared_postgres
from tests.service import WORKSPACE, Service, running_service

CALLS = int(os.environ.get("LIMNER_ROLLING_CALLS", "500"))
CALLERS = 6
RESTARTS = 4
"""At least."""
MODEL = "openai"
IMAGES = f"/v1/workspaces/{WORKSPACE}/images"
TASKS = f"/v1/workspaces/{WORKSPACE}/image-generation-tasks"


@dataclass
class Replica:
    """One of those behind the gateway, always at the same address."""

    folder: Path
    port: int
    settings: dict[str, str]
    stack: ExitStack = field(default_factory=ExitStack)
    service: Service | None = None

    def start(self) -> None:
        arguments = ("--no-gateway", "--grpc-port", str(self.port))
        self.service = self.stack.enter_context(running_service(self.folder, *arguments, env=self.settings))

    def end(self) -> int:
        assert self.service is not None
        self.service.process.send_signal(signal.SIGTERM)
        code = self.service.process.wait(60)
        self.stack.close()
        return code


@asynccontextmanager
async def gateway_before(addresses: list[str]) -> AsyncIterator[Gateway]:
    gateway = Gateway(GatewayOptions(port=0, upstreams=addresses))
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


@dataclass
class Load:
    """Callers who do all that callers do, and note how each call ended."""

    url: str
    token: str
    answers: Counter[str] = field(default_factory=Counter)
    made: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def calls(self) -> int:
        return self.answers.total()

    def run(self, seed: int, is_over: Callable[[], bool]) -> None:
        chance = random.Random(seed)
        with httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {self.token}"}, timeout=60) as client:
            while not is_over():
                what, answer = self._call(client, chance)
                with self.lock:
                    self.answers[answer if answer == "200" else f"{what}: {answer}"] += 1
                    self.made += what == "generate" and answer == "200"

    def _call(self, client: httpx.Client, chance: random.Random) -> tuple[str, str]:
        what = chance.choice(["generate", "list", "list", "usage", "upload"])
        try:
            match what:
                case "generate":
                    response = client.post(TASKS, json={"prompt": f"a fox {chance.random()}", "modelId": MODEL})
                case "upload":
                    response = client.post(IMAGES, content=png(), headers={"content-type": "image/png"})
                case "usage":
                    response = client.get(f"/v1/workspaces/{WORKSPACE}/usage")
                case _:
                    response = client.get(IMAGES, params={"pageSize": 3})
        except httpx.HTTPError as error:
            return what, repr(error)
        return what, "200" if response.status_code == 200 else response.text


@pytest.fixture
def provider() -> Iterator[FakeOpenAi]:
    with background() as loop:
        yield loop.enter(fake_openai())


def free_ports() -> Iterator[int]:
    """Yield ports that are free, and stay so while nobody listens: no system gives them to who asks for any."""
    for port in random.sample(range(20_000, 32_000), 100):
        with suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            yield port


@contextmanager
def replicas(folder: Path, provider: FakeOpenAi) -> Iterator[list[Replica]]:
    """Two of them on one database and one bucket, who accept the same tokens."""
    catalogue = Catalogue()
    catalogue.add(MODEL, settings_of(provider, MODEL))
    catalogue.write(folder / "models.toml")
    with ExitStack() as stack:
        emulator = stack.enter_context(fake_gcs(folder / "gcs"))
        make_bucket(emulator, "pictures")
        settings = KEYS | {
            "LIMNER_MODELS": str(folder / "models.toml"),
            "LIMNER_DATABASE_URL": shared_postgres().new_database(),
            "LIMNER_STORAGE": "gs://pictures",
            "STORAGE_EMULATOR_HOST": emulator,
            "LIMNER_DRAIN_DELAY_S": "4",  # longer than the gateway takes to see it
            "LIMNER_LOG_LEVEL": "warning",
        }
        (folder / "one").mkdir()
        LocalKey.of_directory(folder / "one")
        shutil.copytree(folder / "one", folder / "two")
        ports = free_ports()
        both = [Replica(folder / name, next(ports), settings) for name in ("one", "two")]
        for each in both:
            each.start()
            stack.callback(each.stack.close)
        yield both


@pytest.mark.timeout(180 + CALLS // 5)
def test_replicas_are_restarted_one_after_the_other_and_no_call_is_lost(
    provider: FakeOpenAi, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    with replicas(tmp_path, provider) as both, background() as loop, ThreadPoolExecutor(CALLERS) as pool:
        gateway = loop.enter(gateway_before([f"127.0.0.1:{each.port}" for each in both]))
        token = both[0].service.token() if both[0].service else ""
        load, restarted = Load(f"http://{gateway.address}", token), threading.Event()
        callers, restarts = [pool.submit(load.run, seed, restarted.is_set) for seed in range(CALLERS)], 0
        try:
            while restarts < RESTARTS or load.calls < CALLS:
                each = both[restarts % 2]
                assert each.end() == 0
                each.start()
                restarts += 1
        finally:
            restarted.set()
        for caller in callers:
            caller.result()
        usage = httpx.get(f"{load.url}/v1/workspaces/{WORKSPACE}/usage", headers={"authorization": f"Bearer {token}"})
    tell(f"{load.calls} calls, {restarts} restarts, not answered: {dict(load.answers - Counter({'200': load.calls}))}")
    assert set(load.answers) == {"200"}
    assert load.made == len(provider.ledger.purchases) == usage.json()["images"]["used"]
