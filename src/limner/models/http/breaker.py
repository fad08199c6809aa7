"""Stops asking a provider that is down, and probes whether it is back."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from limner.domain.errors import (
    ContentRejectedError,
    InvalidFieldError,
    Outcome,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
)
from limner.models.http.outcome import BusyError
from limner.outbound.errors import OutcomeUnknownError, UnreachableError

FAILURES: Final = 20
"""So many in a row are no chance: a handful is soon together when one call tries three times, and calls run in tens."""


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSnapshot:
    """How a breaker stands now."""

    provider: str
    model: str
    state: BreakerState
    consecutive_failures: int
    """Since the last answer, however long ago they were."""
    retry_after_s: float
    """Seconds until a probe may go; 0 unless open."""


class CircuitBreaker:
    """Opens after ``failures`` failures in a row within ``window_s``; after ``open_s`` lets one probe through.

    A failure is a provider that is unreachable, busy with a 5xx or does not answer definitely. Success and refusals
    close it; a 429, cancellation and errors of ours tell nothing. A probe that fails keeps it open twice as long as
    before, up to ``max_open_s``.
    """

    def __init__(
        self,
        provider: str,
        model: str,
        *,
        failures: int = FAILURES,
        window_s: float = 60.0,
        open_s: float = 10.0,
        max_open_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._model = model
        self._limit = failures
        self._window_s = window_s
        self._first_open_s = open_s
        self._max_open_s = max_open_s
        self._clock = clock
        self._failures: list[float] = []
        self._in_a_row = 0
        self._open_s = open_s
        self._open_until: float | None = None
        self._probing = False

    def attempt(self) -> AbstractContextManager[None]:
        """Hold one call (``with breaker.attempt(): …``); its exception, or none, tells how it went.

        Raises ``ProviderUnavailableError`` at once (``outcome: not_bought`` and ``retry_after_s``) while open, and
        beside a probe that is under way.
        """
        return self._attempt()

    def snapshot(self) -> BreakerSnapshot:
        """Return how it stands now."""
        return BreakerSnapshot(
            provider=self._provider,
            model=self._model,
            state=self._state(),
            consecutive_failures=self._in_a_row,
            retry_after_s=self._wait_s(),
        )

    @contextmanager
    def _attempt(self) -> Iterator[None]:
        probe = self._enter()
        try:
            yield
        except BaseException as error:
            self._judge(error, probe)
            raise
        else:
            self._close()
        finally:
            if probe:
                self._probing = False

    def _enter(self) -> bool:
        """Return whether this call is the probe; raise when it may not go."""
        state = self._state()
        if state is BreakerState.CLOSED:
            return False
        if state is BreakerState.OPEN or self._probing:
            raise ProviderUnavailableError(
                outcome=Outcome.NOT_BOUGHT, retry_after_s=self._wait_s() or self._first_open_s
            )
        self._probing = True
        return True

    def _judge(self, error: BaseException, probe: bool) -> None:
        if _is_failure(error):
            self._fail(probe)
        elif _is_answer(error):
            self._close()

    def _fail(self, probe: bool) -> None:
        now = self._clock()
        self._in_a_row += 1
        self._failures = [*(at for at in self._failures if at > now - self._window_s), now][-self._limit :]
        if probe:
            self._open_s = min(2 * self._open_s, self._max_open_s)
        if probe or (self._open_until is None and len(self._failures) >= self._limit):
            self._open_until = now + self._open_s

    def _close(self) -> None:
        self._failures = []
        self._in_a_row = 0
        self._open_s = self._first_open_s
        self._open_until = None

    def _state(self) -> BreakerState:
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._wait_s() else BreakerState.HALF_OPEN

    def _wait_s(self) -> float:
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock())


def _is_failure(error: BaseException) -> bool:
    if isinstance(error, BusyError):
        return error.status >= 500
    return isinstance(error, UnreachableError | OutcomeUnknownError | ProviderUnavailableError)


def _is_answer(error: BaseException) -> bool:
    """Return whether the provider said no: then it is there."""
    return isinstance(error, ContentRejectedError | ProviderMisconfiguredError | InvalidFieldError)


class Breakers:
    """The breakers of a process, one per provider and model."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._breakers: dict[tuple[str, str], CircuitBreaker] = {}

    def of(self, provider: str, model: str) -> CircuitBreaker:
        """Return the one breaker of a provider's model; models are those of the catalogue, so their number is."""
        key = (provider, model)
        if key not in self._breakers:
            self._breakers[key] = CircuitBreaker(provider, model, clock=self._clock)
        return self._breakers[key]

    def snapshots(self) -> tuple[BreakerSnapshot, ...]:
        """Return how all stand now, in the order in which they were made."""
        return tuple(breaker.snapshot() for breaker in self._breakers.values())
