"""Connections to SQLite or PostgreSQL, and what their errors mean."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, RootTransaction, create_engine, event, make_url
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,  # noqa: A004
)

from limner.domain.errors import DatabaseUnavailableError

PATIENCE_S: Final = 10.0
"""How long a statement may take in PostgreSQL, and how long SQLite waits while another process writes."""

WRITE_LOCK_INTERVAL_S: Final = 0.001
WAL_KEPT_BYTES: Final = 64 * 1024 * 1024

POSTGRES_DEFAULTS: Final = {
    "application_name": "limner",
    "connect_timeout": "5",  # seconds
    "tcp_user_timeout": "15000",  # milliseconds without an acknowledgement: the other side is gone
}
"""What libpq is told, unless the address says otherwise; so are ``options``, such as the timeout of statements."""

_SERIALIZATION_FAILURE, _DEADLOCK = "40001", "40P01"  # PostgreSQL manual, appendix A


def open_engine(url: str, *, connections: int, patience_s: float = PATIENCE_S) -> Engine:
    """Return an engine with at most ``connections``; none is opened yet. Its transactions may write.

    ``url`` is ``sqlite:///file`` or ``postgresql://…``, whose query takes the parameters of libpq.
    """
    address = _with_driver(make_url(url), patience_s)
    engine = create_engine(
        address,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=patience_s,
        hide_parameters=True,  # they hold prompts
    )
    if address.get_backend_name() == "sqlite":
        _prepare_sqlite(engine, patience_s)
    return engine


def for_reading(engine: Engine) -> Engine:
    """Return a face of the engine whose transactions see one moment and never wait for a writer."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(sqlite_reading=True)
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _with_driver(url: URL, patience_s: float) -> URL:
    if url.get_backend_name() != "postgresql":
        return url
    options = f"-c timezone=UTC -c statement_timeout={patience_s:.0f}s -c idle_in_transaction_session_timeout=60s"
    query = {**POSTGRES_DEFAULTS, "options": options, **url.query}
    return url.set(drivername="postgresql+psycopg", query=query)


def _prepare_sqlite(engine: Engine, patience_s: float) -> None:
    file = Path(engine.url.database or "")

    @event.listens_for(engine, "do_connect")
    def _make_private(*_: Any) -> None:
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Only a file that is new. To close one that this process has open already would end all of SQLite's locks
            # on it (sqlite.org/howtocorrupt.html, 2.2): another process would take the log away from under us.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise sqlite3.OperationalError("unable to open database file") from error

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # else the driver begins transactions when it likes
        connection.execute(f"PRAGMA busy_timeout = {patience_s * 1000:.0f}")
        _write_ahead(connection, patience_s)
        # In WAL, NORMAL may lose the last commits in a power cut; a paid generation must not be lost.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("sqlite_reading"):
            connection.exec_driver_sql("BEGIN")
        else:
            _begin_writing(connection, patience_s)


def _write_ahead(connection: sqlite3.Connection, patience_s: float) -> None:
    """Switch to the write-ahead log. While others switch a new file too, SQLite fails at once instead of waiting."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(WRITE_LOCK_INTERVAL_S)
        else:
            return


def _begin_writing(connection: Connection, patience_s: float) -> None:
    """Take SQLite's only write lock at once: a transaction that wants it midway may fail.

    Left to itself SQLite sleeps longer and longer between its tries, up to 100 ms, and a process that
    writes all the time starves the others. Asking every millisecond gives each of them its turn.
    """
    driver: Any = connection.connection.driver_connection
    deadline = time.monotonic() + patience_s
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while _is_locked_out(driver) and time.monotonic() < deadline:
            time.sleep(WRITE_LOCK_INTERVAL_S)
        if not driver.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # again, to raise what SQLAlchemy makes of the error
    finally:
        driver.execute(f"PRAGMA busy_timeout = {patience_s * 1000:.0f}")


def _is_locked_out(driver: sqlite3.Connection) -> bool:
    """Begin a transaction that writes; tell whether another process is writing. On other errors do nothing."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    return False


def is_unavailable(error: BaseException) -> bool:
    """Tell whether the database could not do the work, as opposed to work that is wrong in itself."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    # Exactly DatabaseError: a malformed SQLite file. Its subclasses say what they are.
    return isinstance(error, OperationalError | InterfaceError | InternalError | TimeoutError) or (
        type(error) is DatabaseError
    )


def is_worth_retrying(error: BaseException) -> bool:
    """Tell whether a transaction that was surely not committed may well work when it is run once more."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or getattr(error.orig, "sqlstate", "") in {_SERIALIZATION_FAILURE, _DEADLOCK}


def begin(connection: Connection, *, flush: bool) -> RootTransaction:
    """Begin a transaction whose commit, unless it shall ``flush``, a power cut may undo until a later one flushes.

    Commits are undone from the last one on, so one that flushes keeps all that were made before it. Who reads sees
    both alike, and the end of a process undoes neither.
    """
    if connection.dialect.name == "sqlite":
        _set_flushing(connection, "FULL" if flush else "NORMAL")
        return connection.begin()
    transaction = connection.begin()
    if not flush:
        connection.exec_driver_sql("SET LOCAL synchronous_commit TO OFF")
    return transaction


def _set_flushing(connection: Connection, mode: str) -> None:
    """Set SQLite's way of committing, which no transaction may change that has begun, and so not by SQLAlchemy."""
    driver: Any = connection.connection.driver_connection
    statement = f"PRAGMA synchronous = {mode}"
    try:
        driver.execute(statement)
    except sqlite3.Error as error:
        wrapped = DBAPIError.instance(statement, None, error, sqlite3.Error)
        assert isinstance(wrapped, DBAPIError)
        raise wrapped from error


@contextlib.contextmanager
def translated_errors() -> Iterator[None]:
    """Turn errors that mean an unavailable database into ``DatabaseUnavailableError``."""
    try:
        yield
    except SQLAlchemyError as error:
        if is_unavailable(error):
            raise DatabaseUnavailableError from error
        raise
