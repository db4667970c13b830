"""Versions of entries, their review, flags, and the chained audit log."""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from kb.journal import BEGINNING, chained
from kb.models import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATES = (
    "draft", "discarded", "submitted", "returned", "approved", "published", "in_review", "expired",
    "repealed", "revised", "withdrawn",
)  # fmt: skip
OPEN = sa.text("state IN ('draft', 'submitted', 'approved')")
# What is wrong, by table → event → condition on the row before (OLD) and after (NEW).
REFUSED = {
    "audit": {"UPDATE": "1 = 1", "DELETE": "1 = 1"},
    "entry_version": {
        "DELETE": "1 = 1",
        "UPDATE": """
            OLD.entry_id <> NEW.entry_id
            OR (OLD.state <> 'draft' AND (
                NEW.state = 'draft'
                OR {json}OLD.content{text} <> {json}NEW.content{text}
                OR OLD.number <> NEW.number
                OR OLD.origin <> NEW.origin
                OR OLD.author <> NEW.author
                OR OLD.contributors <> NEW.contributors
            ))
            OR (OLD.state NOT IN ('draft', 'submitted') AND (
                coalesce(OLD.reviewer, '') <> coalesce(NEW.reviewer, '')
                OR NEW.state = 'submitted'
            ))
            OR (OLD.public_from IS NOT NULL AND (
                NEW.public_from IS NULL OR OLD.public_from <> NEW.public_from
            ))
            OR (OLD.public_until IS NOT NULL AND (
                NEW.public_until IS NULL OR OLD.public_until <> NEW.public_until
            ))
        """,
    },
}


def upgrade() -> None:
    """Add the tables, give every entry its first version, chain the audit log, then lock both."""
    op.add_column(
        "audit",
        sa.Column("digest", sa.String(length=64), server_default=sa.text("''"), nullable=False),
    )
    op.add_column(
        "basis",
        sa.Column("sketch", sa.String(length=64), server_default=sa.text("''"), nullable=False),
    )
    _create_versions()
    _create_flags()
    _chain_audit()
    _give_versions()
    for table, events in REFUSED.items():
        for event, condition in events.items():
            _refuse(table, event, condition)


def downgrade() -> None:
    """Drop what was added; the history is lost."""
    for table, events in REFUSED.items():
        for event in events:
            name = f"{table}_refuse_{event.lower()}"
            on = f" ON {table}" if _postgresql() else ""
            op.execute(f"DROP TRIGGER {name}{on}")
            if _postgresql():
                op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("flag")
    op.drop_table("entry_version")
    with op.batch_alter_table("basis") as batch_op:
        batch_op.drop_column("sketch")
    with op.batch_alter_table("audit") as batch_op:
        batch_op.drop_column("digest")


def _postgresql() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


def _create_versions() -> None:
    state = sa.Enum(*STATES, name="state", native_enum=False, length=16)
    time = sa.DateTime(timezone=True)
    op.create_table(
        "entry_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", state, nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("based_on", sa.Integer(), nullable=True),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("contributors", sa.Text(), nullable=False),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("saved_at", time, nullable=False),
        sa.Column("submitted_at", time, nullable=True),
        sa.Column("reviewer", sa.String(length=64), nullable=True),
        sa.Column("reviewed_at", time, nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("publish_at", time, nullable=True),
        sa.Column("public_from", time, nullable=True),
        sa.Column("public_until", time, nullable=True),
        sa.CheckConstraint(
            "reviewer IS NULL OR replace(contributors, '|' || reviewer || '|', '') = contributors",
            name="reviewed_by_another",
        ),
        sa.CheckConstraint(
            "origin <> 'edit' OR reviewer IS NOT NULL"
            " OR state IN ('draft', 'discarded', 'submitted')",
            name="reviewed_at_all",
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name="fk_entry_version_entry_id"),
        sa.PrimaryKeyConstraint("id", name="pk_entry_version"),
        sa.UniqueConstraint("entry_id", "number", name="uq_entry_version_entry_id_number"),
    )
    op.create_index("ix_entry_version_state", "entry_version", ["state"])
    op.create_index("ix_entry_version_author", "entry_version", ["author"])
    op.create_index(
        "uq_entry_version_open",
        "entry_version",
        ["entry_id"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )


def _create_flags() -> None:
    time = sa.DateTime(timezone=True)
    event = ("entry_id", "version", "reason", "document_id", "article", "since")
    op.create_table(
        "flag",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("document_id", sa.Integer(), nullable=False),
        sa.Column("article", sa.String(length=64), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("withhold_on", sa.Date(), nullable=True),
        sa.Column("sketch", sa.String(length=64), nullable=False),
        sa.Column("found", sa.String(length=255), nullable=False),
        sa.Column("raised_at", time, nullable=False),
        sa.Column("resolved_at", time, nullable=True),
        sa.Column("resolved_by", sa.String(length=64), nullable=False),
        sa.Column("how", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], name="fk_flag_document_id"),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name="fk_flag_entry_id"),
        sa.PrimaryKeyConstraint("id", name="pk_flag"),
        sa.UniqueConstraint(*event, name="uq_flag_event"),
    )
    op.create_index("ix_flag_document_id", "flag", ["document_id"])
    op.create_index("ix_flag_resolved_at", "flag", ["resolved_at"])


def _refuse(table: str, event: str, condition: str) -> None:
    """Let the database itself refuse an event on a table under a condition."""
    name = f"{table}_refuse_{event.lower()}"
    if not _postgresql():
        when = condition.format(json="", text="")
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {when} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is kept as it is'); END"
        )
        return
    when = condition.format(json="(", text=")::text")
    handed_on = "OLD" if event == "DELETE" else "NEW"
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {when} THEN RAISE EXCEPTION '{table} is kept as it is' "
        f"USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN {handed_on}; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
    )


