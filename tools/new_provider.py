"""``make new-provider NAME=acme``: an adapter's skeleton, with a fake of its vendor and a table test of its faults.

The skeleton is real code in ``tools/provider``, which is checked like all other; here it only gets its name.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SKELETON: Final = Path(__file__).resolve().parent / "provider"
FILES: Final = {
    "adapter.py": "src/limner/models/{}.py",
    "fake.py": "tests/fakes/{}.py",
    "contract.py": "tests/contract/test_{}.py",
}
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,19}")


def write_provider(name: str, root: Path) -> list[Path]:
    """Write the files below ``root`` and return them. Raises ``ValueError`` for a name that can't be, or is taken."""
    if not _NAME.fullmatch(name):
        raise ValueError("NAME must be of small letters, digits and underscores, such as acme or black_forest")
    targets = {SKELETON / source: root / target.format(name) for source, target in FILES.items()}
    taken = [path for path in (*targets.values(), root / f"src/limner/models/{name}") if path.exists()]
    if taken:
        raise ValueError(f"{taken[0].relative_to(root)} is there already")
    for source, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_renamed(source.read_text(), name))
    # The name decides where its imports stand, and where lines are broken.
    ruff = [sys.executable, "-m", "ruff"]
    for command in ([*ruff, "check", "--quiet", "--select", "I", "--fix"], [*ruff, "format", "--quiet"]):
        subprocess.run([*command, *targets.values()], cwd=root, check=True)
    return list(targets.values())


def _renamed(text: str, name: str) -> str:
    text = text.replace("tools.provider.adapter", f"limner.models.{name}")
    text = text.replace("tools.provider.fake", f"tests.fakes.{name}")
    for old, new in (("acme", name), ("ACME", name.upper()), ("Acme", name.title().replace("_", ""))):
        text = text.replace(old, new)
    return text


def main(name: str) -> None:
    """Write the files, and say what is left to do."""
    try:
        paths = write_provider(name, ROOT)
    except ValueError as error:
        sys.exit(str(error))
    print("Written:", *(f"  {path.relative_to(ROOT)}" for path in paths), sep="\n")
    print(f"""
It works against its fake:  .venv/bin/python -m pytest tests/contract/test_{name}.py
Left to do:
  1. the vendor's own words: the request, the answer, its prices and limits; the fake first, from its documentation
  2. `{name}` in ADAPTERS and its options in src/limner/catalogue/entries.py, a method in catalogue/factory.py
  3. a test of the fake by the vendor's own SDK (tests/fakes/test_openai_fake.py is one), and README's list of adapters
""")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
