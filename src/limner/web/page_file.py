"""The files of a page that the service carries, as a door sends them."""

import asyncio
import gzip
from collections.abc import Mapping
from importlib.resources.abc import Traversable

from aiohttp import web

from limner.web.door import Route


def page_file(path: str, file: Traversable, content_type: str, *, policy: str, headers: Mapping[str, str]) -> Route:
    """Return the route of one file, which is read when somebody asks for it, and kept nowhere.

    One whose name ends in ``.gz`` lies packed. Each is sent packed to who takes it so.
    """

    async def answer(request: web.Request) -> web.Response:
        packed = "gzip" in request.headers.get("accept-encoding", "")
        body = await asyncio.to_thread(_content, file, packed=packed)
        own = {
            "cache-control": "no-cache",
            "referrer-policy": "no-referrer",
            "vary": "accept-encoding",
            "x-content-type-options": "nosniff",
            **headers,
        }
        if packed:
            own["content-encoding"] = "gzip"
        charset = "utf-8" if content_type.startswith("text/") else None
        return web.Response(body=body, content_type=content_type, charset=charset, headers=own)

    return Route(method="GET", path=path, policy=policy, answer=answer)


def _content(file: Traversable, *, packed: bool) -> bytes:
    data, is_packed = file.read_bytes(), file.name.endswith(".gz")
    if is_packed == packed:
        return data
    return gzip.compress(data, mtime=0) if packed else gzip.decompress(data)
