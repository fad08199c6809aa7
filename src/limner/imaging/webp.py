"""The container of a WebP (RFC 9649): its chunks, up to the end that its header announces."""

from collections.abc import Iterator
from typing import Final

from limner.domain.image import OutputFormat
from limner.imaging.header import ANIMATED, DAMAGED, TOO_SHORT, TRAILING, Header, require_dimensions
from limner.service.ports import InvalidPictureError

MAX_CHUNKS: Final = 4096

_RIFF_HEADER_BYTES: Final = 12
_CHUNK_HEADER_BYTES: Final = 8
_ANIMATION: Final = (b"ANIM", b"ANMF")
_ANIMATION_FLAG: Final = 0x02
_LOSSY: Final = b"VP8 "
_LOSSLESS: Final = b"VP8L"
_EXTENDED: Final = b"VP8X"


def inspect_webp(data: bytes) -> Header:
    """Walk the file to its exact end. The pixels are another matter: only a decoder can tell."""
    chunks = list(_chunks(memoryview(data)))
    kinds = [kind for kind, _ in chunks]
    if kinds[0] == _EXTENDED and chunks[0][1][:1] and chunks[0][1][0] & _ANIMATION_FLAG:
        raise InvalidPictureError(ANIMATED)
    if any(kind in _ANIMATION for kind in kinds):
        raise InvalidPictureError(ANIMATED)
    if kinds[0] not in (_LOSSY, _LOSSLESS, _EXTENDED) or sum(map(kinds.count, (_LOSSY, _LOSSLESS))) != 1:
        raise InvalidPictureError(DAMAGED)
    sizes = {_size(kind, content) for kind, content in chunks if kind in (_LOSSY, _LOSSLESS, _EXTENDED)}
    if len(sizes) != 1:
        raise InvalidPictureError(DAMAGED)
    width, height = sizes.pop()
    require_dimensions(width, height)
    return Header(format=OutputFormat.WEBP, width=width, height=height)


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    end = _CHUNK_HEADER_BYTES + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise InvalidPictureError(TOO_SHORT)
    if end < len(data):
        raise InvalidPictureError(TRAILING)
    position = _RIFF_HEADER_BYTES
    for _ in range(MAX_CHUNKS):
        start = position + _CHUNK_HEADER_BYTES
        if start > end:
            raise InvalidPictureError(TOO_SHORT)
        length = int.from_bytes(data[position + 4 : start], "little")
        if start + length > end:
            raise InvalidPictureError(TOO_SHORT)
        yield bytes(data[position : position + 4]), data[start : start + length]
        position = start + length + length % 2  # chunks start at even offsets
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
