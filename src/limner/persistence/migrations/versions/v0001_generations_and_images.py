"""Generations, their inputs, images, and usage by month."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

identifier = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")
moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the first tables."""
    _create_generations()
    _create_images()
    _create_generation_inputs()
    op.create_table(
        "usage_months",
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("month", sa.String(7), nullable=False, comment="Such as 2026-11 (UTC)."),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("cost_micros", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "month", name="pk_usage_months"),
    )


def downgrade() -> None:
    """Remove all tables, and what is in them."""
    for table in ("usage_months", "generation_inputs", "images", "generations"):
        op.drop_table(table)


def _create_generations() -> None:
    op.create_table(
        "generations",
        sa.Column("id", identifier, nullable=False),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("created_by_user_id", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("requested_images", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("missing", sa.JSON, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("failure", sa.JSON),
        sa.Column("may_bill", sa.Boolean, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("worker_id", sa.Text, nullable=False),
        sa.Column("lease_until", moment, nullable=False),
        sa.Column("provider_job_id", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_generations"),
    )
    _create_index("ix_generations_running", "generations", ["worker_id"], "state = 'running'")


def _create_images() -> None:
    op.create_table(
        "images",
        sa.Column("id", identifier, nullable=False),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("created_by_user_id", sa.Text, nullable=False),
        sa.Column("generation_id", identifier),
        sa.Column("position", sa.Integer, nullable=False, comment="Place among the images of its generation, from 0."),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column(
            "input_image_ids",
            sa.JSON,
            nullable=False,
            comment="As in generation_inputs: a page of images needs no join.",
        ),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("deleted_at", moment),
        sa.Column("purged_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
        sa.ForeignKeyConstraint(["generation_id"], ["generations.id"], name="fk_images_generation_id_generations"),
    )
    newest, live = ["created_at", "id"], "deleted_at IS NULL"
    _create_index("ix_images_workspace", "images", ["workspace_id", *newest], live)
    _create_index("ix_images_user", "images", ["workspace_id", "created_by_user_id", *newest], live)
    _create_index("ix_images_generation", "images", ["generation_id", "workspace_id", *newest], live)
    _create_index("ix_images_awaiting_purge", "images", ["deleted_at"], "deleted_at IS NOT NULL AND purged_at IS NULL")


def _create_generation_inputs() -> None:
    op.create_table(
        "generation_inputs",
        sa.Column("generation_id", identifier, nullable=False),
        sa.Column("position", sa.Integer, nullable=False, comment="Place among the inputs, from 0."),
        sa.Column("image_id", identifier, nullable=False),
        sa.PrimaryKeyConstraint("generation_id", "position", name="pk_generation_inputs"),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generations.id"], name="fk_generation_inputs_generation_id_generations"
        ),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_generation_inputs_image_id_images"),
    )
    op.create_index("ix_generation_inputs_image", "generation_inputs", ["image_id"])


def _create_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
