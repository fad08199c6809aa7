"""What an operator reads of a generation, beside the service."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from limner.domain.identifiers import new_id
from limner.domain.task import Failure, Generation, GenerationState, Operation
from limner.persistence.repository import SqlRepository
from limner.service.ports import Claim
from tests.real_parts.databases import migrated_sqlite
from tests.starts import start_of
from tests.unit.cli.conftest import Limner

NOW = datetime(2026, 11, 23, 12, 30, 15, 123456, tzinfo=UTC)
PROMPT = "a very secret cat"


@pytest.fixture
async def generation(tmp_path: Path) -> Generation:
    """One that was bought twice over, once in vain, and ended as nobody knows."""
    repository = SqlRepository(migrated_sqlite(tmp_path))
    running = Generation(
        id=new_id(),
        workspace_id="acme",
        created_by_user_id="ada",
        operation=Operation.GENERATE,
        model="gpt-image-2",
        prompt=PROMPT,
        requested_images=2,
        created_at=NOW,
        updated_at=NOW,
    )
    claim = Claim(key="invoice-7", fingerprint="same")
    await repository.start_generation(start_of(running, "worker", NOW + timedelta(minutes=1), claim=claim))
    await repository.add_submission(running.id, "worker", 0, (0, 1), "gpt-image-2")
    await repository.void_submission(running.id, 0)
    await repository.add_submission(running.id, "worker", 1, (0, 1), "flux-2")
    await repository.accept_submission(running.id, 1, "job-4711")
    failure = Failure(reason="PROVIDER_UNAVAILABLE", message="No.", metadata={"outcome": "unknown"})
    ended = replace(running, state=GenerationState.UNKNOWN, failure=failure, updated_at=NOW + timedelta(seconds=9))
    assert await repository.finish_generation(ended, 0, notify=True)
    await repository.close()
    return ended


def test_a_history_tells_each_purchase_and_the_end_and_no_prompt(
    limner: Limner, tmp_path: Path, generation: Generation
) -> None:
    result = limner("show", generation.id, "--history", env={"LIMNER_DATA_DIR": str(tmp_path), "LIMNER_WORKSPACE": ""})

    assert result.exit_code == 0, result.output
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    facts = {name: value for name, value in lines if name not in ("purchase", "image")}
    assert [value for name, value in lines if name == "purchase"] == [
        "0  pictures 0, 1 of gpt-image-2: surely nothing bought",
        "1  pictures 0, 1 of flux-2: job-4711",
    ]
    assert facts["workspace"] == "acme, by ada"
    assert facts["key"].startswith("invoice-7, claimed ")
    assert facts["planned"] == "2026-11-23T12:30:15.123+00:00: generate of 2 by gpt-image-2"
    assert facts["state"] == "unknown since 2026-11-23T12:30:24.123+00:00"
    assert facts["why"] == "PROVIDER_UNAVAILABLE {'outcome': 'unknown'}"
    assert facts["webhook"].startswith("0 attempts, next ")
    assert PROMPT not in result.output


def test_what_is_not_there_is_told_in_a_line(limner: Limner, tmp_path: Path, generation: Generation) -> None:
    result = limner("show", "0" * 32, "--history", env={"LIMNER_DATA_DIR": str(tmp_path)})

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1


def test_a_database_without_a_schema_is_told_in_a_line(limner: Limner, tmp_path: Path) -> None:
    result = limner("show", "0" * 32, "--history", env={"LIMNER_DATA_DIR": str(tmp_path)})

    assert (result.exit_code, result.stdout) == (1, "")
    assert "Traceback" not in result.stderr


def test_without_a_history_a_workspace_is_needed(limner: Limner) -> None:
    assert limner("show", "0" * 32, env={"LIMNER_WORKSPACE": ""}).exit_code == 2
