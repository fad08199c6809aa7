"""Looks up known vulnerabilities of what a lock file pins: ``audit.py LOCK``, by pip-audit.

Ends with 0 when none is known, 1 when some are, and 2 when packages could not be looked up. By itself pip-audit
counts a package that the database does not answer for as one without vulnerabilities.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def main(lock: str) -> int:
    """Print what was found, and return the exit code."""
    command = [
        str(Path(sys.executable).with_name("pip-audit")),
        "--disable-pip",
        "--require-hashes",
        "--requirement",
        lock,
    ]
    run = subprocess.run(
        [*command, "--format=json", "--progress-spinner=off"], check=False, capture_output=True, text=True
    )
    try:
        packages: list[dict[str, Any]] = json.loads(run.stdout)["dependencies"]
    except (ValueError, KeyError):
        print("No database of vulnerabilities could be reached; nothing was looked up.", file=sys.stderr)
        print(run.stderr.strip(), file=sys.stderr)
        return 2
    return report(packages)


def report(packages: list[dict[str, Any]]) -> int:
    """Print what pip-audit says of each package, and return the exit code."""
    skipped = [each["name"] for each in packages if "skip_reason" in each]
    vulnerable = [each for each in packages if each.get("vulns")]
    for each in vulnerable:
        for found in each["vulns"]:
            mended = ", ".join(found["fix_versions"]) or "nothing yet"
            print(f"{each['name']} {each['version']}: {found['id']}, mended by {mended}")
    print(f"{len(packages) - len(skipped)} of {len(packages)} packages looked up, {len(vulnerable)} are vulnerable.")
    if skipped:
        print(f"Not looked up, since no database answered for them: {', '.join(skipped)}", file=sys.stderr)
    return 1 if vulnerable else 2 if skipped else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
