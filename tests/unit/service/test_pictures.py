"""Keeping, adopting and delivering the pictures of one generation."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limner.domain.errors import StorageUnavailableError
from limner.domain.identifiers import new_id
from limner.domain.image import OutputFormat
from limner.domain.model import ModelCapabilities
from limner.domain.task import GenerateTask, Generation, MissingPicture, Operation, Plan, Task
from limner.service.pictures import Pictures
from limner.service.ports import MadePicture
from limner.service.sweeper import Sweeper
from limner.storage.spool import FileSpool, unshown_in
from tests import phones
from tests.pictures import decoded, encoded, jpeg, painting, png
from tests.unit.service.conftest import WORKSPACE, World

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SMALL, LARGE = png(8, 8), png(16, 16)


def of(world: World, count: int = 1, ids: tuple[str, ...] = ()) -> Pictures:
    """The pictures of a generation, as a worker has them that just began; with the same ids, another worker's."""
    generation = Generation(
        id=new_id(),
        workspace_id=WORKSPACE,
        created_by_user_id="ada",
        operation=Operation.GENERATE,
        model="scripted",
        prompt="a fox",
        requested_images=count,
        created_at=NOW,
        updated_at=NOW,
    )
    task = GenerateTask(model_id="scripted", prompt="a fox", num_images=count)
    plan = Plan(task=task, seed=7, image_ids=ids or tuple(new_id() for _ in range(count)))
    return Pictures(generation, plan, world.stores)


def scripted(_: int) -> ModelCapabilities:
    """Which model made a picture."""
    return ModelCapabilities(id="scripted", description="", operations=(Operation.GENERATE,), seeds=True)


def ids_of(pictures: Pictures) -> tuple[str, ...]:
    return pictures._plan.image_ids


