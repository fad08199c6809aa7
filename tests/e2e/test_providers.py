"""Every fault of a provider, through the whole service: what the caller is told, what was bought, what is kept."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc
import httpx
import pytest
from imageservice.v1 import image_service_pb2 as pb

from limner.models.http.breaker import FAILURES
from tests.e2e.providers import (
    DIALECTS,
    KEYS,
    SIGNED,
    Catalogue,
    Fake,
    Providers,
    files_of,
    service_with,
    start_fakes,
    unshown_files_of,
)
from tests.fakes.background import background
from tests.fakes.openai import FakeOpenAi
from tests.fakes.pictures import colour_of, look, near, picture
from tests.pictures import png
from tests.rest.errors import detail, error_of
from tests.rest.seed import EDIT, GENERATE, UPSCALE, made
from tests.rpc.answers import failure
from tests.service import Service
from tests.tenant import Tenant, tenant_of

PROMPT: Final = "a shy badger"
STATUSES: Final = {
    "CONTENT_REJECTED": (400, 3),
    "INVALID_FIELD": (400, 3),
    "PROVIDER_MISCONFIGURED": (400, 9),
    "OVERLOADED": (429, 8),
    "PROVIDER_UNAVAILABLE": (503, 14),
}
"""HTTP status and gRPC code by reason."""
SHORT_S: Final = 0.3
ENDLESS: Final = {"openai": "hang", "fal": "endless", "google": "stall"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A provider, how it goes wrong, and what must come of that."""

    provider: str
    fault: str
    reason: str = ""
    """What the caller is told; empty when there are pictures."""
    outcome: str = ""
    """What the caller is told about money."""
    bought: int = 0
    """Requests that the provider accepted."""
    asked: int = 1
    kept: int = 0
    missing: str = ""
    """Why the pictures are missing that were not made, beside others that were."""
    edit: bool = False
    short: bool = False
    """Whether the operator bounds the time of this model."""

    def __str__(self) -> str:
        return f"{self.provider} {self.fault}"

    @property
    def model(self) -> str:
        return f"{self.provider}/{self.fault}"


def unknown(provider: str, *faults: str, bought: int = 1, **facts: Any) -> list[Row]:
    told: dict[str, Any] = {"reason": "PROVIDER_UNAVAILABLE", "outcome": "unknown"}
    return [Row(provider=provider, fault=fault, bought=bought, **told, **facts) for fault in faults]


def lost(provider: str, *faults: str, outcome: str = "bought") -> list[Row]:
    """A picture that was paid for and can't be had."""
    told: dict[str, Any] = {"reason": "PROVIDER_UNAVAILABLE", "outcome": outcome}
    return [Row(provider=provider, fault=fault, bought=1, **told) for fault in faults]


def refused(provider: str, *faults: str, bought: int = 0, **facts: Any) -> list[Row]:
    return [Row(provider=provider, fault=fault, reason="CONTENT_REJECTED", bought=bought, **facts) for fault in faults]


def unfit(provider: str, fault: str, bought: int = 0) -> Row:
    """One of the caller's pictures can't be read."""
    return Row(provider=provider, fault=fault, reason="INVALID_FIELD", bought=bought, edit=True)


def misconfigured(provider: str, *faults: str) -> list[Row]:
    told: dict[str, Any] = {"reason": "PROVIDER_MISCONFIGURED", "outcome": "not_bought"}
    return [Row(provider=provider, fault=fault, **told) for fault in faults]


def overloaded(provider: str, *faults: str) -> list[Row]:
    return [Row(provider=provider, fault=fault, reason="OVERLOADED") for fault in faults]


def failed(provider: str, *faults: str) -> list[Row]:
    """Work that was accepted, failed, and is not billed."""
    told: dict[str, Any] = {"reason": "PROVIDER_UNAVAILABLE", "outcome": "not_bought"}
    return [Row(provider=provider, fault=fault, bought=1, **told) for fault in faults]


