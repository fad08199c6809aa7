"""Who is alive on this machine."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from limner.domain.identifiers import new_id
from limner.liveness import MAX_MESSAGE_BYTES, WorkerLocks

_HOLDER = """
import sys
from pathlib import Path
from limner.liveness import WorkerLocks
WorkerLocks(Path(sys.argv[1])).hold(sys.argv[2])
WorkerLocks(Path(sys.argv[1])).tell(sys.argv[2], b"I live")
print("held", flush=True)
sys.stdin.read()
"""


def holder(folder: Path, worker_id: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _HOLDER, str(folder), worker_id]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_worker_that_never_began_or_has_ended_may_end(tmp_path: Path) -> None:
    worker_id, locks = new_id(), WorkerLocks(tmp_path / "workers")
    locks.release(worker_id)
    locks.hold(worker_id)
    locks.release(worker_id)
    locks.release(worker_id)
    assert locks.living() == {}


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


def test_a_message_can_be_read_as_long_as_its_worker_lives(tmp_path: Path) -> None:
    theirs = new_id()
    reader = WorkerLocks(tmp_path / "workers")
    with holder(tmp_path / "workers", theirs) as process:
        assert reader.living() == {theirs: b"I live"}
        process.kill()
    assert reader.living() == {}
    assert reader.dead() == (theirs,)
    assert list((tmp_path / "workers").iterdir()) == []


def test_the_last_message_counts_whatever_its_length(tmp_path: Path) -> None:
    locks, mine = WorkerLocks(tmp_path), new_id()
    locks.hold(mine)
    assert locks.living() == {mine: b""}
    for message in (b"a long message", b"short", b"", b"x" * MAX_MESSAGE_BYTES):
        locks.tell(mine, message)
        assert locks.living() == {mine: message}
    locks.release(mine)
    assert locks.living() == {}


def test_too_long_a_message_is_refused_and_the_last_one_stays(tmp_path: Path) -> None:
    locks, mine = WorkerLocks(tmp_path), new_id()
    locks.hold(mine)
    locks.tell(mine, b"good")
    with pytest.raises(ValueError, match="too long"):
        locks.tell(mine, bytes(MAX_MESSAGE_BYTES + 1))
    assert locks.living() == {mine: b"good"}
    locks.release(mine)


def test_a_message_that_is_half_written_is_not_taken_for_one(tmp_path: Path) -> None:
    locks, mine = WorkerLocks(tmp_path), new_id()
    locks.hold(mine)
    locks.tell(mine, b"before the disk was full")
    with (tmp_path / mine).open("r+b") as file:
        file.seek(12)
        file.write(b"after")
    assert locks.living() == {mine: b""}
    locks.release(mine)


def test_what_a_worker_tells_after_its_end_leaves_nothing(tmp_path: Path) -> None:
    locks, mine = WorkerLocks(tmp_path), new_id()
    locks.hold(mine)
    locks.release(mine)
    locks.tell(mine, b"too late")
    assert list(tmp_path.iterdir()) == []


def test_messages_are_whole_while_they_are_written(tmp_path: Path) -> None:
    locks, mine = WorkerLocks(tmp_path), new_id()
    locks.hold(mine)
    messages = {bytes([65 + index]) * (20_000 * index + 1) for index in range(8)}
    locks.tell(mine, next(iter(messages)))

    def write() -> None:
        for message in [*messages] * 20:
            locks.tell(mine, message)

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while writer.is_alive():
        seen.append(WorkerLocks(tmp_path).living()[mine])
    writer.join()
    locks.release(mine)
    assert set(seen) - {b""} <= messages
    assert any(seen)


def test_nobody_is_alive_where_no_worker_ever_was(tmp_path: Path) -> None:
    locks = WorkerLocks(tmp_path / "missing")
    assert locks.living() == {}
    assert locks.dead() == ()


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
