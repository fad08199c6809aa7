"""All that is kept of one generation, for operators: by id alone, whatever the workspace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, select

from limner.persistence.tables import generations, idempotency_keys, images, submissions, webhook_deliveries

Record = Mapping[str, Any]
"""A row by the names of its columns. Prompts are not read."""


@dataclass(frozen=True, slots=True)
class History:
    """The rows of a generation, each kind in its order."""

    generation: Record
    submissions: Sequence[Record]
    images: Sequence[Record]
    """Deleted ones too."""
    deliveries: Sequence[Record]
    keys: Sequence[Record]


def history(connection: Connection, generation_id: str) -> History | None:
    """Return what is kept of a generation; ``None`` when there is no such."""

    def rows(table: Table, of: Column[Any], *order: Column[Any]) -> Sequence[Record]:
        wanted = [column for column in table.c if column.name not in ("prompt", "fingerprint", "task")]
        found = connection.execute(select(*wanted).where(of == generation_id).order_by(*order))
        return [row._asdict() for row in found]

    found = rows(generations, generations.c.id)
    if not found:
        return None
    return History(
        found[0],
        rows(submissions, submissions.c.generation_id, submissions.c.number),
        rows(images, images.c.generation_id, images.c.position),
        rows(webhook_deliveries, webhook_deliveries.c.generation_id, webhook_deliveries.c.id),
        rows(idempotency_keys, idempotency_keys.c.generation_id),
    )
