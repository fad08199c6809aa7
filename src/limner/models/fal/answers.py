"""What a finished job holds, and what an error of fal's means.

The echo of the input in an error (``input``) is never read: it holds the prompt. Texts of fal's are matched, and
neither logged nor shown.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from limner.domain.errors import (
    ContentRejectedError,
    LimnerError,
    Outcome,
    OverloadedError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
)
from limner.models.complaint import Complaint
from limner.models.judgement import Meaning, late_refusal, meaning, refusal, unreadable_picture
from limner.outbound.answer import Response
from limner.outbound.errors import UnreadableAnswerError

log = logging.getLogger(__name__)

_MAX_DESCRIPTION_CHARS: Final = 4000
_NSFW: Final = "The provider withheld this picture: its safety check found it unsuitable."
_REFUSALS: Final[Mapping[str, str]] = {
    "content_policy_violation": "The provider refuses this prompt or picture: it is against its content policy.",
    # What Gemini's refusals become at fal. To go round one by another model is the worse mistake.
    "no_media_generated": "The provider made no picture of this, which mostly is a refusal. Try other words.",
    "string_too_long": "The provider refuses this prompt: it is too long.",
    "string_too_short": "The provider refuses this prompt: it is too short.",
}
_UNFIT_PICTURES: Final[Mapping[str, str]] = {
    "image_too_small": "the provider finds one of these pictures too small",
    "image_too_large": "the provider finds one of these pictures too large",
    "file_too_large": "the provider finds the file of one of these pictures too large",
    "image_load_error": "the provider can't read one of these pictures",
    "unsupported_image_format": "the provider can't read the format of one of these pictures",
}
_NOT_THE_REQUEST: Final = frozenset({"downstream_service_error", "client_disconnected", "client_cancelled"})
"""Types of definite errors that blame neither the request nor the account."""
_UNDECIDED: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, 499})
_KIND: Final = re.compile(r"[a-z0-9_.]{1,64}")
_NO_CREDIT: Final = ("exhausted balance", "user is locked", "insufficient credit")


@dataclass(frozen=True, slots=True)
class Result:
    """What a job made. ``pictures`` may be shorter or longer than what was asked for."""

    pictures: tuple[object, ...]
    """Where each is: an address, or whatever else the provider wrote there."""
    withheld: tuple[bool, ...]
    """Which of them are black, since a safety check did not like them."""
    description: str
    refusals: tuple[LimnerError | None, ...] = ()
    """Why there is none, by place, where an empty place says so."""

    def refusal(self, place: int) -> LimnerError | None:
        """Return why the picture at a place is not to be had, or ``None``."""
        if place < len(self.refusals) and (refused := self.refusals[place]):
            return refused
        if place < len(self.withheld) and self.withheld[place]:
            return ContentRejectedError(_NSFW)
        if place >= len(self.pictures):
            return ProviderUnavailableError("The model made fewer pictures than asked.", outcome=Outcome.UNKNOWN)
        return None


def members(response: Response) -> Mapping[str, Any]:
    """Return the members of an answer that is a JSON object; none of any other answer."""
    try:
        document = response.json()
    except UnreadableAnswerError:
        return {}
    return document if isinstance(document, dict) else {}


def result(response: Response, prompt: str = "") -> Result:
    """Read the result of a job; raise ``UnreadableAnswerError`` or ``ContentRejectedError`` for what is none."""
    made = members(response)
    images = made.get("images", [made["image"]] if "image" in made else None)
    refused = None if images else late_refusal(Complaint.in_document(dict(made), prompt))
    if refused:
        raise refused
    if not isinstance(images, list):
        raise UnreadableAnswerError("a result without pictures")
    flags = made.get("has_nsfw_concepts")
    return Result(
        pictures=tuple(each.get("url") if isinstance(each, dict) else each for each in images),
        withheld=tuple(flag is True for flag in flags) if isinstance(flags, list) else (),
        description=str(made.get("description") or "")[:_MAX_DESCRIPTION_CHARS],
        refusals=tuple(_refused_place(each, prompt) for each in images),
    )


def _refused_place(entry: object, prompt: str) -> LimnerError | None:
    if not isinstance(entry, dict) or entry.get("url"):
        return None
    refused = late_refusal(Complaint.in_document(entry, prompt))
    return ContentRejectedError() if entry.get("url") == "" else refused


def failure(response: Response, *, began: bool, prompt: str = "") -> LimnerError | None:
    """Return what a definite error means, or ``None`` when the status and its hints say all.

    ``began``: whether it is how a job ended; else a request was not taken. Errors of a server are never billed.
    ``prompt`` is what the texts may repeat.
    """
    told = members(response)
    kinds = _kinds(response, told)
    error = _named(kinds, began) or _judged(response, kinds, began, prompt)
    if error is None and (began or _is_definite(response.status)):
        error = _broken(response, told, kinds, began)
    if error is not None:
        log.warning("fal said no", extra={"status": response.status, "kinds": sorted(kinds)[:8], "began": began})
    return error


def names_its_fault(response: Response) -> bool:
    """Return whether an answer is an error in fal's own form, and not the page of something on the way."""
    return response.status >= 400 and bool(_kinds(response, members(response)))


def _is_definite(status: int) -> bool:
    return 300 <= status < 500 and status not in _UNDECIDED


def _kinds(response: Response, told: Mapping[str, Any]) -> set[str]:
    """Return the types of an error, wherever they stand. Of all that an error holds, only they are fit for a log."""
    return {kind for kind in _all_kinds(response, told) if _KIND.fullmatch(kind)}


def _all_kinds(response: Response, told: Mapping[str, Any]) -> Iterator[str]:
    yield response.header("x-fal-error-type")
    yield str(told.get("error_type", ""))
    detail = told.get("detail")
    for entry in detail if isinstance(detail, list) else ():
        if isinstance(entry, dict):
            yield str(entry.get("type", ""))


def _named(kinds: set[str], began: bool) -> LimnerError | None:
    """Return what one of fal's own types means that blames what the caller sent."""
    for kind, text in _REFUSALS.items():
        if kind in kinds:
            return ContentRejectedError(text)
    outcome = None if began else Outcome.NOT_BOUGHT
    texts = (text for kind, text in _UNFIT_PICTURES.items() if kind in kinds)
    return next((unreadable_picture(text, outcome=outcome) for text in texts), None)


def _judged(response: Response, kinds: set[str], began: bool, prompt: str) -> LimnerError | None:
    """Return what any vendor's complaint means, where fal's types blame the request at all."""
    if kinds & _NOT_THE_REQUEST or (response.status == HTTPStatus.NOT_FOUND and began):
        return None
    complaint = Complaint.of(response, prompt)
    if any(each in complaint.text for each in _NO_CREDIT) and meaning(response.status, complaint) is Meaning.OPERATOR:
        outcome = None if began else Outcome.NOT_BOUGHT
        return ProviderMisconfiguredError("The provider says that no credit is left.", outcome=outcome)
    return refusal(response.status, complaint, surely=not began)


def _broken(response: Response, told: Mapping[str, Any], kinds: set[str], began: bool) -> LimnerError:
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return OverloadedError("The provider is busy. Try again later.")
    free = not began or (response.status >= 500 and "detail" in told)
    outcome = Outcome.NOT_BOUGHT if free else Outcome.UNKNOWN
    if response.header("x-fal-request-timeout-type") or "request_timeout" in kinds:
        return ProviderUnavailableError("The provider did not begin in time.", outcome=outcome)
    return ProviderUnavailableError("The model failed.", outcome=outcome)
