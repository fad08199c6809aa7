"""How fast generations are started and finished.

Each caller starts a generation and finishes it with one image, again and again, as ``GenerateImages`` does.
The processor time is that of the whole process: event loop, writer thread and driver.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.report import Figure, Section
from limner.domain.identifiers import new_id
from limner.domain.image import Image, OutputFormat
from limner.domain.task import Generation, GenerationState, Operation
from limner.persistence import schema
from limner.persistence.repository import SqlRepository
from tests.real_parts.postgres import running_postgres
from tests.starts import start_of

PROMPT = "A red fox asleep in fresh snow at dawn, oil on canvas, soft light, muted colours."
WORKSPACES = 10
SECONDS = 3.0
CALLERS = 64


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


def measure() -> Section:
    figures = []
    for name, database in (("SQLite", sqlite), ("PostgreSQL", postgresql)):
        with database() as url:
            figures.append(asyncio.run(pairs(name, url)))
    return Section(
        "Start and finish of a generation with one image, without the service around it",
        figures,
        [f"{CALLERS} callers at once for {SECONDS:.0f} s, flushed to disk."],
    )


async def pairs(name: str, url: str) -> Figure:
    await asyncio.to_thread(schema.migrate, url)
    repository = SqlRepository(url)
    await run_callers(repository, 0.5)  # statements are compiled and prepared now
    wall, processor = time.perf_counter(), time.process_time()
    latencies = await run_callers(repository, SECONDS)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    await repository.close()
    count = len(latencies)
    latencies.sort()
    tail = f"p50 {latencies[count // 2] * 1e3:.0f} ms, p99 {latencies[count * 99 // 100] * 1e3:.0f} ms"
    return Figure(name, f"{count / wall:,.0f} /s", f"{processor / count * 1e6:.0f} µs of processor time each, {tail}")


async def run_callers(repository: SqlRepository, seconds: float) -> list[float]:
    latencies: list[float] = []
    deadline = time.perf_counter() + seconds

    async def call(number: int) -> None:
        while (begun := time.perf_counter()) < deadline:
            generation = new_generation(number)
            lease_until = generation.created_at + timedelta(minutes=1)
            await repository.start_generation(start_of(generation, "worker", lease_until))
            assert await repository.finish_generation(with_image(generation), 40_000)
            latencies.append(time.perf_counter() - begun)

    await asyncio.gather(*(call(number) for number in range(CALLERS)))
    return latencies


@contextlib.contextmanager
def sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'limner.db'}"


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    with running_postgres(durable=True) as server:
        yield server.new_database()
