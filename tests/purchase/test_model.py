"""All orders of events, tried out: none buys twice, loses what was paid for, or shows a row without bytes."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime

import pytest

from limner.domain.task import Generation
from limner.service.ports import LeaseLostError, Unfinished
from tests.purchase.exploration import GatedBlobs, GatedRepository, GatedSpool, Parts, Scope, explore

SCOPES = {
    "crash": Scope(crashes=1, calls=2),
    "crash, take-over": Scope(crashes=1, takeovers=1),
    "crash of a job": Scope(resumable=True, crashes=1),
    "crash, take-over of a job": Scope(resumable=True, crashes=1, takeovers=1),
    "crash, take-over by another machine": Scope(crashes=1, takeovers=1, shared_disk=False),
    "a worker that only seemed dead": Scope(takeovers=2),
    "cancelling": Scope(cancels=1),
    "cancelling, crash": Scope(cancels=1, crashes=1, resumable=True),
    "hanging up, another caller": Scope(hang_ups=1, calls=2),
    "hanging up, crash": Scope(hang_ups=1, crashes=1, takeovers=1),
    "a store that is down, crash": Scope(outages=1, crashes=1, takeovers=1),
    "all answers of the provider": Scope(pictures=2, crashes=1, outcomes=("sold", "refused", "dropped")),
}
LARGE = {
    "large: on the line": Scope(crashes=1, takeovers=2, calls=2),
    "large: jobs": Scope(resumable=True, crashes=1, takeovers=2, calls=2, outages=1),
    "large: two pictures": Scope(
        resumable=True, pictures=2, crashes=1, takeovers=1, calls=2, outcomes=("sold", "refused", "dropped")
    ),
    "large: cancelling": Scope(cancels=1, crashes=1, takeovers=1),
    "large: cancelling, another caller": Scope(cancels=1, calls=2),
    "large: hanging up": Scope(hang_ups=1, crashes=1, takeovers=1, calls=2),
}
if os.environ.get("LIMNER_EXPLORE_ALL"):
    SCOPES |= LARGE


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    """Thousands of deaths are no news."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SCOPES)
def test_no_order_of_events_breaks_a_promise(name: str, tell: Callable[[str], None]) -> None:
    explored = explore(SCOPES[name])
    tell(f"{explored.states} states, {explored.schedules} schedules")
    assert explored.broken is None, explored.broken


class Forgetful(GatedRepository):
    """Does not tell who takes over what was bought."""

    async def take_over(
        self, worker_id: str, now: datetime, lease_until: datetime, limit: int
    ) -> tuple[Unfinished, ...]:
        taken = await super().take_over(worker_id, now, lease_until, limit)
        return tuple(
            Unfinished(generation=each.generation, plan=each.plan, granted_images=each.granted_images, submitted=9)
            for each in taken
        )


class Fenceless(GatedRepository):
    """Lets a worker buy whose generation another one took over."""

    async def add_submission(
        self, generation_id: str, worker_id: str, number: int, indexes: Sequence[int], model_id: str
    ) -> None:
        with suppress(LeaseLostError):
            await super().add_submission(generation_id, worker_id, number, indexes, model_id)


class Lenient(GatedRepository):
    """Lets a worker end a generation that another one took over."""

    async def finish_generation(
        self, generation: Generation, cost_micros: int, *, worker_id: str = "", notify: bool = False
    ) -> bool:
        return await super().finish_generation(generation, cost_micros, notify=notify)


class Careless(GatedRepository):
    """Says of every picture that nobody knows it, so that bytes which another worker shows are deleted."""

    async def unknown_images(self, image_ids: Sequence[str]) -> tuple[str, ...]:
        return tuple(image_ids)


class Hasty(GatedBlobs):
    """Says that bytes are kept before they are."""

    async def put(self, key: str, data: bytes, content_type: str) -> None:
        self._world.late.append((f"{self._worker} hasty put", lambda: self._put(key, data)))


class Leaking(GatedSpool):
    """Loses what it keeps."""

    async def keep(self, key: str, data: bytes) -> None:
        await self._world.gate(self._worker, "keep")


PLANTED = {
    "purchases that are forgotten": (Parts(repository=Forgetful), Scope(crashes=1), "bought twice"),
    "purchases without a lease": (Parts(repository=Fenceless), Scope(takeovers=1), "bought twice"),
    "ends without a lease": (Parts(repository=Lenient), Scope(takeovers=1, hang_ups=1), "paid and lost"),
    "bytes of others that are deleted": (
        Parts(repository=Careless),
        Scope(takeovers=1, resumable=True),
        "a row without",
    ),
    "bytes that are kept too late": (Parts(blobs=Hasty), Scope(), "a row without bytes"),
    "a spool that loses": (Parts(spool=Leaking), Scope(outages=1), "paid and lost"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    parts, scope, promise = PLANTED[name]
    explored = explore(scope, parts)
    assert explored.broken is not None, f"not found in {explored.schedules} schedules"
    assert explored.broken[0].startswith(promise), explored.broken
