"""The fake Google is good enough for Google's own SDK."""

from collections.abc import AsyncIterator

import pytest
from google.genai import Client, errors, types
from google.oauth2.credentials import Credentials

from tests.fakes.google import BUSY, FAILED, KEY, LOCATION, NOT_TAKEN, PROJECT, FakeGoogle, fake_google
from tests.fakes.google_schema import MODELS, RETIRED, SIZES
from tests.fakes.pictures import colour_of, look, near, picture

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

FLASH = "gemini-3.1-flash-image"


@pytest.fixture
async def google() -> AsyncIterator[FakeGoogle]:
    async with fake_google() as fake:
        yield fake


@pytest.fixture
async def sdk(google: FakeGoogle) -> AsyncIterator[Client]:
    async for client in closing(developer(google)):
        yield client


async def closing(client: Client) -> AsyncIterator[Client]:
    yield client
    await client.aio.aclose()
    client.close()


def developer(google: FakeGoogle, *, key: str = KEY, version: str = "v1beta") -> Client:
    return Client(api_key=key, http_options=types.HttpOptions(base_url=google.url, api_version=version))


def pictured(
    ratio: str | None = None, *, seed: int | None = None, candidate_count: int | None = None
) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"],
        image_config=types.ImageConfig(aspect_ratio=ratio),
        seed=seed,
        candidate_count=candidate_count,
    )


def drawn(answer: types.GenerateContentResponse) -> tuple[bytes, str]:
    """Return the one picture that is no thought, and its content type."""
    blobs = [part.inline_data for part in answer.parts or [] if part.inline_data and not part.thought]
    assert len(blobs) == 1 and blobs[0].data and blobs[0].mime_type
    return blobs[0].data, blobs[0].mime_type


@pytest.mark.parametrize("model", MODELS)
async def test_a_model_answers_with_words_and_a_picture_of_its_own_format(
    google: FakeGoogle, sdk: Client, model: str
) -> None:
    answer = await sdk.aio.models.generate_content(model=model, contents="a cat", config=pictured("16:9", seed=7))
    data, content_type = drawn(answer)
    colour, size, to = look(data)
    assert near(colour, colour_of("a cat", 7, 0)) and size == SIZES["16:9"]
    assert content_type == f"image/{to}" == MODELS[model].content_type
    assert [part.text for part in answer.parts or [] if part.text and not part.thought] == [
        "Here is what you asked for."
    ]
    assert answer.usage_metadata and answer.usage_metadata.total_token_count == 1299
    assert [(each.model, each.pictures) for each in google.ledger.purchases] == [(model, 1)]
    assert not google.recorder.leaks


async def test_the_stable_version_of_the_api_answers_too(google: FakeGoogle) -> None:
    async for client in closing(developer(google, version="v1")):
        answer = await client.aio.models.generate_content(model=FLASH, contents="a cat", config=pictured())
        assert drawn(answer)
    assert google.recorder.to("api")[0].path == f"/v1/models/{FLASH}:generateContent"


async def test_the_pro_model_shows_its_thoughts(sdk: Client) -> None:
    answer = await sdk.aio.models.generate_content(model="gemini-3-pro-image", contents="a cat", config=pictured())
    assert [bool(part.inline_data) for part in answer.parts or [] if part.thought] == [False, True]


async def test_an_edit_keeps_the_shape_of_its_picture(google: FakeGoogle, sdk: Client) -> None:
    image = types.Part.from_bytes(data=picture((9, 99, 199), 640, 360), mime_type="image/png")
    contents = types.UserContent([types.Part(text="warmer"), image])
    answer = await sdk.aio.models.generate_content(model=FLASH, contents=contents, config=pictured())
    assert look(drawn(answer)[0])[1] == SIZES["16:9"]


async def test_vertex_takes_a_token_and_its_own_address(google: FakeGoogle) -> None:
    google.tokens.append("a-token")
    options = types.HttpOptions(base_url=google.url, api_version="v1")
    credentials = Credentials(token="a-token")  # type: ignore[no-untyped-call]
    client = Client(vertexai=True, project=PROJECT, location=LOCATION, credentials=credentials, http_options=options)
    async for sdk in closing(client):
        answer = await sdk.aio.models.generate_content(model=FLASH, contents="a cat", config=pictured("3:2"))
        assert look(drawn(answer)[0])[1] == SIZES["3:2"]
    assert google.recorder.to("api")[0].path.startswith(google.vertex_url.removeprefix(google.url))


