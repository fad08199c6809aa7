"""What the doctor says of providers that are down, from what workers tell."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limner.app import worker_locks
from limner.doctor import findings
from limner.domain.identifiers import new_id
from limner.settings import Settings
from limner.vitals import BreakerVitals, Vitals

LATER = datetime.now(UTC) + timedelta(days=1)
BEFORE = LATER - timedelta(days=2)
DOWN = BreakerVitals(provider="openai", model="sketch", consecutive_failures=5, open_until=LATER)
MODELS = """
[[models]]
id = "sketch"
adapter = "sketch"

[[models]]
id = "old"
adapter = "sketch"
retires = 2026-01-01
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "models.toml").write_text(MODELS)
    return Settings(data_dir=tmp_path / "data", models=tmp_path / "models.toml")


@pytest.fixture
def workers(settings: Settings) -> Iterator[None]:
    """Two workers live and tell how they are."""
    down = (DOWN, replace(DOWN, model="old"), replace(DOWN, model="elsewhere", open_until=BEFORE))
    telling = [(new_id(), Vitals(breakers=down)), (new_id(), Vitals(breakers=(replace(DOWN, open_until=None),)))]
    held = [(worker_locks(settings), worker_id) for worker_id, _ in telling]
    for (locks, worker_id), (_, vitals) in zip(held, telling, strict=True):
        locks.hold(worker_id)
        locks.tell(worker_id, vitals.encoded())
    yield
    for locks, worker_id in held:
        locks.release(worker_id)


async def said(settings: Settings) -> dict[str, list[str]]:
    """Return what was said of the models."""
    found: dict[str, list[str]] = {}
    async for finding in findings(settings, datetime.now(UTC).date()):
        if finding.subject.startswith("model"):
            found.setdefault(finding.subject, []).append(finding.problem or f"fine: {finding.note}")
    return found


@pytest.mark.usefixtures("workers")
async def test_each_model_is_named_whose_provider_is_down_in_a_living_worker(settings: Settings) -> None:
    outage, again, retired = (
        "provider openai was down 5 times in a row",
        "the next task asks it again",
        "choose another",
    )
    found = await said(settings)

    (sketch,) = found["model sketch"]
    assert sketch.startswith(f"{outage}; asked again in ")
    assert sketch.endswith(" s (1 of 2 workers)")
    assert [outage in each for each in found["model old"]] == [False, True]
    assert retired in found["model old"][0]
    assert found["model elsewhere"] == [f"{outage}; {again} (1 of 2 workers)"]


@pytest.mark.usefixtures("workers")
async def test_providers_that_are_down_are_told_beside_a_broken_catalogue(settings: Settings) -> None:
    assert settings.models is not None
    settings.models.write_text("models = 3\n")
    found = await said(settings)
    assert {"models", "model sketch", "model elsewhere"} <= set(found)


async def test_field_that_a_models_server_refuses_is_named_with_the_setting_that_leaves_it_out(
    settings: Settings,
) -> None:
    locks, worker_id = worker_locks(settings), new_id()
    locks.hold(worker_id)
    locks.tell(worker_id, Vitals(refused_fields=(("sketch", ("output_format", "size")),)).encoded())
    try:
        found = await said(settings)
    finally:
        locks.release(worker_id)
    told = (
        'fine: its server does not take output_format, size; the catalogue may say so: omit = ["output_format", "size"]'
    )
    assert told in found["model sketch"]


async def test_without_workers_there_is_nothing_to_tell(settings: Settings) -> None:
    assert (await said(settings))["model sketch"] == ["fine: generate, edit"]
