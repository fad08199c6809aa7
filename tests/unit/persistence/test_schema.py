"""The migrations make what ``tables.py`` says, from any number of processes at once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from limner.domain.errors import DatabaseUnavailableError
from limner.persistence import schema
from limner.persistence.engine import open_engine
from limner.persistence.tables import metadata
from tests.real_parts.postgres import shared_postgres

MIGRATE_AND_LIST_ALEMBIC = (
    "import sys; from limner.persistence import schema; schema.migrate(sys.argv[1]); print('alembic' in sys.modules)"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'limner.db'}"
    return shared_postgres().new_database()


@pytest.fixture
def other_url(url: str, tmp_path: Path) -> str:
    """Another empty database of the same kind."""
    return shared_postgres().new_database() if url.startswith("postgresql") else f"sqlite:///{tmp_path / 'other.db'}"


def alembic_config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def definitions(url: str) -> set[Any]:
    """Return tables, columns, keys and indexes, in the database's own words."""
    engine = open_engine(url, connections=1)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            query = "SELECT name, sql FROM sqlite_master WHERE type = 'index'"
        else:
            query = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        found: set[Any] = {tuple(row) for row in connection.execute(text(query))}
        inspector = inspect(connection)
        for table in metadata.tables:
            for column in inspector.get_columns(table):
                nullable = column["nullable"]
                found.add((table, column["name"], repr(column["type"]), nullable, column.get("comment")))
            found.add((table, str(inspector.get_pk_constraint(table)), str(inspector.get_foreign_keys(table))))
    engine.dispose()
    return {each for each in found if "alembic" not in str(each)}


def test_migrations_make_exactly_the_tables(url: str, other_url: str) -> None:
    engine = open_engine(url, connections=1)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "head")
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    schema.migrate(other_url)
    assert definitions(url) == definitions(other_url)
    assert schema.schema_version(url) == schema.schema_version(other_url) == schema.NEWEST


def test_migrations_can_be_undone_and_done_again(url: str) -> None:
    schema.migrate(url)
    before = definitions(url)
    engine = open_engine(url, connections=1)
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    with engine.begin() as connection:
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
    engine.dispose()
    assert schema.schema_version(url) == ""
    schema.migrate(url)
    assert definitions(url) == before


def test_the_newest_migration_is_the_one_that_is_asked_for() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == schema.NEWEST


def test_an_empty_database_has_no_version(url: str) -> None:
    assert schema.schema_version(url) == ""


def test_many_processes_migrate_at_once(url: str) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", MIGRATE_AND_LIST_ALEMBIC, url], stdout=subprocess.DEVNULL)
        for _ in range(4)
    ]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert schema.schema_version(url) == schema.NEWEST


@pytest.mark.parametrize("prepared", [False, True])
def test_a_database_that_is_new_or_up_to_date_costs_no_import_of_alembic(tmp_path: Path, prepared: bool) -> None:
    url = f"sqlite:///{tmp_path / 'limner.db'}"
    if prepared:
        schema.migrate(url)
    done = subprocess.run(
        [sys.executable, "-c", MIGRATE_AND_LIST_ALEMBIC, url], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "False"


def test_a_database_of_a_newer_limner_is_left_alone(url: str) -> None:
    schema.migrate(url)
    engine = open_engine(url, connections=1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(DatabaseUnavailableError, match="newer limner"):
            schema.check(connection)
    engine.dispose()
    with pytest.raises(DatabaseUnavailableError, match="newer limner"):
        schema.migrate(url)


def test_a_failed_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'limner.db'}"
    engine = open_engine(url, connections=1)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE usage_months (id INTEGER)"))  # the last that is made
    with pytest.raises(DatabaseUnavailableError):
        schema.migrate(url)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == ["usage_months"]
    engine.dispose()
