"""A provider that is down: how the service tells its operator, and that it is back."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from limner.models.http.breaker import FAILURES
from tests.e2e.providers import KEYS, Catalogue
from tests.fakes.background import background
from tests.fakes.openai import FakeOpenAi, fake_openai
from tests.rest.seed import GENERATE
from tests.samples import samples
from tests.service import WORKSPACE, Service, running_service

MODEL = "gpt-image-2"
WORKERS = 2


@dataclass
class Operated:
    """A service of two workers, and what its operator sees."""

    service: Service
    folder: Path
    provider: FakeOpenAi

    def ask(self, prompt: str) -> int:
        with self.service.rest() as client:
            return client.post(
                f"/v1/workspaces/{WORKSPACE}{GENERATE}", json={"prompt": prompt, "modelId": MODEL}
            ).status_code

    def metrics(self) -> dict[tuple[str, ...], float]:
        (record,) = [each for each in self.service.records() if each["message"] == "metrics are served"]
        answer = httpx.get(record["address"])
        assert answer.status_code == 200
        return samples(answer.content)

    def counted(self) -> float:
        return self.metrics().get(("limner_images_total", "generate", MODEL), 0)

    def states(self) -> dict[str, float]:
        """How many workers' breakers are in which state."""
        found = self.metrics()
        return {
            state: found[name]
            for state in ("closed", "half-open", "open")
            if (name := ("limner_breaker_state", "openai", MODEL, state)) in found
        }

    def doctor(self) -> tuple[int, list[str]]:
        """The exit code, and the lines about the model."""
        environment = os.environ | settings(self.folder) | {"LIMNER_DATA_DIR": str(self.folder / "data")}
        command = [sys.executable, "-m", "limner", "doctor"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        return done.returncode, [line for line in done.stdout.splitlines() if f"model {MODEL}" in line]


def settings(folder: Path) -> dict[str, str]:
    return KEYS | {"LIMNER_MODELS": str(folder / "models.toml")}


@pytest.fixture
def operated(tmp_path: Path) -> Iterator[Operated]:
    with background() as loop:
        provider = loop.enter(fake_openai())
        catalogue = Catalogue()
        catalogue.add(MODEL, {"adapter": "openai", "base_url": provider.base_url, "api_key_env": "FAKE_OPENAI"})
        catalogue.write(tmp_path / "models.toml")
        arguments = ("--workers", str(WORKERS), "--metrics-port", "0")
        with running_service(tmp_path / "data", *arguments, env=settings(tmp_path)) as service:
            yield Operated(service, tmp_path, provider)


def until(condition: Callable[[], bool], act: Callable[[], object] = lambda: None, *, timeout_s: float = 40) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        act()
        time.sleep(0.1)


def test_an_operator_sees_that_a_provider_is_down_and_that_it_is_back(operated: Operated) -> None:
    until(lambda: operated.states() == {"closed": WORKERS, "half-open": 0, "open": 0})
    assert operated.doctor() == (0, [f"✓ model {MODEL}: generate, edit"])

    until(lambda: operated.states()["open"] == WORKERS, lambda: operated.ask("a fox [[fault:unavailable]]"))
    assert operated.metrics()["limner_breaker_consecutive_failures", "openai", MODEL] == FAILURES
    code, (line,) = operated.doctor()
    assert code == 1
    outage = rf"✗ model {MODEL}: provider openai was down {FAILURES} times in a row; asked again in (10|[1-9]) s"
    assert re.fullmatch(rf"{outage} \(2 of 2 workers\)", line)

    until(lambda: operated.states()["half-open"] == WORKERS)
    assert "; the next task asks it again" in operated.doctor()[1][0]
    until(lambda: operated.states()["closed"] == WORKERS, lambda: operated.ask("a fox"))
    assert operated.metrics()["limner_breaker_consecutive_failures", "openai", MODEL] == 0
    assert operated.doctor() == (0, [f"✓ model {MODEL}: generate, edit"])
    assert operated.service.stop() == 0
    assert list((operated.service.data_dir / "workers").iterdir()) == []


def test_a_killed_worker_is_replaced_and_what_it_counted_stays(operated: Operated) -> None:
    until(lambda: operated.metrics()["limner_workers",] == WORKERS)
    until(lambda: operated.counted() == 6, lambda: operated.ask("a fox"))
    before = workers_of(operated)
    for victim in before:
        victim.kill()

    until(lambda: len(workers_of(operated)) == WORKERS and not set(workers_of(operated)) & set(before))
    until(lambda: operated.metrics()["limner_workers",] == WORKERS)
    assert operated.counted() == 6
    until(lambda: operated.ask("a fox") == 200)
    assert operated.counted() >= 7


def workers_of(operated: Operated) -> list[psutil.Process]:
    children = psutil.Process(operated.service.process.pid).children()
    return [child for child in children if child.is_running() and "limner.worker" in command_of(child)]


def command_of(process: psutil.Process) -> list[str]:
    """The command line; none of one that has just ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []
