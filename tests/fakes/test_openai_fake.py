"""The fake, proven by the vendor's own SDK."""

import base64
import io
from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI

from tests.fakes.openai import KEY, FakeOpenAi, fake_openai
from tests.fakes.pictures import colour_of, look
from tests.pictures import png


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAi]:
    async with fake_openai() as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeOpenAi) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=KEY, base_url=fake.base_url, max_retries=0) as client:
        yield client


def file(name: str = "cat.png") -> io.BytesIO:
    opened = io.BytesIO(png(64, 64))
    opened.name = name
    return opened


async def test_generate_answers_pictures_of_the_asked_size_and_usage(client: AsyncOpenAI, fake: FakeOpenAi) -> None:
    answer = await client.images.generate(
        model="gpt-image-2", prompt="a cat", n=2, size="1536x864", output_format="webp", quality="low"
    )
    assert answer.data is not None and answer.usage is not None
    pictures = [look(base64.b64decode(each.b64_json or "")) for each in answer.data]
    assert pictures == [(colour_of("a cat", None, index), (1536, 864), "webp") for index in (0, 1)]
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert (fake.ledger.accepted, fake.ledger.pictures) == (1, 2)


async def test_response_carries_request_id_and_rate_headers(client: AsyncOpenAI) -> None:
    raw = await client.images.with_raw_response.generate(model="gpt-image-1.5", prompt="a cat")
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-ratelimit-remaining-requests"] == "499"


@pytest.mark.parametrize("count", [1, 2, 16])
async def test_edit_takes_one_or_several_pictures(client: AsyncOpenAI, fake: FakeOpenAi, count: int) -> None:
    answer = await client.images.edit(model="gpt-image-2", prompt="add a hat", image=[file() for _ in range(count)])
    assert answer.data is not None and len(answer.data) == 1
    assert [len(each.inputs) for each in fake.requests] == [count]
    assert fake.requests[0].input_field == "image[]"


async def test_edit_takes_a_single_picture_by_its_other_name(client: AsyncOpenAI, fake: FakeOpenAi) -> None:
    await client.images.edit(model="gpt-image-2", prompt="add a hat", image=file())
    assert fake.requests[0].input_field == "image"


async def test_edit_takes_json_with_data_urls(client: AsyncOpenAI, fake: FakeOpenAi) -> None:
    address = "data:image/png;base64," + base64.b64encode(png(64, 64)).decode()
    body = {"model": "gpt-image-2", "prompt": "add a hat", "images": [{"image_url": address}]}
    await client.post("/images/edits", body=body, cast_to=openai.types.ImagesResponse)
    assert fake.requests[0].inputs == (png(64, 64),)


async def test_stream_yields_partials_and_a_completed_picture(client: AsyncOpenAI) -> None:
    stream = await client.images.generate(model="gpt-image-2", prompt="a cat", stream=True, partial_images=2)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert look(base64.b64decode(events[-1].b64_json))[1] == (1024, 1024)


async def test_edit_stream_has_events_of_its_own(client: AsyncOpenAI) -> None:
    stream = await client.images.edit(model="gpt-image-2", prompt="a", image=file(), stream=True, partial_images=1)
    assert [event.type async for event in stream] == ["image_edit.partial_image", "image_edit.completed"]


async def test_stream_error_reaches_the_sdk_as_an_error(client: AsyncOpenAI) -> None:
    prompt = "x [[fault:stream-moderation]]"
    stream = await client.images.generate(model="gpt-image-2", prompt=prompt, stream=True, partial_images=1)
    with pytest.raises(openai.APIError) as raised:
        [event async for event in stream]
    assert raised.value.code == "moderation_blocked"


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("bad-key", openai.AuthenticationError, "invalid_api_key"),
        ("forbidden", openai.PermissionDeniedError, None),
        ("moderation", openai.BadRequestError, "moderation_blocked"),
        ("moderation-output", openai.BadRequestError, "moderation_blocked"),
        ("model-not-found", openai.NotFoundError, "model_not_found"),
        ("insufficient-quota", openai.RateLimitError, "insufficient_quota"),
        ("billing-limit", openai.BadRequestError, "billing_hard_limit_reached"),
        ("rate-limit", openai.RateLimitError, "rate_limit_exceeded"),
        ("crash", openai.InternalServerError, None),
        ("bad-gateway", openai.InternalServerError, None),
        ("unavailable", openai.InternalServerError, None),
        ("drop", openai.APIConnectionError, None),
    ],
)
async def test_fault_is_what_the_sdk_takes_it_for(
    client: AsyncOpenAI, fault: str, error: type[openai.APIError], code: str | None
) -> None:
    with pytest.raises(error) as raised:
        await client.images.generate(model="gpt-image-2", prompt=f"x [[fault:{fault}]]")
    assert raised.value.code == code


