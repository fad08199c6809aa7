"""The body of an answer, from the wire into memory, slice by slice and within its limit."""

import zlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from typing import Final, Protocol

import aiohttp

from limner.models.http.base64_text import SLICE_BYTES, SMALL_BYTES
from limner.models.http.buffer import Buffer
from limner.models.http.errors import AnswerTooLargeError, UnreadableAnswerError
from limner.models.http.lifting import JsonLifter
from limner.models.http.turns import Turns

_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS


class Sink(Protocol):
    """Where slices go."""

    def feed(self, text: bytes) -> None:
        """Take the next slice."""

    def finish(self) -> tuple[bytes, Mapping[str, bytes]]:
        """Return the body, and the pictures that were lifted out of it."""


class WholeBody:
    """Keeps a body as it is. What it returns is not a copy."""

    def __init__(self) -> None:
        self._buffer = Buffer()

    def feed(self, text: bytes) -> None:
        """Take the next slice."""
        self._buffer.write(text)

    def finish(self) -> tuple[bytes, Mapping[str, bytes]]:
        """Return the body."""
        return self._buffer.value(), {}


async def slices(answer: aiohttp.ClientResponse, turns: Turns, max_bytes: int) -> AsyncGenerator[bytes]:
    """Yield the body in slices of at most 256 KiB, unpacked where the server packed it unasked, a turn for each.

    Raises ``AnswerTooLargeError`` as soon as the body says that it is, or gets, larger than ``max_bytes``, and what
    aiohttp raises when it breaks off.
    """
    if (answer.content_length or 0) > max_bytes:
        raise AnswerTooLargeError("an answer says that it is too large")
    unpack = _unpacker(answer.headers.get("Content-Encoding", ""))
    received = 0
    while packed := await answer.content.read(SLICE_BYTES):
        parts = unpack(packed)
        while part := next(parts, b""):
            received += len(part)
            if received > max_bytes:
                raise AnswerTooLargeError("an answer is too large")
            yield part
            if received > SMALL_BYTES:
                await turns.mine()


def _unpacker(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return lambda packed: iter((packed,))
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise UnreadableAnswerError("an answer is packed in a way that was not asked for")
    inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
    return lambda packed: _inflated(inflate, packed)


def _inflated(inflate: "zlib._Decompress", packed: bytes) -> Iterator[bytes]:
    try:
        while part := inflate.decompress(packed, SLICE_BYTES):
            yield part
            packed = inflate.unconsumed_tail
    except zlib.error as error:
        raise UnreadableAnswerError("an answer is packed wrongly") from error


def sink_for(first: bytes, size_bytes: int | None) -> Sink:
    """Return where a body goes that begins like this: only a JSON body that may be large is worth reading closely."""
    small = size_bytes is not None and size_bytes <= SMALL_BYTES
    looks_like_json = first.lstrip()[:1] in {b"{", b"["}
    return JsonLifter() if looks_like_json and not small else WholeBody()
