"""Envoy as a child of the service."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import psutil
import pytest

from limner.gateway.config import gateway_config
from limner.gateway.options import GatewayOptions
from limner.gateway.process import Gateway, GatewayError, envoy_binary
from tests.rest.stand_in import StandIn, serve

SERVICE = """
import asyncio, sys
from limner.gateway.options import GatewayOptions
from limner.gateway.process import Gateway

async def main():
    gateway = Gateway(GatewayOptions(port=0, upstreams=["127.0.0.1:1"]))
    await gateway.start()
    print(gateway.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "options",
    [
        GatewayOptions(port=8080, upstreams=["127.0.0.1:50051"]),
        GatewayOptions(port=8080, upstreams=["127.0.0.1:50051", "[::1]:50052"], cors_origins=["*"]),
        GatewayOptions(port=8080, upstreams=["127.0.0.1:50051"], web_upstreams=["127.0.0.1:50052"]),
        GatewayOptions(port=8080, host="::", upstreams=["worker.internal:50051"], silence_timeout_s=0.5),
    ],
)
def test_envoy_accepts_the_configuration(options: GatewayOptions, tmp_path: Path) -> None:
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(gateway_config(options)))
    done = subprocess.run(
        [envoy_binary(), "--mode", "validate", "--config-path", path, "--log-level", "warning"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr


async def test_an_envoy_that_was_killed_is_started_again() -> None:
    server, _, upstream = await serve()
    gateway = Gateway(GatewayOptions(port=0, upstreams=[upstream]), concurrency=1)
    await gateway.start()
    first = gateway.pid
    os.kill(first, signal.SIGKILL)
    async with httpx.AsyncClient(base_url=f"http://{gateway.address}", transport=patient()) as client:
        response = await client.get("/v1/workspaces/acme/images/7")

    assert response.json()["id"] == "7"
    assert gateway.pid != first
    await gateway.stop()
    await server.stop(None)


def patient() -> httpx.AsyncHTTPTransport:
    """Return a transport that tries to connect for a few seconds."""
    return httpx.AsyncHTTPTransport(retries=6)


async def test_calls_go_to_the_workers_in_turn() -> None:
    workers = [await serve() for _ in range(2)]
    gateway = Gateway(GatewayOptions(port=0, upstreams=[address for _, _, address in workers]), concurrency=1)
    await gateway.start()
    async with httpx.AsyncClient(base_url=f"http://{gateway.address}") as client:
        for number in range(4):
            await client.get(f"/v1/workspaces/acme/images/{number}")
        await workers[0][0].stop(None)
        survivors = [(await client.get("/v1/workspaces/acme/images/9")).status_code for _ in range(4)]

    assert {last_image(worker) for _, worker, _ in workers} <= {"2", "3", "9"}
    assert survivors == [200] * 4
    await gateway.stop()
    await workers[1][0].stop(None)


def last_image(worker: StandIn) -> str:
    return str(worker.requests[0].image_id)  # type: ignore[attr-defined]


async def test_a_stopped_gateway_has_ended_and_may_be_stopped_again() -> None:
    gateway = Gateway(GatewayOptions(port=0, upstreams=["127.0.0.1:1"]))
    await gateway.start()
    waiting = asyncio.create_task(gateway.wait())
    await gateway.stop()
    await gateway.stop()

    await asyncio.wait_for(waiting, 1)
    assert not psutil.pid_exists(gateway.pid)


async def test_a_port_in_use_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(GatewayError, match=f"port {port} on 127.0.0.1 can't be used"):
            await Gateway(GatewayOptions(port=port, upstreams=["127.0.0.1:1"])).start()


async def test_a_configuration_that_envoy_refuses_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(GatewayError, match="Envoy does not answer"):
        await Gateway(GatewayOptions(port=0, upstreams=["127.0.0.1:1"], silence_timeout_s=-1)).start()

    assert "limner.gateway.envoy" in {record.name for record in caplog.records}


@pytest.mark.parametrize("signals", [[signal.SIGKILL], [signal.SIGTERM]])
def test_envoy_ends_with_a_service_that_was_killed(signals: Sequence[signal.Signals]) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        envoy = psutil.Process(int(service.stdout.readline()))
        for each in signals:
            service.send_signal(each)
        service.wait(5)

    deadline = time.monotonic() + 5
    while envoy.is_running() and envoy.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not envoy.is_running() or envoy.status() == psutil.STATUS_ZOMBIE


async def test_an_idle_envoy_is_ready_soon_and_small() -> None:
    gateway = Gateway(GatewayOptions(port=0, upstreams=["127.0.0.1:1"]))
    started = time.monotonic()
    await gateway.start()
    took_s = time.monotonic() - started
    memory_mib = psutil.Process(gateway.pid).memory_info().rss / 2**20
    await gateway.stop()

    assert took_s < 2
    assert memory_mib < 90
