"""The fal adapter against the fake: what each model is sent, and what each fault leads to."""

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from limner.domain import limits
from limner.domain.errors import (
    ContentRejectedError,
    InvalidFieldError,
    LimnerError,
    OverloadedError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
    StorageUnavailableError,
)
from limner.domain.image import Image, OutputFormat
from limner.domain.task import ASPECT_RATIOS, EditTask, GenerateTask, MissingPicture, Operation, UpscaleTask
from limner.imaging.codec import PillowCodec
from limner.models.fal import KNOWN_MODELS, FalAccount, FalFacts, FalModel, Patience, find_facts
from limner.models.fal.storage import INLINE_BYTES
from limner.models.http.breaker import FAILURES, Breakers, BreakerState
from limner.models.http.retry import RetryPolicy
from limner.outbound.client import HttpClient, Timeouts
from limner.service.ports import InvalidPictureError, KnownSubmission, MadePicture, Order
from tests.fakes.fal import KEY, FakeFal, fake_fal
from tests.fakes.fal_schema import ENDPOINTS
from tests.fakes.pictures import colour_of, look, near, picture
from tests.jobs import RecordedSubmission, RecordingJob, StoredPicture
from tests.pictures import encoded, noise

PROMPT = "a lighthouse"
SMALL = picture((30, 60, 90), 96, 64)


def accepted_as(provider_job_id: str) -> KnownSubmission:
    return KnownSubmission(indexes=(0,), provider_job_id=provider_job_id)


@dataclass(kw_only=True)
class VerifyingJob(RecordingJob):
    """A job that looks into each picture, as the service does."""

    codec: PillowCodec

    @property
    def open_submissions(self) -> list[RecordedSubmission]:
        """Those that nobody knows the outcome of."""
        return [each for each in self.submissions if not each.voided and not each.provider_job_id]

    def known(self) -> list[KnownSubmission]:
        """Return what a worker finds that takes the work over."""
        accepted = [each for each in self.submissions if each.provider_job_id]
        assert all(len(each.provider_job_id) <= 2000 for each in accepted)
        return [KnownSubmission(indexes=each.indexes, provider_job_id=each.provider_job_id) for each in accepted]

    async def made(self, picture: MadePicture) -> None:
        try:
            await self.codec.verify(picture.data)
        except InvalidPictureError as error:
            self.missed(MissingPicture(index=picture.index, reason="PROVIDER_UNAVAILABLE", message=str(error)))
        else:
            await super().made(picture)


class SizedPicture(StoredPicture):
    """An input whose facts are those of its bytes."""

    @property
    def image(self) -> Image:
        _, (width, height), to = look(self.data)
        return replace(super().image, width=width, height=height, format=OutputFormat(to))


@pytest.fixture(scope="module")
def codec() -> Iterator[PillowCodec]:
    codec = PillowCodec(threads=2, queue=64)
    yield codec
    codec.close()


@pytest.fixture
def job(codec: PillowCodec) -> VerifyingJob:
    return VerifyingJob(codec=codec)


@pytest.fixture
async def fal() -> AsyncIterator[FakeFal]:
    async with fake_fal() as fake:
        yield fake
        assert not fake.recorder.leaks
        assert not fake.recorder.to("elsewhere")
        assert not fake.unknown_fields


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


@pytest.fixture
def account(fal: FakeFal, client: HttpClient) -> FalAccount:
    return account_of(fal, client)


def account_of(fal: FakeFal, client: HttpClient, *, key: str = KEY, **patience: float) -> FalAccount:
    waits = {"submit_s": 1.0, "job_s": 20.0, "first_poll_s": 0.01, "longest_poll_s": 0.05, **patience}
    return FalAccount(
        client,
        key,
        base_url=fal.url,
        result_hosts=[fal.cdn_host],
        patience=Patience(**waits),
        result_timeouts=Timeouts(connect_s=1.0, first_byte_s=1.0, total_s=1.5),
    )


def facts(name: str) -> FalFacts:
    found = find_facts(name)
    assert found is not None
    return found


def model(account: FalAccount, name: str = "nano-banana", **options: Any) -> FalModel:
    return FalModel(facts(name), account, **options)


