"""One pooled http client for the whole process."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from limner.domain import limits
from limner.outbound.answer import Response
from limner.outbound.base64_text import SLICE_BYTES, SMALL_BYTES
from limner.outbound.body import Body
from limner.outbound.budget import ByteBudget, Share
from limner.outbound.errors import CallError, TotalTimeError, UnreachableError
from limner.outbound.exchange import Exchange
from limner.outbound.resolver import PublicResolver
from limner.outbound.stream import Stream, Turns, translated

MAX_ANSWER_BYTES: Final = 4 * limits.MAX_STORED_BYTES
"""Most of one answer: several pictures in base64."""
_IDLE_S: Final = 4.0
"""Shorter than the idle limits of load balancers and of Uvicorn and Node (5 s), which servers of one's own run on: a
request on a connection that is just being closed may have been received, and must not be sent again."""
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "limner"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Time limits of one request, in seconds."""

    connect_s: float = 5.0
    """Waiting for a place in the pool, the name, TCP and TLS; running out means that nothing was sent."""
    first_byte_s: float = 180.0
    """From the end of the request to the first byte of the answer, and between any two reads of it."""
    total_s: float = 300.0
    """All of it. Running out tells nothing of the outcome, not even while connecting: keep it above ``connect_s``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked, of whom and within which limits."""

    method: str = "GET"
    url: URL
    body: Body | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeouts: Timeouts = Timeouts()
    max_bytes: int = MAX_ANSWER_BYTES
    """Most of the answer."""
    public: bool = False
    """Whether to connect to public addresses alone, and else raise ``ForbiddenAddressError``."""
    share: Share | None = None
    """What bounds the memory of this answer and others together."""

    @property
    def sent_headers(self) -> dict[str, str]:
        """All headers, those of the body among them."""
        headers = {**_HEADERS, **self.headers}
        if self.body is not None:
            headers |= {"Content-Type": self.body.content_type, "Content-Length": str(self.body.size_bytes)}
        return headers


class HttpClient:
    """Sends each request once: it never retries, follows no redirect, keeps no cookie, reads no environment.

    Connections are made with the first request, on its event loop, and kept for 4 s; ``close`` ends them, and
    nothing is sent afterwards. Raises ``UnreachableError`` when nothing was sent, ``OutcomeUnknownError`` when no
    whole answer came. Memory per request: the pictures of its answer once, decoded, and less than 1 MiB beside them;
    what a ``share`` of the ``budget`` is handed along with bounds all of these together. What a ``Source`` of the body
    raises is raised as it is: the request was never whole.

    ``proxy`` is the operator's own, for requests that are not ``public``; ``tls`` replaces the system's roots;
    ``resolver`` looks up the names of ``public`` requests. ``max_connections`` 0 is no bound.
    """

    def __init__(
        self,
        *,
        max_connections: int = 512,
        proxy: str | None = None,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        budget: ByteBudget | None = None,
        keeps_connections: bool = True,
        read_ahead_bytes: int = SLICE_BYTES,
    ) -> None:
        self._max_connections = max_connections
        self._proxy = proxy
        self._tls = tls
        self._resolver = resolver
        self._keeps_connections = keeps_connections
        self._read_ahead_bytes = read_ahead_bytes
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._turns = Turns()
        self._closed = False
        self.budget = budget or ByteBudget()

    async def send(self, request: Request) -> Response:
        """Send a request and return the whole answer, whatever its status."""
        async with self.stream(request) as stream:
            return await stream.read()

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Send a request and enter when the headers of the answer are there; leaving drops what was not read.

        The total time limit holds for the whole block.
        """
        sending = _Sending(request.body, self._turns)
        with Exchange() as exchange:
            async with _limited(request.timeouts.total_s):
                data = await sending.data()
                await _notice_closed_connections()
                with sending.own_errors(), translated():
                    answer = await self._session(request.public).request(
                        request.method,
                        request.url,
                        data=data,
                        headers=request.sent_headers,
                        timeout=_aiohttp_timeout(request.timeouts),
                        allow_redirects=False,
                    )
                exchange.status = answer.status
                try:
                    yield Stream(answer, self._turns, request.max_bytes, request.share)
                finally:
                    answer.close()

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

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
            keepalive_timeout=_IDLE_S if self._keeps_connections else None,
            force_close=not self._keeps_connections,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=self._read_ahead_bytes,
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
    with translated():
        return await send(request)


async def _notice_closed_connections() -> None:
    """Let the loop read what lies there: a request on a connection that the server has closed has no known outcome."""
    for _ in range(2):
        await asyncio.sleep(0)


@asynccontextmanager
async def _limited(total_s: float) -> AsyncIterator[None]:
    limit = asyncio.timeout(total_s)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TotalTimeError("TimeoutError") from error


def _aiohttp_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None,
        connect=timeouts.connect_s,
        sock_connect=timeouts.connect_s,
        sock_read=timeouts.first_byte_s,
        ceil_threshold=timeouts.connect_s + timeouts.first_byte_s,
    )
