"""The marks of a file, without any service."""

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import click

from limner.cli.pictures import read_picture
from limner.cli.session import CallFailedError
from limner.cli.text import json_option, one_line, print_json

if TYPE_CHECKING:
    from limner.domain.provenance import Mark, Provenance
    from limner.service.marks import Marks


@click.command()
@click.argument("file", metavar="FILE")
@json_option
def verify(file: str, as_json: bool) -> None:
    """Tell the marks of a file: who signed it, and how it came to be.

    Needs no service and asks nobody. A certificate is trusted when LIMNER_C2PA_TRUST_ANCHORS has one that vouches
    for it.
    """
    data = read_picture(file)
    from limner.service.marks import UnreadableMarksError

    with closing(_marks()) as marks:
        try:
            found = asyncio.run(marks.read(data))
        except UnreadableMarksError as error:
            raise CallFailedError(one_line(f"{file}: {error}")) from error
    if as_json:
        from limner.rpc.provenance import provenance_message

        print_json(provenance_message(found))
    else:
        _print(found)


def _marks() -> "Marks":
    from limner.app import picture_marks
    from limner.settings import Settings, SettingsError

    try:
        marks = picture_marks(Settings.read())
    except SettingsError as error:
        raise click.UsageError("\n".join(error.faults)) from error
    if marks is None:
        raise CallFailedError("Marks can't be looked at: install limner[provenance].")
    return marks


def _print(found: "Provenance") -> None:
    for mark in found.marks:
        click.echo(f"{mark.kind}: {mark.state}{_who(mark)}")
        if mark.time:
            click.echo(f"  signed: {mark.time:%Y-%m-%d %H:%M:%S} UTC")
        if mark.actions:
            click.echo(f"  actions: {', '.join(mark.actions)}")
        for ingredient in mark.ingredients:
            click.echo(f"  made from: {one_line(ingredient.title)} ({ingredient.state})")
        for problem in mark.problems:
            click.echo(f"  note: {one_line(problem)}")
    click.echo(f"source type: {found.source_type}")


def _who(mark: "Mark") -> str:
    names = [text for text in (one_line(mark.generator), one_line(mark.issuer)) if text]
    return f", by {', '.join(names)}" if names else ""
