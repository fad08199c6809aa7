import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import pytest

from limner.telemetry import logging_to_stderr, request_id

log = logging.getLogger("limner.tests")


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("has no words")


class StalledStream(io.StringIO):
    """Takes nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.asked = threading.Event()

    def write(self, text: str) -> int:
        self.asked.set()
        self.released.wait(10)
        return super().write(text)


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing"):
        monkeypatch.setattr(logging, name, getattr(logging, name))
    loggers = [logging.getLogger(), logging.getLogger("limner")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@contextmanager
def logging_to(stream: io.StringIO) -> Iterator[None]:
    with redirect_stderr(stream), logging_to_stderr("info"):
        yield


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_where_what_and_for_which_request() -> None:
    stderr = io.StringIO()
    with logging_to(stderr):
        token = request_id.set("r-1")
        log.info("done in %d steps", 3, extra={"user": "ada"})
        request_id.reset(token)
    (line,) = lines(stderr)
    assert time.strptime(line.pop("time").partition(".")[0], "%Y-%m-%dT%H:%M:%S")
    assert line == {
        "level": "info",
        "logger": "limner.tests",
        "message": "done in 3 steps",
        "request_id": "r-1",
        "user": "ada",
    }


def test_an_exception_is_told_in_its_line() -> None:
    stderr = io.StringIO()
    with logging_to(stderr):
        try:
            raise RuntimeError("it broke")
        except RuntimeError:
            log.exception("failed")
    (line,) = lines(stderr)
    assert "RuntimeError: it broke" in line["exception"]


def test_all_lines_are_written_in_order_before_the_context_ends() -> None:
    stderr = io.StringIO()
    with logging_to(stderr):
        for number in range(500):
            log.info("%d", number)
    assert [line["message"] for line in lines(stderr)] == [str(number) for number in range(500)]


def test_lines_are_written_soon_while_the_context_lasts() -> None:
    stderr = io.StringIO()
    with logging_to(stderr):
        for count in (1, 2):
            log.info("hello")
            deadline = time.monotonic() + 5
            while len(lines(stderr)) < count and time.monotonic() < deadline:
                time.sleep(0.01)
            assert len(lines(stderr)) == count


def test_a_stalled_reader_costs_lines_and_no_time() -> None:
    stream = StalledStream()
    with logging_to(stream):
        log.info("first")
        assert stream.asked.wait(5)
        for _ in range(20_000):
            log.info("more")
        stream.released.set()
    assert len(lines(stream)) == 1 + 10_000


def test_a_record_that_cant_be_formatted_does_not_end_the_log() -> None:
    stderr = io.StringIO()
    with logging_to(stderr):
        log.info("first", extra={"thing": Unprintable()})
        log.info("next")
    assert json.loads(stderr.getvalue().splitlines()[-1])["message"] == "next"