def overcome(provider: str, *faults: str, **facts: Any) -> list[Row]:
    """Faults in spite of which there is a picture, bought once."""
    return [Row(provider=provider, fault=fault, bought=1, kept=1, **facts) for fault in faults]


def partial(provider: str, fault: str, missing: str, *, asked: int = 4, bought: int = 1) -> Row:
    return Row(provider=provider, fault=fault, asked=asked, kept=asked - 1, bought=bought, missing=missing)


ROWS = [
    # The connection drops after the request was sent, or the answer says nothing definite: bought once, never again.
    *unknown("openai", "drop", "html-500", "crash", "bad-gateway", "gateway-timeout", "truncate", "html-200"),
    *unknown("openai", "not-json", "no-data", "empty"),
    *unknown("openai", "unavailable", bought=0),
    *unknown("openai", "hang", short=True),
    *unknown("fal", "drop", "html-500", "html-200", "truncated-submit", "no-id", "result-html"),
    *unknown("fal", "nginx", "503", bought=0),
    *unknown("fal", "endless", short=True),
    *unknown("google", "drop", "500-html", "502-html", "503-html", "504", "200-html", "truncate", "prefix"),
    *unknown("google", "stall", short=True),
    *(row for dialect in DIALECTS for row in unknown(dialect, "drop", "html-500", "empty", "truncate")),
    # Too many requests: a short wait is waited, every other hint ends it at once.
    *overcome("openai", "rate-limit-ms*1", "rate-limit-text*1", "rate-limit-plain*1", "rate-limit*1"),
    *overcome("openai", "rate-limit-date*1", "loading*1"),
    *overloaded("openai", "rate-limit-long", "rate-limit-final"),
    *overcome("fal", "429=ms*1", "429=text*1", "429=none*1", "429=concurrent*1", "429=retryable*1"),
    *overloaded("fal", "429=never", "429=long"),
    *overcome("google", "429=ms*1", "429=retry-info*1", "429=none*1", "429=list*1", "429=html*1", "overloaded*1"),
    *overloaded("google", "429=retry-info-long", "429=day"),
    *(row for dialect in DIALECTS for row in overcome(dialect, "rate-limit-ms*1")),
    # No credit left, or a key that is not accepted.
    *misconfigured("openai", "insufficient-quota", "billing-limit", "bad-key", "forbidden", "model-not-found"),
    *misconfigured("fal", "no-credit", "401", "403", "404"),
    *misconfigured("google", "429=no-credit", "429=free-tier", "429=cap", "key-invalid", "403", "billing", "404"),
    *misconfigured("litellm", "insufficient-quota", "bad-key"),
    # The prompt or a picture is refused.
    *refused("openai", "moderation"),
    *refused("openai", "moderation-output", bought=1),
    *refused("openai", "too-large", edit=True),
    unfit("openai", "bad-image"),
    *refused("openai", "words-403", "unexplained"),
    *refused("openai", "words-502", "waiting-200", "empty-url", bought=1),
    *refused("litellm", "moderation"),
    *refused("fal", "refused", "no-media", bought=1),
    unfit("fal", "bad-input", bought=1),
    *refused("google", "block=SAFETY", "block=PROHIBITED_CONTENT", "finish=IMAGE_SAFETY", "text-only", bought=1),
    unfit("google", "input-image"),
    # A black picture with status 200.
    *refused("fal", "nsfw", bought=1),
    partial("fal", "nsfw=1", "CONTENT_REJECTED"),
    # An empty list, and a short one.
    *lost("fal", "empty", outcome="unknown"),
    *unknown("google", "empty", "no-candidates", "thought-only"),
    partial("openai", "fewer=1", "PROVIDER_UNAVAILABLE"),
    partial("fal", "short=1", "PROVIDER_UNAVAILABLE"),
    partial("stable-diffusion.cpp", "fewer=1", "PROVIDER_UNAVAILABLE"),
    partial("openai", "html-picture=2", "PROVIDER_UNAVAILABLE"),
    partial("openai", "bad-base64=1", "PROVIDER_UNAVAILABLE"),
    partial("fal", "picture-403=3", "PROVIDER_UNAVAILABLE"),
    # Pictures that are none: a page, a bomb of 900 megapixels, half of one, noise.
    *lost("openai", "null", "zero-byte", "bad-base64"),
    *lost("openai", "html-picture", "bomb", "noise"),
    # All of its rows are there, so it is shown, and kept.
    Row(provider="openai", fault="cut-picture", bought=1, kept=1),
    *lost("fal", "picture-html", "picture-bomb", "picture-cut", "picture-noise"),
    *lost("fal", "picture-empty", "picture-403", "null"),
    *lost("google", "html-picture", "bomb", "cut", "bad-bytes"),
    *unknown("google", "bad-base64", "zero-byte"),
    *(row for dialect in DIALECTS for row in lost(dialect, "null")),
    # Redirects to another host, and results on an internal or a foreign one.
    *misconfigured("openai", "redirect"),
    *misconfigured("google", "redirect=307"),
    *lost("openai", "url-internal", "url-foreign", "url-redirect"),
    *lost("fal", "internal-url", "metadata-url", "private-url", "file-url", "foreign-url", "picture-redirect"),
    *lost("google", "file-uri"),
    *misconfigured("fal", "redirect-submit"),
    *overcome("fal", "foreign-urls", "picture-moved"),
    *overcome("openai", "url"),
    *overcome("sglang", "url-relative"),
    # A job that fails after it was accepted.
    *failed("fal", "crash", "timeout", "runner", "never-began"),
    # What is declared of a picture is not believed, and another format than asked is brought into that one.
    *overcome("openai", "wrong-format"),
    *overcome("fal", "picture-type", "mislabelled"),
    *overcome("google", "mislabelled"),
]
KEYLESS_FIRST = "openai/keyless-first"
KEYLESS, TRIPPING, PAIRS = "openai/keyless", "openai/tripping", ("openai/first", "fal/first", "google/first")


