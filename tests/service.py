"""The whole service for tests: `limner serve` in a process of its own, in front of real parts."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
from imageservice.v1 import image_service_pb2_grpc

from limner.auth.local_key import LocalKey
from limner.domain import limits
from limner.service.caller import Role

WORKSPACE = "acme"
_READY = re.compile(r"ready grpc=(\S+)(?: http=(\S+))?")
_OPTIONS = (
    ("grpc.max_receive_message_length", limits.MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", limits.MAX_MESSAGE_BYTES),
)


@dataclass
class Service:
    """A running service, and tokens for it."""

    data_dir: Path
    process: "subprocess.Popen[str]"
    grpc_address: str = ""
    http_address: str = ""
    log: list[str] = field(default_factory=list)

    def token(self, user: str = "ada", *, role: Role = Role.MEMBER, admin: bool = False, **options: Any) -> str:
        workspaces: Mapping[str, Role] = options.pop("workspaces", {WORKSPACE: role})
        key = LocalKey.of_directory(self.data_dir)
        return key.issue(user, workspaces, admin=admin, ttl=options.pop("ttl", timedelta(hours=1)))

    @contextmanager
    def stub(self) -> Iterator[image_service_pb2_grpc.ImageServiceStub]:
        with grpc.insecure_channel(self.grpc_address, options=_OPTIONS) as channel:
            yield image_service_pb2_grpc.ImageServiceStub(channel)

    def metadata(self, user: str = "ada", **options: Any) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token(user, **options)}"),)

    def rest(self, user: str = "ada", **options: Any) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.token(user, **options)}"} if user else {}
        return httpx.Client(base_url=f"http://{self.http_address}", headers=headers, timeout=60)

    def records(self) -> list[dict[str, Any]]:
        """The lines of the log so far."""
        return [json.loads(line) for line in self.log if line.startswith("{")]

    def stop(self) -> int:
        """Drain the service and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def running_service(
    data_dir: Path, *arguments: str, env: Mapping[str, str] | None = None, command: Sequence[str] = ()
) -> Iterator[Service]:
    """Start the service on free ports and end it afterwards."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LIMNER_")}
    environment |= {"LIMNER_DATA_DIR": str(data_dir), **(env or {})}
    command = command or (sys.executable, "-m", "limner", "serve")
    process = subprocess.Popen(
        [*command, "--grpc-port", "0", "--http-port", "0", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    service = Service(data_dir, process)
    assert process.stdout is not None
    assert process.stderr is not None
    reader = threading.Thread(target=lambda: service.log.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        line = process.stdout.readline()
        match = _READY.fullmatch(line.strip())
        if match is None:
            process.kill()
            reader.join(5)
            raise AssertionError(f"no ready line but {line!r}; log:\n" + "".join(service.log))
        service.grpc_address, service.http_address = match[1], match[2] or ""
        yield service
    finally:
        service.stop()
        reader.join(5)
        process.stdout.close()
        process.stderr.close()
