"""Workers are killed at random times under load. ``LIMNER_CRASH_KILLS`` says how often, ``LIMNER_CRASH_SEED`` which."""

import asyncio
import itertools
import os
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from limner.domain.task import GenerationState
from tests.e2e.providers import KEYS, Catalogue, Fake, settings_of
from tests.purchase.billed import PRICE_MICROS
from tests.purchase.books import read_books
from tests.purchase.conftest import Site, reason_of
from tests.purchase.provider import Provider
from tests.purchase.serving import Replica, running
from tests.purchase.test_vendors import FAKES

KILLS = int(os.environ.get("LIMNER_CRASH_KILLS", "6"))
CALLERS = 6
WORKSPACES = ("acme", "bolt")
_SETTLING_S = 30.0
_AGAIN_AFTER_S = 0.05
_LAPSE = "UPDATE generations SET lease_until = '2026-01-01 00:00:00' WHERE state = 'running'"


OWN_FAULTS = ("", "", "", "[[fault:slow=0.3]]", "[[fault:drop]]", "[[fault:refuse]]")
OWN_MODELS = tuple((model, OWN_FAULTS) for model in ("direct", "queue", "queue", "free"))
"""The tests' own models, and how their provider goes wrong: each as likely as the others."""
VENDORS = (
    ("openai", ("", "", "[[fault:hang=0.3]]", "[[fault:drop]]", "[[fault:words-400]]")),
    ("google", ("", "", "[[fault:delay=0.3]]", "[[fault:drop]]")),
    ("fal", ("", "", "[[fault:slow-submit=0.3]]", "[[fault:drop]]")),
)


@dataclass
class SuppliedSite(Site):
    """An installation that buys from a fake of each vendor, a picture at a time."""

    fakes: list[Fake] = field(default_factory=list)

    @property
    def sold(self) -> Counter[tuple[str, int]]:
        sold: Counter[tuple[str, int]] = Counter()
        for fake in self.fakes:
            for purchase in fake.ledger.purchases:
                sold[purchase.prompt, 0] += purchase.pictures
        return sold


@asynccontextmanager
async def supplied(site: Site) -> AsyncIterator[SuppliedSite]:
    """A fake of each vendor for an installation."""
    catalogue, file, fakes = Catalogue(), site.folder / "vendors.toml", []
    async with AsyncExitStack() as stack:
        for vendor, fake_vendor in FAKES.items():
            fake = await stack.enter_async_context(fake_vendor())
            fakes.append(fake)
            catalogue.add(vendor, settings_of(fake, vendor) | {"price_usd": PRICE_MICROS / 1_000_000})
        catalogue.write(file)
        yield SuppliedSite(site.folder, Provider(), site.settings | KEYS | {"LIMNER_MODELS": str(file)}, fakes=fakes)


@dataclass
class Load:
    """Callers who ask for pictures, lose patience, cancel, and ask again with the same key."""

    site: Site
    replicas: list[Replica]
    chance: random.Random
    models: Sequence[tuple[str, Sequence[str]]]
    """With their faults."""
    counts: Sequence[int] = (1, 1, 3)
    ended: bool = False
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    begun: set[str] = field(default_factory=set)
    """Generations that callers were told of before they ended."""
    unknown: int = 0
    made: int = 0

    async def run(self) -> None:
        while not self.ended:
            await self._ask(f"picture {next(self.numbers)}")

    async def _ask(self, prompt: str) -> None:
        model, faults = self.chance.choice(self.models)
        prompt += self.chance.choice(faults)
        facts: dict[str, Any] = {
            "model_id": model,
            "num_images": self.chance.choice(self.counts),
            "workspace": self.chance.choice(WORKSPACES),
            "key": f"key of {prompt}" if self.chance.random() < 0.9 else "",
        }
        if facts["key"] and self.chance.random() < 0.15:
            await self._begin_and_cancel(prompt, facts)
        answer = await self._answer(prompt, facts)
        if answer is not None and facts["key"] and self.chance.random() < 0.2:
            again = await self._answer(prompt, facts)
            assert again is not None, f"another answer to the same key: none instead of {answer}"
            assert [each.id for each in again.images] == [each.id for each in answer.images]

    async def _begin_and_cancel(self, prompt: str, facts: dict[str, Any]) -> None:
        """Cancel a generation at any worker; what came of it the key tells."""
        with suppress(grpc.aio.AioRpcError):
            answer = await self.site.generate(self._any(), prompt, **facts, metadata={"prefer": "respond-async"})
            self.begun.add(answer.generation_id)
            await asyncio.sleep(self.chance.uniform(0, 0.2))
            await self.site.cancel(self._any(), answer.generation_id, workspace=facts["workspace"])

    async def _answer(self, prompt: str, facts: dict[str, Any]) -> Any:
        """What a caller is told in the end: pictures, or ``None`` for an error that is final."""
        timeout_s = 0.1 if self.chance.random() < 0.2 else 30.0
        while True:
            try:
                answer = await self.site.generate(self._any(), prompt, timeout_s=timeout_s, **facts)
            except grpc.aio.AioRpcError as error:
                if not facts["key"] or self._is_final(error):
                    return None
            else:
                self.made += 1
                return answer
            timeout_s = 30.0
            await asyncio.sleep(_AGAIN_AFTER_S)

    def _any(self) -> Replica:
        return self.chance.choice(self.replicas)

    def _is_final(self, error: grpc.aio.AioRpcError) -> bool:
        """Tell whether the same key will never answer anything else; count honest doubts."""
        info = reason_of(error)
        if info.metadata.get("outcome") == "unknown":
            self.unknown += 1
            return True
        if info.reason == "GENERATION_CANCELLED":
            return True
        again = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
        return error.code() not in again


