"""The container of a WebP (RFC 9649): its chunks, up to the end that its header announces."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from limner.domain.image import OutputFormat
from limner.imaging.header import DAMAGED, TOO_SHORT, Header, require_dimensions
from limner.imaging.orientation import UPRIGHT, orientation_in
from limner.service.ports import InvalidPictureError

MAX_CHUNKS: Final = 4096

_RIFF_HEADER_BYTES: Final = 12
_CHUNK_HEADER_BYTES: Final = 8
_ANIMATION: Final = (b"ANIM", b"ANMF")
_ANIMATION_FLAG: Final = 0x02
_EXIF: Final = b"EXIF"
_PRIVATE: Final = (_EXIF, b"XMP ")
_PRIVATE_FLAGS: Final = 0x0C
_MANIFEST: Final = b"C2PA"
_LOSSY: Final = b"VP8 "
_LOSSLESS: Final = b"VP8L"
_EXTENDED: Final = b"VP8X"


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    content: memoryview
    start: int
    end: int


def inspect_webp(data: bytes) -> Header:
    """Walk the picture to its exact end. The pixels are another matter: only a decoder can tell."""
    chunks = list(_chunks(memoryview(data)))
    kinds = [chunk.kind for chunk in chunks]
    first = chunks[0]
    flags = first.content[0] if first.kind == _EXTENDED and len(first.content) else 0
    animated = bool(flags & _ANIMATION_FLAG) or any(kind in _ANIMATION for kind in kinds)
    pictures = sum(map(kinds.count, (_LOSSY, _LOSSLESS)))
    if kinds[0] not in (_LOSSY, _LOSSLESS, _EXTENDED) or pictures != (0 if animated else 1):
        raise InvalidPictureError(DAMAGED)
    sizes = {_size(each.kind, each.content) for each in chunks if each.kind in (_LOSSY, _LOSSLESS, _EXTENDED)}
    if len(sizes) != 1:
        raise InvalidPictureError(DAMAGED)
    width, height = sizes.pop()
    require_dimensions(width, height)
    exif = next((bytes(each.content) for each in chunks if each.kind == _EXIF), b"")
    return Header(
        format=OutputFormat.WEBP,
        width=width,
        height=height,
        end=chunks[-1].end,
        orientation=orientation_in(exif) if exif else UPRIGHT,
        signed=_MANIFEST in kinds,
        animated=animated,
        removable=tuple((each.start, each.end) for each in chunks if each.kind in (*_PRIVATE, _MANIFEST)),
        private=any(kind in _PRIVATE for kind in kinds),
    )


def with_right_head(data: bytes) -> bytes:
    """Return a WebP from which chunks were taken, with the length and the flags of what is left."""
    changed = bytearray(data)
    changed[4:8] = (len(data) - _CHUNK_HEADER_BYTES).to_bytes(4, "little")
    if data[_RIFF_HEADER_BYTES : _RIFF_HEADER_BYTES + 4] == _EXTENDED:
        changed[_RIFF_HEADER_BYTES + _CHUNK_HEADER_BYTES] &= ~_PRIVATE_FLAGS
    return bytes(changed)


def _chunks(data: memoryview) -> Iterator[_Chunk]:
    end = _CHUNK_HEADER_BYTES + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise InvalidPictureError(TOO_SHORT)
    position = _RIFF_HEADER_BYTES
    for _ in range(MAX_CHUNKS):
        start = position + _CHUNK_HEADER_BYTES
        if start > end:
            raise InvalidPictureError(TOO_SHORT)
        length = int.from_bytes(data[position + 4 : start], "little")
        if start + length > end:
            raise InvalidPictureError(TOO_SHORT)
        follows = min(start + length + length % 2, end)  # chunks start at even offsets
        yield _Chunk(bytes(data[position : position + 4]), data[start : start + length], position, follows)
        position = follows
        if position >= end:
            return
    raise InvalidPictureError("the picture consists of too many pieces")


def _size(kind: bytes, content: memoryview) -> tuple[int, int]:
    if len(content) < (5 if kind == _LOSSLESS else 10):
        raise InvalidPictureError(TOO_SHORT)
    if kind == _EXTENDED:
        return 1 + int.from_bytes(content[4:7], "little"), 1 + int.from_bytes(content[7:10], "little")
    if kind == _LOSSLESS:
        bits = int.from_bytes(content[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little")
    return width & 0x3FFF, height & 0x3FFF
