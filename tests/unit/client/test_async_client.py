import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from limner.client import (
    AsyncClient,
    Client,
    ContentRejectedError,
    GenerateImagesRequest,
    Generation,
    NotFoundError,
    OverloadedError,
    UnauthenticatedError,
    UnavailableError,
)
from tests.standin import BUSY, REFUSED, SLOW, TOKEN, WORKSPACE, StandIn, png


@pytest_asyncio.fixture
async def client(service: StandIn) -> AsyncIterator[AsyncClient]:  # type: ignore[override, unused-ignore]
    async with AsyncClient(service.address, token=TOKEN, workspace=WORKSPACE) as client:
        yield client


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    def methods(client: type) -> dict[str, list[str]]:
        public = inspect.getmembers(client, inspect.isfunction)
        return {name: list(inspect.signature(each).parameters) for name, each in public if not name.startswith("_")}

    assert methods(AsyncClient) == methods(Client)


async def test_generate_edit_upscale(client: AsyncClient) -> None:
    cat = (await client.generate("a cat")).images[0]
    warm = (await client.edit([cat.id], "warmer", num_images=2)).images
    large = (await client.upscale(cat.id, model_id="realesrgan-x4plus", upscale_factor=2)).images

    assert [list(image.input_image_ids) for image in (*warm, *large)] == [[cat.id]] * 3


async def test_run_tells_what_happens_until_the_end(client: AsyncClient) -> None:
    events = [event async for event in client.run(GenerateImagesRequest(prompt="a cat"))]

    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == ["queued", "progress", "preview", "image", "progress", "completed"]


async def test_run_raises_after_the_failed_generation(client: AsyncClient) -> None:
    kinds = []
    with pytest.raises(ContentRejectedError):
        async for event in client.run(GenerateImagesRequest(prompt=REFUSED)):
            kinds.append(event.WhichOneof("event"))  # noqa: PERF401 the events before the error count

    assert kinds[-1] == "completed"


async def test_closing_a_run_cancels_the_call(client: AsyncClient, service: StandIn) -> None:
    async with aclosing(client.run(GenerateImagesRequest(prompt=SLOW))) as events:
        async for event in events:
            if event.HasField("progress"):
                break

    assert await asyncio.to_thread(service.left.wait, 5)


async def test_cancelling_a_method_cancels_its_call(client: AsyncClient, service: StandIn) -> None:
    waiting = asyncio.create_task(client.generate(SLOW))
    assert await asyncio.to_thread(service.running.wait, 5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert await asyncio.to_thread(service.left.wait, 5)


async def test_a_generation_is_shown_and_cancelled(client: AsyncClient, service: StandIn) -> None:
    generation_id = (await client.generate("a cat")).generation_id
    service.generations[generation_id] = Generation(generation_id=generation_id, state=Generation.RUNNING)

    assert (await client.get_generation(generation_id)).state == Generation.RUNNING
    assert (await client.cancel_generation(generation_id)).state == Generation.CANCELLED


async def test_images_fetches_page_after_page(client: AsyncClient, service: StandIn) -> None:
    kept = [service.keep(png(8, 8)).id for _ in range(5)]

    assert [image.id async for image in client.images(page_size=2)] == kept[::-1]
    assert service.page_sizes == [2, 2, 2]


async def test_upload_content_delete(client: AsyncClient) -> None:
    picture = png(64, 48)
    cat = await client.upload(picture)
    assert await client.content(cat.id) == picture
    assert (await client.image(cat.id)).image_width == 64

    await client.delete(cat.id)
    with pytest.raises(NotFoundError):
        await client.image(cat.id)


async def test_download_is_whole_or_not_at_all(client: AsyncClient, service: StandIn, tmp_path: Path) -> None:
    whole, torn = service.keep(png(64, 48)), service.keep(png(64, 48) + b"torn")

    path = await client.download(whole.id, tmp_path)
    with pytest.raises(UnavailableError):
        await client.download(torn.id, tmp_path)

    assert path.read_bytes() == service.contents[whole.id]
    assert [each.name for each in tmp_path.iterdir()] == [path.name]  # noqa: ASYNC240


async def test_models_and_usage(client: AsyncClient) -> None:
    assert [model.id for model in await client.models()] == ["sketch", "realesr-animevideo", "realesrgan-x4plus"]
    assert (await client.usage()).month == "2026-11"


async def test_errors_hold_the_details(client: AsyncClient) -> None:
    with pytest.raises(OverloadedError) as caught:
        await client.generate(BUSY)

    assert (caught.value.reason, caught.value.retry_after_s) == ("OVERLOADED", 1.5)
    assert caught.value.request_id


async def test_a_token_source_may_be_awaited(service: StandIn) -> None:
    async def fresh() -> str:
        return TOKEN

    async with AsyncClient(service.address, token=fresh, workspace=WORKSPACE) as client:
        assert await client.usage()
        with pytest.raises(UnauthenticatedError):
            await client.for_workspace(WORKSPACE, token=lambda: "other").usage()
