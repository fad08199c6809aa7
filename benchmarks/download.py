"""Content of pictures of 64 KiB, 1 MiB and 20 MiB against a static file from Envoy, in MiB/s over 4 connections."""

import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from imageservice.v1 import image_service_pb2_grpc
from imageservice.v1.image_service_pb2 import GetImageContentRequest, UploadImageRequest
from PIL import Image

from benchmarks import load
from benchmarks.report import Figure, Section
from benchmarks.service import HOST, WORKSPACE, Running, ready_service, running
from limner.domain.limits import KIB, MAX_UPLOAD_BYTES, MIB
from limner.gateway.config import gateway_config
from limner.gateway.notation import FILTERS, extension, socket_address
from limner.gateway.options import GatewayOptions
from limner.gateway.process import envoy_binary
from tests.real_parts.ports import held_port

CONNECTIONS = 4
ROUNDS = 5
BYTES_PER_ROUND = 240 * MIB
SIZES = (64 * KIB, MIB, MAX_UPLOAD_BYTES)
AIM = 0.5
CONTENT = "/imageservice.v1.ImageService/GetImageContent"


def measure() -> Section:
    with (
        running(ready_service(0)) as service,
        tempfile.TemporaryDirectory() as folder,
        held_port() as gateway_port,
        held_port() as static_port,
    ):
        pictures = [picture(size) for size in SIZES]
        ids = [upload(service, each) for each in pictures]
        ports = gateway_port, static_port
        config = gateway_config(GatewayOptions(port=ports[0], upstreams=[service.grpc_address]))
        config["static_resources"]["listeners"].append(static_listener(ports[1], Path(folder), pictures))
        path = Path(folder) / "envoy.json"
        path.write_text(json.dumps(config))
        with envoy(path, ports):
            sizes = [len(each) for each in pictures]
            figures = [
                figure
                for size, image_id in zip(sizes, ids, strict=True)
                for figure in compare(service, ports, image_id, size)
            ]
    return Section(
        "Content of a picture, MiB/s",
        figures,
        [
            f"Medians of {ROUNDS} rounds that take turns; {CONNECTIONS} connections.",
            "Envoy has the static file in memory.",
            f"REST and static by a Python client on raw sockets, gRPC by {load.GENERATOR}.",
        ],
    )


def compare(service: Running, ports: tuple[int, int], image_id: str, size: int) -> Iterator[Figure]:
    """Yield the figures of one size; the cases take turns, so that a busy moment hits all of them."""
    content = f"/v1/workspaces/{WORKSPACE}/images/{image_id}/content"
    header = "".join(f"{key}: {value}\r\n" for key, value in service.metadata())
    cases: dict[str, Callable[[], float]] = {
        "static file from Envoy": partial(throughput, ports[1], f"/static/{size}", "", size),
        "REST": partial(throughput, int(service.http_address.rpartition(":")[2]), content, header, size),
        "gRPC, directly": partial(grpc_throughput, service, image_id, size),
    }
    rounds = [[case() for case in cases.values()] for _ in range(ROUNDS)]
    rates = [statistics.median(each) for each in zip(*rounds, strict=True)]
    for name, rate in zip(cases, rates, strict=True):
        what = f"{size // KIB:,} KiB, {name}"
        value = f"{rate:,.0f} ({rate * MIB / size:,.0f}/s)"
        share = rate / rates[0]
        if name.startswith("static"):
            yield Figure(what, value)
        else:
            yield Figure(what, value, f"{share:4.0%} of static", f">= {AIM:.0%}", share >= AIM)


def picture(size: int) -> bytes:
    """Return a PNG of at most ``size`` bytes and nearly as many: noise, which does not compress."""
    edge = int((size / 3) ** 0.5) - 2
    file = io.BytesIO()
    Image.frombytes("RGB", (edge, edge), os.urandom(edge * edge * 3)).save(file, "png", compress_level=0)
    return file.getvalue()


def upload(service: Running, data: bytes) -> str:
    options = (("grpc.max_send_message_length", -1),)
    with grpc.insecure_channel(service.grpc_address, options=options) as channel:
        stub = image_service_pb2_grpc.ImageServiceStub(channel)
        request = UploadImageRequest(workspace_id=WORKSPACE, picture=HttpBody(content_type="image/png", data=data))
        return stub.UploadImage(request, metadata=service.metadata()).id


def grpc_throughput(service: Running, image_id: str, size: int) -> float:
    """Return MiB/s of downloads over gRPC, without Envoy."""
    calls = BYTES_PER_ROUND // size
    request = GetImageContentRequest(workspace_id=WORKSPACE, image_id=image_id).SerializeToString()
    outcome = load.run(
        load.Load(
            address=service.grpc_address,
            method=CONTENT,
            request=request,
            metadata=service.metadata(),
            calls=calls,
            connections=CONNECTIONS,
            callers=1,
        )
    )
    if outcome.answer_bytes < calls * size:
        raise RuntimeError(f"{calls} pictures of {size} bytes were asked for, {outcome.answer_bytes} bytes came")
    return calls * size / MIB / outcome.seconds


def throughput(port: int, path: str, header: str, size: int) -> float:
    """Return MiB/s of downloads of ``size`` bytes over all connections."""
    each = BYTES_PER_ROUND // size // CONNECTIONS
    threads = [threading.Thread(target=download, args=(port, path, header, size, each)) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return each * CONNECTIONS * size / MIB / (time.perf_counter() - started)


def download(port: int, path: str, header: str, size: int, times: int) -> None:
    """Download a path again and again over one connection, reading into one buffer."""
    buffer = memoryview(bytearray(MIB))
    with socket.create_connection((HOST, port)) as connection:
        for _ in range(times):
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n{header}\r\n".encode())
            read = connection.recv_into(buffer)
            head, _, start = bytes(buffer[:read]).partition(b"\r\n\r\n")
            if b" 200 " not in head or f"content-length: {size}".encode() not in head:
                raise RuntimeError(head.decode())
            left = size - len(start)
            while left:
                left -= connection.recv_into(buffer, min(left, MIB))


def static_listener(port: int, folder: Path, files: list[bytes]) -> dict[str, Any]:
    """Return a listener that answers files and does nothing else."""
    routes = []
    for data in files:
        file = folder / str(len(data))
        file.write_bytes(data)
        answer = {"status": 200, "body": {"filename": str(file)}}
        routes.append({"match": {"path": f"/static/{len(data)}"}, "direct_response": answer})
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "static",
        "http_filters": [extension("router", {"@type": f"{FILTERS}.http.router.v3.Router"})],
        "route_config": {
            "max_direct_response_body_size_bytes": MAX_UPLOAD_BYTES,
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
    with subprocess.Popen([*command, "--log-level", "error"], stderr=sys.stderr) as process:
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
