"""What changes facts: each a ``Write``, for as many items as wait, in a running transaction."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, Text, bindparam, exists, insert, or_, select, text, update

from limner.domain.errors import ImageNotFoundError
from limner.domain.image import Image
from limner.domain.task import Generation
from limner.persistence.rows import generation_row, image_row, outcome_row
from limner.persistence.tables import awaiting_purge, generation_inputs, generations, images, live, running


@dataclass(frozen=True, slots=True)
class Start:
    """A generation that begins, and the worker that it is leased to."""

    generation: Generation
    worker_id: str
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Finish:
    """A generation in its final state, and what its images cost."""

    generation: Generation
    cost_micros: int


@dataclass(frozen=True, slots=True)
class Deletion:
    """An image to delete, and the moment."""

    workspace_id: str
    image_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Renewal:
    """A worker that is alive, and how long its leases shall last."""

    worker_id: str
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Purge:
    """Images whose bytes are gone, and the moment."""

    image_ids: Sequence[str]
    at: datetime


# Statements are built once: a statement that was seen before is compiled and keyed already.
_insert_images = insert(images)
_insert_generations = insert(generations)
_insert_inputs = insert(generation_inputs)

# The locks last until the commit. Shared: an image may start many generations at once, but is not deleted meanwhile.
_hold_images = (
    select(images.c.id, images.c.workspace_id)
    .where(images.c.id.in_(bindparam("ids", expanding=True)), live)
    .order_by(images.c.id)
    .with_for_update(read=True)
)
_hold_running = (
    select(generations.c.id)
    .where(generations.c.id.in_(bindparam("ids", expanding=True)), running)
    .order_by(generations.c.id)
    .with_for_update()
)
# What is set is what each row brings along: see ``outcome_row``.
_finish_generations = update(generations).where(generations.c.id == bindparam("finished_id"), running)
# In words, because both databases understand them, while each dialect of SQLAlchemy has an insert of its own.
_add_usage = text(
    "INSERT INTO usage_months (workspace_id, month, images, cost_micros)"
    " VALUES (:workspace_id, :month, :images, :cost_micros)"
    " ON CONFLICT (workspace_id, month) DO UPDATE SET"
    " images = usage_months.images + excluded.images, cost_micros = usage_months.cost_micros + excluded.cost_micros"
).bindparams(
    bindparam("workspace_id", type_=Text),
    bindparam("month", type_=Text),
    bindparam("images", type_=Integer),
    bindparam("cost_micros", type_=BigInteger),
)
_record_provider_job = (
    update(generations).where(generations.c.id == bindparam("of")).values(provider_job_id=bindparam("provider_job_id"))
)
_renew_leases = (
    update(generations)
    .where(generations.c.worker_id == bindparam("of"), running)
    .values(lease_until=bindparam("lease_until"))
)
_delete_image = (
    update(images)
    .where(images.c.id == bindparam("image_id"), images.c.workspace_id == bindparam("in_workspace"), live)
    .values(deleted_at=bindparam("deleted_at"))
    .returning(images.c.generation_id)
)
_mark_purged = (
    update(images).where(images.c.id == bindparam("image_id"), awaiting_purge).values(purged_at=bindparam("purged_at"))
)

_made = images.alias("made")
holding = or_(running, exists().where(_made.c.generation_id == generations.c.id, _made.c.deleted_at.is_(None)))
"""Says of a generation that it needs the bytes of its inputs: it runs, or shows an image that it made."""

unneeded = awaiting_purge & ~exists().where(
    generation_inputs.c.image_id == images.c.id, generation_inputs.c.generation_id == generations.c.id, holding
)
"""Says of an image that it is deleted, nothing needs its bytes, and they were not purged yet."""

_unneeded_after_deletion = (
    select(images.c.id)
    .where(
        or_(
            images.c.id == bindparam("image_id"),
            images.c.id.in_(
                select(generation_inputs.c.image_id).where(
                    generation_inputs.c.generation_id == bindparam("generation_id")
                )
            ),
        ),
        unneeded,
    )
    .order_by(images.c.id)
)


def add_images(connection: Connection, uploads: Sequence[Image]) -> Sequence[None]:
    """Keep uploaded images."""
    connection.execute(_insert_images, [image_row(image) for image in uploads])
    return [None] * len(uploads)


def start_generations(connection: Connection, starts: Sequence[Start]) -> Sequence[ImageNotFoundError | None]:
    """Keep running generations, apart from those whose inputs are not all there any longer."""
    missing = _missing_inputs(connection, starts)
    started = [start for start in starts if start.generation.id not in missing]
    _insert(connection, _insert_generations, [_start_row(start) for start in started])
    _insert(connection, _insert_inputs, [row for start in started for row in _input_rows(start.generation)])
    return [ImageNotFoundError() if start.generation.id in missing else None for start in starts]


def finish_generations(connection: Connection, finishes: Sequence[Finish]) -> Sequence[bool]:
    """Keep final states, images and usage of those that still run; tell which did."""
    ids = [finish.generation.id for finish in finishes]
    still_running = set(connection.scalars(_hold_running, {"ids": ids}))
    verdicts = []
    for each in ids:
        verdicts.append(each in still_running)
        still_running.discard(each)  # of two that end the same generation, the first wins
    kept = [finish for finish, verdict in zip(finishes, verdicts, strict=True) if verdict]
    _insert(connection, _finish_generations, [_finish_row(finish.generation) for finish in kept])
    _insert(connection, _insert_images, [row for finish in kept for row in _image_rows(finish.generation)])
    _insert(connection, _add_usage, _usage_rows(kept))
    return verdicts


def record_provider_jobs(connection: Connection, jobs: Sequence[tuple[str, str]]) -> Sequence[None]:
    """Keep the ids by which providers know generations: pairs of our id and theirs."""
    connection.execute(_record_provider_job, [{"of": ours, "provider_job_id": theirs} for ours, theirs in jobs])
    return [None] * len(jobs)


def renew_leases(connection: Connection, renewals: Sequence[Renewal]) -> Sequence[None]:
    """Lease the running generations of workers for longer."""
    rows = [{"of": renewal.worker_id, "lease_until": renewal.lease_until} for renewal in renewals]
    connection.execute(_renew_leases, rows)
    return [None] * len(renewals)


def delete_images(connection: Connection, deletions: Sequence[Deletion]) -> Sequence[tuple[str, ...]]:
    """Delete images; return, for each, the ids of all whose bytes nothing needs any longer."""
    return [_delete(connection, deletion) for deletion in deletions]


def mark_purged(connection: Connection, purges: Sequence[Purge]) -> Sequence[None]:
    """Note that bytes are gone. Of images that are not deleted nothing is noted."""
    rows = [{"image_id": image_id, "purged_at": purge.at} for purge in purges for image_id in purge.image_ids]
    _insert(connection, _mark_purged, rows)
    return [None] * len(purges)


def _insert(connection: Connection, statement: Any, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


def _missing_inputs(connection: Connection, starts: Sequence[Start]) -> set[str]:
    """Return the ids of the generations that can't start; the images of the others stay until the commit."""
    wanted = {image_id for start in starts for image_id in start.generation.input_image_ids}
    if not wanted:
        return set()
    found = {(row.id, row.workspace_id) for row in connection.execute(_hold_images, {"ids": sorted(wanted)})}
    return {start.generation.id for start in starts if not _input_keys(start.generation) <= found}


