"""The tables, as the newest migration leaves them.

    generations ──< generation_inputs >── images      what a generation started from
    generations ──< images                            what it made; an upload has no generation
    generations ──< submissions                       what was asked of a provider that bills
    generations ──< webhook_deliveries                who is still to be told of its end
    idempotency_keys ──> generations                  which key made it
    usage_months, workspace_quotas                    what a workspace used per month, and may use
    workspace_retentions                              how long it keeps its images, when not as long as the others
    marks                                             up to which id the sweeper came

Rows are never removed. An image that is deleted keeps its row with ``deleted_at``; once its bytes are gone
from the blob store too, ``purged_at`` is set.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    literal_column,
    or_,
)
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with microseconds, in UTC on the way out. Refuses one without a time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn the moment into UTC. SQLite keeps it as text of a fixed length, which sorts by time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the moment its time zone back, which SQLite has no room for."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# Hexadecimal digits sort the same in every collation, and "C" compares bytes: fastest.
Identifier = String(32).with_variant(String(32, collation="C"), "postgresql")
Json = JSON(none_as_null=True)

metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s"}
)

generations = Table(
    "generations",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("workspace_id", Text, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("requested_images", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("missing", Json, nullable=False),
    Column("unmarked", Json, comment="Images that could not be marked; null when all were."),
    Column("description", Text, nullable=False),
    Column("failure", Json),
    Column("may_bill", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("worker_id", Text, nullable=False),
    Column("lease_until", UtcDateTime, nullable=False),
    Column("task", Json, comment="The plan's task; null in generations made before plans were kept."),
    Column("seed", BigInteger, nullable=False, server_default="0"),
    Column("planned_image_ids", Json),
    Column("granted_images", Integer, nullable=False, server_default="0"),
    Column("unit_cost_micros", BigInteger, nullable=False, server_default="0"),
    Column("prices_micros", Json, comment="By model; null when the only one is unit_cost_micros."),
    Column("traceparent", Text, comment="W3C Trace Context; null when nobody traced it."),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
)

submissions = Table(
    "submissions",
    metadata,
    Column("generation_id", Identifier, ForeignKey("generations.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="In the order of submission, from 0."),
    Column("indexes", Json, nullable=False, comment="The pictures that were asked for."),
    Column("model", Text, comment="Which one was asked; null in rows made before that was kept."),
    Column("provider_job_id", Text, comment="Null until the provider's answer was kept."),
    Column("void", Boolean, nullable=False, comment="Surely nothing was bought."),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    # No foreign key: the key is claimed first, and the generation kept when the claim was won.
    Column("generation_id", Identifier, nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
)

workspace_quotas = Table(
    "workspace_quotas",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("images", Integer, comment="Per month; null for no limit."),
    Column("cost_micros", BigInteger, comment="Per month; null for no limit."),
)

workspace_retentions = Table(
    "workspace_retentions",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("days", Integer, comment="Null to keep images for ever."),
)

marks = Table(
    "marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("workspace_id", Text, nullable=False),
    Column("generation_id", Identifier, ForeignKey("generations.id"), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime, comment="Null when it was delivered or given up."),
)

images = Table(
    "images",
    metadata,
    Column("id", Identifier, primary_key=True),
    Column("workspace_id", Text, nullable=False),
    Column("created_by_user_id", Text, nullable=False),
    Column("generation_id", Identifier, ForeignKey("generations.id")),
    Column("position", Integer, nullable=False, comment="Place among the images of its generation, from 0."),
    Column("prompt", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("input_image_ids", Json, nullable=False, comment="As in generation_inputs: a page of images needs no join."),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("format", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("deleted_at", UtcDateTime),
    Column("purged_at", UtcDateTime),
)

generation_inputs = Table(
    "generation_inputs",
    metadata,
    Column("generation_id", Identifier, ForeignKey("generations.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False, comment="Place among the inputs, from 0."),
    Column("image_id", Identifier, ForeignKey("images.id"), nullable=False),
)

usage_months = Table(
    "usage_months",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("month", String(7), primary_key=True, comment="Such as 2026-11 (UTC)."),
    Column("images", Integer, nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
)

# Written out, not bound: a partial index serves only a query that says the same in words.
running = generations.c.state == literal_column("'running'")
unknown = generations.c.state == literal_column("'unknown'")
unsettled = or_(running, unknown)
live = images.c.deleted_at.is_(None)
undelivered = webhook_deliveries.c.next_attempt_at.is_not(None)
awaiting_purge = images.c.deleted_at.is_not(None) & images.c.purged_at.is_(None)

Index("ix_generations_running", generations.c.worker_id, sqlite_where=running, postgresql_where=running)
Index("ix_generations_reserving", generations.c.workspace_id, sqlite_where=running, postgresql_where=running)
Index("ix_images_age", images.c.created_at, sqlite_where=live, postgresql_where=live)
Index("ix_idempotency_keys_claimed", idempotency_keys.c.claimed_at)
Index(
    "ix_webhook_deliveries_due",
    webhook_deliveries.c.workspace_id,
    webhook_deliveries.c.next_attempt_at,
    sqlite_where=undelivered,
    postgresql_where=undelivered,
)
Index("ix_generation_inputs_image", generation_inputs.c.image_id)
Index(
    "ix_images_workspace",
    images.c.workspace_id,
    images.c.created_at,
    images.c.id,
    sqlite_where=live,
    postgresql_where=live,
)
Index(
    "ix_images_user",
    images.c.workspace_id,
    images.c.created_by_user_id,
    images.c.created_at,
    images.c.id,
    sqlite_where=live,
    postgresql_where=live,
)
# All of it, so that SQLite, which has no statistics, takes it rather than walk the whole workspace.
Index(
    "ix_images_generation",
    images.c.generation_id,
    images.c.workspace_id,
    images.c.created_at,
    images.c.id,
    sqlite_where=live,
    postgresql_where=live,
)
Index(
    "ix_images_awaiting_purge",
    images.c.deleted_at,
    sqlite_where=awaiting_purge,
    postgresql_where=awaiting_purge,
)
