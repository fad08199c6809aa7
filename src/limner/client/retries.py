"""Which failed calls are repeated, how often, and for how long.

A task is repeated under the same idempotency key, so it is never bought twice: the service answers what it answered,
goes on with what runs, or begins anew where surely nothing was bought.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from limner.client.errors import LimnerClientError, OverloadedError, UnavailableError

DECIDED: Final = ("unknown", "bought")
"""``outcome`` of what the same key answers again, however often it is repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudget:
    """What repeating may cost. The call's timeout holds for all tries together."""

    tries: int = 4
    """How often a call is made at most; 1 repeats nothing."""
    first_delay_s: float = 0.25
    """The wait before the second try; each further one is twice as long, and up to half of it is left to chance."""
    longest_delay_s: float = 8.0
    longest_retry_after_s: float = 60.0
    """A service that asks for a longer wait is not asked again."""


DEFAULT_RETRIES: Final = RetryBudget()
NO_RETRIES: Final = RetryBudget(tries=1)


class Tries:
    """One call, as often as it is made."""

    def __init__(self, budget: RetryBudget, timeout_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget = budget
        self._clock = clock
        self._deadline = clock() + timeout_s
        self._made = 0

    def begin(self) -> float:
        """Count a try, and return how long it may take, in seconds."""
        self._made += 1
        return max(self._deadline - self._clock(), 0.001)

    def delay_after(self, error: LimnerClientError) -> float | None:
        """Return how long to wait before the next try, in seconds; ``None`` when there is none."""
        if self._made >= self._budget.tries or not may_be_repeated(error):
            return None
        doubled = self._budget.first_delay_s * 2 ** (self._made - 1)
        delay_s = min(doubled, self._budget.longest_delay_s) * random.uniform(0.5, 1)  # noqa: S311
        if error.retry_after_s is not None:
            if error.retry_after_s > self._budget.longest_retry_after_s:
                return None
            delay_s = max(delay_s, error.retry_after_s)
        return delay_s if self._clock() + delay_s < self._deadline else None


def may_be_repeated(error: LimnerClientError) -> bool:
    """Tell whether the same call, under the same key, may end otherwise."""
    if isinstance(error, OverloadedError):
        return True
    return isinstance(error, UnavailableError) and error.metadata.get("outcome") not in DECIDED
