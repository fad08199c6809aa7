"""Due webhook deliveries by workspace: the backlog of one receiver is not in the way of another's."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_INDEX = "ix_webhook_deliveries_due"
_UNDELIVERED = sa.text("next_attempt_at IS NOT NULL")


def upgrade() -> None:
    """Put the workspace first."""
    _replace_index("workspace_id", "next_attempt_at")


def downgrade() -> None:
    """Forget the workspace."""
    _replace_index("next_attempt_at")


def _replace_index(*columns: str) -> None:
    op.drop_index(_INDEX, "webhook_deliveries")
    op.create_index(_INDEX, "webhook_deliveries", columns, sqlite_where=_UNDELIVERED, postgresql_where=_UNDELIVERED)
