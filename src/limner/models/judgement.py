"""What a vendor's complaint means: for the caller, for the operator, and for money. One judgement for all adapters.

The worst mistake is to take a refusal for something else: another model would then be asked to go round it. So what
nobody knows is taken for a refusal, and only what names a field or a credential surely bought nothing.
"""

import logging
import re
from collections.abc import Iterable
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from limner.domain.errors import (
    ContentRejectedError,
    FieldViolation,
    InvalidFieldError,
    LimnerError,
    Outcome,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
)
from limner.models.complaint import Code, Complaint

log = logging.getLogger(__name__)


class Meaning(StrEnum):
    """What a complaint is about."""

    CONTENT = "content"
    """The prompt, an input or the finished picture is refused by moderation."""
    PICTURE = "picture"
    """An input can't be read, or has not the right size."""
    PROMPT = "prompt"
    """The prompt is not taken, and not for what it says: it is too long, or missing."""
    OPERATOR = "operator"
    """The key, the account, its credit, or which models it may use."""
    FIELD = "field"
    """A field that the adapter wrote is not taken."""
    OUTAGE = "outage"
    """Something behind the provider is down, slow or busy."""
    SILENT = "silent"
    """Nothing that anybody knows."""


_MAX_FIELDS: Final = 16
UNEXPLAINED: Final = frozenset({400, 403, 422, 451})
"""Statuses by which a picture is refused; what gives no reason that is known is a refusal, too."""

_MODERATED_WORDS: Final = frozenset(
    {
        *("sensitive", "moderation", "moderated", "safety", "inspection", "guidelines", "filtered", "nsfw", "flagged"),
        *("prohibited", "unsafe", "inappropriate", "harmful", "offensive", "blocklist", "recitation", "spii", "csam"),
        *("jailbreak", "disallowed", "obscene", "sexual", "violence", "porn", "copyright", "raifilteredreason"),
    }
)
_MODERATED_PAIRS: Final = frozenset(
    {
        *(("content", "policy"), ("content", "filter"), ("policy", "violation"), ("usage", "policy")),
        *(("responsible", "ai"), ("risk", "control"), ("content", "blocked"), ("content", "rejected")),
        *(("content", "violation"), ("content", "check"), ("content", "risk"), ("content", "security")),
        *(("rai", "filtered"), ("usage", "guidelines"), ("banned", "word"), ("banned", "words"), ("model", "armor")),
    }
)
"""Two words that a code of moderation has side by side."""
_NO_VERDICT: Final = frozenset(
    {
        *("unavailable", "timeout", "timedout", "unreachable", "overloaded", "quota", "rate", "limit", "limited"),
        *("invalid", "unknown", "unsupported", "missing", "parameter", "setting", "settings", "value", "tolerance"),
        *("checker", "threshold", "level", "identifier", "enable", "enabled", "disable", "disabled"),
    }
)
"""Words of codes that are about moderation and yet no refusal: its fields, its outages, its quota."""
_VERDICTS: Final = frozenset(
    {
        *("violation", "violates", "violated", "blocked", "failed", "detected", "rejected", "refused", "flagged"),
        *("filtered", "filter", "error", "exception", "nsfw", "denied", "prohibited", "hit", "triggered", "content"),
    }
)
"""One of these makes a name in the midst of a text a verdict, and not a field's name."""
_BAD_FLAGS: Final = _MODERATED_WORDS | {"blocked", "rejected", "refused", "violation", "violates"}
_GOOD_FLAGS: Final = frozenset(
    {"respect", "respects", "pass", "passed", "passes", "ok", "compliant", "allowed", "safe"}
)

