"""The service's own description: ``/openapi.json``, and ``/docs``, a page of it from files that the service carries."""

import asyncio
import gzip
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import web

from limner.web.door import Door, Route

POLICY: Final = "reference"
_HERE: Final = resources.files(__name__)
_SWAGGER: Final = _HERE / "swagger_ui"

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from elsewhere, and nothing that is written into the page."""

_FILES: Final[Mapping[str, tuple[Traversable, str]]] = {
    "/openapi.json": (resources.files("imageservice") / "openapi.json", "application/json"),
    "/docs": (_HERE / "page.html", "text/html"),
    "/docs/start.js": (_HERE / "start.js", "text/javascript"),
    "/docs/swagger-ui-bundle.js": (_SWAGGER / "swagger-ui-bundle.js.gz", "text/javascript"),
    "/docs/swagger-ui.css": (_SWAGGER / "swagger-ui.css.gz", "text/css"),
}


def reference_door() -> Door:
    """Return the door. Its files are read when somebody asks for them, and kept nowhere."""
    return Door(routes=tuple(_route(path, file, kind) for path, (file, kind) in _FILES.items()))


def _route(path: str, file: Traversable, content_type: str) -> Route:
    async def answer(request: web.Request) -> web.Response:
        packed = "gzip" in request.headers.get("accept-encoding", "")
        body = await asyncio.to_thread(_content, file, packed=packed)
        headers = {
            "cache-control": "no-cache",
            "content-security-policy": CONTENT_SECURITY_POLICY,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        if packed:
            headers["content-encoding"] = "gzip"
        return web.Response(body=body, content_type=content_type, charset=_charset(content_type), headers=headers)

    return Route(method="GET", path=path, policy=POLICY, answer=answer)


def _charset(content_type: str) -> str | None:
    return "utf-8" if content_type.startswith("text/") else None


def _content(file: Traversable, *, packed: bool) -> bytes:
    data, is_packed = file.read_bytes(), file.name.endswith(".gz")
    if is_packed == packed:
        return data
    return gzip.compress(data, mtime=0) if packed else gzip.decompress(data)
