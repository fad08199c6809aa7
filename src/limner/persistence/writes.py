"""What changes facts: each a ``Write``, for as many items as wait, in a running transaction."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Row,
    Text,
    bindparam,
    delete,
    exists,
    insert,
    or_,
    select,
    text,
    update,
)

from limner.domain.errors import ImageNotFoundError, LimnerError, QuotaExceededError
from limner.domain.identifiers import new_id
from limner.domain.image import Image, Retention
from limner.domain.task import Generation, GenerationState
from limner.domain.usage import Quota
from limner.persistence.admission import claim_keys, grant_images, month_of, release_keys
from limner.persistence.rows import generation_row, image_row, outcome_row, plan_row, unfinished_from
from limner.persistence.tables import (
    awaiting_purge,
    generation_inputs,
    generations,
    idempotency_keys,
    images,
    live,
    marks,
    running,
    submissions,
    unsettled,
    webhook_deliveries,
    workspace_quotas,
    workspace_retentions,
)
from limner.service.ports import LeaseLostError, Start, Started, Unfinished


@dataclass(frozen=True, slots=True)
class Finish:
    """A generation in its final state, and what its images cost."""

    generation: Generation
    cost_micros: int
    worker_id: str = ""
    """Who must hold the generation, if it runs; empty for anybody."""
    notify: bool = False
    """Whether a webhook delivery is kept along."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """An image to delete, and the moment."""

    workspace_id: str
    image_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Purchase:
    """A request that may cost money, and which worker is about to make it."""

    generation_id: str
    worker_id: str
    number: int
    indexes: Sequence[int]
    model_id: str


@dataclass(frozen=True, slots=True)
class Renewal:
    """A worker that is alive, what it works on, and how long its leases shall last."""

    worker_id: str
    generation_ids: Sequence[str]
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A worker that looks for work that dead workers left behind."""

    worker_id: str
    now: datetime
    lease_until: datetime
    limit: int


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
_hold_unsettled = (
    select(generations.c.id, generations.c.state, generations.c.worker_id)
    .where(generations.c.id.in_(bindparam("ids", expanding=True)), unsettled)
    .order_by(generations.c.id)
    .with_for_update()
)
# What is set is what each row brings along: see ``outcome_row``.
_finish_generations = update(generations).where(generations.c.id == bindparam("finished_id"), unsettled)
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
# Shared, so that nobody takes the generation over before the purchase is kept. A row for each purchase made before.
_hold_leases = (
    select(generations.c.id, generations.c.worker_id, submissions.c.number)
    .outerjoin(submissions, submissions.c.generation_id == generations.c.id)
    .where(generations.c.id.in_(bindparam("ids", expanding=True)), running)
    .order_by(generations.c.id)
    .with_for_update(read=True, of=generations)
)
_add_submissions = insert(submissions)
_accept_submission = (
    update(submissions)
    .where(submissions.c.generation_id == bindparam("of"), submissions.c.number == bindparam("nth"))
    .values(provider_job_id=bindparam("provider_job_id"))
)
_void_submission = (
    update(submissions)
    .where(submissions.c.generation_id == bindparam("of"), submissions.c.number == bindparam("nth"))
    .values(void=True)
)
_add_deliveries = insert(webhook_deliveries)
_request_cancel = (
    update(generations)
    .where(generations.c.id == bindparam("of"), generations.c.workspace_id == bindparam("in_workspace"), running)
    .values(cancel_requested=True)
)
_end_leases = (
    update(generations)
    .where(generations.c.worker_id == bindparam("of"), running)
    .values(lease_until=bindparam("lease_until"))
)
_hold_lapsed = (
    select(generations.c.id)
    .where(running, generations.c.lease_until < bindparam("now"))
    .order_by(generations.c.lease_until, generations.c.id)
    .limit(bindparam("at_most"))
    .with_for_update(skip_locked=True)
)
_take_over = (
    update(generations)
    .where(generations.c.id == bindparam("of"))
    .values(worker_id=bindparam("to"), lease_until=bindparam("lease_until"))
)
_generations = select(generations).where(generations.c.id.in_(bindparam("ids", expanding=True)))
_submissions_of = (
    select(submissions)
    .where(submissions.c.generation_id.in_(bindparam("ids", expanding=True)))
    .order_by(submissions.c.number)
)
_inputs_of = (
    select(images, generation_inputs.c.generation_id.label("started_id"))
    .join(generation_inputs, generation_inputs.c.image_id == images.c.id)
    .where(generation_inputs.c.generation_id.in_(bindparam("ids", expanding=True)))
    .order_by(generation_inputs.c.position)
)
_begin_mark = text("INSERT INTO marks (name, value) VALUES (:name, '') ON CONFLICT (name) DO NOTHING").bindparams(
    bindparam("name", type_=Text)
)
_move_mark = (
    update(marks)
    .where(marks.c.name == bindparam("of"), marks.c.value == bindparam("old"))
    .values(value=bindparam("new"))
)
_forget_keys = delete(idempotency_keys).where(idempotency_keys.c.claimed_at < bindparam("before"))
_remove_quota = delete(workspace_quotas).where(workspace_quotas.c.workspace_id == bindparam("of"))
_insert_quota = insert(workspace_quotas)
_remove_retention = delete(workspace_retentions).where(workspace_retentions.c.workspace_id == bindparam("of"))
_insert_retention = insert(workspace_retentions)
_renew_leases = (
    update(generations)
    .where(
        generations.c.worker_id == bindparam("of"),
        generations.c.id.in_(bindparam("ids", expanding=True)),
        running,
    )
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


def start_generations(connection: Connection, starts: Sequence[Start]) -> Sequence[Started | LimnerError]:
    """Keep running generations: those whose inputs are there, whose key is theirs, and that the quota allows."""
    verdicts: dict[str, Started | LimnerError] = {
        generation_id: ImageNotFoundError() for generation_id in _missing_inputs(connection, starts)
    }
    verdicts |= claim_keys(connection, [start for start in starts if start.generation.id not in verdicts])
    granted = grant_images(connection, [start for start in starts if start.generation.id not in verdicts])
    refused = [start for start in starts if granted.get(start.generation.id) == 0]
    release_keys(connection, refused)
    verdicts |= {start.generation.id: QuotaExceededError() for start in refused}
    for generation_id, verdict in tuple(verdicts.items()):
        if isinstance(verdict, Started) and granted.get(verdict.generation_id) == 0:
            verdicts[generation_id] = QuotaExceededError()  # joined one that is refused
    started = [start for start in starts if start.generation.id not in verdicts]
    _insert(connection, _insert_generations, [_start_row(start, granted[start.generation.id]) for start in started])
    _insert(connection, _insert_inputs, [row for start in started for row in _input_rows(start.generation)])
    for start in started:
        images_granted = granted[start.generation.id]
        verdicts[start.generation.id] = Started(generation_id=start.generation.id, granted_images=images_granted)
    return [verdicts[start.generation.id] for start in starts]


def finish_generations(connection: Connection, finishes: Sequence[Finish]) -> Sequence[bool]:
    """Keep final states, images and usage of those that may still end; tell which did."""
    ids = [finish.generation.id for finish in finishes]
    unsettled_rows = {row.id: row for row in connection.execute(_hold_unsettled, {"ids": ids})}
    verdicts = []
    for finish in finishes:
        verdicts.append(_may_end(finish, unsettled_rows.get(finish.generation.id)))
        if verdicts[-1]:
            del unsettled_rows[finish.generation.id]  # of two that end the same generation, the first wins
    kept = [finish for finish, verdict in zip(finishes, verdicts, strict=True) if verdict]
    _insert(connection, _finish_generations, [_finish_row(finish.generation) for finish in kept])
    _insert(connection, _insert_images, [row for finish in kept for row in _image_rows(finish.generation)])
    _insert(connection, _add_usage, _usage_rows(kept))
    _insert(connection, _add_deliveries, [_delivery_row(finish.generation) for finish in kept if finish.notify])
    return verdicts


def add_submissions(connection: Connection, purchases: Sequence[Purchase]) -> Sequence[LeaseLostError | None]:
    """Keep purchases that are about to be made by those who may make them."""
    ids = {"ids": sorted({each.generation_id for each in purchases})}
    rows = connection.execute(_hold_leases, ids).all()
    holders = {row.id: row.worker_id for row in rows}
    made = {(row.id, row.number) for row in rows}
    allowed = [
        each
        for each in purchases
        if holders.get(each.generation_id) == each.worker_id and (each.generation_id, each.number) not in made
    ]
    _insert(connection, _add_submissions, [_submission_row(each) for each in allowed])
    return [None if each in allowed else LeaseLostError() for each in purchases]


def accept_submissions(connection: Connection, accepted: Sequence[tuple[str, int, str]]) -> Sequence[None]:
    """Keep the ids by which providers know purchases: generation, number, their id."""
    rows = [{"of": of, "nth": number, "provider_job_id": job_id} for of, number, job_id in accepted]
    connection.execute(_accept_submission, rows)
    return [None] * len(accepted)


def void_submissions(connection: Connection, voided: Sequence[tuple[str, int]]) -> Sequence[None]:
    """Keep that purchases were surely not made: generation, number."""
    connection.execute(_void_submission, [{"of": of, "nth": number} for of, number in voided])
    return [None] * len(voided)


def request_cancels(connection: Connection, wanted: Sequence[tuple[str, str]]) -> Sequence[None]:
    """Mark running generations to be cancelled by their workers: workspace, generation."""
    connection.execute(_request_cancel, [{"in_workspace": workspace, "of": of} for workspace, of in wanted])
    return [None] * len(wanted)


def end_leases(connection: Connection, dead: Sequence[Sequence[str]]) -> Sequence[None]:
    """End the leases of dead workers."""
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)
    rows = [{"of": worker_id, "lease_until": long_ago} for worker_ids in dead for worker_id in worker_ids]
    _insert(connection, _end_leases, rows)
    return [None] * len(dead)


