"""Connections, moments, and what errors mean."""

import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, insert, select, text
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    StatementError,
)

from limner.domain.errors import DatabaseUnavailableError
from limner.persistence.engine import (
    begin,
    for_reading,
    is_unavailable,
    is_worth_retrying,
    open_engine,
    translated_errors,
)
from limner.persistence.tables import UtcDateTime

CAUSE = sqlite3.Error("internal words")


class DeadlockError(Exception):
    sqlstate = "40P01"


def test_a_postgresql_address_gets_its_driver_and_defaults() -> None:
    engine = open_engine("postgresql://user:secret@db/limner?application_name=mine&sslmode=require", connections=1)
    assert engine.dialect.driver == "psycopg"
    assert engine.url.query["application_name"] == "mine"
    assert engine.url.query["sslmode"] == "require"
    assert engine.url.query["connect_timeout"] == "5"
    assert "statement_timeout=10s" in engine.url.query["options"]
    assert "secret" not in repr(engine)


def test_a_sqlite_file_and_its_folder_are_private(tmp_path: Path) -> None:
    file = tmp_path / "data" / "limner.db"
    engine = open_engine(f"sqlite:///{file}", connections=1)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE facts (id INTEGER)"))
        assert {each.name: each.stat().st_mode & 0o777 for each in file.parent.iterdir()} == {
            "limner.db": 0o600,
            "limner.db-wal": 0o600,
            "limner.db-shm": 0o600,
        }
    assert file.parent.stat().st_mode & 0o777 == 0o700
    engine.dispose()


def test_sqlite_survives_a_power_cut_and_checks_references(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'limner.db'}", connections=1)
    with engine.begin() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    full = 2
    assert found == {"journal_mode": "wal", "synchronous": full, "foreign_keys": 1, "busy_timeout": 10_000}


@pytest.mark.parametrize("flush", [True, False])
def test_a_database_that_refuses_the_way_to_commit_is_unavailable(tmp_path: Path, flush: bool) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'limner.db'}", connections=1)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_PRAGMA else 0)
        with pytest.raises(DatabaseError) as failure:
            begin(connection, flush=flush)
        driver.set_authorizer(None)
    engine.dispose()
    assert is_unavailable(failure.value)


def test_a_reader_neither_waits_for_a_writer_nor_sees_half_of_its_work(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'limner.db'}", connections=2)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE facts (id INTEGER)"))
    with engine.begin() as writer, for_reading(engine).begin() as reader:
        writer.execute(text("INSERT INTO facts VALUES (1)"))
        assert reader.execute(text("SELECT count(*) FROM facts")).scalar() == 0
    engine.dispose()


def test_a_writer_follows_soon_after_another(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'limner.db'}", connections=2)
    turns: list[float] = []

    def take_turn() -> None:
        with engine.begin():
            turns.append(time.monotonic())

    with engine.begin():
        thread = threading.Thread(target=take_turn)
        thread.start()
        time.sleep(0.5)  # by now SQLite's own waiting would be down to a try every 100 ms
        ended = time.monotonic()
    thread.join()
    engine.dispose()
    assert 0 <= turns[0] - ended < 0.05


def test_a_writer_gives_up_in_time(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'limner.db'}"
    other, engine = open_engine(url, connections=1), open_engine(url, connections=1, patience_s=0.1)
    begun = time.monotonic()
    with other.begin(), pytest.raises(DatabaseUnavailableError), translated_errors(), engine.begin():
        pass
    assert 0.1 <= time.monotonic() - begun < 2
    with engine.begin() as connection:
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 100
    other.dispose()
    engine.dispose()


def test_a_folder_that_cannot_be_made_is_an_unavailable_database(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    engine = open_engine(f"sqlite:///{tmp_path / 'file' / 'limner.db'}", connections=1)
    with pytest.raises(DatabaseUnavailableError), translated_errors(), engine.connect():
        pass


def test_a_file_that_is_no_database_is_an_unavailable_database(tmp_path: Path) -> None:
    (tmp_path / "limner.db").write_bytes(b"not a database at all" * 100)
    engine = open_engine(f"sqlite:///{tmp_path / 'limner.db'}", connections=1)
    with pytest.raises(DatabaseUnavailableError), translated_errors(), engine.connect():
        pass


@pytest.mark.parametrize(
    ("error", "unavailable"),
    [
        (OperationalError("SELECT", None, CAUSE), True),
        (InterfaceError("SELECT", None, CAUSE), True),
        (DatabaseError("SELECT", None, CAUSE), True),
        (ProgrammingError("SELECT", None, CAUSE, connection_invalidated=True), True),
        (ProgrammingError("SELECT", None, CAUSE), False),
        (IntegrityError("SELECT", None, CAUSE), False),
        (DataError("SELECT", None, CAUSE), False),
        (ValueError(), False),
    ],
)
def test_only_what_is_not_wrong_in_itself_means_unavailable(error: Exception, unavailable: bool) -> None:
    assert is_unavailable(error) == unavailable


def test_lost_connections_and_deadlocks_are_worth_a_retry() -> None:
    assert is_worth_retrying(OperationalError("SELECT", None, CAUSE, connection_invalidated=True))
    assert is_worth_retrying(OperationalError("SELECT", None, DeadlockError()))
    assert not is_worth_retrying(OperationalError("SELECT", None, CAUSE))
    assert not is_worth_retrying(ValueError())


def test_nothing_of_the_driver_is_told() -> None:
    with pytest.raises(DatabaseUnavailableError) as raised, translated_errors():
        raise OperationalError("SELECT secret", None, CAUSE)
    assert raised.value.message == DatabaseUnavailableError.default_message


def test_moments_sort_by_time_whatever_their_time_zone(tmp_path: Path) -> None:
    moments = Table("moments", MetaData(), Column("at", UtcDateTime))
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    expected = [noon - timedelta(microseconds=1), noon, noon + timedelta(microseconds=1), noon + timedelta(hours=1)]
    zones = [timezone(timedelta(hours=hours)) for hours in (-11, 0, 5, 14)]
    engine = open_engine(f"sqlite:///{tmp_path / 'limner.db'}", connections=1)
    with engine.begin() as connection:
        moments.metadata.create_all(connection)
        given = [moment.astimezone(zone) for moment, zone in zip(expected, zones, strict=True)]
        connection.execute(insert(moments), [{"at": moment} for moment in reversed(given)])
        assert connection.scalars(select(moments.c.at).order_by(moments.c.at)).all() == expected
    engine.dispose()


def test_a_moment_without_a_time_zone_is_refused(tmp_path: Path) -> None:
    moments = Table("moments", MetaData(), Column("at", UtcDateTime))
    engine = open_engine(f"sqlite:///{tmp_path / 'limner.db'}", connections=1)
    with engine.begin() as connection:
        moments.metadata.create_all(connection)
        with pytest.raises(StatementError, match="time zone"):
            connection.execute(insert(moments), {"at": datetime(2026, 11, 23)})
    engine.dispose()
