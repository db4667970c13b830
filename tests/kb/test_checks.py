"""Checks before publishing: what blocks, what warns, and what must not be taken for a fault."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from app import BANNED
from kb import clock
from kb.checks import BLOCK, WARN, Checks, Golden, contradictions, read_words
from kb.db import Database
from kb.documents import Documents
from kb.entries import Entries
from kb.exchange import EntryRecord
from kb.indexing import Indexer
from kb.search import Search
from kb.understanding import Dictionary, Understanding
from service import guards
from tests.factories import entry, publish, regulation

DAY = timedelta(days=1)
TITLE = "某市停车管理办法"


@pytest.fixture
def checks(database: Database, search: Search) -> Checks:
    return Checks(
        database,
        Understanding(database, search, Dictionary()),
        words=read_words(BANNED),
        mask=guards.mask,
        now=clock.now,
    )


def sound(answer: str = "每小时三元，到窗口缴纳。", **facts: object) -> EntryRecord:
    held = {"similar": ("停车费多少",), "basis": ("市民服务中心的答复",), **facts}
    held.setdefault("review_due", clock.day_of(clock.now()) + 30 * DAY)
    return entry("路边停车怎么收费？", answer, **held)


def test_a_sound_entry_has_only_its_unknown_basis(checks: Checks) -> None:
    assert [(f.severity, f.field) for f in checks.findings(sound(), 0)] == [(WARN, "basis")]
    assert checks.obstacles(sound(), 0) == {}


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (sound(""), "answer"),
        (sound("请找张三，手机 13812345678。"), "answer"),
        (sound("身份证 11010519491231002X 的人。"), "answer"),
        (sound("请看 http://例子 页面。"), "answer"),
        (sound("请看 https//www.a.gov.cn 或 https:www.a.gov.cn/x"), "answer"),
        (sound("补贴 XXX 元。"), "answer"),
        (sound(expires_on=date(2020, 1, 1)), "expires_on"),
        (sound(effective_on=date(2025, 2, 1), expires_on=date(2025, 1, 1)), "expires_on"),
        (sound(negative=("停车费多少",)), "negative"),
        (sound(topic="题" * 65), "topic"),
    ],
)
def test_what_blocks(checks: Checks, record: EntryRecord, field: str) -> None:
    assert field in checks.obstacles(record, 0)


def test_office_phones_and_good_links_are_fine(checks: Checks) -> None:
    answer = "拨打 0532-12345678 或 12345，见 https://www.a.gov.cn/x?y=1，文号 20240105001。"
    assert checks.obstacles(sound(answer, phone="0532-12345"), 0) == {}


def test_a_basis_that_has_ended_blocks_and_one_that_is_missing_warns(
    checks: Checks, documents: Documents
) -> None:
    document_id = publish(documents, regulation(TITLE, "每小时三元。", effective=date(2020, 1, 1)))
    good = sound(basis=(f"《{TITLE}》第一条",))
    assert checks.findings(good, 0) == []
    [finding] = checks.findings(sound(basis=(f"《{TITLE}》第九十条",)), 0)
    assert (finding.severity, "第九十条" in finding.why) == (WARN, True)
    documents.repeal(document_id, on=date(2026, 1, 1), actor="审核")
    [finding] = checks.findings(good, 0)
    assert (finding.severity, finding.field) == (BLOCK, "basis")
    assert "2026-01-01废止" in finding.why


def test_the_same_question_with_another_amount_is_a_contradiction(
    checks: Checks, entries: Entries, indexer: Indexer
) -> None:
    [saved] = entries.save([(1, sound("每小时五元。", region="370200"))], actor="甲", publish=True)
    indexer.catch_up()
    assert saved.entry_id is not None

    def about(record: EntryRecord, own: int = 0) -> list[tuple[str, str]]:
        found = checks.findings(record, own)
        return [(f.field, f.why) for f in found if f.key == f"entry:{saved.entry_id}"]

    [(field, why)] = about(sound(region="370283"))
    assert (field, "3元与5元" in why) == ("answer", True)
    [(field, _)] = about(sound("每小时五元，到窗口缴纳。", region="370283"))
    assert field == "question"
    assert about(sound(region="320100")) == []
    assert about(sound(), own=saved.entry_id) == []


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("补贴一千二百元", "补贴1,200元", []),
        ("补贴800元", "补贴900元", ["800元与900元"]),
        ("按50%报销", "报销六成", ["50%与60%"]),
        ("5个工作日办结", "三个工作日办结", ["5个工作日与3个工作日"]),
        ("补贴800元，另发200元", "补贴800元", []),
        ("2025年5月1日起", "2025年6月1日起", ["2025-5-1与2025-6-1"]),
        ("补贴800元", "三个月办结", []),
    ],
)
def test_contradictions(one: str, other: str, said: list[str]) -> None:
    assert contradictions(one, other) == said


def test_golden_questions_that_would_get_worse(
    checks: Checks, entries: Entries, indexer: Indexer
) -> None:
    saved = entries.save(
        [(1, sound()), (2, entry("公交卡怎么办理？", similar=("公交卡在哪办",)))],
        actor="甲",
        publish=True,
    )
    indexer.catch_up()
    parking, bus = (each.entry_id or 0 for each in saved)
    golden = [Golden("公交卡怎么办理？", bus), Golden("停车费多少", parking)]
    assert checks.worse(sound(), parking, golden) == []
    greedy = sound(similar=("停车费多少", "公交卡丢了去哪里挂失"))
    stolen = checks.worse(greedy, parking, [Golden("公交卡丢了去哪里挂失", bus)])
    assert [finding.key for finding in stolen] == [f"entry:{bus}"]
    [lost] = checks.worse(sound(similar=()), parking, golden)
    assert (lost.what, "答不上来" in lost.why) == ("停车费多少", True)


def test_a_bad_line_in_the_list_of_words_is_named(tmp_path: Path) -> None:
    path = tmp_path / "banned.txt"
    path.write_text("# 说明\nblock\t某词\t理由\nerror 某词\n", "utf-8")
    with pytest.raises(ValueError, match="第 3 行"):
        read_words(path)
