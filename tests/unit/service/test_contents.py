"""Derivatives: made once, for all who ask, and never left behind by a picture that is gone."""

import asyncio

import pytest

from limner.domain.derivative import Derivative, DerivativeFormat
from limner.domain.errors import ImageNotFoundError, InvalidFieldError, OverloadedError
from limner.service.contents import Contents
from limner.service.ports import InvalidPictureError
from tests.pictures import png
from tests.unit.service.conftest import ADA, WORKSPACE, World


class Held:
    """A deriver that answers when it is let go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked = 0
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self._error = error

    async def derive(self, data: bytes, wanted: Derivative) -> bytes:
        self.asked += 1
        self.begun.set()
        await self.go_on.wait()
        if self._error:
            raise self._error
        return b"made of " + data

    def close(self) -> None:
        pass


async def smaller(contents: Contents, image_id: str) -> bytes:
    _, parts = await contents.stream(await contents.find(WORKSPACE, image_id, format_name="webp"))
    return b"".join([part async for part in parts])


async def test_many_who_ask_at_once_have_it_made_once(world: World) -> None:
    image = await world.library.upload(ADA, WORKSPACE, png(8, 8))
    held = Held()
    contents = Contents(world.stores, held)
    asking = [asyncio.create_task(smaller(contents, image.id)) for _ in range(5)]
    await held.begun.wait()
    held.go_on.set()

    assert set(await asyncio.gather(*asking)) == {b"made of " + png(8, 8)}
    assert await smaller(contents, image.id) == b"made of " + png(8, 8)
    assert held.asked == 1


async def test_who_leaves_takes_it_from_nobody(world: World) -> None:
    image = await world.library.upload(ADA, WORKSPACE, png(8, 8))
    held = Held()
    contents = Contents(world.stores, held)
    leaving = asyncio.create_task(smaller(contents, image.id))
    await held.begun.wait()
    staying = asyncio.create_task(smaller(contents, image.id))
    leaving.cancel()
    held.go_on.set()

    assert await staying == b"made of " + png(8, 8)


async def test_what_another_worker_made_first_stays(world: World) -> None:
    image = await world.library.upload(ADA, WORKSPACE, png(8, 8))
    held = Held()
    asking = asyncio.create_task(smaller(Contents(world.stores, held), image.id))
    await held.begun.wait()
    await world.blobs.put(f"{image.id}/{Derivative(0, DerivativeFormat.WEBP).name}", b"the other's", "image/webp")
    held.go_on.set()

    assert await asking == b"the other's"


async def test_a_picture_that_is_deleted_meanwhile_leaves_nothing(world: World) -> None:
    image = await world.library.upload(ADA, WORKSPACE, png(8, 8))
    held = Held()
    asking = asyncio.create_task(smaller(Contents(world.stores, held), image.id))
    await held.begun.wait()
    await world.library.delete(ADA, WORKSPACE, image.id)
    held.go_on.set()

    with pytest.raises(ImageNotFoundError):
        await asking
    assert world.blobs.held() == set()


@pytest.mark.parametrize(
    ("error", "told"),
    [(InvalidPictureError("too long a side"), InvalidFieldError), (OverloadedError(), OverloadedError)],
)
async def test_what_fails_may_be_tried_again(world: World, error: Exception, told: type[Exception]) -> None:
    image = await world.library.upload(ADA, WORKSPACE, png(8, 8))
    held = Held(error)
    held.go_on.set()
    contents = Contents(world.stores, held)

    for _ in range(2):
        with pytest.raises(told):
            await smaller(contents, image.id)
    assert held.asked == 2


async def test_of_many_only_some_are_in_memory_and_beyond_a_bound_none_is_taken(world: World) -> None:
    images = [await world.library.upload(ADA, WORKSPACE, png(8, 8 + number)) for number in range(4)]
    held = Held()
    contents = Contents(world.stores, held, at_once=1, waiting=2)
    found = [await contents.find(WORKSPACE, image.id, format_name="webp") for image in images]
    asking = [asyncio.create_task(contents.open(each)) for each in found[:3]]
    await held.begun.wait()

    with pytest.raises(OverloadedError):
        await contents.open(found[3])
    assert held.asked == 1
    held.go_on.set()
    assert len(await asyncio.gather(*asking)) == 3


async def test_a_width_that_is_not_narrower_is_no_derivative_of_its_own(world: World) -> None:
    image = await world.library.upload(ADA, WORKSPACE, png(200, 8))
    keys = [
        (await world.contents.find(WORKSPACE, image.id, width=width, format_name="webp")).key
        for width in (128, 256, 512)
    ]

    assert keys == [f"{image.id}/128.webp", f"{image.id}/full.webp", f"{image.id}/full.webp"]
