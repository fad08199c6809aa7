"""Answers: JSON and events, whose pictures leave as base64 in pieces."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import pybase64
from aiohttp import web
from google.protobuf.json_format import MessageToDict

from limner.domain.image import Image
from limner.domain.limits import KIB
from limner.domain.task import Generation
from limner.rpc.mapping import task_detail
from limner.service.contents import Content, Contents
from limner.service.events import Preview
from limner.web.openai.sizes import AUTO
from limner.web.openai.wishes import URL, Wishes

SignUrl = Callable[[str, str], Awaitable[str]]
"""Returns an address of an image, of a workspace's and an image's id, that opens without a token."""

_GROUP: Final = 3
"""Base64 writes three bytes as four characters, so pieces of a multiple of it may be written one after another."""

_SLICE_BYTES: Final = 48 * KIB
"""What is base64 at a time: a multiple of ``_GROUP``."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Reads kept pictures, in pieces, or tells their addresses."""

    contents: Contents
    sign: SignUrl | None

    async def write(self, out: web.StreamResponse, entry: dict[str, Any], image: Image, response_format: str) -> None:
        """Write a JSON object, with the picture or its address beside what it holds."""
        if response_format == URL and self.sign is not None:
            address = await self.sign(image.workspace_id, image.id)
            await out.write(json.dumps(entry | {"url": address}).encode())
            return
        _, chunks = await self.contents.stream(Content(image))
        async with aclosing(chunks):
            await write_with_base64(out, entry, chunks)


async def write_with_base64(out: web.StreamResponse, entry: dict[str, Any], chunks: AsyncIterator[bytes]) -> None:
    """Write a JSON object that has bytes as ``b64_json``, holding no more than a piece of them."""
    head, _, tail = json.dumps(entry | {"b64_json": "@"}).rpartition("@")
    await out.write(head.encode())
    rest = b""
    async for chunk in chunks:
        begun = -len(rest) % _GROUP
        if len(rest) + len(chunk) < _GROUP:
            rest += chunk
            continue
        await out.write(pybase64.b64encode(rest + chunk[:begun]))
        end = begun + (len(chunk) - begun) // _GROUP * _GROUP
        for at in range(begun, end, _SLICE_BYTES):
            await out.write(pybase64.b64encode(memoryview(chunk)[at : min(at + _SLICE_BYTES, end)]))
        rest = chunk[end:]
    await out.write(pybase64.b64encode(rest) + tail.encode())


async def write_images(out: web.StreamResponse, generation: Generation, wishes: Wishes, pictures: Pictures) -> None:
    """Write the answer of a request that did not ask for events."""
    head = json.dumps(_facts(generation, wishes))
    await out.write(f'{head[:-1]}, "data": ['.encode())
    for number, image in enumerate(generation.images):
        if number:
            await out.write(b", ")
        await pictures.write(out, {"id": image.id}, image, wishes.response_format)
    await out.write(b"]}")


def _facts(generation: Generation, wishes: Wishes) -> dict[str, Any]:
    facts: dict[str, Any] = {"created": int(generation.created_at.timestamp()), "generation_id": generation.id}
    if generation.images:
        facts |= _looks(generation.images[0])
    if wishes.safety_identifier:
        facts["safety_identifier"] = wishes.safety_identifier
    if generation.description:
        facts["description"] = generation.description
    if (detail := task_detail(generation)) is not None:
        facts["detail"] = MessageToDict(detail, always_print_fields_with_no_presence=True)
    return facts


def _looks(image: Image) -> dict[str, Any]:
    told = {name: image.parameters[name] for name in ("quality", "background") if name in image.parameters}
    return told | {"output_format": image.format.value, "size": f"{image.width}x{image.height}"}


class Events:
    """Writes what happens as server-sent events of OpenAI's kinds."""

    def __init__(self, out: web.StreamResponse, kind: str, wishes: Wishes, pictures: Pictures) -> None:
        """``kind`` is ``image_generation`` or ``image_edit``."""
        self._out = out
        self._kind = kind
        self._wishes = wishes
        self._pictures = pictures
        self._shown: dict[int, int] = {}

    async def partial(self, preview: Preview, created_at: int) -> None:
        """Write an early form of a picture, unless there were as many as were asked for."""
        number = self._shown.get(preview.index, 0)
        if number >= self._wishes.partial_images:
            return
        self._shown[preview.index] = number + 1
        facts = {"partial_image_index": number, "output_format": preview.content_type.rpartition("/")[2], "size": AUTO}
        entry = self._entry("partial_image", created_at) | facts
        await self._begin(entry["type"])
        await write_with_base64(self._out, entry, _once(preview.data))
        await self._out.write(b"\n\n")

    async def completed(self, image: Image) -> None:
        """Write a finished picture."""
        entry = self._entry("completed", int(image.created_at.timestamp())) | _looks(image)
        entry |= {"id": image.id, "generation_id": image.generation_id, "usage": None}
        if self._wishes.safety_identifier:
            entry["safety_identifier"] = self._wishes.safety_identifier
        await self._begin(entry["type"])
        await self._pictures.write(self._out, entry, image, self._wishes.response_format)
        await self._out.write(b"\n\n")

    async def failed(self, body: dict[str, Any]) -> None:
        """Write why there is no more."""
        await self._begin("error")
        await self._out.write(json.dumps({"type": "error", **body}).encode() + b"\n\n")

    async def wait(self) -> None:
        """Write that there is nothing yet, so that nobody takes the connection for a dead one."""
        await self._out.write(b": waiting\n\n")

    async def _begin(self, name: str) -> None:
        await self._out.write(f"event: {name}\ndata: ".encode())

    def _entry(self, what: str, created_at: int) -> dict[str, Any]:
        finish = self._wishes.draft.finish
        told = {"quality": finish.quality or AUTO, "background": finish.background or AUTO}
        return {"type": f"{self._kind}.{what}", "created_at": created_at, **told}


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
