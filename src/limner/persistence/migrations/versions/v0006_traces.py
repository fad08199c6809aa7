"""Which trace a generation belongs to, so that whoever takes it over goes on with it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add it. A release that does not know it goes on beside."""
    op.add_column(
        "generations", sa.Column("traceparent", sa.Text, comment="W3C Trace Context; null when nobody traced it.")
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_column("generations", "traceparent")
