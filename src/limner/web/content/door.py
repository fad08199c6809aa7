"""The door: addresses of content, and how its bytes go out."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.service.addresses import PATH, SignedAddresses
from limner.service.contents import Content, Contents
from limner.service.ports import OpenBlob
from limner.web.content.conditions import UnsatisfiableRangeError, asked_range, is_known
from limner.web.content.file_response import FileResponse
from limner.web.door import Door, Route
from limner.web.errors import HttpRefusalError

GET_CONTENT: Final = "/imageservice.v1.ImageService/GetImageContent"
SIGNED: Final = "signed-content"

WHOLE_BYTES: Final = 256 * limits.KIB
"""Up to this size the bytes are read where the file is opened: a system call less, and one wake-up."""

FOREVER: Final = "private, max-age=31536000, immutable"
_QUERY: Final = ("width", "format")


def content_door(contents: Contents, addresses: SignedAddresses) -> Door:
    """Return the door to content."""

    async def of_image(request: web.Request) -> web.StreamResponse:
        found = await _asked(contents, request)
        return await _answer(request, contents, found, FOREVER)

    async def of_address(request: web.Request) -> web.StreamResponse:
        shared = await addresses.follow(request.match_info["address"])
        left_s = max(0, int((shared.expires_at - datetime.now(UTC)).total_seconds()))
        return await _answer(request, contents, shared.content, f"private, max-age={left_s}, immutable")

    images = "/v1/workspaces/{workspaceId}/images/{imageId}/content"
    inputs = "/v1/workspaces/{workspaceId}/generations/{generationId}/inputs/{imageId}/content"
    return Door(
        routes=(
            Route(method="GET", path=images, policy=GET_CONTENT, answer=of_image),
            Route(method="GET", path=inputs, policy=GET_CONTENT, answer=of_image),
            Route(method="GET", path=f"{PATH}{{address}}", policy=SIGNED, answer=of_address),
        )
    )


async def _asked(contents: Contents, request: web.Request) -> Content:
    path = request.match_info
    query = _query(request, _QUERY if "generationId" in path else (*_QUERY, "generationId"))
    return await contents.find(
        path["workspaceId"],
        path["imageId"],
        path.get("generationId") or query.get("generationId", ""),
        width=_width(query["width"]) if "width" in query else 0,
        format_name=query.get("format", ""),
    )


def _query(request: web.Request, known: Sequence[str]) -> Mapping[str, str]:
    """Return the parameters of the query. Raises ``InvalidFieldError`` for others, and for one that is given twice."""
    query = request.query
    unknown = "is not a query parameter of this call"
    wrong = [
        *(FieldViolation(name, unknown) for name in query if name not in known),
        *(FieldViolation(name, "is given twice") for name in known if len(query.getall(name, [])) > 1),
    ]
    if wrong:
        raise InvalidFieldError(wrong)
    return query


def _width(text: str) -> int:
    """Return the width, or one that nothing has, so that it is refused with all else that is wrong."""
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 9 and int(text) else -1


async def _answer(request: web.Request, contents: Contents, found: Content, cache: str) -> web.StreamResponse:
    etag = f'"{found.etag}"'
    headers = {
        "etag": etag,
        "cache-control": cache,
        "accept-ranges": "bytes",
        "content-type": found.content_type,
        "x-content-type-options": "nosniff",
    }
    if is_known(request.headers, etag):
        del headers["content-type"]
        return web.Response(status=304, headers=headers)
    blob = await contents.open(found, whole_bytes=WHOLE_BYTES)
    try:
        return await _send(request, blob, headers)
    finally:
        await blob.close()


async def _send(request: web.Request, blob: OpenBlob, headers: dict[str, str]) -> web.StreamResponse:
    start, end, status = 0, blob.size_bytes, 200
    if "range" in request.headers and request.method == "GET":
        part = _part(request, blob, headers["etag"])
        if part is not None:
            start, end, status = *part, 206
            headers["content-range"] = f"bytes {start}-{end - 1}/{blob.size_bytes}"
    if blob.whole is not None:
        return web.Response(body=blob.whole[start:end], status=status, headers=headers)
    if request.method == "HEAD":
        headers["content-length"] = str(end)
        return web.Response(headers=headers)
    if blob.file is not None:
        return await FileResponse(blob.file, start, end, status=status, headers=headers).send(request)
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = end - start
    await response.prepare(request)
    async for chunk in blob.parts(start, end, limits.CONTENT_CHUNK_BYTES):
        await response.write(chunk)
    await response.write_eof()
    return response


def _part(request: web.Request, blob: OpenBlob, etag: str) -> tuple[int, int] | None:
    try:
        return asked_range(request.headers, etag, blob.size_bytes)
    except UnsatisfiableRangeError:
        size = blob.size_bytes
        raise HttpRefusalError(
            416, "range", f"must lie within the {size:,} bytes", headers={"content-range": f"bytes */{size}"}
        ) from None
