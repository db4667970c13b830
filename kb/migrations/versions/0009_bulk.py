"""Entry tables that are imported by a page, and who wrote and reviewed revisions of documents."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Jobs of imports; of a revision those who worked on it, its reviewer and what they said."""
    op.create_table(
        "import_job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(length=32), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_job")),
    )
    op.create_index(op.f("ix_import_job_state"), "import_job", ["state"])
    op.create_index(op.f("ix_import_job_created_by"), "import_job", ["created_by"])
    empty = sa.text("''")
    op.add_column(
        "revision", sa.Column("contributors", sa.Text(), nullable=False, server_default=empty)
    )
    op.add_column("revision", sa.Column("reviewer", sa.String(length=64), nullable=True))
    op.add_column("revision", sa.Column("reason", sa.Text(), nullable=False, server_default=empty))


def downgrade() -> None:
    """Drop them."""
    for column in ("reason", "reviewer", "contributors"):
        op.drop_column("revision", column)
    op.drop_index(op.f("ix_import_job_created_by"), table_name="import_job")
    op.drop_index(op.f("ix_import_job_state"), table_name="import_job")
    op.drop_table("import_job")
