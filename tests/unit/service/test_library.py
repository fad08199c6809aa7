"""Pictures of one's own, their bytes, and their deletion, also while something is down."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from limner.domain import limits
from limner.domain.errors import (
    DatabaseUnavailableError,
    ImageNotFoundError,
    InvalidFieldError,
    PermissionDeniedError,
    StorageUnavailableError,
)
from limner.domain.image import ImageFilter, Retention
from limner.domain.task import Operation
from limner.imaging.codec import PillowCodec
from limner.service.caller import Caller, Role
from limner.service.library import ImageLibrary
from limner.service.ports import ReadyPicture
from limner.service.retention import BATCH, Keeper
from tests.pictures import png, svg
from tests.unit.service.conftest import ADA, BOB, WORKSPACE, World, asked
from tests.unit.service.test_tasks import shown, until

ADMIN = Caller(user_id="wanda", workspaces={WORKSPACE: Role.ADMIN})


async def content(world: World, image_id: str, generation_id: str = "") -> bytes:
    _, chunks = await world.contents.stream(await world.contents.find(WORKSPACE, image_id, generation_id))
    return b"".join([chunk async for chunk in chunks])


async def test_an_upload_is_kept_as_it_came(world: World) -> None:
    image = await world.library.upload(ADA, WORKSPACE, png(24, 16))

    assert (image.width, image.height, image.size_bytes) == (24, 16, len(png(24, 16)))
    assert await content(world, image.id) == png(24, 16)
    assert await world.library.image(WORKSPACE, image.id) == image


class SlowCodec(PillowCodec):
    """Decodes nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.decoding: list[bytes] = []
        self.begun = asyncio.Event()
        self.let = asyncio.Semaphore(0)

    async def received(self, data: bytes) -> ReadyPicture:
        self.decoding.append(data)
        self.begun.set()
        await self.let.acquire()
        return await super().received(data)


async def test_the_uploads_of_a_workspace_are_decoded_in_turn_with_those_of_others(world: World) -> None:
    codec = SlowCodec()
    library = ImageLibrary(replace(world.stores, codec=codec))
    many = [asyncio.create_task(library.upload(ADA, WORKSPACE, png(8 + number, 8))) for number in range(4)]
    await codec.begun.wait()
    other = asyncio.create_task(library.upload(BOB, "bolt", png(99, 9)))
    await asyncio.sleep(0)  # it has come to its turn by then

    for _ in range(3):
        codec.let.release()
    await other

    assert codec.decoding.index(png(99, 9)) <= 2, "it waited for all of them"
    codec.let.release()
    codec.let.release()
    assert len(await asyncio.gather(*many)) == 4
    codec.close()


@pytest.mark.parametrize("data", [b"", svg(), bytes(limits.MAX_UPLOAD_BYTES + 1)], ids=["empty", "svg", "huge"])
async def test_what_is_no_picture_is_not_kept(world: World, data: bytes) -> None:
    with pytest.raises(InvalidFieldError) as refusal:
        await world.library.upload(ADA, WORKSPACE, data)

    assert [violation.field for violation in refusal.value.violations] == ["picture"]
    assert world.blobs.held() == set()


async def test_an_upload_that_the_store_refuses_is_not_shown(world: World) -> None:
    world.blobs.failures = 1

    with pytest.raises(StorageUnavailableError):
        await world.library.upload(ADA, WORKSPACE, png())

    assert await shown(world) == []


async def test_an_upload_that_the_database_refuses_is_not_shown(world: World) -> None:
    world.repository.failing_uploads = 1

    with pytest.raises(DatabaseUnavailableError):
        await world.library.upload(ADA, WORKSPACE, png())

    assert await shown(world) == []


@pytest.mark.parametrize("image_id", ["0" * 32, "nonsense", "", "../x", "\0"])
async def test_what_is_not_there_is_not_found(world: World, image_id: str) -> None:
    for call in (
        world.library.image(WORKSPACE, image_id),
        world.library.delete(ADA, WORKSPACE, image_id),
        world.contents.find(WORKSPACE, image_id, ""),
        world.contents.find(WORKSPACE, image_id, "0" * 32),
    ):
        with pytest.raises(ImageNotFoundError):
            await call


