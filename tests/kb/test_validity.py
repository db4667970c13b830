"""Validity by date: the rules at both ends, and a long random history against a plain model."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest

from kb.db import Database
from kb.documents import Documents
from kb.indexing import Indexer
from kb.models import Document
from kb.search import Scope, Search
from kb.validity import Period, Validity
from tests.factories import TODAY, add, circular, publish, regulation, upload

FIRST, LAST = date(2020, 3, 1), date(2025, 12, 31)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date.min, Validity.NOT_YET),
        (FIRST - DAY, Validity.NOT_YET),
        (FIRST, Validity.IN_FORCE),
        (LAST, Validity.IN_FORCE),
        (LAST + DAY, Validity.EXPIRED),
        (date.max, Validity.EXPIRED),
    ],
)
def test_first_and_last_day_belong_to_it(day: date, expected: Validity) -> None:
    assert Period(effective_on=FIRST, expires_on=LAST).on(day) is expected


@pytest.mark.parametrize(
    ("period", "ended"),
    [
        (Period(FIRST, superseded_on=LAST), Validity.AMENDED),
        (Period(FIRST, repealed_on=LAST), Validity.REPEALED),
    ],
)
def test_the_day_of_its_end_does_not(period: Period, ended: Validity) -> None:
    assert period.on(LAST - DAY) is Validity.IN_FORCE
    assert period.on(LAST) is ended
    assert period.on(date.max) is ended


def test_without_dates_it_is_always_in_force() -> None:
    assert {Period().on(day) for day in (date.min, FIRST, date.max)} == {Validity.IN_FORCE}


def test_the_strongest_end_is_named() -> None:
    everything = Period(FIRST, LAST, superseded_on=LAST, repealed_on=LAST + 2 * DAY)
    days = [FIRST - DAY, FIRST, LAST, LAST + DAY, LAST + 2 * DAY]
    assert [everything.on(day) for day in days] == [
        Validity.NOT_YET,
        Validity.IN_FORCE,
        Validity.AMENDED,
        Validity.AMENDED,
        Validity.REPEALED,
    ]


def test_what_is_replaced_before_its_first_day_never_applies() -> None:
    period = Period(FIRST, superseded_on=FIRST)
    assert period.on(FIRST - DAY) is Validity.NOT_YET
    assert period.on(FIRST) is Validity.AMENDED


def parking(start: date | None, fee: str = "三元") -> str:
    return regulation("某市停车管理办法", f"路边停车每小时收费{fee}。", effective=start)


def periods(database: Database, document_id: int) -> dict[int, tuple[date | None, date | None]]:
    """Number of each revision → when it begins and when another one took over."""
    with database.reading() as session:
        revisions = session.get_one(Document, document_id).revisions
    return {each.number: (each.effective_on, each.superseded_on) for each in revisions}


class TestPeriods:
    """Which dates revisions get from each other when they are published."""

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
    def test_each_ends_where_the_next_begins_in_any_order_of_import(
        self, database: Database, documents: Documents, order: tuple[int, ...]
    ) -> None:
        starts = [date(2010, 1, 1), date(2015, 7, 1), date(2030, 1, 1)]
        for number in order:
            publish(documents, parking(starts[number], f"{number}元"))
        ends = {start: end for start, end in periods(database, 1).values()}
        assert ends == {starts[0]: starts[1], starts[1]: starts[2], starts[2]: None}

    def test_a_draft_supersedes_nothing(self, database: Database, documents: Documents) -> None:
        document_id = publish(documents, parking(date(2010, 1, 1)))
        add(documents, upload(parking(date(2020, 1, 1), "五元")), publish=False)
        assert periods(database, document_id)[1] == (date(2010, 1, 1), None)
        documents.publish(document_id, actor="审核")
        assert periods(database, document_id)[1] == (date(2010, 1, 1), date(2020, 1, 1))

    def test_a_corrected_file_of_the_same_day_replaces_the_first(
        self, database: Database, documents: Documents
    ) -> None:
        publish(documents, parking(date(2020, 1, 1), "三元"))
        publish(documents, parking(date(2020, 1, 1), "五元"))
        day = date(2020, 1, 1)
        assert periods(database, 1) == {1: (day, day), 2: (day, None)}

    def test_without_any_date_the_newest_counts_at_once(
        self, database: Database, documents: Documents
    ) -> None:
        for fee in ("三元", "四元", "五元"):
            publish(documents, parking(None, fee))
        ends = [end for _, end in periods(database, 1).values()]
        assert ends[-1] is None
        assert all(end is not None and end <= TODAY for end in ends[:-1])

    def test_an_undated_revision_replaces_a_dated_one(
        self, database: Database, documents: Documents
    ) -> None:
        publish(documents, parking(date(2020, 1, 1)))
        publish(documents, parking(None, "五元"))
        ends = {number: end for number, (_, end) in periods(database, 1).items()}
        assert ends == {1: date(2020, 1, 1), 2: None}

    def test_the_document_bears_the_number_of_its_last_revision(
        self, database: Database, documents: Documents
    ) -> None:
        url = "https://a.test/1"
        for year in (2024, 2023):
            content = circular(
                f"某市{year}年补贴通知",
                f"某政发〔{year}〕5号",
                "补贴。",
                effective=date(year, 1, 1),
            )
            publish(documents, content, source_url=url)
        with database.reading() as session:
            number = session.get_one(Document, 1).document_number
        assert number == "某政发〔2024〕5号"


@dataclass
class Policy:
    """A document of the model: its revisions, and when it ended as a whole."""

    title: str
    id: int = 0
    revisions: list[tuple[date, int, date | None]] = field(default_factory=list)
    repealed_on: date | None = None
    withdrawn: bool = False

    def in_force(self, day: date) -> int | None:
        """The number of the text that applies on a day."""
        if self.withdrawn or (self.repealed_on and day >= self.repealed_on):
            return None
        begun = [each for each in self.revisions if each[0] <= day]
        if not begun:
            return None
        _, text, last_day = max(begun)
        return None if last_day and day > last_day else text


class History:
    """Random changes, made in the base and in the model alike."""

    def __init__(self, documents: Documents, seed: int) -> None:
        self._documents = documents
        self._random = random.Random(seed)
        self.policies: list[Policy] = []
        self._repeals: list[tuple[str, date, Policy]] = []
        self._texts = 0

    def change(self) -> None:
        change = self._random.choices(
            (self._enact, self._revise, self._repeal, self._replace, self._withdraw, self._return),
            (35, 40, 8, 10, 4, 3),
        )[0]
        change()

    def day(self) -> date:
        return date(2000, 1, 1) + timedelta(days=self._random.randrange(365 * 30))

    def day_to_ask(self) -> date:
        """A random day, or one at the beginning or the end of something."""
        policy = self._random.choice(self.policies)
        start, _, last_day = self._random.choice(policy.revisions)
        turn = self._random.choice(
            (self.day(), start, last_day or start, policy.repealed_on or start)
        )
        return turn + self._random.choice((-1, 0, 1)) * DAY

    def _enact(self, repeals: tuple[str, ...] = (), start: date | None = None) -> None:
        self._publish(f"某市第{len(self.policies) + 1}号事项管理办法", start or self.day(), repeals)

    def _revise(self) -> None:
        if self.policies:
            self._publish(self._random.choice(self.policies).title, self.day())

    def _replace(self) -> None:
        """One text repeals another by name; it may not be in the base yet."""
        number = self._random.randrange(1, len(self.policies) + 10)
        title, start = f"某市第{number}号事项管理办法", self.day()
        self._enact((title,), start)

    def _repeal(self) -> None:
        standing = [each for each in self.policies if not each.repealed_on and not each.withdrawn]
        if standing:
            policy, on = self._random.choice(standing), self.day()
            self._documents.repeal(policy.id, on=on, actor="审核")
            policy.repealed_on = on

    def _withdraw(self) -> None:
        if self.policies:
            policy = self._random.choice(self.policies)
            self._documents.withdraw(policy.id, actor="审核", reason="有误")
            policy.withdrawn = True

    def _return(self) -> None:
        gone = [each for each in self.policies if each.withdrawn]
        if gone:
            policy = self._random.choice(gone)
            self._documents.publish(policy.id, actor="审核")
            policy.withdrawn = False
            self._apply_repeals()

    def _publish(self, title: str, start: date, repeals: tuple[str, ...] = ()) -> None:
        self._texts += 1
        last_day = None
        if self._random.random() < 0.3:
            last_day = start + timedelta(days=self._random.randrange(1, 2000))
        content = regulation(
            title,
            f"本事项按照第{self._texts}种标准办理。",
            effective=start,
            expires=last_day,
            repeals=[f"《{each}》" for each in repeals],
        )
        document_id = publish(self._documents, content)
        policy = self._meant(title, start)
        if policy is None:
            policy = Policy(title, document_id)
            self.policies.append(policy)
        assert policy.id == document_id
        policy.revisions.append((start, self._texts, last_day))
        policy.withdrawn = False
        self._repeals += [(each, start, policy) for each in repeals]
        self._apply_repeals()

    def _meant(self, title: str, start: date) -> Policy | None:
        named = [each for each in self.policies if each.title == title]
        standing = (p for p in named if p.repealed_on is None or start < p.repealed_on)
        return next(standing, None)

    def _apply_repeals(self) -> None:
        for title, on, by in self._repeals:
            for policy in self.policies:
                older = policy.title == title and policy is not by
                if older and max(start for start, *_ in policy.revisions) < on:
                    policy.repealed_on = min(policy.repealed_on or on, on)


def test_a_long_history_agrees_with_a_plain_model(
    documents: Documents, indexer: Indexer, search: Search
) -> None:
    """Publish, revise, repeal, expire, withdraw, 150 times: what applies on any day is known."""
    history = History(documents, seed=1)
    compared = 0
    for number in range(1, 151):
        history.change()
        if number % 30:
            continue
        indexer.catch_up()
        for day in [history.day_to_ask() for _ in range(15)]:
            found = search.passages("按照标准办理", Scope(as_of=day), limit=500, per_document=9)
            answered = {
                int(each.text.partition("按照第")[2].partition("种")[0])
                for each in found.passages
                if "种标准" in each.text
            }
            expected = {each.in_force(day) for each in history.policies} - {None}
            assert answered == expected, (number, day)
            compared += len(expected)
    assert compared > 500
