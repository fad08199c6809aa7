"""The real adapters, killed in the middle of a purchase at a fake of each vendor."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.e2e.providers import KEYS, Catalogue, Fake, settings_of
from tests.fakes.fal import FakeFal, fake_fal
from tests.fakes.google import fake_google
from tests.fakes.openai import fake_openai
from tests.purchase.billed import PRICE_MICROS, PURCHASE_MADE
from tests.purchase.conftest import KNOWN_JOB, Site
from tests.purchase.provider import Provider
from tests.purchase.serving import running
from tests.purchase.test_crash import FATES, MADE, UNKNOWN, death, outcome

ON_THE_LINE = ("openai", "google")
QUEUED = ("fal",)
VENDORS = (*ON_THE_LINE, *QUEUED)
SLOW = {"openai": "[[fault:hang=60]]", "google": "[[fault:stall=60]]", "fal": "[[fault:slow-submit=60]]"}
"""How each vendor is told to sell, and to answer late."""
POINTS = tuple(point for point in FATES if point != PURCHASE_MADE)  # that one is of the tests' own models
FAKES: dict[str, Callable[[], AbstractAsyncContextManager[Fake]]] = {
    "openai": fake_openai,
    "google": fake_google,
    "fal": fake_fal,
}


@dataclass
class VendorSite(Site):
    """An installation whose only model is a vendor's. All that is bought is one picture of one prompt."""

    prompt: str = ""
    fakes: list[Fake] = field(default_factory=list)

    @property
    def sold(self) -> Counter[tuple[str, int]]:
        return Counter({(self.prompt, 0): sum(fake.ledger.pictures for fake in self.fakes)})


@asynccontextmanager
async def installed(site: Site, vendor: str, prompt: str) -> AsyncIterator[VendorSite]:
    """A vendor of its own for an installation."""
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(FAKES[vendor]())
        catalogue, file = Catalogue(), site.folder / f"{prompt}.toml"
        catalogue.add(vendor, settings_of(fake, vendor))
        catalogue.add(vendor, {"price_usd": PRICE_MICROS / 1_000_000})
        catalogue.write(file)
        settings = site.settings | KEYS | {"LIMNER_MODELS": str(file)}
        yield VendorSite(site.folder, Provider(), settings, prompt=prompt, fakes=[fake])


@pytest.fixture
def concerned(request: pytest.FixtureRequest, point: str) -> Site:
    """Where a point is reached: SQLite and files need no spool."""
    site: Site = request.getfixturevalue("hosted" if point == "picture-spooled" else "embedded")
    return site


def fates() -> list[object]:
    return [
        pytest.param(vendor, point, FATES[point][vendor in QUEUED], id=f"{vendor}-{point}")
        for vendor in VENDORS
        for point in POINTS
        if vendor in QUEUED or point != "job-accepted"
    ]


@pytest.mark.parametrize(("vendor", "point", "fate"), fates())
async def test_death_at_every_point(concerned: Site, vendor: str, point: str, fate: str) -> None:
    """What becomes of a purchase is the same as with the tests' own models, which ``test_crash`` tries on all sites."""
    async with installed(concerned, vendor, "a fox") as installation:
        await death(installation, installation.prompt, point, vendor, fate, workers=1)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_death_before_the_vendor_answers(embedded: Site, vendor: str) -> None:
    """It sold, and nobody is left to hear so: that is never bought again."""
    async with installed(embedded, vendor, f"a fox {SLOW[vendor]}") as site:
        replica = site.add_replica()
        async with running(replica):
            asking = asyncio.create_task(outcome(site, replica, site.prompt, "key", vendor))
            await sold(site)
            replica.kill()
            assert await replica.ended() == -9
            await replica.start()

            assert await asking == UNKNOWN
            assert await outcome(site, replica, site.prompt, "key", vendor) == UNKNOWN

            await site.audited()
        assert site.bought(site.prompt) == 1


async def test_death_while_a_queued_job_is_made(embedded: Site) -> None:
    """Its id is kept: it is asked for again, and not bought again."""
    async with installed(embedded, "fal", "a fox") as site:
        (fake,) = site.fakes
        assert isinstance(fake, FakeFal)
        fake.hold = True
        replica = site.add_replica()
        async with running(replica):
            asking = asyncio.create_task(outcome(site, replica, site.prompt, "key", "fal"))
            await site.until(KNOWN_JOB)
            replica.kill()
            assert await replica.ended() == -9
            fake.hold = False
            await replica.start()

            assert await asking == MADE

            await site.audited()
        assert site.bought(site.prompt) == 1


async def sold(site: VendorSite) -> None:
    """Wait until the vendor has sold."""
    async with asyncio.timeout(20):
        while not site.bought(site.prompt):  # noqa: ASYNC110 - the fakes don't tell
            await asyncio.sleep(0.02)
