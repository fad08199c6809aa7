"""The servers that are measured, each in a process of its own with Envoy in front.

``python -m benchmarks.service echo`` is a bare grpc.aio server that answers what it is sent. ``… service SECONDS``
is the service as ``limner serve`` runs it, but with models that return a ready picture after so many seconds.
``… service guarded`` and ``… unguarded`` buy each picture with, and without, what makes a purchase safe.
"""

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import grpc
import psutil
from imageservice.v1.image_service_pb2 import GenerateImagesRequest
from PIL import Image
from sqlalchemy import Connection

from limner.app import Address, Worker, prepare
from limner.auth.local_key import LocalKey
from limner.domain.identifiers import new_id
from limner.domain.image import OutputFormat
from limner.domain.model import ModelCapabilities
from limner.domain.task import Generation, Operation
from limner.gateway.process import Gateway
from limner.persistence import writes
from limner.persistence.repository import SqlRepository
from limner.persistence.rows import generation_row
from limner.reservations import PortReservations
from limner.serve import gateway_options
from limner.service.caller import Role
from limner.service.ports import Claim, Job, MadePicture, Order, PictureInfo, Start, Started
from limner.service.tasks import Asked, TaskRunner
from limner.settings import Settings
from limner.telemetry import logging_to_stderr
from limner.worker import OwnPorts, tune_interpreter

HOST = "127.0.0.1"
WORKSPACE = "acme"
USER = "ada"
GENERATE = "/imageservice.v1.ImageService/GenerateImages"
EDGE_PIXELS = 64


class ReadyModel:
    """Returns the same picture again and again, after a while.

    It says what the picture is, as a model does that encoded it itself; as ``checked`` it leaves that to the
    service, as one does that got its picture from elsewhere.
    """

    def __init__(self, model_id: str, wait_s: float = 0, *, checked: bool = False, buys: bool = False) -> None:
        self._capabilities = ModelCapabilities(
            id=model_id, description="", operations=(Operation.GENERATE,), seeds=True, price_usd=Decimal("0.04")
        )
        self._wait_s = wait_s
        self._buys = buys
        file = io.BytesIO()
        Image.radial_gradient("L").resize((EDGE_PIXELS, EDGE_PIXELS)).convert("RGB").save(file, "png")
        self._data = file.getvalue()
        self._info = None if checked else PictureInfo(format=OutputFormat.PNG, width=EDGE_PIXELS, height=EDGE_PIXELS)

    @property
    def capabilities(self) -> ModelCapabilities:
        return self._capabilities

    def unready_reason(self) -> str:
        return ""

    async def run(self, order: Order, job: Job) -> None:
        if self._buys:
            await job.submitting(range(order.task.num_images))
        if self._wait_s:
            await asyncio.sleep(self._wait_s)
        for index in range(order.task.num_images):
            await job.made(MadePicture(index=index, data=self._data, seed=order.seed, info=self._info))

    async def close(self) -> None:
        pass


class Server(Protocol):
    async def start(self, addresses: Sequence[Address], web_addresses: Sequence[Address] = ()) -> None: ...

    async def stop(self) -> None: ...


class EchoServer:
    """grpc.aio and nothing else. Decodes and encodes the message, as every handler's are."""

    def __init__(self) -> None:
        self._server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            echo,
            request_deserializer=GenerateImagesRequest.FromString,
            response_serializer=GenerateImagesRequest.SerializeToString,
        )
        service, method = GENERATE[1:].split("/")
        self._server.add_registered_method_handlers(service, {method: handler})

    async def start(self, addresses: Sequence[Address], web_addresses: Sequence[Address] = ()) -> None:
        for address in addresses:
            self._server.add_insecure_port(str(address))
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)


async def echo(request: GenerateImagesRequest, _: grpc.aio.ServicerContext[Any, Any]) -> GenerateImagesRequest:
    return request


class ReadyService(Worker):
    """One worker, with models that have their pictures ready."""

    def __init__(self, settings: Settings, wait_s: float) -> None:
        prepare(settings)
        super().__init__(settings, [ReadyModel("ready", wait_s), ReadyModel("checked", wait_s, checked=True)])

    async def start(self, addresses: Sequence[Address], web_addresses: Sequence[Address] = ()) -> None:
        await super().start(addresses, web_addresses)
        tune_interpreter()


