"""The whole service in front of fake providers, with a model of its own for each way to go wrong."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.fakes import fal, google, openai
from tests.fakes.background import Background
from tests.fakes.fal import FakeFal, fake_fal
from tests.fakes.google import FakeGoogle, fake_google
from tests.fakes.ledger import Ledger
from tests.fakes.openai import FakeOpenAi, fake_openai
from tests.pictures import chunk, png
from tests.service import Service, running_service

SIGNED: Final = png(64, 64, before=chunk(b"caBX", b"a manifest of content credentials"))
"""A picture with a C2PA manifest in it."""
KEYS: Final = {"FAKE_OPENAI": openai.KEY, "FAKE_FAL": fal.KEY, "FAKE_GOOGLE": google.KEY}
DIALECTS: Final = {
    "stable-diffusion.cpp": "any",
    "localai": "any",
    "vllm-omni": "Qwen/Qwen-Image",
    "sglang": "any",
    "litellm": "openai/gpt-image-2",
}
"""The servers that speak OpenAI's protocol in their own way, and what their model is called."""
FAL_MODELS: Final = {"fal/upscale": "esrgan", "fal/bad-input": "flux-2"}
"""Where the usual model can't do what is asked."""
Fake = FakeOpenAi | FakeFal | FakeGoogle


@dataclass
class Providers:
    """One fake of each vendor."""

    fakes: Mapping[str, Fake]
    signing: FakeOpenAi
    """Sells one and the same picture, with a manifest in it."""

    def fake(self, model: str) -> Fake:
        """Return the fake behind a model."""
        return self.fakes[model.partition("/")[0]]

    def ledger(self, model: str) -> Ledger:
        """Return what was bought from the fake behind a model."""
        return self.fake(model).ledger

    def settings(self, model: str) -> dict[str, Any]:
        """Return the lines of the catalogue for a model called ``provider/anything``."""
        return settings_of(self.fake(model), model)


def settings_of(fake: Fake, model: str) -> dict[str, Any]:
    """Return the lines of the catalogue for a model called ``provider/anything`` at this fake."""
    if isinstance(fake, FakeFal):
        found = {"adapter": "fal", "base_url": fake.url, "api_key_env": "FAKE_FAL", "result_hosts": [fake.cdn_host]}
        return found | {"upstream_model": FAL_MODELS.get(model, "flux-dev")}
    if isinstance(fake, FakeGoogle):
        found = {"adapter": "google", "base_url": fake.developer_url, "api_key_env": "FAKE_GOOGLE"}
        return found | {"upstream_model": "gemini-3.1-flash-image"}
    provider = model.partition("/")[0]
    found = {"adapter": "openai", "base_url": fake.base_url, "dialect": provider}
    key = {"api_key_env": "FAKE_OPENAI"} if fake.dialect.has_keys else {}
    return found | key | {"upstream_model": DIALECTS.get(provider, "gpt-image-2")}


@dataclass
class Catalogue:
    """A file of models, in the order in which they are added."""

    models: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, model: str, settings: Mapping[str, Any]) -> None:
        self.models.setdefault(model, {}).update(settings)

    def write(self, path: Path) -> None:
        tables = (
            "\n".join(["[[models]]", *(f"{name} = {json.dumps(value)}" for name, value in table.items())])
            for table in ({"id": model} | settings for model, settings in self.models.items())
        )
        path.write_text("\n\n".join(tables) + "\n")


def start_fakes(loop: Background) -> Providers:
    fakes: dict[str, Fake] = {name: loop.enter(fake_openai(name)) for name in ("openai", *DIALECTS)}
    fakes["fal"] = loop.enter(fake_fal())
    fakes["google"] = loop.enter(fake_google())
    return Providers(fakes, loop.enter(fake_openai(payload=SIGNED)))


@contextmanager
def service_with(catalogue: Catalogue, folder: Path, **settings: str) -> Iterator[Service]:
    """Run the service with this catalogue."""
    catalogue.write(folder / "models.toml")
    environment = KEYS | {"LIMNER_MODELS": str(folder / "models.toml")} | settings
    with running_service(folder / "data", env=environment) as service:
        yield service


def files_of(service: Service) -> list[Path]:
    """Return the files in which pictures are kept that are shown, or on their way to be."""
    found = (path for room in ("images", "spool") for path in (service.data_dir / room).rglob("*") if path.is_file())
    return [path for path in found if "unshown" not in path.parts]


def unshown_files_of(service: Service) -> list[Path]:
    """Return the files of what was paid for and can't be shown."""
    return [path for path in (service.data_dir / "spool" / "unshown").rglob("*") if path.is_file()]
