"""The log: one JSON object a line on standard error, each with the id of the request that it belongs to."""

import json
import logging
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final, TextIO

from limner.service import tracing

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered; tasks that it starts inherit it."""

_MAX_WAITING: Final = 10_000
_BATCH_S: Final = 0.05
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request_id", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record and its ``extra`` as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current := getattr(record, "request_id", ""):
            line["request_id"] = current
        line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, default=str)


def context_facts() -> dict[str, str]:
    """Return what every line of this task has: its generation's id, and its trace's when it is traced."""
    return {"generation_id": tracing.generation_id.get(), "trace_id": tracing.traceparent()[3:35]}


class _BatchHandler(logging.Handler):
    """Lets records pile up for a moment, and a thread write them; drops them when it can't keep up, and never waits."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._stream = stream
        self._records: deque[logging.LogRecord] = deque()
        self._any = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_batches, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._records) >= _MAX_WAITING:
            return
        record.request_id = request_id.get()
        for name, value in context_facts().items():
            if value and not hasattr(record, name):
                setattr(record, name, value)
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        self._records.append(record)
        if not self._any.is_set():
            self._any.set()

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._closing.set()
        self._any.set()
        self._thread.join()
        super().close()

    def _write_batches(self) -> None:
        while not self._closing.is_set():
            self._any.wait()
            self._closing.wait(_BATCH_S)  # a wake-up per line would cost more than the line
            self._any.clear()
            self._write_batch()
        self._write_batch()  # what came while the last one was written

    def _write_batch(self) -> None:
        records = [self._records.popleft() for _ in range(len(self._records))]
        lines = "".join(self._line(record) for record in records)
        with suppress(OSError, ValueError):  # nobody reads it any more, or it was closed
            self._stream.write(lines)
            self._stream.flush()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record) + "\n"
        except Exception:
            self.handleError(record)
            return ""


@contextmanager
def logging_to_stderr(level: str) -> Iterator[None]:
    """Write the log as long as the context lasts. A reader of standard error who stalls stalls nothing."""
    # No line says where in the code it was logged, nor from which thread or process.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = _BatchHandler(sys.stderr)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)  # libraries speak up when something is wrong
    logging.getLogger("limner").setLevel(level.upper())
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