def generate(prompt: str = PROMPT, *, seed: int | None = None, **wishes: Any) -> Order:
    return Order(task=GenerateTask(model_id="m", prompt=prompt, seed=seed, **wishes), seed=7 if seed is None else seed)


def edit(prompt: str = PROMPT, *, inputs: int = 1, data: bytes = SMALL, **wishes: Any) -> Order:
    task = EditTask(model_id="m", prompt=prompt, image_ids=("0" * 32,) * inputs, **wishes)
    return Order(task=task, seed=7, inputs=(SizedPicture(data),) * inputs)


def upscale(factor: int, *, data: bytes = SMALL, output_format: OutputFormat = OutputFormat.PNG) -> Order:
    task = UpscaleTask(model_id="m", image_id="0" * 32, upscale_factor=factor, output_format=output_format)
    return Order(task=task, seed=7, inputs=(SizedPicture(data),))


# What each model is sent.


async def test_pictures_come_back_in_their_places(account: FalAccount, fal: FakeFal, job: VerifyingJob) -> None:
    await model(account).run(generate(num_images=3), job)
    for index, made in job.pictures.items():
        assert look(made.data)[0] == colour_of(PROMPT, None, index)
    assert sorted(job.pictures) == [0, 1, 2] and not job.missing
    assert job.words == f"Here is {PROMPT}" and job.fractions[-1] == 1.0
    assert fal.ledger.pictures == 3 and fal.ledger.accepted == 1


async def test_a_submission_says_what_the_platform_may_do(account: FalAccount, fal: FakeFal, job: VerifyingJob) -> None:
    await model(account).run(generate(), job)
    (submitted,) = fal.recorder.to("api", "POST")
    assert submitted.path == "/fal-ai/nano-banana"
    assert submitted.headers["x-app-fal-disable-fallback"] == "true"
    assert submitted.headers["x-fal-request-timeout"] == "20"
    lifetime = json.loads(submitted.headers["x-fal-object-lifecycle-preference"])
    assert lifetime == {"expiration_duration_seconds": 86_400}


async def test_only_the_addresses_of_the_queue_are_asked(account: FalAccount, fal: FakeFal, job: VerifyingJob) -> None:
    await model(account, "flux-kontext").run(edit(), job)
    (job_id,) = fal.jobs
    asked = {each.path for each in fal.recorder.to("api", "GET")}
    assert asked == {f"/fal-ai/flux-pro/requests/{job_id}", f"/fal-ai/flux-pro/requests/{job_id}/status"}


GENERATORS = [each for each in KNOWN_MODELS if Operation.GENERATE in each.operations]
EDITORS = [each for each in KNOWN_MODELS if Operation.EDIT in each.operations]
UPSCALERS = [each for each in KNOWN_MODELS if Operation.UPSCALE in each.operations]


def is_near(size: tuple[int, int], ratio: str) -> bool:
    across, down = ASPECT_RATIOS[ratio]
    return abs(size[0] / size[1] - across / down) < 0.02


@pytest.mark.parametrize("known", GENERATORS, ids=lambda known: known.id)
async def test_every_ratio_is_drawn(account: FalAccount, fal: FakeFal, codec: PillowCodec, known: FalFacts) -> None:
    ratios = [ratio for ratio in known.shapes if ratio != "auto"]
    jobs = {ratio: VerifyingJob(codec=codec) for ratio in ratios}
    each = FalModel(known, account)
    await asyncio.gather(*(each.run(generate(aspect_ratio=ratio), jobs[ratio]) for ratio in ratios))
    for ratio, job in jobs.items():
        assert is_near(look(job.pictures[0].data)[1], ratio)
    assert all(not ENDPOINTS[endpoint].problems(body) for endpoint, body in fal.submissions())


@pytest.mark.parametrize("known", [each for each in GENERATORS if each.formats], ids=lambda known: known.id)
@pytest.mark.parametrize("wanted", list(OutputFormat))
async def test_every_format_is_asked_where_there_is_one(
    account: FalAccount, fal: FakeFal, job: VerifyingJob, known: FalFacts, wanted: OutputFormat
) -> None:
    await FalModel(known, account).run(generate(output_format=wanted), job)
    expected = known.formats[wanted]
    assert look(job.pictures[0].data)[2] == expected
    assert expected == wanted.value or wanted is OutputFormat.WEBP