@pytest.fixture(scope="module")
def providers() -> Iterator[Providers]:
    with background() as loop:
        yield start_fakes(loop)


@pytest.fixture(scope="module")
def catalogue(providers: Providers) -> Catalogue:
    catalogue = Catalogue()
    for row in ROWS:
        short = {"timeout_s": SHORT_S} if row.short else {}
        catalogue.add(row.model, providers.settings(row.model) | short)
    for provider in ENDLESS:
        catalogue.add(f"{provider}/any", providers.settings(provider))
        catalogue.add(f"{provider}/last", providers.settings(provider))
    catalogue.add("openai/signing", providers.settings("openai") | {"base_url": providers.signing.base_url})
    catalogue.add("fal/upscale", providers.settings("fal/upscale"))
    catalogue.add(KEYLESS, providers.settings("openai") | {"api_key_env": "NO_SUCH_KEY", "price_usd": 0.04})
    keyless_first = {"api_key_env": "NO_SUCH_KEY", "fallback": ["openai/last"]}
    catalogue.add(KEYLESS_FIRST, providers.settings("openai") | keyless_first)
    catalogue.add(TRIPPING, providers.settings("openai"))
    for model, fallback in zip(PAIRS, ("google/last", "openai/last", "openai/last"), strict=True):
        catalogue.add(model, providers.settings(model) | {"fallback": [fallback]})
    return catalogue


