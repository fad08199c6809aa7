"""Which images of a generation could not be marked: its detail says so, each time that it is asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add it; null stands for none."""
    op.add_column(
        "generations", sa.Column("unmarked", sa.JSON, comment="Images that could not be marked; null when all were.")
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_column("generations", "unmarked")
