"""Event streams, cut anywhere."""

import base64
import json
import os

import pytest

from limner.domain.limits import KIB
from limner.outbound.errors import UnreadableAnswerError
from limner.outbound.events import EventReader
from tests.unit.outbound.servers import cut

PICTURE = os.urandom(60 * KIB)
LINE = b'{"b64_json":"%b"}' % base64.b64encode(PICTURE)


def read(stream: bytes, piece_bytes: int = 64 * KIB) -> list[tuple[str, bytes]]:
    reader = EventReader()
    return [(event.name, event.data) for piece in cut(stream, piece_bytes) for event in reader.feed(piece)]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_events_come_however_they_are_cut(piece: int, end: bytes) -> None:
    lines = [
        b": keep-alive",
        b"",
        b"event: status",
        b"id: 7",
        b'data: {"a":',
        b"data:1}",
        b"",
        b"data",
        b"",
        b"data: [DONE]",
        b"",
        b"",
    ]
    found = read(end.join(lines), piece)
    assert [(name, data) for name, data in found if data] == [("status", found[0][1]), ("", b"[DONE]")]
    assert json.loads(found[0][1]) == {"a": 1}


@pytest.mark.parametrize("piece", [301, 16 * KIB, 64 * KIB])
def test_a_picture_in_an_event_is_decoded_while_it_comes(piece: int) -> None:
    reader = EventReader()
    stream = b"event: partial\ndata: " + LINE + b"\n\n"
    (event,) = [event for part in cut(stream, piece) for event in reader.feed(part)]
    assert event.json() == {"b64_json": PICTURE}
    assert len(event.data) < KIB


def test_an_event_without_its_end_does_not_come() -> None:
    assert read(b"data: 1\n\ndata: 2\n") == [("", b"1")]


def test_a_page_that_calls_itself_an_event_stream_is_unreadable() -> None:
    with pytest.raises(UnreadableAnswerError):
        read(b"<!doctype html>" + b"<p>" * 100, 10)
