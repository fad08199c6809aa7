"""What the look at vulnerabilities answers: silence of the database is not a clean bill."""

import pytest

from tools.audit import report

CLEAN = {"name": "pillow", "version": "13.0", "vulns": []}
VULNERABLE = {"name": "click", "version": "8.3", "vulns": [{"id": "PYSEC-1", "fix_versions": ["8.4"]}]}
SILENT = {"name": "rich", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code"),
    [([CLEAN], 0), ([CLEAN, VULNERABLE], 1), ([CLEAN, SILENT], 2), ([SILENT], 2), ([VULNERABLE, SILENT], 1)],
)
def test_the_exit_code_tells_clean_vulnerable_and_unknown_apart(packages: list[dict[str, object]], code: int) -> None:
    assert report(packages) == code


def test_what_is_vulnerable_and_what_was_not_looked_up_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    report([CLEAN, VULNERABLE, SILENT])
    told = capsys.readouterr()
    assert "click 8.3: PYSEC-1, mended by 8.4" in told.out
    assert "2 of 3 packages looked up, 1 are vulnerable" in told.out
    assert "rich" in told.err and "pillow" not in told.err