@pytest.mark.parametrize("known", EDITORS, ids=lambda known: known.id)
@pytest.mark.parametrize("many", [False, True], ids=["one input", "most inputs"])
async def test_edits_keep_the_shape_of_their_input(
    account: FalAccount, fal: FakeFal, job: VerifyingJob, known: FalFacts, many: bool
) -> None:
    inputs = known.max_inputs if many else 1
    await FalModel(known, account).run(edit(inputs=inputs), job)
    if known.id != "flux-2-pro":
        assert look(job.pictures[0].data)[1] == (96, 64)
    ((endpoint, body),) = fal.submissions()
    assert endpoint == (known.edit_one if known.edit_one and inputs == 1 else known.edit)
    assert body.get("image_urls", [body.get("image_url")])[0].startswith("data:image/png;base64,")


@pytest.mark.parametrize("known", [each for each in EDITORS if len(each.shapes) > 1], ids=lambda known: known.id)
async def test_edits_can_have_another_shape_than_their_input(
    account: FalAccount, fal: FakeFal, codec: PillowCodec, known: FalFacts
) -> None:
    ratios = ["1:1", "2:3"]
    jobs = {ratio: VerifyingJob(codec=codec) for ratio in ratios}
    each = FalModel(known, account)
    await asyncio.gather(*(each.run(edit(aspect_ratio=ratio), jobs[ratio]) for ratio in ratios))
    for ratio, job in jobs.items():
        assert is_near(look(job.pictures[0].data)[1], ratio)


@pytest.mark.parametrize(
    ("known", "factor"),
    [(each, factor) for each in UPSCALERS for factor in each.factors],
    ids=lambda case: getattr(case, "id", case),
)
async def test_upscalers_enlarge_by_the_factor(
    account: FalAccount, fal: FakeFal, job: VerifyingJob, known: FalFacts, factor: int
) -> None:
    wanted = OutputFormat.JPEG
    await FalModel(known, account).run(upscale(factor, output_format=wanted), job)
    _, size, to = look(job.pictures[0].data)
    assert size == (96 * factor, 64 * factor)
    assert to == "jpeg" or not known.formats


async def test_no_format_is_asked_for_when_the_caller_names_none(
    account: FalAccount, fal: FakeFal, job: VerifyingJob
) -> None:
    await model(account, "flux-dev").run(generate(), job)
    assert "output_format" not in json.loads(fal.recorder.to("api", "POST")[0].body)


async def test_large_inputs_are_uploaded_once_and_without_the_key(
    account: FalAccount, fal: FakeFal, job: VerifyingJob
) -> None:
    data = encoded(noise(512, 300), "PNG")
    assert len(data) > INLINE_BYTES
    await model(account, "flux-2-pro").run(edit(data=data, num_images=3), job)
    (upload,) = fal.recorder.to("cdn", "POST")
    assert upload.body == data and upload.headers["content-type"] == "image/png"
    assert json.loads(upload.headers["x-fal-object-lifecycle"]) == {"expiration_duration_seconds": 86_400}
    addresses = {body["image_urls"][0] for _, body in fal.submissions()}
    assert len(addresses) == 1 and addresses.pop().startswith(fal.cdn_url)
    await model(account, "flux-2-pro").run(edit(data=data), VerifyingJob(codec=job.codec))
    assert len(fal.recorder.to("api", "POST", "/storage/auth/token")) == 1


async def test_an_input_that_cannot_be_uploaded_buys_nothing(
    fal: FakeFal, client: HttpClient, job: VerifyingJob
) -> None:
    account = FalAccount(client, KEY, base_url=fal.url, result_hosts=["pictures.example.com"])
    data = encoded(noise(1300, 1200), "PNG")
    assert len(data) > 4 * limits.MIB
    with pytest.raises(ProviderUnavailableError) as caught:
        await model(account).run(edit(data=data), job)
    assert caught.value.outcome == "not_bought"
    assert not fal.ledger.accepted and not job.submissions