async def test_another_workspace_does_not_have_it(world: World) -> None:
    image = await world.library.upload(ADA, WORKSPACE, png())

    with pytest.raises(ImageNotFoundError):
        await world.library.image("elsewhere", image.id)


async def test_bytes_that_are_gone_are_not_found(world: World) -> None:
    image = await world.library.upload(ADA, WORKSPACE, png())
    await world.blobs.delete(image.id)

    with pytest.raises(ImageNotFoundError):
        await content(world, image.id)


async def test_only_the_maker_and_admins_delete(world: World) -> None:
    mine = await world.library.upload(ADA, WORKSPACE, png())
    with pytest.raises(PermissionDeniedError):
        await world.library.delete(BOB, WORKSPACE, mine.id)

    await world.library.delete(ADMIN, WORKSPACE, mine.id)

    assert await shown(world) == []
    assert world.blobs.held() == set()


async def test_bytes_that_could_not_be_deleted_are_deleted_later(world: World) -> None:
    image = await world.library.upload(ADA, WORKSPACE, png())
    world.blobs.failures = 1

    await world.library.delete(ADA, WORKSPACE, image.id)

    assert await shown(world) == []
    assert world.blobs.held() == {image.id}
    purging = asyncio.create_task(world.library.keep_purging())
    await until(lambda: gone(world))
    purging.cancel()


async def test_images_are_deleted_as_by_their_owner_when_their_time_is_over(world: World) -> None:
    source = await world.library.upload(ADA, WORKSPACE, png(4, 4))
    generation = await world.runner().run(asked(Operation.EDIT, image_ids=(source.id,)))
    images = [await world.library.upload(BOB, WORKSPACE, png()) for _ in range(BATCH + 1)]
    keeper = Keeper(world.library, Retention(1), look_interval_s=0.01, pause_s=0)
    expiring = asyncio.create_task(keeper.keep_expiring())
    await asyncio.sleep(0)
    assert len(world.blobs.held()) == len(images) + 2

    world.time_passes(timedelta(days=1, seconds=1))

    await until(lambda: gone(world))
    expiring.cancel()
    assert await shown(world) == []
    ended = await world.repository.generation(WORKSPACE, generation.id)
    assert ended is not None and ended.images == ()


async def test_an_outage_holds_expiry_up_but_does_not_end_it(world: World) -> None:
    await world.library.upload(ADA, WORKSPACE, png())
    world.time_passes(timedelta(days=2))
    world.blobs.failures = 1
    expiring = asyncio.create_task(Keeper(world.library, Retention(1), look_interval_s=0.01).keep_expiring())

    await until(lambda: nothing_shown(world))
    assert not expiring.done()
    purging = asyncio.create_task(world.library.keep_purging())
    await until(lambda: gone(world))
    expiring.cancel()
    purging.cancel()


async def nothing_shown(world: World) -> bool:
    return await shown(world) == []


async def gone(world: World) -> bool:
    return not world.blobs.held() and not await world.repository.images_to_purge(10)


async def test_an_input_is_readable_until_the_last_image_from_it_is_deleted(world: World) -> None:
    source = await world.library.upload(ADA, WORKSPACE, png(4, 4))
    generation = await world.runner().run(asked(Operation.EDIT, image_ids=(source.id,), num_images=2))

    await world.library.delete(ADA, WORKSPACE, source.id)

    with pytest.raises(ImageNotFoundError):
        await content(world, source.id)
    for image in generation.images:
        assert await content(world, source.id, generation.id) == png(4, 4)
        await world.library.delete(ADA, WORKSPACE, image.id)
    with pytest.raises(ImageNotFoundError):
        await content(world, source.id, generation.id)
    assert world.blobs.held() == set()


@pytest.mark.parametrize("where", [ImageFilter(generation_id="nonsense"), ImageFilter(created_by_user_id="a\0b")])
async def test_a_filter_that_names_nothing_finds_nothing(world: World, where: ImageFilter) -> None:
    await world.library.upload(ADA, WORKSPACE, png())

    page = await world.library.images(WORKSPACE, where, None, 10)

    assert (page.images, page.next) == ((), None)
