"""The container of a JPEG (ITU-T T.81, annex B): its segments, up to the marker that ends the first picture."""

import re
from typing import Final

from limner.domain import limits
from limner.domain.image import OutputFormat
from limner.imaging.header import DAMAGED, TOO_SHORT, Header, require_dimensions
from limner.imaging.orientation import UPRIGHT, orientation_in
from limner.service.ports import InvalidPictureError

MAX_SEGMENTS: Final = 4096
MAX_SCANS: Final = 64
"""A progressive picture has about ten. Each one goes through all pixels again, be it only a few bytes long."""

_END: Final = 0xD9
_SCAN: Final = 0xDA
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE: Final = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
"""Markers without a segment; none of them may stand between segments."""

_APPLICATION: Final = range(0xE0, 0xF0)
_COMMENT: Final = 0xFE
_NEEDED: Final = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
"""How segments begin that tell what the pixels' numbers mean."""

_EXIF: Final = 0xE1
_PRIVATE: Final = frozenset({_EXIF, 0xED, _COMMENT})
"""EXIF and XMP data, those of the IPTC, and comments."""

_MARKS: Final = 0xEB
_MANIFEST: Final = re.compile(rb"JP.{6}.{4}jumb.*?c2pa", re.DOTALL)
_LOOK_BYTES: Final = 256

_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_SEARCH_BYTES: Final = 512 * limits.KIB
"""How far one search goes: it keeps the interpreter to itself."""


class _Walk:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 2
        self.frame: tuple[int, int, int] | None = None
        self.scans = 0
        self.exif: bytes | None = None
        self.signed = False
        self.private = False
        self.removable: list[tuple[int, int]] = []

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
        start, content = self.position - 2, self.data[self.position + 2 : self.position + length]
        self.position += length
        if marker in _APPLICATION or marker == _COMMENT:
            self._take_note(marker, content, start)
        elif marker in _FRAMES:
            self._take_frame(content)
        elif marker == _SCAN:
            self._skip_scan()

    def _take_note(self, marker: int, content: bytes, start: int) -> None:
        if marker in _NEEDED and content.startswith(_NEEDED[marker]):
            return
        self.removable.append((start, self.position))
        self.private = self.private or marker in _PRIVATE
        if marker == _EXIF and content.startswith(b"Exif\0") and self.exif is None:
            self.exif = content
        if marker == _MARKS and _MANIFEST.match(content[:_LOOK_BYTES]):
            self.signed = True

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
    """Walk the first picture to its exact end. The pixels are another matter: only a decoder can tell."""
    walk = _Walk(data)
    walk.to_the_end()
    if walk.frame is None or not walk.scans:
        raise InvalidPictureError(DAMAGED)
    width, height, components = walk.frame
    return Header(
        format=OutputFormat.JPEG,
        width=width,
        height=height,
        end=walk.position,
        orientation=orientation_in(walk.exif) if walk.exif else UPRIGHT,
        signed=walk.signed,
        removable=tuple(walk.removable),
        private=walk.private,
        # A decoder has to keep all coefficients, two bytes each, when they come in more than one scan.
        buffered_bytes=2 * width * height * components if walk.scans > 1 else 0,
    )