async def test_an_input_that_is_not_too_large_travels_in_the_request_when_it_cannot_be_uploaded(
    fal: FakeFal, client: HttpClient, job: VerifyingJob
) -> None:
    data = encoded(noise(512, 300), "PNG")
    assert len(data) > INLINE_BYTES
    account = FalAccount(client, KEY, base_url=fal.url, result_hosts=["pictures.example.com"])
    with pytest.raises(ProviderUnavailableError):  # the account may not fetch its pictures from the CDN either
        await model(account).run(edit(data=data), job)
    ((_, body),) = fal.submissions()
    assert body["image_urls"] == [f"data:image/png;base64,{base64.b64encode(data).decode()}"]


# Several pictures.


@pytest.mark.parametrize(
    ("name", "shares"),
    [("nano-banana", [4, 4, 2]), ("flux-schnell", [4, 4, 2]), ("flux-2-pro", [1] * 10), ("seedream-4.5", [1] * 10)],
)
async def test_more_pictures_than_one_call_makes_are_split(
    account: FalAccount, fal: FakeFal, job: VerifyingJob, name: str, shares: list[int]
) -> None:
    await model(account, name).run(generate(num_images=10), job)
    assert [body.get("num_images", 1) for _, body in fal.submissions()] == shares
    assert sorted(job.pictures) == list(range(10))
    assert sorted(index for each in job.submissions for index in each.indexes) == list(range(10))


async def test_calls_run_side_by_side(account: FalAccount, fal: FakeFal, job: VerifyingJob) -> None:
    fal.work_s = 0.3
    async with asyncio.timeout(2):
        await model(account, "flux-2").run(generate(num_images=10), job)
    assert fal.ledger.accepted == 10


async def test_a_named_seed_makes_each_picture_alone(account: FalAccount, fal: FakeFal, job: VerifyingJob) -> None:
    await model(account, "flux-dev").run(generate(num_images=3, seed=41, output_format=OutputFormat.PNG), job)
    assert [made.seed for _, made in sorted(job.pictures.items())] == [41, 42, 43]
    for index, made in job.pictures.items():
        colour, _, to = look(made.data)
        assert to == "png" and colour == colour_of(PROMPT, 41 + index, 0)


async def test_a_lone_picture_tells_the_seed_that_makes_it_again(
    account: FalAccount, fal: FakeFal, job: VerifyingJob
) -> None:
    await model(account, "flux-dev").run(generate(seed=2**32 - 1), job)
    ((_, body),) = fal.submissions()
    assert job.pictures[0].seed == body["seed"] == 2**31 - 1


async def test_a_model_without_seeds_is_sent_none(account: FalAccount, fal: FakeFal, job: VerifyingJob) -> None:
    await model(account, "fal-gpt-image-2").run(generate(), job)
    assert "seed" not in fal.submissions()[0][1] and job.pictures[0].seed is None


async def test_one_bad_call_does_not_take_the_others_along(
    account: FalAccount, fal: FakeFal, job: VerifyingJob
) -> None:
    fal.faults.plan("", "refused", "crash", "drop")
    await model(account, "flux-2").run(generate(num_images=5), job)
    assert len(job.pictures) == 2 and fal.ledger.accepted == 5
    reasons = sorted(each.reason for each in job.missing.values())
    assert reasons == ["CONTENT_REJECTED", "PROVIDER_UNAVAILABLE", "PROVIDER_UNAVAILABLE"]


@pytest.mark.parametrize(
    ("faults", "error", "outcome"),
    [
        (("429=long", "drop", "refused"), ProviderUnavailableError, "unknown"),
        (("429=long", "401", "refused"), ContentRejectedError, None),
        (("429=long", "404", "401"), ProviderMisconfiguredError, "not_bought"),
        (("404", "429=long", "404"), ProviderMisconfiguredError, "not_bought"),
        (("404", "400", "429=long"), ContentRejectedError, None),
        (("crash", "429=long", "crash"), OverloadedError, None),
        (("429=long", "401", "drop"), ProviderUnavailableError, "unknown"),
        (("crash", "crash", "crash"), ProviderUnavailableError, "not_bought"),
    ],
)
async def test_the_gravest_reason_is_told(
    account: FalAccount,
    fal: FakeFal,
    job: VerifyingJob,
    faults: tuple[str, ...],
    error: type[LimnerError],
    outcome: str | None,
) -> None:
    fal.faults.plan(*faults)
    with pytest.raises(error) as caught:
        await model(account, "flux-2").run(generate(num_images=3), job)
    assert caught.value.outcome == outcome and not job.missing


