"""The pixels of a PNG as they are kept: rows, each with its filter in front, deflated.

They are inflated piece by piece, so a look at any PNG needs about a mebibyte, however many pixels it has.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from limner.domain import limits
from limner.imaging.header import DAMAGED, TOO_SHORT, require_dimensions
from limner.imaging.png import SIGNATURE_BYTES, Layout, chunks_of, layout_of
from limner.service.ports import InvalidPictureError

_FEED_BYTES: Final = 16 * limits.KIB
_PIECE_BYTES: Final = 256 * limits.KIB
_ZLIB_HEADER_BYTES: Final = 2
_KEPT: Final = (b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"eXIf")
TOO_MUCH: Final = "the picture holds more data than its size needs"
_MOST_ROWS_BYTES: Final = 64 * limits.MIB
"""Most that the rows of an upload may take where they are written anew."""
_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, columns between, rows between, of each pass."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one length that follow each other in the inflated data, each with its filter byte in front."""

    start: int
    stride: int
    end: int


def with_its_rows_alone(data: bytes) -> bytes:
    """Inflate the pixels of a PNG that was inspected, hold their length against its size, look at each row's filter.

    Returns the PNG; its pixels anew where one row more is there than its size needs, as some writers leave it, and no
    viewer shows it. Raises ``InvalidPictureError`` for less or more than that, and where the rows of such a one take
    more memory than an upload may.
    """
    chunks = list(chunks_of(memoryview(data)))
    rows = _rows(layout_of(chunks[0]))
    parts = [chunk.data for chunk in chunks if chunk.kind == b"IDAT"]
    expected, spare, position = rows[-1].end, rows[-1].stride, 0
    for piece in _inflate(parts):
        if position + len(piece) > expected + spare:
            raise InvalidPictureError(TOO_MUCH)
        if position < expected:
            _require_filters(piece[: expected - position], position, rows)
        position += len(piece)
    if position < expected:
        raise InvalidPictureError(TOO_SHORT)
    if position == expected:
        return data
    if position < expected + spare or expected > _MOST_ROWS_BYTES:
        raise InvalidPictureError(TOO_MUCH)
    return mended(data)


def mended(data: bytes) -> bytes:
    """Return a PNG of the same pixels, without what viewers don't look at: wrong checksums, spare rows, bytes behind.

    Raises ``InvalidPictureError`` unless all rows are there. Takes as much memory as the rows.
    """
    chunks = list(chunks_of(memoryview(data), strict=False))
    if not chunks:
        raise InvalidPictureError(TOO_SHORT)
    layout = layout_of(chunks[0])
    require_dimensions(layout.width, layout.height)
    expected = _rows(layout)[-1].end
    pixels = _inflated(b"".join(chunk.data for chunk in chunks if chunk.kind == b"IDAT"), expected)
    if len(pixels) < expected:
        raise InvalidPictureError(TOO_SHORT)
    kept = [_chunk(chunk.kind, bytes(chunk.data)) for chunk in chunks if chunk.kind in _KEPT]
    return b"".join((data[:SIGNATURE_BYTES], *kept, _chunk(b"IDAT", zlib.compress(pixels, 1)), _chunk(b"IEND", b"")))


def _inflated(data: bytes, most: int) -> bytes:
    """Return what can be inflated, up to so many bytes, whatever comes after it, the checksum of all among that."""
    inflater, made = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    try:
        for start in range(_ZLIB_HEADER_BYTES, len(data), _FEED_BYTES):
            made += inflater.decompress(data[start : start + _FEED_BYTES], most - len(made) + 1)
            if len(made) >= most:
                break
    except zlib.error:
        pass
    return bytes(made[:most])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _rows(layout: Layout) -> list[_Rows]:
    width, height = layout.width, layout.height
    sizes = [(width, height)]
    if layout.interlaced:
        sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _ADAM7]
    rows, start = [], 0
    for columns, lines in sizes:
        if columns > 0 and lines > 0:
            stride = 1 + (columns * layout.bits_per_pixel + 7) // 8
            rows.append(_Rows(start, stride, start + stride * lines))
            start += stride * lines
    return rows


def _inflate(parts: list[memoryview]) -> Iterator[bytes]:
    # Fed by a little at a time: what zlib has no room for yet, it copies.
    inflater = zlib.decompressobj()
    try:
        for part in parts:
            for start in range(0, len(part), _FEED_BYTES):
                feed: bytes | memoryview = part[start : start + _FEED_BYTES]
                while feed and not inflater.eof:
                    yield inflater.decompress(feed, _PIECE_BYTES)
                    feed = inflater.unconsumed_tail
                if inflater.unused_data or (inflater.eof and feed):
                    raise InvalidPictureError(TOO_MUCH)
        while not inflater.eof:
            piece = inflater.decompress(b"", _PIECE_BYTES)
            if not piece:
                raise InvalidPictureError(TOO_SHORT)
            yield piece
    except zlib.error as error:
        raise InvalidPictureError(DAMAGED) from error


def _require_filters(piece: bytes, position: int, rows: list[_Rows]) -> None:
    for span in rows:
        skipped = max(position - span.start, 0)
        first = span.start + -(-skipped // span.stride) * span.stride - position
        filters = piece[first : max(span.end - position, 0) : span.stride] if first < len(piece) else b""
        if filters.translate(None, b"\0\1\2\3\4"):
            raise InvalidPictureError(DAMAGED)
