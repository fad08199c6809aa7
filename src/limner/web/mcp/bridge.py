"""Between aiohttp's requests and the SDK's ASGI application."""

import asyncio
from collections.abc import Mapping, MutableMapping
from importlib.metadata import version
from typing import Any, Final

from aiohttp import web
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from limner.agents.server import Context, mcp_server
from limner.agents.studio import Studio
from limner.web.door import MAX_JSON_BYTES
from limner.web.errors import HttpRefusalError

Message = MutableMapping[str, Any]

STUDIO: Final = "limner.studio"
_FAILED: Final = 400


class Bridge:
    """Runs the SDK's side. It keeps no sessions, since the next request may come to another worker."""

    def __init__(self) -> None:
        server = mcp_server(_studio_of, version("limner"))
        self._manager = StreamableHTTPSessionManager(server, stateless=True, max_request_body_size=MAX_JSON_BYTES)
        self._ready = asyncio.Event()
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; its task group is left by the task that entered it."""
        self._running = asyncio.create_task(self._run(), name="mcp-requests")
        await self._ready.wait()

    async def close(self) -> None:
        """Cancel what is under way."""
        self._stop.set()
        if self._running is not None:
            await self._running

    async def answer(self, request: web.Request, studio: Studio) -> web.StreamResponse:
        """Let the SDK answer a request. When its client leaves, this is cancelled, and so is what it does."""
        exchange = _Exchange(request)
        await self._manager.handle_request(_scope(request, studio), exchange.receive, exchange.send)
        if exchange.refused:
            raise HttpRefusalError(exchange.refused, "request", "is none of this protocol: see its headers")
        return exchange.response

    async def _run(self) -> None:
        async with self._manager.run():
            self._ready.set()
            await self._stop.wait()


def _studio_of(context: Context) -> Studio:
    assert context.request is not None
    studio: Studio = context.request.scope[STUDIO]
    return studio


def _scope(request: web.Request, studio: Studio) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.raw_path.encode(),
        "root_path": "",
        "query_string": request.query_string.encode(),
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        STUDIO: studio,
    }


class _Exchange:
    """One request's ``receive`` and ``send``."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._received = False
        self.refused = 0
        """A status that the SDK answers without a word of JSON."""
        self.response = web.StreamResponse()

    async def receive(self) -> Message:
        if self._received:
            # Who leaves cancels the whole: there is nothing else to tell.
            await asyncio.get_running_loop().create_future()
        self._received = True
        return {"type": "http.request", "body": await self._request.read(), "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message.get("headers", ()))
            if message["status"] >= _FAILED and not headers.get(b"content-type", b"").startswith(b"application/json"):
                self.refused = message["status"]
                return
            self.response.set_status(message["status"])
            self._take_headers(headers)
            await self.response.prepare(self._request)
        elif message["type"] == "http.response.body" and not self.refused:
            if body := message.get("body"):
                await self.response.write(body)
            if not message.get("more_body"):
                await self.response.write_eof()

    def _take_headers(self, headers: Mapping[bytes, bytes]) -> None:
        for name, value in headers.items():
            self.response.headers[name.decode("latin-1")] = value.decode("latin-1")