async def test_sdk_retries_a_rate_limit_by_its_hint_and_buys_once(fake: FakeOpenAi) -> None:
    async with AsyncOpenAI(api_key=KEY, base_url=fake.base_url, max_retries=2) as client:
        await client.images.generate(model="gpt-image-2", prompt="x [[fault:rate-limit-ms*2]]")
    assert (len(fake.requests), fake.ledger.accepted) == (3, 1)


async def test_wrong_key_is_refused(fake: FakeOpenAi) -> None:
    async with AsyncOpenAI(api_key="sk-other", base_url=fake.base_url, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.images.generate(model="gpt-image-2", prompt="x")
    assert fake.ledger.accepted == 0


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("gpt-image-1.5", {"size": "1536x864"}),
        ("gpt-image-2", {"size": "1000x1000"}),
        ("gpt-image-2", {"size": "512x512"}),
        ("gpt-image-2", {"size": "3840x1024"}),
        ("gpt-image-2", {"n": 11}),
        ("gpt-image-2", {"quality": "max"}),
        ("gpt-image-2", {"extra_body": {"seed": 1}}),
        ("gpt-image-2", {"response_format": "b64_json"}),
        ("gpt-image-2", {"extra_body": {"partial_images": 2}}),
    ],
)
async def test_illegal_value_is_refused(client: AsyncOpenAI, model: str, fields: dict[str, object]) -> None:
    with pytest.raises(openai.BadRequestError):
        await client.images.generate(model=model, prompt="x", **fields)  # type: ignore[call-overload]


async def test_retired_model_is_not_found(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        await client.images.generate(model="gpt-image-1", prompt="x")


@pytest.mark.parametrize(
    ("dialect", "model"),
    [("stable-diffusion.cpp", "any"), ("vllm-omni", "Qwen/Qwen-Image"), ("sglang", "any"), ("litellm", "gpt-image-2")],
)
async def test_sdk_gets_pictures_from_every_dialect(dialect: str, model: str) -> None:
    async with (
        fake_openai(dialect) as fake,
        AsyncOpenAI(api_key=KEY, base_url=fake.base_url, max_retries=0) as client,
    ):
        plain = {} if dialect == "litellm" else {"response_format": "b64_json"}
        answer = await client.images.generate(model=model, prompt="a cat", size="512x512", extra_body=plain)
    assert answer.data is not None
    assert look(base64.b64decode(answer.data[0].b64_json or ""))[1] == (512, 512)


async def test_localai_answers_addresses_and_splits_the_prompt() -> None:
    async with (
        fake_openai("localai") as fake,
        AsyncOpenAI(api_key=KEY, base_url=fake.base_url, max_retries=0) as client,
    ):
        answer = await client.images.generate(model="any", prompt="a cat|a dog", size="256x256")
    assert answer.data is not None
    assert (answer.data[0].url or "").startswith(fake.base_url.removesuffix("/v1") + "/generated-images/")
    assert (fake.requests[0].prompt, fake.requests[0].negative_prompt) == ("a cat", "a dog")


async def test_stable_diffusion_cpp_obeys_a_tag_in_the_prompt() -> None:
    tag = '<sd_cpp_extra_args>{"seed": 7, "steps": 1}</sd_cpp_extra_args>'
    async with (
        fake_openai("stable-diffusion.cpp") as fake,
        AsyncOpenAI(api_key="none", base_url=fake.base_url, max_retries=0) as client,
    ):
        answer = await client.images.generate(model="any", prompt=f"a cat{tag}", n=9)
    assert answer.data is not None and len(answer.data) == 8
    assert look(base64.b64decode(answer.data[1].b64_json or ""))[0] == colour_of("a cat", 8, 0)
    assert fake.requests[0].extra_args == {"seed": 7, "steps": 1}
