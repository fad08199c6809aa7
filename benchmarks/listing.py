"""What a page of images costs with few and with many images.

One database holds a workspace of 1,000 images, the other one of a million, of which the newest third is deleted.
Calls alternate between the two, so that both meet the same machine. The query plans are those of the larger.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, event, text

from benchmarks.persistence import postgresql, sqlite
from benchmarks.report import Figure, Section
from limner.domain.image import Cursor, ImageFilter
from limner.persistence import reads, schema
from limner.persistence.engine import for_reading, open_engine
from limner.persistence.repository import SqlRepository

FEW = 1_000
MANY = 1_000_000
ROUNDS = 200
AIM = 1.3
PAGE = 50
PER_GENERATION = 10
USERS = 7
WORKSPACE = "workspace"

COLUMNS = (
    "id, workspace_id, created_by_user_id, generation_id, position, prompt, model, parameters, input_image_ids,"
    " width, height, size_bytes, format, sha256, created_at, updated_at, deleted_at"
)
PROMPT = "A red fox asleep in fresh snow at dawn, oil on canvas, soft light, muted colours."
DIALECTS = {
    "sqlite": {
        "id": "printf('%032x', {0})",
        "moment": "strftime('%Y-%m-%d %H:%M:%f000', 1767225600 + ({0}) * 7, 'unixepoch')",
        "explain": "EXPLAIN QUERY PLAN",
    },
    "postgresql": {
        "id": "lpad(to_hex({0}), 32, '0')",
        "moment": "to_timestamp(1767225600 + ({0}) * 7)",
        "explain": "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF)",
    },
}


def fill(url: str, count: int) -> None:
    engine = open_engine(url, connections=1, patience_s=600)
    with engine.begin() as connection:
        insert_all(connection, count)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()


def insert_all(connection: Connection, count: int) -> None:
    """Make ``count`` images that are shown, and half as many newer ones that are deleted."""
    words = DIALECTS[connection.dialect.name]
    identifier, moment = words["id"].format("i"), words["moment"].format("i")
    generation = words["id"].format(f"i / {PER_GENERATION}")
    numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :last)"
    connection.execute(
        text(
            f"INSERT INTO generations (id, workspace_id, created_by_user_id, operation, model, prompt,"
            f" requested_images, state, missing, description, may_bill, created_at, updated_at, worker_id, lease_until)"
            f" {numbers} SELECT {identifier}, '{WORKSPACE}', 'user-0', 'generate', 'sketch', '{PROMPT}',"
            f" {PER_GENERATION}, 'succeeded', '[]', '', false, {moment}, {moment}, 'worker', {moment} FROM n"
        ),
        {"last": count * 3 // 2 // PER_GENERATION},
    )
    connection.execute(
        text(
            f"INSERT INTO images ({COLUMNS}) {numbers}"
            f" SELECT {identifier}, '{WORKSPACE}', 'user-' || (i % {USERS}), {generation}, i % {PER_GENERATION},"
            f" '{PROMPT}', 'sketch', '{{\"aspectRatio\": \"1:1\"}}', '[]', 1024, 1024, 900000, 'png', '{'0' * 64}',"
            f" {moment}, {moment}, CASE WHEN i >= :shown THEN {moment} END FROM n"
        ),
        {"last": count * 3 // 2 - 1, "shown": count},
    )


def cases(count: int) -> Iterator[tuple[str, ImageFilter, Cursor | None]]:
    middle = count // 2
    moment = datetime.fromtimestamp(1767225600 + middle * 7, UTC)
    generation = f"{middle // PER_GENERATION:032x}"
    yield "first page", ImageFilter(), None
    yield "page in the middle", ImageFilter(), Cursor(moment, f"{middle:032x}")
    yield "of a user", ImageFilter(created_by_user_id="user-3"), None
    yield "of a user, middle", ImageFilter(created_by_user_id="user-3"), Cursor(moment, f"{middle:032x}")
    yield "of a generation", ImageFilter(generation_id=generation), None
    yield "of both", ImageFilter(generation_id=generation, created_by_user_id="user-3"), None


async def compare(name: str, few_url: str, many_url: str) -> AsyncIterator[Figure]:
    few_images, many_images = SqlRepository(few_url), SqlRepository(many_url)
    for (what, where, after), (_, many_where, many_after) in zip(cases(FEW), cases(MANY), strict=True):
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            times[0].append(await timed(few_images, where, after))
            times[1].append(await timed(many_images, many_where, many_after))
        small, large = (statistics.median(each) * 1e3 for each in times)
        ratio = large / small
        note = f"{small:.2f} ms with {FEW:,}: × {ratio:.2f}"
        yield Figure(f"{name}, {what}", f"{large:.2f} ms", note, f"<= × {AIM}", ratio <= AIM)
    await few_images.close()
    await many_images.close()


async def timed(repository: SqlRepository, where: ImageFilter, after: Cursor | None) -> float:
    begun = time.perf_counter()
    page = await repository.list_images(WORKSPACE, where, after, PAGE)
    assert page.images
    return time.perf_counter() - begun


def plans(url: str) -> Iterator[str]:
    """Yield how the larger database finds each page."""
    engine = open_engine(url, connections=1)
    seen: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
    explain = DIALECTS[engine.dialect.name]["explain"]
    with for_reading(engine).begin() as connection:
        for name, where, after in cases(MANY):
            reads.image_page(connection, WORKSPACE, where, after, PAGE)
            statement, parameters = seen[-1]
            steps = [row[-1].strip() for row in connection.exec_driver_sql(f"{explain} {statement}", parameters)]
            yield f"{engine.dialect.name}, {name}: " + " | ".join(
                step for step in steps if not step.startswith("Limit")
            )
    engine.dispose()


def measure() -> Section:
    return asyncio.run(compared())


async def compared() -> Section:
    figures: list[Figure] = []
    remarks = [f"Medians of {ROUNDS} pages of {PAGE} that take turns, from the repository. Plans with {MANY:,}:"]
    with ExitStack() as stack:
        databases = {
            name: [stack.enter_context(database()) for _ in range(2)]
            for name, database in (("SQLite", sqlite), ("PostgreSQL", postgresql))
        }
        urls = [url for pair in databases.values() for url in pair]
        for url in urls:
            schema.migrate(url)
        # All at once: they wait for the disk in turn, and none is measured yet.
        filling = zip(urls, (FEW, MANY) * 2, strict=True)
        await asyncio.gather(*(asyncio.to_thread(fill, url, count) for url, count in filling))
        for name, (few_url, many_url) in databases.items():
            figures += [figure async for figure in compare(name, few_url, many_url)]
            remarks += plans(many_url)
    return Section(f"A page of a list among {MANY:,} images", figures, remarks)
