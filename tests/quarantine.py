"""Tests that run, and whose failures are shown and counted, but fail nothing: see ``quarantine.txt``."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import pytest

LIST: Final = Path(__file__).with_name("quarantine.txt")
NEVER: Final = "tests/purchase/"


def quarantined(lines: Iterable[str]) -> dict[str, str]:
    """Return what is known of each test in the list, by its id. Raises ``pytest.UsageError`` for one never there."""
    listed = {}
    for line in lines:
        test, _, reason = line.strip().partition("  ")
        if not test or test.startswith("#"):
            continue
        if test.startswith(NEVER) or not reason.strip():
            raise pytest.UsageError(f"{LIST.name}: {test} may not be there, or without a reason")
        listed[test] = reason.strip()
    return listed


def put_in_quarantine(items: Iterable[pytest.Item], listed: Mapping[str, str]) -> None:
    """Let those of the tests that are listed fail nothing."""
    for item in items:
        # With parameters or without: `path::name` stands for all of them.
        reason = listed.get(item.nodeid) or listed.get(item.nodeid.partition("[")[0])
        if reason:
            item.add_marker(pytest.mark.xfail(reason=f"in quarantine: {reason}", strict=False))
