"""A provider's bill, when OpenAI's SDKs meet every way in which a provider fails: they try again by themselves."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.e2e.providers import KEYS, Catalogue
from tests.fakes.background import background
from tests.fakes.openai import FakeOpenAi, fake_openai
from tests.pictures import png
from tests.service import WORKSPACE, Service, running_service
from tests.web.openai.clients import ids_of, node, picture_of, sdk_of

MODEL = "gpt-image-2"


class World:
    """The service, and the provider that it buys from."""

    def __init__(self, service: Service, provider: FakeOpenAi) -> None:
        self.service = service
        self.provider = provider
        self._before = provider.ledger.accepted

    def bought(self) -> int:
        """How many requests the provider accepted since the last look."""
        before, self._before = self._before, self.provider.ledger.accepted
        return self._before - before

    def sent(self) -> int:
        """How many requests the provider got at all."""
        return len(self.provider.recorder.to("api"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("bought")
    with background() as loop:
        provider = loop.enter(fake_openai())
        catalogue = Catalogue()
        shared = {"adapter": "openai", "base_url": provider.base_url, "api_key_env": "FAKE_OPENAI"}
        catalogue.add(MODEL, shared)
        catalogue.write(folder / "models.toml")
        settings = KEYS | {"LIMNER_MODELS": str(folder / "models.toml"), "LIMNER_QUOTA_IMAGES_PER_MONTH": "60"}
        with running_service(folder / "data", env=settings) as service:
            yield World(service, provider)


def prompt(fault: str) -> str:
    return f"a fox [[fault:{fault}]]"


MAYBE_BOUGHT = ["drop", "truncate", "html-200", "not-json", "no-data", "bad-gateway", "words-502", "moderation-output"]


@pytest.mark.parametrize("fault", MAYBE_BOUGHT)
def test_what_may_have_been_bought_is_not_asked_for_again(world: World, fault: str) -> None:
    world.bought()
    client = sdk_of(world.service)  # which would try twice more
    sent = world.sent()

    with pytest.raises(openai.APIStatusError) as failure:
        client.images.generate(prompt=prompt(fault))

    assert failure.value.response.headers["x-should-retry"] == "false"
    assert world.bought() <= 1
    assert world.sent() == sent + 1
    assert failure.value.body["metadata"]["generationId"]  # type: ignore[index]


@pytest.mark.parametrize("fault", ["drop", "words-502"])
@pytest.mark.parametrize("action", ["fail", "failStream"])
def test_node_does_not_ask_again_either(world: World, fault: str, action: str) -> None:
    sent = world.sent()

    failure = node(world.service, WORKSPACE, world.service.token(), action, prompt=prompt(fault))

    assert failure["message"]
    assert world.sent() == sent + 1


@pytest.mark.parametrize("fault", ["drop", "moderation-output"])
def test_a_stream_that_fails_says_so_in_its_last_event(world: World, fault: str) -> None:
    sent = world.sent()

    with pytest.raises(openai.APIError) as failure:
        list(sdk_of(world.service).images.generate(prompt=prompt(fault), stream=True))

    assert not isinstance(failure.value, openai.APIStatusError)  # the status was gone already
    assert failure.value.body["metadata"]["generationId"]  # type: ignore[index]
    assert world.sent() == sent + 1


def test_a_refusal_of_the_provider_looks_like_openais(world: World) -> None:
    with pytest.raises(openai.BadRequestError) as failure:
        sdk_of(world.service).images.generate(prompt=prompt("moderation"))

    assert (failure.value.code, failure.value.type) == ("moderation_blocked", "image_generation_user_error")


def test_early_forms_are_bought_only_by_who_asks_for_them(world: World) -> None:
    client = sdk_of(world.service)

    with_some = list(client.images.generate(prompt="a fox", stream=True, partial_images=1))
    asked = world.provider.recorder.to("api")[-1].body
    with_none = list(client.images.generate(prompt="a fox", stream=True))

    assert [event.type for event in with_some] == ["image_generation.partial_image", "image_generation.completed"]
    assert getattr(with_some[0], "partial_image_index", None) == 0
    assert picture_of(with_some[0].b64_json).size
    assert b'"stream": true' in asked or b'"stream":true' in asked
    assert [event.type for event in with_none] == ["image_generation.completed"]
    assert b"stream" not in world.provider.recorder.to("api")[-1].body


def test_what_the_model_knows_is_passed_on(world: World) -> None:
    picture = png(64, 64)

    answer = sdk_of(world.service).images.edit(
        image=[io.BytesIO(picture)],
        mask=io.BytesIO(picture),
        prompt="a fox",
        quality="high",
        background="opaque",
        output_format="webp",
        output_compression=60,
        size="1536x1024",
    )

    body = world.provider.recorder.to("api")[-1].body
    for name, value in {
        "quality": "high",
        "background": "opaque",
        "output_compression": "60",
        "size": "1536x1024",
    }.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in body, name
    assert body.count(b'name="mask"') == 1
    assert (answer.quality, answer.background, answer.output_format) == ("high", "opaque", "webp")


def test_a_mask_that_does_not_fit_is_refused_before_anything_is_bought(world: World) -> None:
    sent = world.sent()

    with pytest.raises(openai.BadRequestError) as refusal:
        sdk_of(world.service).images.edit(image=png(64, 64), mask=png(32, 64), prompt="a fox")

    assert refusal.value.param == "mask"
    assert world.sent() == sent


def test_with_a_key_a_retry_gets_what_was_bought(world: World) -> None:
    client = sdk_of(world.service)
    headers = {"Idempotency-Key": "bought-once"}
    world.bought()

    first = client.images.generate(prompt="a fox", n=2, extra_headers=headers)
    again = client.images.generate(prompt="a fox", n=2, extra_headers=headers)

    assert ids_of(first) == ids_of(again)
    assert [each.b64_json for each in first.data or []] == [each.b64_json for each in again.data or []]
    assert base64.b64decode((first.data or [])[0].b64_json or "")
    assert world.bought() == 1


def test_a_quota_that_is_used_up_is_told_and_not_tried_again(world: World) -> None:
    client = sdk_of(world.service, max_retries=5)
    sent = world.sent()

    with pytest.raises(openai.RateLimitError) as refusal:
        for _ in range(7):
            client.images.generate(prompt="a fox", n=10)

    assert refusal.value.code == "insufficient_quota"
    assert refusal.value.response.headers["x-should-retry"] == "false"
    assert world.sent() - sent <= 6
