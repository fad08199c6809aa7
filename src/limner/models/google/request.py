"""What is asked, in the words of either API."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.task import AUTO_ASPECT_RATIO, EditTask, GenerateTask
from limner.outbound.body import Base64, Body, Source, json_body
from limner.service.ports import InputPicture

MAX_INLINE_BYTES: Final = 100_000_000
"""Most bytes of pictures in one request, counted as base64 (Google, 12 January 2026; 20 MB before)."""
MAX_VERTEX_PICTURE_BYTES: Final = 7 * limits.MIB
"""Largest picture in a request to Vertex AI, by its page on image understanding."""

_MAX_SEED: Final = 2**31 - 1


def require_room(pictures: Sequence[InputPicture], *, vertex: bool) -> None:
    """Raise ``InvalidFieldError`` when the pictures are too large to be sent, before any is read."""
    if problems := tuple(_too_large(pictures, vertex=vertex)):
        raise InvalidFieldError(problems)


def _too_large(pictures: Sequence[InputPicture], *, vertex: bool) -> Iterator[FieldViolation]:
    if vertex and max((each.image.size_bytes for each in pictures), default=0) > MAX_VERTEX_PICTURE_BYTES:
        yield FieldViolation("imageIds", f"this model takes images of at most {MAX_VERTEX_PICTURE_BYTES:,} bytes")
    if sum(_base64_bytes(each.image.size_bytes) for each in pictures) > MAX_INLINE_BYTES:
        most = MAX_INLINE_BYTES // 4 * 3
        yield FieldViolation("imageIds", f"this model takes images of at most {most:,} bytes together")


def _base64_bytes(size_bytes: int) -> int:
    return (size_bytes + 2) // 3 * 4


def content_body(task: GenerateTask | EditTask, inputs: Sequence[InputPicture], seed: int | None) -> Body:
    """Return the body of a ``generateContent`` that asks for one picture."""
    config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
    if task.aspect_ratio != AUTO_ASPECT_RATIO:  # without one, the first input's own shape is kept
        # Vertex AI deprecates it in favour of ``responseFormat``; Google's own SDK (3.4.0) still sends it to both APIs.
        config["imageConfig"] = {"aspectRatio": task.aspect_ratio}
    if seed is not None:
        config["seed"] = seed & _MAX_SEED
    parts = [{"text": task.prompt}, *map(_inline, inputs)]
    return json_body({"contents": [{"role": "user", "parts": parts}], "generationConfig": config})


def _inline(picture: InputPicture) -> dict[str, Any]:
    """Return a picture that goes along in the request, read while it is sent."""
    data = Base64(Source(picture.image.size_bytes, picture.stream))
    return {"inlineData": {"mimeType": picture.image.format.content_type, "data": data}}
