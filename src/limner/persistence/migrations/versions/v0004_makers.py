"""Which model was asked for each purchase, and what each of them costs: a fallback is not the model that was named."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add both; in rows that are there already nothing but the named model is known."""
    op.add_column(
        "submissions",
        sa.Column("model", sa.Text, comment="Which one was asked; null in rows made before that was kept."),
    )
    op.add_column(
        "generations",
        sa.Column("prices_micros", sa.JSON, comment="By model; null when the only one is unit_cost_micros."),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_column("generations", "prices_micros")
    op.drop_column("submissions", "model")
