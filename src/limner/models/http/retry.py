"""When a provider may be asked again."""

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from limner.domain.backoff import Backoff
from limner.domain.limits import KIB
from limner.outbound.answer import Response
from limner.outbound.errors import UnboughtError

T = TypeVar("T")

MAX_HINT_S: Final = 3600.0
_MAX_TEXT_BYTES: Final = 16 * KIB
_NUMBER: Final = re.compile(r"\d{1,12}(?:\.\d{1,9})?")
_IN_WORDS: Final = re.compile(
    r"(?:try again in|retry in|retry after|resets? in|wait)\s+~?"
    r"((?:\d{1,9}(?:\.\d{1,9})?\s*(?:ms|milli|h|m|s)[a-z]*\s*)+)",
    re.IGNORECASE,
)
_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milli|h|m|s)", re.IGNORECASE)
_UNIT_S: Final = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_VERDICT_HEADERS: Final = ("x-should-retry", "x-fal-needs-retry", "x-fal-retryable")


@dataclass(frozen=True, slots=True)
class RetryHint:
    """What an answer says about asking again."""

    after_s: float | None = None
    """Seconds to wait, 0 to 3600; ``None`` when it names no time."""
    retry: bool | None = None
    """Whether asking again helps; ``None`` when it does not say."""


def retry_hint(response: Response, now: datetime) -> RetryHint:
    """Merge every form of hint that providers give; of several times the longest, and one "no" outweighs a "yes".

    Headers ``retry-after-ms``, ``retry-after`` (seconds or a date), ``x-should-retry`` (OpenAI), ``x-fal-needs-retry``,
    ``x-fal-retryable``; in the body of an error Google's ``RetryInfo.retryDelay`` and a ``QuotaFailure`` of a day's
    quota; texts such as "try again in 12s", "in 320ms", "in 6m30s", "resets in ~30s" (OpenAI, Replicate).
    """
    if response.status < 400:
        return RetryHint()
    text = response.body[:_MAX_TEXT_BYTES].decode("utf-8", "replace")
    details = _google_details(text)
    times = [*_header_times(response, now), *_detail_times(details), *_times_in_words(text)]
    verdicts = [*_header_verdicts(response), *_detail_verdicts(details)]
    after_s = min(max(0.0, *times), MAX_HINT_S) if times else None
    return RetryHint(after_s, all(verdicts) if verdicts else None)


def _header_times(response: Response, now: datetime) -> Iterator[float]:
    if _NUMBER.fullmatch(milliseconds := response.header("retry-after-ms").strip()):
        yield float(milliseconds) / 1000
    after = response.header("retry-after").strip()
    if _NUMBER.fullmatch(after):
        yield float(after)
    elif after:
        yield from _seconds_until(after, now)


def _seconds_until(date: str, now: datetime) -> Iterator[float]:
    try:
        at = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return
    yield (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()


def _header_verdicts(response: Response) -> Iterator[bool]:
    for name in _VERDICT_HEADERS:
        value = response.header(name).strip().lower()
        if value in {"true", "1", "false", "0"}:
            yield value in {"true", "1"}


def _google_details(text: str) -> list[dict[str, Any]]:
    """Return ``error.details`` of an error in Google's form, which may stand in a list."""
    if "details" not in text:
        return []
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return []
    document = document[0] if isinstance(document, list) and document else document
    error = document.get("error") if isinstance(document, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    return [each for each in details if isinstance(each, dict)] if isinstance(details, list) else []


def _detail_times(details: list[dict[str, Any]]) -> Iterator[float]:
    for detail in details:
        if _NUMBER.fullmatch(delay := str(detail.get("retryDelay", "")).removesuffix("s")):
            yield float(delay)


def _detail_verdicts(details: list[dict[str, Any]]) -> Iterator[bool]:
    """A quota of a day is not worth waiting for."""
    for detail in details:
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and "PerDay" in str(violation.get("quotaId", "")):
                yield False


def _times_in_words(text: str) -> Iterator[float]:
    for words in _IN_WORDS.findall(text):
        yield sum(float(number) * _UNIT_S[unit.lower()] for number, unit in _TIME.findall(words))


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently to ask again."""

    attempts: int = 3
    """Calls in all, the first among them."""
    first_delay_s: float = 0.5
    max_delay_s: float = 8.0
    """Longest wait between two calls; a longer hint ends the retries at once."""


async def retry_surely_unbought(
    call: Callable[[], Awaitable[T]],
    policy: RetryPolicy | None = None,
    *,
    within_s: float,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    jitter: Callable[[], float] = random.random,
) -> T:
    """Call, and again after an ``UnboughtError``, as long as the policy and the time left allow; raise the last one.

    Every other exception is passed on at once. ``within_s`` bounds all calls and waits: no wait is begun that would
    end after it. The call bounds itself.
    """
    policy = policy or RetryPolicy()
    clock = asyncio.get_running_loop().time
    end = clock() + within_s
    for attempt in range(1, policy.attempts):
        try:
            return await call()
        except UnboughtError as error:
            delay_s = _delay_s(error, policy, attempt, jitter())
            if delay_s is None or clock() + delay_s >= end:
                raise
        await sleep(delay_s)
    return await call()


def _delay_s(error: UnboughtError, policy: RetryPolicy, attempt: int, jitter: float) -> float | None:
    """Return how long to wait: a hint and up to a quarter more, else half to all of a doubling delay."""
    if not error.may_retry:
        return None
    if error.retry_after_s is not None:
        return error.retry_after_s * (1 + jitter / 4) if error.retry_after_s <= policy.max_delay_s else None
    return Backoff(policy.first_delay_s, policy.max_delay_s).delay_s(attempt) * (1 + jitter) / 2
