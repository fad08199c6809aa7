"""Mixed calls for a while, providers that fail, and a replica that is killed again and again beside one that is not.

``LIMNER_SOAK_S`` says for how long, ``LIMNER_SOAK_SEED`` which. At the end the books are right, and the replica that
lived all the time is no larger than it was.
"""

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from limner.domain.task import GenerationState
from tests.e2e.test_breakers import until
from tests.replicas.load import Load
from tests.replicas.site import Replica, Site, running_site

SOAK_S = float(os.environ.get("LIMNER_SOAK_S", "20"))
FAULTS = ("", "", "", "", "[[fault:drop]]", "[[fault:moderation]]", "[[fault:crash]]", "[[fault:null]]")
KILL_EVERY_S = (3.0, 8.0)
MIB = 1 << 20


@dataclass(frozen=True)
class Size:
    """What a replica holds, all its processes together."""

    memory_bytes: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, replica: Replica) -> "Size":
        processes = replica.processes()
        return cls(
            memory_bytes=sum(each.memory_info().rss for each in processes),
            descriptors=sum(each.num_fds() for each in processes),
            threads=sum(each.num_threads() for each in processes),
        )

    def __str__(self) -> str:
        return f"{self.memory_bytes // MIB} MiB, {self.descriptors} descriptors, {self.threads} threads"


@pytest.mark.timeout(300 + SOAK_S * 2)
def test_nothing_grows_and_nothing_is_lost(tmp_path: Path, tell: Callable[[str], None]) -> None:
    seed = os.environ.get("LIMNER_SOAK_SEED") or secrets.token_hex(4)
    chance = random.Random(seed)
    with running_site(tmp_path) as site:
        load = Load(site, chance, faults=FAULTS)
        before, after, kills = asyncio.run(_soak(load, site, chance))
        tell(f"seed {seed}: {sum(load.made.values())} calls, {kills} kills, {before}; then {after}")
        until(lambda: not _running(site), timeout_s=60)  # what the dead began is taken over and ended
        _check(site, load)
        assert after.memory_bytes <= before.memory_bytes * 1.25 + 32 * MIB
        assert after.descriptors <= before.descriptors + 32
        assert after.threads <= before.threads + 8


async def _soak(load: Load, site: Site, chance: random.Random) -> tuple[Size, Size, int]:
    """Return the sizes of the surviving replica after a third of the time and at the end, and how many kills."""
    loop = asyncio.get_running_loop()
    survivor, victim = site.replicas
    end, kills = loop.time() + SOAK_S, 0
    running = asyncio.create_task(load.run())
    await asyncio.sleep(SOAK_S / 3)  # until caches and pools are as full as they get
    before = Size.of(survivor)
    while loop.time() < end:
        await asyncio.sleep(min(chance.uniform(*KILL_EVERY_S), max(end - loop.time(), 0)))
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(victim.start)
        kills += 1
    load.stop.set()
    await running
    return before, Size.of(survivor), kills


def _running(site: Site) -> list[str]:
    return [row.id for row in site.books().generations.values() if row.state == GenerationState.RUNNING]


def _check(site: Site, load: Load) -> None:
    """Each prompt is of one task: a provider that was asked for it twice would have been paid twice."""
    books = site.books()
    kept = {row.id for rows in books.images.values() for row in rows}
    assert load.acknowledged <= kept
    asked = Counter(each.prompt for each in site.direct.requests)
    asked.update(str(body["prompt"]) for _, body in site.queued.submissions())
    assert {prompt: count for prompt, count in asked.items() if count > 1 and "fault" not in prompt} == {}
    recorded = {books.generations[generation_id].prompt for generation_id in books.submissions}
    assert {prompt.strip() for prompt in asked} <= {prompt.strip() for prompt in recorded}
