"""Whether a request bought anything, and what callers are told of it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from limner.domain.errors import (
    ContentRejectedError,
    DatabaseUnavailableError,
    InvalidFieldError,
    LimnerError,
    Outcome,
    OverloadedError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
    StorageUnavailableError,
)
from limner.models.http.results import ResultError
from limner.models.http.retry import RetryHint, retry_hint
from limner.outbound.answer import Response
from limner.outbound.errors import CallError, OutcomeUnknownError, UnboughtError
from limner.service.clock import utc_now

_DEFAULT_BUSY_S: Final = 1.0
_UNDECIDED_4XX: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, 499})


class BusyError(UnboughtError):
    """The provider did not begin."""

    def __init__(
        self, message: str, *, status: int, retry_after_s: float | None = None, may_retry: bool = True
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s, may_retry=may_retry)
        self.status = status
        """429, or 503 (or another) that says that nothing was begun."""


class Verdict(StrEnum):
    """What an answer says about the purchase."""

    ANSWERED = "answered"
    """2xx: the body says what was made."""
    UNBOUGHT = "unbought"
    """429, or a 503 that says when to come back: nothing was begun."""
    REFUSED = "refused"
    """A definite no: 3xx and 4xx."""
    UNKNOWN = "unknown"
    """408, 499, and any 5xx that does not say that nothing was begun."""


def verdict(response: Response, hint: RetryHint | None = None) -> Verdict:
    """Return what the status says, and for a 503 its hint. The vendor's own codes are for the adapter to judge."""
    status = response.status
    if 200 <= status < 300:
        return Verdict.ANSWERED
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Verdict.UNBOUGHT
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        hint = hint or retry_hint(response, utc_now())
        return Verdict.UNKNOWN if hint.after_s is None and not hint.retry else Verdict.UNBOUGHT
    if 300 <= status < 500 and status not in _UNDECIDED_4XX:
        return Verdict.REFUSED
    return Verdict.UNKNOWN


def definite(response: Response, *, unbought: bool = False, clock: Callable[[], datetime] = utc_now) -> Response:
    """Return an answer that is definite (2xx, 3xx, 4xx), or raise ``BusyError`` or ``OutcomeUnknownError``.

    ``unbought`` tells that the vendor's own body says that nothing was begun, whatever the status. An adapter looks
    for refusals, credit and credentials in the body first: a 429 may mean that no credit is left.
    """
    hint = retry_hint(response, clock())
    outcome = Verdict.UNBOUGHT if unbought else verdict(response, hint)
    if outcome is Verdict.UNBOUGHT:
        raise BusyError(
            f"status {response.status}",
            status=response.status,
            retry_after_s=hint.after_s,
            may_retry=hint.retry is not False,
        )
    if outcome is Verdict.UNKNOWN:
        raise OutcomeUnknownError(f"status {response.status}")
    return response


@contextmanager
def provider_errors() -> Iterator[None]:
    """Turn a ``CallError`` into what callers are told; see ``told``."""
    try:
        yield
    except CallError as error:
        raise told(error) from error


def told(error: CallError) -> LimnerError:
    """Return what callers are told.

    After a 429 ``OverloadedError``, else ``ProviderUnavailableError``, whose outcome is that nothing was bought, that
    the picture was and can't be had, or that nobody knows.
    """
    if isinstance(error, BusyError) and error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return OverloadedError("The provider is busy. Try again later.", retry_after_s=_after_s(error))
    if isinstance(error, UnboughtError):
        return ProviderUnavailableError(outcome=Outcome.NOT_BOUGHT, retry_after_s=error.retry_after_s)
    if isinstance(error, ResultError):
        return ProviderUnavailableError("The model's picture can't be fetched.", outcome=Outcome.BOUGHT)
    return ProviderUnavailableError(
        "The model did not answer properly, and may have been paid.", outcome=Outcome.UNKNOWN
    )


def surely_unbought(error: Exception) -> bool:
    """Return whether the request that ended like this is void, whatever callers are told of it.

    A storage or database that is down broke the reading of an input, so that the request was never whole.
    """
    if isinstance(error, UnboughtError | OverloadedError | StorageUnavailableError | DatabaseUnavailableError):
        return True
    return isinstance(error, LimnerError) and error.outcome is Outcome.NOT_BOUGHT


def bought_nothing(error: LimnerError) -> bool:
    """Return whether an error of a model says that surely nothing was bought."""
    if isinstance(error, ProviderUnavailableError | ProviderMisconfiguredError):
        return error.outcome is Outcome.NOT_BOUGHT
    return isinstance(error, OverloadedError)


def gravest(errors: Iterable[LimnerError]) -> LimnerError:
    """Return which of several errors callers are told, when a task's calls all failed; of equals the first.

    Money first: what was, or may have been, bought; then a refusal, which no other model may be asked to go round;
    then what the operator has to mend; a provider that is busy; one that is down.
    """
    return max(errors, key=_gravity)


def _gravity(error: LimnerError) -> int:
    if isinstance(error, ContentRejectedError | InvalidFieldError):
        return 3
    if isinstance(error, ProviderUnavailableError | ProviderMisconfiguredError) and not bought_nothing(error):
        return 4
    if isinstance(error, ProviderMisconfiguredError):
        return 2
    return int(isinstance(error, OverloadedError))


def _after_s(error: UnboughtError) -> float:
    return _DEFAULT_BUSY_S if error.retry_after_s is None else error.retry_after_s
