"""What shows facts: each a function of a connection in a transaction that sees one moment."""

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, String, bindparam, case, func, select, tuple_

from limner.domain.image import Cursor, Image, ImageFilter, ImagePage, Retention
from limner.domain.task import Generation, GenerationState
from limner.domain.usage import Quota, Usage
from limner.persistence.admission import month_of, own_quotas, reserved
from limner.persistence.rows import generation_from, image_from
from limner.persistence.tables import (
    UtcDateTime,
    generation_inputs,
    generations,
    images,
    live,
    marks,
    running,
    submissions,
    unknown,
    unsettled,
    usage_months,
    workspace_quotas,
    workspace_retentions,
)
from limner.persistence.writes import holding, unfinished, unneeded
from limner.service.ports import Unfinished


def _part_used(name: str) -> ColumnElement[Any]:
    """Return the part of a workspace's own limit that was used, or of the default; null where there is none."""
    own, usual = workspace_quotas.c[name], bindparam(name, type_=workspace_quotas.c[name].type)
    limit = case((workspace_quotas.c.workspace_id.is_not(None), own), else_=usual)
    return usage_months.c[name] * 1.0 / func.nullif(limit, 0)


_live_images = select(images).where(images.c.id.in_(bindparam("ids", expanding=True)), live)
_time = select(func.clock_timestamp())
_images = select(images).where(
    images.c.id.in_(bindparam("ids", expanding=True)), images.c.workspace_id == bindparam("workspace_id"), live
)
_images_to_purge = select(images.c.id).where(unneeded).order_by(images.c.deleted_at).limit(bindparam("at_most"))
_generation = select(generations).where(
    generations.c.id == bindparam("generation_id"), generations.c.workspace_id == bindparam("workspace_id")
)
_purchases = (
    select(submissions.c.number)
    .where(submissions.c.generation_id == bindparam("generation_id"), ~submissions.c.void)
    .limit(1)
)
_cancel_requests = select(generations.c.id).where(
    generations.c.worker_id == bindparam("of"), running, generations.c.cancel_requested
)
_known_images = select(images.c.id).where(
    images.c.id.in_(bindparam("ids", expanding=True)), images.c.purged_at.is_(None)
)
_planned = select(generations.c.planned_image_ids).where(unsettled)
_unknown_plans = select(generations.c.id, generations.c.planned_image_ids).where(unknown)
_mark = select(marks.c.value).where(marks.c.name == bindparam("of"))
_fullest_quota = (
    select(*(func.max(_part_used(name)) for name in ("images", "cost_micros")))
    .select_from(usage_months)
    .outerjoin(workspace_quotas, workspace_quotas.c.workspace_id == usage_months.c.workspace_id)
    .where(usage_months.c.month == bindparam("of"))
)
_retention = select(workspace_retentions).where(workspace_retentions.c.workspace_id == bindparam("of"))
_own_retentions = select(workspace_retentions).where(workspace_retentions.c.days.is_not(None))
_expired = (
    select(images)
    .where(live, images.c.created_at < bindparam("before"))
    .order_by(images.c.created_at)
    .limit(bindparam("at_most"))
)
_expired_by_default = _expired.where(images.c.workspace_id.not_in(select(workspace_retentions.c.workspace_id)))
_expired_in_workspace = _expired.where(images.c.workspace_id == bindparam("of"))
_images_between = (
    select(images.c.id)
    .where(images.c.id > bindparam("first"), images.c.id <= bindparam("last"), live)
    .order_by(images.c.id)
    .limit(bindparam("at_most"))
)
_made_images = (
    select(images)
    .where(images.c.generation_id.in_(bindparam("ids", expanding=True)), live)
    .order_by(images.c.generation_id, images.c.position)
)
_inputs = (
    select(images, generation_inputs.c.generation_id.label("started_id"))
    .join(generation_inputs, generation_inputs.c.image_id == images.c.id)
    .where(generation_inputs.c.generation_id.in_(bindparam("ids", expanding=True)))
    .order_by(generation_inputs.c.generation_id, generation_inputs.c.position)
)
_input_image = (
    select(images)
    .join(generation_inputs, generation_inputs.c.image_id == images.c.id)
    .join(generations, generations.c.id == generation_inputs.c.generation_id)
    .where(
        generations.c.id == bindparam("generation_id"),
        generations.c.workspace_id == bindparam("workspace_id"),
        images.c.id == bindparam("image_id"),
        holding,
    )
    .limit(1)
)
_usage = select(usage_months).where(
    usage_months.c.workspace_id == bindparam("workspace_id"), usage_months.c.month == bindparam("of")
)


