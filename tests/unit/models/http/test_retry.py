"""Hints of when to ask again, and asking again."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.models.http.outcome import BusyError
from limner.models.http.retry import RetryHint, RetryPolicy, retry_hint, retry_surely_unbought
from limner.outbound.answer import Response
from limner.outbound.errors import OutcomeUnknownError, UnreachableError

NOW = datetime(2026, 11, 4, 12, 0, 0, tzinfo=UTC)


def google(*details: dict[str, object], listed: bool = False) -> bytes:
    error = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": list(details)}}
    return json.dumps([error] if listed else error).encode()


RETRY_INFO: dict[str, object] = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "47.8s"}
PER_DAY: dict[str, object] = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
}


@pytest.mark.parametrize(
    ("headers", "body", "hint"),
    [
        ({}, b"", RetryHint()),
        ({"retry-after": "2"}, b"", RetryHint(2.0)),
        ({"retry-after": "0.5"}, b"", RetryHint(0.5)),
        ({"retry-after": "Wed, 04 Nov 2026 12:00:12 GMT"}, b"", RetryHint(12.0)),
        ({"retry-after": "Wed, 04 Nov 2026 11:00:00 GMT"}, b"", RetryHint(0.0)),
        ({"retry-after": "99999999"}, b"", RetryHint(3600.0)),
        ({"retry-after": "-5"}, b"", RetryHint()),
        ({"retry-after": "soon"}, b"", RetryHint()),
        ({"retry-after": "nan"}, b"", RetryHint()),
        ({"retry-after-ms": "320"}, b"", RetryHint(0.32)),
        ({"retry-after-ms": "320", "retry-after": "1"}, b"", RetryHint(1.0)),
        ({"x-should-retry": "true"}, b"", RetryHint(None, True)),
        ({"x-should-retry": "false"}, b"", RetryHint(None, False)),
        ({"x-fal-needs-retry": "1"}, b"", RetryHint(None, True)),
        ({"x-fal-retryable": "False"}, b"", RetryHint(None, False)),
        ({"x-fal-retryable": "true", "x-should-retry": "false"}, b"", RetryHint(None, False)),
        ({}, google(RETRY_INFO), RetryHint(47.8)),
        ({}, google({"retryDelay": "0.5s"}, listed=True), RetryHint(0.5)),
        ({}, google(RETRY_INFO, PER_DAY), RetryHint(47.8, False)),
        ({}, google({"retryDelay": {"seconds": 3}}, {"violations": 7}), RetryHint()),
        ({}, b'{"error":{"details":7}}', RetryHint()),
        ({}, b'{"error":{"details":[', RetryHint()),
        ({}, b"Rate limit reached. Limit 5, Used 5. Please try again in 12s. Visit", RetryHint(12.0)),
        ({}, b"Please try again in 320ms.", RetryHint(0.32)),
        ({}, b"Please try again in 6m30s.", RetryHint(390.0)),
        ({}, b"try again in 20 seconds", RetryHint(20.0)),
        ({}, b"retry in 250 milliseconds", RetryHint(0.25)),
        ({}, b"Please retry in 47.8s.", RetryHint(47.8)),
        ({}, b'{"detail":"Request was throttled. Your rate limit resets in ~30s."}', RetryHint(30.0)),
    ],
)
def test_every_form_of_hint_is_read(headers: dict[str, str], body: bytes, hint: RetryHint) -> None:
    found = retry_hint(Response(429, headers, body), NOW)
    assert found.after_s == (None if hint.after_s is None else pytest.approx(hint.after_s))
    assert found.retry is hint.retry


def test_a_good_answer_hints_nothing() -> None:
    assert retry_hint(Response(200, {"retry-after": "2"}, b"try again in 12s"), NOW) == RetryHint()


@given(header=st.text(), body=st.binary())
def test_any_nonsense_gives_a_bounded_hint(header: str, body: bytes) -> None:
    names = ("retry-after", "retry-after-ms", "x-should-retry")
    for prefix in (b"", b'{"error":{"details":', b"try again in "):
        hint = retry_hint(Response(429, dict.fromkeys(names, header), prefix + body), NOW)
        assert hint.after_s is None or 0 <= hint.after_s <= 3600


class Calls:
    """Fails in the given ways, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.count = 0
        self.waits: list[float] = []

    async def __call__(self) -> str:
        self.count += 1
        if self._errors:
            raise self._errors.pop(0)
        return "done"

    async def sleep(self, delay_s: float) -> None:
        self.waits.append(delay_s)

    async def run(self, policy: RetryPolicy, *, within_s: float = 60, jitter: Callable[[], float] = lambda: 1.0) -> str:
        return await retry_surely_unbought(self, policy, within_s=within_s, sleep=self.sleep, jitter=jitter)


def busy(retry_after_s: float | None = None, may_retry: bool = True) -> BusyError:
    return BusyError("", status=429, retry_after_s=retry_after_s, may_retry=may_retry)


POLICY = RetryPolicy(attempts=3, first_delay_s=0.5, max_delay_s=8)


async def test_what_surely_bought_nothing_is_asked_again() -> None:
    calls = Calls(UnreachableError(""), busy())
    assert await calls.run(POLICY) == "done"
    assert calls.waits == [0.5, 1.0]


async def test_the_number_of_calls_is_bounded() -> None:
    calls = Calls(*[busy() for _ in range(9)])
    with pytest.raises(BusyError):
        await calls.run(POLICY)
    assert calls.count == 3


@pytest.mark.parametrize("error", [OutcomeUnknownError(""), ValueError()])
async def test_nothing_else_is_ever_asked_again(error: Exception) -> None:
    calls = Calls(error)
    with pytest.raises(type(error)):
        await calls.run(POLICY)
    assert calls.count == 1


async def test_an_unknown_outcome_after_a_retry_ends_it() -> None:
    calls = Calls(busy(), OutcomeUnknownError(""))
    with pytest.raises(OutcomeUnknownError):
        await calls.run(POLICY)
    assert calls.count == 2


@pytest.mark.parametrize(("jitter", "wait_s"), [(0.0, 4.0), (1.0, 5.0)])
async def test_a_hint_is_waited_for_and_a_little_longer(jitter: float, wait_s: float) -> None:
    calls = Calls(busy(4.0))
    assert await calls.run(POLICY, jitter=lambda: jitter) == "done"
    assert calls.waits == [wait_s]


@pytest.mark.parametrize("error", [busy(9.0), busy(may_retry=False)])
async def test_a_hint_that_is_too_long_or_says_no_ends_it(error: BusyError) -> None:
    calls = Calls(error)
    with pytest.raises(BusyError):
        await calls.run(POLICY)
    assert (calls.count, calls.waits) == (1, [])


async def test_no_wait_is_begun_that_would_end_too_late() -> None:
    calls = Calls(busy(4.0))
    with pytest.raises(BusyError):
        await calls.run(POLICY, within_s=3)
    assert calls.waits == []
