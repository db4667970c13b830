"""The walk of an entry through its pages, as a browser without scripts, on both databases."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from embeddings import Encoder
from kb.documents import Documents
from kb.history import Version
from kb.models import State
from service.config import Settings
from service.conversations import Question
from service.desk.reports import Reports
from service.people import Profile
from service.web.runtime import runtime
from tests.factories import publish, regulation
from tests.web.conftest import HOSTILE

TITLE = "某市停车管理办法"
QUESTION = "路边停车怎么收费？"
TODAY = date(2026, 3, 2)
PASSWORD = "Kite-flies-0-high"


class Calendar:
    """Noon in China of the day that a test has come to."""

    def __init__(self) -> None:
        self.day = TODAY

    def __call__(self) -> datetime:
        return datetime(self.day.year, self.day.month, self.day.day, 4, tzinfo=UTC)


class Person:
    """A browser in which somebody is signed in."""

    def __init__(self, app: Flask, name: str) -> None:
        self.client: FlaskClient = app.test_client()
        self.client.environ_base["HTTP_ACCEPT"] = "text/html"
        with app.app_context():
            token = runtime().accounts.sign_in(name, PASSWORD, address="127.0.0.1")
        self.client.set_cookie("policyqa", token)

    def get(self, address: str, *, code: int = 200) -> str:
        response = self.client.get(address, follow_redirects=True)
        assert response.status_code == code, (address, response.status_code)
        return response.get_data(as_text=True)

    def post(self, address: str, *, code: int = 200, **form: str) -> str:
        found = re.search(r'name="csrf" content="([0-9a-f]+)"', self.get("/admin"))
        assert found
        response = self.client.post(address, data={**form, "csrf": found[1]}, follow_redirects=True)
        text = response.get_data(as_text=True)
        assert response.status_code == code, (address, response.status_code, text)
        return text


class City:
    """An installation with people of two departments, and its calendar."""

    def __init__(self, app: Flask, calendar: Calendar) -> None:
        self.app, self.calendar = app, calendar
        self.people: dict[str, Person] = {}
        with app.app_context():
            people, accounts = runtime().people, runtime().accounts
            for name, role, department in (
                ("writer", "editor", "甲局"),
                ("colleague", "editor", "甲局"),
                ("reviewer", "reviewer", "甲局"),
                ("stranger", "editor", "乙局"),
                ("boss", "admin", ""),
            ):
                profile = Profile(name, role, display_name=name, department=department)
                first = people.add(profile, by="test")
                token = accounts.sign_in(name, first, address="127.0.0.1")
                accounts.change_password(token, first, PASSWORD, address="127.0.0.1")

    def __getitem__(self, name: str) -> Person:
        if name not in self.people:
            self.people[name] = Person(self.app, name)
        return self.people[name]

    def pass_days(self, count: int) -> None:
        """Let days go by; everybody has to sign in again."""
        self.calendar.day += timedelta(days=count)
        self.people.clear()

    def ask(self) -> str:
        with self.app.app_context():
            objects = runtime()
            objects.indexer.catch_up()
            return objects.answerer.answer(Question(QUESTION, objects.today())).text

    def documents(self) -> Documents:
        with self.app.app_context():
            return runtime().documents

    def latest(self) -> Version:
        """The version that was begun last."""
        with self.app.app_context():
            entries = runtime().library.counts().entries
            return runtime().history.versions(entries)[0]


@pytest.fixture
def city(sqlite_file: Path, tmp_path: Path, encoder: Encoder) -> Iterator[City]:
    """A city on SQLite."""
    url = f"sqlite:///{shutil.copy(sqlite_file, tmp_path / 'city.db')}"
    yield from _city(url, tmp_path, encoder)


@pytest.fixture
def either_city(database_url: str, tmp_path: Path, encoder: Encoder) -> Iterator[City]:
    """A city on SQLite, and one on PostgreSQL: for what depends on the database."""
    yield from _city(database_url, tmp_path, encoder)


def _city(database_url: str, tmp_path: Path, encoder: Encoder) -> Iterator[City]:
    calendar = Calendar()
    settings = Settings(
        database_url=database_url, data_dir=str(tmp_path / "data"), public_per_minute=100_000
    )
    app = create_app(settings, encoder=encoder, now=calendar, follow=False)
    yield City(app, calendar)
    with app.app_context():
        objects = runtime()
    objects.close()


def form(**changes: str) -> dict[str, str]:
    """The form of a draft with everything that an entry needs."""
    return {
        "question": QUESTION,
        "answer": "每小时收费三元，不足一小时按一小时计。",
        "similar": "路边车位多少钱\n停车费怎么算",
        "department": "甲局",
        "basis": f"《{TITLE}》第一条",
        "review_due": "2027-03-02",
    } | changes


def begin(city: City, **changes: str) -> int:
    """The number of a draft that the writer has saved."""
    text = city["writer"].post("/admin/entries/new", **form(**changes), do="save", seen="0")
    assert "草稿已保存" in text
    return city.latest().id


def published(city: City) -> int:
    """The number of an entry that citizens get."""
    number = begin(city)
    edit = f"/admin/entries/versions/{number}/edit"
    city["writer"].post(edit, **form(), do="submit", seen="1")
    city["reviewer"].post(f"/admin/reviews/{number}/approve", when="now")
    return city.latest().entry_id


def park(city: City, *, fee: str = "三元", title: str = TITLE, since: date | None = None) -> int:
    text = regulation(title, f"路边停车每小时收费{fee}。", effective=since or date(2020, 1, 1))
    return publish(city.documents(), text)


def test_from_writing_to_revising(either_city: City) -> None:
    city = either_city
    document = park(city)
    writer, reviewer = city["writer"], city["reviewer"]
    number = begin(city, answer="每小时收费四元，不足一小时按一小时计。")
    edit = f"/admin/entries/versions/{number}/edit"
    wrong = form(answer="每小时收费四元，不足一小时按一小时计。")
    text = writer.post(edit, **wrong, do="submit", seen="1", comment="请看收费标准")
    assert "已经送审" in text
    assert QUESTION in reviewer.get("/admin/reviews")
    text = reviewer.get(f"/admin/reviews/{number}")
    assert "路边停车每小时收费三元。" in text and "新条目" in text and "请看收费标准" in text

    assert "请写明退回的理由" in reviewer.post(f"/admin/reviews/{number}/return", code=400)
    assert "已退回" in reviewer.post(f"/admin/reviews/{number}/return", reason="应为三元")
    assert "应为三元" in writer.get("/admin/entries?kind=mine")
    entry = city.latest().entry_id
    writer.post(f"/admin/entries/{entry}/draft")
    second = city.latest().id
    edit = f"/admin/entries/versions/{second}/edit"
    assert "已经送审" in writer.post(edit, **form(), do="submit", seen="1")
    assert "已发布" in reviewer.post(f"/admin/reviews/{second}/approve", when="now")
    assert city.ask() == form()["answer"]

    city.pass_days(30)
    writer, reviewer = city["writer"], city["reviewer"]
    city.documents().repeal(document, on=city.calendar.day, actor="reviewer")
    assert "废止" in city.ask() and "三元" not in city.ask().partition("\n\n")[0]
    assert "废止" in writer.get("/admin/entries?kind=flagged")
    assert "群众现在得不到" in writer.get(f"/admin/entries/{entry}")

    newer = "某市静态交通办法"
    park(city, fee="五元", title=newer, since=city.calendar.day)
    writer.post(f"/admin/entries/{entry}/draft")
    third = city.latest().id
    edit = f"/admin/entries/versions/{third}/edit"
    fresh = form(answer="每小时收费五元，不足一小时按一小时计。", basis=f"《{newer}》第一条")
    assert "已经送审" in writer.post(edit, **fresh, do="submit", seen="1")
    text = reviewer.get(f"/admin/reviews/{third}")
    assert "<del>" in text and "五" in text and "路边停车每小时收费五元。" in text
    reviewer.post(f"/admin/reviews/{third}/approve", when="now")
    assert city.ask() == fresh["answer"]
    then = writer.get(f"/admin/entries/{entry}?day={TODAY}")
    assert "群众看到的是" in then and form()["answer"] in then
    assert "<del>" in writer.get(f"/admin/entries/{entry}/difference?old=2&new=3")


def test_two_people_never_overwrite_each_other(either_city: City) -> None:
    city = either_city
    number = begin(city)
    edit = f"/admin/entries/versions/{number}/edit"
    city["colleague"].post(edit, **form(answer="同事写的：每小时三元。"), do="save", seen="1")
    mine = form(answer="我写的：一小时三元整。")
    text = city["writer"].post(edit, **mine, do="save", seen="1", code=409)
    assert (
        "从对方保存的到您写的" in text
        and "<del>" in text
        and mine["answer"] in text
        and 'name="seen" value="2"' in text
    )
    assert city.latest().record.answer == "同事写的：每小时三元。"
    city["writer"].post(edit, **mine, do="save", seen="2")
    assert city.latest().record.answer == mine["answer"]


def test_what_was_published_meanwhile_is_shown_before_a_draft_goes_on(city: City) -> None:
    entry = published(city)
    city["writer"].post(f"/admin/entries/{entry}/draft")
    draft = city.latest()
    with city.app.app_context():
        record = draft.record
        changed = [(1, type(record)(**{**vars(record), "answer": "导入的：每小时两元。"}))]
        runtime().entries.save(changed, actor="boss", publish=True)
    edit = f"/admin/entries/versions/{draft.id}/edit"
    mine = form(answer="我写的：一小时三元整。")
    text = city["writer"].post(edit, **mine, do="submit", seen="1", code=409)
    assert "从现在公开的到您写的" in text and "<del>" in text and mine["answer"] in text
    seen = re.search(r'name="seen" value="(\d+)"', text)
    based_on = re.search(r'name="based_on" value="(\d+)"', text)
    assert seen and based_on
    text = city["writer"].post(edit, **mine, do="submit", seen=seen[1], based_on=based_on[1])
    assert "已经送审" in text


def test_what_does_not_hold_is_said_and_nothing_typed_is_lost(city: City) -> None:
    writer = city["writer"]
    bad = form(review_due="明年", region="桃花源", answer="很长的答复，不能丢。")
    text = writer.post("/admin/entries/new", **bad, do="save", seen="0", code=400)
    assert "没有地区" in text and "应写成年月日" in text and "很长的答复，不能丢。" in text
    text = writer.post("/admin/entries/new", **form(answer=""), do="submit", seen="0", code=400)
    assert "还不能送审" in text and "路边车位多少钱" in text


def test_a_clause_is_found_and_added_without_losing_the_form(city: City) -> None:
    park(city)
    with city.app.app_context():
        runtime().indexer.catch_up()
    writer = city["writer"]
    blank = form(basis="", answer="还没有存的字")
    text = writer.post("/admin/entries/new", **blank, do="find", find=f"{TITLE}第一条", seen="0")
    assert f'value="《{TITLE}》第一条"' in text and "还没有存的字" in text
    text = writer.post("/admin/entries/new", **blank, add=f"《{TITLE}》第一条", seen="0")
    assert re.search(rf"<textarea id=\"basis\"[^>]*>《{TITLE}》第一条", text)


def test_nobody_reviews_what_they_wrote(city: City) -> None:
    boss = city["boss"]
    boss.post("/admin/entries/new", **form(), do="submit", seen="0")
    number = city.latest().id
    assert "须由别人审核" in boss.get(f"/admin/reviews/{number}")
    boss.post(f"/admin/reviews/{number}/approve", when="now", code=409)
    assert city.latest().state is State.SUBMITTED
    assert QUESTION not in boss.get("/admin/reviews")


def test_other_departments_entries_are_out_of_reach(city: City) -> None:
    entry = published(city)
    city["writer"].post(f"/admin/entries/{entry}/draft")
    number, before = city.latest().id, city.latest()
    stranger = city["stranger"]
    for address in (
        f"/admin/entries/{entry}",
        f"/admin/entries/{entry}/difference?old=1&new=2",
        f"/admin/entries/versions/{number}",
        f"/admin/entries/versions/{number}/preview",
        f"/admin/entries/versions/{number}/edit",
    ):
        stranger.get(address, code=404)
    for step in ("draft", "confirm"):
        stranger.post(f"/admin/entries/{entry}/{step}", note="x", code=404)
    stranger.post(f"/admin/entries/versions/{number}/edit", **form(), seen="1", code=404)
    assert QUESTION not in stranger.get("/admin/entries?kind=all")
    # Nor does a form give an entry to somebody else, or say that it is published.
    city["writer"].post(
        f"/admin/entries/versions/{number}/edit",
        **form(department="乙局", status="published", state="published", author="boss"),
        seen="1",
    )
    after = city.latest()
    assert (after.record.department, after.author, after.state) == ("甲局", "writer", before.state)


def test_approved_for_later_waits_and_can_be_published_at_once(either_city: City) -> None:
    city = either_city
    number = begin(city)
    edit = f"/admin/entries/versions/{number}/edit"
    city["writer"].post(edit, **form(), do="submit", seen="1")
    approve, reviewer = f"/admin/reviews/{number}/approve", city["reviewer"]
    assert "发布时间已经过了" in reviewer.post(
        approve, when="later", publish_at="2020-01-01T09:00", code=400
    )
    reviewer.post(approve, when="later", publish_at="2026-04-01T09:00")
    assert "4月1日" in reviewer.get("/admin/reviews?show=scheduled")
    assert city.latest().state is State.APPROVED
    reviewer.post(f"/admin/reviews/{number}/publish")
    assert city.ask() == form()["answer"]


def test_withdrawn_with_a_reason_and_confirmed_with_a_day(city: City) -> None:
    entry = published(city)
    reviewer = city["reviewer"]
    address = f"/admin/entries/{entry}"
    assert "为什么仍然有效" in reviewer.post(f"{address}/confirm", code=400)
    reviewer.post(f"{address}/confirm", note="已核对", review_due="2027-06-01")
    with city.app.app_context():
        current = runtime().history.current(entry)
        assert current is not None and current.record.review_due == date(2027, 6, 1)
    assert "请写明撤回的理由" in reviewer.post(f"{address}/withdraw", code=400)
    assert "不会再得到" in reviewer.post(f"{address}/withdraw", reason="办法变了")
    assert city.ask() != form()["answer"]
    city["writer"].post(f"{address}/withdraw", reason="x", code=403)


def test_the_record_of_an_answer_shows_what_was_said_and_what_is_said_now(city: City) -> None:
    entry = published(city)
    with city.app.app_context():
        objects = runtime()
        objects.indexer.catch_up()
        given = objects.answerer.answer(Question(QUESTION, objects.today()))
    writer = city["writer"]
    assert f"/admin/answers/{given.id}" in writer.get(f"/admin/entries/{entry}")
    assert "现在公开的和当时一样" in writer.get(f"/admin/answers/{given.id}")
    writer.post(f"/admin/entries/{entry}/draft")
    number = city.latest().id
    newer = form(answer="每小时收费九元，不足一小时按一小时计。")
    writer.post(f"/admin/entries/versions/{number}/edit", **newer, do="submit", seen="1")
    city["reviewer"].post(f"/admin/reviews/{number}/approve", when="now")
    text = writer.get(f"/admin/answers/{given.id}")
    assert form()["answer"] in text and "<del>" in text
    city["stranger"].get(f"/admin/answers/{given.id}", code=404)


def test_what_operators_report_reaches_the_department_alone(city: City) -> None:
    entry = published(city)
    with city.app.app_context():
        objects = runtime()
        reports: Reports = objects.reports
        passage = objects.library.entry(entry, objects.today())
        reports.toggle(objects.people.named("boss").id, passage, "wrong", f"收费不对{HOSTILE}")
        [report] = reports.open()
    text = city["writer"].get("/admin/corrections")
    assert "收费不对" in text and "<script>alert" not in text
    assert "收费不对" not in city["stranger"].get("/admin/corrections")
    address = f"/admin/corrections/{report.id}/settle"
    city["stranger"].post(address, code=404)
    assert "没有待处理的反映" in city["writer"].post(address)


def test_hostile_words_stay_words(city: City) -> None:
    number = begin(city, question=f"{QUESTION}{HOSTILE}"[:190], answer=HOSTILE, similar=HOSTILE)
    for address in (
        "/admin/entries?kind=mine",
        f"/admin/entries/versions/{number}",
        f"/admin/entries/versions/{number}/edit",
        f"/admin/entries/versions/{number}/preview",
    ):
        text = city["writer"].get(address)
        assert "<script>alert" not in text and "<img src=x" not in text, address


def test_the_first_page_counts_ones_work(city: City) -> None:
    number = begin(city)
    assert "<strong>1</strong><span>我的草稿" in city["writer"].get("/admin")
    edit = f"/admin/entries/versions/{number}/edit"
    city["writer"].post(edit, **form(), do="submit", seen="1")
    assert "<strong>1</strong><span>待我审核" in city["reviewer"].get("/admin")
    assert "<strong>0</strong><span>我的草稿" in city["stranger"].get("/admin")
