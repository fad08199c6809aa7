"""What a vendor's error means for the caller and for money. Its text is matched, and neither told nor logged."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from limner.domain.errors import ContentRejectedError, LimnerError, ProviderMisconfiguredError
from limner.models.http import NOT_BOUGHT, OUTCOME, Response, UnreadableAnswerError

_MODERATED: Final = frozenset(
    {"moderation_blocked", "content_policy_violation", "image_content_policy_violation", "content_filter"}
)
_MODERATED_WORDS: Final = ("contentpolicyviolationerror", "rejected by the safety system", "content_policy_violation")
_NO_CREDIT: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "budget_exceeded", "account_deactivated"}
)
_NO_CREDIT_WORDS: Final = ("exceeded your current quota", "billing hard limit", "budget has been exceeded")
_LIMITED_WORDS: Final = ("litellm.ratelimiterror",)
_BAD_INPUT: Final = frozenset({"invalid_image_file", "invalid_image_format", "invalid_image", "image_too_large"})
_INPUT_FIELDS: Final = ("prompt", "image")
_CODE: Final = re.compile(r"[a-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An error as any of the servers writes it. Empty texts where it says nothing."""

    code: str = ""
    kind: str = ""
    field: str = ""
    message: str = ""
    """In lower case. It may echo the prompt."""
    after_work: bool = False
    """The finished picture was refused, not the request."""

    @property
    def names(self) -> frozenset[str]:
        """What to look for among the known codes."""
        return frozenset({self.code, self.kind})

    @property
    def safe_code(self) -> str:
        """The code, when it is one and not a sentence."""
        return self.code if _CODE.fullmatch(self.code) else ""


def fault_of(response: Response) -> Fault:
    """Return the error in an answer; an empty one when there is none, or none to be found, as in a proxy's page."""
    if response.status < 300:
        return Fault()
    try:
        return fault_in(response.json())
    except UnreadableAnswerError:
        return Fault()


def fault_in(document: object) -> Fault:
    """Return the error in a document: ``{"error": {…}}``, ``{"error": "text"}`` or ``{"detail": …}``."""
    if not isinstance(document, dict):
        return Fault()
    error = document.get("error")
    if not isinstance(error, dict):
        return Fault(message=str(error or document.get("detail", "")).lower())
    details = error.get("moderation_details")
    return Fault(
        code=str(error.get("code") or ""),
        kind=str(error.get("type") or ""),
        field=str(error.get("param") or ""),
        message=str(error.get("message") or "").lower(),
        after_work=isinstance(details, dict) and details.get("moderation_stage") == "output",
    )


def refusal(status: int, fault: Fault) -> LimnerError | None:
    """Return the error for a definite no, or ``None`` for success, a rate limit or an outcome that nobody knows.

    Its metadata say ``outcome: not_bought``, but for a finished picture that was refused.
    """
    if not 300 <= status < 500:
        return None
    metadata = {} if fault.after_work else {OUTCOME: NOT_BOUGHT}
    if _is_moderated(fault):
        return ContentRejectedError(metadata=metadata)
    if fault.names & _NO_CREDIT or _says(fault, _NO_CREDIT_WORDS):
        return ProviderMisconfiguredError(metadata=metadata)
    if says_busy(status, fault) or status in (HTTPStatus.REQUEST_TIMEOUT, 499):
        return None
    if _is_bad_input(status, fault):
        return ContentRejectedError("The provider does not take this prompt or picture.", metadata=metadata)
    return ProviderMisconfiguredError(metadata=metadata)


def refuses_field(status: int, fault: Fault, name: str) -> bool:
    """Return whether a request was refused for a field that the server doesn't know."""
    return status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY) and (
        fault.field == name or name in fault.message
    )


def late_refusal(fault: Fault) -> LimnerError | None:
    """Return the error when a stream, or an answer of 2xx, ends with a refusal; ``None`` for other ends."""
    return ContentRejectedError() if _is_moderated(fault) else None


def says_busy(status: int, fault: Fault) -> bool:
    """Return whether nothing was begun because of a rate limit, whatever the status around it."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return True
    return "rate_limit_exceeded" in fault.names or _says(fault, _LIMITED_WORDS)


def _is_moderated(fault: Fault) -> bool:
    return bool(fault.names & _MODERATED) or _says(fault, _MODERATED_WORDS)


def _is_bad_input(status: int, fault: Fault) -> bool:
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or fault.code in _BAD_INPUT:
        return True
    return status == HTTPStatus.BAD_REQUEST and fault.field.startswith(_INPUT_FIELDS)


def _says(fault: Fault, words: tuple[str, ...]) -> bool:
    return any(each in fault.message for each in words)
