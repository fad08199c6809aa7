"""How a test tells a fake provider to go wrong: by a tag in the prompt, or planned for the next requests."""

import asyncio
import re
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from aiohttp import web

_TAG = re.compile(r"\[\[fault:(?P<name>[a-z0-9-]+)(?:=(?P<value>[^*\]]*))?(?:\*(?P<times>\d+))?\]\]")

BAD_GATEWAY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"
CRASH_PAGE = "<!doctype html><html><body><h1>Internal Server Error</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to go wrong; ``value`` means what the fault says it means."""

    name: str = ""
    value: str = ""

    def hits(self, index: int) -> bool:
        """Tell whether picture ``index`` is meant: all are when there is no value."""
        return not self.value or int(self.value) == index


class Faults:
    """Says for each request how it goes wrong.

    ``[[fault:name]]``, ``[[fault:name=value]]`` in a prompt; with ``*2`` behind it only the first two requests.
    ``plan`` takes a fault for each of the next requests, ``""`` for one that goes right.
    """

    def __init__(self) -> None:
        self._planned: deque[str] = deque()
        self._seen: Counter[str] = Counter()

    def plan(self, *faults: str) -> None:
        """Add what happens to the next requests, each as ``name`` or ``name=value``."""
        self._planned.extend(faults)

    def next(self, prompt: str) -> Fault:
        """Return what happens to a request."""
        if self._planned:
            name, _, value = self._planned.popleft().partition("=")
            return Fault(name, value)
        match = _TAG.search(prompt)
        if match is None:
            return Fault()
        self._seen[match[0]] += 1
        if match["times"] and self._seen[match[0]] > int(match["times"]):
            return Fault()
        return Fault(match["name"], match["value"] or "")


async def drop(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def truncate(request: web.Request, body: bytes, content_type: str, status: int = 200) -> web.StreamResponse:
    """Send half of the body under the header of the whole, and close the connection."""
    headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def drip(request: web.Request, body: bytes, content_type: str, pause_s: float) -> web.StreamResponse:
    """Send a byte now and then, without end while there are bytes."""
    response = web.StreamResponse(headers={"Content-Type": content_type, "Content-Length": str(len(body))})
    await response.prepare(request)
    for offset in range(len(body)):
        await response.write(body[offset : offset + 1])
        await asyncio.sleep(pause_s)
    return response


async def flood(request: web.Request, size_bytes: int, content_type: str) -> web.StreamResponse:
    """Send zeros in chunks, without saying how many."""
    response = web.StreamResponse(headers={"Content-Type": content_type})
    response.enable_chunked_encoding()
    await response.prepare(request)
    for _ in range(size_bytes >> 16):
        await response.write(bytes(1 << 16))
    return response


def html(status: int, page: str = CRASH_PAGE) -> web.Response:
    """Answer with a page where JSON was asked for."""
    return web.Response(status=status, text=page, content_type="text/html")


def in_seconds(seconds: int) -> str:
    """Return an HTTP date in the near future."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
