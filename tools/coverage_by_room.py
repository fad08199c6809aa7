"""Prints how much of each room ran, from coverage's JSON report: ``python tools/coverage_by_room.py report.json``."""

import json
import sys
from collections import defaultdict
from pathlib import Path, PurePosixPath


def room_of(file: str) -> str:
    """Return ``models/http`` for ``src/limner/models/http/client.py``, ``limner`` for its own modules."""
    _, package, *inner = PurePosixPath(file).parts
    folders = inner[:-1][:2]
    return "/".join(folders) if package == "limner" and folders else package


def main(report: Path) -> None:
    """Print a line for each room: statements, those that ran, and the files with the most that did not."""
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    missing: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for file, facts in json.loads(report.read_text())["files"].items():
        room, summary = room_of(file), facts["summary"]
        counts[room][0] += summary["num_statements"]
        counts[room][1] += summary["covered_lines"]
        missing[room].append((summary["missing_lines"], PurePosixPath(file).name))
    print(f"{'room':24} {'statements':>10} {'run':>7}   most missing")
    for room, (statements, covered) in sorted(counts.items()):
        worst = ", ".join(f"{name} {lines}" for lines, name in sorted(missing[room], reverse=True)[:3] if lines)
        print(f"{room:24} {statements:10} {covered / max(1, statements):7.1%}   {worst}")
    statements, covered = (sum(each[place] for each in counts.values()) for place in (0, 1))
    print(f"{'all':24} {statements:10} {covered / max(1, statements):7.1%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
