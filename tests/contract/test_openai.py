"""The adapter for OpenAI's protocol against every server that speaks it, and every way that one fails."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pytest

from limner.domain.errors import (
    ContentRejectedError,
    InvalidFieldError,
    LimnerError,
    OverloadedError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
    StorageUnavailableError,
)
from limner.domain.image import OutputFormat
from limner.domain.model import ModelCapabilities
from limner.domain.task import ASPECT_RATIOS, AUTO_ASPECT_RATIO, EditTask, Finish, GenerateTask, Operation, UpscaleTask
from limner.models.fallback import with_fallback
from limner.models.http.breaker import CircuitBreaker
from limner.models.http.retry import RetryPolicy
from limner.models.openai import DIALECTS, HOSTED_MODELS, OpenAiModel, openai_model
from limner.outbound.client import HttpClient, Timeouts
from limner.service.ports import Order
from tests.event_loop import held
from tests.fakes.openai import KEY, FakeOpenAi, fake_openai
from tests.fakes.pictures import colour_of, look
from tests.jobs import RecordingJob, StoredPicture, edit_order, generate_order
from tests.pictures import jpeg, png

PROMPT = "a very secret cat"
EVERY_DIALECT = tuple(DIALECTS)
NAMES = {"openai": "gpt-image-2", "vllm-omni": "Qwen/Qwen-Image", "litellm": "openai/gpt-image-2"}
SEEDED = ("stable-diffusion.cpp", "localai", "vllm-omni", "sglang")
FAST = RetryPolicy(first_delay_s=0.01)
SHORT: Mapping[str, Any] = {"timeouts": Timeouts(first_byte_s=0.5)}


@dataclass
class WatchingJob(RecordingJob):
    """A job that somebody watches."""

    watched: bool = True
    previews: list[tuple[int, bytes, str]] = field(default_factory=list)

    def preview(self, index: int, data: bytes, content_type: str) -> None:
        self.previews.append((index, data, content_type))


@dataclass
class Provider:
    """A fake, and a model that asks it."""

    fake: FakeOpenAi
    client: HttpClient
    dialect: str

    def model(self, name: str = "", **options: Any) -> OpenAiModel:
        standard: dict[str, Any] = {
            "model_id": "model",
            "upstream_model": name or NAMES.get(self.dialect, "any"),
            "base_url": self.fake.base_url,
            "dialect": self.dialect,
            "api_key": KEY,
            "api_key_env": "OPENAI_API_KEY",
            "client": self.client,
            "breaker": CircuitBreaker("openai", "model"),
            "retry": FAST,
        }
        return openai_model(**(standard | options))

    async def run(self, order: Order, job: RecordingJob | None = None, **options: Any) -> RecordingJob:
        job = job or RecordingJob()
        await self.model(**options).run(order, job)
        return job


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


@pytest.fixture
async def provider(request: pytest.FixtureRequest, client: HttpClient) -> AsyncIterator[Provider]:
    dialect = getattr(request, "param", "openai")
    async with fake_openai(dialect) as fake:
        yield Provider(fake, client, dialect)
    assert fake.recorder.leaks == [], "the key went to a server that is not the provider's"


each_dialect = pytest.mark.parametrize("provider", EVERY_DIALECT, indirect=True)


def pixels(job: RecordingJob) -> list[tuple[tuple[int, int, int], tuple[int, int], str]]:
    """Return the colour, size and format of each picture that was made, in order."""
    return [look(job.pictures[index].data) for index in sorted(job.pictures)]


# What is asked for.


@each_dialect
async def test_every_server_makes_every_picture_of_an_order(provider: Provider) -> None:
    job = await provider.run(generate_order(PROMPT, count=10))
    assert sorted(job.pictures) == list(range(10)) and not job.missing
    assert provider.fake.ledger.pictures == 10
    assert {size for _, size, _ in pixels(job)} == {(1024, 1024)}
    assert len({colour for colour, _, _ in pixels(job)}) == 10
    assert [index for each in job.submissions for index in each.indexes] == list(range(10))
    assert job.voided == 0 and job.fractions[-1] == 1.0


async def test_what_a_caller_asks_for_beyond_the_picture_is_passed_on(provider: Provider) -> None:
    finish = Finish(quality="high", background="transparent", compression=40)
    order = generate_order(PROMPT)
    assert isinstance(order.task, GenerateTask)
    task = replace(order.task, finish=finish, output_format=OutputFormat.WEBP)

    await provider.run(replace(order, task=task), quality="low")

    sent = json.loads(provider.fake.recorder.to("api")[0].body)
    assert (sent["quality"], sent["background"], sent["output_compression"]) == ("high", "transparent", 40)


async def test_a_mask_goes_by_its_own_name(provider: Provider) -> None:
    order = edit_order(StoredPicture(png()), StoredPicture(png()))
    assert isinstance(order.task, EditTask)

    await provider.run(replace(order, task=replace(order.task, masked=True)))

    body = provider.fake.recorder.to("api")[0].body
    assert (body.count(b'name="image"'), body.count(b'name="mask"'), body.count(b'name="image[]"')) == (1, 1, 0)


@pytest.mark.parametrize("provider", ["sglang", "localai", "litellm"], indirect=True)
def test_no_other_server_is_said_to_know_what_it_may_drop(provider: Provider) -> None:
    capabilities = provider.model(name="any").capabilities
    assert not (capabilities.qualities or capabilities.backgrounds or capabilities.compresses or capabilities.masks)


@pytest.mark.parametrize("provider", SEEDED, indirect=True)
async def test_picture_i_comes_from_seed_plus_i_and_is_named_by_it(provider: Provider) -> None:
    seed = 2**32 - 3
    job = await provider.run(generate_order(PROMPT, count=5, seed=seed))
    seeds = [(seed + index) % 2**32 for index in range(5)]
    assert [job.pictures[index].seed for index in range(5)] == seeds
    assert [colour for colour, _, _ in pixels(job)] == [colour_of(PROMPT, each, 0) for each in seeds]


async def test_no_format_is_asked_for_when_the_caller_names_none(provider: Provider) -> None:
    job = await provider.run(generate_order(PROMPT, output_format=None))
    assert sorted(job.pictures) == [0]
    assert b"output_format" not in provider.fake.recorder.to("api")[0].body


@pytest.mark.parametrize("provider", ["openai", "litellm"], indirect=True)
async def test_server_without_seeds_is_sent_none(provider: Provider) -> None:
    job = await provider.run(generate_order(PROMPT, seed=7))
    assert job.pictures[0].seed is None and not provider.model().capabilities.seeds
    assert b"seed" not in provider.fake.recorder.to("api")[0].body


@pytest.mark.parametrize(
    ("provider", "calls"),
    [("openai", 1), ("stable-diffusion.cpp", 2), ("localai", 10), ("vllm-omni", 10), ("sglang", 10), ("litellm", 1)],
    indirect=["provider"],
)
async def test_pictures_are_shared_out_among_as_few_calls_as_the_server_allows(provider: Provider, calls: int) -> None:
    await provider.run(generate_order(PROMPT, count=10, seed=1 if provider.dialect in SEEDED else 2**32 - 1))
    assert provider.fake.ledger.accepted == calls


async def test_calls_run_side_by_side(client: HttpClient) -> None:
    async with fake_openai("sglang", delay_s=0.2) as fake, asyncio.timeout(1.5):
        await Provider(fake, client, "sglang").run(generate_order(PROMPT, count=10))


@pytest.mark.parametrize("ratio", ASPECT_RATIOS)
@pytest.mark.parametrize("provider", ["openai", "vllm-omni"], indirect=True)
async def test_size_has_the_asked_ratio_and_is_legal(provider: Provider, ratio: str) -> None:
    ((_, (width, height), _),) = pixels(await provider.run(generate_order(PROMPT, ratio=ratio)))
    wide, high = ASPECT_RATIOS[ratio]
    assert width * high == height * wide


@each_dialect
@pytest.mark.parametrize("wanted", OutputFormat)
async def test_format_is_asked_for_where_the_server_makes_it(provider: Provider, wanted: OutputFormat) -> None:
    task = GenerateTask(model_id="model", prompt=PROMPT, output_format=wanted)
    ((_, _, made),) = pixels(await provider.run(Order(task=task, seed=1)))
    assert made == ("png" if provider.dialect == "localai" else wanted)


@pytest.mark.parametrize(
    ("provider", "size"),
    [("openai", "auto"), ("stable-diffusion.cpp", ""), ("vllm-omni", "auto"), ("sglang", ""), ("litellm", "auto")],
    indirect=["provider"],
)
async def test_edit_keeps_the_shape_of_its_input_by_default(provider: Provider, size: str) -> None:
    job = await provider.run(edit_order(StoredPicture(png(64, 64)), prompt=PROMPT))
    assert sorted(job.pictures) == [0]
    (wanted,) = provider.fake.requests
    assert (wanted.operation, wanted.size, wanted.inputs) == ("edit", size, (png(64, 64),))
    assert wanted.input_field == "image"


async def test_edit_sends_several_pictures_byte_for_byte(provider: Provider) -> None:
    inputs = [StoredPicture(png(64, 64)), StoredPicture(jpeg(64, 64), OutputFormat.JPEG), StoredPicture(png(8, 8))]
    await provider.run(edit_order(*inputs, prompt=PROMPT, ratio="1:1"))
    (wanted,) = provider.fake.requests
    assert (wanted.input_field, wanted.size) == ("image[]", "1024x1024")
    assert wanted.inputs == tuple(each.data for each in inputs)
    assert b'filename="2.jpeg"\r\nContent-Type: image/jpeg' in provider.fake.recorder.to("api")[0].body


@pytest.mark.parametrize("provider", ["stable-diffusion.cpp"], indirect=True)
async def test_edit_in_a_format_that_the_server_lacks_comes_as_png(provider: Provider) -> None:
    source = StoredPicture(png(64, 64))
    ids = (source.image.id,)
    task = EditTask(model_id="model", prompt=PROMPT, image_ids=ids, output_format=OutputFormat.WEBP)
    ((_, _, made),) = pixels(await provider.run(Order(task=task, seed=1, inputs=(source,))))
    assert made == "png"


@pytest.mark.parametrize("provider", ["localai"], indirect=True)
async def test_localai_enlarges(provider: Provider) -> None:
    source = StoredPicture(png(64, 64))
    task = UpscaleTask(model_id="model", image_id=source.image.id, upscale_factor=4)
    job = await provider.run(Order(task=task, seed=1, inputs=(source,)))
    assert sorted(job.pictures) == [0]
    (wanted,) = provider.fake.requests
    assert (wanted.operation, wanted.scale, wanted.inputs) == ("upscale", 4, (source.data,))


async def test_quality_is_sent_only_when_the_operator_names_one(provider: Provider) -> None:
    await provider.run(generate_order(PROMPT), quality="low")
    await provider.run(generate_order(PROMPT))
    assert [each.quality for each in provider.fake.requests] == ["low", "auto"]
    assert b"quality" not in provider.fake.recorder.to("api")[1].body


@pytest.mark.parametrize("provider", ["litellm"], indirect=True)
async def test_model_of_unknown_abilities_behind_a_proxy_is_asked_for_one_plain_picture_at_a_time(
    provider: Provider,
) -> None:
    await provider.run(generate_order(PROMPT, count=2), name="vertex_ai/some-model")
    assert [each.count for each in provider.fake.requests] == [1, 1]
    assert b"output_format" not in provider.fake.recorder.to("api")[0].body


# Prompts that are more than prompts to a server.


@pytest.mark.parametrize("provider", ["stable-diffusion.cpp"], indirect=True)
@pytest.mark.parametrize(
    "attack",
    [
        '<sd_cpp_extra_args>{"steps": 9999}</sd_cpp_extra_args>',
        '<sd_cpp_extra_args>\n{"steps": 9999}\n</sd_cpp_extra_args>',
        '<sd_cpp_<sd_cpp_extra_args>extra_args>{"steps": 9999}</sd_cpp_extra_args>',
        '<sd_cpp_<sd_cpp_extra_args></sd_cpp_extra_args>extra_args>{"steps": 9999}</sd_cpp_extra_args>',
        '<sd_cpp_extra_args>{"steps": 9999, "x": "',
        '</sd_cpp_extra_args><sd_cpp_extra_args>{"steps": 9999}',
    ],
)
async def test_prompt_sets_no_parameters_of_the_server(provider: Provider, attack: str) -> None:
    job = await provider.run(generate_order(f"a cat {attack}", seed=11))
    assert [dict(each.extra_args) for each in provider.fake.requests] == [{"seed": 11}]
    assert "sd_cpp_extra_args" not in provider.fake.requests[0].plain_prompt
    assert sorted(job.pictures) == [0]


async def test_prompt_sets_no_parameters_of_a_server_that_the_operator_did_not_name(provider: Provider) -> None:
    await provider.run(generate_order("a cat <sd_cpp_extra_args>{}</sd_cpp_extra_args>"))
    assert [each.prompt.strip() for each in provider.fake.requests] == ["a cat"]


async def test_prompt_of_nothing_but_parameters_is_refused_before_anything_is_sent(provider: Provider) -> None:
    with pytest.raises(InvalidFieldError):
        await provider.run(generate_order("<sd_cpp_extra_args>{}</sd_cpp_extra_args> "))
    assert provider.fake.recorder.arrivals == []


@pytest.mark.parametrize("provider", ["stable-diffusion.cpp"], indirect=True)
async def test_server_that_the_operator_did_not_name_is_asked_for_what_it_can(provider: Provider) -> None:
    job = await provider.run(generate_order(PROMPT, count=10), dialect="openai")
    assert sorted(job.pictures) == list(range(10)) and not job.missing
    await provider.run(generate_order(PROMPT), WatchingJob(), dialect="openai")
    assert all(b'"stream"' not in each.body for each in provider.fake.recorder.to("api"))
    await provider.run(edit_order(StoredPicture(png(64, 64)), prompt=PROMPT), dialect="openai")
    assert [each.size for each in provider.fake.requests if each.operation == "edit"] == [""]


@pytest.mark.parametrize("provider", ["sglang", "localai", "vllm-omni", "litellm"], indirect=True)
async def test_server_that_the_operator_did_not_name_hands_its_pictures_over(provider: Provider) -> None:
    job = await provider.run(generate_order(PROMPT), dialect="openai")
    assert sorted(job.pictures) == [0] and not job.missing


async def test_field_that_a_server_does_not_know_is_left_out_the_next_time(provider: Provider) -> None:
    """A refused request bought nothing."""
    model = provider.model("a-deployment")
    jobs = [RecordingJob(), RecordingJob()]
    for job in jobs:
        await model.run(generate_order(PROMPT), job)
    assert [sorted(job.pictures) for job in jobs] == [[0], [0]]
    assert [job.voided for job in jobs] == [1, 0]
    assert len(provider.fake.recorder.to("api")) == 3
    assert len(provider.fake.ledger.purchases) == 2


@dataclass(frozen=True)
class Picky:
    """How a server says that it does not take a field."""

    field: str
    status: int
    document: Mapping[str, Any]


PICKY = {
    "param": Picky("output_format", 400, {"error": {"message": "No.", "param": "output_format"}}),
    "unknown field": Picky("size", 422, {"error": "unknown field `size`, expected one of `prompt`, `model`"}),
    "unsupported": Picky("quality", 400, {"error": {"message": "Unsupported parameter: 'quality'."}}),
    "pydantic": Picky("n", 422, {"detail": [{"loc": ["body", "n"], "msg": "Extra inputs are not permitted"}]}),
}


@pytest.mark.parametrize("picky", PICKY.values(), ids=PICKY)
async def test_field_that_a_server_refuses_is_left_out_from_then_on_and_named_in_the_log(
    provider: Provider, picky: Picky, caplog: pytest.LogCaptureFixture
) -> None:
    provider.fake.refuse_field(picky.field, picky.status, picky.document)
    model = provider.model(quality="low")
    jobs = [RecordingJob(), RecordingJob()]
    for job in jobs:
        await model.run(generate_order(PROMPT), job)
    assert [sorted(job.pictures) for job in jobs] == [[0], [0]]
    assert [job.voided for job in jobs] == [1, 0]
    assert provider.fake.ledger.accepted == 2
    assert model.refused_fields == (picky.field,)
    (told,) = [vars(each) for each in caplog.records if "does not take a field" in each.message]
    assert (told["fields"], told["setting"]) == ([picky.field], f"omit = ['{picky.field}']")


async def test_each_field_that_a_server_refuses_costs_one_more_try(provider: Provider) -> None:
    for each in PICKY.values():
        provider.fake.refuse_field(each.field, each.status, each.document)
    job = await provider.run(generate_order(PROMPT), quality="low")
    assert sorted(job.pictures) == [0]
    assert (len(job.submissions), job.voided, provider.fake.ledger.accepted) == (5, 4, 1)


async def test_field_that_the_operator_omits_is_never_sent(provider: Provider) -> None:
    picky = PICKY["unknown field"]
    provider.fake.refuse_field(picky.field, picky.status, picky.document)
    model, job = provider.model(omit=["size", "output_format"]), RecordingJob()
    await model.run(generate_order(PROMPT), job)
    assert len(job.submissions) == 1 and model.refused_fields == ()
    assert model.capabilities.aspect_ratios == ("1:1", "auto")


async def test_shape_that_a_caller_asks_for_is_not_silently_changed(provider: Provider) -> None:
    picky, job = PICKY["unknown field"], RecordingJob()
    provider.fake.refuse_field(picky.field, picky.status, picky.document)
    with pytest.raises(ProviderMisconfiguredError) as raised:
        await provider.run(generate_order(PROMPT, ratio="16:9"), job)
    assert raised.value.outcome == "not_bought"
    assert job.voided == len(job.submissions) == 1


async def test_several_pictures_are_asked_for_one_by_one_where_the_number_can_not_be_said(provider: Provider) -> None:
    picky = PICKY["pydantic"]
    provider.fake.refuse_field(picky.field, picky.status, picky.document)
    job = await provider.run(generate_order(PROMPT, count=3), omit=["n"])
    assert sorted(job.pictures) == [0, 1, 2] and len(job.submissions) == 3


@pytest.mark.parametrize("provider", ["vllm-omni"], indirect=True)
async def test_seed_that_was_left_out_is_not_claimed(provider: Provider) -> None:
    provider.fake.refuse_field("seed", 400, {"error": {"message": "unknown parameter: 'seed'"}})
    job = await provider.run(generate_order(PROMPT))
    assert job.pictures[0].seed is None


@pytest.mark.parametrize("provider", ["localai"], indirect=True)
async def test_prompt_that_localai_would_split_is_refused_before_anything_is_sent(provider: Provider) -> None:
    with pytest.raises(InvalidFieldError) as raised:
        await provider.run(generate_order("a cat | a dog"))
    assert [each.field for each in raised.value.violations] == ["prompt"]
    assert provider.fake.recorder.arrivals == []


# Faults: what the caller is told, what was bought, and what is known of it.


@dataclass(frozen=True)
class Told:
    """What comes of a fault."""

    error: type[LimnerError]
    accepted: int = 0
    """Requests that the provider put on its bill."""
    outcome: str = ""
    requests: int = 1


REJECTED = Told(ContentRejectedError, outcome="not_bought")
MISCONFIGURED = Told(ProviderMisconfiguredError, outcome="not_bought")
UNKNOWN = Told(ProviderUnavailableError, accepted=1, outcome="unknown")
BOUGHT = Told(ProviderUnavailableError, accepted=1, outcome="bought")
BUSY = Told(OverloadedError, requests=3)

FAULTS = {
    "bad-key": MISCONFIGURED,
    "forbidden": MISCONFIGURED,
    "insufficient-quota": MISCONFIGURED,
    "billing-limit": MISCONFIGURED,
    "model-not-found": MISCONFIGURED,
    "bad-parameter": Told(ProviderMisconfiguredError, outcome="not_bought", requests=2),  # tried without the field
    "redirect": MISCONFIGURED,
    "moderation": REJECTED,
    "moderation-output": Told(ContentRejectedError, accepted=1),
    "bad-image": Told(InvalidFieldError, outcome="not_bought"),
    "too-large": REJECTED,
    "rate-limit-ms": BUSY,
    "rate-limit-text": BUSY,
    "rate-limit-plain": BUSY,
    "rate-limit-long": Told(OverloadedError),
    "rate-limit-final": Told(OverloadedError),
    "unavailable": Told(ProviderUnavailableError, outcome="unknown"),
    "crash": UNKNOWN,
    "html-500": UNKNOWN,
    "bad-gateway": UNKNOWN,
    "gateway-timeout": UNKNOWN,
    "drop": UNKNOWN,
    "truncate": UNKNOWN,
    "hang": UNKNOWN,
    "flood": UNKNOWN,
    "html-200": UNKNOWN,
    "not-json": UNKNOWN,
    "no-data": UNKNOWN,
    "list": UNKNOWN,
    "empty": UNKNOWN,
    "null": BOUGHT,
    "zero-byte": BOUGHT,
    "bad-base64": BOUGHT,
    "url-foreign": BOUGHT,
    "url-internal": BOUGHT,
    "url-redirect": BOUGHT,
    "url-gone": BOUGHT,
    "words-400": Told(ContentRejectedError),
    "words-403": Told(ContentRejectedError),
    "words-502": Told(ContentRejectedError, accepted=1),
    "words-200": Told(ContentRejectedError, accepted=1),
    "waiting-200": Told(ContentRejectedError, accepted=1),
    "empty-url": Told(ContentRejectedError, accepted=1),
    "empty-flag": Told(ContentRejectedError, accepted=1),
    "unexplained": Told(ContentRejectedError),
    "bad-picture": Told(InvalidFieldError, outcome="not_bought"),
}

DIALECT_FAULTS = [
    (dialect, fault)
    for dialect in EVERY_DIALECT
    if dialect != "openai"
    for fault in ("rate-limit-ms", "crash", "drop", "not-json", "empty", "null")
] + [
    ("stable-diffusion.cpp", "bad-parameter"),
    ("localai", "bad-key"),
    ("vllm-omni", "bad-parameter"),
    ("sglang", "unavailable"),
    ("sglang", "bad-parameter"),
    ("litellm", "insufficient-quota"),
    ("litellm", "bad-key"),
]


async def check(provider: Provider, fault: str) -> LimnerError:
    told, job = FAULTS[fault], RecordingJob()
    with pytest.raises(told.error) as raised:
        await provider.run(generate_order(f"{PROMPT} [[fault:{fault}]]"), job, **SHORT if fault == "hang" else {})
    assert (raised.value.outcome or "") == told.outcome
    assert provider.fake.ledger.accepted == told.accepted
    assert len(provider.fake.requests) == len(job.submissions) == told.requests
    surely_not = told.outcome == "not_bought" or told.error is OverloadedError
    assert job.voided == (told.requests if surely_not else 0)
    assert not job.pictures and not job.missing
    return raised.value


@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_is_told_for_what_it_is_and_never_bought_twice(
    provider: Provider, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    error = await check(provider, fault)
    everything = f"{error} {error.metadata}" + "".join(str(vars(each)) for each in caplog.records)
    assert KEY not in everything and "secret cat" not in everything


@pytest.mark.parametrize(("provider", "fault"), DIALECT_FAULTS, indirect=["provider"])
async def test_fault_means_the_same_in_every_dialect(provider: Provider, fault: str) -> None:
    await check(provider, fault)


@pytest.mark.parametrize("fault", [fault for fault, told in FAULTS.items() if told.error is ContentRejectedError])
async def test_no_other_model_is_asked_to_go_round_a_refusal(provider: Provider, fault: str) -> None:
    async with fake_openai() as other:
        second = Provider(other, provider.client, "openai").model(model_id="second")
        with pytest.raises(ContentRejectedError):
            await with_fallback(provider.model(), [second]).run(
                generate_order(f"{PROMPT} [[fault:{fault}]]"), RecordingJob()
            )
        assert other.requests == []


async def test_wrong_key_of_ours_is_the_operators_matter(provider: Provider) -> None:
    with pytest.raises(ProviderMisconfiguredError):
        await provider.run(generate_order(PROMPT), api_key="sk-other")


@pytest.mark.parametrize("provider", ["vllm-omni"], indirect=True)
async def test_model_that_the_server_does_not_run_is_the_operators_matter(provider: Provider) -> None:
    with pytest.raises(ProviderMisconfiguredError):
        await provider.run(generate_order(PROMPT), name="another")


async def test_server_that_is_not_there_bought_nothing_and_is_asked_again(provider: Provider) -> None:
    job = RecordingJob()
    with pytest.raises(ProviderUnavailableError) as raised:
        await provider.run(generate_order(PROMPT), job, base_url="http://127.0.0.1:9/v1")
    assert raised.value.outcome == "not_bought"
    assert (len(job.submissions), job.voided) == (3, 3)


@pytest.mark.parametrize(
    "hint", ["rate-limit", "rate-limit-ms", "rate-limit-date", "rate-limit-text", "rate-limit-plain", "loading"]
)
async def test_what_was_surely_not_bought_is_asked_for_again_and_bought_once(provider: Provider, hint: str) -> None:
    job = await provider.run(generate_order(f"{PROMPT} [[fault:{hint}*1]]"))
    assert sorted(job.pictures) == [0]
    assert (provider.fake.ledger.accepted, len(job.submissions), job.voided) == (1, 2, 1)


async def test_hint_longer_than_the_patience_is_passed_on(provider: Provider) -> None:
    with pytest.raises(OverloadedError) as raised:
        await provider.run(generate_order(f"{PROMPT} [[fault:rate-limit-long]]"))
    assert raised.value.retry_after_s == 90


async def test_open_breaker_lets_nothing_out(provider: Provider) -> None:
    breaker, job = CircuitBreaker("openai", "model", failures=2), RecordingJob()
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError):
            await provider.run(generate_order(f"{PROMPT} [[fault:crash]]"), breaker=breaker)
    with pytest.raises(ProviderUnavailableError) as raised:
        await provider.run(generate_order(PROMPT), job, breaker=breaker)
    assert raised.value.outcome == "not_bought"
    assert job.submissions == [] and provider.fake.ledger.accepted == 2


async def test_input_that_can_not_be_read_voids_the_purchase(provider: Provider) -> None:
    class LostPicture(StoredPicture):
        async def read(self) -> bytes:
            raise StorageUnavailableError

    job = RecordingJob()
    with pytest.raises(StorageUnavailableError):
        await provider.run(edit_order(LostPicture(png())), job)
    assert job.voided == len(job.submissions) == 1 and provider.fake.recorder.arrivals == []


async def test_input_that_is_lost_while_it_is_sent_voids_the_purchase(provider: Provider) -> None:
    class LostPicture(StoredPicture):
        async def stream(self) -> AsyncIterator[bytes]:
            yield self.data[:500_000]
            raise StorageUnavailableError

    job = RecordingJob()
    with pytest.raises(StorageUnavailableError):
        await provider.run(edit_order(LostPicture(bytes(1_000_000))), job)
    assert job.voided == len(job.submissions) == 1 and provider.fake.ledger.accepted == 0


# Several pictures, some of them bad.


@pytest.mark.parametrize("fault", ["null", "zero-byte", "bad-base64"])
async def test_bad_picture_takes_no_other_along(provider: Provider, fault: str) -> None:
    job = await provider.run(generate_order(f"{PROMPT} [[fault:{fault}=1]]", count=4))
    assert sorted(job.pictures) == [0, 2, 3]
    assert [(each.index, each.reason) for each in job.missing.values()] == [(1, "PROVIDER_UNAVAILABLE")]


@pytest.mark.parametrize("provider", ["openai", "stable-diffusion.cpp"], indirect=True)
async def test_short_list_leaves_the_last_pictures_missing_and_no_seed_claimed(provider: Provider) -> None:
    job = await provider.run(generate_order(f"{PROMPT} [[fault:fewer=2]]", count=4))
    assert (sorted(job.pictures), sorted(job.missing)) == ([0, 1], [2, 3])
    assert {each.seed for each in job.pictures.values()} == {None}
    assert {each.message for each in job.missing.values()} == {"The model made fewer pictures than asked."}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("moderation", "CONTENT_REJECTED"),
        ("rate-limit-final", "OVERLOADED"),
        ("crash", "PROVIDER_UNAVAILABLE"),
        ("insufficient-quota", "PROVIDER_MISCONFIGURED"),
        ("drop", "PROVIDER_UNAVAILABLE"),
    ],
)
@pytest.mark.parametrize("provider", ["sglang"], indirect=True)
async def test_bad_call_takes_no_other_along(provider: Provider, fault: str, reason: str) -> None:
    provider.fake.faults.plan("", fault, "")
    job = await provider.run(generate_order(PROMPT, count=3))
    assert len(job.pictures) == 2
    assert [each.reason for each in job.missing.values()] == [reason]


@pytest.mark.parametrize(
    ("faults", "error", "outcome"),
    [
        (("moderation", "crash", "bad-key"), ProviderUnavailableError, "unknown"),
        (("rate-limit-final", "moderation", "bad-key"), ContentRejectedError, "not_bought"),
        (("rate-limit-final", "bad-key"), ProviderMisconfiguredError, "not_bought"),
    ],
)
@pytest.mark.parametrize("provider", ["openai"], indirect=True)
async def test_when_no_picture_is_made_the_gravest_error_is_told(
    provider: Provider, faults: tuple[str, ...], error: type[LimnerError], outcome: str
) -> None:
    provider.fake.faults.plan(*faults)
    with pytest.raises(error) as raised:
        await provider.run(generate_order(PROMPT, count=len(faults)), images_per_call=1)
    assert raised.value.outcome == outcome


# Addresses instead of base64.


@pytest.mark.parametrize("provider", ["openai", "localai", "sglang", "litellm"], indirect=True)
@pytest.mark.parametrize("form", ["url", "url-relative"])
async def test_address_at_the_providers_own_host_is_fetched_without_the_key(provider: Provider, form: str) -> None:
    job = await provider.run(generate_order(f"{PROMPT} [[fault:{form}]]"))
    assert sorted(job.pictures) == [0]
    (fetch,) = provider.fake.recorder.to("api", "GET")
    assert "authorization" not in fetch.headers


async def test_address_at_another_host_is_fetched_only_when_the_operator_listed_it(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    order = generate_order(f"{PROMPT} [[fault:url-cdn]]")
    with pytest.raises(ProviderUnavailableError) as raised:
        await provider.run(order)
    assert provider.fake.recorder.to("cdn") == []
    listed = provider.fake.cdn_url.removeprefix("http://")
    (told,) = [vars(each) for each in caplog.records if each.message == "a paid picture is lost"]
    assert told["setting"] == f'result_hosts = ["{listed}"]' and told["host"] == "127.0.0.1"
    assert "127.0.0.1" not in raised.value.message
    job = await provider.run(order, result_hosts=[listed])
    assert sorted(job.pictures) == [0] and len(provider.fake.recorder.to("cdn")) == 1


async def test_redirect_of_the_api_is_not_followed_with_the_key(provider: Provider) -> None:
    with pytest.raises(ProviderMisconfiguredError):
        await provider.run(generate_order(f"{PROMPT} [[fault:redirect]]"))
    assert provider.fake.recorder.to("cdn") == []


# Previews.


@pytest.mark.parametrize("edits", [False, True])
async def test_watched_picture_is_streamed_with_its_early_forms(provider: Provider, edits: bool) -> None:
    source = StoredPicture(png(64, 64))
    order = edit_order(source, prompt=PROMPT, ratio="1:1") if edits else generate_order(PROMPT)
    job = WatchingJob()
    await provider.run(order, job)
    assert [(index, kind) for index, _, kind in job.previews] == [(0, "image/png")] * 2
    assert all(look(data)[1] == (64, 64) for _, data, _ in job.previews)
    assert pixels(job)[0][1] == (1024, 1024)
    assert job.fractions == [1 / 3, 2 / 3, 1.0]


async def test_early_forms_are_not_paid_for_when_nobody_watches_or_nobody_wants_them(provider: Provider) -> None:
    await provider.run(generate_order(PROMPT))
    await provider.run(generate_order(PROMPT, count=2), WatchingJob())
    await provider.run(generate_order(PROMPT), WatchingJob(), previews=0)
    assert [each.stream for each in provider.fake.requests] == [False] * 3


async def test_unknown_model_by_openais_kind_of_name_is_streamed(provider: Provider) -> None:
    job = WatchingJob()
    with pytest.raises(ProviderMisconfiguredError):
        await provider.run(generate_order(PROMPT), job, upstream_model="gpt-image-99")
    assert b'"stream": true' in provider.fake.recorder.to("api")[0].body.replace(b'":true', b'": true')


async def test_stream_without_early_forms_is_fine(provider: Provider) -> None:
    job = WatchingJob()
    await provider.run(generate_order(f"{PROMPT} [[fault:no-partials]]"), job)
    assert sorted(job.pictures) == [0] and job.previews == []


@pytest.mark.parametrize(
    ("fault", "error", "outcome"),
    [
        ("stream-moderation", ContentRejectedError, None),
        ("stream-moderation-flat", ContentRejectedError, None),
        ("stream-error", ProviderUnavailableError, "unknown"),
        ("stream-cut", ProviderUnavailableError, "unknown"),
        ("stream-unfinished", ProviderUnavailableError, "unknown"),
        ("bad-base64", ProviderUnavailableError, "bought"),
    ],
)
async def test_stream_that_ends_badly_is_not_asked_for_again(
    provider: Provider, fault: str, error: type[LimnerError], outcome: str | None
) -> None:
    job = WatchingJob()
    with pytest.raises(error) as raised:
        await provider.run(generate_order(f"{PROMPT} [[fault:{fault}]]"), job)
    assert raised.value.outcome == outcome
    assert (provider.fake.ledger.accepted, len(job.submissions), job.voided) == (1, 1, 0)


async def test_refused_stream_is_a_refusal(provider: Provider) -> None:
    with pytest.raises(ContentRejectedError):
        await provider.run(generate_order(f"{PROMPT} [[fault:moderation]]"), WatchingJob())


# Cancelling.


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 the fake's counters are plain numbers
        await asyncio.sleep(0.01)


async def test_cancelling_closes_the_request_and_leaves_the_outcome_open(provider: Provider) -> None:
    job = RecordingJob()
    task = asyncio.create_task(
        provider.run(generate_order(f"{PROMPT} [[fault:hang]]", count=2), job, images_per_call=1)
    )
    async with asyncio.timeout(5):
        await until(lambda: provider.fake.running == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: provider.fake.running == 0)
    assert (provider.fake.abandoned, job.voided, len(job.submissions)) == (2, 0, 2)


# The catalogue.


def capabilities(name: str, **options: Any) -> ModelCapabilities:
    model = openai_model(model_id=name, client=HttpClient(), breaker=CircuitBreaker("openai", name), **options)
    return model.capabilities


@pytest.mark.parametrize("name", HOSTED_MODELS)
def test_hosted_model_lives_edits_sixteen_pictures_and_has_no_seeds(name: str) -> None:
    able = capabilities(name)
    assert (able.operations, able.max_input_images) == ((Operation.GENERATE, Operation.EDIT), 16)
    assert not able.seeds and able.retires is None and able.price_usd is None
    assert AUTO_ASPECT_RATIO in able.aspect_ratios


def test_old_models_know_three_shapes_and_new_ones_all() -> None:
    assert capabilities("gpt-image-1.5").aspect_ratios == ("1:1", "3:2", "2:3", "auto")
    assert set(capabilities("gpt-image-2-2026-04-21").aspect_ratios) == {*ASPECT_RATIOS, "auto"}


def test_retired_models_carry_their_date() -> None:
    assert capabilities("gpt-image-1").retires == date(2026, 10, 23)
    assert capabilities("mine", upstream_model="dall-e-3").retires == date(2026, 5, 12)


def test_operator_restricts_and_overrides() -> None:
    able = capabilities("mine", dialect="sglang", operations=[Operation.EDIT], overrides={"max_input_images": 3})
    assert (able.operations, able.max_input_images) == ((Operation.EDIT,), 3)
    assert "auto" not in capabilities("mine", operations=[Operation.GENERATE]).aspect_ratios


@pytest.mark.parametrize(
    "options",
    [
        {"dialect": "klingon"},
        {"dialect": "localai", "operations": [Operation.EDIT]},
        {"dialect": "sglang", "images_per_call": 4},
        {"previews": 4},
        {"images_per_call": 11},
        {"omit": ["prompt"]},
        {"base_url": "http://api.openai.com/v1"},
        {"result_hosts": ["not a host"]},
    ],
)
def test_wrong_entry_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        capabilities("mine", **options)


def test_missing_key_makes_a_model_unready_and_a_server_of_ones_own_needs_none() -> None:
    client, breaker = HttpClient(), CircuitBreaker("openai", "x")
    hosted = openai_model(model_id="x", client=client, breaker=breaker, api_key_env="OPENAI_API_KEY")
    own = openai_model(model_id="x", client=client, breaker=breaker, base_url="http://127.0.0.1:1234/v1")
    assert (hosted.unready_reason(), own.unready_reason()) == ("OPENAI_API_KEY is not set", "")


def test_key_does_not_show() -> None:
    client, breaker = HttpClient(), CircuitBreaker("openai", "x")
    model = openai_model(model_id="x", client=client, breaker=breaker, api_key=KEY)
    assert KEY not in repr(model) + repr(vars(model))


# Large pictures.

MIB = 1 << 20


@contextmanager
def fake_in_own_process(picture_bytes: int) -> Iterator[str]:
    """Run a fake whose work does not count as ours, and yield its base address."""
    command = [sys.executable, "-m", "tests.fakes.openai", "--picture-bytes", str(picture_bytes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


async def test_ten_answers_of_20_mib_at_once_keep_the_loop_free_and_take_little_more_than_themselves(
    client: HttpClient,
) -> None:
    with fake_in_own_process(20 * MIB) as base_url:
        model = openai_model(
            model_id="gpt-image-2",
            client=client,
            breaker=CircuitBreaker("openai", "model"),
            base_url=base_url,
            api_key=KEY,
            images_per_call=1,
        )

        async def make_ten() -> None:
            job = RecordingJob(keeps_bytes=False)
            await model.run(generate_order(PROMPT, count=10), job)
            assert sorted(job.pictures) == list(range(10))

        ten = await held(make_ten, under_s=0.010, alike=5)
    assert ten.longest_turn_s < 0.010
    assert ten.grown_bytes < 10 * 20 * MIB * 1.5
