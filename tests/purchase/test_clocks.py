"""Clocks that are wrong, or are set: they may cost time, and never money."""

import asyncio
from datetime import timedelta

import pytest

from limner.domain.task import GenerationState
from tests.purchase.conftest import Site
from tests.purchase.serving import running
from tests.purchase.test_crash import MADE, outcome

HOUR_S = timedelta(hours=1).total_seconds()
STEPS_S = [HOUR_S, -HOUR_S]
TAKEN_OVER = "going on where a worker died"


@pytest.mark.parametrize("step_s", STEPS_S)
@pytest.mark.parametrize("model", ["direct", "queue"])
async def test_a_clock_that_is_set_during_a_purchase(site: Site, model: str, step_s: float) -> None:
    one = site.add_replica("one")
    two = site.add_replica("two" if site.settings else "one")
    prompt = "a fox [[fault:slow=1]]"
    async with running(one, two):
        asking = asyncio.create_task(site.generate(one, prompt, key="key", model_id=model))
        await site.provider.asked.wait()
        one.set_clock(step_s)
        answer = await asking
        assert len(answer.images) == 1
        assert (await site.generate(two, prompt, key="key", model_id=model)).images[0].id == answer.images[0].id
        one.kill()
        assert await one.ended() == -9
        await one.start()
        assert (await site.generate(one, prompt, key="key", model_id=model)).images[0].id == answer.images[0].id
        await site.audited()
    assert site.bought(prompt) == 1


@pytest.mark.parametrize("step_s", STEPS_S)
@pytest.mark.parametrize("model", ["direct", "queue"])
async def test_replicas_with_different_clocks_under_load(hosted: Site, model: str, step_s: float) -> None:
    """Purchases outlast some beats, and no replica takes the other's for those of the dead."""
    one, two = hosted.add_replica("one"), hosted.add_replica("two")
    two.set_clock(step_s)
    prompts = [f"fox {number} [[fault:slow=6]]" for number in range(6)]
    async with running(one, two):
        calls = [
            outcome(hosted, (one, two)[number % 2], prompt, f"{number}", model) for number, prompt in enumerate(prompts)
        ]
        outcomes = await asyncio.gather(*calls)
        books = await hosted.audited()
    assert all(hosted.bought(prompt) == 1 for prompt in prompts)
    assert set(outcomes) == {MADE}
    assert TAKEN_OVER not in one.log.read_text() + two.log.read_text()
    assert books.states() == {GenerationState.SUCCEEDED: len(prompts)}
