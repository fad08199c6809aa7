"""Several processes on one SQLite file."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

from limner.persistence import schema
from limner.persistence.engine import open_engine

_PASSER_BY = """
import sys
from limner.persistence import schema
print(schema.schema_version(sys.argv[1]))
"""
_COUNTER = """
import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM marks").fetchone()[0])
"""
_INSERT = "INSERT INTO marks (name, value) VALUES (?, '')"


def pass_by(url: str) -> None:
    subprocess.run([sys.executable, "-c", _PASSER_BY, url], check=True, stdout=subprocess.DEVNULL)


def names(url: str) -> set[str]:
    engine = open_engine(url, connections=1)
    with engine.connect() as connection:
        found = set(connection.exec_driver_sql("SELECT name FROM marks").scalars())
    engine.dispose()
    return found


def test_a_process_that_comes_and_goes_takes_nothing_away(tmp_path: Path) -> None:
    """The last one to leave clears the log away: it must not think that it is the last."""
    url = f"sqlite:///{tmp_path / 'limner.db'}"
    schema.migrate(url)
    engine = open_engine(url, connections=3)
    with engine.connect() as first, engine.connect():
        first.exec_driver_sql(_INSERT, ("before",))
        first.commit()
        pass_by(url)
        first.exec_driver_sql(_INSERT, ("after",))
        first.commit()
        seen = subprocess.run(
            [sys.executable, "-c", _COUNTER, tmp_path / "limner.db"], check=True, capture_output=True, text=True
        ).stdout
    engine.dispose()
    assert seen == "2\n"
    assert names(url) == {"before", "after"}


def test_many_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    for number in range(4):
        url = f"sqlite:///{tmp_path / str(number)}"
        processes = [context.Process(target=schema.migrate, args=(url,)) for _ in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(30)
            assert process.exitcode == 0
