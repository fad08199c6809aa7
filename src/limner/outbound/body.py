"""Bodies of requests, made slice by slice while they are sent, so that no picture is copied or encoded whole."""

import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeAlias

import pybase64

from limner.outbound.errors import UnboughtError

_SLICE_BYTES: Final = 48 * 1024
"""A multiple of 3, so that slices of base64 can be joined."""
_QUOTED: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes that are read while they are sent, each time anew: a call that waits for minutes holds none of them."""

    size_bytes: int
    stream: Callable[[], AsyncIterator[bytes]]
    """Yields them in order, in parts of any size. What it raises the request raises, which was never whole."""


Data: TypeAlias = bytes | Source


@dataclass(frozen=True, slots=True)
class Base64:
    """Bytes that stand in a JSON body as a base64 string."""

    data: Data


@dataclass(frozen=True, slots=True)
class DataUri:
    """Bytes that stand in a JSON body as ``data:<content_type>;base64,…``."""

    content_type: str
    data: Data


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One field of a multipart form; a file when it has a ``file_name``."""

    name: str
    data: str | Data
    file_name: str = ""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent, as often as needed. ``Base64`` among the segments is encoded only while it is sent."""

    content_type: str
    segments: tuple[Data | Base64, ...]

    @property
    def size_bytes(self) -> int:
        """The exact ``Content-Length``."""
        return sum(_sent_bytes(segment) for segment in self.segments)

    async def slices(self) -> AsyncGenerator[bytes]:
        """Yield the bytes in order, in slices of at most 64 KiB."""
        for segment in self.segments:
            async with aclosing(_slices(segment)) as parts:
                async for part in parts:
                    yield part


def json_body(value: Mapping[str, object]) -> Body:
    """Return a JSON body; ``Base64`` and ``DataUri`` may stand anywhere in it where a string may."""
    token = secrets.token_hex(12)
    pictures: list[Base64 | DataUri] = []

    def placeholder(each: object) -> str:
        if not isinstance(each, Base64 | DataUri):
            raise TypeError(f"{type(each).__name__} is no JSON")
        pictures.append(each)
        return token

    texts = json.dumps(value, default=placeholder, separators=(",", ":")).split(token)
    segments: list[Data | Base64] = [texts[0].encode()]
    for picture, text in zip(pictures, texts[1:], strict=True):
        segments += [*_picture_segments(picture), text.encode()]
    return Body("application/json", tuple(segments))


def multipart_body(parts: Iterable[Part]) -> Body:
    """Return a ``multipart/form-data`` body; names may repeat (``image[]``)."""
    boundary = secrets.token_hex(16)
    segments: list[Data | Base64] = []
    for part in parts:
        data = part.data.encode() if isinstance(part.data, str) else part.data
        segments += [_part_head(part, boundary), data, b"\r\n"]
    segments.append(f"--{boundary}--\r\n".encode())
    return Body(f"multipart/form-data; boundary={boundary}", tuple(segments))


def bytes_body(data: bytes, content_type: str) -> Body:
    """Return a body of these bytes."""
    return Body(content_type, (data,))


def _sent_bytes(segment: Data | Base64) -> int:
    return -(-_size_bytes(segment.data) // 3) * 4 if isinstance(segment, Base64) else _size_bytes(segment)


def _size_bytes(data: Data) -> int:
    return data.size_bytes if isinstance(data, Source) else len(data)


async def _slices(segment: Data | Base64) -> AsyncGenerator[bytes]:
    data = segment.data if isinstance(segment, Base64) else segment
    async with aclosing(_read(data) if isinstance(data, Source) else _cut(data)) as parts:
        async for part in _encoded(parts) if isinstance(segment, Base64) else parts:
            yield part


async def _cut(data: bytes) -> AsyncGenerator[bytes]:
    for at in range(0, len(data), _SLICE_BYTES):
        yield data[at : at + _SLICE_BYTES]


async def _read(source: Source) -> AsyncGenerator[bytes]:
    left = source.size_bytes
    async for part in source.stream():
        left -= len(part)
        if left < 0:
            break
        async for each in _cut(part):
            yield each
    if left:
        raise UnboughtError("a picture has not the size that it should have", may_retry=False)


async def _encoded(parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    rest = b""
    async for part in parts:
        part = rest + part if rest else part
        whole = len(part) - len(part) % 3
        rest = part[whole:]
        yield pybase64.b64encode(part[:whole])
    if rest:
        yield pybase64.b64encode(rest)


def _picture_segments(picture: Base64 | DataUri) -> tuple[Data | Base64, ...]:
    if isinstance(picture, Base64):
        return (picture,)
    return f"data:{picture.content_type};base64,".encode(), Base64(picture.data)


def _part_head(part: Part, boundary: str) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name.translate(_QUOTED)}"'
    if part.file_name:
        head += f'; filename="{part.file_name.translate(_QUOTED)}"'
    if part.content_type:
        head += f"\r\nContent-Type: {part.content_type}"
    return f"{head}\r\n\r\n".encode()
