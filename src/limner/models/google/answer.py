"""What an answer of status 200 holds: a picture, words, or one of many refusals."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from limner.domain.errors import (
    ContentRejectedError,
    LimnerError,
    Outcome,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
)
from limner.models.complaint import Complaint
from limner.models.http.results import ResultError
from limner.models.judgement import late_refusal
from limner.outbound.answer import Response, picture_bytes
from limner.outbound.errors import UnreadableAnswerError

_NOTHING_MADE: Final = frozenset(
    {"MAX_TOKENS", "OTHER", "NO_IMAGE", "IMAGE_OTHER", "MALFORMED_RESPONSE", "MALFORMED_FUNCTION_CALL"}
)
"""Reasons to finish that blame neither the prompt nor a picture."""
_UNEVENTFUL: Final = frozenset({"", "STOP", "FINISH_REASON_UNSPECIFIED"})
_CAPITAL: Final = re.compile("[A-Z]")
_ACCOUNT_LIMITED: Final = "PUP_LIMITED_DISABLED"
"""The account is limited after uses that Google's policy prohibits."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The picture, or why there is none; and the model's own words."""

    picture: bytes = b""
    error: LimnerError | None = None
    words: str = ""


def answer_of(response: Response, prompt: str = "") -> Answer:
    """Return what an answer holds; of several pictures the first, and no draft that the model thought of.

    A prompt that was blocked, a picture that was withheld and a model that answers in words alone are refusals:
    asking again does not help. An answer with neither picture nor words, or of a model that stopped for want of
    tokens, is none: nothing was made, and something may have been paid. ``prompt`` is what an error that came by
    status 200 may repeat. Raises ``UnreadableAnswerError``, and
    ``ResultError`` for a picture by address, which was not asked for.
    """
    document = response.json()
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        raise UnreadableAnswerError("the answer is no object")
    if document.get("error") and (refused := late_refusal(Complaint.in_document(document["error"], prompt))):
        return Answer(error=refused)
    parts = list(_parts(document))
    words = "\n".join(part["text"].strip() for part in parts if isinstance(part.get("text"), str)).strip()
    for inline in _pictures_first(parts):
        return Answer(picture=picture_bytes(inline.get("data")), words=words)
    if any(_member(part, "fileData") for part in parts):
        raise ResultError("the picture is behind an address")
    return Answer(error=_missing(document, words), words=words)


def _parts(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for candidate in _objects(document.get("candidates")):
        content = candidate.get("content")
        for part in _objects(content.get("parts") if isinstance(content, dict) else None):
            if not part.get("thought"):
                yield part


def _pictures_first(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the data in the parts; what is declared to be no picture comes last, since it may be one all the same."""
    found = [inline for part in parts if isinstance(inline := _member(part, "inlineData"), dict)]
    return sorted(found, key=lambda inline: not str(_member(inline, "mimeType") or "image/").startswith("image/"))


def _member(document: dict[str, Any], name: str) -> Any:
    """Return a member by either of the names that protobuf's JSON may give it: ``inlineData`` or ``inline_data``."""
    return document.get(name, document.get(_CAPITAL.sub(r"_\g<0>", name).lower()))


def _missing(document: dict[str, Any], words: str) -> LimnerError:
    feedback = _member(document, "promptFeedback")
    if isinstance(feedback, dict) and _member(feedback, "blockReason"):
        return ContentRejectedError()
    reasons = {str(_member(each, "finishReason") or "") for each in _objects(document.get("candidates"))}
    if _ACCOUNT_LIMITED in reasons:
        return ProviderMisconfiguredError("The provider has limited the account of this service. Tell the operator.")
    if reasons - _UNEVENTFUL - _NOTHING_MADE or (words and not reasons & _NOTHING_MADE):
        return ContentRejectedError()
    return ProviderUnavailableError("The model answered without a picture.", outcome=Outcome.UNKNOWN)


def _objects(value: object) -> Iterator[dict[str, Any]]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())
