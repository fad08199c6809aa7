"""The circuit breaker, by an injected clock."""

import asyncio

import pytest

from limner.domain.errors import (
    ContentRejectedError,
    OverloadedError,
    ProviderUnavailableError,
    StorageUnavailableError,
)
from limner.models.http.breaker import FAILURES, Breakers, BreakerState, CircuitBreaker
from limner.models.http.outcome import BusyError, bought_nothing
from limner.outbound.errors import OutcomeUnknownError, UnreachableError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("fal", "flux", failures=3, window_s=60, open_s=10, max_open_s=30, clock=clock)


def fail(breaker: CircuitBreaker, error: BaseException | None = None) -> None:
    error = error or UnreachableError("")
    with pytest.raises(type(error)), breaker.attempt():
        raise error


def succeed(breaker: CircuitBreaker) -> None:
    with breaker.attempt():
        pass


def state(breaker: CircuitBreaker) -> BreakerState:
    return breaker.snapshot().state


@pytest.mark.parametrize(
    "error",
    [UnreachableError(""), OutcomeUnknownError(""), BusyError("", status=503), ProviderUnavailableError()],
)
def test_failures_in_a_row_open_it(breaker: CircuitBreaker, error: Exception) -> None:
    for _ in range(3):
        assert state(breaker) is BreakerState.CLOSED
        fail(breaker, error)
    assert state(breaker) is BreakerState.OPEN


def test_while_open_it_rejects_at_once_and_says_for_how_long(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.now += 4
    with pytest.raises(ProviderUnavailableError) as rejected, breaker.attempt():
        pytest.fail("it went through")
    assert rejected.value.retry_after_s == 6.0
    assert bought_nothing(rejected.value)
    assert breaker.snapshot().retry_after_s == 6.0


@pytest.mark.parametrize("error", [None, ContentRejectedError()])
def test_an_answer_between_failures_keeps_it_closed(breaker: CircuitBreaker, error: Exception | None) -> None:
    fail(breaker)
    fail(breaker)
    succeed(breaker) if error is None else fail(breaker, error)
    fail(breaker)
    fail(breaker)
    assert state(breaker) is BreakerState.CLOSED


@pytest.mark.parametrize(
    "error", [BusyError("", status=429), OverloadedError(), StorageUnavailableError(), asyncio.CancelledError()]
)
def test_what_tells_nothing_of_the_provider_changes_nothing(breaker: CircuitBreaker, error: BaseException) -> None:
    fail(breaker)
    fail(breaker)
    fail(breaker, error)
    assert breaker.snapshot().consecutive_failures == 2
    assert state(breaker) is BreakerState.CLOSED


def test_failures_far_apart_do_not_open_it(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(5):
        fail(breaker)
        clock.now += 31
    assert state(breaker) is BreakerState.CLOSED


def test_a_probe_that_succeeds_closes_it(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.now += 10
    assert state(breaker) is BreakerState.HALF_OPEN
    succeed(breaker)
    assert state(breaker) is BreakerState.CLOSED
    assert breaker.snapshot().consecutive_failures == 0


def test_only_one_probe_goes_at_a_time(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.now += 10
    with breaker.attempt():
        with pytest.raises(ProviderUnavailableError), breaker.attempt():
            pytest.fail("a second probe went")
        assert state(breaker) is BreakerState.HALF_OPEN
    succeed(breaker)


def test_probes_that_fail_keep_it_open_longer_up_to_a_limit(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    for open_s in (10, 20, 30, 30):
        assert breaker.snapshot().retry_after_s == open_s
        clock.now += open_s
        fail(breaker)


def test_failures_in_a_row_are_counted_however_long_they_take(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(8):
        fail(breaker)
        clock.now += 61
    assert breaker.snapshot().consecutive_failures == 8
    succeed(breaker)
    assert breaker.snapshot().consecutive_failures == 0


def test_a_probe_that_tells_nothing_makes_room_for_another(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.now += 10
    fail(breaker, asyncio.CancelledError())
    assert state(breaker) is BreakerState.HALF_OPEN
    succeed(breaker)
    assert state(breaker) is BreakerState.CLOSED


def test_calls_that_fail_late_do_not_keep_it_open(breaker: CircuitBreaker, clock: Clock) -> None:
    late = [breaker.attempt() for _ in range(6)]
    for each in late:
        each.__enter__()
    for each in late[:3]:
        assert not each.__exit__(UnreachableError, UnreachableError(""), None)
    clock.now += 9
    for each in late[3:]:
        assert not each.__exit__(UnreachableError, UnreachableError(""), None)
    assert breaker.snapshot().retry_after_s == 1.0


def test_there_is_one_breaker_per_provider_and_model(clock: Clock) -> None:
    breakers = Breakers(clock)
    for _ in range(FAILURES):
        fail(breakers.of("fal", "flux"))
    succeed(breakers.of("openai", "gpt-image-2"))
    assert [(each.provider, each.model, str(each.state)) for each in breakers.snapshots()] == [
        ("fal", "flux", "open"),
        ("openai", "gpt-image-2", "closed"),
    ]
