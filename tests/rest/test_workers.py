"""Workers that restart, hang or are asked by many: what one of them or one caller does, the others don't notice."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from limner.gateway.config import gateway_config
from limner.gateway.options import GatewayOptions
from limner.gateway.process import Gateway, envoy_binary
from tests.rest.errors import detail, error_of
from tests.rest.stand_in import serve

GET = "/v1/workspaces/acme/images/7"
UPLOAD = "/v1/workspaces/acme/images"
GENERATE = "/v1/workspaces/acme/image-generation-tasks"
CALLERS = 48
DEADLINE_S = 30
NO_TABLE = b"\x20"
"""What says in HPACK, before a connection's first header, that the table has no room."""

WORKER = """
import asyncio
from tests.rest.stand_in import serve

async def main():
    server, _, address = await serve()
    print(address, flush=True)
    await server.wait_for_termination()

asyncio.run(main())
"""


@asynccontextmanager
async def gateway_to(*upstreams: str) -> AsyncIterator[Gateway]:
    gateway = Gateway(GatewayOptions(port=0, upstreams=upstreams), concurrency=1)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


async def test_a_worker_that_restarts_does_not_look_like_overload() -> None:
    steady, (restarting, _, address) = await serve(), await serve()
    statuses: Counter[int] = Counter()
    answered = asyncio.Semaphore(0)
    stopped = asyncio.Event()

    async with gateway_to(steady[2], address) as gateway:

        async def call_on(client: httpx.AsyncClient) -> None:
            while not stopped.is_set():
                statuses[(await client.get(GET)).status_code] += 1
                answered.release()

        limits = httpx.Limits(max_connections=CALLERS)
        async with httpx.AsyncClient(base_url=f"http://{gateway.address}", timeout=DEADLINE_S, limits=limits) as client:
            callers = [asyncio.create_task(call_on(client)) for _ in range(CALLERS)]
            for _ in range(3):
                await many(answered)
                await restarting.stop(1)
                await many(answered)
                restarting, _, address = await serve(address)
            await many(answered)
            stopped.set()
            await asyncio.gather(*callers)

    assert set(statuses) == {200}
    await steady[0].stop(None)
    await restarting.stop(None)


async def many(answered: asyncio.Semaphore) -> None:
    """Return when a hundred more calls were answered."""
    for _ in range(100):
        await answered.acquire()


async def test_a_worker_that_hangs_gets_no_more_calls() -> None:
    steady = await serve()
    with worker_process() as (process, address):
        async with gateway_to(steady[2], address) as gateway:
            process.send_signal(signal.SIGSTOP)
            async with httpx.AsyncClient(base_url=f"http://{gateway.address}", timeout=1) as client:
                async with asyncio.timeout(DEADLINE_S):
                    while not all([await is_answered(client) for _ in range(6)]):
                        pass
            process.send_signal(signal.SIGCONT)
    await steady[0].stop(None)


@contextmanager
def worker_process() -> Iterator[tuple["subprocess.Popen[str]", str]]:
    with subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


async def is_answered(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get(GET)).status_code == 200
    except httpx.TimeoutException:
        return False


@pytest.mark.parametrize(("said", "statuses"), [(200, {200}), (401, {401}), (500, {503})])
async def test_who_sends_a_large_body_is_asked_of_a_worker_that_answers(said: int, statuses: set[int]) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"code": 16, "message": "no", "details": []}, status=said)

    async def accepting(request: web.Request) -> web.Response:
        return web.Response()

    application = web.Application()
    application.router.add_post("/-/admission/{call:.*}", answer)
    application.router.add_get("/-/accepting", accepting)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server, _, address = await serve()
    webs = [f"127.0.0.1:{runner.addresses[0][1]}", "127.0.0.1:1"]
    options = GatewayOptions(port=0, upstreams=[address], web_upstreams=webs)
    gateway = Gateway(options, concurrency=1)
    await gateway.start()

    async with httpx.AsyncClient(base_url=f"http://{gateway.address}") as client:
        headers = {"content-type": "image/png"}
        answers = [await client.post(UPLOAD, content=bytes(100_000), headers=headers) for _ in range(6)]

    assert {each.status_code for each in answers} == statuses
    if said == 401:
        assert error_of(answers[0])["message"] == "no"
    await gateway.stop()
    await server.stop(None)
    await runner.cleanup()


async def test_no_table_of_headers_is_shared_with_the_workers() -> None:
    """Each call's headers come whole, also those that came before: nothing refers to what another caller sent."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.answer, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with gateway_to(address) as gateway, httpx.AsyncClient(base_url=f"http://{gateway.address}") as client:
        for _ in range(3):
            headers = {"x-long": "~" * 300, "x-request-id": "same"}
            response = await client.get(GET, headers=headers)
            assert response.status_code == 404, response.text
    server.close()
    await server.wait_closed()

    first, *others = upstream.blocks
    assert others == [first.removeprefix(NO_TABLE)] * 2


class Upstream:
    """Just enough of a gRPC server to see how headers come, and to answer NOT_FOUND."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        settings, headers, ack, end_headers_and_stream = 4, 1, 1, 5
        not_found = NO_TABLE + b"\x88" + literal(b"content-type", b"application/grpc") + literal(b"grpc-status", b"5")
        try:
            await reader.readexactly(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
            writer.write(frame(settings, 0, 0, b""))
            while True:
                head = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
                if head[3] == settings and not head[4] & ack:
                    writer.write(frame(settings, ack, 0, b""))
                if head[3] == headers:
                    if len(payload) > 300:  # else the gateway asks for itself whether this works
                        self.blocks.append(payload)
                    stream = int.from_bytes(head[5:], "big")
                    writer.write(frame(headers, end_headers_and_stream, stream, not_found))
                    not_found = not_found.removeprefix(NO_TABLE)
        except asyncio.IncompleteReadError:
            writer.close()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: bytes, value: bytes) -> bytes:
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[str]:
    """A gateway whose check of requests fails, and the worker behind it."""
    config = gateway_config(GatewayOptions(port=0, upstreams=["127.0.0.1:1"]))
    text = json.dumps(config)
    assert text.count("local function check(handle)") == 1
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        path = tmp_path / "envoy.json"
        text = text.replace("local function check(handle)", "local function check(handle) handle:nothing()")
        path.write_text(text.replace('"port_value": 0', f'"port_value": {port}'))
        with subprocess.Popen(
            [envoy_binary(), "--config-path", path, "--disable-hot-restart", "--log-level", "off"]
        ) as envoy:
            yield f"http://127.0.0.1:{port}"
            envoy.terminate()


def test_what_can_not_be_checked_is_refused(broken: str) -> None:
    with httpx.Client(base_url=broken, transport=httpx.HTTPTransport(retries=6)) as client:
        response = client.post(GENERATE, json={"prompt": "a cat"})

    assert response.status_code == 500
    error = error_of(response)
    assert error["code"] == 13
    assert detail(error, "ErrorInfo")["reason"] == "INTERNAL"
    assert "nothing" not in response.text