@pytest.mark.parametrize("reason", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "JAILBREAK"])
async def test_a_prompt_is_blocked(google: FakeGoogle, sdk: Client, reason: str) -> None:
    answer = await sdk.aio.models.generate_content(model=FLASH, contents=f"[[fault:block={reason}]]")
    assert answer.prompt_feedback and answer.prompt_feedback.block_reason == types.BlockedReason(reason)
    assert answer.candidates is None and not google.ledger.purchases


@pytest.mark.parametrize("reason", ["IMAGE_SAFETY", "NO_IMAGE", "IMAGE_OTHER", "RECITATION", "SPII", "MAX_TOKENS"])
async def test_a_picture_is_withheld(google: FakeGoogle, sdk: Client, reason: str) -> None:
    answer = await sdk.aio.models.generate_content(model=FLASH, contents=f"[[fault:finish={reason}]]")
    assert answer.candidates and answer.candidates[0].finish_reason == types.FinishReason(reason)
    assert answer.parts is None and not google.ledger.purchases


@pytest.mark.parametrize("fault", ["text-only", "no-parts", "empty", "no-candidates"])
async def test_an_answer_may_have_no_picture(google: FakeGoogle, sdk: Client, fault: str) -> None:
    answer = await sdk.aio.models.generate_content(model=FLASH, contents=f"[[fault:{fault}]]")
    assert not [part for part in answer.parts or [] if part.inline_data]
    assert not google.ledger.purchases


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [(f"429={name}", 429, "RESOURCE_EXHAUSTED") for name in BUSY if name != "html"]
    + [(name, int(name[:3]), None) for name in NOT_TAKEN if name[:3].isdigit() and name != "413"]
    + [("overloaded", 503, "UNAVAILABLE"), ("key-invalid", 400, "INVALID_ARGUMENT")]
    + [("billing", 400, "FAILED_PRECONDITION"), ("500", 500, "INTERNAL"), ("504", 504, "DEADLINE_EXCEEDED")]
    + [("500-list", 500, "INTERNAL"), ("502-html", 502, "Bad Gateway")],
)
async def test_errors_are_told_as_google_tells_them(
    google: FakeGoogle, sdk: Client, fault: str, code: int, status: str | None
) -> None:
    with pytest.raises(errors.APIError) as caught:
        await sdk.aio.models.generate_content(model=FLASH, contents=f"a cat [[fault:{fault}]]")
    assert caught.value.code == code
    assert status is None or caught.value.status == status
    assert google.ledger.accepted == (fault in FAILED)


async def test_several_candidates_are_refused(google: FakeGoogle, sdk: Client) -> None:
    with pytest.raises(errors.ClientError, match="Multiple candidates is not enabled"):
        await sdk.aio.models.generate_content(model=FLASH, contents="a cat", config=pictured(candidate_count=2))
    assert google.ledger.accepted == 0


async def test_what_is_no_picture_is_refused(google: FakeGoogle, sdk: Client) -> None:
    drawing = types.UserContent(types.Part.from_bytes(data=b"<svg/>", mime_type="image/svg+xml"))
    with pytest.raises(errors.ClientError, match="Unable to process input image"):
        await sdk.aio.models.generate_content(model=FLASH, contents=drawing)
    assert google.ledger.accepted == 0


async def test_an_unknown_ratio_is_refused(sdk: Client) -> None:
    with pytest.raises(errors.ClientError, match="aspect_ratio must be one of"):
        await sdk.aio.models.generate_content(model=FLASH, contents="a cat", config=pictured("7:5"))


@pytest.mark.parametrize("model", [RETIRED[0], "gemini-9-image"])
async def test_a_model_that_is_gone_is_not_found(sdk: Client, model: str) -> None:
    with pytest.raises(errors.ClientError) as caught:
        await sdk.aio.models.generate_content(model=model, contents="a cat")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


async def test_a_wrong_key_is_refused(google: FakeGoogle) -> None:
    async for client in closing(developer(google, key="wrong")):
        with pytest.raises(errors.ClientError, match="API key not valid"):
            await client.aio.models.generate_content(model=FLASH, contents="a cat")
    assert google.ledger.accepted == 0
