"""Commands that show what can be asked for and what was used."""

from typing import Final

import click

from limner.cli.session import with_client
from limner.cli.tables import Column, print_table
from limner.cli.text import json_option, print_json
from limner.client import Client, Model, Usage

_MODEL_COLUMNS: Final = (
    Column("MODEL"),
    Column("DOES"),
    Column("READY", least=12),
    Column("IMAGES", leaves=4),
    Column("INPUTS", leaves=3),
    Column("FACTORS"),
    Column("PRICE", leaves=1),
    Column("DEFAULT FOR", leaves=2),
    Column("DESCRIPTION", leaves=5, least=20),
)
_USAGE_COLUMNS: Final = (Column("USED"), Column("RESERVED"), Column("LIMIT"))


@click.command()
@json_option
@with_client(workspace_needed=False)
def models(client: Client, as_json: bool) -> None:
    """List the models and what they can do."""
    catalogue = client.models()
    if as_json:
        for model in catalogue:
            print_json(model)
        return
    print_table(_MODEL_COLUMNS, map(_row, catalogue))


@click.command()
@json_option
@with_client()
def usage(client: Client, as_json: bool) -> None:
    """Show what the workspace used this month."""
    used = client.usage()
    if as_json:
        print_json(used)
        return
    print_table((Column(used.month), *_USAGE_COLUMNS), (_images_row(used.images), _money_row(used.money)))


def _row(model: Model) -> tuple[str, ...]:
    return (
        model.id,
        ", ".join(model.operations),
        "yes" if model.ready else f"no: {model.unready_reason}",
        str(model.max_images),
        str(model.max_input_images),
        ", ".join(map(str, model.upscale_factors)),
        f"{model.price_usd:g} USD" if model.HasField("price_usd") else "unknown",
        ", ".join(model.default_for),
        model.description,
    )


def _images_row(images: Usage.Images) -> tuple[str, ...]:
    limit = str(images.limit) if images.HasField("limit") else "none"
    return ("images", str(images.used), str(images.reserved), limit)


def _money_row(money: Usage.Money) -> tuple[str, ...]:
    limit = f"{money.limit:.2f}" if money.HasField("limit") else "none"
    return (money.currency, f"{money.used:.2f}", f"{money.reserved:.2f}", limit)