@pytest.fixture(scope="module")
def faulty_service(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with(catalogue, tmp_path_factory.mktemp("providers")) as service:
        yield service


class Team:
    """A workspace of a test's own, and one client of a user in it: making one takes longer than most calls."""

    def __init__(self, tenant: Tenant) -> None:
        self.id = tenant.id
        self.service = tenant.service
        self.stub = tenant.stub
        self.metadata = tenant.metadata()
        self.rest = tenant.rest()
        self.url = tenant.url


@pytest.fixture
def team(faulty_service: Service) -> Iterator[Team]:
    with tenant_of(faulty_service) as tenant:
        yield Team(tenant)


def ask(team: Team, model: str, fault: str = "", *, images: int = 1, edit: bool = False, key: str = "") -> Any:
    prompt = f"{PROMPT} [[fault:{fault}]]" if fault else PROMPT
    # Named, since each model's own format is kept otherwise.
    body: dict[str, Any] = {"prompt": prompt, "modelId": model, "outputFormat": "png"}
    if edit:
        body |= {"imageIds": [uploaded(team)]}
    headers = {"idempotency-key": key} if key else {}
    return team.rest.post(EDIT if edit else GENERATE, json=body | {"numImages": images}, headers=headers)


def uploaded(team: Team) -> str:
    """Return the id of one and the same small picture."""
    found = [each["id"] for each in team.rest.get("/images").json()["images"] if not each["generationId"]]
    answer = found or [team.rest.post("/images", content=png(), headers={"content-type": "image/png"}).json()["id"]]
    return str(answer[0])


def images_of(team: Team) -> list[dict[str, Any]]:
    images: list[dict[str, Any]] = team.rest.get("/images").json()["images"]
    return [image for image in images if image["generationId"]]


def content(team: Team, image: dict[str, Any]) -> bytes:
    return team.rest.get(team.url(image["_links"]["content"])).content


# The breaker is tripped first, so that its pause is over by the last test.


@dataclass(frozen=True)
class Trip:
    """A model whose provider was given up for a while."""

    at: float
    answer: httpx.Response
    requests: int


@pytest.fixture(scope="module")
def trip(faulty_service: Service, providers: Providers) -> Trip:
    fake = providers.fakes["openai"]
    with tenant_of(faulty_service) as tenant:
        team = Team(tenant)
        for _ in range(FAILURES):
            ask(team, TRIPPING, "html-500")
        before = len(fake.recorder.arrivals)
        answer = ask(team, TRIPPING)
        return Trip(time.monotonic(), answer, len(fake.recorder.arrivals) - before)


def test_a_provider_that_fails_again_and_again_is_not_asked_any_more(trip: Trip) -> None:
    info = detail(error_of(trip.answer), "ErrorInfo")
    assert trip.answer.status_code == 503
    assert (info["reason"], info["metadata"]["outcome"]) == ("PROVIDER_UNAVAILABLE", "not_bought")
    assert 0 < float(detail(error_of(trip.answer), "RetryInfo")["retryDelay"].removesuffix("s")) <= 10
    assert trip.requests == 0


# The table.


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_fault_is_told_bought_once_and_leaves_no_rest(row: Row, team: Team, providers: Providers) -> None:
    if row.edit:
        uploaded(team)
    files, bought = set(files_of(team.service)), providers.ledger(row.model).accepted
    unshown = set(unshown_files_of(team.service))

    answer = ask(team, row.model, row.fault, images=row.asked, edit=row.edit, key="once")

    if row.reason:
        check_refusal(row, answer)
    else:
        check_pictures(row, answer)
    images = images_of(team)
    assert len(images) == row.kept
    assert len(set(files_of(team.service)) - files) == row.kept
    set_aside = set(unshown_files_of(team.service)) - unshown
    assert bool(set_aside) <= (row.kept < row.asked), "only what can't be shown is set aside"
    assert providers.ledger(row.model).accepted - bought == row.bought

    if row.outcome != "not_bought" and row.reason != "OVERLOADED":
        again = ask(team, row.model, row.fault, images=row.asked, edit=row.edit, key="once")
        assert (again.status_code, again.json()) == (answer.status_code, answer.json())
        assert providers.ledger(row.model).accepted - bought == row.bought


def check_refusal(row: Row, answer: httpx.Response) -> None:
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == STATUSES[row.reason]
    info = detail(error, "ErrorInfo")
    assert (info["reason"], info["domain"]) == (row.reason, "imageservice")
    if row.reason == "PROVIDER_UNAVAILABLE":
        assert info["metadata"].get("outcome", "") == row.outcome
    if row.reason == "OVERLOADED":
        assert detail(error, "RetryInfo")["retryDelay"]
    assert "badger" not in answer.text, "the provider's own words, which quote the prompt"


def check_pictures(row: Row, answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert len(document["images"]) == row.kept
    assert {image["parameters"]["outputFormat"] for image in document["images"]} == {"png"}
    if row.asked == row.kept:
        assert "detail" not in document
        return
    partial = document["detail"]
    assert partial["code"] == "PARTIAL_RESULT"
    assert (partial["requestedImages"], partial["createdImages"]) == (row.asked, row.kept)
    assert [each["reason"] for each in partial["missingImages"]] == [row.missing]


@pytest.mark.parametrize(
    ("model", "fault", "code", "reason"),
    [
        ("openai/moderation", "moderation", grpc.StatusCode.INVALID_ARGUMENT, "CONTENT_REJECTED"),
        ("fal/no-credit", "no-credit", grpc.StatusCode.FAILED_PRECONDITION, "PROVIDER_MISCONFIGURED"),
        ("google/429=day", "429=day", grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
        ("google/drop", "drop", grpc.StatusCode.UNAVAILABLE, "PROVIDER_UNAVAILABLE"),
    ],
)
def test_grpc_says_the_same(team: Team, model: str, fault: str, code: grpc.StatusCode, reason: str) -> None:
    request = pb.GenerateImagesRequest(workspace_id=team.id, prompt=f"{PROMPT} [[fault:{fault}]]", model_id=model)
    with pytest.raises(grpc.RpcError) as raised:
        team.stub.GenerateImages(request, metadata=team.metadata)
    assert (raised.value.code(), failure(raised.value, []).reason) == (code, reason)


# Several pictures by several calls.


def test_one_refused_picture_of_several_calls_does_not_take_the_others_along(team: Team, providers: Providers) -> None:
    providers.fakes["google"].faults.plan("", "block=SAFETY", "")
    answer = ask(team, "google/any", images=3)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["images"]) == 2
    partial = answer.json()["detail"]
    assert [each["reason"] for each in partial["missingImages"]] == ["CONTENT_REJECTED"]


@pytest.mark.parametrize(
    ("faults", "reason", "outcome"),
    [
        (("429=day", "403", "block=SAFETY", "drop"), "PROVIDER_UNAVAILABLE", "unknown"),
        (("429=day", "403", "block=SAFETY"), "CONTENT_REJECTED", ""),
        (("429=day", "403"), "PROVIDER_MISCONFIGURED", "not_bought"),
    ],
)
def test_when_all_calls_fail_money_is_told_first(
    team: Team, providers: Providers, faults: tuple[str, ...], reason: str, outcome: str
) -> None:
    providers.fakes["google"].faults.plan(*faults)
    info = detail(error_of(ask(team, "google/any", images=len(faults))), "ErrorInfo")
    assert (info["reason"], info["metadata"].get("outcome", "")) == (reason, outcome)
    ask(team, "google/any")  # a success, for the breaker


# Early forms.


@pytest.mark.parametrize("edit", [False, True])
def test_who_watches_sees_early_forms_of_a_picture(team: Team, edit: bool) -> None:
    task = {"prompt": PROMPT, "modelId": "openai/any"} | ({"imageIds": [uploaded(team)]} if edit else {})
    with team.rest.stream("POST", "/image-tasks:stream", json={"edit" if edit else "generate": task}) as answer:
        events = [json.loads(line.removeprefix("data:")) for line in answer.iter_lines() if line.startswith("data:")]
    previews = [event["preview"] for event in events if "preview" in event]
    assert previews and all(look(base64.b64decode(preview["data"]))[2] == "png" for preview in previews)
    assert events[-1]["completed"]["state"] == "SUCCEEDED"


# Bytes.


def test_a_picture_in_the_asked_format_is_kept_byte_for_byte_with_its_manifest(team: Team) -> None:
    (image,) = made(ask(team, "openai/signing"))["images"]
    assert content(team, image) == SIGNED


def test_a_picture_in_another_format_is_brought_into_the_asked_one(team: Team) -> None:
    body = {"prompt": PROMPT, "modelId": "google/any", "outputFormat": "webp", "seed": 7}
    (image,) = made(team.rest.post(GENERATE, json=body))["images"]
    colour, _, format_ = look(content(team, image))
    assert format_ == "webp" and image["parameters"]["outputFormat"] == "webp"
    assert near(colour, colour_of(PROMPT, 7, 0))


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_what_openai_makes_is_kept_untouched(team: Team, output_format: str) -> None:
    body = {"prompt": PROMPT, "modelId": "openai/any", "outputFormat": output_format}
    (image,) = made(team.rest.post(GENERATE, json=body))["images"]
    assert content(team, image) == picture(colour_of(PROMPT, None, 0), 1024, 1024, output_format)


def test_a_job_that_fails_after_it_was_accepted_upscales_nothing(team: Team, providers: Providers) -> None:
    body = {"imageId": uploaded(team), "modelId": "fal/upscale", "upscaleFactor": 4}
    providers.fakes["fal"].faults.plan("crash")
    answer = team.rest.post(UPSCALE, json=body)
    assert (answer.status_code, detail(error_of(answer), "ErrorInfo")["reason"]) == (503, "PROVIDER_UNAVAILABLE")
    assert images_of(team) == []
    (image,) = made(team.rest.post(UPSCALE, json=body))["images"]
    assert (image["imageWidth"], image["imageHeight"]) == (32, 32)


# Work that never ends, until somebody cancels it.


@pytest.mark.parametrize(
    ("provider", "fault", "may_bill"),
    [("openai", "hang", True), ("fal", "stuck", False), ("fal", "endless", True), ("google", "stall", True)],
)
def test_a_job_that_never_ends_can_be_cancelled(
    team: Team, providers: Providers, provider: str, fault: str, may_bill: bool
) -> None:
    bought = providers.ledger(provider).accepted
    task = pb.GenerateImagesRequest(prompt=f"{PROMPT} [[fault:{fault}]]", model_id=f"{provider}/any")
    stream = team.stub.RunTask(pb.RunTaskRequest(workspace_id=team.id, generate=task), metadata=team.metadata)
    generation_id = next(stream).queued.generation_id
    wait_for_purchase(providers, provider, bought)

    cancelled = team.rest.post(f"/generations/{generation_id}:cancel").json()

    assert (cancelled["state"], cancelled["mayBill"]) == ("CANCELLED", may_bill)
    with pytest.raises(grpc.RpcError) as raised:
        list(stream)
    assert raised.value.code() == grpc.StatusCode.CANCELLED
    assert providers.ledger(provider).accepted == bought + 1
    assert images_of(team) == []


def wait_for_purchase(providers: Providers, provider: str, bought: int) -> None:
    """Wait until one more is bought; of a queued job, until it is asked how far it is: then its id is known."""
    deadline = time.monotonic() + 20
    while providers.ledger(provider).accepted == bought or (provider == "fal" and not status_asked(providers.fakes)):
        assert time.monotonic() < deadline, "it was not bought"
        time.sleep(0.01)


def status_asked(fakes: Mapping[str, Fake]) -> bool:
    job_id = fakes["fal"].ledger.purchases[-1].id
    return bool(fakes["fal"].recorder.to("api", "GET", f"{job_id}/status"))


# Another model in the place of one that surely bought nothing.


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ("openai/first", "rate-limit-long"),
        ("openai/first", "insufficient-quota"),
        ("openai/first", "model-not-found"),
        ("fal/first", "429=long"),
        ("fal/first", "no-credit"),
        ("google/first", "429=day"),
        ("google/first", "key-invalid"),
    ],
)
def test_another_model_helps_out_where_surely_nothing_was_bought(
    team: Team, providers: Providers, model: str, fault: str
) -> None:
    bought = totals(providers)
    answer = made(ask(team, model, fault))
    assert len(answer["images"]) == 1
    assert totals(providers) == bought + 1
    assert providers.ledger(model).accepted <= bought


