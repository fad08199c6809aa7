"""Workers that hang for a while, lose their generations to others, and go on as if nothing had happened."""

import asyncio
from typing import Any

import grpc
import pytest

from limner.domain.task import GenerationState
from tests.purchase.conftest import KNOWN_JOB, Site, reason_of
from tests.purchase.serving import Replica, running
from tests.purchase.test_crash import MADE, UNKNOWN, outcome

HOUR_S = 3600.0
SLOW = "[[fault:slow=1]]"


@pytest.fixture
def pair(site: Site) -> tuple[Replica, Replica]:
    """Two workers on one database, without a shared disk where the store is not one."""
    return site.add_replica("one"), site.add_replica("two" if site.settings else "one")


def lapse(site: Site) -> None:
    """Let all leases end now."""
    site.execute("UPDATE generations SET lease_until = '2026-01-01 00:00:00' WHERE state = 'running'")


async def refused(asking: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await asking
    return str(reason_of(failure.value).reason)


async def test_a_known_job_is_fetched_by_another_and_shown_once(site: Site, pair: tuple[Replica, Replica]) -> None:
    one, two = pair
    async with running(*pair):
        first = asyncio.create_task(site.generate(one, SLOW, key="key", model_id="queue"))
        await site.until(KNOWN_JOB)
        one.freeze()
        lapse(site)
        answer = await site.generate(two, SLOW, key="key", model_id="queue")
        one.thaw()
        assert (await first).images[0].id == answer.images[0].id
        await site.audited()
    assert site.bought(SLOW) == 1


async def test_a_doubt_gives_way_to_the_picture(site: Site, pair: tuple[Replica, Replica]) -> None:
    """The other one can't know what became of the purchase; the one that hung knows, and brings it."""
    one, two = pair
    async with running(*pair):
        first = asyncio.create_task(site.generate(one, SLOW, key="key"))
        await site.provider.asked.wait()
        one.freeze()
        lapse(site)
        assert await outcome(site, two, SLOW, "key", "direct") == UNKNOWN
        one.thaw()
        answer = await first
        assert (await site.generate(two, SLOW, key="key")).images[0].id == answer.images[0].id
        await site.audited()
    assert site.bought(SLOW) == 1


async def test_what_waits_for_its_turn_is_bought_by_one_of_them(site: Site, pair: tuple[Replica, Replica]) -> None:
    one, two = pair
    async with running(*pair):
        busy = asyncio.create_task(site.generate(one, SLOW, key="busy", model_id="narrow"))
        await site.until(KNOWN_JOB)
        waiting = asyncio.create_task(refused(site.generate(one, "a fox", key="key", model_id="narrow")))
        await site.until("SELECT 1 FROM generations WHERE prompt = 'a fox'")
        one.freeze()
        lapse(site)
        answer = await site.generate(two, "a fox", key="key", model_id="narrow")
        one.thaw()
        assert await waiting == "INTERRUPTED"
        assert (await site.generate(one, "a fox", key="key", model_id="narrow")).images[0].id == answer.images[0].id
        await busy
        await site.audited()
    assert (site.bought(SLOW), site.bought("a fox")) == (1, 1)


async def test_a_doubt_gives_way_even_when_the_one_who_knows_dies_before_it_says_so(
    site: Site, pair: tuple[Replica, Replica]
) -> None:
    """The bytes are stored, and the generation ended as unknown: the sweep finds them, and they are shown."""
    one, two = pair
    async with running(*pair, failpoint="before-commit"):
        first = asyncio.create_task(refused(site.generate(one, SLOW, key="key")))
        await site.provider.asked.wait()
        one.freeze()
        lapse(site)
        assert await outcome(site, two, SLOW, "key", "direct") == UNKNOWN
        one.thaw()
        assert await one.ended() == -9
        await first
        one.set_time(2 * HOUR_S)  # only then does the sweep look at them
        await one.start()
        await site.until("SELECT 1 FROM images")
        assert await outcome(site, two, SLOW, "key", "direct") == MADE
        books = await site.audited()
    assert books.states() == {GenerationState.SUCCEEDED: 1}
    assert site.bought(SLOW) == 1
