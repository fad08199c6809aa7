"""Webhook events that are still to be delivered. A row is added in the commit that ends its generation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from limner.persistence.tables import generations, undelivered, webhook_deliveries
from limner.service.ports import Delivery


@dataclass(frozen=True, slots=True)
class DeliveryLease:
    """A worker that is about to deliver a workspace's events."""

    workspace_id: str
    now: datetime
    lease_until: datetime
    limit: int


@dataclass(frozen=True, slots=True)
class Postponement:
    """A failed attempt, and when the next one is due."""

    delivery: Delivery
    until: datetime


_workspaces = (
    select(webhook_deliveries.c.workspace_id)
    .where(undelivered, webhook_deliveries.c.next_attempt_at <= bindparam("now"))
    .distinct()
)
_hold_due = (
    select(webhook_deliveries, generations.c.traceparent)
    .join(generations, generations.c.id == webhook_deliveries.c.generation_id)
    .where(
        webhook_deliveries.c.workspace_id == bindparam("in_workspace"),
        undelivered,
        webhook_deliveries.c.next_attempt_at <= bindparam("now"),
    )
    .order_by(webhook_deliveries.c.next_attempt_at)
    .limit(bindparam("at_most"))
    .with_for_update(skip_locked=True, of=webhook_deliveries)
)
_lease = (
    update(webhook_deliveries)
    .where(webhook_deliveries.c.id == bindparam("of"))
    .values(next_attempt_at=bindparam("lease_until"))
)
_end = update(webhook_deliveries).where(webhook_deliveries.c.id == bindparam("of")).values(next_attempt_at=None)
# A worker that took too long changes nothing any more: another one delivered the event, or counted its failure.
_postpone = (
    update(webhook_deliveries)
    .where(webhook_deliveries.c.id == bindparam("of"), undelivered, webhook_deliveries.c.attempts == bindparam("known"))
    .values(next_attempt_at=bindparam("until"), attempts=webhook_deliveries.c.attempts + 1)
)


def workspaces_to_notify(connection: Connection, now: datetime) -> tuple[str, ...]:
    """Return the workspaces of which a delivery is due."""
    return tuple(connection.scalars(_workspaces, {"now": now}))


def lease_deliveries(connection: Connection, leases: Sequence[DeliveryLease]) -> Sequence[tuple[Delivery, ...]]:
    """Lease due deliveries to those who ask, each to the first."""
    return [_leased(connection, lease) for lease in leases]


def end_deliveries(connection: Connection, delivery_ids: Sequence[str]) -> Sequence[None]:
    """Note that deliveries need no further attempt."""
    connection.execute(_end, [{"of": each} for each in sorted(delivery_ids)])
    return [None] * len(delivery_ids)


def postpone_deliveries(connection: Connection, postponements: Sequence[Postponement]) -> Sequence[None]:
    """Count failed attempts, and note when the next ones are due."""
    rows = [
        {"of": each.delivery.id, "known": each.delivery.attempts, "until": each.until}
        for each in sorted(postponements, key=lambda each: each.delivery.id)
    ]
    connection.execute(_postpone, rows)
    return [None] * len(postponements)


def _leased(connection: Connection, lease: DeliveryLease) -> tuple[Delivery, ...]:
    where = {"in_workspace": lease.workspace_id, "now": lease.now, "at_most": lease.limit}
    rows = connection.execute(_hold_due, where).all()
    if rows:
        connection.execute(_lease, [{"of": row.id, "lease_until": lease.lease_until} for row in rows])
    return tuple(
        Delivery(
            id=row.id,
            workspace_id=row.workspace_id,
            generation_id=row.generation_id,
            attempts=row.attempts,
            traceparent=row.traceparent or "",
        )
        for row in rows
    )
