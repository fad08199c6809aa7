"""Databases with the schema in them: it is made once for a process, and copied for each test."""

import atexit
import functools
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from limner.persistence import schema
from tests.real_parts.postgres import PostgresServer, shared_postgres


def migrated_sqlite(folder: Path) -> str:
    """Put an SQLite database without rows into ``folder``, and return its address."""
    path = folder / "limner.db"
    shutil.copy(_template_file(), path)
    return f"sqlite:///{path}"


def migrated_postgres(server: PostgresServer | None = None) -> str:
    """Return the address of a PostgreSQL database without rows, by default of the shared server."""
    server = server or shared_postgres()
    return server.new_database(template=_template_database(server))


def migrated(dialect: str, folder: Path) -> str:
    """Return the address of a database without rows, of SQLite or PostgreSQL."""
    return migrated_sqlite(folder) if dialect == "sqlite" else migrated_postgres()


@functools.cache
def _template_file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="limner-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "template.db"
    schema.migrate(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        # All into the one file that is copied.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@functools.cache
def _template_database(server: PostgresServer) -> str:
    url = server.new_database()
    schema.migrate(url)
    return url.partition("@/")[2].partition("?")[0]
