"""How long to wait before trying again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that grow by a factor with each failure in a row, up to a longest one. In seconds."""

    first_s: float
    longest_s: float
    factor: float = 2.0

    def delay_s(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row, from 1."""
        # No power of it overflows: beyond 64 failures nothing grows any more.
        return min(self.first_s * self.factor ** (min(failures, 64) - 1), self.longest_s)
