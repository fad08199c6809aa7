"""Tables: for people whole where it matters, for pipes plain columns."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from limner.cli.text import one_line

_GAP: Final = 2
"""Spaces between columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    header: str
    leaves: int = 0
    """On a narrow terminal the columns with the largest number leave first; those with 0 stay."""
    least: int | None = None
    """Free text may be cut to so many characters; ``None`` for what is never cut: ids, names, figures."""


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print rows: a table on a terminal, else lines with tabs between the columns and no headers.

    What is wider than the terminal loses free text and columns that matter least. Ids and names are never cut: rather
    a line is longer than the terminal.
    """
    cells = [[one_line(cell) for cell in row] for row in rows] if sys.stdout.isatty() else rows
    if sys.stdout.isatty():
        _print_rich_table(columns, [list(row) for row in cells], shutil.get_terminal_size().columns)
        return
    for row in cells:
        click.echo("\t".join(map(one_line, row)))


def shown_columns(columns: Sequence[Column], widest: Sequence[int], width: int) -> list[int]:
    """Return the places of the columns that fit into a width, given how wide the widest cell of each is."""
    shown = list(range(len(columns)))
    while _least_width(columns, widest, shown) > width:
        going = max(shown, key=lambda place: columns[place].leaves)
        if not columns[going].leaves:
            break
        shown.remove(going)
    return shown


def column_widths(columns: Sequence[Column], widest: Sequence[int], shown: Sequence[int], width: int) -> list[int]:
    """Return how wide each shown column is: whole where it matters, and what is left for free text."""
    spare = max(width - _least_width(columns, widest, shown), 0)
    widths = []
    for place in shown:
        least = min(widest[place], columns[place].least or widest[place])
        more = min(widest[place] - least, spare)
        spare -= more
        widths.append(least + more)
    return widths


def _least_width(columns: Sequence[Column], widest: Sequence[int], shown: Sequence[int]) -> int:
    least = (min(widest[place], columns[place].least or widest[place]) for place in shown)
    return sum(least) + _GAP * (len(shown) - 1)


def _print_rich_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> None:
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    widest = [max(map(cell_len, cells)) for cells in zip([each.header for each in columns], *rows, strict=True)]
    shown = shown_columns(columns, widest, width)
    table: Any = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for place, column_width in zip(shown, column_widths(columns, widest, shown, width), strict=True):
        table.add_column(columns[place].header, overflow="ellipsis", no_wrap=True, width=column_width)
    for row in rows:
        table.add_row(*(Text(row[place]) for place in shown))
    Console(width=max(width, _least_width(columns, widest, shown)) + _GAP).print(table, crop=False)
