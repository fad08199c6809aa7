"""The operator's catalogue: what is known of models, what the file may say, and what is wrong with it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from limner.catalogue import CatalogueError, LoadedModels, default_models, load_models
from limner.catalogue.loading import hosted_entries
from limner.domain.image import OutputFormat
from limner.domain.model import ModelCapabilities
from limner.domain.task import Operation
from limner.models.fallback import FallbackModel, ResumableFallbackModel
from limner.service.ports import ResumableModel

EMBEDDED = ["sketch", "realesrgan-x4plus", "realesr-animevideo"]
KEYS = {"OPENAI_API_KEY": "sk-not-a-key", "FAL_KEY": "fal-not-a-key", "GEMINI_API_KEY": "AIza-not-a-key"}
TODAY = date(2026, 11, 23)
Load = Callable[..., dict[str, ModelCapabilities]]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "models.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def load(file: Callable[[str], Path]) -> Load:
    def load(text: str, **environment: str) -> dict[str, ModelCapabilities]:
        models = load_models(file(text), environment).models
        return {model.capabilities.id: model.capabilities for model in models}

    return load


def faults(load: Load, text: str) -> list[str]:
    with pytest.raises(CatalogueError) as raised:
        load(text)
    return [fault.partition("models.toml: ")[2] for fault in raised.value.faults]


def entry(adapter: str = "openai", **lines: str) -> str:
    name = lines.pop("id", '"m"')
    return "\n".join(
        ["[[models]]", f"id = {name}", f'adapter = "{adapter}"', *(f"{k} = {v}" for k, v in lines.items())]
    )


# Without a file.


def ids(loaded: LoadedModels) -> list[str]:
    return [model.capabilities.id for model in loaded.models]


def test_without_a_file_or_keys_there_are_the_embedded_models() -> None:
    assert ids(load_models(None, {})) == EMBEDDED


@pytest.mark.parametrize(
    ("key", "some"),
    [
        ("OPENAI_API_KEY", {"gpt-image-2", "gpt-image-1.5", "gpt-image-2.5-flare"}),
        ("FAL_KEY", {"nano-banana-2", "flux-schnell", "flux-dev", "seedvr", "topaz", "esrgan"}),
        ("GEMINI_API_KEY", {"gemini-3.1-flash-image", "gemini-3-pro-image"}),
        ("GOOGLE_API_KEY", {"gemini-3.1-flash-image", "gemini-3-pro-image"}),
    ],
)
def test_a_key_in_the_environment_brings_the_known_models_of_its_vendor(key: str, some: set[str]) -> None:
    loaded = load_models(None, {key: "not-a-key"})
    assert ids(loaded)[:3] == EMBEDDED
    assert some <= set(ids(loaded))
    assert [model.capabilities.id for model in loaded.models if model.unready_reason()] == []


def test_all_keys_together_give_no_model_twice_and_none_that_is_retired() -> None:
    found = ids(load_models(None, KEYS))
    assert len(found) == len(set(found)) > 25
    retired = {"gpt-image-1", "dall-e-3", "dall-e-2", "gemini-2.5-flash-image"}
    assert not retired & {each.id for each in hosted_entries(KEYS, TODAY)}


def test_a_model_that_is_about_to_be_retired_is_still_there() -> None:
    assert "gemini-2.5-flash-image" in {each.id for each in hosted_entries(KEYS, date(2026, 10, 1))}
    assert "gemini-2.5-flash-image" not in {each.id for each in hosted_entries(KEYS, date(2026, 10, 2))}


def test_embedded_models_are_there_without_any_vendors_code() -> None:
    code = (
        "import sys; from limner.catalogue import load_models; load_models(None, {});"
        "print(*(n for n in sys.modules if n.split('.')[0] in ('aiohttp', 'google') or 'models.http' in n))"
    )
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == ""


# What is known, and what the file says instead.


def test_what_is_known_of_a_model_need_not_be_said(load: Load) -> None:
    models = load(
        "\n".join(
            [
                entry(id='"gpt-image-2"'),
                entry("fal", id='"banana"', upstream_model='"fal-ai/nano-banana-2"'),
                entry("google", id='"gemini-3-pro-image"'),
                entry("realesrgan", id='"realesrgan-x4plus"'),
                entry(id='"gpt-image-1.5"'),
            ]
        )
    )
    assert list(models) == ["gpt-image-2", "banana", "gemini-3-pro-image", "realesrgan-x4plus", "gpt-image-1.5"]
    assert "21:9" in models["gpt-image-2"].aspect_ratios
    assert models["gpt-image-2"].max_input_images == 16
    assert "21:9" not in models["gpt-image-1.5"].aspect_ratios
    assert models["banana"].operations == (Operation.GENERATE, Operation.EDIT)
    assert models["gemini-3-pro-image"].max_input_images == 14
    assert models["realesrgan-x4plus"].operations == (Operation.UPSCALE,)


@pytest.mark.parametrize("adapter", ["openai", "fal", "google", "sketch"])
def test_a_line_in_the_file_stands_in_place_of_what_is_known(load: Load, adapter: str) -> None:
    upstream = {"openai": "gpt-image-2", "fal": "fal-ai/nano-banana-2", "google": "gemini-3-pro-image", "sketch": "x"}
    lines = {
        "upstream_model": f'"{upstream[adapter]}"',
        "description": '"Ours"',
        "operations": '["generate"]',
        "aspect_ratios": '["1:1", "16:9"]',
        "output_formats": '["jpeg"]',
        "max_images": "3",
        "max_prompt_chars": "500",
        "price_usd": "0.125",
        "retires": "2027-02-03",
        "concurrency": "2",
        "max_waiting": "7",
        "trained": "true",
        "watermarked": "false",
    }
    capabilities = load(entry(adapter, **lines))["m"]
    assert capabilities == ModelCapabilities(
        id="m",
        description="Ours",
        operations=(Operation.GENERATE,),
        aspect_ratios=("1:1", "16:9"),
        output_formats=(OutputFormat.JPEG,),
        max_images=3,
        max_prompt_chars=500,
        price_usd=Decimal("0.125"),
        retires=date(2027, 2, 3),
        concurrency=2,
        max_waiting=7,
        max_input_images=capabilities.max_input_images,
        seeds=capabilities.seeds,
        qualities=capabilities.qualities,
        backgrounds=capabilities.backgrounds,
        compresses=capabilities.compresses,
        masks=capabilities.masks,
        local=adapter == "sketch",
    )


def test_a_server_of_ones_own_needs_no_key(file: Callable[[str], Path]) -> None:
    own = entry(base_url='"http://127.0.0.1:1234/v1"', dialect='"stable-diffusion.cpp"')
    (model,) = load_models(file(own), {}).models
    assert model.unready_reason() == ""
    assert model.capabilities.seeds


@pytest.mark.parametrize(
    ("adapter", "variable"), [("openai", "OPENAI_API_KEY"), ("fal", "FAL_KEY"), ("google", "GEMINI_API_KEY")]
)
def test_a_model_without_its_key_is_there_and_says_which_is_missing(
    file: Callable[[str], Path], adapter: str, variable: str
) -> None:
    known = {"openai": "gpt-image-2", "fal": "flux-dev", "google": "gemini-3-pro-image"}
    path = file(entry(adapter, upstream_model=f'"{known[adapter]}"'))
    (model,) = load_models(path, {}).models
    assert model.unready_reason() == f"{variable} is not set"
    (model,) = load_models(path, {variable: "there"}).models
    assert model.unready_reason() == ""
    path = file(entry(adapter, upstream_model=f'"{known[adapter]}"', api_key_env='"TEAM_KEY"'))
    (model,) = load_models(path, KEYS).models
    assert model.unready_reason() == "TEAM_KEY is not set"


@pytest.mark.parametrize(
    ("adapter", "upstream", "base_url", "variable"),
    [
        ("openai", "gpt-image-2", "https://api.openai.com/v1", "OPENAI_API_KEY"),
        ("google", "gemini-3-pro-image", "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY"),
    ],
)
def test_a_vendors_own_address_spelled_out_needs_no_other_key_than_usual(
    file: Callable[[str], Path], adapter: str, upstream: str, base_url: str, variable: str
) -> None:
    path = file(entry(adapter, upstream_model=f'"{upstream}"', base_url=f'"{base_url}"'))
    (model,) = load_models(path, {}).models
    assert model.unready_reason() == f"{variable} is not set"
    (model,) = load_models(path, {variable: "there"}).models
    assert model.unready_reason() == ""


def test_fallbacks_keep_what_their_first_model_can(file: Callable[[str], Path]) -> None:
    path = file(
        "\n".join(
            [
                entry(id='"a"', upstream_model='"gpt-image-2"', fallback='["b"]'),
                entry("fal", id='"b"', upstream_model='"flux-dev"', fallback='["c"]'),
                entry("sketch", id='"c"'),
            ]
        )
    )
    first, second, third = load_models(path, KEYS).models
    assert isinstance(first, ResumableFallbackModel) and isinstance(second, ResumableModel)
    assert not isinstance(third, FallbackModel)
    assert first.capabilities.max_input_images == 16


# What is wrong with a file, all of it at once.


def test_everything_that_is_wrong_is_told_at_once(load: Load) -> None:
    text = "\n".join(
        [
            'colour = "red"',
            entry(id='"one"', adapter_="1", price_usd='"cheap"', max_images="11", retires="2027-01-01T10:00:00"),
            entry("nobody", id='"two"'),
            entry("google", id='"three"', base_url='"http://example.com"'),
            entry(id='"four"', dialect='"klingon"'),
            entry(id='"five"', operations='["upscale"]'),
            entry("fal", id='"six"', dialect='"openai"'),
            entry("fal", id='"seven"', upstream_model='"nobody/knows"'),
            entry("sketch", id='"eight"', fallback='["nine"]'),
            entry("sketch", id='"eight"'),
            '[[models]]\ndescription = "nameless"',
            entry("google", id='"ten"', timeout_s="0"),
        ]
    )
    found = faults(load, text)
    expected = [
        "there is no setting colour",
        "one: there is no setting adapter_",
        "one: price_usd must be an amount of US dollars",
        "one: max_images must be 1 to 10",
        "one: retires must be a date",
        "two: there is no adapter nobody",
        "six: there is no setting dialect for this adapter",
        "model 10: id is missing",
        "model 10: adapter is missing",
        "ten: timeout_s must be a number of seconds",
        "2 models are called eight",
        "eight: its fallback nine is no other model of this file",
        "three: a base address: it must be https",
        "four: there is no dialect klingon",
        "five: openai can't upscale",
        "seven: fal's model nobody/knows is not known",
    ]
    assert len(found) == len(expected)
    assert [line for line in expected if not any(fault.startswith(line) for fault in found)] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "there is no [[models]]"),
        ("models = 3", "there is no [[models]]"),
        ("models = [3]", "there is no [[models]]"),
        ("[[models]", "models.toml"),
        (entry(id="3"), "id must be a text"),
        (entry(id=f'"{"m" * 129}"'), "at most 128"),
        (entry(fallback="3"), "fallback must be a list"),
        (entry(fallback='["m"]'), "no other model"),
        (entry(result_hosts='"cdn.example.com"'), "must be a list of texts"),
        (entry(result_hosts='["cdn.example.com/path"]'), "is no host name"),
        (entry(base_url='"https://user:secret@example.com/v1"'), "is no http address"),
        (entry(base_url='"http://10.0.0.1/v1"'), "must be https"),
        (entry(upstream_model='"gpt-image-1.5"', aspect_ratios='["16:9"]'), "aspect_ratios: the model has 1:1"),
        (entry(upstream_model='"gpt-image-2"', seeds="true"), "seeds: the model has none"),
        (entry("realesrgan", id='"realesrgan-x4plus"', upscale_factors="[16]"), "upscale_factors: the model has"),
        (entry("realesrgan", id='"realesrgan-x4plus"', upscale_factors="[1]"), "must be 2 to 16"),
        (entry("realesrgan", id='"nobody"'), "must be one of"),
        (entry("sketch", operations='["upscale"]'), "operations: the model has"),
        (entry(max_images="true"), "whole number"),
        (entry(price_usd="nan"), "amount"),
        (entry(previews="4"), "previews must be 0 to 3"),
        (entry(dialect='"vllm-omni"', images_per_call="2"), "images_per_call must be 1"),
    ],
)
def test_a_fault_is_named(load: Load, text: str, fault: str) -> None:
    with pytest.raises(CatalogueError) as raised:
        load(text)
    (found,) = raised.value.faults
    assert fault in found


@pytest.mark.parametrize("key", ["sk-proj-0123456789abcdef", "AIzaSyA0123456789", "1111-2222:secret", ""])
def test_a_key_in_the_place_of_its_name_is_refused_and_not_repeated(load: Load, key: str) -> None:
    (fault,) = faults(load, entry(api_key_env=f'"{key}"'))
    assert "never the key itself" in fault
    assert not key or key not in fault


def test_a_file_that_is_missing_or_huge_is_a_fault(tmp_path: Path, file: Callable[[str], Path]) -> None:
    with pytest.raises(CatalogueError):
        load_models(tmp_path / "nothing.toml", {})
    with pytest.raises(CatalogueError, match="too large"):
        load_models(file("#" * (1 << 20) + "\n#"), {})


# Defaults.


def test_the_first_model_that_can_is_the_default(file: Callable[[str], Path]) -> None:
    path = file("\n".join([entry("realesrgan", id='"realesrgan-x4plus"'), entry("sketch", id='"s"'), entry(id='"m"')]))
    models = load_models(path, {}).models
    assert default_models(models, "", "") == {Operation.GENERATE: "s", Operation.EDIT: "s"}
    assert default_models(models, "m", "") == {Operation.GENERATE: "m", Operation.EDIT: "s"}


def test_a_default_must_be_a_model_that_can() -> None:
    models = load_models(None, {}).models
    with pytest.raises(CatalogueError) as raised:
        default_models(models, "realesrgan-x4plus", "nobody")
    assert [fault.partition(":")[0] for fault in raised.value.faults] == [
        "LIMNER_DEFAULT_GENERATE_MODEL",
        "LIMNER_DEFAULT_EDIT_MODEL",
    ]


# The doctor, in a process of its own.


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    folder = tmp_path_factory.mktemp("doctor")
    today = datetime.now(UTC).date()
    soon, later = today + timedelta(days=60), today + timedelta(days=61)
    models = [
        entry(id='"gpt-image-1"', api_key_env='"A_KEY"'),
        entry("google", id='"gemini-2.5-flash-image"', api_key_env='"A_KEY"'),
        entry("sketch", id='"soon"', retires=str(soon)),
        entry("sketch", id='"later"', retires=str(later)),
        entry(id='"keyless"', upstream_model='"gpt-image-2"', api_key_env='"NO_KEY"'),
    ]
    (folder / "models.toml").write_text("\n".join(models))
    environment = os.environ | {
        "LIMNER_MODELS": str(folder / "models.toml"),
        "LIMNER_DATA_DIR": str(folder / "data"),
        "A_KEY": "there",
    }
    command = [sys.executable, "-m", "limner", "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1, done.stderr
    yield done.stdout.splitlines()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("gpt-image-1", "✗ model gpt-image-1: was retired on 2026-10-23: choose another one"),
        ("gemini-2.5-flash-image", "✗ model gemini-2.5-flash-image: was retired on 2026-10-02: choose another one"),
        ("soon", "✗ model soon: retires on"),
        ("later", "✓ model later: generate, edit"),
        ("keyless", "✗ model keyless: NO_KEY is not set"),
    ],
)
def test_doctor_names_models_that_are_retired_or_soon_and_those_that_are_not_ready(
    examined: list[str], model: str, said: str
) -> None:
    (line,) = [line for line in examined if f"model {model}:" in line]
    assert line.startswith(said)
