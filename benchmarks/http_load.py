"""Calls in quantity over HTTP/1.1: by h2load where it is installed, or else by a slower client in this process."""

import asyncio
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from benchmarks.load import H2LOAD

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLoad:
    """The same POST, again and again, by so many callers with a connection each."""

    url: str
    body: str
    headers: Mapping[str, str]
    calls: int
    callers: int


def seconds_of(load: HttpLoad) -> float:
    """Make the calls, and return how long that took; raise ``RuntimeError`` when one of them fails."""
    return by_h2load(load) if H2LOAD else asyncio.run(call_all(load))


def by_h2load(load: HttpLoad) -> float:
    assert H2LOAD
    with tempfile.NamedTemporaryFile("w") as body:
        body.write(load.body)
        body.flush()
        command = [H2LOAD, "--h1", "-n", str(load.calls), "-c", str(load.callers), "-d", body.name]
        for key, value in load.headers.items():
            command += ["-H", f"{key}: {value}"]
        done = subprocess.run([*command, load.url], capture_output=True, text=True)
    finished = re.search(r"finished in ([\d.]+)(m?s)", done.stdout)
    succeeded = re.search(r"status codes: (\d+) 2xx", done.stdout)
    if not (finished and succeeded) or int(succeeded[1]) != load.calls:
        raise RuntimeError(done.stdout + done.stderr)
    return float(finished[1]) * (1e-3 if finished[2] == "ms" else 1)


async def call_all(load: HttpLoad) -> float:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def caller(number: int) -> None:
            for _ in range(number, load.calls, load.callers):
                async with session.post(load.url, data=load.body.encode(), headers=load.headers) as answer:
                    if answer.status != 200:
                        raise RuntimeError(f"{answer.status}: {(await answer.text())[:1000]}")
                    async for _chunk in answer.content.iter_chunked(CHUNK_BYTES):
                        pass

        begun = time.perf_counter()
        await asyncio.gather(*map(caller, range(load.callers)))
        return time.perf_counter() - begun
