"""What an answer of any other status than 200 means."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Self

from limner.domain.errors import LimnerError, Outcome, ProviderMisconfiguredError
from limner.models.complaint import Complaint
from limner.models.http.outcome import BusyError, definite
from limner.models.judgement import Meaning, meaning, refusal
from limner.outbound.answer import Response

log = logging.getLogger(__name__)

_DAY_QUOTA_RETRY_S: Final = 3600.0
"""Quotas of a day begin anew at midnight in California; the answer's own hint, of seconds, is of no use."""
_NO_CREDIT: Final = ("credits are depleted", "spending cap")
_NOT_BEGUN: Final = ("overloaded", "high demand", "no capacity")
_MAX_ERROR_BYTES: Final = 65_536
_NAME: Final = re.compile(r"[A-Za-z_-]{1,80}")


@dataclass(frozen=True, slots=True)
class GoogleError:
    """An error in Google's form; empty when the body is something else, such as a proxy's page."""

    status: str = ""
    """Such as ``INVALID_ARGUMENT``."""
    message: str = ""
    """In lower case: to be matched, never shown."""
    reasons: frozenset[str] = frozenset()
    quotas: frozenset[str] = frozenset()

    @classmethod
    def of(cls, response: Response) -> Self:
        """Read the body: an object with ``error``, or a list of one."""
        error = _error_object(response.body)
        details = [each for each in _list(error.get("details")) if isinstance(each, dict)]
        violations = [each for detail in details for each in _list(detail.get("violations")) if isinstance(each, dict)]
        return cls(
            status=str(error.get("status", "")),
            message=str(error.get("message", "")).lower(),
            reasons=frozenset(str(each["reason"]) for each in details if "reason" in each),
            quotas=frozenset(str(each["quotaId"]) for each in violations if "quotaId" in each),
        )

    @property
    def known_by(self) -> list[str]:
        """Its names, for the log: they are of a fixed set and quote nobody."""
        return sorted(name for name in {self.status, *self.reasons, *self.quotas} if _NAME.fullmatch(name))

    @property
    def no_credit(self) -> bool:
        """Whether money is what lacks: prepaid credit, a cap, or billing at all (a free quota of none)."""
        return any(words in self.message for words in _NO_CREDIT) or (
            "limit: 0" in self.message and any("FreeTier" in each for each in self.quotas)
        )

    @property
    def day_quota(self) -> bool:
        """Whether a quota of the day is used up."""
        return any("PerDay" in each for each in self.quotas)

    @property
    def not_begun(self) -> bool:
        """Whether it says that no machine was free."""
        return "MODEL_CAPACITY_EXHAUSTED" in self.reasons or any(words in self.message for words in _NOT_BEGUN)


def _error_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body) if len(body) <= _MAX_ERROR_BYTES else None
    except (ValueError, RecursionError):
        return {}
    document = document[0] if isinstance(document, list) and document else document
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def accepted(response: Response, prompt: str = "") -> Response:
    """Return an answer of 2xx; of another one raise what it means. ``prompt`` is what its texts may repeat.

    A ``LimnerError`` is a definite no, and so is ``BusyError``, after which asking again may help: nothing was bought.
    ``OutcomeUnknownError`` says that nobody knows.
    """
    if 200 <= response.status < 300:
        return response
    error = GoogleError.of(response)
    log.warning("google answered with an error", extra={"status": response.status, "reasons": error.known_by})
    if refused := _refusal(response, error, Complaint.of(response, prompt)):
        raise refused
    if response.status == HTTPStatus.TOO_MANY_REQUESTS and error.day_quota:
        raise BusyError("a day's quota", status=response.status, retry_after_s=_DAY_QUOTA_RETRY_S, may_retry=False)
    busy = response.status == HTTPStatus.SERVICE_UNAVAILABLE and error.not_begun
    definite(response, unbought=busy)
    raise _misconfigured("The provider does not accept the requests for this model.")  # every other 4xx was a refusal


def _refusal(response: Response, error: GoogleError, complaint: Complaint) -> LimnerError | None:
    """Return what a definite no means: Google's own facts first, then what any vendor's complaint means."""
    status = response.status
    moderated = meaning(status, complaint) is Meaning.CONTENT
    if not moderated and (facts := next(_facts(status, error), "")):
        return _misconfigured(facts)
    return refusal(status, complaint)


def _facts(status: int, error: GoogleError) -> Iterator[str]:
    """Yield what is the operator's to mend, the most certain first."""
    if "API_KEY_INVALID" in error.reasons or status == HTTPStatus.UNAUTHORIZED or error.status == "PERMISSION_DENIED":
        yield "The provider rejects the credentials of this service."
    if status == HTTPStatus.TOO_MANY_REQUESTS and error.no_credit:
        yield "The provider wants to be paid by this service."
    if status == HTTPStatus.BAD_REQUEST and error.status == "FAILED_PRECONDITION":
        yield "The provider does not serve this account: for want of billing, or where it is."
    if status == HTTPStatus.NOT_FOUND:
        yield "The provider has no such model, or no longer."


def _misconfigured(fact: str) -> ProviderMisconfiguredError:
    return ProviderMisconfiguredError(f"{fact} Tell the operator.", outcome=Outcome.NOT_BOUGHT)