# Faults. Each row: how fal goes wrong, what the caller is told, the outcome in the metadata, how often fal took
# the request, and how many of them are on its bill.

FAULTS = [
    ("429=never", OverloadedError, None, 0, 0),
    ("429=long", OverloadedError, None, 0, 0),
    ("401", ProviderMisconfiguredError, "not_bought", 0, 0),
    ("403", ProviderMisconfiguredError, "not_bought", 0, 0),
    ("no-credit", ProviderMisconfiguredError, "not_bought", 0, 0),
    ("404", ProviderMisconfiguredError, "not_bought", 0, 0),
    ("400", ContentRejectedError, None, 0, 0),  # it names no field: a refusal, for all that anybody knows
    ("413", ContentRejectedError, "not_bought", 0, 0),
    ("redirect-submit", ProviderMisconfiguredError, "not_bought", 0, 0),
    ("503", ProviderUnavailableError, "unknown", 0, 0),
    ("nginx", ProviderUnavailableError, "unknown", 0, 0),
    ("drop", ProviderUnavailableError, "unknown", 1, 1),
    ("truncated-submit", ProviderUnavailableError, "unknown", 1, 1),
    ("html-500", ProviderUnavailableError, "unknown", 1, 1),
    ("html-200", ProviderUnavailableError, "unknown", 1, 1),
    ("no-id", ProviderUnavailableError, "unknown", 1, 1),
    ("slow-submit=2", ProviderUnavailableError, "unknown", 1, 1),
    ("refused", ContentRejectedError, None, 1, 1),
    ("no-media", ContentRejectedError, None, 1, 1),
    ("bad-input", InvalidFieldError, None, 1, 1),
    ("too-large", InvalidFieldError, None, 1, 1),
    ("422-text", ContentRejectedError, None, 1, 1),
    ("422-old", ContentRejectedError, None, 1, 1),
    ("422-ours", ProviderMisconfiguredError, None, 1, 1),
    ("downstream", ProviderUnavailableError, "unknown", 1, 1),
    ("crash", ProviderUnavailableError, "not_bought", 1, 0),
    ("timeout", ProviderUnavailableError, "not_bought", 1, 0),
    ("runner", ProviderUnavailableError, "not_bought", 1, 0),
    ("never-began", ProviderUnavailableError, "not_bought", 1, 0),
    ("result-html", ProviderUnavailableError, "unknown", 1, 0),
    ("result-drop=9", ProviderUnavailableError, "unknown", 1, 1),
    ("crash-untold", ProviderUnavailableError, "not_bought", 1, 0),
    ("result-401", ProviderMisconfiguredError, None, 1, 1),
    ("result-nonsense=9", ProviderUnavailableError, "unknown", 1, 1),
    ("gone", ProviderUnavailableError, "unknown", 1, 1),
    ("empty", ProviderUnavailableError, "unknown", 1, 1),
    ("null", ProviderUnavailableError, "bought", 1, 1),
    ("nsfw", ContentRejectedError, None, 1, 1),
    ("internal-url", ProviderUnavailableError, "bought", 1, 1),
    ("metadata-url", ProviderUnavailableError, "bought", 1, 1),
    ("private-url", ProviderUnavailableError, "bought", 1, 1),
    ("file-url", ProviderUnavailableError, "bought", 1, 1),
    ("foreign-url", ProviderUnavailableError, "bought", 1, 1),
    ("picture-404", ProviderUnavailableError, "bought", 1, 1),
    ("picture-403", ProviderUnavailableError, "bought", 1, 1),
    ("picture-empty", ProviderUnavailableError, "bought", 1, 1),
    ("picture-drop", ProviderUnavailableError, "bought", 1, 1),
    ("picture-truncated", ProviderUnavailableError, "bought", 1, 1),
    ("picture-huge", ProviderUnavailableError, "bought", 1, 1),
    ("picture-redirect", ProviderUnavailableError, "bought", 1, 1),
    ("picture-loop", ProviderUnavailableError, "bought", 1, 1),
]


