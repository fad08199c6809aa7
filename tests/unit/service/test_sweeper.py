"""Bytes without rows and rows without bytes, found and mended."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from limner.domain.errors import StorageUnavailableError
from limner.domain.identifiers import new_id
from limner.domain.task import GenerationState
from limner.service.clock import utc_now
from limner.service.sweeper import Sweeper
from tests.pictures import png
from tests.unit.service.conftest import ADA, WORKSPACE, World, asked
from tests.unit.service.scripted import Moment, Scripted
from tests.unit.service.test_take_over import Resumable, buying, inherited, left


def later(world: World, by: timedelta = timedelta(hours=2), **options: Any) -> Sweeper:
    """A sweeper to whom all that is there now is old."""
    return Sweeper(replace(world.stores, clock=lambda: utc_now() + by), **options)


async def test_what_belongs_together_is_left_alone(world: World) -> None:
    generation = await world.runner().run(asked(num_images=2))
    await world.library.upload(ADA, WORKSPACE, png())

    report = await later(world).sweep_all()

    assert (report.looked_at, report.orphans, report.lost, report.delivered) == (3, [], [], [])
    assert {image.id for image in generation.images} <= world.blobs.held()


async def test_bytes_without_a_row_are_deleted(world: World) -> None:
    orphan = new_id()
    await world.blobs.put(orphan, png(), "image/png")
    report = await later(world).sweep_all()
    assert report.orphans == [orphan]
    assert world.blobs.held() == set()


async def test_what_may_still_be_written_is_not_touched(world: World) -> None:
    young = new_id()
    await world.blobs.put(young, png(), "image/png")
    assert (await Sweeper(world.stores).sweep_all()).orphans == []
    assert (await later(world, timedelta(minutes=59)).sweep_all()).orphans == []
    assert world.blobs.held() == {young}


async def test_what_a_running_generation_planned_is_not_touched(world: World) -> None:
    moment = Moment()
    await left(world, Scripted(moment), moment)
    (planned,) = await world.repository._read(
        lambda connection: connection.exec_driver_sql("SELECT planned_image_ids FROM generations").scalars().all()
    )
    image_id = str(planned).strip('[]"')
    await world.blobs.put(image_id, png(), "image/png")
    await world.stores.spool.keep(image_id, png())
    assert (await later(world).sweep_all()).orphans == []
    assert world.blobs.held() == {image_id}


async def test_rows_without_bytes_are_mended_from_the_spool_or_reported(world: World) -> None:
    spooled, lost = (await world.runner().run(asked(num_images=2))).images
    for image in (spooled, lost):
        await world.blobs.delete(image.id)
    await world.stores.spool.keep(spooled.id, png())

    report = await later(world).sweep_all()

    assert (report.delivered, report.lost) == ([spooled.id], [lost.id])
    assert world.blobs.held() == {spooled.id}
    assert await world.stores.spool.keys() == ()


async def test_spooled_junk_mends_nothing_and_ends_no_sweep(world: World) -> None:
    (image,) = (await world.runner().run(asked())).images
    await world.blobs.delete(image.id)
    await world.stores.spool.keep(image.id, b"junk")
    assert (await later(world).sweep_all()).lost == [image.id]


async def test_what_the_spool_does_not_need_any_longer_is_discarded(world: World) -> None:
    (image,) = (await world.runner().run(asked())).images
    await world.stores.spool.keep(image.id, png())
    await world.stores.spool.keep(new_id(), png())
    await later(world).sweep_all()
    assert await world.stores.spool.keys() == ()
    assert world.blobs.held() == {image.id}


async def test_each_sweep_looks_at_what_is_new(world: World) -> None:
    await world.runner().run(asked())
    first = await later(world).sweep_new()
    orphan = _id_at(utc_now() + timedelta(hours=2))
    await world.blobs.put(orphan, png(), "image/png")
    assert await later(world, timedelta(hours=1)).sweep_new() is None
    second = await later(world, timedelta(hours=4)).sweep_new()
    assert first is not None
    assert second is not None
    assert (first.looked_at, second.looked_at, second.orphans) == (1, 1, [orphan])


async def test_a_sweep_that_failed_is_done_again(world: World) -> None:
    orphan = new_id()
    await world.blobs.put(orphan, png(), "image/png")
    world.blobs.failures = 1
    with pytest.raises(StorageUnavailableError):
        await later(world).sweep_new()
    report = await later(world).sweep_new()
    assert report is not None
    assert report.orphans == [orphan]


def _id_at(moment: datetime) -> str:
    return f"{int(moment.astimezone(UTC).timestamp() * 1000):012x}{new_id()[12:]}"


async def test_pictures_of_an_unknown_outcome_are_given_back(world: World) -> None:
    """Their worker stored them and died, when another one had taken it for dead already."""
    moment = Moment()
    generation_id = await left(world, Resumable(buying("", then=moment)), moment)
    assert (await inherited(world, generation_id)).state is GenerationState.UNKNOWN
    (planned,) = await world.repository._read(
        lambda connection: connection.exec_driver_sql("SELECT planned_image_ids FROM generations").scalars().all()
    )
    await world.blobs.put(str(planned).strip('[]"'), png(), "image/png")
    assert (await later(world).sweep_all()).unclaimed == [generation_id]

    runner = world.runner()
    report = await later(world, reclaim=runner.reclaim).sweep_all()
    await asyncio.gather(*(run.task for run in runner._runs.values()))

    assert (report.unclaimed, report.orphans) == ([generation_id], [])
    generation = await runner.generation(WORKSPACE, generation_id)
    assert (generation.state, len(generation.images)) == (GenerationState.SUCCEEDED, 1)
    assert (await later(world).sweep_all()).unclaimed == []
