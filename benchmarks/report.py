"""What a measurement says, and the table at the end."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    what: str
    value: str
    note: str = ""
    aim: str = ""
    met: bool | None = None
    """Whether the aim is reached; ``None`` where there is none."""

    def __str__(self) -> str:
        return f"{self.what}: {self.value}" + (f"  ({self.note})" if self.note else "")


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one measurement."""

    title: str
    figures: Sequence[Figure]
    remarks: Sequence[str] = ()


def measured(name: str) -> Section:
    """Run the measurement of a module."""
    measure: Callable[[], Section] = importlib.import_module(f"benchmarks.{name}").measure
    return measure()


def table(sections: Sequence[Section]) -> str:
    """Return all figures, in columns."""
    rows = [(each.what, each.value, each.note, each.aim, _verdict(each)) for part in sections for each in part.figures]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    return "\n".join(line for section in sections for line in _lines(section, widths))


def _lines(section: Section, widths: Sequence[int]) -> list[str]:
    lines = ["", section.title, "-" * len(section.title)]
    for each in section.figures:
        cells = (each.what.ljust(widths[0]), each.value.rjust(widths[1]), each.note.ljust(widths[2]))
        lines.append("  ".join((*cells, each.aim.ljust(widths[3]), _verdict(each))).rstrip())
    return [*lines, *(f"  {remark}" for remark in section.remarks)]


def _verdict(figure: Figure) -> str:
    return "" if figure.met is None else "met" if figure.met else "MISSED"