_MODERATED_TEXT: Final = re.compile(
    r"(?<!case[ -])(?<!time[ -])\bsensitive\b|\bmoderat(?:ion|ed|or|ors)\b|\bcontent[ -]?(?:polic|filter|guideline)|"
    r"\b(?:usage|safety|use) polic|\bacceptable use\b|\bguidelines?\b|\bcommunity standards\b|"
    r"\bsafety\b(?! (?:setting|tolerance|level|threshold|margin|factor|identifier))|\bnsfw\b|\binspection\b|"
    r"\binappropriate\b|\bflagged\b|\bfiltered\b|\bresponsible ai\b|\bprohibited\b|\bunsafe\b|\bharmful\b|"
    r"\boffensive\b|\bobscen|\bvulgar|\bexplicit (?:content|material|imager|sexual)|\bsexual|\bporn|\bnudity\b|"
    r"\bnude\b|\bviolen(?:ce|t)\b|\bgore\b|\bhate(?:ful)? ?(?:speech|content)?\b|\bself[ -]harm|\bcsam\b|\bminors\b|"
    r"\bextremis|\bterroris|\b(?:illegal|unlawful) (?:content|activit|material|image)|\bcopyright|\btrademark|"
    r"\bintellectual property\b|\binfring|\bcelebrit|\bpublic figure|\brecitation\b|\brisk(?:y)? (?:control|content)|"
    r"\b(?:forbidden|banned|blocked|disallowed) (?:content|words?|terms?|topics?|subjects?)|\bblocklist|\bdisallowed\b|"
    r"\bpolicy violation|\bviolat\w{1,8}[^.\n]{0,60}(?:polic|guideline|terms|rules|standard|law|regulation)|"
    r"\bagainst (?:our|the|its|their|\w+'s) (?:\w+ )?(?:polic|terms|rules|guideline)|\bterms of (?:service|use)\b|"
    r"\bcannot (?:generate|create|produce) (?:this|that|such)|"
    "敏感|违规|違規|审核|審核|违禁|違禁|不合规|色情|涉政|涉黄|内容安全|安全策略|不適切|ガイドライン|センシティブ"
)
_VERDICT_TEXT: Final = re.compile(
    r"\bviolat(?:es|ed|ing)\b|\bflagged\b|\brejected\b|\brefused\b|\binappropriate\b|\bdetected\b|\bcontains?\b|"
    r"\bblocked (?:by|due|because|as)\b|\bprohibited\b|违规|敏感内容|不合规"
)
"""What is said of a request, and not of the machinery that looks at requests."""
_OUTAGE_TEXT: Final = re.compile(
    r"\bunavailable\b(?! for legal)|\boverload|\btimed? ?out\b|\btry again later\b|\btemporar|"
    r"\binternal (?:server )?error\b|"
    r"\bcapacity\b|\bbusy\b|\bmaintenance\b|\bupstream (?:error|connect|request)|\bconnection\b|\bhigh demand\b|"
    r"\b(?:could|can) ?not (?:be reached|reach|connect)|\bunreachable\b|\bfailed to (?:connect|reach|load)\b|"
    r"\brate limit|\btoo many requests\b|\bshutting down\b|\brestarting\b"
)
_OUTAGE_CODES: Final = frozenset(
    {"unavailable", "timeout", "overloaded", "deadline", "unreachable", "internal", "busy", "throttled", "throttling"}
)
_OPERATOR_TEXT: Final = re.compile(
    r"\bapi[ _-]?keys?\b|\bcredentials?\b|\bunauthori[sz]ed\b|\bunauthenticated\b|\bauthenticat(?:ion|e|ed)\b|"
    r"\b(?:access|auth\w*|bearer) token\b|\bpermissions?\b|\baccess (?:is |was )?denied\b|"
    r"\b(?:no|not have|n't have|without|lacks?) access\b|\bmust be verified\b|\bverify your organi|\bbilling\b|"
    r"\b(?:insufficient|exhausted|negative|not enough) (?:account )?(?:balance|credits?|funds|quota)|\bno credits?\b|"
    r"\bout of credits?\b|\bquota\b|\barrears?\b|\boverdue\b|\bpayment\b|\bsubscri(?:be|ption)\b|\btop up\b|"
    r"\bspending (?:cap|limit)|\bbudget has been exceeded\b|\bnot (?:activated|opened|enabled) (?:for|in|on|the)\b|"
    r"\b(?:country|region|location|territory)\b[^.\n]{0,30}\bnot (?:supported|available|allowed)|\buser is locked\b|"
    r"\b(?:account|organi[sz]ation|project|key) (?:is|was|has been|are) [^.\n]{0,30}"
    r"(?:suspend|disabl|deactiv|block|bann|lock|restrict|limit)|"
    r"\bmodels?\b[^.\n]{0,80}(?:does not exist|not exist|not found|not available|is not supported|no longer available)|"
    r"\b(?:unknown|invalid) model\b|\bmodel mismatch\b|\bno such model\b|"
    r"\bip address\b|\bip (?:is )?not\b|\ballow-?list|\bwhitelist"
)
_OPERATOR_WORDS: Final = frozenset(
    {
        *("billing", "balance", "credit", "credits", "arrearage", "unauthenticated", "unauthorized", "authentication"),
        *("permission", "quota", "budget", "credentials", "forbidden_key", "deactivated", "suspended", "unpaid"),
    }
)
_OPERATOR_PAIRS: Final = frozenset(
    {
        *(("api", "key"), ("access", "denied"), ("invalid", "key"), ("invalid", "token"), ("account", "disabled")),
        *(("model", "not"), ("unknown", "model"), ("unsupported", "country"), ("not", "authorized"), ("no", "access")),
    }
)
_PICTURES: Final = frozenset({"image", "images", "picture", "photo", "file", "mask"})
_UNREADABLE: Final = frozenset(
    {
        *("parse", "invalid", "decode", "decoding", "corrupt", "corrupted", "unreadable", "unsupported", "load"),
        *("malformed", "format", "large", "small", "download", "resolution", "dimension", "dimensions"),
    }
)
_PICTURE_TEXT: Final = re.compile(
    r"\b(?:provided|input|reference|source|uploaded|given|base|first|the|your|this|an?) "
    r"(?:image|picture|photo|mask)s?\b[^.\n]{0,60}"
    r"(?:not (?:a )?valid|invalid|corrupt|unreadable|damaged|unsupported|malformed|too (?:large|small|big)|"
    r"(?:could ?n.?t|could not|can ?not|can.t) be (?:read|decoded|parsed|processed|opened|loaded|identified))|"
    r"\b(?:unable to|could not|couldn.t|can ?not|can.t|failed to|error (?:while |when )?)"
    r" ?(?:process|read|decod|pars|load|open|identify|download)\w* (?:the |your |an? |input |provided |reference |"
    r"uploaded |source )*(?:image|picture|photo|mask)|"
    r"\binvalid (?:input |base64 |reference |source )*(?:image|picture)\b(?! (?:size|count|number|format parameter))|"
    r"\bunsupported (?:image|picture) (?:format|type|mime)"
)
_CALLERS: Final = {
    Meaning.PROMPT: ("prompt", "text", "negative_prompt", "messages", "contents", "content"),
    Meaning.PICTURE: ("image", "images", "image_url", "image_urls", "mask", "mask_url", "mask_image_url", "file"),
}
"""The fields that hold what the caller sent."""
_SUBJECTS: Final = frozenset(
    {*_CALLERS[Meaning.PROMPT], *_CALLERS[Meaning.PICTURE], "request", "input", "inputs", "you", "it", "this", "user"}
)
"""What a text may be about without naming a field of ours."""


