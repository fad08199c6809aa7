"""How fast generations are started and finished: ``python -m benchmarks.persistence [seconds] [callers]``.

Each caller starts a generation and finishes it with one image, again and again, as ``GenerateImages`` does.
The processor time is that of the whole process: event loop, writer thread and driver.
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from limner.domain.identifiers import new_id
from limner.domain.image import Image, OutputFormat
from limner.domain.task import Generation, GenerationState, Operation
from limner.persistence import schema
from limner.persistence.repository import SqlRepository
from tests.real_parts.postgres import running_postgres
from tests.starts import start_of

PROMPT = "A red fox asleep in fresh snow at dawn, oil on canvas, soft light, muted colours."
WORKSPACES = 10


def new_generation(number: int) -> Generation:
    now = datetime.now(UTC)
    return Generation(
        id=new_id(),
        workspace_id=f"workspace-{number % WORKSPACES}",
        created_by_user_id=f"user-{number % 100}",
        operation=Operation.GENERATE,
        model="sketch",
        prompt=PROMPT,
        requested_images=1,
        created_at=now,
        updated_at=now,
    )


def with_image(generation: Generation) -> Generation:
    now = datetime.now(UTC)
    image = Image(
        id=new_id(),
        workspace_id=generation.workspace_id,
        created_by_user_id=generation.created_by_user_id,
        generation_id=generation.id,
        prompt=generation.prompt,
        model=generation.model,
        parameters={"aspectRatio": "1:1", "outputFormat": "png", "numImages": 1, "seed": 42},
        width=64,
        height=64,
        size_bytes=9_000,
        format=OutputFormat.PNG,
        sha256="0" * 64,
        created_at=now,
        updated_at=now,
    )
    return replace(generation, state=GenerationState.SUCCEEDED, images=(image,), updated_at=now)


async def measure(url: str, seconds: float, callers: int) -> str:
    await asyncio.to_thread(schema.migrate, url)
    repository = SqlRepository(url)
    await run_callers(repository, 0.5, callers)  # statements are compiled and prepared now
    wall, processor = time.perf_counter(), time.process_time()
    latencies = await run_callers(repository, seconds, callers)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    await repository.close()
    pairs = len(latencies)
    latencies.sort()
    return (
        f"{pairs / wall:8.0f} pairs/s   {processor / pairs * 1e6:5.0f} µs processor time a pair   "
        f"p50 {latencies[pairs // 2] * 1e3:5.1f} ms   p99 {latencies[pairs * 99 // 100] * 1e3:5.1f} ms"
    )


async def run_callers(repository: SqlRepository, seconds: float, callers: int) -> list[float]:
    latencies: list[float] = []
    deadline = time.perf_counter() + seconds

    async def call(number: int) -> None:
        while (begun := time.perf_counter()) < deadline:
            generation = new_generation(number)
            lease_until = generation.created_at + timedelta(minutes=1)
            await repository.start_generation(start_of(generation, "worker", lease_until))
            assert await repository.finish_generation(with_image(generation), 40_000)
            latencies.append(time.perf_counter() - begun)

    await asyncio.gather(*(call(number) for number in range(callers)))
    return latencies


@contextlib.contextmanager
def sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'limner.db'}"


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    with running_postgres(durable=True) as server:
        yield server.new_database()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    callers = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    print(f"start + finish of a generation with one image, {callers} concurrent callers, flushed to disk")
    for name, database in (("SQLite", sqlite), ("PostgreSQL", postgresql)):
        with database() as url:
            print(f"{name:10} {asyncio.run(measure(url, seconds, callers))}", flush=True)


if __name__ == "__main__":
    main()
