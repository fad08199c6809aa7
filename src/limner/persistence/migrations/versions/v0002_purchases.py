"""What makes a purchase safe: plans, submissions, idempotency keys, quotas, marks, webhook deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

identifier = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")
moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables, and what a generation needs so that another worker can go on with it."""
    with op.batch_alter_table("generations") as generations:
        generations.drop_column("provider_job_id")
        generations.add_column(
            sa.Column("task", sa.JSON, comment="The plan's task; null in generations made before plans were kept.")
        )
        generations.add_column(sa.Column("seed", sa.BigInteger, nullable=False, server_default="0"))
        generations.add_column(sa.Column("planned_image_ids", sa.JSON))
        generations.add_column(sa.Column("granted_images", sa.Integer, nullable=False, server_default="0"))
        generations.add_column(sa.Column("unit_cost_micros", sa.BigInteger, nullable=False, server_default="0"))
        generations.add_column(sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.false()))
    running = sa.text("state = 'running'")
    op.create_index(
        "ix_generations_reserving", "generations", ["workspace_id"], sqlite_where=running, postgresql_where=running
    )
    _create_submissions()
    _create_idempotency_keys()
    op.create_table(
        "workspace_quotas",
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("images", sa.Integer, comment="Per month; null for no limit."),
        sa.Column("cost_micros", sa.BigInteger, comment="Per month; null for no limit."),
        sa.PrimaryKeyConstraint("workspace_id", name="pk_workspace_quotas"),
    )
    op.create_table(
        "marks",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_marks"),
    )
    _create_webhook_deliveries()


def downgrade() -> None:
    """Remove them, and what is in them."""
    for table in ("webhook_deliveries", "marks", "workspace_quotas", "idempotency_keys", "submissions"):
        op.drop_table(table)
    op.drop_index("ix_generations_reserving", "generations")
    with op.batch_alter_table("generations") as generations:
        for column in ("cancel_requested", "unit_cost_micros", "granted_images", "planned_image_ids", "seed", "task"):
            generations.drop_column(column)
        generations.add_column(sa.Column("provider_job_id", sa.Text))


def _create_submissions() -> None:
    op.create_table(
        "submissions",
        sa.Column("generation_id", identifier, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, comment="In the order of submission, from 0."),
        sa.Column("indexes", sa.JSON, nullable=False, comment="The pictures that were asked for."),
        sa.Column("provider_job_id", sa.Text, comment="Null until the provider's answer was kept."),
        sa.Column("void", sa.Boolean, nullable=False, comment="Surely nothing was bought."),
        sa.PrimaryKeyConstraint("generation_id", "number", name="pk_submissions"),
        sa.ForeignKeyConstraint(["generation_id"], ["generations.id"], name="fk_submissions_generation_id_generations"),
    )


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("generation_id", identifier, nullable=False),
        sa.Column("claimed_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", "operation", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_claimed", "idempotency_keys", ["claimed_at"])


def _create_webhook_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", identifier, nullable=False),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("generation_id", identifier, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", moment, comment="Null when it was delivered or given up."),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generations.id"], name="fk_webhook_deliveries_generation_id_generations"
        ),
    )
    undelivered = sa.text("next_attempt_at IS NOT NULL")
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["next_attempt_at"],
        sqlite_where=undelivered,
        postgresql_where=undelivered,
    )
