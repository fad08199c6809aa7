"""Calls in quantity: by h2load where it is installed, or else by a slower client of our own.

The client, in a process of its own too: ``python -m benchmarks.load`` reads a ``Load`` as JSON on standard input.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import grpc

H2LOAD = shutil.which("h2load")
GENERATOR = "h2load" if H2LOAD else "a Python client, which is slower than the server: install nghttp2-client"
OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The same call, again and again."""

    address: str
    method: str
    request: bytes
    metadata: Sequence[tuple[str, str]]
    calls: int
    connections: int = 4
    callers: int = 16
    """How many call at once over each connection, each one again when it has its answer."""
    spread_s: float = 0
    """The callers' first calls are spread over so many seconds. Not for h2load."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went."""

    seconds: float
    answer_bytes: int
    """Of all answers, without their headers."""
    latencies_s: Sequence[float] = ()


def run(load: Load) -> Outcome:
    """Make the calls by the fastest client there is; raise ``RuntimeError`` when one of them fails."""
    return run_h2load(load) if H2LOAD else run_client(load)


def run_here(load: Load) -> Outcome:
    """Make the calls as ``run`` does, but by a client in this process, for many short rounds."""
    return run_h2load(load) if H2LOAD else asyncio.run(call_all(load))


def run_h2load(load: Load) -> Outcome:
    assert H2LOAD
    with tempfile.NamedTemporaryFile() as body:
        body.write(b"\0" + len(load.request).to_bytes(4) + load.request)
        body.flush()
        command = [H2LOAD, "-n", str(load.calls), "-c", str(load.connections), "-m", str(load.callers), "-d", body.name]
        for key, value in (("content-type", "application/grpc"), ("te", "trailers"), *load.metadata):
            command += ["-H", f"{key}: {value}"]
        done = subprocess.run([*command, f"http://{load.address}{load.method}"], capture_output=True, text=True)
    finished = re.search(r"finished in ([\d.]+)(m?s)", done.stdout)
    succeeded = re.search(r"(\d+) succeeded", done.stdout)
    answered = re.search(r"\((\d+)\) data", done.stdout)
    if not (finished and answered and succeeded) or int(succeeded[1]) != load.calls:
        raise RuntimeError(done.stdout + done.stderr)
    seconds = float(finished[1]) * (1e-3 if finished[2] == "ms" else 1)
    return Outcome(seconds, int(answered[1]))


def run_client(load: Load) -> Outcome:
    message = json.dumps({**asdict(load), "request": load.request.hex()})
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(command, input=message, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Outcome(**json.loads(done.stdout))


async def call_all(load: Load) -> Outcome:
    channels = [grpc.aio.insecure_channel(load.address, options=OPTIONS) for _ in range(load.connections)]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    count = load.connections * load.callers
    latencies: list[float] = []
    received = 0

    async def caller(number: int) -> None:
        nonlocal received
        call: Any = channels[number % len(channels)].unary_stream(load.method)
        await asyncio.sleep(load.spread_s * number / count)
        for _ in range(number, load.calls, count):
            begun = time.perf_counter()
            async for part in call(load.request, metadata=tuple(load.metadata)):
                received += len(part)
            latencies.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*map(caller, range(count)))
    outcome = Outcome(time.perf_counter() - begun, received, latencies)
    await asyncio.gather(*(channel.close() for channel in channels))
    return outcome


def main() -> None:
    given = json.load(sys.stdin)
    given["request"] = bytes.fromhex(given["request"])
    given["metadata"] = [(key, value) for key, value in given["metadata"]]
    json.dump(asdict(asyncio.run(call_all(Load(**given)))), sys.stdout)


if __name__ == "__main__":
    main()
