"""The container of a PNG (W3C Portable Network Graphics, third edition): its chunks, checksums and order."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from limner.domain import limits
from limner.domain.image import OutputFormat
from limner.imaging.header import DAMAGED, TOO_SHORT, Header, require_dimensions
from limner.imaging.orientation import UPRIGHT, orientation_in
from limner.service.ports import InvalidPictureError

SIGNATURE_BYTES: Final = 8
_CHUNK_OVERHEAD_BYTES: Final = 12
"""Length, type and checksum."""

MAX_CHUNKS: Final = 20_000
"""A 64 MiB picture in the 8 KiB chunks that libpng writes has 8,192; each costs a turn of the interpreter."""

MAX_TEXT_BYTES: Final = limits.MIB
"""Of one compressed text or colour profile, inflated; Pillow's own limit (``MAX_TEXT_CHUNK``)."""

MAX_ALL_TEXT_BYTES: Final = 8 * limits.MIB

_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_ANIMATION: Final = (b"acTL", b"fcTL", b"fdAT")
_COMPRESSED_TEXT: Final = (b"zTXt", b"iTXt", b"iCCP")
_EXIF: Final = b"eXIf"
_MANIFEST: Final = b"caBX"
_PRIVATE: Final = (_EXIF, b"tEXt", b"zTXt", b"iTXt")
_COLOURS: Final = (b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT", b"bKGD", b"pHYs")
_NEEDED: Final = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", *_COLOURS, *_ANIMATION})
"""What tells of the pixels, and how they are shown."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk."""

    kind: bytes
    data: memoryview
    """What it holds."""
    start: int
    """Where its length stands in the file."""
    end: int
    """Where the next one begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the first chunk says of the pixels."""

    width: int
    height: int
    bits_per_pixel: int
    interlaced: bool
    has_palette: bool


def inspect_png(data: bytes) -> Header:
    """Walk the file to its end: checksums and order prove that nothing is missing, and nothing was changed.

    What the pixels are is another matter: see ``png_rows``.
    """
    chunks = list(chunks_of(memoryview(data)))
    layout = layout_of(chunks[0])
    require_dimensions(layout.width, layout.height)
    kinds = [chunk.kind for chunk in chunks]
    _require_order(kinds, layout.has_palette)
    _require_bounded_texts(chunks)
    exif = next((bytes(chunk.data) for chunk in chunks if chunk.kind == _EXIF), b"")
    return Header(
        format=OutputFormat.PNG,
        width=layout.width,
        height=layout.height,
        end=chunks[-1].end,
        orientation=orientation_in(exif) if exif else UPRIGHT,
        signed=_MANIFEST in kinds,
        animated=any(kind in _ANIMATION for kind in kinds),
        removable=tuple((chunk.start, chunk.end) for chunk in chunks if chunk.kind not in _NEEDED),
        private=any(kind in _PRIVATE for kind in kinds),
    )


def chunks_of(data: memoryview, *, strict: bool = True) -> Iterator[Chunk]:
    """Yield the chunks up to the last one; unless ``strict``, without a look at checksums, and as far as they go."""
    position = SIGNATURE_BYTES
    for _ in range(MAX_CHUNKS):
        end = position + _CHUNK_OVERHEAD_BYTES
        if end <= len(data):
            length, kind = struct.unpack_from(">I4s", data, position)
            end += length
        if end > len(data):
            if strict:
                raise InvalidPictureError(TOO_SHORT)
            return
        if strict and not kind.isalpha():
            raise InvalidPictureError(DAMAGED)
        if strict and zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise InvalidPictureError(f"{DAMAGED}: a checksum is wrong")
        yield Chunk(kind, data[position + 8 : end - 4], position, end)
        position = end
        if kind == b"IEND":
            return
    raise InvalidPictureError("the picture consists of too many pieces")


def layout_of(chunk: Chunk) -> Layout:
    """Return what the first chunk says; raise ``InvalidPictureError`` when it makes no sense."""
    if chunk.kind != b"IHDR" or len(chunk.data) != 13:
        raise InvalidPictureError(DAMAGED)
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", chunk.data)
    if depth not in _DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise InvalidPictureError(DAMAGED)
    return Layout(
        width=width,
        height=height,
        bits_per_pixel=depth * _CHANNELS[colour],
        interlaced=interlace == 1,
        has_palette=colour == 3,
    )


def _require_order(kinds: list[bytes], has_palette: bool) -> None:
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


def _require_bounded_texts(chunks: list[Chunk]) -> None:
    total = 0
    for chunk in chunks:
        if chunk.kind in _COMPRESSED_TEXT:
            total += _inflated_bytes(chunk)
            if total > MAX_ALL_TEXT_BYTES:
                raise InvalidPictureError("the texts in the picture are too long")


def _inflated_bytes(chunk: Chunk) -> int:
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
