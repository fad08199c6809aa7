"""How long workspaces keep their images, and which images are the oldest."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_LIVE = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    """Add both. A release that knows neither goes on beside."""
    op.create_table(
        "workspace_retentions",
        sa.Column("workspace_id", sa.Text),
        sa.Column("days", sa.Integer, comment="Null to keep images for ever."),
        sa.PrimaryKeyConstraint("workspace_id", name="pk_workspace_retentions"),
    )
    op.create_index("ix_images_age", "images", ["created_at"], sqlite_where=_LIVE, postgresql_where=_LIVE)


def downgrade() -> None:
    """Forget them."""
    op.drop_index("ix_images_age", "images")
    op.drop_table("workspace_retentions")
