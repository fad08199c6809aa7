"""The log: one JSON object a line on standard error, each with the id of the request that it belongs to."""

import json
import logging
import logging.handlers
import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered; tasks that it starts inherit it."""

_QUEUE_LINES: Final = 10_000
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


class _Queue(logging.handlers.QueueHandler):
    """Hands records to the writing thread; drops them when it can't keep up, rather than to wait for it."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        record.request_id = request_id.get()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        return record

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


@contextmanager
def logging_to_stderr(level: str) -> Iterator[None]:
    """Write the log as long as the context lasts. A reader of standard error who stalls stalls nothing."""
    lines: queue.Queue[logging.LogRecord] = queue.Queue(_QUEUE_LINES)
    writer = logging.StreamHandler(sys.stderr)
    writer.setFormatter(JsonFormatter())
    listener = logging.handlers.QueueListener(lines, writer)
    handler = _Queue(lines)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)  # libraries speak up when something is wrong
    logging.getLogger("limner").setLevel(level.upper())
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(handler)
        listener.stop()
