"""Gemini models against every way in which Google's APIs answer."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from limner.domain.errors import (
    ContentRejectedError,
    InvalidFieldError,
    LimnerError,
    OverloadedError,
    ProviderMisconfiguredError,
    ProviderUnavailableError,
)
from limner.domain.image import OutputFormat
from limner.models.google import KNOWN_MODELS, GeminiModel, VertexTokens, gemini_capabilities
from limner.models.http.breaker import FAILURES
from limner.models.http.retry import RetryPolicy
from limner.outbound.client import HttpClient, Timeouts
from limner.service.ports import Order
from tests.event_loop import held
from tests.fakes.google import BUSY, FAILED, KEY, NOT_TAKEN, PICTURELESS, SECRET, FakeGoogle, fake_google, large
from tests.fakes.google_schema import RETIRED, SIZES
from tests.fakes.pictures import colour_of, look, near, picture
from tests.jobs import RecordingJob, StoredPicture, edit_order, generate_order

FLASH, PRO = "gemini-3.1-flash-image", "gemini-3-pro-image"
PLATFORMS = ("developer", "vertex")
TIMEOUTS = Timeouts(connect_s=1.0, first_byte_s=5.0, total_s=10.0)
RETRIES = RetryPolicy(attempts=2, first_delay_s=0.01, max_delay_s=0.1)


@dataclass
class Rig:
    """A Google, and models that ask it."""

    google: FakeGoogle
    platform: str
    client: HttpClient = field(default_factory=HttpClient)
    tokens: VertexTokens = field(default_factory=VertexTokens)

    def model(self, upstream: str = FLASH, *, timeouts: Timeouts = TIMEOUTS, base_url: str = "") -> GeminiModel:
        urls = {"developer": self.google.developer_url, "vertex": self.google.vertex_url}
        return GeminiModel(
            capabilities=gemini_capabilities(upstream),
            upstream_model=upstream,
            client=self.client,
            base_url=base_url or urls[self.platform],
            api_key=KEY if self.platform == "developer" else "",
            tokens=self.tokens,
            timeouts=timeouts,
            retries=RETRIES,
        )

    async def run(self, order: Order, model: GeminiModel | None = None) -> tuple[RecordingJob, LimnerError | None]:
        """Return what the job was told, and the error when the model raised one."""
        job = RecordingJob()
        try:
            await (model or self.model()).run(order, job)
        except LimnerError as error:
            return job, error
        return job, None


@pytest.fixture(scope="session")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, serialization.NoEncryption()).decode()


@pytest.fixture(params=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def google(private_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeGoogle]:
    async with fake_google() as google:
        account = tmp_path / "account.json"
        account.write_text(json.dumps(google.service_account(private_key)))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
        yield google
        require_no_leak(google)


@pytest.fixture
async def rig(google: FakeGoogle, platform: str) -> AsyncIterator[Rig]:
    async for rig in rigged(google, platform):
        yield rig


@pytest.fixture
async def developer(google: FakeGoogle) -> AsyncIterator[Rig]:
    async for rig in rigged(google, "developer"):
        yield rig


@pytest.fixture
async def vertex(google: FakeGoogle) -> AsyncIterator[Rig]:
    async for rig in rigged(google, "vertex"):
        yield rig


async def rigged(google: FakeGoogle, platform: str) -> AsyncIterator[Rig]:
    rig = Rig(google, platform)
    yield rig
    await rig.client.close()


def require_no_leak(google: FakeGoogle) -> None:
    """No secret went to another host, nor into an address or a body."""
    assert not google.recorder.leaks
    for arrival in google.recorder.to("api"):
        assert SECRET not in arrival.path + arrival.query and SECRET.encode() not in arrival.body
        carriers = {name for name, value in arrival.headers.items() if SECRET in value}
        assert carriers == ({"authorization"} if "/projects/" in arrival.path else {"x-goog-api-key"})
    assert not google.recorder.to("elsewhere")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the fake sets no event
            await asyncio.sleep(0.005)


# What goes well.


@pytest.mark.parametrize("upstream", KNOWN_MODELS)
async def test_a_picture_has_the_asked_shape_and_seed(rig: Rig, upstream: str) -> None:
    job, error = await rig.run(generate_order(ratio="16:9"), rig.model(upstream))
    assert error is None and list(job.pictures) == [0] and job.pictures[0].seed == 7
    colour, size, _ = look(job.pictures[0].data)
    assert near(colour, colour_of("a cat", 7, 0)) and size == SIZES["16:9"]
    assert job.words == "Here is what you asked for."
    assert [(each.model, each.pictures) for each in rig.google.ledger.purchases] == [(upstream, 1)]
    assert [(each.indexes, each.voided) for each in job.submissions] == [((0,), False)]


@pytest.mark.parametrize("ratio", SIZES)
async def test_every_ratio_is_known_to_both_apis(rig: Rig, ratio: str) -> None:
    job, error = await rig.run(generate_order(ratio=ratio))
    assert error is None and look(job.pictures[0].data)[1] == SIZES[ratio]


async def test_an_edit_sends_its_pictures_and_keeps_the_first_ones_shape(rig: Rig) -> None:
    inputs = (
        StoredPicture(picture((9, 99, 199), 640, 360)),
        StoredPicture(picture((9, 99, 9), 30, 90, "jpeg"), OutputFormat.JPEG),
    )
    job, error = await rig.run(edit_order(*inputs))
    assert error is None and look(job.pictures[0].data)[1] == SIZES["16:9"]
    parts = rig.google.calls()[0]["contents"][0]["parts"]
    assert [each["inlineData"]["mimeType"] for each in parts[1:]] == ["image/png", "image/jpeg"]
    assert "aspectRatio" not in json.dumps(rig.google.calls()[0]["generationConfig"])


async def test_an_edit_can_have_another_shape(rig: Rig) -> None:
    job, error = await rig.run(edit_order(StoredPicture(picture((9, 99, 199), 640, 360)), ratio="2:3"))
    assert error is None and look(job.pictures[0].data)[1] == SIZES["2:3"]


async def test_several_pictures_are_made_side_by_side_each_from_its_own_seed(rig: Rig) -> None:
    rig.google.hold.clear()
    running = asyncio.create_task(rig.run(generate_order(count=4, seed=2**32 - 2)))
    await until(lambda: rig.google.working == 4)
    rig.google.hold.set()
    job, error = await running
    assert error is None and [job.pictures[index].seed for index in range(4)] == [2**32 - 2, 2**32 - 1, 0, 1]
    sent = [2**31 - 2, 2**31 - 1, 0, 1]
    for index in range(4):
        assert near(look(job.pictures[index].data)[0], colour_of("a cat", sent[index], 0))
    assert len(rig.google.ledger.purchases) == 4 and job.fractions == [0.0, 0.25, 0.5, 0.75, 1.0]


async def test_thoughts_are_no_pictures_and_no_words(rig: Rig) -> None:
    job, error = await rig.run(generate_order(), rig.model(PRO))
    assert error is None and near(look(job.pictures[0].data)[0], colour_of("a cat", 7, 0))
    assert job.words == "Here is what you asked for."


async def test_the_developer_api_is_asked_as_googles_sdk_asks_it(developer: Rig) -> None:
    await developer.run(generate_order(ratio="3:2"))
    assert developer.google.calls() == [
        {
            "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
            "generationConfig": {
                "responseModalities": ["TEXT", "IMAGE"],
                "imageConfig": {"aspectRatio": "3:2"},
                "seed": 7,
            },
        }
    ]
    assert developer.google.recorder.to("api")[0].path == f"/v1beta/models/{FLASH}:generateContent"


async def test_vertex_is_asked_for_the_shape_as_googles_sdk_does(vertex: Rig) -> None:
    from google.genai import types

    await vertex.run(generate_order(ratio="21:9"))
    (call,) = vertex.google.calls()
    asked = types.GenerateContentConfig.model_validate(call["generationConfig"]).image_config
    assert asked is not None and asked.aspect_ratio == "21:9"
    assert vertex.google.recorder.to("api")[0].headers["authorization"] == f"Bearer {vertex.google.tokens[-1]}"


@pytest.mark.parametrize("fault", ["mislabelled", "bad-bytes", "cut", "html-picture", "bomb"])
async def test_what_a_picture_is_worth_is_for_the_one_who_keeps_it_to_judge(developer: Rig, fault: str) -> None:
    job, error = await developer.run(generate_order(f"a cat [[fault:{fault}]]"))
    assert error is None and job.pictures[0].data and job.pictures[0].info is None


# What goes wrong.


@dataclass(frozen=True)
class Row:
    """A fault, what callers are told, and what it cost."""

    fault: str
    error: type[LimnerError]
    outcome: str = ""
    requests: int = 1
    accepted: int = 0
    bought: int = 0
    voided: int | None = None
    """How many requests surely bought nothing; ``None`` for all that were not accepted."""
    retry_after_s: float | None = None

    def __str__(self) -> str:
        return self.fault


def busy(name: str, retry_after_s: float, requests: int) -> Row:
    return Row(f"429={name}", OverloadedError, requests=requests, retry_after_s=retry_after_s)


def misconfigured(fault: str) -> Row:
    return Row(fault, ProviderMisconfiguredError, "not_bought")


def unknown(fault: str) -> Row:
    return Row(fault, ProviderUnavailableError, "unknown", accepted=1, bought=1)


ROWS = [
    *(busy(name, 1.0, requests=2) for name in ("none", "list", "capacity", "html")),
    *(busy(name, 0.04, requests=2) for name in ("retry-info", "ms")),
    *(busy(name, 1.0, requests=1) for name in ("retry-after", "date")),
    busy("retry-info-long", 47.8, requests=1),
    busy("day", 3600.0, requests=1),
    *(misconfigured(f"429={name}") for name in ("free-tier", "no-credit", "cap")),
    *(misconfigured(name) for name in ("key-invalid", "billing", "location", "401", "403", "403-list", "404")),
    *(misconfigured(name) for name in ("redirect", "redirect=301", "redirect=302", "redirect=308")),
    # It names no field, so it is a refusal for all that anybody knows, and may have been paid.
    Row("400", ContentRejectedError, voided=0),
    Row("input-image", InvalidFieldError, "not_bought"),
    Row("413", ContentRejectedError, "not_bought"),
    *(
        Row(name, ProviderUnavailableError, "not_bought", requests=2)
        for name in ("overloaded", "demand", "no-capacity")
    ),
    # Those without a picture are not on the bill of the fake, which an adapter can't know.
    *(unknown(name) for name in FAILED),
    *(unknown(name) for name in ("drop", "truncate", "prefix")),
    *(unknown(name) for name in ("bad-base64", "zero-byte")),
    Row("file-uri", ProviderUnavailableError, "bought", accepted=1, bought=1),
    *(
        Row(f"block={reason}", ContentRejectedError, accepted=1)
        for reason in (
            *("SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK"),
            "SOMETHING_NEW",
        )
    ),
    *(
        Row(f"finish={reason}", ContentRejectedError, accepted=1)
        for reason in (
            *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR"),
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
        )
    ),
    Row("text-only", ContentRejectedError, accepted=1),
    *(
        Row(name, ProviderUnavailableError, "unknown", accepted=1)
        for name in (
            "finish=OTHER",
            "finish=IMAGE_OTHER",
            "finish=NO_IMAGE",
            "finish=MAX_TOKENS",
            "empty",
            "no-candidates",
            "no-parts",
        )
    ),
    Row("thought-only", ProviderUnavailableError, "unknown", accepted=1, bought=1),
    Row("finish=PUP_LIMITED_DISABLED", ProviderMisconfiguredError, accepted=1),
]


def test_the_table_holds_every_fault_of_the_fake() -> None:
    known = {f"429={name}" for name in BUSY} | set(NOT_TAKEN) | set(FAILED) | set(PICTURELESS)
    assert known - {row.fault for row in ROWS} - {row.fault.partition("=")[0] for row in ROWS} == set()


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_a_fault_is_told_for_what_it_is_and_never_bought_twice(rig: Rig, row: Row) -> None:
    job, error = await rig.run(generate_order(f"a cat [[fault:{row.fault}]]"))
    assert type(error) is row.error
    assert (error.outcome or "") == row.outcome
    assert "google" not in error.message.lower() and "cat" not in error.message
    requests = len(rig.google.recorder.to("api"))
    assert (requests, rig.google.ledger.accepted) == (row.requests, row.accepted)
    assert len(rig.google.ledger.purchases) == row.bought
    assert len(job.submissions) == requests
    assert job.voided == (requests - row.accepted if row.voided is None else row.voided)
    assert not job.pictures
    if row.retry_after_s is not None:
        assert isinstance(error, OverloadedError) and error.retry_after_s == pytest.approx(row.retry_after_s, abs=1.0)


@pytest.mark.parametrize("fault", ["429=retry-info", "429=none", "429=ms", "overloaded", "no-capacity"])
async def test_what_surely_was_not_bought_is_asked_for_again(rig: Rig, fault: str) -> None:
    job, error = await rig.run(generate_order(f"a cat [[fault:{fault}*1]]"))
    assert error is None and list(job.pictures) == [0]
    assert [each.voided for each in job.submissions] == [True, False]
    assert rig.google.ledger.accepted == 1


async def test_a_provider_that_is_not_there_sold_nothing(rig: Rig) -> None:
    await rig.google.stop()
    job, error = await rig.run(generate_order())
    assert isinstance(error, ProviderUnavailableError) and error.outcome == "not_bought"
    # Without a token, no request for a picture was even tried.
    assert job.voided == len(job.submissions) == (2 if rig.platform == "developer" else 0)


@pytest.mark.parametrize(
    ("fault", "timeouts"),
    [
        ("stall", Timeouts(first_byte_s=0.2, total_s=5.0)),
        ("stall", Timeouts(first_byte_s=5.0, total_s=0.3)),
        ("drip", Timeouts(first_byte_s=5.0, total_s=0.3)),
        ("huge", TIMEOUTS),
    ],
)
async def test_an_answer_that_does_not_end_is_an_unknown_outcome(
    developer: Rig, fault: str, timeouts: Timeouts
) -> None:
    job, error = await developer.run(generate_order(f"a cat [[fault:{fault}]]"), developer.model(timeouts=timeouts))
    assert isinstance(error, ProviderUnavailableError) and error.outcome == "unknown"
    assert len(developer.google.recorder.to("api")) == developer.google.ledger.accepted == 1 and job.voided == 0


@pytest.mark.parametrize("upstream", RETIRED)
async def test_a_retired_model_is_for_the_operator_to_replace(rig: Rig, upstream: str) -> None:
    _, error = await rig.run(generate_order(), rig.model(upstream))
    assert isinstance(error, ProviderMisconfiguredError) and rig.google.ledger.accepted == 0


async def test_the_models_own_words_tell_why_it_did_not_draw(rig: Rig) -> None:
    job, error = await rig.run(generate_order("[[fault:text-only]]"))
    assert isinstance(error, ContentRejectedError) and job.words == "I can't draw that."


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500", "PROVIDER_UNAVAILABLE"),
        ("finish=IMAGE_SAFETY", "CONTENT_REJECTED"),
        ("429=retry-after", "OVERLOADED"),
        ("drop", "PROVIDER_UNAVAILABLE"),
        ("bad-base64", "PROVIDER_UNAVAILABLE"),
    ],
)
async def test_one_bad_picture_does_not_take_the_others_along(rig: Rig, fault: str, reason: str) -> None:
    rig.google.faults.plan("", fault, "", "")
    job, error = await rig.run(generate_order(count=4))
    assert error is None and len(job.pictures) == 3
    assert [each.reason for each in job.missing.values()] == [reason]
    assert not job.missing.keys() & job.pictures.keys()
    assert len(rig.google.recorder.to("api")) == 4 and job.fractions[-1] == 1.0


@pytest.mark.parametrize(
    ("faults", "error", "outcome"),
    [
        (("429=retry-after", "500"), ProviderUnavailableError, "unknown"),
        (("429=retry-info-long", "block=SAFETY"), ContentRejectedError, ""),
        (("block=SAFETY", "drop"), ProviderUnavailableError, "unknown"),
        (("403", "429=retry-after"), ProviderMisconfiguredError, "not_bought"),
    ],
)
async def test_when_no_picture_is_made_the_gravest_error_is_told(
    developer: Rig, faults: tuple[str, ...], error: type[LimnerError], outcome: str | None
) -> None:
    developer.google.faults.plan(*faults)
    job, raised = await developer.run(generate_order(count=2))
    assert isinstance(raised, error) and not job.missing
    assert outcome is None or (raised.outcome or "") == outcome


async def test_cancelling_closes_the_requests(rig: Rig) -> None:
    rig.google.hold.clear()
    running = asyncio.create_task(rig.run(generate_order(count=2)))
    await until(lambda: rig.google.working == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: rig.google.working == 0)


async def test_a_provider_that_is_down_is_not_asked_for_a_while(developer: Rig) -> None:
    model = developer.model()
    for _ in range(FAILURES):
        await developer.run(generate_order("[[fault:500]]"), model)
    job, error = await developer.run(generate_order(), model)
    assert isinstance(error, ProviderUnavailableError) and error.outcome == "not_bought"
    assert not job.submissions and developer.google.ledger.accepted == FAILURES


# Before anything is sent.


async def test_inputs_that_do_not_fit_into_a_request_are_refused_unread(rig: Rig) -> None:
    class Unreadable(StoredPicture):
        async def read(self) -> bytes:
            raise AssertionError("read for nothing")

    inputs = [Unreadable(b"", size_bytes=20 << 20) for _ in range(4)]
    job, error = await rig.run(edit_order(*inputs))
    assert isinstance(error, InvalidFieldError) and {each.field for each in error.violations} == {"imageIds"}
    assert not job.submissions and not rig.google.recorder.to("api")


async def test_a_picture_of_20_mib_fits_but_not_on_vertex(rig: Rig) -> None:
    order = edit_order(StoredPicture(large(LARGE_MIB)))
    _, error = await rig.run(order)
    assert isinstance(error, InvalidFieldError) if rig.platform == "vertex" else error is None


async def test_a_model_without_a_key_is_not_ready(developer: Rig) -> None:
    model = GeminiModel(
        capabilities=gemini_capabilities(FLASH),
        upstream_model=FLASH,
        client=developer.client,
        base_url=developer.google.developer_url,
        api_key_env="COMPANY_KEY",
    )
    assert model.unready_reason() == "COMPANY_KEY is not set"
    assert developer.model().unready_reason() == ""


async def test_nothing_secret_is_logged(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await rig.run(generate_order("a purple cat [[fault:500]]", count=2))
    told = " ".join(str(record.__dict__) for record in caplog.records)
    assert "made no picture" in told and SECRET not in told and "purple" not in told


# Tokens of Vertex AI.


async def test_a_token_is_kept_and_another_one_fetched_when_it_ends(vertex: Rig) -> None:
    vertex.google.token_lifetime_s = 1
    for _ in range(2):
        assert (await vertex.run(generate_order(count=3)))[1] is None
        await asyncio.sleep(1.1)
    assert len(vertex.google.tokens) == 2 and len(vertex.google.ledger.purchases) == 6


async def test_a_token_is_renewed_in_good_time_while_work_goes_on(vertex: Rig) -> None:
    await vertex.tokens.headers()
    vertex.google.token_lifetime_s = 60
    assert len(vertex.google.tokens) == 1
    tokens = VertexTokens()
    assert (await tokens.headers())["authorization"] == (await tokens.headers())["authorization"]
    await until(lambda: len(vertex.google.tokens) == 3)


async def test_a_token_that_was_withdrawn_is_replaced_once(vertex: Rig) -> None:
    now = 0.0
    vertex.tokens = VertexTokens(clock=lambda: now)
    model = vertex.model()
    assert (await vertex.run(generate_order(), model))[1] is None
    vertex.google.tokens.append("another")
    now = 100.0
    job, error = await vertex.run(generate_order(), model)
    assert error is None and [each.voided for each in job.submissions] == [True, False]
    vertex.google.tokens.append("another")
    job, error = await vertex.run(generate_order(), model)
    assert isinstance(error, ProviderMisconfiguredError) and job.voided == 1


@pytest.fixture
def account_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))


async def test_without_credentials_nothing_is_asked(vertex: Rig, account_gone: None) -> None:
    model = vertex.model()
    assert model.unready_reason() == ""
    job, error = await vertex.run(generate_order(), model)
    assert isinstance(error, ProviderMisconfiguredError) and error.outcome == "not_bought"
    assert model.unready_reason() and not job.submissions and not vertex.google.recorder.to("api")


async def test_credentials_that_google_refuses_are_for_the_operator(vertex: Rig) -> None:
    now = 0.0
    vertex.tokens = VertexTokens(clock=lambda: now)
    vertex.google.token_fault = 400
    errors = [(await vertex.run(generate_order(count=3), vertex.model()))[1] for _ in range(3)]
    assert {type(each) for each in errors} == {ProviderMisconfiguredError}
    assert len(vertex.google.recorder.to("tokens")) == 1
    vertex.google.token_fault, now = 0, 60.0
    assert (await vertex.run(generate_order()))[1] is None


async def test_one_token_serves_all_who_wait_for_it_even_when_the_first_goes_away(vertex: Rig) -> None:
    first, *waiting = [asyncio.create_task(vertex.tokens.headers()) for _ in range(6)]
    await asyncio.sleep(0)
    first.cancel()
    assert len({each["authorization"] for each in await asyncio.gather(*waiting)}) == 1
    assert len(vertex.google.tokens) == 1


# Large pictures.

LARGE_MIB, CALLERS = 20, 5


@dataclass(frozen=True)
class FilePicture(StoredPicture):
    """An input whose bytes are read anew each time."""

    path: Path = Path()

    async def read(self) -> bytes:
        return await asyncio.to_thread(self.path.read_bytes)

    async def stream(self) -> AsyncIterator[bytes]:
        with self.path.open("rb") as file:
            while part := await asyncio.to_thread(file.read, 256 << 10):
                yield part


@pytest.fixture
def google_elsewhere() -> Iterator[str]:
    """A Google in a process of its own, so that its work is not seen in ours."""
    command = [sys.executable, "-m", "tests.fakes.google"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()) as fake:
        assert fake.stdin and fake.stdout
        yield fake.stdout.readline().strip()
        fake.stdin.close()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


async def test_large_pictures_stall_nobody_and_only_the_made_ones_are_held(
    google_elsewhere: str, tmp_path: Path
) -> None:
    source = tmp_path / "large.png"
    source.write_bytes(large(LARGE_MIB))
    rig = Rig(FakeGoogle(), "developer")
    model = rig.model(base_url=google_elsewhere, timeouts=Timeouts(total_s=90.0))
    order = edit_order(
        FilePicture(b"", path=source, size_bytes=len(large(LARGE_MIB))), prompt=f"[[fault:large={LARGE_MIB}]]"
    )

    jobs: list[RecordingJob] = []

    async def make_five() -> None:
        jobs[:] = [RecordingJob() for _ in range(CALLERS)]
        await asyncio.gather(*(model.run(order, job) for job in jobs))

    five = await held(make_five, under_s=0.010, alike=3)
    await rig.client.close()
    assert all(job.pictures[0].data == large(LARGE_MIB) for job in jobs)
    assert five.longest_turn_s < 0.010
    assert five.grown_bytes < CALLERS * (LARGE_MIB + 8) << 20
