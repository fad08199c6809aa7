"""Server-sent events, from slices that may cut anything anywhere."""

from collections.abc import Iterator
from typing import Final

from limner.outbound.answer import ServerEvent
from limner.outbound.errors import UnreadableAnswerError
from limner.outbound.streamed_json import JsonLifter

_MAX_FIELD_NAME_BYTES: Final = 64
_MAX_EVENT_NAME_BYTES: Final = 1024
_COMMENT: Final = b":"


class EventReader:
    """Takes slices of an event stream, and gives each event as its blank line comes."""

    def __init__(self) -> None:
        self._field: bytes | None = None
        self._start = b""
        self._name = b""
        self._data: JsonLifter | None = None

    def feed(self, text: bytes) -> Iterator[ServerEvent]:
        """Yield the events that end in this slice."""
        at = 0
        while (end := text.find(b"\n", at)) >= 0:
            self._extend_line(text[at:end], ended=True)
            if event := self._end_line():
                yield event
            at = end + 1
        self._extend_line(text[at:], ended=False)

    def _extend_line(self, part: bytes, *, ended: bool) -> None:
        if self._field is not None:
            self._extend_field(self._field, part)
            return
        self._start += part
        name, colon, value = self._start.partition(b":")
        if not ended and not value:
            if len(name) > _MAX_FIELD_NAME_BYTES:
                raise UnreadableAnswerError("not an event stream")
            return
        self._start = b""
        self._field = (name or _COMMENT) if colon else name.rstrip(b"\r")
        if self._field == b"data":
            self._begin_data_line()
        self._extend_field(self._field, value.removeprefix(b" "))

    def _extend_field(self, name: bytes, part: bytes) -> None:
        if name == b"data" and self._data is not None:
            self._data.feed(part)
        elif name == b"event" and len(self._name) <= _MAX_EVENT_NAME_BYTES:
            self._name += part

    def _begin_data_line(self) -> None:
        if self._data is None:
            self._data = JsonLifter()
        else:
            self._data.feed(b"\n")

    def _end_line(self) -> ServerEvent | None:
        blank = self._field == b""
        self._field = None
        return self._end_event() if blank else None

    def _end_event(self) -> ServerEvent | None:
        data, name = self._data, self._name
        self._data, self._name = None, b""
        if data is None:
            return None
        document, lifted = data.finish()
        return ServerEvent(name.strip().decode("utf-8", "replace"), document.strip(), lifted)
