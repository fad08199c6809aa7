"""What no file of the project may hold."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "the name of a registry": re.compile(
        r"\b(pypi\.org|pythonhosted\.org|registry\.npmjs\.org|index\.docker\.io|ghcr\.io)\b"
    ),
    "a path of some machine": re.compile(r"(?<![\w.~<>{}$-])/(work|root|home/\w+|Users/\w+|tmp/\w+)/"),
    "a private key": re.compile("-----BEGIN [A-Z ]*PRIVATE " + "KEY-----"),
}
SUFFIXES = {".py", ".lua", ".proto", ".toml", ".yaml", ".md", ".lock", ".ini", ".mako", ".pyi", ""}


def tracked() -> list[Path]:
    """The files of the project, those that are not committed yet among them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    paths = (ROOT / name for name in listed.stdout.splitlines())
    return [path for path in paths if path.suffix in SUFFIXES and path.is_file() and path != Path(__file__)]


@pytest.mark.parametrize("name", FORBIDDEN)
def test_no_file_holds(name: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        for match in FORBIDDEN[name].finditer(path.read_text(errors="replace"))
    ]

    assert found == []
