"""The fake fal is good enough for fal's own SDK."""

import json
from collections.abc import AsyncIterator

import fal_client
import httpx
import pytest
from fal_client import AsyncClient, Completed, FalClientHTTPError, InProgress, Queued

from tests.fakes.fal import KEY, FakeFal, fake_fal
from tests.fakes.pictures import BLACK, colour_of, look, picture


@pytest.fixture
async def fal(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeFal]:
    async with fake_fal() as fake:
        # The SDK knows hosts only as constants with https before them.
        monkeypatch.setattr(fal_client.client, "QUEUE_URL_FORMAT", f"{fake.url}/")
        monkeypatch.setattr(fal_client.client, "REST_URL", fake.url)
        monkeypatch.setattr(fal_client.client, "CDN_URL", fake.cdn_url)
        yield fake


@pytest.fixture
async def sdk() -> AsyncIterator[AsyncClient]:
    client = AsyncClient(key=KEY)
    yield client
    await (await client._client).aclose()


async def downloaded(url: str) -> bytes:
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).content


async def test_subscribe_goes_through_the_queue_and_returns_the_pictures(fal: FakeFal, sdk: AsyncClient) -> None:
    arguments = {"prompt": "a cat", "num_images": 2, "seed": 7, "image_size": "square", "output_format": "png"}
    result = await sdk.subscribe("fal-ai/flux/schnell", arguments)
    assert result["seed"] == 7 and result["has_nsfw_concepts"] == [False, False]
    for index, image in enumerate(result["images"]):
        colour, size, to = look(await downloaded(image["url"]))
        assert (colour, size, to) == (colour_of("a cat", 7, index), (512, 512), "png")
    assert [(each.model, each.pictures) for each in fal.ledger.purchases] == [("fal-ai/flux/schnell", 2)]
    assert not fal.recorder.leaks


async def test_a_handle_sees_each_state(sdk: AsyncClient, fal: FakeFal) -> None:
    fal.queue_s = fal.work_s = 0.15
    handle = await sdk.submit("fal-ai/nano-banana", {"prompt": "a cat"})
    seen = [type(event) async for event in handle.iter_events(with_logs=True, interval=0.02)]
    assert list(dict.fromkeys(seen)) == [Queued, InProgress, Completed]
    assert (await handle.get())["description"] == "Here is a cat"


async def test_status_and_result_are_found_under_the_application_alone(sdk: AsyncClient, fal: FakeFal) -> None:
    handle = await sdk.submit("fal-ai/flux-pro/kontext/text-to-image", {"prompt": "a cat"})
    assert "/fal-ai/flux-pro/requests/" in handle.status_url
    await handle.get()
    again = await sdk.get_handle("fal-ai/flux-pro/kontext/text-to-image", handle.request_id)
    assert (await again.get())["images"]


async def test_an_upload_can_be_edited(sdk: AsyncClient, fal: FakeFal) -> None:
    url = await sdk.upload(picture((9, 99, 199), 320, 200), "image/png", "input.png")
    result = await sdk.subscribe("fal-ai/nano-banana/edit", {"prompt": "warmer", "image_urls": [url]})
    assert look(await downloaded(result["images"][0]["url"]))[1] == (320, 200)
    assert not fal.recorder.leaks


async def test_the_other_way_to_upload(sdk: AsyncClient, fal: FakeFal) -> None:
    data = picture((9, 99, 199), 32, 20)
    url = await sdk.upload(data, "image/png", "input.png", repository="fal", fallback_repository=[])
    assert await downloaded(url) == data


async def test_an_upscaler_enlarges_by_the_factor(sdk: AsyncClient, fal: FakeFal) -> None:
    picture_uri = fal_client.encode(picture((9, 99, 199), 30, 20), "image/png")
    result = await sdk.subscribe("fal-ai/aura-sr", {"image_url": picture_uri, "upscale_factor": 4})
    assert look(await downloaded(result["image"]["url"]))[1] == (120, 80)


async def test_wrong_fields_are_told_as_fal_tells_them(sdk: AsyncClient, fal: FakeFal) -> None:
    with pytest.raises(FalClientHTTPError) as caught:
        await sdk.subscribe("fal-ai/aura-sr", {"image_url": "data:image/png;base64,AAAA", "upscale_factor": 2})
    assert caught.value.status_code == 422
    assert [each["type"] for each in caught.value.response.json()["detail"]] == ["greater_than_equal"]
    assert fal.ledger.accepted == 1 and not fal.ledger.purchases


@pytest.mark.parametrize(
    ("fault", "status", "error_type"),
    [("refused", 422, None), ("runner", 503, "runner_disconnected"), ("never-began", 504, "request_timeout")],
)
async def test_a_job_that_fails_is_completed_with_an_error(
    fal: FakeFal, sdk: AsyncClient, fault: str, status: int, error_type: str | None
) -> None:
    with pytest.raises(FalClientHTTPError) as caught:
        await sdk.subscribe("fal-ai/nano-banana", {"prompt": f"a cat [[fault:{fault}]]"})
    assert (caught.value.status_code, caught.value.error_type) == (status, error_type)


async def test_a_black_picture_is_flagged(fal: FakeFal, sdk: AsyncClient) -> None:
    result = await sdk.subscribe("fal-ai/flux/dev", {"prompt": "[[fault:nsfw=1]]", "num_images": 2})
    assert result["has_nsfw_concepts"] == [False, True]
    assert look(await downloaded(result["images"][1]["url"]))[0] == BLACK


async def test_the_sdk_buys_again_after_a_dropped_connection(fal: FakeFal, sdk: AsyncClient) -> None:
    fal.faults.plan("drop", "")
    await sdk.subscribe("fal-ai/nano-banana", {"prompt": "a cat"})
    assert len(fal.ledger.purchases) == 2


async def test_what_waits_can_be_withdrawn_and_what_runs_is_billed(fal: FakeFal, sdk: AsyncClient) -> None:
    fal.queue_s = 30.0
    waiting = await sdk.submit("fal-ai/nano-banana", {"prompt": "a cat"})
    await waiting.cancel()
    assert fal.ledger.accepted == 1 and not fal.ledger.purchases
    fal.queue_s, fal.hold = 0.0, True
    running = await sdk.submit("fal-ai/nano-banana", {"prompt": "a cat"})
    await running.cancel()
    assert len(fal.ledger.purchases) == 1


async def test_a_wrong_key_is_refused(fal: FakeFal) -> None:
    client = AsyncClient(key="wrong:key")
    with pytest.raises(FalClientHTTPError) as caught:
        await client.submit("fal-ai/nano-banana", {"prompt": "a cat"})
    assert caught.value.status_code == 401
    await (await client._client).aclose()


async def test_the_status_stream_tells_each_state_and_ends(fal: FakeFal, sdk: AsyncClient) -> None:
    handle = await sdk.submit("fal-ai/nano-banana", {"prompt": "a cat"})
    async with httpx.AsyncClient(headers={"Authorization": f"Key {KEY}"}) as client:
        body = (await client.get(f"{handle.status_url}/stream")).text
    states = [json.loads(line.removeprefix("data: "))["status"] for line in body.splitlines() if line]
    assert states[-1] == "COMPLETED" and states == sorted(set(states), key=states.index)
