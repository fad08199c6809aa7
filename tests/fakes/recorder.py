"""What arrived at a fake provider, and whether a secret went where it has no business."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it arrived. Header names are in lower case."""

    server: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Recorder:
    """Keeps every request, and apart those that carried the key to a server that is not the API."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self.arrivals: list[Arrival] = []
        self.leaks: list[Arrival] = []

    def to(self, server: str, method: str = "", path_part: str = "") -> list[Arrival]:
        """Return the requests to a server, in order."""
        return [
            each
            for each in self.arrivals
            if each.server == server and method in ("", each.method) and path_part in each.path
        ]

    def middleware(self, server: str, *, may_have_secret: bool) -> Any:
        """Return an aiohttp middleware that records what arrives at ``server``."""

        @web.middleware
        async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
            arrival = await _arrival(server, request)
            self.arrivals.append(arrival)
            if not may_have_secret and self._is_in(arrival):
                self.leaks.append(arrival)
            return await handler(request)

        return record

    def _is_in(self, arrival: Arrival) -> bool:
        places = (arrival.path, arrival.query, *arrival.headers.values())
        return any(self._secret in place for place in places) or self._secret.encode() in arrival.body


async def _arrival(server: str, request: web.Request) -> Arrival:
    return Arrival(
        server=server,
        method=request.method,
        path=request.path,
        query=request.query_string,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await request.read(),
    )
