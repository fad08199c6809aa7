"""Lists the licences of the packages that a lock file names: ``licences.py LOCK PYTHON``, as a Markdown table.

Asks the environment of ``PYTHON`` what its packages say of themselves, by pip-licenses, and ends with 1 where one
says nothing.
"""

import json
import re
import subprocess
import sys
from pathlib import Path


def main(lock: Path, python: str) -> int:
    """Print the table, and return the exit code."""
    wanted = {
        _normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", lock.read_text(), re.MULTILINE)
    }
    command = [str(Path(sys.executable).with_name("pip-licenses")), f"--python={python}", "--from=all", "--format=json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    packages = [each for each in told if _normal(each["Name"]) in wanted]
    print("| package | version | licence |\n|---|---|---|")
    for each in packages:
        print(f"| {each['Name']} | {each['Version']} | {_licence(each) or '**unknown**'} |")
    silent = [each["Name"] for each in packages if not _licence(each)]
    if silent:
        print(f"no licence is told by {', '.join(silent)}", file=sys.stderr)
    return 1 if silent else 0


def _licence(package: dict[str, str]) -> str:
    """Return the expression of the newest kind of metadata that has one."""
    kinds = ("License-Expression", "License-Classifier", "License-Metadata")
    found = next((package[kind] for kind in kinds if package.get(kind, "UNKNOWN") not in ("UNKNOWN", "")), "")
    return found.splitlines()[0].strip() if found else ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
