"""Which schema a database has, and bringing it up to date."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from limner.domain.errors import DatabaseUnavailableError
from limner.persistence.engine import open_engine, translated_errors
from limner.persistence.tables import metadata

NEWEST: Final = "0007"
"""The newest migration in ``migrations/versions``. Their names sort by age."""

MIGRATIONS: Final = Path(__file__).parent / "migrations"

MIGRATION_PATIENCE_S: Final = 300.0
"""How long a migration may take, and others wait for it."""

_MIGRATION_LOCK: Final = 0x6C696D6E6572  # "limner"


def migrate(url: str) -> None:
    """Bring the database to the newest schema, making a SQLite file that is not there yet.

    Any number of processes may do so at once: one migrates, the others wait for it.
    """
    if schema_version(url) == NEWEST:
        return
    with _connection(url) as connection:
        _wait_for_lock(connection)
        found = _version(connection)
        _refuse_newer(found)
        if found == NEWEST:
            return
        if inspect(connection).get_table_names():
            _upgrade(connection)
        else:
            _create(connection)


def schema_version(url: str) -> str:
    """Return the newest migration that the database has; empty when it has none. Cheap."""
    with _connection(url) as connection:
        return _version(connection)


def check(connection: Connection) -> None:
    """Raise ``DatabaseUnavailableError`` unless the database has the newest schema."""
    found = _version(connection)
    _refuse_newer(found)
    if found != NEWEST:
        raise DatabaseUnavailableError("The database has an old schema: run limner migrate.")


def _refuse_newer(found: str) -> None:
    if found > NEWEST:
        raise DatabaseUnavailableError("The database was made by a newer limner: run that one.")


def _version(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


@contextlib.contextmanager
def _connection(url: str) -> Iterator[Connection]:
    engine = open_engine(url, connections=1, patience_s=MIGRATION_PATIENCE_S)
    try:
        with translated_errors(), engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _wait_for_lock(connection: Connection) -> None:
    # A transaction in SQLite that may write has the lock from its beginning.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})


def _create(connection: Connection) -> None:
    """Make the tables of an empty database at once: what the migrations make, without their half a second."""
    metadata.create_all(connection)
    # As Alembic makes it, which takes over from here.
    connection.execute(
        text("CREATE TABLE alembic_version (version_num VARCHAR(32) CONSTRAINT alembic_version_pkc PRIMARY KEY)")
    )
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:newest)"), {"newest": NEWEST})


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
