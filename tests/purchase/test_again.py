"""Asking again with the same key: after part of an answer, a failure, a deadline, a drain, a death, a day."""

import asyncio
import contextlib
import os
import subprocess
import sys
from typing import Any

import grpc
import pytest

from limner.domain.task import GenerationState
from tests.purchase.conftest import KNOWN_JOB, WORKSPACE, Site, reason_of
from tests.purchase.serving import Replica, running
from tests.purchase.test_crash import MADE, UNKNOWN, outcome
from tests.purchase.worker import BEAT_S

CANCELLED = 4
HOUR_S = 3600.0
SLOW = "[[fault:slow=1]]"
BUSY_ONCE = "a fox [[fault:busy*1]]"


@pytest.fixture
def pair(site: Site) -> tuple[Replica, Replica]:
    """Two workers on one database, without a shared disk where the store is not one."""
    return site.add_replica("one"), site.add_replica("two" if site.settings else "one")


async def refusal(asking: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await asking
    return str(reason_of(failure.value).reason)


def give_quota(site: Site, images: int) -> None:
    """Give the workspace a quota of its own, by hand."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIMNER_")}
    environment |= {"LIMNER_DATA_DIR": str(site.replicas[0].data_dir), **site.settings}
    command = [sys.executable, "-m", "limner", "quota", WORKSPACE, "--images", str(images)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)


class TestQuota:
    async def test_part_of_an_order_is_the_answer_for_good(self, site: Site, pair: tuple[Replica, Replica]) -> None:
        """Even when there is quota again, and whoever dies."""
        one, two = pair
        site.settings["LIMNER_QUOTA_IMAGES_PER_MONTH"] = "2"
        async with running(*pair):
            first = await site.generate(one, "foxes", key="key", num_images=4)
            assert (first.detail.code, len(first.images)) == ("PARTIAL_QUOTA", 2)
            await asyncio.to_thread(give_quota, site, 100)
            one.kill()
            assert await one.ended() == -9
            await one.start()
            for replica in (one, two):
                assert await site.generate(replica, "foxes", key="key", num_images=4) == first
            await site.audited()
        assert site.bought("foxes") == 2

    async def test_a_key_without_quota_may_try_again(self, site: Site, pair: tuple[Replica, Replica]) -> None:
        one, two = pair
        site.settings["LIMNER_QUOTA_IMAGES_PER_MONTH"] = "1"
        async with running(*pair):
            await site.generate(one, "a wolf")
            assert await refusal(site.generate(one, "a fox", key="key")) == "QUOTA_EXCEEDED"
            await asyncio.to_thread(give_quota, site, 2)
            calls = [site.generate((one, two)[number % 2], "a fox", key="key") for number in range(10)]
            answers = await asyncio.gather(*calls)
            assert len({answer.images[0].id for answer in answers}) == 1
            await site.audited()
        assert site.bought("a fox") == 1


class TestFailures:
    async def test_of_many_who_try_again_one_buys(self, site: Site, pair: tuple[Replica, Replica]) -> None:
        one, two = pair
        async with running(*pair):
            assert await refusal(site.generate(one, BUSY_ONCE, key="key")) == "PROVIDER_UNAVAILABLE"
            calls = [site.generate((one, two)[number % 2], BUSY_ONCE, key="key") for number in range(20)]
            answers = await asyncio.gather(*calls)
            assert len({answer.images[0].id for answer in answers}) == 1
            await site.audited()
        assert site.bought(BUSY_ONCE) == 1

    async def test_what_the_provider_refused_stays_refused(self, embedded: Site) -> None:
        replica = embedded.add_replica()
        async with running(replica):
            embedded.provider.faults.plan("refuse")
            for _ in range(2):
                assert await refusal(embedded.generate(replica, "a fox", key="key")) == "CONTENT_REJECTED"
            await embedded.audited()
        assert embedded.bought("a fox") == 0


class TestDeadlines:
    @pytest.mark.parametrize("model", ["direct", "queue"])
    async def test_whenever_a_caller_leaves_the_key_gives_one_picture(
        self, site: Site, pair: tuple[Replica, Replica], model: str
    ) -> None:
        """From before the row is written to after the picture is shown."""
        one, two = pair
        async with running(*pair):
            await site.generate(one, "warm", model_id=model)
            for number in range(40):
                prompt, key = f"fox {number}", f"{number}"
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await site.generate(one, prompt, key=key, model_id=model, timeout_s=0.001 * (1 + number))
                assert await outcome(site, (one, two)[number % 2], prompt, key, model) == MADE
                assert site.bought(prompt) == 1
            await site.audited()


class TestDraining:
    @pytest.mark.parametrize("model", ["direct", "queue"])
    async def test_who_waits_is_answered_when_there_is_time(
        self, site: Site, pair: tuple[Replica, Replica], model: str
    ) -> None:
        one, two = pair
        async with running(*pair):
            asking = asyncio.create_task(site.generate(one, SLOW, key="key", model_id=model))
            await site.provider.asked.wait()
            await one.stop()
            assert (await asking).images[0].id == (await site.generate(two, SLOW, key="key", model_id=model)).images[
                0
            ].id
            await site.audited()
        assert site.bought(SLOW) == 1

    async def test_a_purchase_on_the_line_that_outlasts_the_drain_is_an_honest_unknown(
        self, site: Site, pair: tuple[Replica, Replica]
    ) -> None:
        site.settings["LIMNER_DRAIN_TIMEOUT_S"] = "0.2"
        one, two = pair
        async with running(*pair):
            asking = asyncio.create_task(outcome(site, one, SLOW, "key", "direct"))
            await site.provider.asked.wait()
            await one.stop()
            await one.start()
            assert await asking == UNKNOWN
            assert await outcome(site, two, SLOW, "key", "direct") == UNKNOWN
            await site.audited()
        assert site.bought(SLOW) == 1

    @pytest.mark.parametrize("model", ["direct", "queue"])
    async def test_a_death_during_the_drain(self, site: Site, pair: tuple[Replica, Replica], model: str) -> None:
        one, two = pair
        async with running(*pair):
            asking = asyncio.create_task(outcome(site, one, SLOW, "key", model))
            await bought_and_known(site, model)
            stopping = asyncio.create_task(one.stop())
            await asyncio.sleep(0.2)
            one.kill()
            with contextlib.suppress(AssertionError):
                await stopping
            await one.start()
            fate = {"direct": UNKNOWN, "queue": MADE}[model]
            assert await asking == fate
            assert await outcome(site, two, SLOW, "key", model) == fate
            await site.audited()
        assert site.bought(SLOW) == 1


class TestCancelling:
    @pytest.mark.parametrize(("model", "may_bill"), [("direct", True), ("queue", False)])
    async def test_what_a_dead_worker_left_is_cancelled_by_its_heir(
        self, site: Site, pair: tuple[Replica, Replica], model: str, may_bill: bool
    ) -> None:
        one, two = pair
        prompt = "[[fault:slow=20]]"
        async with running(*pair):
            begun = await site.generate(one, prompt, key="key", model_id=model, metadata={"prefer": "respond-async"})
            await bought_and_known(site, model)
            one.freeze()  # dead to all who can't see its machine
            cancelling = asyncio.create_task(site.cancel(two, begun.generation_id))
            await site.until("SELECT 1 FROM generations WHERE cancel_requested")
            site.execute("UPDATE generations SET lease_until = '2026-01-01 00:00:00'")
            cancelled = await cancelling
            assert (cancelled.state, cancelled.may_bill) == (CANCELLED, may_bill)
            one.kill()
            assert await one.ended() == -9
            await one.start()
            again = site.generate(one, prompt, key="key", model_id=model)
            assert await refusal(again) == "GENERATION_CANCELLED"
            books = await site.audited()
        assert books.states() == {GenerationState.CANCELLED: 1}
        assert site.bought(prompt) == int(may_bill)


class TestTime:
    async def test_a_key_is_kept_for_a_day_and_swept_then(self, site: Site) -> None:
        replica = site.add_replica()
        async with running(replica):
            first = await site.generate(replica, "a fox", key="key")
            replica.set_time(23 * HOUR_S)
            await asyncio.sleep(1.2 * BEAT_S)  # a beat would sweep it
            assert await site.generate(replica, "a fox", key="key") == first
            replica.set_time(25 * HOUR_S)
            await site.until("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM idempotency_keys)")
            assert (await site.generate(replica, "a wolf", key="key")).generation_id != first.generation_id
            await site.audited()
        assert (site.bought("a fox"), site.bought("a wolf")) == (1, 1)

    async def test_a_new_month_has_a_quota_of_its_own(self, site: Site) -> None:
        site.settings["LIMNER_QUOTA_IMAGES_PER_MONTH"] = "1"
        replica = site.add_replica()
        async with running(replica):
            await site.generate(replica, "a fox")
            assert await refusal(site.generate(replica, "a wolf")) == "QUOTA_EXCEEDED"
            replica.set_time(31 * 24 * HOUR_S)
            await site.generate(replica, "a wolf")
            assert await refusal(site.generate(replica, "a bear")) == "QUOTA_EXCEEDED"
            await site.audited()


async def bought_and_known(site: Site, model: str) -> None:
    """Wait until the provider has sold; of a queued job, until its id is kept."""
    await site.provider.asked.wait()
    if model == "queue":
        await site.until(KNOWN_JOB)
