"""What commands print: JSON for scripts, names and values for people."""

import json
from collections.abc import Iterable
from typing import Any, Final

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document per result, as REST does.")


def print_json(message: Message) -> None:
    """Print an answer on one line in the form that REST has."""
    document = MessageToDict(message, always_print_fields_with_no_presence=True)
    click.echo(json.dumps(_whole_numbers(document)))


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print names and values, a line each."""
    known = [(name, one_line(value)) for name, value in facts if value]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        click.echo(f"{name:<{width}}  {value}")


def note(text: str) -> None:
    """Tell the user something that is no result."""
    click.echo(one_line(text), err=True)


def one_line(text: str) -> str:
    """Return the text on one line, without the control characters that could steer a terminal."""
    words = " ".join(text.split())
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in words)


def size_in_words(size_bytes: int) -> str:
    """Return a size such as ``312 KiB``."""
    if size_bytes < _KIB:
        return f"{size_bytes} B"
    return f"{size_bytes / _KIB:.0f} KiB" if size_bytes < _MIB else f"{size_bytes / _MIB:.1f} MiB"


def time_in_words(at: Timestamp) -> str:
    """Return a time such as ``2026-11-23 06:43:00Z``."""
    return f"{at.ToDatetime():%Y-%m-%d %H:%M:%SZ}"


def _whole_numbers(value: Any) -> Any:
    """Return the value with ``1`` for ``1.0``, as REST prints the numbers of a ``Struct``."""
    if isinstance(value, dict):
        return {name: _whole_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
