"""Downloads through the gateway against a static file from the same Envoy, in MiB/s over 4 connections.

Usage: ``python benchmarks/download.py [CHUNK_KIB ...]``, by default the size of chunk that the service uses.
"""

import asyncio
import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from imageservice.v1.image_service_pb2 import GetImageContentRequest

from limner.domain.limits import CONTENT_CHUNK_BYTES, KIB, MIB
from limner.gateway.config import FILTERS, GatewayOptions, extension, gateway_config, socket_address
from limner.gateway.process import envoy_binary, reserve_port

CONNECTIONS = 4
ROUNDS = 5
BYTES_PER_ROUND = 320 * MIB
HOST = "127.0.0.1"


def main(chunks_kib: list[int]) -> None:
    with worker() as upstream, tempfile.TemporaryDirectory() as folder:
        ports = reserve_port(HOST, 0), reserve_port(HOST, 0)
        config = gateway_config(GatewayOptions(port=ports[0], upstreams=[upstream]))
        config["static_resources"]["listeners"].append(static_listener(ports[1], Path(folder)))
        path = Path(folder) / "envoy.json"
        path.write_text(json.dumps(config))
        with envoy(path, ports):
            report(ports, chunks_kib)


def report(ports: tuple[int, int], chunks_kib: list[int]) -> None:
    """Print one line per size; the cases take turns, so that a busy moment hits all of them."""
    print("size    static  " + "".join(f"{kib:>6} KiB     " for kib in chunks_kib))
    for size in (MIB, 20 * MIB):
        cases = [(ports[1], f"/static/{size}")]
        cases += [(ports[0], f"/v1/workspaces/a/images/{size}-{kib * KIB}/content") for kib in chunks_kib]
        rounds = [[throughput(port, path, size) for port, path in cases] for _ in range(ROUNDS)]
        static, *rest = (statistics.median(each) for each in zip(*rounds, strict=True))
        shares = "".join(f"{value:>6.0f} ({value / static:4.0%}) " for value in rest)
        print(f"{size // MIB:>2} MiB {static:>7.0f}  {shares}", flush=True)


def throughput(port: int, path: str, size: int) -> float:
    """Return MiB/s of downloads of ``size`` bytes over all connections."""
    each = BYTES_PER_ROUND // size // CONNECTIONS
    threads = [threading.Thread(target=download, args=(port, path, size, each)) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return each * CONNECTIONS * size / MIB / (time.perf_counter() - started)


def download(port: int, path: str, size: int, times: int) -> None:
    """Download a path again and again over one connection, reading into one buffer."""
    buffer = memoryview(bytearray(MIB))
    with socket.create_connection((HOST, port)) as connection:
        for _ in range(times):
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            read = connection.recv_into(buffer)
            head, _, start = bytes(buffer[:read]).partition(b"\r\n\r\n")
            if b" 200 " not in head or f"content-length: {size}".encode() not in head:
                raise RuntimeError(head.decode())
            left = size - len(start)
            while left:
                left -= connection.recv_into(buffer, min(left, MIB))


async def content(
    request: GetImageContentRequest, context: grpc.aio.ServicerContext[Any, Any]
) -> AsyncIterator[HttpBody]:
    """Answer as many bytes in as large chunks as the id says."""
    size, chunk = map(int, request.image_id.split("-"))
    await context.send_initial_metadata((("etag", '"x"'), ("x-content-length", str(size))))
    data = bytes(chunk)
    for start in range(0, size, chunk):
        yield HttpBody(content_type="image/png", data=data[: size - start])


async def serve(ready: Connection) -> None:
    """Serve ``GetImageContent`` alone."""
    handler = grpc.unary_stream_rpc_method_handler(
        content,
        request_deserializer=GetImageContentRequest.FromString,
        response_serializer=HttpBody.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("imageservice.v1.ImageService", {"GetImageContent": handler})]
    )
    ready.send(f"{HOST}:{server.add_insecure_port(f'{HOST}:0')}")
    await server.start()
    await server.wait_for_termination()


def run(target: Callable[[Connection], Coroutine[Any, Any, None]], ready: Connection) -> None:
    asyncio.run(target(ready))


@contextmanager
def worker() -> Iterator[str]:
    """Run the gRPC server in a process of its own; yield its address."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=run, args=(serve, there))
    process.start()
    yield str(here.recv())
    process.terminate()
    process.join()


def static_listener(port: int, folder: Path) -> dict[str, Any]:
    """Return a listener that answers files and does nothing else."""
    routes = []
    for size in (MIB, 20 * MIB):
        file = folder / str(size)
        file.write_bytes(bytes(size))
        answer = {"status": 200, "body": {"filename": str(file)}}
        routes.append({"match": {"path": f"/static/{size}"}, "direct_response": answer})
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "static",
        "http_filters": [extension("router", {"@type": f"{FILTERS}.http.router.v3.Router"})],
        "route_config": {
            "max_direct_response_body_size_bytes": 20 * MIB,
            "virtual_hosts": [{"name": "static", "domains": ["*"], "routes": routes}],
        },
    }
    return {
        "name": "static",
        "address": socket_address(HOST, port),
        "filter_chains": [{"filters": [extension("manager", manager)]}],
    }


@contextmanager
def envoy(config: Path, ports: tuple[int, int]) -> Iterator[None]:
    """Run Envoy; yield when both ports take connections."""
    command = [str(envoy_binary()), "--config-path", str(config), "--disable-hot-restart", "--concurrency", "2"]
    with subprocess.Popen([*command, "--log-level", "error"]) as process:
        try:
            for port in ports:
                until_open(port)
            yield
        finally:
            process.kill()


def until_open(port: int) -> None:
    while True:
        try:
            socket.create_connection((HOST, port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [CONTENT_CHUNK_BYTES // KIB])
