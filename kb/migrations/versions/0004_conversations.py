"""What a conversation is about, so that the next question can follow it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add whose a conversation is, what it is about and since when, and what was looked for."""
    with op.batch_alter_table("conversation") as table:
        table.add_column(
            sa.Column("system", sa.String(length=64), server_default=sa.text("''"), nullable=False)
        )
        table.add_column(
            sa.Column("context", sa.Text(), server_default=sa.text("''"), nullable=False)
        )
        table.add_column(sa.Column("context_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("exchange") as table:
        table.add_column(
            sa.Column("understood", sa.Text(), server_default=sa.text("''"), nullable=False)
        )


def downgrade() -> None:
    """Forget it."""
    with op.batch_alter_table("exchange") as table:
        table.drop_column("understood")
    with op.batch_alter_table("conversation") as table:
        table.drop_column("context_at")
        table.drop_column("context")
        table.drop_column("system")