@pytest.mark.parametrize(("fault", "error", "outcome", "accepted", "billed"), FAULTS, ids=[row[0] for row in FAULTS])
async def test_a_fault_is_told_and_never_bought_again(
    account: FalAccount,
    fal: FakeFal,
    job: VerifyingJob,
    fault: str,
    error: type[LimnerError],
    outcome: str | None,
    accepted: int,
    billed: int,
) -> None:
    with pytest.raises(error) as caught:
        await model(account, "flux-dev").run(generate(f"{PROMPT} [[fault:{fault}]]"), job)
    assert type(caught.value) is error and caught.value.outcome == outcome
    assert (fal.ledger.accepted, len(fal.ledger.purchases)) == (accepted, billed)
    assert not job.pictures and not job.missing and len(job.submissions) == 1
    kept = job.submissions[0]
    assert kept.voided == (accepted == 0 and (outcome == "not_bought" or error is OverloadedError))
    assert PROMPT not in caught.value.message and KEY not in caught.value.message


PICTURE_FAULTS = ["picture-html", "picture-cut", "picture-noise", "picture-bomb"]


@pytest.mark.parametrize("fault", PICTURE_FAULTS)
async def test_what_is_no_picture_is_handed_over_and_found_out(
    account: FalAccount, fal: FakeFal, job: VerifyingJob, fault: str
) -> None:
    await model(account, "flux-dev").run(generate(f"{PROMPT} [[fault:{fault}=1]]", num_images=2), job)
    assert list(job.pictures) == [0] and list(job.missing) == [1]
    assert fal.ledger.accepted == 1


@pytest.mark.parametrize(
    "fault",
    [
        *("429=retry-after*1", "429=date*1", "429=ms*2", "429=text*1", "429=none*1", "429=concurrent*1"),
        *("429=retryable*1", "503-hint*1"),
    ],
)
async def test_what_was_surely_not_bought_is_asked_again(
    account: FalAccount, fal: FakeFal, job: VerifyingJob, fault: str
) -> None:
    await model(account).run(generate(f"{PROMPT} [[fault:{fault}]]"), job)
    assert job.pictures and fal.ledger.accepted == 1
    assert [each.voided for each in job.submissions] == [True] * (len(job.submissions) - 1) + [False]
    assert len(job.submissions) >= 2


async def test_busy_to_the_end_says_when_to_come_back(account: FalAccount, fal: FakeFal, job: VerifyingJob) -> None:
    with pytest.raises(OverloadedError) as caught:
        await model(account).run(generate(f"{PROMPT} [[fault:429=long]]"), job)
    assert caught.value.retry_after_s == 900
    assert len(fal.recorder.to("api", "POST")) == 1


@pytest.mark.parametrize(
    "fault",
    [
        *("status-drop=2", "status-html=2", "status-429=2", "result-drop=2", "result-truncated=1", "result-nginx=2"),
        "result-nonsense=2",
        *("result-early=2", "foreign-urls", "id-only", "picture-type", "picture-moved", "mislabelled", "bare"),
    ],
)
async def test_what_was_bought_is_asked_for_until_it_is_there(
    account: FalAccount, fal: FakeFal, job: VerifyingJob, fault: str
) -> None:
    await model(account).run(generate(f"{PROMPT} [[fault:{fault}]]"), job)
    assert len(job.pictures) == 1 and fal.ledger.accepted == 1


async def test_a_short_list_names_what_is_missing(account: FalAccount, fal: FakeFal, job: VerifyingJob) -> None:
    await model(account).run(generate(f"{PROMPT} [[fault:short=2]]", num_images=4), job)
    assert sorted(job.pictures) == [0, 1] and sorted(job.missing) == [2, 3]
    assert {each.reason for each in job.missing.values()} == {"PROVIDER_UNAVAILABLE"}


async def test_pictures_that_nobody_asked_for_are_left(account: FalAccount, fal: FakeFal, job: VerifyingJob) -> None:
    await model(account).run(generate(f"{PROMPT} [[fault:more=2]]", num_images=2), job)
    assert sorted(job.pictures) == [0, 1]


async def test_a_black_picture_among_others_is_a_refusal(account: FalAccount, fal: FakeFal, job: VerifyingJob) -> None:
    await model(account, "flux-schnell").run(generate(f"{PROMPT} [[fault:nsfw=1]]", num_images=3), job)
    assert sorted(job.pictures) == [0, 2]
    assert job.missing[1].reason == "CONTENT_REJECTED"


