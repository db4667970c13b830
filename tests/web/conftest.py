"""One application over the sample data for all tests of pages, with texts that bite.

Hides where it lives and what had to be added to the samples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser

from app import create_app
from embeddings import Encoder
from kb.documents import Upload
from kb.exchange import EntryRecord
from service.accounts import ROLES
from service.commands import load_samples
from service.config import Settings
from service.people import Profile
from service.runtime import Runtime
from service.web.runtime import runtime
from tests.factories import regulation
from tests.web.browsing import chromium, served

NOW = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)
# Nothing of this may reach a page unescaped.
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
ARTICLES = 1200


@dataclass(frozen=True)
class Held:
    """Numbers of what the tests look at."""

    repealed: int
    successor: int
    guide: int
    hostile_document: int
    hostile_entry: int
    long_document: int
    entry: int


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Iterator[Flask]:
    # All tests come from one address.
    settings = Settings(
        data_dir=str(tmp_path_factory.mktemp("pages")), region="370200", public_per_minute=100_000
    )
    application = create_app(settings, encoder=encoder, now=lambda: NOW, follow=False)
    with application.app_context():
        load_samples(runtime())
        _add_hostile(runtime())
        runtime().indexer.catch_up()
        objects = runtime()
    yield application
    objects.close()


@pytest.fixture(scope="session")
def site(app: Flask) -> Iterator[str]:
    """The address of the running application."""
    with served(app) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def held(app: Flask) -> Held:
    with app.app_context():
        library, today = runtime().library, runtime().today()
        count = library.counts()
        titles = {
            library.document(number, today).title: number
            for number in range(1, count.documents + 1)
        }
        entries = {
            passage.entry.code: number
            for number in range(1, count.entries + 1)
            if (passage := library.entry(number, today)).entry
        }
    return Held(
        repealed=titles["示例市流动人口居住证管理办法"],
        successor=titles["示例市居住证服务管理办法"],
        guide=titles["示例市企业开办“一件事”办事指南"],
        hostile_document=titles[f"{HOSTILE}管理办法"],
        hostile_entry=entries["HOSTILE-1"],
        long_document=titles["长文管理办法"],
        entry=entries["SAMPLE-HF-001"],
    )


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    with app.test_client() as client:
        client.environ_base["HTTP_ACCEPT"] = "text/html"
        yield client


class Staff(FlaskClient):
    """A browser in which somebody is signed in."""

    def csrf(self) -> dict[str, str]:
        """The header that a script of this session sends with what changes something."""
        page = self.get("/password").get_data(as_text=True)
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
        assert found
        return {"X-CSRF-Token": found[1]}


@pytest.fixture(scope="session")
def passwords() -> dict[str, str]:
    """Names of the people that tests have made so far, and their passwords."""
    return {}


@pytest.fixture
def signed_in(
    app: Flask, passwords: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Staff]:
    """A factory: role, number → the browser of ROLE-NUMBER, signed in, made when new.

    One person may be signed in three times at once.
    """
    monkeypatch.setattr(app, "test_client_class", Staff)

    def sign_in(role: str, number: int = 1) -> Staff:
        name = f"{role}-{number}"
        with app.app_context():
            accounts = runtime().accounts
            if name not in passwords:
                _add_person(runtime(), name, passwords)
            token = accounts.sign_in(name, passwords[name], address="127.0.0.1")
        client = app.test_client()
        assert isinstance(client, Staff)
        client.environ_base["HTTP_ACCEPT"] = "text/html"
        client.set_cookie("policyqa", token)
        return client

    return sign_in


def _add_person(objects: Runtime, name: str, passwords: dict[str, str]) -> None:
    role = name.partition("-")[0]
    profile = Profile(name, role, display_name=f"{ROLES[role]}{name[-1]}", department="市政务局")
    first = objects.people.add(profile, by="test")
    token = objects.accounts.sign_in(name, first, address="127.0.0.1")
    passwords[name] = f"Kite-flies-{len(passwords)}-high"
    objects.accounts.change_password(token, first, passwords[name], address="127.0.0.1")


def filled(rule: str, number: int = 1) -> str:
    """An address for the rule of a route: a number in each place, the first of several words."""
    words = re.sub(r"<any\(\W*([\w-]+)[^>]*>", r"\1", rule)
    return re.sub(r"<[^>]*>", str(number), words)


def _add_hostile(runtime: Runtime) -> None:
    biting = regulation("某办法", f"{HOSTILE}的登记办法。", "自公布之日起登记。")
    # Articles are numbered with digits here: this is about length, not about numerals.
    long = "\n\n".join(
        [
            "长文管理办法",
            *(f"第{number}条 第{number}件事的规定。" for number in range(1, ARTICLES + 1)),
        ]
    )
    uploads = [
        Upload(
            biting.encode(),
            "某办法.txt",
            title=f"{HOSTILE}管理办法",
            department=f"{HOSTILE}局",
            source_url="javascript:alert(3)",
        ),
        Upload(long.encode(), "长文.txt", source_url="https://example.org/long?a=1&b=2"),
    ]
    outcomes = list(runtime.documents.add(uploads, actor="编辑", publish=True))
    assert [each.outcome for each in outcomes] == ["imported", "imported"], outcomes
    record = EntryRecord(
        question=f"牧场围栏{HOSTILE}怎么登记？",
        answer=f"第一行{HOSTILE}\n1. 第二行",
        department=f"{HOSTILE}局",
        topic=HOSTILE,
        basis=(f"《{HOSTILE}管理办法》第一条",),
        phone="0532-1234 5678",
        status="published",
        code="HOSTILE-1",
    )
    [saved] = runtime.entries.save([(1, record)], actor="编辑", publish=True)
    assert saved.outcome == "added", saved
