"""One pooled http client for the whole process."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from limner.domain import limits
from limner.models.http.answer import Response, ServerEvent
from limner.models.http.base64_text import SLICE_BYTES, SMALL_BYTES
from limner.models.http.body import Body
from limner.models.http.budget import ByteBudget, Share
from limner.models.http.errors import (
    CallError,
    ForbiddenAddressError,
    OutcomeUnknownError,
    UnreachableError,
)
from limner.models.http.events import EventReader
from limner.models.http.exchange import Exchange
from limner.models.http.receiving import Sink, WholeBody, sink_for, slices
from limner.models.http.resolver import NotPublicError, PublicResolver
from limner.models.http.turns import Turns

MAX_ANSWER_BYTES: Final = 4 * limits.MAX_STORED_BYTES
"""Most of one answer: several pictures in base64."""
_MAX_ERROR_BYTES: Final = 256 * limits.KIB
"""Most of an error that is not JSON; the rest is dropped."""
_GUESSED_BYTES: Final = 16 * limits.MIB
"""What an answer is expected to have that does not say."""
_IDLE_S: Final = 4.0
"""Shorter than the idle limits of load balancers and of Uvicorn and Node (5 s), which servers of one's own run on: a
request on a connection that is just being closed may have been received, and must not be sent again."""
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "limner"}

_NOT_SENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Time limits of one request, in seconds."""

    connect_s: float = 5.0
    """Waiting for a place in the pool, the name, TCP and TLS; running out means that nothing was sent."""
    first_byte_s: float = 180.0
    """From the end of the request to the first byte of the answer, and between any two reads of it."""
    total_s: float = 300.0
    """All of it. Running out tells nothing of the outcome, not even while connecting: keep it above ``connect_s``."""


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
            with _translated():
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


class HttpClient:
    """Sends each request once: it never retries, follows no redirect, keeps no cookie, reads no environment.

    Connections are made with the first request, on its event loop, and kept for 4 s; ``close`` ends them, and
    nothing is sent afterwards. Raises ``UnreachableError`` when nothing was sent, ``OutcomeUnknownError`` when no
    whole answer came. Memory per request: the pictures of its answer once, decoded, and less than 1 MiB beside them;
    what a ``share`` of the ``budget`` is handed along with bounds all of these together. What a ``Source`` of the body
    raises is raised as it is: the request was never whole.

    ``proxy`` is the operator's own, for requests that are not ``public``; ``tls`` replaces the system's roots.
    """

    def __init__(
        self,
        *,
        max_connections: int = 512,
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        budget: ByteBudget | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._proxy = proxy
        self._tls = tls
        self._resolver = resolver
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._turns = Turns()
        self._closed = False
        self.budget = budget or ByteBudget()

    async def request(
        self,
        method: str,
        url: str | URL,
        body: Body | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
        public: bool = False,
        share: Share | None = None,
    ) -> Response:
        """Send a request and return the whole answer, whatever its status.

        ``public`` connects to public addresses alone, else raises ``ForbiddenAddressError``.
        """
        async with self.stream(
            method, url, body, headers=headers, timeouts=timeouts, max_bytes=max_bytes, public=public, share=share
        ) as stream:
            return await stream.read()

    def stream(
        self,
        method: str,
        url: str | URL,
        body: Body | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
        public: bool = False,
        share: Share | None = None,
    ) -> AbstractAsyncContextManager[Stream]:
        """Send a request and enter when the headers of the answer are there; leaving drops what was not read.

        The total time limit holds for the whole block.
        """
        sent_headers = {**_HEADERS, **(headers or {})}
        if body is not None:
            sent_headers |= {"Content-Type": body.content_type, "Content-Length": str(body.size_bytes)}
        sending = _Sending(body, self._turns)
        return self._stream(method, url, sending, sent_headers, timeouts or Timeouts(), max_bytes, public, share)

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    @asynccontextmanager
    async def _stream(
        self,
        method: str,
        url: str | URL,
        sending: "_Sending",
        headers: Mapping[str, str],
        timeouts: Timeouts,
        max_bytes: int,
        public: bool,
        share: Share | None,
    ) -> AsyncIterator[Stream]:
        with Exchange() as exchange:
            async with _limited(timeouts.total_s):
                data = await sending.data()
                await _notice_closed_connections()
                with sending.own_errors(), _translated():
                    answer = await self._session(public).request(
                        method,
                        URL(url, encoded=True) if isinstance(url, str) else url,
                        data=data,
                        headers=headers,
                        timeout=_aiohttp_timeout(timeouts),
                        allow_redirects=False,
                    )
                exchange.status = answer.status
                try:
                    yield Stream(answer, self._turns, max_bytes, share)
                finally:
                    answer.close()

    def _session(self, public: bool) -> aiohttp.ClientSession:
        if self._closed:
            raise UnreachableError("the client is closed")
        if public not in self._sessions:
            self._sessions[public] = self._new_session(public)
        return self._sessions[public]

    def _new_session(self, public: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._max_connections,
            ssl=self._tls or True,
            resolver=(self._resolver or PublicResolver()) if public else None,
            use_dns_cache=not public,
            keepalive_timeout=_IDLE_S,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=SLICE_BYTES,
            proxy=None if public else self._proxy,
            middlewares=(_once,),
        )


class _Sending:
    """A body on its way."""

    def __init__(self, body: Body | None, turns: Turns) -> None:
        self._body = body
        self._turns = turns
        self._error: Exception | None = None

    async def data(self) -> bytes | AsyncIterator[bytes] | None:
        """Return what aiohttp sends: a small body whole."""
        if self._body is None:
            return None
        if self._body.size_bytes <= SMALL_BYTES:
            return b"".join([part async for part in self._body.slices()])
        return self._sliced(self._body)

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        """Raise what the body raised while it was sent in place of what became of the connection."""
        try:
            yield
        except CallError as error:
            if self._error is not None:
                raise self._error from error
            raise

    async def _sliced(self, body: Body) -> AsyncIterator[bytes]:
        async with aclosing(body.slices()) as parts:
            while True:
                await self._turns.mine()
                try:
                    part = await anext(parts, None)
                except Exception as error:
                    self._error = error
                    raise
                if part is None:
                    return
                yield part


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending idempotent requests again: it does so only for errors that it knows."""
    with _translated():
        return await send(request)


async def _notice_closed_connections() -> None:
    """Let the loop read what lies there: a request on a connection that the server has closed has no known outcome."""
    for _ in range(2):
        await asyncio.sleep(0)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _NOT_SENT as error:
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, NotPublicError):
            raise ForbiddenAddressError("a name leads to an address that is not public") from error
        raise UnreachableError(type(error).__name__) from error
    except (aiohttp.ClientError, OSError, EOFError) as error:
        raise OutcomeUnknownError(type(error).__name__) from error


@asynccontextmanager
async def _limited(total_s: float) -> AsyncIterator[None]:
    limit = asyncio.timeout(total_s)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise OutcomeUnknownError("the time is over") from error


def _aiohttp_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None,
        connect=timeouts.connect_s,
        sock_connect=timeouts.connect_s,
        sock_read=timeouts.first_byte_s,
        ceil_threshold=timeouts.connect_s + timeouts.first_byte_s,
    )
