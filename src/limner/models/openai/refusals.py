"""What is peculiar to OpenAI's protocol in a vendor's complaint; the rest is ``models/judgement.py``'s to say."""

import re
from http import HTTPStatus
from typing import Final

from limner.domain.errors import LimnerError, Outcome, ProviderMisconfiguredError
from limner.models import judgement
from limner.models.complaint import Complaint
from limner.models.judgement import Meaning
from limner.models.openai.requests import OMITTABLE, Fields

_NO_CREDIT: Final = (
    *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "budget_exceeded"),
    *("account_deactivated", "arrearage"),
)
_NO_CREDIT_TEXT: Final = re.compile("exceeded your current quota|billing hard limit|budget has been exceeded")
_LIMITED_TEXT: Final = "litellm.ratelimiterror"
_WITH_IT: Final = {"partial_images": "stream"}
"""Fields that are nothing without another one."""


def refusal(status: int, complaint: Complaint) -> LimnerError | None:
    """Return the error for a definite no, or ``None`` for success, a rate limit or an outcome that nobody knows."""
    if status < 300:
        return None
    if _says_no_credit(status, complaint):
        return ProviderMisconfiguredError(outcome=Outcome.NOT_BOUGHT)
    if says_busy(status, complaint) and judgement.meaning(status, complaint) is not Meaning.CONTENT:
        return None
    return judgement.refusal(status, complaint)


def says_busy(status: int, complaint: Complaint) -> bool:
    """Return whether nothing was begun because of a rate limit, whatever the status around it."""
    return (
        status == HTTPStatus.TOO_MANY_REQUESTS
        or complaint.has_code("rate_limit_exceeded")
        or _LIMITED_TEXT in complaint.text
    )


def refused_fields(status: int, complaint: Complaint, sent: Fields) -> frozenset[str]:
    """Return which of the sent fields the answer names as those that it does not take, and that can be left out."""
    if status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        return frozenset()
    if judgement.meaning(status, complaint) in (Meaning.CONTENT, Meaning.OPERATOR):
        return frozenset()
    named = complaint.named_fields | {name for name in sent if "_" in name and name in complaint.text}
    found = {_WITH_IT.get(name, name) for name in named.intersection(sent)}
    return frozenset(name for name in found.intersection(OMITTABLE) if name != "n" or sent[name] == 1)


def _says_no_credit(status: int, complaint: Complaint) -> bool:
    if not 400 <= status < 500:
        return False
    return complaint.has_code(*_NO_CREDIT) or bool(_NO_CREDIT_TEXT.search(complaint.text))