class BuyingService(Worker):
    """One worker whose model buys its pictures, each call with an idempotency key of its own."""

    def __init__(self, settings: Settings, *, guarded: bool) -> None:
        prepare(settings)
        super().__init__(settings, [ReadyModel("ready", buys=True)])
        if guarded:
            self._tasks.__class__ = KeyedRunner
        else:
            self._stores.repository.__class__ = OneCommitRepository

    async def start(self, addresses: Sequence[Address], web_addresses: Sequence[Address] = ()) -> None:
        await super().start(addresses, web_addresses)
        tune_interpreter()


class KeyedRunner(TaskRunner):
    """Gives each call an idempotency key of its own, as careful callers do: the load generator can't."""

    async def run(self, asked: Asked) -> Generation:
        return await super().run(replace(asked, claim=Claim(key=new_id(), fingerprint=new_id())))


class OneCommitRepository(SqlRepository):
    """Keeps what was made when it is made, and nothing before: no key, no quota, no plan, no lease, no purchase."""

    async def start_generation(self, start: Start) -> Started:
        return Started(generation_id=start.generation.id, granted_images=start.generation.requested_images)

    async def add_submission(self, *_: Any) -> None:
        pass

    async def finish_generation(self, generation: Generation, cost_micros: int, **_: Any) -> bool:
        return await self._writer.run(keep_all, writes.Finish(generation, cost_micros))


def keep_all(connection: Connection, finishes: Sequence[writes.Finish]) -> Sequence[bool]:
    """Keep generations that have ended, their images and the month's usage."""
    nobody = {"worker_id": "", "lease_until": datetime.now(UTC)}
    rows = [generation_row(each.generation) | nobody for each in finishes]
    connection.execute(writes._insert_generations, rows)
    connection.execute(writes._insert_images, [row for each in finishes for row in writes._image_rows(each.generation)])
    connection.execute(writes._add_usage, writes._usage_rows(finishes))
    return [True] * len(finishes)


def server_of(kind: str, settings: Settings) -> Server:
    if kind == "echo":
        return EchoServer()
    if kind in ("guarded", "unguarded"):
        return BuyingService(settings, guarded=kind == "guarded")
    return ReadyService(settings, float(kind))


async def serve(kind: str, settings: Settings) -> None:
    """Run a server and Envoy until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = server_of(kind, settings)
    reservations = PortReservations()
    common, own, web = (reservations.reserve(HOST) for _ in range(3))
    gateway = Gateway(gateway_options(replace(settings, http_port=0), [OwnPorts(own, web)]))
    await gateway.start()
    await server.start([Address(HOST, common), Address(HOST, own)], [Address(HOST, web)])
    print(f"ready grpc={HOST}:{common} http={gateway.address}", flush=True)
    await stop.wait()
    await gateway.stop()
    await server.stop()
    reservations.release()


@dataclass(frozen=True)
class Running:
    """A server that was started."""

    data_dir: Path
    grpc_address: str
    http_address: str
    process: psutil.Process

    @property
    def envoy(self) -> psutil.Process:
        return next(child for child in self.process.children() if child.name() == "envoy")

    def token(self) -> str:
        return LocalKey.of_directory(self.data_dir).issue(USER, {WORKSPACE: Role.MEMBER}, ttl=timedelta(hours=1))

    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token()}"),)


def ready_service(kind: str | float) -> list[str]:
    return [sys.executable, "-m", "benchmarks.service", str(kind)]


@contextmanager
def running(command: Sequence[str], *, data_dir: Path | None = None, **settings: str) -> Iterator[Running]:
    """Start a command that prints the line ``ready``; its log goes to a file, as an operator's would.

    ``settings`` are the service's, by the names of its environment variables.
    """
    with tempfile.TemporaryDirectory(prefix="limner-benchmark-") as folder:
        data_dir = data_dir or Path(folder) / "data"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LIMNER_")}
        environment |= {"LIMNER_DATA_DIR": str(data_dir), **settings}
        log = Path(folder, "log")
        with log.open("w") as file, subprocess.Popen(command, env=environment, stdout=-1, stderr=file) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline().decode()
                match = re.fullmatch(r"ready grpc=(\S+) http=(\S+)", line.strip())
                if match is None:
                    raise RuntimeError(f"{command} did not start: {line!r}\n{log.read_text()}")
                yield Running(data_dir, match[1], match[2], psutil.Process(process.pid))
            finally:
                process.terminate()


def main() -> None:
    settings = Settings.read()
    with logging_to_stderr(settings.log_level):
        asyncio.run(serve(sys.argv[1], settings))


if __name__ == "__main__":
    main()
