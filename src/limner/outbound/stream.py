"""An answer, from the wire into memory, slice by slice and within its limit."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from typing import Final, Protocol

import aiohttp

from limner.domain import limits
from limner.outbound.answer import Response, ServerEvent
from limner.outbound.base64_text import SLICE_BYTES, SMALL_BYTES, Buffer
from limner.outbound.budget import Share
from limner.outbound.errors import (
    AnswerTooLargeError,
    CallError,
    ForbiddenAddressError,
    OutcomeUnknownError,
    UnreachableError,
    UnreadableAnswerError,
)
from limner.outbound.events import EventReader
from limner.outbound.resolver import NotPublicError
from limner.outbound.streamed_json import JsonLifter

_MAX_ERROR_BYTES: Final = 256 * limits.KIB
"""Most of an error that is not JSON; the rest is dropped."""
_GUESSED_BYTES: Final = 16 * limits.MIB
"""What an answer is expected to have that does not say."""
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS


_NOT_SENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)


class Turns:
    """Keeps fifty answers that arrive at once from stalling the loop: each round does one slice of one of them."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def mine(self) -> None:
        """Return when the caller may do one slice of work, at once and without awaiting."""
        async with self._lock:
            await asyncio.sleep(0)


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


class Stream:
    """An answer whose headers are there. ``read`` or ``events`` takes its body, once."""

    def __init__(
        self, answer: aiohttp.ClientResponse, turns: Turns, max_bytes: int, share: Share | None = None
    ) -> None:
        self._answer = answer
        self._turns = turns
        self._max_bytes = max_bytes
        self._share = share

    @property
    def status(self) -> int:
        """The http status."""
        return self._answer.status

    @property
    def is_events(self) -> bool:
        """Whether it is a ``text/event-stream``; a server that can't stream answers with a whole document."""
        return self._answer.content_type == "text/event-stream"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by lower-case name."""
        found: dict[str, str] = {}
        for name, value in self._answer.headers.items():
            name = name.lower()
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found

    async def read(self) -> Response:
        """Return the whole answer. The status of an error counts even when its body breaks off or is too large."""
        sink = await self._read_error() if self.status >= 400 else await self._read_whole()
        body, lifted = sink.finish()
        return Response(self.status, self.headers, body, lifted)

    async def events(self) -> AsyncIterator[ServerEvent]:
        """Yield the events as they come; ends where the server ends. Comments and events without data are left out.

        Raises ``OutcomeUnknownError`` when the stream breaks off.
        """
        reader = EventReader()
        async for part in self._slices(self._max_bytes):
            for event in reader.feed(part):
                yield event

    async def _read_error(self) -> Sink:
        """Read what there is: some vendors repeat the whole request in an error, pictures included."""
        sink: Sink = WholeBody()
        received = 0
        with suppress(CallError):
            async with aclosing(self._slices(self._max_bytes)) as parts:
                async for part in parts:
                    if not received and part.isspace():
                        continue
                    sink = sink if received else sink_for(part, self._answer.content_length)
                    sink.feed(part)
                    received += len(part)
                    if received > _MAX_ERROR_BYTES and isinstance(sink, WholeBody):
                        break
        return sink

    async def _read_whole(self) -> Sink:
        sink: Sink | None = None
        await self._reserve()
        async for part in self._slices(self._max_bytes):
            if sink is None and part.isspace():
                continue  # keeps the connection alive while a picture is made
            sink = sink or sink_for(part, self._answer.content_length)
            sink.feed(part)
        return sink or WholeBody()

    async def _slices(self, max_bytes: int) -> AsyncGenerator[bytes]:
        async with aclosing(slices(self._answer, self._turns, max_bytes)) as parts:
            with translated():
                async for part in parts:
                    if self._share is not None:
                        self._share.use(len(part))
                    yield part

    async def _reserve(self) -> None:
        """Wait until there is room for the answer, unless it is small."""
        size_bytes = self._answer.content_length
        if self._share is None or (size_bytes is not None and size_bytes <= SMALL_BYTES):
            return
        await self._share.reserve(min(size_bytes or _GUESSED_BYTES, self._max_bytes))


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


def _tls_reason(error: Exception) -> str:
    """Return what is wrong with a server's certificate, which an operator may mend; empty for other errors."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f": certificate verify failed: {getattr(error.certificate_error, 'verify_message', '')}"
    return ""


@contextmanager
def translated() -> Iterator[None]:
    """Turn what aiohttp raises into ``UnreachableError`` or ``OutcomeUnknownError``."""
    try:
        yield
    except _NOT_SENT as error:
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, NotPublicError):
            raise ForbiddenAddressError("a name leads to an address that is not public") from error
        raise UnreachableError(f"{type(error).__name__}{_tls_reason(error)}") from error
    except (aiohttp.ClientError, OSError, EOFError) as error:
        raise OutcomeUnknownError(type(error).__name__) from error