@pytest.mark.parametrize(
    ("model", "fault", "bought"),
    [
        ("openai/first", "moderation", 0),
        ("openai/first", "drop", 1),
        ("openai/first", "html-500", 1),
        ("openai/first", "html-picture", 1),
        ("fal/first", "refused", 1),
        ("fal/first", "nsfw", 1),
        ("fal/first", "nginx", 0),
        ("google/first", "block=SAFETY", 1),
        ("google/first", "text-only", 1),
        ("google/first", "drop", 1),
    ],
)
def test_no_other_model_goes_round_a_refusal_or_buys_again(
    team: Team, providers: Providers, model: str, fault: str, bought: int
) -> None:
    before = totals(providers)
    answer = ask(team, model, fault)
    assert answer.status_code in (400, 503)
    assert totals(providers) == before + bought
    assert images_of(team) == []


def totals(providers: Providers) -> int:
    """Return how many requests all providers accepted."""
    return sum(fake.ledger.accepted for fake in providers.fakes.values())


# A model whose key is missing.


def test_a_model_without_its_key_is_listed_and_says_so(faulty_service: Service, team: Team) -> None:
    models = {each["id"]: each for each in team.rest.get(team.url("/v1/models")).json()["models"]}
    assert (models[KEYLESS]["ready"], models[KEYLESS]["unreadyReason"]) == (False, "NO_SUCH_KEY is not set")
    assert models[KEYLESS]["priceUsd"] == 0.04
    assert (models["openai/any"]["ready"], models["openai/any"]["unreadyReason"]) == (True, "")
    assert len(models) == len({row.model for row in ROWS} | set(PAIRS)) + 11

    command = [sys.executable, "-m", "limner", "models", "--server", faulty_service.grpc_address]
    done = subprocess.run([*command, "--token", faulty_service.token()], capture_output=True, text=True, check=True)
    assert "no: NO_SUCH_KEY is not set" in next(line for line in done.stdout.splitlines() if KEYLESS in line)