def take_over(connection: Connection, takers: Sequence[TakeOver]) -> Sequence[tuple[Unfinished, ...]]:
    """Lease lapsed generations to the workers that ask, each to the first."""
    return [_take(connection, taker) for taker in takers]


def forget_keys(connection: Connection, moments: Sequence[datetime]) -> Sequence[None]:
    """Forget idempotency keys that were claimed before."""
    connection.execute(_forget_keys, {"before": max(moments)})
    return [None] * len(moments)


def move_marks(connection: Connection, moves: Sequence[tuple[str, str, str]]) -> Sequence[bool]:
    """Move marks from an old value to a new one: name, old, new; tell which still stood there."""
    return [_move(connection, *move) for move in moves]


def set_quotas(connection: Connection, given: Sequence[tuple[str, Quota | None]]) -> Sequence[None]:
    """Give workspaces quotas of their own, or take them away."""
    for workspace_id, quota in given:
        connection.execute(_remove_quota, {"of": workspace_id})
        if quota is not None:
            row = {"workspace_id": workspace_id, "images": quota.images, "cost_micros": quota.cost_micros}
            connection.execute(_insert_quota, row)
    return [None] * len(given)


def set_retentions(connection: Connection, given: Sequence[tuple[str, Retention | None]]) -> Sequence[None]:
    """Let workspaces keep their images for a time of their own, or as long as the others."""
    for workspace_id, retention in given:
        connection.execute(_remove_retention, {"of": workspace_id})
        if retention is not None:
            connection.execute(_insert_retention, {"workspace_id": workspace_id, "days": retention.days})
    return [None] * len(given)