def live_images(connection: Connection, image_ids: Sequence[str]) -> tuple[Image, ...]:
    """Return those of the images that are not deleted, of whichever workspace."""
    return tuple(map(image_from, connection.execute(_live_images, {"ids": list(set(image_ids))})))


def images_by_id(connection: Connection, workspace_id: str, image_ids: Sequence[str]) -> tuple[Image, ...]:
    """Return those of the images that exist, in the order asked for."""
    rows = connection.execute(_images, {"ids": list(set(image_ids)), "workspace_id": workspace_id})
    found = {row.id: image_from(row) for row in rows}
    return tuple(found[image_id] for image_id in image_ids if image_id in found)


def image_page(
    connection: Connection, workspace_id: str, where: ImageFilter, after: Cursor | None, limit: int
) -> ImagePage:
    """Return up to ``limit`` images, newest first; one more is looked for, to know whether a page follows."""
    statement = page_statement(bool(where.generation_id), bool(where.created_by_user_id), after is not None)
    rows = connection.execute(statement, page_parameters(workspace_id, where, after, limit + 1)).all()
    page = tuple(image_from(row) for row in rows[:limit])
    more = len(rows) > limit and page
    return ImagePage(page, Cursor(page[-1].created_at, page[-1].id) if more else None)


@functools.cache
def page_statement(of_generation: bool, of_user: bool, continued: bool) -> Select[Any]:
    """Return the query of a page. Each form walks one index, from the place where the page begins."""
    statement = select(images).where(images.c.workspace_id == bindparam("workspace_id"), live)
    if of_generation:
        statement = statement.where(images.c.generation_id == bindparam("generation_id"))
    if of_user:
        user: ColumnElement[str] = images.c.created_by_user_id
        # A generation has one user and few images: with both filters the user's index, which SQLite may take for
        # as good, would walk over all that this user ever made. An expression keeps it from that.
        user = user.concat("") if of_generation else user
        statement = statement.where(user == bindparam("created_by_user_id"))
    if continued:
        place = tuple_(bindparam("created_at", type_=UtcDateTime), bindparam("image_id", type_=String))
        statement = statement.where(tuple_(images.c.created_at, images.c.id) < place)
    newest_first = images.c.created_at.desc(), images.c.id.desc()
    return statement.order_by(*newest_first).limit(bindparam("at_most"))


def page_parameters(workspace_id: str, where: ImageFilter, after: Cursor | None, limit: int) -> Mapping[str, Any]:
    """Return what goes into ``page_statement``."""
    parameters: dict[str, Any] = {"workspace_id": workspace_id, "at_most": limit}
    if where.generation_id:
        parameters["generation_id"] = where.generation_id
    if where.created_by_user_id:
        parameters["created_by_user_id"] = where.created_by_user_id
    if after is not None:
        parameters |= {"created_at": after.created_at, "image_id": after.image_id}
    return parameters


def images_to_purge(connection: Connection, limit: int) -> tuple[str, ...]:
    """Return ids of deleted images whose bytes nothing needs, those deleted first ahead."""
    return tuple(connection.scalars(_images_to_purge, {"at_most": limit}))


def generation(connection: Connection, workspace_id: str, generation_id: str) -> Generation | None:
    """Return a generation with its images and inputs."""
    rows = connection.execute(_generation, {"generation_id": generation_id, "workspace_id": workspace_id}).all()
    found = next(iter(_assembled(connection, rows)), None)
    if found is None or found.state is not GenerationState.RUNNING:
        return found
    return replace(found, may_bill=connection.scalar(_purchases, {"generation_id": generation_id}) is not None)


def cancel_requests(connection: Connection, worker_id: str) -> tuple[str, ...]:
    """Return the ids of a worker's running generations that somebody wants cancelled."""
    return tuple(connection.scalars(_cancel_requests, {"of": worker_id}))


def unknown_images(connection: Connection, image_ids: Sequence[str]) -> tuple[str, ...]:
    """Return those ids that neither a row nor a plan knows."""
    known = set(connection.scalars(_known_images, {"ids": list(image_ids)}))
    for planned in connection.scalars(_planned):
        known.update(planned or ())
    return tuple(each for each in image_ids if each not in known)


