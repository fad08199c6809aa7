"""What the workers of this machine tell of themselves while they live, for ``limner doctor`` and the metrics."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from limner.liveness import WorkerLocks

log = logging.getLogger(__name__)

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half-open"
BREAKER_STATES: Final = (CLOSED, HALF_OPEN, OPEN)

MAX_BREAKERS: Final = 256
"""Most breakers that a worker tells of; those that are not closed come first."""

PERIOD_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerVitals:
    """How a worker's circuit breaker for a provider's model stands."""

    provider: str
    model: str
    consecutive_failures: int = 0
    open_until: datetime | None = field(default=None, compare=False)
    """When the provider may be asked again; ``None`` when closed.

    Left out of comparisons, since each reading of the clocks gives it anew. It only changes with the failures.
    """

    def state(self, now: datetime) -> str:
        """Return one of ``BREAKER_STATES``. An open breaker turns half-open as time passes, without a word."""
        if self.open_until is None:
            return CLOSED
        return OPEN if now < self.open_until else HALF_OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What a worker tells of itself."""

    in_flight: int = 0
    """Tasks at work."""
    leased: int = 0
    """Generations that are leased to it."""
    quota_used: float = 0.0
    """The largest part of its quota that a workspace used this month."""
    breakers: tuple[BreakerVitals, ...] = ()
    refused_fields: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The fields that the server of a model does not take, by the model's id."""

    def encoded(self) -> bytes:
        """Return it as a message, of at most ``MAX_BREAKERS`` breakers."""
        told = sorted(self.breakers, key=lambda each: each.open_until is None)[:MAX_BREAKERS]
        facts = {
            "in_flight": self.in_flight,
            "leased": self.leased,
            "quota_used": self.quota_used,
            "breakers": [_breaker_facts(each) for each in told],
            "refused_fields": self.refused_fields[:MAX_BREAKERS],
        }
        return json.dumps(facts, ensure_ascii=False).encode()


async def keep_telling(
    locks: WorkerLocks, worker_id: str, vitals: Callable[[], Vitals], *, period_s: float = PERIOD_S
) -> None:
    """Tell a worker's vitals again and again, whenever they have changed. Never returns."""
    told: Vitals | None = None
    failing = False
    while True:
        current = vitals()
        if current != told:
            try:
                await asyncio.to_thread(_tell, locks, worker_id, current)
                told, failing = current, False
            except OSError as error:
                if not failing:
                    log.warning("this worker can't tell how it is", extra={"why": str(error)})
                failing = True
        await asyncio.sleep(period_s)


def vitals_of_living(locks: WorkerLocks) -> dict[str, Vitals | None]:
    """Return the vitals of each living worker by its id; ``None`` where it has told none yet. Blocks."""
    return {worker_id: _decoded(message) for worker_id, message in locks.living().items()}


def breakers_of(workers: Iterable[Vitals | None]) -> dict[tuple[str, str], list[BreakerVitals]]:
    """Return the breakers of several workers by provider and model, in alphabetical order."""
    found: dict[tuple[str, str], list[BreakerVitals]] = {}
    for vitals in workers:
        for each in vitals.breakers if vitals is not None else ():
            found.setdefault((each.provider, each.model), []).append(each)
    return dict(sorted(found.items()))


def refused_fields_of(workers: Iterable[Vitals | None]) -> dict[str, tuple[str, ...]]:
    """Return the fields that the servers of models do not take, as any worker found out, by the model's id."""
    found: dict[str, set[str]] = {}
    for vitals in workers:
        for model_id, fields in vitals.refused_fields if vitals is not None else ():
            found.setdefault(model_id, set()).update(fields)
    return {model_id: tuple(sorted(fields)) for model_id, fields in sorted(found.items())}


def _tell(locks: WorkerLocks, worker_id: str, vitals: Vitals) -> None:
    locks.tell(worker_id, vitals.encoded())


def _breaker_facts(breaker: BreakerVitals) -> dict[str, Any]:
    return {
        "provider": breaker.provider,
        "model": breaker.model,
        "consecutive_failures": breaker.consecutive_failures,
        "open_until": breaker.open_until.isoformat() if breaker.open_until else None,
    }


def _decoded(message: bytes) -> Vitals | None:
    """Return what a message says; ``None`` when it can't be understood, as one of another version of Limner."""
    try:
        facts = json.loads(message)
        return Vitals(
            in_flight=int(facts["in_flight"]),
            leased=int(facts["leased"]),
            quota_used=float(facts["quota_used"]),
            breakers=tuple(map(_breaker, facts["breakers"])),
            refused_fields=tuple(
                (str(model), tuple(map(str, fields))) for model, fields in facts.get("refused_fields", ())
            ),
        )
    except (ValueError, TypeError, KeyError):
        return None


def _breaker(facts: dict[str, Any]) -> BreakerVitals:
    until = facts["open_until"]
    return BreakerVitals(
        provider=str(facts["provider"]),
        model=str(facts["model"]),
        consecutive_failures=int(facts["consecutive_failures"]),
        open_until=datetime.fromisoformat(until) if until else None,
    )
