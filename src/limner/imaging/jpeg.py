"""The container of a JPEG (ITU-T T.81, annex B): its segments, up to the marker that ends it."""

import re
from typing import Final

from limner.domain import limits
from limner.domain.image import OutputFormat
from limner.imaging.header import DAMAGED, TOO_SHORT, TRAILING, Header, require_dimensions
from limner.service.ports import InvalidPictureError

MAX_SEGMENTS: Final = 4096
MAX_SCANS: Final = 64
"""A progressive picture has about ten. Each one goes through all pixels again, be it only a few bytes long."""

_END: Final = 0xD9
_SCAN: Final = 0xDA
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE: Final = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
"""Markers without a segment; none of them may stand between segments."""

_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_SEARCH_BYTES: Final = 512 * limits.KIB
"""How far one search goes: it keeps the interpreter to itself."""


class _Walk:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 2
        self.frame: tuple[int, int, int] | None = None
        self.scans = 0

    def to_the_end(self) -> None:
        for _ in range(MAX_SEGMENTS):
            marker = self._marker()
            if marker == _END:
                return
            self._segment(marker)
        raise InvalidPictureError("the picture consists of too many pieces")

    def _marker(self) -> int:
        if self._byte() != 0xFF:
            raise InvalidPictureError(DAMAGED)
        while (marker := self._byte()) == 0xFF:
            pass
        return marker

    def _segment(self, marker: int) -> None:
        if marker in _ALONE or not marker:
            raise InvalidPictureError(DAMAGED)
        length = int.from_bytes(self.data[self.position : self.position + 2])
        if self.position + max(length, 2) > len(self.data):
            raise InvalidPictureError(TOO_SHORT)
        if length < 2:
            raise InvalidPictureError(DAMAGED)
        content = self.data[self.position + 2 : self.position + length]
        self.position += length
        if marker in _FRAMES:
            self._take_frame(content)
        elif marker == _SCAN:
            self._skip_scan()

    def _take_frame(self, content: bytes) -> None:
        if self.frame is not None or len(content) < 6:
            raise InvalidPictureError(DAMAGED)
        if content[0] != 8:
            raise InvalidPictureError("only JPEGs with 8 bits per sample are taken")
        height, width = int.from_bytes(content[1:3]), int.from_bytes(content[3:5])
        require_dimensions(width, height)
        self.frame = width, height, content[5]

    def _skip_scan(self) -> None:
        self.scans += 1
        if self.frame is None:
            raise InvalidPictureError(DAMAGED)
        if self.scans > MAX_SCANS:
            raise InvalidPictureError("the picture goes over its pixels too many times")
        while self.position < len(self.data):
            stop = min(self.position + _SEARCH_BYTES, len(self.data))
            found = _NEXT_MARKER.search(self.data, self.position, stop)
            if found:
                self.position = found.start()
                return
            # The marker's first byte may be the last one that was searched.
            self.position = stop - 1 if stop < len(self.data) else stop
        raise InvalidPictureError(TOO_SHORT)

    def _byte(self) -> int:
        if self.position >= len(self.data):
            raise InvalidPictureError(TOO_SHORT)
        self.position += 1
        return self.data[self.position - 1]


def inspect_jpeg(data: bytes) -> Header:
    """Walk the file to its exact end. The pixels are another matter: only a decoder can tell."""
    walk = _Walk(data)
    walk.to_the_end()
    if walk.frame is None or not walk.scans:
        raise InvalidPictureError(DAMAGED)
    _require_nothing_after(data, walk.position)
    width, height, components = walk.frame
    # A decoder has to keep all coefficients, two bytes each, when they come in more than one scan.
    buffered_bytes = 2 * width * height * components if walk.scans > 1 else 0
    return Header(format=OutputFormat.JPEG, width=width, height=height, buffered_bytes=buffered_bytes)


def _require_nothing_after(data: bytes, end: int) -> None:
    if end == len(data):
        return
    if data.startswith(b"\xff\xd8\xff", end):
        raise InvalidPictureError("the file holds more than one picture; send a single one")
    raise InvalidPictureError(TRAILING)
