"""Who is alive on this machine."""

import subprocess
import sys
import threading
from pathlib import Path

from limner.domain.identifiers import new_id
from limner.liveness import WorkerLocks

_HOLDER = """
import sys
from pathlib import Path
from limner.liveness import WorkerLocks
WorkerLocks(Path(sys.argv[1])).hold(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def holder(folder: Path, worker_id: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _HOLDER, str(folder), worker_id]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_killed_worker_is_dead_once_and_a_living_one_is_not(tmp_path: Path) -> None:
    mine, theirs = new_id(), new_id()
    locks = WorkerLocks(tmp_path / "workers")
    locks.hold(mine)
    with holder(tmp_path / "workers", theirs) as process:
        assert locks.dead() == ()
        process.kill()
    assert locks.dead() == (theirs,)
    assert locks.dead() == ()
    locks.release(mine)


def test_a_worker_that_ended_in_order_is_not_dead(tmp_path: Path) -> None:
    watcher, leaver = WorkerLocks(tmp_path), WorkerLocks(tmp_path)
    watcher.hold(new_id())
    leaver_id = new_id()
    leaver.hold(leaver_id)
    leaver.release(leaver_id)
    assert watcher.dead() == ()


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    locks = WorkerLocks(tmp_path)
    mine = new_id()
    locks.hold(mine)
    (tmp_path / "notes.txt").write_text("mine")
    assert locks.dead() == ()
    locks.release(mine)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_who_comes_and_goes_in_order_is_never_buried(tmp_path: Path) -> None:
    watcher, done = WorkerLocks(tmp_path), threading.Event()
    buried: list[str] = []
    watcher.hold(new_id())

    def watch() -> None:
        while not done.is_set():
            buried.extend(watcher.dead())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        for _ in range(300):
            worker, worker_id = WorkerLocks(tmp_path), new_id()
            worker.hold(worker_id)
            worker.release(worker_id)
    finally:
        done.set()
        watching.join()
    assert buried == []