def unknown_outcomes(connection: Connection, image_ids: Sequence[str]) -> tuple[Unfinished, ...]:
    """Return the generations that ended as unknown and planned one of these images."""
    wanted = set(image_ids)
    rows = connection.execute(_unknown_plans) if wanted else ()
    ids = [row.id for row in rows if not wanted.isdisjoint(row.planned_image_ids or ())]
    return unfinished(connection, ids) if ids else ()


def images_between(connection: Connection, first: str, last: str, limit: int) -> tuple[str, ...]:
    """Return ids of shown images, ``first`` < id <= ``last``, in order."""
    return tuple(connection.scalars(_images_between, {"first": first, "last": last, "at_most": limit}))


def mark(connection: Connection, name: str) -> str:
    """Return where a mark stands; empty before it was moved."""
    return connection.scalar(_mark, {"of": name}) or ""


def quota(connection: Connection, workspace_id: str) -> Quota | None:
    """Return the quota of a workspace that has one of its own."""
    return own_quotas(connection, [workspace_id]).get(workspace_id)


def retention(connection: Connection, workspace_id: str) -> Retention | None:
    """Return how long a workspace keeps its images that does not do as the others."""
    row = connection.execute(_retention, {"of": workspace_id}).one_or_none()
    return Retention(row.days) if row else None


def expired_images(connection: Connection, usual: Retention, at: datetime, limit: int) -> tuple[Image, ...]:
    """Return the oldest images that their workspaces do not keep any longer."""
    found = []
    if usual.days is not None:
        before = {"before": at - timedelta(days=usual.days), "at_most": limit}
        found = list(connection.execute(_expired_by_default, before))
    for row in connection.execute(_own_retentions).all():
        if len(found) >= limit:
            break
        before = {"before": at - timedelta(days=row.days), "at_most": limit - len(found), "of": row.workspace_id}
        found += connection.execute(_expired_in_workspace, before)
    return tuple(map(image_from, found))


def fullest_quota(connection: Connection, quota: Quota, at: datetime) -> float:
    """Return the largest part of its quota that a workspace used this month, of images or of money; 0 without any."""
    limits = {"images": quota.images, "cost_micros": quota.cost_micros, "of": month_of(at)}
    return max(connection.execute(_fullest_quota, limits).one(), key=lambda part: part or 0) or 0.0


def input_image(connection: Connection, workspace_id: str, generation_id: str, image_id: str) -> Image | None:
    """Return a picture that a generation started from, as long as the generation needs it."""
    key = {"workspace_id": workspace_id, "generation_id": generation_id, "image_id": image_id}
    row = connection.execute(_input_image, key).one_or_none()
    return image_from(row) if row else None


def usage(connection: Connection, workspace_id: str, month: str) -> Usage:
    """Return what a workspace used in a month, and what its running generations may still use."""
    row = connection.execute(_usage, {"workspace_id": workspace_id, "of": month}).one_or_none()
    images_reserved, cost_reserved = reserved(connection, workspace_id)
    return Usage(
        workspace_id=workspace_id,
        month=month,
        images_used=row.images if row else 0,
        cost_used_micros=row.cost_micros if row else 0,
        images_reserved=images_reserved,
        cost_reserved_micros=cost_reserved,
    )


def _assembled(connection: Connection, rows: Sequence[Row[Any]]) -> list[Generation]:
    """Return generations with what hangs on them: two more queries, however many there are."""
    ids = {"ids": [row.id for row in rows]}
    if not rows:
        return []
    made: defaultdict[str, list[Image]] = defaultdict(list)
    for each in connection.execute(_made_images, ids):
        made[each.generation_id].append(image_from(each))
    inputs: defaultdict[str, list[Image]] = defaultdict(list)
    for each in connection.execute(_inputs, ids):
        inputs[each.started_id].append(image_from(each))
    return [_with(row, made[row.id], inputs[row.id]) for row in rows]


def _with(row: Row[Any], made: Sequence[Image], inputs: Sequence[Image]) -> Generation:
    needs_inputs = row.state == GenerationState.RUNNING or made
    return generation_from(row, made, [each.id for each in inputs], inputs if needs_inputs else ())


def time(connection: Connection) -> datetime | None:
    """Return the time by the server's clock, or ``None``."""
    if connection.dialect.name == "sqlite":
        return None
    seen: datetime = connection.execute(_time).scalar_one()
    return seen.astimezone(UTC)
