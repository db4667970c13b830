"""Settings that administrators change while the service runs; synonyms; golden questions."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Settings by name, groups of synonyms by official term, and questions to measure with."""
    op.create_table(
        "setting",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.String(length=64), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
    )
    op.create_index(op.f("ix_setting_version"), "setting", ["version"])
    op.create_table(
        "synonym_group",
        sa.Column("official", sa.String(length=64), nullable=False),
        sa.Column("said", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_by", sa.String(length=64), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("official", name=op.f("pk_synonym_group")),
        sa.UniqueConstraint("version", name=op.f("uq_synonym_group_version")),
    )
    op.create_table(
        "golden_question",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("expect", sa.String(length=512), nullable=True),
        sa.Column("region_code", sa.String(length=6), nullable=True),
        sa.Column("as_of", sa.Date(), nullable=True),
        sa.Column("added_by", sa.String(length=64), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_golden_question")),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("golden_question")
    op.drop_table("synonym_group")
    op.drop_index(op.f("ix_setting_version"), table_name="setting")
    op.drop_table("setting")
