"""What people are told, from a small base of their own."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select

from app import compose
from service import wording
from service.config import Settings
from service.conversations import Answer, Outcome, Question
from service.models import CitedClause, Exchange
from service.runtime import Runtime
from tests.factories import circular, entry, publish, regulation

TODAY = date(2026, 1, 15)


@pytest.fixture
def runtime(tmp_path: Path, database_url: str) -> Iterator[Runtime]:
    """On either database."""
    runtime = compose(Settings(data_dir=str(tmp_path), database_url=database_url))
    yield runtime
    runtime.close()


def ask(runtime: Runtime, text: str, **facts: object) -> Answer:
    runtime.indexer.catch_up()
    question = replace(Question(text, as_of=TODAY), **facts)  # type: ignore[arg-type]
    return runtime.answerer.answer(question)


def save(runtime: Runtime, *records: object) -> None:
    rows = list(enumerate(records, start=1))
    saved = runtime.entries.save(rows, actor="编辑", publish=True)  # type: ignore[arg-type]
    assert all(each.outcome == "added" for each in saved), saved


@pytest.fixture
def filled(runtime: Runtime) -> Runtime:
    """Enough of other matters that words are worth what they are worth in a real base."""
    save(
        runtime,
        entry("养老保险关系怎么转移？", "到转入地社保机构申请即可。", similar=("社保转移怎么办",)),
        entry("公积金贷款额度怎么算？", "按账户余额和缴存年限计算。"),
        entry("护照到期怎么换发？", "提前六个月申请换发。"),
        entry("低保怎么申请？", "向户籍地街道提出申请。"),
        entry("驾驶证丢了怎么补领？", "到车管所或网上补领。"),
        entry(
            "老年优待证在哪里办理？",
            "年满六十五周岁，带身份证到社区办理。\n当天领证，不收费。",
            similar=("老年证去哪办", "我妈六十六了老年证怎么领"),
            negative=("老年人意外保险怎么投保",),
            department="市民政局",
            phone="12345",
            basis=("《某市老年人优待办法》第二条",),
        ),
    )
    return runtime


def test_a_reviewed_answer_is_given_word_for_word_with_its_basis(filled: Runtime) -> None:
    answer = ask(filled, "老年优待证在哪里办理")
    assert answer.outcome is Outcome.ANSWERED
    assert answer.text == "年满六十五周岁，带身份证到社区办理。\n当天领证，不收费。"
    assert [(c.title, c.locator) for c in answer.citations] == [("某市老年人优待办法", "第二条")]
    assert not answer.ai_generated and answer.confidence >= 0.6
    assert answer.contact.department == "市民政局"


def test_a_basis_in_the_base_is_cited_with_its_words(filled: Runtime) -> None:
    number = publish(
        filled.documents,
        regulation(
            "某市老年人优待办法", "为照顾老人，制定本办法。", "六十五周岁以上的可领优待证。"
        ),
    )
    cited = ask(filled, "老年优待证在哪里办理").citations[0]
    assert cited.document_id == number and "六十五周岁以上的可领优待证" in cited.text


def test_an_answer_is_withheld_when_its_basis_is_repealed(filled: Runtime) -> None:
    number = publish(
        filled.documents,
        regulation("某市老年人优待办法", "为照顾老人，制定本办法。", "可领优待证。"),
    )
    filled.documents.repeal(number, on=date(2025, 6, 1), actor="编辑")
    answer = ask(filled, "老年优待证在哪里办理")
    assert answer.outcome is not Outcome.ANSWERED
    assert "已于2025年6月1日废止" in answer.text and "某市老年人优待办法" in answer.text
    before = ask(filled, "老年优待证在哪里办理", as_of=date(2025, 5, 31))
    assert before.outcome is Outcome.ANSWERED


def test_without_an_entry_the_clause_is_quoted(filled: Runtime) -> None:
    text = circular(
        "关于发放取暖补贴的通知",
        "某政办发〔2025〕8号",
        "补贴对象。本市低保家庭和特困人员可以领取冬季取暖补贴。",
        "补贴标准。每户每个采暖季补贴一千二百元，十二月底前打入一卡通。",
        issued=date(2025, 10, 1),
    )
    publish(filled.documents, text)
    answer = ask(filled, "取暖补贴标准每户每个采暖季多少元")
    assert answer.outcome is Outcome.ANSWERED_CLAUSE
    assert "一千二百元" in answer.text and "某政办发〔2025〕8号" in answer.text
    assert answer.citations[0].validity.value == "in_force"


def test_front_matter_is_found_but_never_quoted_as_the_rule(filled: Runtime) -> None:
    text = circular(
        "关于做好防汛物资储备工作的通知",
        "某政办发〔2025〕9号",
        "各街道要在五月底前备足沙袋和水泵。",
        issued=date(2025, 4, 1),
    )
    publish(filled.documents, text)
    answer = ask(filled, "做好防汛物资储备工作的通知")
    assert answer.outcome is not Outcome.ANSWERED_CLAUSE or "沙袋" in answer.text


def test_what_is_repealed_is_named_with_its_successor_which_is_quoted(filled: Runtime) -> None:
    old = regulation("某市停车管理办法", "电动自行车停车每次收费两元。", effective=date(2018, 1, 1))
    new = regulation(
        "某市停车设施条例",
        "电动自行车停车不收费。",
        effective=date(2025, 1, 1),
        repeals=["《某市停车管理办法》"],
    )
    publish(filled.documents, old)
    publish(filled.documents, new)
    answer = ask(filled, "电动自行车停车每次收费两元吗")
    assert "一次" not in answer.text
    current = [c for c in answer.citations if c.validity.value == "in_force"]
    if answer.outcome is Outcome.ANSWERED_CLAUSE:
        assert current and "停车不收费" in answer.text
    assert "《某市停车管理办法》已于2025年1月1日废止" in answer.text
    assert "《某市停车设施条例》" in answer.text
    in_2020 = ask(filled, "电动自行车停车每次收费两元吗", as_of=date(2020, 1, 1))
    assert in_2020.outcome is Outcome.ANSWERED_CLAUSE and "收费两元" in in_2020.text


def test_an_expired_policy_is_not_current_on_the_day_after(filled: Runtime) -> None:
    text = circular(
        "关于发放汽车消费券的通知",
        "某商发〔2025〕3号",
        "购买新能源汽车可领取三千元汽车消费券。",
        effective=date(2025, 1, 1),
        expires=date(2025, 12, 31),
    )
    publish(filled.documents, text)
    last = ask(filled, "新能源汽车消费券能领多少", as_of=date(2025, 12, 31))
    after = ask(filled, "新能源汽车消费券能领多少", as_of=date(2026, 1, 1))
    assert last.outcome is Outcome.ANSWERED_CLAUSE and "三千元" in last.text
    assert after.outcome is Outcome.UNANSWERABLE and "有效期已于2025年12月31日届满" in after.text


def test_what_is_unknown_is_refused_with_someone_to_ask(filled: Runtime) -> None:
    answer = ask(filled, "量子计算机怎么组装比较省钱")
    assert answer.outcome is Outcome.UNANSWERABLE
    assert wording.HOTLINE_PHONE in answer.text and not answer.citations


def test_what_shares_no_word_with_the_question_is_not_offered(filled: Runtime) -> None:
    """天气怎么样 was once answered with the question whether an entry far from it was meant."""
    for text in ("天气怎么样", "uuvvii"):
        answer = ask(filled, text)
        assert answer.outcome is Outcome.UNANSWERABLE
        assert not answer.options and not answer.suggestions


def test_a_refusal_suggests_the_likeliest_question_too(filled: Runtime) -> None:
    """It was once left out, as under an answer that gives it already."""
    answer = ask(filled, "老年大学怎么报名")
    likeliest = next(each for each in answer.passages if each.kind == "entry")
    assert answer.outcome is Outcome.UNANSWERABLE
    assert answer.suggestions[0] == likeliest.title


def test_an_empty_base_refuses_too(runtime: Runtime) -> None:
    assert ask(runtime, "社保怎么交").outcome is Outcome.UNANSWERABLE


def test_a_negative_phrasing_keeps_an_entry_out(filled: Runtime) -> None:
    answer = ask(filled, "老年人意外保险怎么投保")
    assert answer.entry is None or "优待证" not in answer.entry.title


def test_the_nearer_region_answers_and_others_do_not(filled: Runtime) -> None:
    save(
        filled,
        entry("高龄津贴每月发多少钱？", "全省每月一百元。", region="370000"),
        entry("高龄津贴每月发多少钱？", "本市每月一百五十元。", region="370283"),
        entry("高龄津贴每月发多少钱？", "南京每月二百元。", region="320100"),
    )
    question = "高龄津贴每月发多少钱"
    assert ask(filled, question, region="370283").text == "本市每月一百五十元。"
    assert ask(filled, question, region="370200").text == "全省每月一百元。"
    assert ask(filled, question, region="320106").text == "南京每月二百元。"


@pytest.mark.parametrize(
    ("text", "outcome", "said"),
    [
        ("你好", Outcome.ANSWERED, wording.GREETING),
        ("谢谢", Outcome.ANSWERED, wording.THANKS),
        ("转人工", Outcome.HANDED_OFF, wording.TO_HOTLINE),
        ("我不想活了", Outcome.HANDED_OFF, wording.DANGER),
    ],
)
def test_small_talk_needs_no_policy(
    filled: Runtime, text: str, outcome: Outcome, said: str
) -> None:
    answer = ask(filled, text)
    assert (answer.outcome, answer.text) == (outcome, said)


def test_everything_is_recorded_masked_and_as_it_stood(filled: Runtime) -> None:
    answer = ask(filled, "老年优待证在哪里办理，我电话13812345678")
    follow_up = ask(filled, "谢谢", conversation_id=answer.conversation_id)
    assert follow_up.conversation_id == answer.conversation_id
    with filled.db.reading() as session:
        kept = session.get(Exchange, answer.id)
        assert kept is not None and "138****5678" in kept.question
        assert "13812345678" not in kept.question and kept.outcome == answer.outcome.value
        cited = session.scalars(
            select(CitedClause).where(CitedClause.exchange_id == answer.id)
        ).all()
    assert [row.title for row in cited] == [c.title for c in answer.citations]


def test_a_broken_base_is_an_outcome_and_not_an_exception(
    filled: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    filled.indexer.catch_up()
    with filled.db.transaction() as session:
        session.connection().exec_driver_sql("DROP TABLE cited_clause")
        session.connection().exec_driver_sql("DROP TABLE basis")
    answer = filled.answerer.answer(Question("老年优待证在哪里办理", as_of=TODAY))
    assert answer.outcome is Outcome.ERROR and answer.text == wording.TRY_AGAIN
    assert "answering failed" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "问" * 500, "😀" * 100, "\u202e\u200b", "'; DROP TABLE entry; --", "<script>x</script>",
        "(" * 250, "%" * 100, "\\" * 100, "NULL", "0" * 500, "的的的的", "a.b.c" * 50,
    ],
)  # fmt: skip
def test_hostile_questions_get_a_normal_outcome(filled: Runtime, text: str) -> None:
    assert ask(filled, text).outcome is not Outcome.ERROR


def test_a_word_that_several_entries_have_asks_for_a_choice(filled: Runtime) -> None:
    save(
        filled,
        entry("什么情况下可以提取住房公积金？", "购房、租房、退休时可以提取。"),
        entry("离职以后住房公积金怎么办？", "账户封存，可以转移。"),
        entry("住房公积金断缴有什么影响？", "影响贷款资格。"),
    )
    answer = ask(filled, "公积金")
    assert answer.outcome is Outcome.CLARIFY
    assert len(answer.options) == 3
    assert all("公积金" in option.label for option in answer.options)


def test_a_repealed_document_is_not_sure_for_being_the_only_one_repealed(filled: Runtime) -> None:
    """How sure an ended clause is was once worked out among ended clauses alone."""
    old = regulation("某市居住证办法", "办居住证可以顺便问公积金。", effective=date(2018, 1, 1))
    new = regulation(
        "某市居住证条例",
        "居住证到派出所办理。",
        effective=date(2025, 1, 1),
        repeals=["《某市居住证办法》"],
    )
    current = regulation("某市公积金办法", "职工缴存公积金。", "提取公积金到中心办理。")
    for text in (old, new, current):
        publish(filled.documents, text)
    save(
        filled,
        entry("什么情况下可以提取住房公积金？", "购房、租房、退休时可以提取。"),
        entry("离职以后住房公积金怎么办？", "账户封存，可以转移。"),
    )
    answer = ask(filled, "公积金")
    assert answer.outcome is Outcome.CLARIFY
    assert "废止" not in answer.text
