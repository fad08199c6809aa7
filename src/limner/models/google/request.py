"""What is asked, in the words of either API."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from limner.domain import limits
from limner.domain.errors import FieldViolation, InvalidFieldError
from limner.domain.task import AUTO_ASPECT_RATIO, EditTask, GenerateTask
from limner.models.http import Base64, Body, Source, json_body
from limner.service.ports import InputPicture

MAX_INLINE_BYTES: Final = 100_000_000
"""Most bytes of pictures in one request, counted as base64 (Google, 12 January 2026; 20 MB before)."""
MAX_VERTEX_PICTURE_BYTES: Final = 7 * limits.MIB
"""Largest picture in a request to Vertex AI, by its page on image understanding."""

_MAX_SEED: Final = 2**31 - 1
_NUMBERS: Final = {
    "1": "ONE",
    "2": "TWO",
    "3": "THREE",
    "4": "FOUR",
    "5": "FIVE",
    "9": "NINE",
    "16": "SIXTEEN",
    "21": "TWENTY_ONE",
}


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


def content_body(
    task: GenerateTask | EditTask, inputs: Sequence[InputPicture], seed: int | None, *, vertex: bool
) -> Body:
    """Return the body of a ``generateContent`` that asks for one picture."""
    config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
    if task.aspect_ratio != AUTO_ASPECT_RATIO:
        config |= _shape(task.aspect_ratio, vertex=vertex)
    if seed is not None:
        config["seed"] = seed & _MAX_SEED
    parts = [{"text": task.prompt}, *map(_inline, inputs)]
    return json_body({"contents": [{"role": "user", "parts": parts}], "generationConfig": config})


def _inline(picture: InputPicture) -> dict[str, Any]:
    """Return a picture that goes along in the request, read while it is sent."""
    data = Base64(Source(picture.image.size_bytes, picture.stream))
    return {"inlineData": {"mimeType": picture.image.format.content_type, "data": data}}


def _shape(ratio: str, *, vertex: bool) -> dict[str, Any]:
    """Return the setting of the aspect ratio; without one, the first input's own shape is kept.

    Vertex AI deprecates ``imageConfig``, which is the only one that the Developer API has.
    """
    if not vertex:
        return {"imageConfig": {"aspectRatio": ratio}}
    width, height = (_NUMBERS[side] for side in ratio.split(":"))
    return {"responseFormat": [{"image": {"aspectRatio": f"ASPECT_RATIO_{width}_BY_{height}", "delivery": "INLINE"}}]}
