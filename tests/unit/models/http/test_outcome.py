"""What an answer says about money, and what callers are told."""

from datetime import UTC, datetime

import pytest

from limner.domain.errors import (
    ContentRejectedError,
    LimnerError,
    Outcome,
    OverloadedError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
)
from limner.models.http.outcome import BusyError, Verdict, bought_nothing, definite, gravest, provider_errors, verdict
from limner.models.http.results import ResultError
from limner.outbound.answer import Response
from limner.outbound.errors import (
    CallError,
    ForeignAddressError,
    OutcomeUnknownError,
    UnreachableError,
    UnreadableAnswerError,
)

HTML = b"<html>502 Bad Gateway nginx</html>"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (Response(200), Verdict.ANSWERED),
        (Response(202), Verdict.ANSWERED),
        (Response(299), Verdict.ANSWERED),
        (Response(300), Verdict.REFUSED),
        (Response(302), Verdict.REFUSED),
        (Response(400), Verdict.REFUSED),
        (Response(401), Verdict.REFUSED),
        (Response(422), Verdict.REFUSED),
        (Response(408), Verdict.UNKNOWN),
        (Response(499), Verdict.UNKNOWN),
        (Response(429), Verdict.UNBOUGHT),
        (Response(503, {"retry-after": "2"}), Verdict.UNBOUGHT),
        (Response(503, {"x-fal-needs-retry": "1"}), Verdict.UNBOUGHT),
        (Response(503, {"x-should-retry": "false"}), Verdict.UNKNOWN),
        (Response(503, {}, HTML), Verdict.UNKNOWN),
        (Response(500, {"retry-after": "2"}), Verdict.UNKNOWN),
        (Response(502, {}, HTML), Verdict.UNKNOWN),
        (Response(504), Verdict.UNKNOWN),
        (Response(524), Verdict.UNKNOWN),
    ],
)
def test_the_verdict_of_an_answer(response: Response, expected: Verdict) -> None:
    assert verdict(response) is expected


def test_a_definite_answer_is_returned() -> None:
    for status in (200, 404, 422):
        assert definite(Response(status)).status == status


def test_a_busy_answer_carries_its_hint() -> None:
    headers = {"retry-after": "Wed, 04 Nov 2026 12:00:30 GMT", "x-should-retry": "false"}
    with pytest.raises(BusyError) as busy:
        definite(Response(429, headers), clock=lambda: datetime(2026, 11, 4, 12, tzinfo=UTC))
    assert (busy.value.status, busy.value.retry_after_s, busy.value.may_retry) == (429, 30.0, False)


def test_a_hint_is_read_once_and_by_the_clock_of_the_answer() -> None:
    """A date that has long gone by now was a hint when it came."""
    headers = {"retry-after": "Wed, 04 Nov 2026 12:00:30 GMT"}
    with pytest.raises(BusyError) as busy:
        definite(Response(503, headers), clock=lambda: datetime(2026, 11, 4, 12, tzinfo=UTC))
    assert (busy.value.status, busy.value.retry_after_s, busy.value.may_retry) == (503, 30.0, True)


def test_who_is_busy_without_a_hint_is_asked_again_after_a_second() -> None:
    with pytest.raises(OverloadedError, match="busy") as told, provider_errors():
        definite(Response(429))
    assert told.value.retry_after_s == 1.0


def test_an_outcome_is_told_in_words_that_fit_it() -> None:
    for error, words in ((ResultError(""), "can't be fetched"), (OutcomeUnknownError(""), "may have been paid")):
        with pytest.raises(ProviderUnavailableError, match=words), provider_errors():
            raise error


def test_a_busy_provider_may_be_asked_again_unless_it_says_no() -> None:
    assert BusyError("", status=429).may_retry


def test_the_vendors_own_word_makes_a_failure_one_that_bought_nothing() -> None:
    with pytest.raises(OutcomeUnknownError):
        definite(Response(500))
    with pytest.raises(BusyError):
        definite(Response(500), unbought=True)


@pytest.mark.parametrize(
    ("error", "told", "outcome", "nothing_bought"),
    [
        (BusyError("", status=429, retry_after_s=7.0), OverloadedError, None, True),
        (BusyError("", status=503, retry_after_s=7.0), ProviderUnavailableError, "not_bought", True),
        (UnreachableError(""), ProviderUnavailableError, "not_bought", True),
        (OutcomeUnknownError(""), ProviderUnavailableError, "unknown", False),
        (UnreadableAnswerError(""), ProviderUnavailableError, "unknown", False),
        (ForeignAddressError(""), ProviderUnavailableError, "unknown", False),
        (ResultError(""), ProviderUnavailableError, "bought", False),
    ],
)
def test_callers_are_told(error: CallError, told: type[LimnerError], outcome: str | None, nothing_bought: bool) -> None:
    with pytest.raises(told) as raised, provider_errors():
        raise error
    assert raised.value.outcome == outcome
    assert bought_nothing(raised.value) is nothing_bought
    if isinstance(error, BusyError):
        assert isinstance(raised.value, OverloadedError | ProviderUnavailableError)
        assert raised.value.retry_after_s == 7.0


def test_only_what_says_so_bought_nothing() -> None:
    assert not bought_nothing(ProviderUnavailableError())
    assert not bought_nothing(ProviderMisconfiguredError())
    assert bought_nothing(ProviderMisconfiguredError(outcome=Outcome.NOT_BOUGHT))
    assert not bought_nothing(ContentRejectedError(outcome=Outcome.NOT_BOUGHT))


def test_of_several_errors_callers_are_told_of_money_first() -> None:
    ordered: list[LimnerError] = [
        ProviderUnavailableError(outcome=Outcome.UNKNOWN),
        ContentRejectedError(),
        ProviderMisconfiguredError(outcome=Outcome.NOT_BOUGHT),
        OverloadedError(),
        ProviderUnavailableError(outcome=Outcome.NOT_BOUGHT),
    ]
    for at, error in enumerate(ordered):
        assert gravest(reversed(ordered[at:])) is error
    assert gravest([ProviderMisconfiguredError(), ordered[1]]).reason == ProviderMisconfiguredError.reason
    bought = ProviderUnavailableError(outcome=Outcome.BOUGHT)
    assert gravest([bought, ordered[0]]) is bought