def meaning(status: int, complaint: Complaint) -> Meaning:
    """Return what an answer's complaint is about; ``status`` 200 is that of a document without pictures."""
    refusing = status in UNEXPLAINED or status >= 500 or status < 300 or status in (406, 409, 412)
    if _is_moderation(complaint):
        return Meaning.CONTENT
    fields = complaint.named_fields - _SUBJECTS
    moderated = refusing and _says_moderation(complaint, fields)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED) or _is_operators(complaint):
        tells_both = moderated and _VERDICT_TEXT.search(complaint.text)
        return Meaning.CONTENT if tells_both else Meaning.OPERATOR
    if moderated:
        is_outage = _OUTAGE_TEXT.search(complaint.text) and not _VERDICT_TEXT.search(complaint.text)
        return Meaning.OUTAGE if is_outage else Meaning.CONTENT
    return _technical(complaint, fields)


def refusal(status: int, complaint: Complaint, *, surely: bool = True) -> LimnerError | None:
    """Return the error for a definite no, or ``None`` for success, a rate limit or an outcome that nobody knows.

    Its outcome is ``NOT_BOUGHT`` only when the complaint names what was wrong with the request or the
    account, and never when it is not ``surely`` so, as at the end of a job. A refusal counts whatever status is
    around it, since relays make a 502 of it.
    """
    about = meaning(status, complaint) if status >= 300 or status == 200 else Meaning.SILENT
    if about is Meaning.CONTENT:
        return ContentRejectedError(outcome=_unbought(surely and _refused_input(complaint)))
    if not 300 <= status < 500 or status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, 499):
        return None
    unbought = _unbought(surely)
    if about is Meaning.OPERATOR:
        return ProviderMisconfiguredError(outcome=unbought)
    if about is Meaning.PICTURE:
        return unreadable_picture(outcome=unbought)
    if about is Meaning.PROMPT or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return ContentRejectedError("The provider does not take this prompt or picture.", outcome=unbought)
    if status not in UNEXPLAINED or about is Meaning.FIELD:
        return ProviderMisconfiguredError("The provider does not accept the requests for this model.", outcome=unbought)
    if about is Meaning.OUTAGE:
        return ProviderUnavailableError(outcome=Outcome.UNKNOWN)
    return ContentRejectedError("The provider refuses this request, and does not say why.")