async def settled(site: Site) -> None:
    """Wait until nothing runs any longer."""
    async with asyncio.timeout(_SETTLING_S):
        while read_books(site.stored_settings).states()[GenerationState.RUNNING]:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.2)


@pytest.mark.timeout(60 + 5 * KILLS)
async def test_kills_at_random_times(site: Site, tell: Callable[[str], None]) -> None:
    """One worker on SQLite, two on PostgreSQL."""
    replicas = [site.add_replica() for _ in range(2 if site.settings else 1)]
    await killed_under_load(Load(site, replicas, chance_of(tell), OWN_MODELS), tell)


@pytest.mark.timeout(60 + 5 * KILLS)
async def test_the_real_adapters_are_killed_at_random_times(hosted: Site, tell: Callable[[str], None]) -> None:
    """Two workers on PostgreSQL, in front of fakes that speak as the vendors do."""
    async with supplied(hosted) as site:
        replicas = [site.add_replica() for _ in range(2)]
        await killed_under_load(Load(site, replicas, chance_of(tell), VENDORS, counts=(1,)), tell)


def chance_of(tell: Callable[[str], None]) -> random.Random:
    seed = int(os.environ.get("LIMNER_CRASH_SEED", secrets.randbelow(1_000_000)))
    tell(f"LIMNER_CRASH_SEED={seed} kills={KILLS}")
    return random.Random(seed)


async def killed_under_load(load: Load, tell: Callable[[str], None]) -> None:
    """Kill workers again and again while callers ask, and check the books."""
    site, replicas, chance = load.site, load.replicas, load.chance
    async with running(*replicas):
        callers = [asyncio.create_task(load.run()) for _ in range(CALLERS)]
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.05, 0.8))
            victim = chance.choice(replicas)
            victim.kill()
            assert await victim.ended() == -9
            await victim.start()
        load.ended = True
        await asyncio.gather(*callers)
        await settled(site)
        books = await site.audited()
    assert load.made > KILLS, "there was no load"
    assert load.begun <= books.generations.keys(), "begun and lost"
    tell(str(dict(books.states())))


@pytest.mark.timeout(120 + 10 * KILLS)
async def test_hangs_at_random_times(hosted: Site, tell: Callable[[str], None]) -> None:
    """Two machines: one hangs for a while, its leases lapse, the other one takes over, and then both go on."""
    seed = int(os.environ.get("LIMNER_CRASH_SEED", secrets.randbelow(1_000_000)))
    tell(f"LIMNER_CRASH_SEED={seed} hangs={KILLS // 2}")
    chance = random.Random(seed)
    replicas = [hosted.add_replica("one"), hosted.add_replica("two")]
    load = Load(hosted, replicas, chance, OWN_MODELS)
    async with running(*replicas):
        callers = [asyncio.create_task(load.run()) for _ in range(CALLERS)]
        for _ in range(KILLS // 2):
            await asyncio.sleep(chance.uniform(0.05, 0.8))
            victim = chance.choice(replicas)
            hosted.execute(_LAPSE)  # before it hangs: it may hold a lock then
            victim.freeze()
            await asyncio.sleep(chance.uniform(0.1, 6))
            victim.thaw()
        load.ended = True
        await asyncio.gather(*callers)
        hosted.execute(_LAPSE)  # what a worker was told that it has lost, and the other one did not finish
        await settled(hosted)
        books = await hosted.audited()
    tell(str(dict(books.states())))
