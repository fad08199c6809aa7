"""Commands that work on the images of a workspace."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import click
from google.protobuf.empty_pb2 import Empty

from limner.cli.pictures import Destination, read_picture, with_destination
from limner.cli.session import CallFailedError, with_client
from limner.cli.tables import Column, print_table
from limner.cli.text import json_option, note, print_facts, print_json, size_in_words, time_in_words
from limner.client import Client, Image, InvalidRequestError, LimnerClientError, NotFoundError, PermissionDeniedError

_MAX_PAGE_SIZE: Final = 200
_COLUMNS: Final = (
    Column("ID"),
    Column("CREATED"),
    Column("PIXELS"),
    Column("SIZE"),
    Column("BY", leaves=3),
    Column("MODEL", leaves=2),
    Column("PROMPT", leaves=1, least=16),
)
_OF_THE_IMAGE: Final = (InvalidRequestError, NotFoundError, PermissionDeniedError)
"""Why a call fails for one image while it may do for the next one."""


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@json_option
@with_client()
def upload(client: Client, files: Sequence[str], as_json: bool) -> None:
    """Keep pictures of your own.

    Prints the ids of the new images. A FILE is a PNG, JPEG or WebP picture of at most 20 MiB.
    """
    for name in files:
        image = client.upload(read_picture(name))
        if as_json:
            print_json(image)
        else:
            click.echo(image.id)


@click.command()
@click.option("--generation", default="", metavar="ID", help="Only the images of this generation.")
@click.option("--user", default="", metavar="ID", help="Only the images that this user made.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The most images.")
@click.option("--all", "everything", is_flag=True, help="All images, however many.")
@json_option
@with_client()
def ls(client: Client, generation: str, user: str, limit: int, everything: bool, as_json: bool) -> None:
    """List the images of the workspace, newest first."""
    most = None if everything else limit
    page_size = min(most or _MAX_PAGE_SIZE, _MAX_PAGE_SIZE)
    images = client.images(generation_id=generation, created_by_user_id=user, page_size=page_size)
    shown = itertools.islice(images, most)
    if as_json:
        for image in shown:
            print_json(image)
        return
    print_table(_COLUMNS, map(_row, shown))


@click.command()
@click.argument("image_ids", nargs=-1, required=True, metavar="IMAGE...")
@with_destination
@json_option
@with_client()
def get(client: Client, image_ids: Sequence[str], destination: Destination, as_json: bool) -> None:
    """Show images, or write them to files with -o."""
    destination.check(len(image_ids), as_json=as_json)
    for image_id in image_ids:
        paths = destination.write(client, [image_id]) if destination.given else []
        if as_json:
            print_json(client.image(image_id))
        elif destination.given:
            click.echo("".join(f"{path}\n" for path in paths), nl=False)
        else:
            print_facts(_facts(client.image(image_id)))


@click.command()
@click.argument("image_ids", nargs=-1, required=True, metavar="IMAGE...")
@json_option
@with_client()
def rm(client: Client, image_ids: Sequence[str], as_json: bool) -> None:
    """Delete images.

    Goes on when one can't be deleted, names it, and ends with 1.
    """
    failed: list[str] = []
    for image_id in image_ids:
        with _one_of(image_ids, image_id, failed):
            client.delete(image_id)
            if as_json:
                print_json(Empty())
    if failed:
        raise CallFailedError(f"{len(failed)} of {len(image_ids)} images were not deleted: {' '.join(failed)}")


@contextmanager
def _one_of(image_ids: Sequence[str], image_id: str, failed: list[str]) -> Iterator[None]:
    """Name the one of several images that a call fails for, instead of ending with it."""
    try:
        yield
    except LimnerClientError as error:
        if len(image_ids) == 1:
            raise
        if not isinstance(error, _OF_THE_IMAGE):
            note(f"{image_id} was not deleted, nor were those after it.")
            raise
        note(f"{image_id}: {error.message} ({error.reason or error.code.name}, request {error.request_id})")
        failed.append(image_id)


def _row(image: Image) -> tuple[str, ...]:
    return (
        image.id,
        time_in_words(image.created_at),
        _pixels(image),
        size_in_words(image.image_size),
        image.created_by_user_id,
        image.model,
        image.prompt,
    )


def _facts(image: Image) -> Iterator[tuple[str, str]]:
    yield "image", image.id
    yield "pixels", _pixels(image)
    yield "size", size_in_words(image.image_size)
    yield "created by", image.created_by_user_id
    yield "created", time_in_words(image.created_at)
    yield "generation", image.generation_id
    yield "model", image.model
    yield "prompt", image.prompt
    for name, value in image.parameters.items():
        yield name, f"{value:.15g}" if isinstance(value, float) else str(value)
    yield "inputs", " ".join(image.input_image_ids)
    yield "content", image.links.content


def _pixels(image: Image) -> str:
    return f"{image.image_width}x{image.image_height}"
