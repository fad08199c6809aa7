"""What `make new-provider` writes passes what CI checks: style, types, and its own tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.new_provider import ROOT, write_provider


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the checks look at."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("src", "generated", "tests", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "icons.zip"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def checked(project: Path, *command: object) -> None:
    paths = os.pathsep.join(str(project / name) for name in ("src", "generated"))
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_provider_passes_style_types_and_its_own_tests(project: Path) -> None:
    written = write_provider("zebra", project)

    assert [str(path.relative_to(project)) for path in written] == [
        "src/limner/models/zebra.py",
        "tests/fakes/zebra.py",
        "tests/contract/test_zebra.py",
    ]
    checked(project, "ruff", "check", *written)
    checked(project, "ruff", "format", "--check", *written)
    checked(project, "mypy", "--cache-dir", ROOT / ".mypy_cache", *written)
    checked(project, "pytest", "-q", "-p", "no:cacheprovider", written[-1])


def test_a_long_name_keeps_to_the_style(project: Path) -> None:
    written = write_provider("zebra_image_maker_20", project)
    checked(project, "ruff", "check", *written)
    checked(project, "ruff", "format", "--check", *written)


@pytest.mark.parametrize(
    ("name", "why"), [("", "NAME"), ("Acme", "NAME"), ("a-b", "NAME"), ("fal", "there already"), ("sketch", "there al")]
)
def test_a_name_that_can_not_be_or_is_taken_is_refused(project: Path, name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        write_provider(name, project)