def _chain_audit() -> None:
    """Close the chain over the rows that there are."""
    audit = sa.table(
        "audit",
        *(sa.column(name) for name in ("id", "actor", "action", "subject", "digest")),
        sa.column("at", UtcDateTime()),
        sa.column("detail", sa.JSON()),
    )
    connection = op.get_bind()
    rows = connection.execute(sa.select(audit).order_by(audit.c.id)).mappings().all()
    done = [
        {"of": row["id"], "closed": row["digest"]}
        for row in chained(BEGINNING, (dict(row) for row in rows))
    ]
    if done:
        statement = sa.update(audit).where(audit.c.id == sa.bindparam("of"))
        connection.execute(statement.values(digest=sa.bindparam("closed")), done)


def _give_versions() -> None:
    """Every entry's present content becomes the version that the entry already counts."""
    connection = op.get_bind()
    version = sa.table(
        "entry_version",
        *(
            sa.column(name)
            for name in ("entry_id", "number", "state", "origin", "author", "contributors")
        ),
        *(sa.column(name) for name in ("edits", "comment", "reason")),
        *(
            sa.column(name, UtcDateTime())
            for name in ("created_at", "saved_at", "submitted_at", "public_from")
        ),
        sa.column("content", sa.JSON()),
    )
    rows = list(_versions(connection))
    if rows:
        connection.execute(sa.insert(version), rows)


def _versions(connection: sa.Connection) -> Iterator[dict[str, Any]]:
    entry = sa.table(
        "entry",
        *(
            sa.column(name)
            for name in (
                "id", "question", "answer", "short_answer", "topic", "audience", "phone", "code",
                "region_code", "status", "version", "department_id",
            )
        ),
        *(sa.column(name, sa.Date()) for name in ("effective_on", "expires_on", "review_due")),
        *(sa.column(name, UtcDateTime()) for name in ("created_at", "updated_at")),
    )  # fmt: skip
    department = sa.table("department", sa.column("id"), sa.column("name"))
    parts = {
        "similar": "SELECT entry_id, text FROM phrasing WHERE NOT negative ORDER BY ordinal",
        "negative": "SELECT entry_id, text FROM phrasing WHERE negative ORDER BY ordinal",
        "basis": "SELECT entry_id, text FROM basis ORDER BY ordinal",
        "tags": "SELECT entry_id, name FROM entry_tag JOIN tag ON tag.id = tag_id ORDER BY name",
    }
    held: dict[str, dict[int, list[str]]] = {}
    for name, query in parts.items():
        held[name] = {}
        for entry_id, value in connection.execute(sa.text(query)):
            held[name].setdefault(entry_id, []).append(value)
    query = sa.select(entry, department.c.name.label("department")).join(
        department, department.c.id == entry.c.department_id
    )
    for row in connection.execute(query.order_by(entry.c.id)).mappings():
        public = row["status"] == "published"
        content: dict[str, Any] = {
            name: row[name]
            for name in (
                "question", "answer", "short_answer", "topic", "audience", "phone", "department"
            )
        }  # fmt: skip
        content |= {name: held[name].get(row["id"], []) for name in parts}
        content |= {"code": row["code"] or "", "region": row["region_code"] or ""}
        content |= {
            name: row[name].isoformat() if row[name] else None
            for name in ("effective_on", "expires_on", "review_due")
        }
        yield {
            "entry_id": row["id"],
            "number": row["version"],
            "state": row["status"],
            "content": json.loads(json.dumps(content, ensure_ascii=False, sort_keys=True)),
            "origin": "import",
            "author": "import",
            "contributors": "|import|",
            "edits": 1,
            "comment": "",
            "reason": "",
            "created_at": row["created_at"],
            "saved_at": row["updated_at"],
            "submitted_at": None if row["status"] == "draft" else row["updated_at"],
            "public_from": row["updated_at"] if public else None,
        }
