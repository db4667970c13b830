"""Groups of questions without an answer, counts of what was asked, daily checks."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('daily_check',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('claimed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('verdict', sa.String(length=16), nullable=False),
    sa.Column('findings', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('day', name=op.f('pk_daily_check'))
    )
    op.create_table('phrasing_proposal',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('entry_id', sa.Integer(), nullable=False),
    sa.Column('text', sa.String(length=256), nullable=False),
    sa.Column('negative', sa.Boolean(), nullable=False),
    sa.Column('evidence', sa.Integer(), nullable=False),
    sa.Column('last_seen', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('decided_by', sa.String(length=64), nullable=False),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_phrasing_proposal')),
    sa.UniqueConstraint('entry_id', 'text', 'negative', name=op.f('uq_phrasing_proposal_entry_id_text_negative'))
    )
    with op.batch_alter_table('phrasing_proposal', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_phrasing_proposal_entry_id'), ['entry_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_phrasing_proposal_state'), ['state'], unique=False)

    op.create_table('tallied_day',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('day', name=op.f('pk_tallied_day'))
    )
    op.create_table('tally',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('channel', sa.String(length=32), nullable=False),
    sa.Column('region', sa.String(length=6), nullable=False),
    sa.Column('department', sa.String(length=128), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.Column('helpful', sa.Integer(), nullable=False),
    sa.Column('unhelpful', sa.Integer(), nullable=False),
    sa.Column('counts', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tally'))
    )
    with op.batch_alter_table('tally', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_tally_day'), ['day'], unique=False)

    op.create_table('gap',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('title', sa.String(length=512), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('department_id', sa.Integer(), nullable=True),
    sa.Column('routing', sa.Double(), nullable=False),
    sa.Column('topic', sa.String(length=64), nullable=False),
    sa.Column('region_code', sa.String(length=6), nullable=True),
    sa.Column('nearest', sa.JSON(), nullable=False),
    sa.Column('draft_id', sa.Integer(), nullable=True),
    sa.Column('due_on', sa.Date(), nullable=True),
    sa.Column('size', sa.Integer(), nullable=False),
    sa.Column('askers', sa.Integer(), nullable=False),
    sa.Column('first_seen', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_seen', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['department_id'], ['department.id'], name=op.f('fk_gap_department_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_gap'))
    )
    with op.batch_alter_table('gap', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_gap_department_id'), ['department_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_gap_due_on'), ['due_on'], unique=False)
        batch_op.create_index(batch_op.f('ix_gap_last_seen'), ['last_seen'], unique=False)
        batch_op.create_index(batch_op.f('ix_gap_size'), ['size'], unique=False)
        batch_op.create_index(batch_op.f('ix_gap_state'), ['state'], unique=False)

    op.create_table('gap_question',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('gap_id', sa.Integer(), nullable=False),
    sa.Column('exchange_id', sa.String(length=32), nullable=True),
    sa.Column('ticket_id', sa.Integer(), nullable=True),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('asker', sa.String(length=64), nullable=False),
    sa.Column('channel', sa.String(length=32), nullable=False),
    sa.Column('region_code', sa.String(length=6), nullable=True),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['exchange_id'], ['exchange.id'], name=op.f('fk_gap_question_exchange_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['gap_id'], ['gap.id'], name=op.f('fk_gap_question_gap_id')),
    sa.ForeignKeyConstraint(['ticket_id'], ['ticket.id'], name=op.f('fk_gap_question_ticket_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_gap_question')),
    sa.UniqueConstraint('exchange_id', name=op.f('uq_gap_question_exchange_id')),
    sa.UniqueConstraint('ticket_id', name=op.f('uq_gap_question_ticket_id'))
    )
    with op.batch_alter_table('gap_question', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_gap_question_asked_at'), ['asked_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_gap_question_gap_id'), ['gap_id'], unique=False)

    with op.batch_alter_table('feedback', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_feedback_given_at'), ['given_at'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('feedback', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_feedback_given_at'))

    with op.batch_alter_table('gap_question', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_gap_question_gap_id'))
        batch_op.drop_index(batch_op.f('ix_gap_question_asked_at'))

    op.drop_table('gap_question')
    with op.batch_alter_table('gap', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_gap_state'))
        batch_op.drop_index(batch_op.f('ix_gap_size'))
        batch_op.drop_index(batch_op.f('ix_gap_last_seen'))
        batch_op.drop_index(batch_op.f('ix_gap_due_on'))
        batch_op.drop_index(batch_op.f('ix_gap_department_id'))

    op.drop_table('gap')
    with op.batch_alter_table('tally', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_tally_day'))

    op.drop_table('tally')
    op.drop_table('tallied_day')
    with op.batch_alter_table('phrasing_proposal', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_phrasing_proposal_state'))
        batch_op.drop_index(batch_op.f('ix_phrasing_proposal_entry_id'))

    op.drop_table('phrasing_proposal')
    op.drop_table('daily_check')
