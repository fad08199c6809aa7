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
        pictures=tuple(each.get("url") if isinstance(each, dict) else None for each in images),
        withheld=tuple(flag is True for flag in flags) if isinstance(flags, list) else (),
        description=str(made.get("description") or "")[:_MAX_DESCRIPTION_CHARS],
    )


def failure(response: Response, *, began: bool) -> LimnerError | None:
    """Return what a definite error means, or ``None`` when the status and its hints say all.

    ``began``: whether it is how a job ended; else a request was not taken. Errors of a server are never billed.
    """
    told = members(response)
    kinds = _kinds(response, told)
    error = _refusal(kinds) or _misconfigured(response, told, began)
    if error is None and (began or _is_definite(response.status)):
        error = _broken(response, told, kinds, began)
    if error is not None:
        log.warning("fal said no", extra={"status": response.status, "kinds": sorted(kinds)[:8], "began": began})
    return error


def _is_definite(status: int) -> bool:
    return 300 <= status < 500 and status not in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, 499)


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


def _broken(response: Response, told: Mapping[str, Any], kinds: set[str], began: bool) -> LimnerError:
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return OverloadedError("The provider is busy. Try again later.")
    free = not began or (response.status >= 500 and "detail" in told)
    metadata = {OUTCOME: NOT_BOUGHT if free else UNKNOWN}
    if response.header("x-fal-request-timeout-type") or "request_timeout" in kinds:
        return ProviderUnavailableError("The provider did not begin in time.", metadata=metadata)
    if response.status >= 500:
        return ProviderUnavailableError("The model failed.", metadata=metadata)
    return ProviderUnavailableError("The provider does not accept this request.", metadata=metadata)
