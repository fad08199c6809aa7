"""Which generations may start: whose idempotency key it is, and how many images the quota allows.

All of it happens in the transaction that keeps the generation, under locks that other replicas wait for.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import BigInteger, Connection, Row, Text, bindparam, delete, func, select, text, tuple_, update

from limner.domain.errors import IdempotencyKeyReusedError, LimnerError
from limner.domain.usage import Quota, Usage
from limner.persistence.tables import (
    UtcDateTime,
    generations,
    idempotency_keys,
    running,
    usage_months,
    workspace_quotas,
)
from limner.service.ports import Claim, Start, Started

KeyTuple: TypeAlias = tuple[str, str, str, str]

_columns = (
    idempotency_keys.c.workspace_id,
    idempotency_keys.c.user_id,
    idempotency_keys.c.operation,
    idempotency_keys.c.key,
)
# Waits for another replica that claims the same key, and then does nothing; the row count tells how many were free.
_claim = text(
    "INSERT INTO idempotency_keys (workspace_id, user_id, operation, key, fingerprint, generation_id, claimed_at)"
    " VALUES (:workspace_id, :user_id, :operation, :key, :fingerprint, :generation_id, :claimed_at)"
    " ON CONFLICT (workspace_id, user_id, operation, key) DO NOTHING"
).bindparams(*(bindparam(column.name, type_=Text) for column in _columns), bindparam("claimed_at", type_=UtcDateTime))
_claim = _claim.execution_options(preserve_rowcount=True)
_claimed = (
    select(idempotency_keys, generations.c.failure, generations.c.granted_images)
    .outerjoin(generations, generations.c.id == idempotency_keys.c.generation_id)
    .where(tuple_(*_columns).in_(bindparam("keys", expanding=True)))
)
_claim_again = (
    update(idempotency_keys)
    .where(
        *(column == bindparam(f"of_{column.name}") for column in _columns),
        idempotency_keys.c.generation_id == bindparam("failed_id"),
    )
    .values(
        generation_id=bindparam("new_id"),
        fingerprint=bindparam("new_fingerprint"),
        claimed_at=bindparam("claimed_at"),
    )
)
_release = delete(idempotency_keys).where(idempotency_keys.c.generation_id == bindparam("of"))

_own_quotas = select(workspace_quotas).where(workspace_quotas.c.workspace_id.in_(bindparam("ids", expanding=True)))
_ensure_month = text(
    "INSERT INTO usage_months (workspace_id, month, images, cost_micros) VALUES (:workspace_id, :month, 0, 0)"
    " ON CONFLICT (workspace_id, month) DO NOTHING"
).bindparams(bindparam("workspace_id", type_=Text), bindparam("month", type_=Text))
_hold_month = (
    select(usage_months.c.images, usage_months.c.cost_micros)
    .where(usage_months.c.workspace_id == bindparam("of"), usage_months.c.month == bindparam("in_month"))
    .with_for_update()
)
_reserved = select(
    func.coalesce(func.sum(generations.c.granted_images), 0).label("images"),
    func.coalesce(func.sum(generations.c.granted_images * generations.c.unit_cost_micros, type_=BigInteger), 0).label(
        "cost_micros"
    ),
).where(generations.c.workspace_id == bindparam("of"), running)


def claim_keys(connection: Connection, starts: Sequence[Start]) -> Mapping[str, Started | LimnerError]:
    """Claim the keys of starts that have one; return, by generation id, what becomes of those that don't win.

    A key whose generation bought nothing, and may end better in a new try, goes to the new one.
    """
    claims = [(_key(start, start.claim), start, start.claim) for start in starts if start.claim is not None]
    if not claims:
        return {}
    claims.sort(key=itemgetter(0))  # two replicas never wait for each other in a circle
    if connection.execute(_claim, [_claim_row(*claim) for claim in claims]).rowcount == len(claims):
        return {}
    owners = _owners(connection, [key for key, _, _ in claims])
    outcomes: dict[str, Started | LimnerError] = {}
    for key, start, claim in claims:
        while owners[key].repeatable:
            if _claim_anew(connection, key, owners[key], start):
                owners[key] = _Owner(start.generation.id, claim.fingerprint, 0, repeatable=False)
            else:
                owners |= _owners(connection, [key])  # another replica was faster
        owner = owners[key]
        if owner.generation_id != start.generation.id:
            outcomes[start.generation.id] = _outcome(owner, start)
    return outcomes


def release_keys(connection: Connection, starts: Sequence[Start]) -> None:
    """Give back the keys of starts that are refused after all."""
    rows = [{"of": start.generation.id} for start in starts if start.claim is not None]
    if rows:
        connection.execute(_release, rows)


def grant_images(connection: Connection, starts: Sequence[Start]) -> Mapping[str, int]:
    """Return how many images each generation may make, one workspace after the other, in the order of the starts."""
    granted = {start.generation.id: start.generation.requested_images for start in starts}
    by_workspace: defaultdict[str, list[Start]] = defaultdict(list)
    for start in starts:
        by_workspace[start.generation.workspace_id].append(start)
    own = own_quotas(connection, by_workspace)
    for workspace_id in sorted(by_workspace):  # sorted: two replicas never wait for each other in a circle
        limited = by_workspace[workspace_id]
        quota = own.get(workspace_id, limited[0].quota)
        if quota != Quota():
            granted.update(_grants(connection, limited, quota))
    return granted


def own_quotas(connection: Connection, workspace_ids: Iterable[str]) -> Mapping[str, Quota]:
    """Return the quotas of those workspaces that have one of their own."""
    rows = connection.execute(_own_quotas, {"ids": list(workspace_ids)})
    return {row.workspace_id: Quota(images=row.images, cost_micros=row.cost_micros) for row in rows}


def reserved(connection: Connection, workspace_id: str) -> tuple[int, int]:
    """Return the images, and their cost in millionths of a US dollar, that running generations may still make."""
    row = connection.execute(_reserved, {"of": workspace_id}).one()
    return int(row.images), int(row.cost_micros)


def _grants(connection: Connection, starts: Sequence[Start], quota: Quota) -> Iterator[tuple[str, int]]:
    """Yield what each start of one workspace gets, holding the month's row until the commit."""
    generation = starts[0].generation
    key = {"workspace_id": generation.workspace_id, "month": month_of(generation.created_at)}
    connection.execute(_ensure_month, key)
    held = connection.execute(_hold_month, {"of": key["workspace_id"], "in_month": key["month"]}).one()
    images_reserved, cost_reserved = reserved(connection, generation.workspace_id)
    usage = Usage(
        workspace_id=key["workspace_id"],
        month=key["month"],
        images_used=held.images,
        cost_used_micros=held.cost_micros,
        images_reserved=images_reserved,
        cost_reserved_micros=cost_reserved,
    )
    for start in starts:
        unit_cost = start.plan.unit_cost_micros
        images = quota.grants(usage, start.generation.requested_images, unit_cost)
        usage = replace(
            usage,
            images_reserved=usage.images_reserved + images,
            cost_reserved_micros=usage.cost_reserved_micros + images * unit_cost,
        )
        yield start.generation.id, images