@pytest.fixture(params=[True, False], ids=["spool first", "store first"])
def world(world: World, request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param:
        world.stores = replace(
            world.stores, spool=FileSpool(tmp_path / "spool", goes_first=True, max_bytes=1 << 20, min_free_bytes=0)
        )
    return world


async def keep(pictures: Pictures, data: bytes = SMALL, index: int = 0) -> None:
    await pictures.keep(MadePicture(index=index, data=data, seed=7 + index))


async def consistent(world: World, pictures: Pictures) -> Any:
    """The one picture, whose facts are those of the stored bytes, with nothing left in the spool."""
    (image,) = pictures.images
    data = await world.blobs.read(image.id)
    info = await world.stores.codec.verify(data)
    assert (image.width, image.size_bytes) == (info.width, len(data))
    assert await world.stores.spool.keys() == ()
    return image


async def test_a_picture_goes_to_the_store(world: World) -> None:
    pictures = of(world)
    await keep(pictures)
    await consistent(world, pictures)


async def test_while_the_store_is_down_a_picture_is_spooled_and_then_delivered(world: World) -> None:
    pictures = of(world)
    world.blobs.failures = 2
    await keep(pictures)
    assert await world.stores.spool.keys() == ids_of(pictures)
    with pytest.raises(StorageUnavailableError):
        await pictures.deliver()
    await pictures.deliver()
    await consistent(world, pictures)


async def test_bytes_that_another_worker_stored_first_win(world: World) -> None:
    first = of(world)
    second = of(world, ids=ids_of(first))
    await keep(first, LARGE)
    await keep(second, SMALL)
    assert (await consistent(world, second)).width == 16


async def test_bytes_that_another_worker_stored_during_the_outage_win(world: World) -> None:
    first = of(world)
    second = of(world, ids=ids_of(first))
    world.blobs.failures = 1
    await keep(first, SMALL)
    await keep(second, LARGE)
    await first.deliver()
    await second.deliver()
    assert (await consistent(world, first)).width == (await consistent(world, second)).width


async def test_of_two_spooled_pictures_the_first_is_delivered(world: World) -> None:
    first = of(world)
    second = of(world, ids=ids_of(first))
    world.blobs.failures = 2
    await keep(first, LARGE)
    await keep(second, SMALL)
    await second.deliver()
    assert (await consistent(world, second)).width == 16


async def test_what_another_worker_delivered_is_there(world: World) -> None:
    first = of(world)
    world.blobs.failures = 1
    await keep(first)
    second = of(world, ids=ids_of(first))
    await second.adopt(scripted)
    await second.deliver()
    await first.deliver()
    assert await consistent(world, first) == replace(
        await consistent(world, second), **_own(await consistent(world, first))
    )


async def test_a_picture_whose_bytes_are_gone_is_not_shown(world: World) -> None:
    pictures = of(world)
    world.blobs.failures = 1
    await keep(pictures)
    await world.stores.spool.discard(*ids_of(pictures))
    await pictures.deliver()
    assert pictures.images == ()
    assert pictures.missing[0].reason == "STORAGE_UNAVAILABLE"


async def test_nothing_is_adopted_where_nothing_was_kept(world: World) -> None:
    pictures = of(world, 2)
    await pictures.adopt(scripted)
    assert (pictures.images, pictures.open_indexes) == ((), (0, 1))


async def test_junk_is_not_adopted(world: World) -> None:
    pictures = of(world, 2)
    stored, spooled = ids_of(pictures)
    await world.blobs.put(stored, b"junk", "image/png")
    await world.stores.spool.keep(spooled, b"junk")
    await pictures.adopt(scripted)
    assert pictures.open_indexes == (0, 1)


async def test_adopting_waits_for_a_store_that_is_down(world: World) -> None:
    pictures = of(world)
    world.blobs.failures = 1
    with pytest.raises(StorageUnavailableError):
        await pictures.adopt(scripted)
    assert pictures.open_indexes == (0,)


async def test_a_picture_that_comes_after_all_is_not_missing(world: World) -> None:
    pictures = of(world)
    pictures.miss(MissingPicture(index=0, reason="PROVIDER_UNAVAILABLE", message="Late."))
    await keep(pictures)
    assert pictures.missing == {}


async def test_bytes_that_nobody_will_see_are_forgotten_and_those_of_rows_are_not(world: World) -> None:
    generation = await world.runner().run(_asked())
    (image,) = generation.images
    seen, unseen = of(world, ids=(image.id,)), of(world)
    await seen.adopt(scripted)
    await keep(unseen)
    await seen.forget()
    await unseen.forget()
    assert world.blobs.held() == {image.id}


def _asked() -> Any:
    from tests.unit.service.conftest import asked

    return asked()


def _own(image: Any) -> dict[str, Any]:
    """What differs between two workers' facts about the same picture."""
    return {name: getattr(image, name) for name in ("generation_id", "created_at", "updated_at", "parameters")}


def in_format(world: World, wanted: OutputFormat | None, task: Task | None = None) -> Pictures:
    """The pictures of a generation whose caller asks for a format, or for none."""
    pictures = of(world)
    plan = replace(pictures._plan, task=task or GenerateTask(model_id="scripted", prompt="a fox", output_format=wanted))
    return Pictures(pictures._generation, plan, world.stores)


PAID = {
    "a JPEG with a manifest": phones.with_segments(jpeg(8, 8), phones.manifest()),
    "a PNG with a line's end behind it": SMALL + b"\n",
    "a PNG with a spare row": png(pixels=bytes(25 * 9)),
    "an Ultra HDR": phones.ultra_hdr()[1],
    "a photograph on its side": phones.photo(32, 16, turn=6),
}


@pytest.mark.parametrize("name", PAID)
async def test_without_a_format_a_picture_is_kept_byte_for_byte_and_its_format_is_told(world: World, name: str) -> None:
    pictures = in_format(world, None)
    await keep(pictures, PAID[name])
    (image,) = pictures.images
    assert await world.blobs.read(image.id) == PAID[name]
    assert image.parameters["outputFormat"] == image.format == ("png" if "PNG" in name else "jpeg")


async def test_the_size_is_that_of_the_picture_as_it_is_shown(world: World) -> None:
    pictures = in_format(world, None)
    await keep(pictures, phones.photo(32, 16, turn=6))
    (image,) = pictures.images
    assert (image.width, image.height) == (16, 32)


@pytest.mark.parametrize("file_format", ["AVIF", "GIF", "TIFF", "BMP"])
async def test_what_is_none_of_our_formats_is_kept_as_png(world: World, file_format: str) -> None:
    pictures = in_format(world, None)
    await keep(pictures, encoded(painting(16, 16), file_format))
    (image,) = pictures.images
    assert decoded(await world.blobs.read(image.id)).format == "PNG"


async def test_a_picture_that_no_decoder_shows_is_set_aside_and_never_swept_away(world: World) -> None:
    pictures = in_format(world, None)
    await keep(pictures, b"<html>Bad gateway</html>")
    spool = world.stores.spool
    (key,) = ids_of(pictures)
    assert pictures.images == () and "can't be shown" in pictures.missing[0].message
    assert await spool.keys() == ()
    await Sweeper(world.stores).sweep_all()
    assert isinstance(spool, FileSpool)
    (path,) = unshown_in(spool._root)
    assert (path.name, path.read_bytes()) == (key, b"<html>Bad gateway</html>")


async def test_what_can_not_be_shown_takes_room_until_the_operator_takes_it_away(tmp_path: Path) -> None:
    for _ in range(2):  # a worker that starts later counts it too
        spool = FileSpool(tmp_path, goes_first=False, max_bytes=10, min_free_bytes=0)
        await spool.set_aside(new_id(), b"x" * 20)
        with pytest.raises(StorageUnavailableError):
            spool.require_room()
        await spool.close()
    for path in unshown_in(tmp_path):
        path.unlink()
    again = FileSpool(tmp_path, goes_first=False, max_bytes=10, min_free_bytes=0)
    again.require_room()
    await again.close()
