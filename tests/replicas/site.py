"""Two replicas of the service as an operator runs them: PostgreSQL, a GCS server, a provider, one Envoy in front."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from limner.auth.local_key import LocalKey
from limner.gateway.options import GatewayOptions
from limner.gateway.process import Gateway
from limner.service.caller import Role
from limner.settings import Settings
from tests.e2e.providers import KEYS, Catalogue, settings_of
from tests.fakes.background import background
from tests.fakes.fal import FakeFal, fake_fal
from tests.fakes.openai import FakeOpenAi, fake_openai
from tests.purchase.books import Books, read_books
from tests.real_parts.gcs import fake_gcs, make_bucket
from tests.real_parts.ports import quiet_port
from tests.real_parts.postgres import shared_postgres
from tests.service import WORKSPACE

BUCKET = "pictures"
DIRECT, QUEUED = "gpt-image-2", "flux-dev"
"""A model whose provider knows no ids, and one whose provider does."""
_READY = re.compile(r"ready grpc=\S+\n")


@dataclass
class Replica:
    """One `limner serve` without a gateway, which may be ended and started again at the same ports."""

    environment: Mapping[str, str]
    workers: int
    log: list[str] = field(default_factory=list)
    process: "subprocess.Popen[str] | None" = None
    _listener: threading.Thread | None = None

    def start(self) -> None:
        """Return when it answers."""
        command = [sys.executable, "-m", "limner", "serve", "--no-gateway", "--workers", str(self.workers)]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("LIMNER_")}
        self.process = subprocess.Popen(
            command, env={**kept, **self.environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._listener = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self._listener.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert _READY.fullmatch(line), f"no ready line but {line!r}: {''.join(self.log[-20:])}"

    def end(self) -> int:
        """Let it drain, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(120)
        self._close()
        return code

    def kill(self) -> None:
        """Take it away, with all its workers."""
        for process in reversed(self.processes()):
            process.kill()
        assert self.process is not None
        self.process.wait(30)
        self._close()

    def processes(self) -> list[psutil.Process]:
        """The process and its workers."""
        assert self.process is not None
        if self.process.poll() is not None:
            return []
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def _close(self) -> None:
        assert self.process is not None
        assert self._listener is not None
        self._listener.join(10)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        self.log.extend(process.stderr or ())


@dataclass
class Site:
    """All of it, started."""

    replicas: list[Replica]
    gateway: Gateway
    direct: FakeOpenAi
    queued: FakeFal
    database_url: str
    key: LocalKey

    @property
    def base_url(self) -> str:
        return f"http://{self.gateway.address}"

    def token(self, user: str = "ada") -> str:
        return self.key.issue(user, {WORKSPACE: Role.MEMBER})

    def books(self) -> Books:
        return read_books(Settings.read({"LIMNER_DATABASE_URL": self.database_url}))


@contextmanager
def running_site(folder: Path, *, replicas: int = 2, workers: int = 1, **settings: str) -> Iterator[Site]:
    """Start everything, and end it afterwards."""
    with ExitStack() as stack:
        loop = stack.enter_context(background())
        direct, queued = loop.enter(fake_openai()), loop.enter(fake_fal())
        emulator = stack.enter_context(fake_gcs(folder / "gcs"))
        make_bucket(emulator, BUCKET)
        catalogue = Catalogue()
        catalogue.add(DIRECT, {"adapter": "openai", "base_url": direct.base_url, "api_key_env": "FAKE_OPENAI"})
        catalogue.add(QUEUED, settings_of(queued, QUEUED))
        catalogue.write(folder / "models.toml")
        key = LocalKey.of_directory(folder / "keys")
        (folder / "jwks.json").write_text(key.public_keys())
        shared = KEYS | {
            "LIMNER_DATABASE_URL": shared_postgres().new_database(),
            "LIMNER_STORAGE": f"gs://{BUCKET}",
            "STORAGE_EMULATOR_HOST": emulator,
            "LIMNER_MODELS": str(folder / "models.toml"),
            "LIMNER_AUTH_JWKS": str(folder / "jwks.json"),
            "LIMNER_LOG_LEVEL": "warning",
            **settings,
        }
        running = [_replica(stack, folder / f"replica-{number}", shared, workers) for number in range(replicas)]
        gateway = loop.enter(_gateway(running))
        yield Site(running, gateway, direct, queued, shared["LIMNER_DATABASE_URL"], key)


def _replica(stack: ExitStack, data_dir: Path, shared: Mapping[str, str], workers: int) -> Replica:
    ports = {name: str(quiet_port()) for name in ("LIMNER_GRPC_PORT", "LIMNER_WEB_PORT")}
    replica = Replica({**shared, **ports, "LIMNER_DATA_DIR": str(data_dir)}, workers)
    replica.start()
    stack.callback(_finish, replica)
    return replica


def _finish(replica: Replica) -> None:
    if replica.process is not None and replica.process.poll() is None:
        replica.kill()


class _gateway:  # noqa: N801
    """An Envoy in front of all replicas, as a context."""

    def __init__(self, replicas: list[Replica]) -> None:
        def addresses(name: str) -> list[str]:
            return [f"127.0.0.1:{each.environment[name]}" for each in replicas]

        options = GatewayOptions(
            port=0, upstreams=addresses("LIMNER_GRPC_PORT"), web_upstreams=addresses("LIMNER_WEB_PORT")
        )
        self._gateway = Gateway(options)

    async def __aenter__(self) -> Gateway:
        await self._gateway.start()
        return self._gateway

    async def __aexit__(self, *_: Any) -> None:
        await self._gateway.stop()