def late_refusal(complaint: Complaint) -> LimnerError | None:
    """Return the refusal in a 2xx without pictures, or at a stream's end; ``None`` when it is about something else."""
    return ContentRejectedError() if meaning(HTTPStatus.OK, complaint) is Meaning.CONTENT else None


def unreadable_picture(
    text: str = "the provider can't read one of these pictures", *, outcome: Outcome | None = None
) -> InvalidFieldError:
    """Return what the caller is told of an input that the provider does not take for a picture."""
    return InvalidFieldError([FieldViolation("imageIds", text)], outcome=outcome)


def _unbought(surely: bool) -> Outcome | None:
    return Outcome.NOT_BOUGHT if surely else None


def _refused_input(complaint: Complaint) -> bool:
    """Return whether OpenAI says that the request was refused, and no finished picture, which is paid for."""
    return complaint.has_code("moderation_blocked") and any(code.name == "input" for code in complaint.codes)


def _is_moderation(complaint: Complaint) -> bool:
    """Return whether a code or a flag says so."""
    return (
        any(_moderates(code) for code in complaint.codes)
        or any(_moderates(code) and not _VERDICTS.isdisjoint(code.words) for code in complaint.quoted)
        or any(_flags(code, value) for code, value in complaint.flags)
    )


def _moderates(code: Code) -> bool:
    if not _NO_VERDICT.isdisjoint(code.words):
        return False
    return not _MODERATED_WORDS.isdisjoint(code.words) or not _MODERATED_PAIRS.isdisjoint(_pairs(code))


def _flags(code: Code, value: bool) -> bool:
    if not _NO_VERDICT.isdisjoint(code.words):
        return False
    if not _GOOD_FLAGS.isdisjoint(code.words):
        return not value and (_moderates(code) or "safe" in code.words)
    return value and not _BAD_FLAGS.isdisjoint(code.words)


def _pairs(code: Code) -> Iterable[tuple[str, str]]:
    return set(zip(code.words, code.words[1:], strict=False))


def _says_moderation(complaint: Complaint, fields: set[str]) -> bool:
    """Return whether the texts speak of moderation, the names of fields left out (``safety_tolerance``)."""
    text = complaint.text
    for name in sorted(fields)[:_MAX_FIELDS]:
        text = re.sub(rf"\b{re.escape(name)}\b", " ", text)
    return bool(_MODERATED_TEXT.search(text))


def _is_operators(complaint: Complaint) -> bool:
    for code in complaint.codes:
        if not _OPERATOR_WORDS.isdisjoint(code.words) or not _OPERATOR_PAIRS.isdisjoint(_pairs(code)):
            return True
    return bool(_OPERATOR_TEXT.search(complaint.text))


def _technical(complaint: Complaint, fields: set[str]) -> Meaning:
    """Return what a complaint is about that is no refusal and not the operator's account."""
    if any(not _PICTURES.isdisjoint(c.words) and not _UNREADABLE.isdisjoint(c.words) for c in complaint.codes):
        return Meaning.PICTURE
    if fields:
        return Meaning.FIELD
    if _PICTURE_TEXT.search(complaint.text):
        return Meaning.PICTURE
    for about, names in _CALLERS.items():
        if not complaint.fields.isdisjoint(names):
            return about
    if _OUTAGE_TEXT.search(complaint.text) or any(not _OUTAGE_CODES.isdisjoint(c.words) for c in complaint.codes):
        return Meaning.OUTAGE
    return Meaning.SILENT
