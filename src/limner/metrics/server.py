"""The server of the metrics: it knows one path, and bounds all else.

The page is made in a thread from the workers' files, so a worker that hangs holds nobody up. The size of a request,
the time for it and how many there are at once are bounded; one page is made at a time.
"""

import asyncio
import re
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

PATH: Final = "/metrics"

_MAX_REQUEST_BYTES: Final = 8 * 1024
_MAX_CONNECTIONS: Final = 16
TIMEOUT_S: Final = 10.0
_END: Final = b"\r\n\r\n"
_ACCEPT: Final = re.compile(rb"\r\naccept:[ \t]*([^\r\n]*)", re.IGNORECASE)


class MetricsServer:
    """Answers ``GET /metrics`` with a page, and everything else with 404."""

    def __init__(self, page: Callable[[str], tuple[bytes, str]], *, timeout_s: float = TIMEOUT_S) -> None:
        """Serve the page and content type that ``page`` returns for an Accept header, in a thread.

        ``timeout_s`` bounds a whole connection.
        """
        self._page = page
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._answering: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, host: str, port: int) -> None:
        """Listen. The port may be held by ``PortReservations``."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = await asyncio.start_server(
            self._connected, host, port, family=family, limit=_MAX_REQUEST_BYTES, reuse_port=True
        )

    async def stop(self) -> None:
        """Listen no longer, and cut off who is being answered."""
        if self._server is not None:
            self._server.close()
        for writer in self._answering.values():
            writer.transport.abort()
        if self._answering:
            await asyncio.wait(self._answering)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._answering) >= _MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._answer(reader, writer), name="metrics")
        self._answering[task] = writer
        task.add_done_callback(self._answering.pop)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)  # so that draining waits for all of it
        try:
            async with asyncio.timeout(self._timeout_s):
                writer.write(await self._answer_to(await reader.readuntil(_END)))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()

    async def _answer_to(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if (method, path) != (b"GET", PATH.encode()):
            return _response(HTTPStatus.NOT_FOUND, f"Metrics are at {PATH}.\n".encode(), "text/plain; charset=utf-8")
        async with self._turn:
            accepted = _ACCEPT.search(request)
            page, content_type = await asyncio.to_thread(self._page, accepted[1].decode("latin-1") if accepted else "")
        return _response(HTTPStatus.OK, page, content_type)


def _response(status: HTTPStatus, body: bytes, content_type: str) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join(head).encode() + _END + body
