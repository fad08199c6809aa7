"""A picture that a fallback made: its model, and its price."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from limner.domain.errors import OverloadedError, ProviderUnavailableError
from limner.domain.usage import Quota
from limner.models.fallback import with_fallback
from limner.service.ports import ImageModel, Job, MadePicture, Order
from limner.storage.spool import unshown_in
from tests.pictures import png
from tests.unit.service.conftest import WORKSPACE, World, asked
from tests.unit.service.scripted import Moment, Script, Scripted
from tests.unit.service.test_take_over import inherited, left


async def busy(order: Order, job: Job) -> None:
    await (await job.submitting([0])).void()
    raise OverloadedError


async def buy_all(order: Order, job: Job) -> None:
    for index in range(order.task.num_images):
        await job.submitting([index])
        await job.made(MadePicture(index=index, data=png(8 + index, 8), seed=order.seed + index))


def named(name: str, script: Script, price: str, **facts: Any) -> Scripted:
    model = Scripted(script, **{"local": False, **facts})
    model.capabilities = replace(model.capabilities, id=name, price_usd=Decimal(price))
    return model


def busy_first(*alternatives: ImageModel) -> Any:
    """A model for 0.04 USD that is busy, and what is asked in its place."""
    return with_fallback(Scripted(busy, local=False), alternatives)


async def spent(world: World) -> tuple[int, int]:
    usage = await world.library.usage(WORKSPACE)
    return usage.images_used, usage.cost_used_micros


async def test_it_shows_who_made_it_and_costs_what_that_one_costs(world: World) -> None:
    model = busy_first(named("dear", buy_all, "0.10"))
    generation = await world.runner(model).run(asked(num_images=2))
    assert (generation.model, [image.model for image in generation.images]) == ("scripted", ["dear", "dear"])
    assert await spent(world) == (2, 200_000)


async def test_its_price_is_reserved_before(world: World) -> None:
    model = busy_first(named("dear", buy_all, "0.10"))
    runner = world.runner(model, quota=Quota(cost_micros=190_000))
    generation = await runner.run(asked(num_images=2))
    assert (len(generation.images), generation.missing[0].reason) == (1, "QUOTA_EXCEEDED")
    assert await spent(world) == (1, 100_000)


async def one_then_stop(moment: Moment, order: Order, job: Job, buys: bool) -> None:
    if buys:
        await job.submitting([0])
    await job.made(MadePicture(index=0, data=png(), seed=order.seed))
    await moment(order, job)


@pytest.mark.parametrize(("local", "cost"), [(False, 100_000), (True, 0)])
async def test_after_a_crash_too(world: World, local: bool, cost: int) -> None:
    moment = Moment()

    async def script(order: Order, job: Job) -> None:
        await one_then_stop(moment, order, job, buys=not local)

    price = "0" if local else "0.10"
    generation_id = await left(world, busy_first(named("second", script, price, local=local, seeds=False)), moment)
    ended = await inherited(world, generation_id, busy_first(named("second", buy_all, price, local=local, seeds=False)))
    assert [image.model for image in ended.images] == ["second"]
    assert "seed" not in ended.images[0].parameters
    assert await spent(world) == (1, cost)


async def test_a_paid_picture_that_no_decoder_shows_is_said_to_be_bought_and_kept_aside(world: World) -> None:
    async def junk(order: Order, job: Job) -> None:
        await job.submitting([0])
        await job.made(MadePicture(index=0, data=b"<html>"))

    with pytest.raises(ProviderUnavailableError, match="can't be shown") as failure:
        await world.runner(Scripted(junk, local=False)).run(asked())
    assert failure.value.outcome == "bought"
    (kept,) = unshown_in(world.spool)
    assert kept.read_bytes() == b"<html>"
    assert await world.stores.spool.keys() == ()