def renew_leases(connection: Connection, renewals: Sequence[Renewal]) -> Sequence[None]:
    """Lease the running generations of workers for longer."""
    for each in renewals:
        ids = list(each.generation_ids)
        connection.execute(_renew_leases, {"of": each.worker_id, "ids": ids, "lease_until": each.lease_until})
    return [None] * len(renewals)


def delete_images(connection: Connection, deletions: Sequence[Deletion]) -> Sequence[tuple[str, ...]]:
    """Delete images; return, for each, the ids of all whose bytes nothing needs any longer."""
    # In the order in which starts hold images: a replica that starts from them waits, and not both in a circle.
    ordered = sorted(deletions, key=lambda each: each.image_id)
    unneeded = {id(deletion): _delete(connection, deletion) for deletion in ordered}
    return [unneeded[id(deletion)] for deletion in deletions]


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


def _move(connection: Connection, name: str, old: str, new: str) -> bool:
    connection.execute(_begin_mark, {"name": name})
    return connection.execute(_move_mark, {"of": name, "old": old, "new": new}).rowcount == 1


def _take(connection: Connection, taker: TakeOver) -> tuple[Unfinished, ...]:
    ids = list(connection.scalars(_hold_lapsed, {"now": taker.now, "at_most": taker.limit}))
    if not ids:
        return ()
    rows = [{"of": each, "to": taker.worker_id, "lease_until": taker.lease_until} for each in ids]
    connection.execute(_take_over, rows)
    return unfinished(connection, ids)


def unfinished(connection: Connection, generation_ids: Sequence[str]) -> tuple[Unfinished, ...]:
    """Return what a worker needs to know to go on with generations."""
    ids = {"ids": list(generation_ids)}
    records: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(_submissions_of, ids):
        records[row.generation_id].append(row)
    inputs: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(_inputs_of, ids):
        inputs[row.started_id].append(row)
    rows = connection.execute(_generations, ids).all()
    return tuple(unfinished_from(row, inputs[row.id], records[row.id]) for row in rows)


def _may_end(finish: Finish, row: "Row[*tuple[Any, ...]] | None") -> bool:
    """Tell whether a generation that is running or unknown, or has ended, may end so."""
    if row is None:
        return False
    if row.state == GenerationState.RUNNING:
        return finish.worker_id in ("", row.worker_id)
    return bool(finish.generation.images)


def _submission_row(purchase: Purchase) -> dict[str, Any]:
    return {
        "generation_id": purchase.generation_id,
        "number": purchase.number,
        "indexes": list(purchase.indexes),
        "model": purchase.model_id,
        "void": False,
    }


def _delivery_row(generation: Generation) -> dict[str, Any]:
    return {
        "id": new_id(),
        "workspace_id": generation.workspace_id,
        "generation_id": generation.id,
        "attempts": 0,
        "next_attempt_at": generation.updated_at,
    }


def _start_row(start: Start, granted_images: int) -> dict[str, Any]:
    row = generation_row(start.generation) | plan_row(start.plan, granted_images)
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


def _delete(connection: Connection, deletion: Deletion) -> tuple[str, ...]:
    key = {"image_id": deletion.image_id, "in_workspace": deletion.workspace_id, "deleted_at": deletion.at}
    deleted = connection.execute(_delete_image, key).one_or_none()
    if deleted is None:
        return ()
    affected = {"image_id": deletion.image_id, "generation_id": deleted.generation_id}
    return tuple(connection.scalars(_unneeded_after_deletion, affected))