def test_a_model_without_its_key_buys_nothing(team: Team, providers: Providers) -> None:
    before = len(providers.fakes["openai"].recorder.arrivals)
    answer = ask(team, KEYLESS)
    assert (answer.status_code, detail(error_of(answer), "ErrorInfo")["reason"]) == (400, "PROVIDER_MISCONFIGURED")
    assert len(providers.fakes["openai"].recorder.arrivals) == before


def test_a_model_without_its_key_falls_back(team: Team) -> None:
    (image,) = made(ask(team, KEYLESS_FIRST))["images"]
    assert image["model"] == "openai/last"


# What holds for all of it.


def test_a_provider_that_is_back_is_asked_again(team: Team, trip: Trip) -> None:
    time.sleep(max(0.0, trip.at + 10.1 - time.monotonic()))
    assert len(made(ask(team, TRIPPING))["images"]) == 1
    assert len(made(ask(team, TRIPPING))["images"]) == 1


def test_no_key_went_anywhere_else(faulty_service: Service, providers: Providers) -> None:
    for fake in (*providers.fakes.values(), providers.signing):
        assert fake.recorder.leaks == []
        assert fake.recorder.to("api"), "nothing was asked"
        assert fake.recorder.to("elsewhere") == []
        if isinstance(fake, FakeOpenAi):
            assert fake.recorder.to("cdn") == []
    log = "".join(faulty_service.log)
    assert not [key for key in KEYS.values() if key in log]
    assert "badger" not in log
