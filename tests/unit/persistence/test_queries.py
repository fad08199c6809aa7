"""How many queries an answer takes, and which index they walk."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from limner.domain.identifiers import new_id
from limner.domain.image import Cursor, Image, ImageFilter, OutputFormat
from limner.domain.task import Generation, Operation
from limner.persistence import reads, writes
from limner.persistence.engine import open_engine
from limner.service.ports import Start
from tests.real_parts.databases import migrated_sqlite
from tests.starts import start_of

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CURSOR = Cursor(NOW, new_id())
OF_GENERATION, OF_USER = ImageFilter(generation_id=new_id()), ImageFilter(created_by_user_id="user")
OF_BOTH = ImageFilter(generation_id=new_id(), created_by_user_id="user")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    url = migrated_sqlite(tmp_path)
    engine = open_engine(url, connections=1)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def queries(connection: Connection) -> list[tuple[str, object]]:
    """All queries from now on."""
    seen: list[tuple[str, object]] = []
    event.listen(connection, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
    return seen


def plan(connection: Connection, query: tuple[str, object]) -> str:
    statement, parameters = query
    if isinstance(parameters, list):  # of a statement for many rows
        parameters = parameters[0]
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
    return "; ".join(row[-1] for row in rows)


def an_image() -> Image:
    return Image(
        id=new_id(),
        workspace_id="workspace",
        created_by_user_id="user",
        width=1,
        height=1,
        size_bytes=1,
        format=OutputFormat.PNG,
        sha256="0" * 64,
        created_at=NOW,
        updated_at=NOW,
    )


def start_from(images: tuple[Image, ...]) -> Start:
    generation = Generation(
        id=new_id(),
        workspace_id="workspace",
        created_by_user_id="user",
        operation=Operation.EDIT,
        model="sketch",
        prompt="",
        requested_images=1,
        input_image_ids=tuple(image.id for image in images),
        created_at=NOW,
        updated_at=NOW,
    )
    return start_of(generation, "worker", NOW)


@pytest.mark.parametrize("after", [None, CURSOR])
@pytest.mark.parametrize(
    ("where", "index"),
    [
        (ImageFilter(), "ix_images_workspace"),
        (OF_USER, "ix_images_user"),
        (OF_GENERATION, "ix_images_generation"),
        (OF_BOTH, "ix_images_generation"),
    ],
)
def test_a_page_is_one_walk_along_an_index(
    connection: Connection,
    queries: list[tuple[str, object]],
    where: ImageFilter,
    index: str,
    after: Cursor | None,
) -> None:
    reads.image_page(connection, "workspace", where, after, 50)
    (query,) = queries
    found = plan(connection, query)
    assert found.startswith(f"SEARCH images USING INDEX {index} (")
    assert "TEMP B-TREE" not in found
    assert ("(created_at,id)<(?,?)" in found) == (after is not None)


def test_generations_are_taken_over_with_all_that_hangs_on_them_in_five_queries(
    connection: Connection, queries: list[tuple[str, object]]
) -> None:
    inputs = tuple(an_image() for _ in range(3))
    writes.add_images(connection, inputs)
    writes.start_generations(connection, [start_from(inputs) for _ in range(10)])
    queries.clear()
    now = NOW + timedelta(hours=1)
    (found,) = writes.take_over(connection, [writes.TakeOver("me", now, now, 100)])
    assert [len(each.generation.inputs) for each in found] == [3] * 10
    assert len(queries) == 5
    plans = [plan(connection, query) for query in tuple(queries)]
    assert not any("SCAN images" in each for each in plans), plans


def test_writes_of_many_take_as_many_queries_as_of_one(
    connection: Connection, queries: list[tuple[str, object]]
) -> None:
    inputs = tuple(an_image() for _ in range(3))
    writes.add_images(connection, inputs)
    queries.clear()
    for count in (1, 20):
        queries.clear()
        starts = [start_from(inputs) for _ in range(count)]
        writes.start_generations(connection, starts)
        writes.finish_generations(connection, [writes.Finish(start.generation, 1) for start in starts])
        assert len(queries) == 7


def test_lookups_go_by_the_primary_key(connection: Connection, queries: list[tuple[str, object]]) -> None:
    reads.live_images(connection, [new_id(), new_id()])
    (query,) = queries
    assert "SEARCH images USING INDEX" in plan(connection, query)


def test_purging_and_leases_walk_their_own_indexes(connection: Connection, queries: list[tuple[str, object]]) -> None:
    reads.images_to_purge(connection, 10)
    writes.take_over(connection, [writes.TakeOver("me", NOW, NOW, 10)])
    writes.renew_leases(connection, [writes.Renewal("worker", [new_id()], NOW)])
    purge, lapsed, renew = (plan(connection, query) for query in tuple(queries))
    assert "ix_images_awaiting_purge" in purge
    assert "SCAN images" not in purge.replace("SCAN images USING INDEX ix_images_awaiting_purge", "")
    assert "USING INDEX ix_generations_" in lapsed
    assert "SEARCH generations USING INDEX sqlite_autoindex_generations_1 (id=?)" in renew