async def test_a_picture_whose_address_fails_is_missing_alone(
    account: FalAccount, fal: FakeFal, job: VerifyingJob
) -> None:
    await model(account).run(generate(f"{PROMPT} [[fault:internal-url=0]]", num_images=2), job)
    assert sorted(job.pictures) == [1] and job.missing[0].reason == "PROVIDER_UNAVAILABLE"


async def test_a_picture_that_drips_is_given_up(account: FalAccount, fal: FakeFal, job: VerifyingJob) -> None:
    await model(account).run(generate(f"{PROMPT} [[fault:picture-drip=0]]", num_images=2), job)
    assert sorted(job.pictures) == [1] and sorted(job.missing) == [0]


@pytest.mark.parametrize(
    ("fault", "outcome"), [("stuck", "not_bought"), ("endless", "unknown"), ("odd-status", "unknown")]
)
async def test_a_job_that_never_ends_is_withdrawn(
    fal: FakeFal, client: HttpClient, job: VerifyingJob, fault: str, outcome: str
) -> None:
    account = account_of(fal, client, job_s=0.3)
    if fault == "odd-status":
        fal.hold = True
    with pytest.raises(ProviderUnavailableError, match="took too long") as caught:
        await model(account).run(generate(f"{PROMPT} [[fault:{fault}]]"), job)
    assert caught.value.outcome == outcome
    assert len(fal.ledger.purchases) == (0 if outcome == "not_bought" else 1)
    assert len(fal.recorder.to("api", "PUT")) == 1


async def test_a_store_that_is_down_is_not_the_providers_fault(
    account: FalAccount, fal: FakeFal, codec: PillowCodec
) -> None:
    class Full(VerifyingJob):
        async def made(self, picture: MadePicture) -> None:
            raise StorageUnavailableError

    with pytest.raises(StorageUnavailableError):
        await model(account).run(generate(), Full(codec=codec))


async def test_a_provider_that_is_not_there_was_not_paid(client: HttpClient, job: VerifyingJob) -> None:
    account = FalAccount(client, KEY, base_url="http://127.0.0.1:9")
    retries = RetryPolicy(attempts=2, first_delay_s=0.01)
    with pytest.raises(ProviderUnavailableError) as caught:
        await model(account, retries=retries).run(generate(), job)
    assert caught.value.outcome == "not_bought"
    assert [each.voided for each in job.submissions] == [True, True]


async def test_no_key_asks_nothing(fal: FakeFal, client: HttpClient, job: VerifyingJob) -> None:
    each = model(account_of(fal, client, key=""))
    assert each.unready_reason() == "FAL_KEY is not set"
    with pytest.raises(ProviderMisconfiguredError):
        await each.run(generate(), job)
    assert not fal.recorder.arrivals


async def test_the_breaker_stops_asking(account: FalAccount, fal: FakeFal, codec: PillowCodec) -> None:
    breakers = Breakers()
    each = model(account, breaker=breakers.of("fal", "nano-banana"))
    for _ in range(FAILURES):
        with pytest.raises(ProviderUnavailableError):
            await each.run(generate(f"{PROMPT} [[fault:html-500]]"), VerifyingJob(codec=codec))
    assert breakers.snapshots()[0].state is BreakerState.OPEN
    with pytest.raises(ProviderUnavailableError) as caught:
        await each.run(generate(), VerifyingJob(codec=codec))
    assert caught.value.outcome == "not_bought" and fal.ledger.accepted == FAILURES


