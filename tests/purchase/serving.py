"""A worker of the service in a process of its own, with models that buy from the tests' provider.

Processes are forked from one that has imported everything, so that a test can afford many of them.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import grpc
from imageservice.v1 import image_service_pb2_grpc

from limner.auth.local_key import LocalKey
from limner.reservations import PortReservations
from limner.service.caller import Role
from limner.service.failpoints import VARIABLE
from tests.purchase.worker import CLOCK, TIME, serve

_START_TIMEOUT_S = 30.0
_RECONNECT_SOON = (
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 20),
)
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "aiohttp",
        "aiohttp.web",
        "google.cloud.storage",
        "google.rpc.error_details_pb2",
        "grpc.aio",
        "grpc_health.v1.health",
        "grpc_reflection.v1alpha.reflection",
        "jwt",
        "PIL.PngImagePlugin",
        "psycopg",
        "sqlalchemy.dialects.postgresql.psycopg",
        "sqlalchemy.dialects.sqlite",
        "tests.purchase.worker",
    ]
)


@dataclass
class Replica:
    """A worker that runs, or ran."""

    data_dir: Path
    settings: Mapping[str, str]
    provider_url: str
    process: ForkServerProcess | None = None
    ports: PortReservations = field(default_factory=PortReservations)
    port: int = 0
    channel: grpc.aio.Channel | None = None

    @property
    def log(self) -> Path:
        return self.data_dir / "log"

    async def start(self, **environment: str) -> None:
        """Start it, again if need be, and return when it answers."""
        if not self.port:
            self.port = self.ports.reserve("127.0.0.1")
            self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=_RECONNECT_SOON)
        heard, told = _CONTEXT.Pipe(duplex=False)
        settings = {"LIMNER_DATA_DIR": str(self.data_dir), **self.settings, **environment}
        self.process = _CONTEXT.Process(
            target=serve, args=(settings, self.port, self.provider_url, str(self.log), told)
        )
        await asyncio.to_thread(self.process.start)
        told.close()
        try:
            await asyncio.wait_for(asyncio.to_thread(heard.recv), _START_TIMEOUT_S)
        except EOFError:
            raise AssertionError(f"it did not start:\n{self.log.read_text()}") from None
        finally:
            heard.close()

    @property
    def stub(self) -> "image_service_pb2_grpc.ImageServiceAsyncStub":
        assert self.channel is not None
        return image_service_pb2_grpc.ImageServiceStub(self.channel)

    def metadata(self, user: str, workspace: str, **more: str) -> tuple[tuple[str, str], ...]:
        key = LocalKey.of_directory(self.data_dir)
        token = key.issue(user, {workspace: Role.MEMBER}, ttl=timedelta(hours=1))
        return (
            ("authorization", f"Bearer {token}"),
            *((name.replace("_", "-"), value) for name, value in more.items()),
        )

    def set_clock(self, wrong_by_s: float) -> None:
        """Let its clock, and that of all workers of its machine, be wrong by so many seconds from now on."""
        self._tell(CLOCK, wrong_by_s)

    def set_time(self, gone_by_s: float) -> None:
        """Let it be so many seconds later for its machine, by whatever clock."""
        self._tell(TIME, gone_by_s)

    def _tell(self, name: str, seconds: float) -> None:
        new = self.data_dir / f"new-{name}"
        new.write_text(str(seconds))
        new.replace(self.data_dir / name)

    def freeze(self) -> None:
        """Stop it where it is, as a machine that hangs does: it is not dead, and may go on."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self.process is not None and self.process.pid is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self.process is not None:
            self.process.kill()

    async def ended(self) -> int:
        """Wait until it has ended, and return its exit code."""
        assert self.process is not None
        await asyncio.to_thread(self.process.join, 60)
        assert self.process.exitcode is not None, "it did not end"
        return self.process.exitcode

    async def stop(self) -> None:
        """Let it drain and end."""
        if self.process is not None and self.process.is_alive():
            self.process.terminate()
            code = await self.ended()
            assert code == 0, self.log.read_text()

    async def close(self) -> None:
        """Let nothing of it live on."""
        self.kill()
        if self.channel is not None:
            await self.channel.close()
        self.ports.release()
        if self.process is not None:
            await asyncio.to_thread(self.process.join, 60)
            self.process.close()


@asynccontextmanager
async def running(*replicas: Replica, failpoint: str = "") -> AsyncIterator[None]:
    """Start replicas, the first one with a failpoint, and end all of them afterwards, however they are by then."""
    try:
        environment: dict[str, Any] = {VARIABLE: failpoint} if failpoint else {}
        await asyncio.gather(replicas[0].start(**environment), *(each.start() for each in replicas[1:]))
        yield
    finally:
        with contextlib.suppress(ValueError):
            await asyncio.gather(*(each.close() for each in replicas))
