"""The container and the pixels of a PNG (W3C Portable Network Graphics, third edition).

Its pixels are decoded piece by piece, so a look at any PNG needs about a mebibyte, however many pixels it has.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from limner.domain import limits
from limner.domain.image import OutputFormat
from limner.imaging.header import ANIMATED, DAMAGED, TOO_SHORT, TRAILING, Header, require_dimensions
from limner.service.ports import InvalidPictureError

_SIGNATURE_BYTES: Final = 8
_CHUNK_OVERHEAD_BYTES: Final = 12
"""Length, type and checksum."""

MAX_CHUNKS: Final = 20_000
"""A 64 MiB picture in the 8 KiB chunks that libpng writes has 8,192; each costs a turn of the interpreter."""

MAX_TEXT_BYTES: Final = limits.MIB
"""Of one compressed text or colour profile, inflated; Pillow's own limit (``MAX_TEXT_CHUNK``)."""

MAX_ALL_TEXT_BYTES: Final = 8 * limits.MIB

_FEED_BYTES: Final = 16 * limits.KIB
_PIECE_BYTES: Final = 256 * limits.KIB

_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_ANIMATION: Final = (b"acTL", b"fcTL", b"fdAT")
_COMPRESSED_TEXT: Final = (b"zTXt", b"iTXt", b"iCCP")
_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, columns between, rows between, of each pass."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    data: memoryview


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one length that follow each other in the inflated data, each with its filter byte in front."""

    start: int
    stride: int
    end: int


def inspect_png(data: bytes) -> Header:
    """Walk the file to its exact end, its checksums verified, and decode its pixels without keeping them."""
    chunks = list(_chunks(memoryview(data)))
    width, height, bits_per_pixel, interlaced, has_palette = _image_header(chunks[0])
    require_dimensions(width, height)
    _require_order([chunk.kind for chunk in chunks], has_palette)
    _require_bounded_texts(chunks)
    pixels = [chunk.data for chunk in chunks if chunk.kind == b"IDAT"]
    _decode(pixels, _rows(width, height, bits_per_pixel, interlaced))
    return Header(format=OutputFormat.PNG, width=width, height=height)


def _chunks(data: memoryview) -> Iterator[_Chunk]:
    position = _SIGNATURE_BYTES
    for _ in range(MAX_CHUNKS):
        if position + _CHUNK_OVERHEAD_BYTES > len(data):
            raise InvalidPictureError(TOO_SHORT)
        length, kind = struct.unpack_from(">I4s", data, position)
        if not kind.isalpha():
            raise InvalidPictureError(DAMAGED)
        end = position + _CHUNK_OVERHEAD_BYTES + length
        if end > len(data):
            raise InvalidPictureError(TOO_SHORT)
        if zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise InvalidPictureError(f"{DAMAGED}: a checksum is wrong")
        yield _Chunk(kind, data[position + 8 : end - 4])
        position = end
        if kind == b"IEND":
            if position < len(data):
                raise InvalidPictureError(TRAILING)
            return
    raise InvalidPictureError("the picture consists of too many pieces")


def _image_header(chunk: _Chunk) -> tuple[int, int, int, bool, bool]:
    if chunk.kind != b"IHDR" or len(chunk.data) != 13:
        raise InvalidPictureError(DAMAGED)
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", chunk.data)
    if depth not in _DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise InvalidPictureError(DAMAGED)
    return width, height, depth * _CHANNELS[colour], interlace == 1, colour == 3


def _require_order(kinds: list[bytes], has_palette: bool) -> None:
    if any(kind in _ANIMATION for kind in kinds):
        raise InvalidPictureError(ANIMATED)
    critical = [kind for kind in kinds if kind[0:1].isupper()]
    first = kinds.index(b"IDAT") if b"IDAT" in kinds else len(kinds)
    count = kinds.count(b"IDAT")
    whole = (
        count > 0
        and kinds[first : first + count] == [b"IDAT"] * count
        and critical.count(b"IHDR") == 1
        and set(critical) <= {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
        and critical.count(b"PLTE") <= 1
        and (b"PLTE" in kinds[:first] or not has_palette)
    )
    if not whole:
        raise InvalidPictureError(DAMAGED)


def _require_bounded_texts(chunks: list[_Chunk]) -> None:
    total = 0
    for chunk in chunks:
        if chunk.kind in _COMPRESSED_TEXT:
            total += _inflated_bytes(chunk)
            if total > MAX_ALL_TEXT_BYTES:
                raise InvalidPictureError("the texts in the picture are too long")


def _inflated_bytes(chunk: _Chunk) -> int:
    """Return how long the text is, looking no further than its limit; 0 for one that isn't compressed or is broken."""
    rest = bytes(chunk.data).partition(b"\0")[2]
    if chunk.kind == b"iTXt":
        flag, rest = rest[:1], rest[2:]
        rest = rest.split(b"\0", 2)[-1] if flag == b"\1" else b""
    else:
        rest = rest[1:]
    try:
        length = len(zlib.decompressobj().decompress(rest, MAX_TEXT_BYTES + 1))
    except zlib.error:
        return 0
    if length > MAX_TEXT_BYTES:
        raise InvalidPictureError("a text or colour profile in the picture is too long")
    return length


def _rows(width: int, height: int, bits_per_pixel: int, interlaced: bool) -> list[_Rows]:
    sizes = [(width, height)]
    if interlaced:
        sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _ADAM7]
    rows, start = [], 0
    for columns, lines in sizes:
        if columns > 0 and lines > 0:
            stride = 1 + (columns * bits_per_pixel + 7) // 8
            rows.append(_Rows(start, stride, start + stride * lines))
            start += stride * lines
    return rows


def _decode(parts: list[memoryview], rows: list[_Rows]) -> None:
    """Inflate all, hold the length against what the size demands, and look at the filter of each row."""
    expected, position = rows[-1].end, 0
    for piece in _inflate(parts):
        if position + len(piece) > expected:
            raise InvalidPictureError("the picture holds more data than its size needs")
        _require_filters(piece, position, rows)
        position += len(piece)
    if position < expected:
        raise InvalidPictureError(TOO_SHORT)


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
                    raise InvalidPictureError("the picture holds more data than its size needs")
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
