"""Looking for due deliveries costs little, however many of one workspace wait."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from limner.persistence import deliveries
from limner.persistence.engine import open_engine
from tests.real_parts.databases import migrated_sqlite

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    url = migrated_sqlite(tmp_path)
    engine = open_engine(url, connections=1)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_both_looks_walk_the_index_of_what_is_undelivered(connection: Connection) -> None:
    seen: list[tuple[str, object]] = []
    event.listen(connection, "before_cursor_execute", lambda *call: seen.append((call[2], call[3])))
    deliveries.workspaces_to_notify(connection, NOW)
    deliveries.lease_deliveries(connection, [deliveries.DeliveryLease("acme", NOW, NOW, 4)])
    looks = tuple(seen)
    plans = [
        "; ".join(row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values))  # type: ignore[arg-type]
        for query, values in looks
    ]
    assert "USING COVERING INDEX ix_webhook_deliveries_due" in plans[0]
    assert "ix_webhook_deliveries_due (workspace_id=? AND next_attempt_at" in plans[1]
    assert not any("TEMP B-TREE" in plan for plan in plans)