async def test_nothing_of_prompt_or_key_is_logged(
    account: FalAccount, fal: FakeFal, codec: PillowCodec, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for fault in ("refused", "no-credit", "status-drop=1", "foreign-urls", "422-old", "picture-404"):
        with contextlib.suppress(LimnerError):
            await model(account).run(generate(f"{PROMPT} [[fault:{fault}]]"), VerifyingJob(codec=codec))
    ours = [record for record in caplog.records if record.name.startswith("limner")]
    assert ours
    written = " ".join(str(vars(record)) for record in ours)
    assert PROMPT not in written and KEY not in written and "echo" not in written


# Restarts and cancellation.


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 the fake has no events to wait for
            await asyncio.sleep(0.005)


async def test_a_restart_goes_on_with_what_was_bought(
    fal: FakeFal, client: HttpClient, job: VerifyingJob, codec: PillowCodec
) -> None:
    fal.hold = True
    order = generate(num_images=6)
    running = asyncio.create_task(model(account_of(fal, client)).run(order, job))
    await until(lambda: len(job.known()) == 2)
    fal.hold = False
    after = VerifyingJob(codec=codec)
    await model(account_of(fal, client)).resume(order, job.known(), after)
    assert sorted(after.pictures) == list(range(6)) and not after.submissions
    await running
    assert fal.ledger.accepted == 2


async def test_after_a_restart_nothing_is_told_of_what_was_not_known_to_be_asked(
    account: FalAccount, fal: FakeFal, job: VerifyingJob, codec: PillowCodec
) -> None:
    await model(account, "flux-2").run(generate(), job)
    after = VerifyingJob(codec=codec)
    await model(account, "flux-2").resume(generate(num_images=2), job.known(), after)
    assert sorted(after.pictures) == [0] and not after.missing
    assert after.pictures[0].seed == job.pictures[0].seed
    assert fal.ledger.accepted == 1


async def test_after_a_restart_a_job_that_was_withdrawn_in_time_raises_no_doubt_about_others(
    account: FalAccount, fal: FakeFal, client: HttpClient, job: VerifyingJob, codec: PillowCodec
) -> None:
    running = asyncio.create_task(model(account, "flux-2").run(generate(f"{PROMPT} [[fault:stuck]]"), job))
    await until(job.known)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    impatient = account_of(fal, client, job_s=0.1)
    with pytest.raises(ProviderUnavailableError) as caught:
        await model(impatient, "flux-2").resume(generate(num_images=2), job.known(), VerifyingJob(codec=codec))
    assert caught.value.outcome == "not_bought"


@pytest.mark.parametrize(("queue_s", "may_bill"), [(30.0, False), (0.0, True)])
async def test_a_cancelled_job_can_be_withdrawn(
    account: FalAccount, fal: FakeFal, job: VerifyingJob, queue_s: float, may_bill: bool
) -> None:
    fal.queue_s, fal.hold = queue_s, True
    each = model(account)
    running = asyncio.create_task(each.run(generate(), job))
    await until(job.known)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not fal.recorder.to("api", "PUT")
    assert await each.cancel(job.known()[0]) is may_bill
    assert len(fal.ledger.purchases) == int(may_bill)
    assert len(fal.recorder.to("api", "PUT")) == 1


async def test_cancelling_while_the_answer_is_on_its_way_keeps_the_id(
    account: FalAccount, fal: FakeFal, job: VerifyingJob
) -> None:
    fal.queue_s = 30.0
    running = asyncio.create_task(model(account).run(generate(f"{PROMPT} [[fault:slow-submit=0.2]]"), job))
    await until(lambda: fal.ledger.accepted)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(job.known()) == 1 and not job.open_submissions


async def test_withdrawing_what_is_over_or_unknown_may_be_billed(
    account: FalAccount, fal: FakeFal, job: VerifyingJob
) -> None:
    each = model(account)
    await each.run(generate(), job)
    assert await each.cancel(job.known()[0]) is True
    assert await each.cancel(accepted_as("fal-ai/x|fal-ai/x/status|fal-ai/x/cancel")) is True
    assert await each.cancel(accepted_as("https://elsewhere.example.com/cancel")) is True


# The catalogue.


def test_models_are_found_by_id_and_by_each_endpoint() -> None:
    for known in KNOWN_MODELS:
        for name in (known.id, known.generate, known.edit, known.edit_one, known.upscale):
            assert not name or find_facts(name) is known
    assert find_facts("fal-ai/dreams") is None
    assert len({known.id for known in KNOWN_MODELS}) == len(KNOWN_MODELS)


def test_the_operators_id_is_shown() -> None:
    capabilities = facts("fal-ai/nano-banana").capabilities("house-model")
    assert capabilities.id == "house-model" and capabilities.max_input_images == 3


async def test_jpegs_keep_their_colours(account: FalAccount, fal: FakeFal, job: VerifyingJob) -> None:
    await model(account).run(generate(output_format=OutputFormat.JPEG), job)
    assert near(look(job.pictures[0].data)[0], colour_of(PROMPT, 7, 0))
