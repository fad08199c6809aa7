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
    OverloadedError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
)
from limner.models.http import NOT_BOUGHT, OUTCOME, UNKNOWN, Response, UnreadableAnswerError

log = logging.getLogger(__name__)

_MAX_DESCRIPTION_CHARS: Final = 4000
_NSFW: Final = "The provider withheld this picture: its safety check found it unsuitable."
_REFUSALS: Final[Mapping[str, str]] = {
    "content_policy_violation": "The provider refuses this prompt or picture: it is against its content policy.",
    # What Gemini's refusals become at fal. To go round one by another model is the worse mistake.
    "no_media_generated": "The provider made no picture of this, which mostly is a refusal. Try other words.",
    "image_too_small": "The provider refuses an input picture: it is too small.",
    "image_too_large": "The provider refuses an input picture: it is too large.",
    "file_too_large": "The provider refuses an input picture: its file is too large.",
    "image_load_error": "The provider can't read an input picture.",
    "unsupported_image_format": "The provider can't read the format of an input picture.",
    "string_too_long": "The provider refuses this prompt: it is too long.",
    "string_too_short": "The provider refuses this prompt: it is too short.",
}
_OURS: Final = ("prompt", "image", "mask")
"""How the fields begin that hold what the caller sent."""
_NOT_THE_REQUEST: Final = frozenset({"downstream_service_error", "client_disconnected", "client_cancelled"})
"""Types of definite errors that blame neither the request nor the account."""
_UNDECIDED: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, 499})
_UNTAKEN_STATUSES: Final = frozenset({HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})
_UNTAKEN: Final = "The provider does not take this prompt or picture."
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

    def refusal(self, place: int) -> LimnerError | None:
        """Return why the picture at a place is not to be had, or ``None``."""
        if place < len(self.withheld) and self.withheld[place]:
            return ContentRejectedError(_NSFW)
        if place >= len(self.pictures):
            return ProviderUnavailableError("The model made fewer pictures than asked.", metadata={OUTCOME: UNKNOWN})
        return None


def members(response: Response) -> Mapping[str, Any]:
    """Return the members of an answer that is a JSON object; none of any other answer."""
    try:
        document = response.json()
    except UnreadableAnswerError:
        return {}
    return document if isinstance(document, dict) else {}


def result(response: Response) -> Result:
    """Read the result of a job. Raises ``UnreadableAnswerError`` for what is none."""
    made = members(response)
    images = made.get("images", [made["image"]] if "image" in made else None)
    if not isinstance(images, list):
        raise UnreadableAnswerError("a result without pictures")
    flags = made.get("has_nsfw_concepts")
    return Result(
        pictures=tuple(each.get("url") if isinstance(each, dict) else each for each in images),
        withheld=tuple(flag is True for flag in flags) if isinstance(flags, list) else (),
        description=str(made.get("description") or "")[:_MAX_DESCRIPTION_CHARS],
    )


def failure(response: Response, *, began: bool) -> LimnerError | None:
    """Return what a definite error means, or ``None`` when the status and its hints say all.

    ``began``: whether it is how a job ended; else a request was not taken. Errors of a server are never billed.
    """
    told = members(response)
    kinds = _kinds(response, told)
    error = _refusal(kinds) or _misconfigured(response, told, began) or _unfit(response, told, kinds, began)
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


def _refusal(kinds: set[str]) -> LimnerError | None:
    return next((ContentRejectedError(text) for kind, text in _REFUSALS.items() if kind in kinds), None)


def _misconfigured(response: Response, told: Mapping[str, Any], began: bool) -> LimnerError | None:
    detail = told.get("detail")
    words = detail.lower() if isinstance(detail, str) else ""
    metadata = {} if began else {OUTCOME: NOT_BOUGHT}
    if any(each in words for each in _NO_CREDIT) or response.status == HTTPStatus.PAYMENT_REQUIRED:
        return ProviderMisconfiguredError("The provider says that no credit is left.", metadata=metadata)
    if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ProviderMisconfiguredError("The provider rejects the credentials of this service.", metadata=metadata)
    if response.status == HTTPStatus.NOT_FOUND and not began:
        return ProviderMisconfiguredError("The provider does not know this model.", metadata=metadata)
    return None


def _unfit(response: Response, told: Mapping[str, Any], kinds: set[str], began: bool) -> LimnerError | None:
    """Return what a definite no to the request means: what the caller sent is blamed, or how it was asked for."""
    status = response.status
    if not 300 <= status < 500 or status in _UNDECIDED or kinds & _NOT_THE_REQUEST or (status == 404 and began):
        return None
    metadata = {} if began else {OUTCOME: NOT_BOUGHT}
    blamed = _blamed_fields(told)
    if status in _UNTAKEN_STATUSES and (not blamed or any(field.startswith(_OURS) for field in blamed)):
        return ContentRejectedError(_UNTAKEN, metadata=metadata)
    return ProviderMisconfiguredError("The provider does not accept the requests for this model.", metadata=metadata)


def _blamed_fields(told: Mapping[str, Any]) -> set[str]:
    """Return the fields that an error names, each by its first name below ``body``."""
    detail = told.get("detail")
    places = [each.get("loc") for each in detail if isinstance(each, dict)] if isinstance(detail, list) else []
    return {str(place[1]) for place in places if isinstance(place, list) and len(place) > 1}


def _broken(response: Response, told: Mapping[str, Any], kinds: set[str], began: bool) -> LimnerError:
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return OverloadedError("The provider is busy. Try again later.")
    free = not began or (response.status >= 500 and "detail" in told)
    metadata = {OUTCOME: NOT_BOUGHT if free else UNKNOWN}
    if response.header("x-fal-request-timeout-type") or "request_timeout" in kinds:
        return ProviderUnavailableError("The provider did not begin in time.", metadata=metadata)
    return ProviderUnavailableError("The model failed.", metadata=metadata)
