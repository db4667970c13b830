"""Synonyms that administrators edit while they are used."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from kb.db import Database
from kb.entries import Entries
from kb.errors import Conflict, InvalidEntry, NotFound
from kb.models import Audit
from kb.synonyms import Added
from kb.thesaurus import COMMON, Group, Thesaurus, words_in
from tests.factories import entry

SHIPPED = {"流产": ["小产", "滑胎"], "社会保险": ["社保"]}


@pytest.fixture
def thesaurus(database: Database) -> Thesaurus:
    return Thesaurus(database, SHIPPED)


def used(word: str) -> float:
    return 10.0 if word in ("流产", "社会保险", "生育津贴") else 0.0


def test_a_group_is_used_at_once_and_by_others(database: Database, thesaurus: Thesaurus) -> None:
    other = Thesaurus(database, SHIPPED)
    assert other.added("产假钱怎么领", used) == []
    thesaurus.save("生育津贴", ["产假钱"], actor="甲")
    assert thesaurus.added("产假钱怎么领", used) == [Added("产假钱", "生育津贴")]
    assert other.group("生育津贴").said == ("产假钱",)
    assert other.added("产假钱怎么领", used) == [Added("产假钱", "生育津贴")]
    assert other.version == thesaurus.version > 0
    with database.reading() as session:
        row = session.scalars(select(Audit)).one()
    assert (row.actor, row.action, row.subject) == ("甲", "synonym.save", "synonym:生育津贴")


def test_a_shipped_group_is_switched_off_changed_and_restored(thesaurus: Thesaurus) -> None:
    thesaurus.switch("流产", on=False, actor="甲")
    assert thesaurus.added("小产了", used) == []
    thesaurus.switch("流产", on=True, actor="甲")
    thesaurus.save("流产", ["掉了孩子"], actor="甲", seen=thesaurus.group("流产").version)
    assert thesaurus.group("流产").edited and thesaurus.added("小产了", used) == []
    thesaurus.drop("流产", actor="甲")
    assert thesaurus.group("流产") == Group("流产", ("小产", "滑胎"), shipped=("小产", "滑胎"))
    assert thesaurus.added("小产了", used) == [Added("小产", "流产")]
    with pytest.raises(NotFound):
        thesaurus.drop("流产", actor="甲")


def test_an_own_group_is_deleted_and_may_come_back(thesaurus: Thesaurus) -> None:
    thesaurus.save("生育津贴", ["产假钱"], actor="甲")
    thesaurus.drop("生育津贴", actor="甲")
    with pytest.raises(NotFound):
        thesaurus.group("生育津贴")
    thesaurus.save("生育津贴", ["产假钱"], actor="乙")
    assert thesaurus.group("生育津贴").changed_by == "乙"


def test_two_people_do_not_overwrite_each_other(thesaurus: Thesaurus) -> None:
    thesaurus.save("流产", ["小产"], actor="甲")
    with pytest.raises(Conflict):
        thesaurus.save("流产", ["滑胎"], actor="乙")
    assert thesaurus.group("流产").said == ("小产",)


@pytest.mark.parametrize(
    ("official", "said", "complaint"),
    [
        ("流", ["小产"], "规范说法应是"),
        ("生育津贴", [], "至少写一个"),
        ("生育津贴", ["钱"], "应是2到"),
        ("生育津贴", ["生育津贴"], "就是规范说法"),
        ("生育津贴", ["流产"], "另一组的规范说法"),  # would never be taken
        ("小产", ["流产"], "互相指来指去"),  # a circle
        ("小产", ["掉孩子"], "现在是“流产”的说法"),
    ],
)
def test_what_cannot_help_is_refused(
    thesaurus: Thesaurus, official: str, said: list[str], complaint: str
) -> None:
    with pytest.raises(InvalidEntry, match=complaint):
        thesaurus.save(official, said, actor="甲")
    assert len(thesaurus.groups()) == len(SHIPPED)


def test_a_word_that_too_many_questions_have_is_refused(
    thesaurus: Thesaurus, entries: Entries
) -> None:
    records = [entry(f"第{number}种证怎么办理？", "到窗口。") for number in range(COMMON)]
    entries.save(list(enumerate(records, 1)), actor="编辑", publish=True)
    assert thesaurus.wordings_with(["办理", "没有的话"]) == COMMON
    assert "太常见" in thesaurus.problems("申请", ["办理"])["said"]
    assert thesaurus.problems("申请", ["第7种"]) == {}


def test_a_file_is_taken_whole_or_not_at_all(thesaurus: Thesaurus) -> None:
    good, bad = Group("生育津贴", ("产假钱",)), Group("失业保险金", ("金",))
    round_about = [Group("甲种证", ("乙种证",)), Group("乙种证", ("丙种证",))]
    assert thesaurus.take([good, bad], actor="甲")[1].keys() == {1}
    assert thesaurus.take(round_about, actor="甲")[1].keys() == {1}
    assert len(thesaurus.groups()) == len(SHIPPED)
    # What is as it was stays as it was: a file that was exported changes nothing.
    assert thesaurus.take([*thesaurus.groups(), good], actor="甲") == (1, {})
    assert not thesaurus.group("流产").version


def test_words_are_read_however_they_are_parted() -> None:
    assert words_in("小产、滑胎，掉孩子|小產\n ＡＢ ") == ("小产", "滑胎", "掉孩子", "ab")
