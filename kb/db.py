"""The database connection; hides what differs between SQLite and PostgreSQL."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

MIGRATIONS = Path(__file__).parent / "migrations"
# Any constant: every process of this product must use the same one.
_WRITER_LOCK = 7_301_202_6


class Database:
    """A connection pool and its transactions.

    Args:
        url: an SQLAlchemy URL, `sqlite:///…` or `postgresql+psycopg://…`.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self.dialect = self._url.get_backend_name()
        if self.dialect == "sqlite":
            self.engine = _sqlite_engine(url)
        else:
            # Times come back in the zone of the session: UTC whatever the server's own zone is.
            self.engine = create_engine(
                url,
                pool_pre_ping=True,
                pool_size=10,
                max_overflow=20,
                connect_args={"options": "-c timezone=UTC"},
            )
        self._writer = self.engine.execution_options(immediate=True)
        self._reader = self.engine
        if self.dialect == "postgresql":
            self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session on one consistent state; nothing it does is kept."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """The only way to write: commits at the end, rolls back on any exception."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def serialise(self, session: Session | Connection) -> None:
        """Let this transaction be the only one that numbers changes until it ends.

        Followers read the change log by number, so numbers must become visible in order. SQLite
        has one writer anyway; PostgreSQL takes an advisory lock.
        """
        if self.dialect == "postgresql":
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})

    def migrate(self) -> None:
        """Create the tables or bring them up to date; several processes may do so at once."""
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self._writer.begin() as connection:
            self.serialise(connection)
            config.attributes["connection"] = connection
            logging.getLogger("alembic").setLevel(logging.WARNING)
            command.upgrade(config, "head")

    def version(self) -> str | None:
        """The migration the tables are at; None for an empty database."""
        with self.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def problem(self) -> str:
        """What is wrong with the stored data, in Chinese; empty when nothing is."""
        query = "PRAGMA quick_check" if self.dialect == "sqlite" else "SELECT 'ok'"
        with self.engine.connect() as connection:
            verdict = str(connection.execute(text(query)).scalar())
        return "" if verdict == "ok" else f"数据库文件损坏：{verdict}"

    def backup(self, target: Path) -> None:
        """Copy an SQLite database consistently, while it may be in use."""
        connection = self.engine.raw_connection()
        try:
            connection.cursor().execute("VACUUM INTO ?", (str(target),))
        finally:
            connection.close()

    def dispose(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 30, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # The driver must not open transactions by itself: `_begin` does, in the right mode.
        for pragma in (
            "journal_mode = WAL",
            "foreign_keys = ON",
            "busy_timeout = 30000",
            "synchronous = FULL",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # A writer takes its lock at once: upgrading a read lock later can fail without waiting.
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