def _input_keys(generation: Generation) -> set[tuple[str, str]]:
    return {(image_id, generation.workspace_id) for image_id in generation.input_image_ids}


def _start_row(start: Start) -> dict[str, Any]:
    row = generation_row(start.generation)
    row["worker_id"] = start.worker_id
    row["lease_until"] = start.lease_until
    return row


def _input_rows(generation: Generation) -> Iterable[dict[str, Any]]:
    for position, image_id in enumerate(generation.input_image_ids):
        yield {"generation_id": generation.id, "position": position, "image_id": image_id}


def _finish_row(generation: Generation) -> dict[str, Any]:
    row = outcome_row(generation)
    row["finished_id"] = generation.id
    return row


def _image_rows(generation: Generation) -> Iterable[dict[str, Any]]:
    for position, image in enumerate(generation.images):
        yield image_row(image, position)


def _usage_rows(finishes: Sequence[Finish]) -> list[dict[str, Any]]:
    """Return one row per workspace and month, sorted, so that two processes never wait for each other in a circle."""
    made: Counter[tuple[str, str]] = Counter()
    cost: Counter[tuple[str, str]] = Counter()
    for finish in finishes:
        key = finish.generation.workspace_id, month_of(finish.generation.updated_at)
        made[key] += len(finish.generation.images)
        cost[key] += finish.cost_micros
    return [
        {"workspace_id": key[0], "month": key[1], "images": made[key], "cost_micros": cost[key]}
        for key in sorted(made)
        if made[key] or cost[key]
    ]


def month_of(moment: datetime) -> str:
    """Return the month that usage of this moment counts for, such as ``2026-11`` (UTC)."""
    utc = moment.astimezone(UTC)
    return f"{utc.year:04}-{utc.month:02}"


def _delete(connection: Connection, deletion: Deletion) -> tuple[str, ...]:
    key = {"image_id": deletion.image_id, "in_workspace": deletion.workspace_id, "deleted_at": deletion.at}
    deleted = connection.execute(_delete_image, key).one_or_none()
    if deleted is None:
        return ()
    affected = {"image_id": deletion.image_id, "generation_id": deleted.generation_id}
    return tuple(connection.scalars(_unneeded_after_deletion, affected))
