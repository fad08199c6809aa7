"""What comes back: a document, or the events of a stream."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

from limner.domain import limits
from limner.domain.errors import ContentRejectedError, LimnerError
from limner.domain.image import OutputFormat
from limner.models.complaint import Complaint
from limner.models.judgement import late_refusal
from limner.outbound.answer import Response, picture_bytes
from limner.outbound.errors import OutcomeUnknownError, UnreadableAnswerError
from limner.outbound.stream import Stream

_MAX_PREVIEW_BYTES: Final = 8 * limits.MIB
_BEGINNINGS: Final = {b"\x89PNG": OutputFormat.PNG, b"\xff\xd8\xff": OutputFormat.JPEG, b"RIFF": OutputFormat.WEBP}

ShowPreview = Callable[[int, bytes, str], None]
"""Takes the number of an early form, from 0, its bytes and its content type."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What an answer says of one picture."""

    base64: object = None
    """Bytes that were decoded already, or a text; nothing when the answer holds an address."""
    address: object = None
    revised_prompt: str = ""
    refusal: LimnerError | None = None
    """Why there is no picture, where the place is empty and says so."""


def entries_of(response: Response, prompt: str = "") -> list[Entry]:
    """Return what a 2xx answer holds, in order; raise ``UnreadableAnswerError`` when it has no list of pictures.

    Some proxies answer a refusal with status 200: raises ``ContentRejectedError``.
    """
    document = response.json()
    data = document.get("data") if isinstance(document, dict) else None
    refused = late_refusal(Complaint.in_document(document, prompt))
    if not data and refused:
        raise refused
    if not isinstance(data, list):
        raise UnreadableAnswerError("there is no list of pictures")
    return [_entry(each, refused, prompt) for each in data]


async def streamed_entry(stream: Stream, show: ShowPreview, prompt: str = "") -> Entry:
    """Return the finished picture of a stream, and show the early forms that come before it.

    Raises ``ContentRejectedError`` when the stream says so, ``OutcomeUnknownError`` for any other end.
    """
    async with aclosing(_documents(stream)) as documents:
        async for kind, document in documents:
            if kind.endswith(".completed"):
                return _entry(document, None, prompt)
            if kind.endswith(".partial_image"):
                _show(document, show)
            elif kind == "error" or "error" in document:
                refused = late_refusal(Complaint.in_document(document, prompt))
                raise refused or OutcomeUnknownError("the stream ended with an error")
    raise OutcomeUnknownError("the stream ended without a picture")


async def _documents(stream: Stream) -> AsyncGenerator[tuple[str, dict[str, object]], None]:
    async for event in stream.events():
        if event.data.startswith(b"[DONE]"):
            return
        document = event.json()
        if isinstance(document, dict):
            yield str(document.get("type") or event.name), document


def _entry(item: object, refused: LimnerError | None, prompt: str) -> Entry:
    """Return one place of the list; ``refused`` is what the answer as a whole says of its empty places."""
    if not isinstance(item, dict):
        return Entry(refusal=refused)
    data, address, revised = item.get("b64_json"), item.get("url"), item.get("revised_prompt")
    if not data and not address:
        refused = refused or late_refusal(Complaint.in_document(item, prompt))
        if address == "":  # an address that was taken out, as xAI does
            refused = refused or ContentRejectedError()
        return Entry(refusal=refused)
    return Entry(data, address, revised if isinstance(revised, str) else "")


def _show(document: dict[str, object], show: ShowPreview) -> None:
    """Pass an early form on, by what its bytes are; one that can't be read is left out."""
    number = document.get("partial_image_index")
    with suppress(UnreadableAnswerError):
        data = picture_bytes(document.get("b64_json"), _MAX_PREVIEW_BYTES)
        if kind := next((kind for begin, kind in _BEGINNINGS.items() if data.startswith(begin)), None):
            show(number if isinstance(number, int) else 0, data, kind.content_type)
