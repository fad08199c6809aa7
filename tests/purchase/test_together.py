"""Many callers, several workers: one purchase for one key, exactly the quota, turns for everybody."""

import asyncio
import contextlib
from typing import Any

import grpc
import pytest

from tests.purchase.conftest import Site, reason_of
from tests.purchase.serving import Replica, running

RUNNING, SUCCEEDED, CANCELLED = 1, 2, 4
SLOW = "[[fault:slow=1]]"


@pytest.fixture
def pair(site: Site) -> list[Replica]:
    """Two workers on one database, without a shared disk where the store is not one."""
    return [site.add_replica("one"), site.add_replica("two" if site.settings else "one")]


async def refusal(asking: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await asking
    return failure.value.code(), reason_of(failure.value).reason


class TestKeys:
    @pytest.mark.parametrize("model", ["direct", "queue"])
    async def test_twenty_callers_with_one_key_get_one_answer(
        self, site: Site, pair: list[Replica], model: str
    ) -> None:
        async with running(*pair):
            calls = [
                site.generate(pair[number % 2], "a fox", key="key", num_images=3, model_id=model)
                for number in range(20)
            ]
            answers = await asyncio.gather(*calls)
            assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
            assert len(answers[0].images) == 3
            await site.audited()
        assert site.provider.bought("a fox") == 3

    async def test_a_key_is_one_requests_own(self, embedded: Site) -> None:
        replica = embedded.add_replica()
        async with running(replica):
            first = await embedded.generate(replica, "a fox", metadata={"idempotency_key": "key"})
            assert await embedded.generate(replica, " a fox ", key="key", num_images=1, aspect_ratio="1:1") == first
            code, reason = await refusal(embedded.generate(replica, "a wolf", key="key"))
            assert (code, reason) == (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED")
            other = await embedded.generate(replica, "a wolf", key="key", workspace="bolt")
            assert other.generation_id != first.generation_id
            await embedded.audited()

    async def test_who_still_waits_is_served_when_the_first_caller_leaves(
        self, site: Site, pair: list[Replica]
    ) -> None:
        one, two = pair
        async with running(*pair):
            busy = asyncio.create_task(site.generate(one, SLOW, model_id="narrow"))
            await site.provider.asked.wait()
            first = asyncio.create_task(site.generate(one, "a fox", key="key", model_id="narrow"))
            await asyncio.sleep(0.2)
            second = asyncio.create_task(site.generate(two, "a fox", key="key", model_id="narrow"))
            await asyncio.sleep(0.2)
            first.cancel()

            assert len((await second).images) == 1

            await busy
            with contextlib.suppress(asyncio.CancelledError):
                await first
            await site.audited()
        assert site.provider.bought("a fox") == 1


class TestQuota:
    async def test_thirty_callers_get_exactly_the_last_ten_images(self, site: Site, pair: list[Replica]) -> None:
        site.settings["LIMNER_QUOTA_IMAGES_PER_MONTH"] = "10"
        async with running(*pair):
            calls = [site.generate(pair[number % 2], f"fox {number}", key=f"{number}") for number in range(30)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            refused = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
            assert len(answers) - len(refused) == 10
            assert {reason_of(each).reason for each in refused} == {"QUOTA_EXCEEDED"}
            usage = await site.usage(pair[0])
            assert usage["images"] == {"limit": 10, "used": 10, "reserved": 0}
            await site.audited()
        assert site.provider.ledger.pictures == 10

    async def test_what_is_left_is_made_and_the_rest_is_named(self, site: Site, pair: list[Replica]) -> None:
        site.settings["LIMNER_QUOTA_IMAGES_PER_MONTH"] = "10"
        async with running(*pair):
            calls = [site.generate(pair[number % 2], f"fox {number}", num_images=4) for number in range(5)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            made = [each for each in answers if not isinstance(each, BaseException)]
            assert sorted(len(each.images) for each in made) == [2, 4, 4]
            (partial,) = [each for each in made if len(each.images) == 2]
            assert (partial.detail.code, partial.detail.requested_images) == ("PARTIAL_QUOTA", 4)
            assert [missing.reason for missing in partial.detail.missing_images] == ["QUOTA_EXCEEDED"] * 2
            await site.audited()

    async def test_money_runs_out_exactly(self, site: Site, pair: list[Replica]) -> None:
        site.settings["LIMNER_QUOTA_USD_PER_MONTH"] = "0.2"
        async with running(*pair):
            calls = [site.generate(pair[number % 2], f"fox {number}") for number in range(12)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert sum(not isinstance(each, BaseException) for each in answers) == 5
            await site.audited()

    async def test_what_was_refused_by_the_provider_is_given_back(self, embedded: Site) -> None:
        embedded.settings["LIMNER_QUOTA_IMAGES_PER_MONTH"] = "1"
        replica = embedded.add_replica()
        async with running(replica):
            for fault in ("refuse", "busy"):
                await refusal(embedded.generate(replica, f"[[fault:{fault}]]"))
            assert len((await embedded.generate(replica, "a fox")).images) == 1
            assert await refusal(embedded.generate(replica, "a wolf")) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "QUOTA_EXCEEDED",
            )
            await embedded.audited()


class TestCallersWhoGoAway:
    async def ended(self, site: Site, replica: Replica, generation_id: str) -> Any:
        async with asyncio.timeout(20):
            while (generation := await site.generation(replica, generation_id)).state == RUNNING:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return generation

    async def test_who_prefers_not_to_wait_is_answered_at_once(self, site: Site, pair: list[Replica]) -> None:
        one, two = pair
        async with running(*pair):
            answer = await site.generate(one, SLOW, key="key", metadata={"prefer": "respond-async"})
            assert (answer.state, len(answer.images)) == (RUNNING, 0)
            impatient = site.generate(one, SLOW, key="key", timeout_s=0.2)
            assert (await refusal(impatient))[0] is grpc.StatusCode.DEADLINE_EXCEEDED

            generation = await self.ended(site, two, answer.generation_id)

            assert (generation.state, len(generation.images)) == (SUCCEEDED, 1)
            await site.audited()

    async def test_who_leaves_before_the_purchase_stops_it(self, embedded: Site) -> None:
        replica = embedded.add_replica()
        async with running(replica):
            busy = asyncio.create_task(embedded.generate(replica, SLOW, model_id="narrow"))
            await embedded.provider.asked.wait()
            code, _ = await refusal(embedded.generate(replica, "a fox", model_id="narrow", timeout_s=0.2))
            assert code is grpc.StatusCode.DEADLINE_EXCEEDED
            await busy
            await asyncio.sleep(0.1)
            assert embedded.provider.bought("a fox") == 0
            await embedded.audited()

    @pytest.mark.parametrize("model", ["direct", "queue"])
    async def test_who_leaves_after_the_purchase_finds_it_by_the_key(self, embedded: Site, model: str) -> None:
        replica = embedded.add_replica()
        async with running(replica):
            code, _ = await refusal(embedded.generate(replica, SLOW, key="key", model_id=model, timeout_s=0.3))
            assert code is grpc.StatusCode.DEADLINE_EXCEEDED
            answer = await embedded.generate(replica, SLOW, key="key", model_id=model)
            assert len(answer.images) == 1
            await embedded.audited()
        assert embedded.provider.bought(SLOW) == 1

    @pytest.mark.parametrize(("model", "may_bill"), [("direct", True), ("queue", False)])
    async def test_cancelling_at_another_worker_reaches_the_provider(
        self, site: Site, pair: list[Replica], model: str, may_bill: bool
    ) -> None:
        one, two = pair
        async with running(*pair):
            prompt = "[[fault:slow=20]]"
            asking = asyncio.create_task(site.generate(one, prompt, model_id=model, key="key"))
            await site.provider.asked.wait()
            async_answer = await site.generate(
                one, prompt, model_id=model, key="key", metadata={"prefer": "respond-async"}
            )
            cancelled = await site.cancel(two, async_answer.generation_id)
            assert (cancelled.state, cancelled.may_bill) == (CANCELLED, may_bill)
            assert (await refusal(asking))[1] == "GENERATION_CANCELLED"
            again = site.generate(two, prompt, model_id=model, key="key")
            assert (await refusal(again))[1] == "GENERATION_CANCELLED"
            await site.audited()
        assert len(site.provider.ledger.purchases) == int(may_bill)


class TestDraining:
    async def test_a_purchase_that_outlasts_the_drain_is_resumed_at_once(self, site: Site, pair: list[Replica]) -> None:
        site.settings["LIMNER_DRAIN_TIMEOUT_S"] = "0.2"
        one, _ = pair
        async with running(*pair):
            asking = asyncio.create_task(site.generate(one, SLOW, key="key", model_id="queue"))
            await site.provider.asked.wait()
            await one.stop()
            assert (await refusal(asking))[1] in ("INTERRUPTED", "")
            await one.start()
            answer = await site.generate(one, SLOW, key="key", model_id="queue", timeout_s=10)
            assert len(answer.images) == 1
            await site.audited()
        assert site.provider.bought(SLOW) == 1


class TestFairness:
    async def test_a_noisy_workspace_waits_behind_itself(self, embedded: Site) -> None:
        replica = embedded.add_replica()
        order: list[str] = []

        async def ask(workspace: str, number: int) -> None:
            await embedded.generate(
                replica, f"{workspace} {number} [[fault:slow=0.05]]", workspace=workspace, model_id="narrow"
            )
            order.append(workspace)

        async with running(replica):
            noisy = [asyncio.create_task(ask("noisy", number)) for number in range(16)]
            await embedded.provider.asked.wait()
            quiet = [asyncio.create_task(ask("quiet", number)) for number in range(2)]
            await asyncio.gather(*noisy, *quiet)
            assert order.index("quiet") <= 6
            assert len(order) - 1 - order[::-1].index("quiet") <= 10
            await embedded.audited()

    async def test_a_noisy_workspace_leaves_seats_to_the_others(self, embedded: Site) -> None:
        embedded.settings["LIMNER_MAX_IN_FLIGHT"] = "16"
        replica = embedded.add_replica()
        async with running(replica):
            noisy = [
                asyncio.create_task(embedded.generate(replica, f"{number} [[fault:slow=4]]", workspace="noisy"))
                for number in range(30)
            ]
            async with asyncio.timeout(20):
                while sum(each.done() for each in noisy) < 15:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)
            assert len((await embedded.generate(replica, "a fox", workspace="quiet")).images) == 1
            answers = await asyncio.gather(*noisy, return_exceptions=True)
            refused = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
            assert len(refused) == 15
            assert {reason_of(each).reason for each in refused} == {"OVERLOADED"}
            await embedded.audited()
