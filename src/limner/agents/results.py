"""What tools answer: words, facts, and pictures small enough for every client."""

import base64
from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from imageservice.v1.image_pb2 import Image
from mcp.types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent

from limner.agents.studio import Studio, StudioError
from limner.domain.limits import KIB

MAX_PICTURE_BYTES: Final = 512 * KIB
MAX_RESULT_BYTES: Final = 640 * KIB
"""Of all pictures of a result together: the SDK's client takes events of at most 1 MiB, base64 and all."""

WIDTHS: Final = (1024, 512, 256, 128)
"""What is tried, in turn."""

PREVIEW_FORMAT: Final = "webp"


async def images_result(studio: Studio, images: Sequence[Image], facts: dict[str, Any], words: str) -> CallToolResult:
    """Return images as pictures, each with a link to its own bytes, and what is known about them."""
    content: list[ContentBlock] = [TextContent(text=words)]
    room = min(MAX_PICTURE_BYTES, MAX_RESULT_BYTES // max(len(images), 1))
    for image in images:
        content += await _shown(studio, image, room)
    return CallToolResult(content=content, structured_content=facts)


def facts_result(facts: dict[str, Any], words: str) -> CallToolResult:
    """Return facts alone."""
    return CallToolResult(content=[TextContent(text=words)], structured_content=facts)


def error_result(error: StudioError) -> CallToolResult:
    """Return why a call failed, for the agent to read."""
    facts = {"reason": error.reason, "message": error.message, "metadata": dict(error.metadata)}
    text = f"{error.reason}: {error.message}"
    if generation_id := error.metadata.get("generationId"):
        text += f" (generation {generation_id})"
    return CallToolResult(content=[TextContent(text=text)], structured_content=facts, is_error=True)


def facts_of(message: Message) -> dict[str, Any]:
    """Return a message as the REST calls print it."""
    return MessageToDict(message, always_print_fields_with_no_presence=True)


def line_of(image: Image) -> str:
    """Return an image in a line of words."""
    made = f"by {image.model}" if image.model else "uploaded"
    about = f": {image.prompt}" if image.prompt else ""
    return f"{image.id} {image.image_width}x{image.image_height} {made}{about}"


async def _shown(studio: Studio, image: Image, room: int) -> list[ContentBlock]:
    link = ResourceLink(
        name=f"{image.id}.{dict(image.parameters).get('outputFormat', 'image')}",
        title=image.prompt[:80] or None,
        uri=studio.link(image),
        description="The picture itself. It needs the access token.",
        size=image.image_size,
    )
    for width in WIDTHS:
        data = await studio.derivative(image.id, width, PREVIEW_FORMAT)
        if len(data) <= room:
            text = base64.b64encode(data).decode()
            return [ImageContent(data=text, mime_type=f"image/{PREVIEW_FORMAT}"), link]
    return [link]