@dataclass(frozen=True, slots=True)
class _Owner:
    """The generation that a key belongs to."""

    generation_id: str
    fingerprint: str
    granted_images: int
    repeatable: bool

    @classmethod
    def of(cls, row: Row[Any]) -> "_Owner":
        failure = row.failure or {}
        return cls(row.generation_id, row.fingerprint, row.granted_images or 0, bool(failure.get("repeatable")))


def _owners(connection: Connection, keys: Sequence[KeyTuple]) -> dict[KeyTuple, _Owner]:
    """Return which generations keys belong to that are claimed."""
    return {_row_key(row): _Owner.of(row) for row in connection.execute(_claimed, {"keys": keys})}


def _outcome(owner: _Owner, start: Start) -> Started | LimnerError:
    claim = start.claim
    if claim is None or owner.fingerprint not in (claim.fingerprint, claim.former_fingerprint):
        return IdempotencyKeyReusedError()
    return Started(generation_id=owner.generation_id, granted_images=owner.granted_images, joined=True)


def _claim_anew(connection: Connection, key: KeyTuple, owner: _Owner, start: Start) -> bool:
    """Take the key from a generation that bought nothing; tell whether nobody else did so meanwhile."""
    parameters: dict[str, Any] = {f"of_{column.name}": part for column, part in zip(_columns, key, strict=True)}
    parameters |= {
        "failed_id": owner.generation_id,
        "new_id": start.generation.id,
        "new_fingerprint": start.claim.fingerprint if start.claim else "",
        "claimed_at": start.generation.created_at,
    }
    return connection.execute(_claim_again, parameters).rowcount == 1


def _key(start: Start, claim: Claim) -> KeyTuple:
    generation = start.generation
    return generation.workspace_id, generation.created_by_user_id, generation.operation.value, claim.key


def _row_key(row: Row[Any]) -> KeyTuple:
    return row.workspace_id, row.user_id, row.operation, row.key


def _claim_row(key: KeyTuple, start: Start, claim: Claim) -> dict[str, Any]:
    parts = {column.name: part for column, part in zip(_columns, key, strict=True)}
    return {
        **parts,
        "fingerprint": claim.fingerprint,
        "generation_id": start.generation.id,
        "claimed_at": start.generation.created_at,
    }


def month_of(moment: datetime) -> str:
    """Return the month that usage of this moment counts for, such as ``2026-11`` (UTC)."""
    utc = moment.astimezone(UTC)
    return f"{utc.year:04}-{utc.month:02}"
