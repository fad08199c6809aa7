"""The service is killed where it hurts: nothing is bought twice, and nothing that was paid for is lost."""

import asyncio

import grpc
import pytest

from limner.service.failpoints import NAMES
from tests.certificates import signer_in
from tests.purchase.billed import PURCHASE_MADE
from tests.purchase.conftest import Site, reason_of
from tests.purchase.serving import Replica, running

MADE, UNKNOWN = "made", "unknown"
FATES = {
    "generation-kept": (MADE, MADE),
    "submission-kept": (UNKNOWN, UNKNOWN),
    PURCHASE_MADE: (UNKNOWN, UNKNOWN),
    "job-accepted": (MADE, MADE),
    "picture-received": (UNKNOWN, MADE),
    "picture-signed": (MADE, MADE),
    "picture-spooled": (MADE, MADE),
    "picture-stored": (MADE, MADE),
    "before-commit": (MADE, MADE),
    "after-commit": (MADE, MADE),
}
"""What becomes of a purchase when the service dies at a point: of one made on the line, and of a queued job."""


def fates() -> list[object]:
    return [
        pytest.param(point, model, fate, id=f"{point}-{model}")
        for point, both in FATES.items()
        for model, fate in zip(("direct", "queue"), both, strict=True)
        if (point, model) != ("job-accepted", "direct")
    ]


def test_every_point_of_a_generation_is_tried() -> None:
    """``test_crash_elsewhere`` tries the others."""
    assert [point for point in FATES if point != PURCHASE_MADE] == list(NAMES[: len(FATES) - 1])


async def outcome(site: Site, replica: Replica, prompt: str, key: str, model: str) -> str:
    """What a caller with a key learns in the end, whoever dies meanwhile."""
    while True:
        try:
            answer = await site.generate(replica, prompt, key=key, model_id=model)
        except grpc.aio.AioRpcError as error:
            info = reason_of(error)
            if info.metadata.get("outcome") == UNKNOWN:
                return UNKNOWN
            assert info.reason in ("", "INTERRUPTED"), error
            await asyncio.sleep(0.05)
        else:
            assert len(answer.images) == 1
            return MADE


@pytest.mark.parametrize(("point", "model", "fate"), fates())
async def test_death_at_every_point(embedded: Site, hosted: Site, point: str, model: str, fate: str) -> None:
    """One worker on SQLite and files, and two on PostgreSQL and a bucket, side by side: it takes less time."""
    trials = [death(hosted, "a fox", point, model, fate, workers=2)]
    if point != "picture-spooled":  # files on this machine need no spool
        trials.append(death(embedded, "a wolf", point, model, fate, workers=1))
    await asyncio.gather(*trials)


async def death(site: Site, prompt: str, point: str, model: str, fate: str, *, workers: int) -> None:
    """Kill the first worker at a point, and see what callers of all of them learn."""
    if point.startswith("picture-"):
        site.settings |= signer_in(site.folder / "signer").settings
    replicas = [site.add_replica() for _ in range(workers)]
    async with running(*replicas, failpoint=point):
        asking = [asyncio.create_task(outcome(site, replicas[0], prompt, "key", model))]
        assert await replicas[0].ended() == -9
        asking += [asyncio.create_task(outcome(site, other, prompt, "key", model)) for other in replicas[1:]]
        await replicas[0].start()

        assert await asyncio.gather(*asking) == [fate] * workers
        assert await outcome(site, replicas[-1], prompt, "key", model) == fate

        await site.audited(of=prompt)
    assert site.bought(prompt) == (0 if point == "submission-kept" else 1)
