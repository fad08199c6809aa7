"""What may be in the quarantine, and what that does."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.quarantine import LIST, quarantined

ROOT = Path(__file__).resolve().parents[2]
FAILS = "def test_fails() -> None:\n    assert 1 == 2\n"


def test_nobody_is_in_it() -> None:
    assert quarantined(LIST.read_text().splitlines()) == {}


@pytest.mark.parametrize(
    "line", ["tests/purchase/test_crash.py::test_x  it fails", "tests/rest/test_fuzz.py::test_x", "tests/x.py::test_x "]
)
def test_no_purchase_and_nothing_without_a_reason_may_be_there(line: str) -> None:
    with pytest.raises(pytest.UsageError):
        quarantined([line])


@pytest.mark.parametrize(("listed", "code"), [("test_failing.py::test_fails", 0), ("test_failing.py::test_other", 1)])
def test_what_is_there_runs_and_is_shown_and_fails_nothing(tmp_path: Path, listed: str, code: int) -> None:
    (tmp_path / "test_failing.py").write_text(FAILS)
    (tmp_path / "conftest.py").write_text(
        "from tests.quarantine import put_in_quarantine, quarantined\n"
        "def pytest_collection_modifyitems(items):\n"
        f"    put_in_quarantine(items, quarantined(['{listed}  the cause is not known']))\n"
    )
    command = [sys.executable, "-m", "pytest", "-rx", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "."]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )

    assert done.returncode == code, done.stdout
    assert ("in quarantine: the cause is not known" in done.stdout) is (code == 0)
