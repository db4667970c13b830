"""The lab: why a question is answered as it is; golden questions; nothing of it is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select

from app import compose
from embeddings import Encoder
from kb.documents import Upload
from kb.errors import DocumentUnreadable, NotFound
from kb.models import Audit
from service.config import Settings
from service.conversations import Outcome, Question, Reach
from service.evaluation import compare
from service.golden import Golden
from service.inbound import Claim
from service.lab import Setup, Trial
from service.models import Exchange, Handoff, Setting
from service.replies import Replies
from service.runtime import Runtime
from service.tunables import Tuned
from tests.factories import TODAY, entry, regulation

QUESTION = "居住证怎么办理？"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Iterator[Runtime]:
    objects = compose(Settings(data_dir=str(tmp_path_factory.mktemp("lab"))), encoder=encoder)
    records = [
        entry(QUESTION, "带身份证到派出所办理居住证。", code="JZZ"),
        replace(entry("居住证怎么办理？", "平度市的办法。"), region="370283"),
        replace(entry("护照怎么办理？", "提前申请护照。"), negative=("护照丢了找谁",)),
        entry("公积金怎么提取？", "购房、租房可以提取公积金。"),
    ]
    saved = objects.entries.save(list(enumerate(records, 1)), actor="编辑", publish=True)
    assert [each.outcome for each in saved] == ["added"] * len(records), saved
    old = regulation("暂住证管理办法", "暂住证由派出所签发。", "暂住证每年签注一次。")
    done = list(objects.documents.add([Upload(old.encode(), "旧.txt")], actor="编辑", publish=True))
    assert done[0].document_id
    objects.documents.repeal(done[0].document_id, on=TODAY - timedelta(days=9), actor="编辑")
    objects.indexer.catch_up()
    objects.understanding.catch_up()
    yield objects
    objects.close()


@pytest.fixture(autouse=True)
def _as_it_was(runtime: Runtime) -> Iterator[None]:
    yield
    with runtime.db.transaction() as session:
        session.execute(delete(Setting))
    runtime.tuning.fresh()


def ask(runtime: Runtime, text: str, **tuned: object) -> Trial:
    setup = Setup("web", "370200", TODAY, replace(Tuned(), **tuned))  # type: ignore[arg-type]
    return runtime.lab.ask(text, setup)


def fate(trial: Trial, title: str) -> list[tuple[str, str]]:
    return [(c.fate, c.why) for c in trial.candidates if c.passage.title == title]


def test_what_won_and_by_how_much(runtime: Runtime) -> None:
    trial = ask(runtime, QUESTION)
    assert trial.answer.outcome is Outcome.ANSWERED
    first = trial.candidates[0]
    assert (first.fate, first.place) == ("won", 1) and first.parts
    assert "门槛" in trial.reasons[0] and "高出" in trial.reasons[0]


def test_why_others_were_left_out(runtime: Runtime) -> None:
    fates = fate(ask(runtime, QUESTION), QUESTION)
    assert ("out", "只适用于平度市，问的是青岛市") in fates
    ended = fate(ask(runtime, "暂住证每年签注一次吗"), "暂住证管理办法")
    assert ended and {why for _, why in ended} == {"已废止，不能当作现行依据"}
    refused = fate(ask(runtime, "护照丢了找谁"), "护照怎么办理？")
    assert refused == [("out", "反例问写明了这个问题不归它")]


def test_another_cut_gives_another_decision(runtime: Runtime) -> None:
    text = "公积金取出来要什么手续"
    outcomes = {ask(runtime, text, wrong_entries=share).answer.outcome for share in (1.0, 0.0)}
    assert Outcome.ANSWERED in outcomes and len(outcomes) == 2


def test_a_step_that_is_off_shows_what_it_would_do(runtime: Runtime) -> None:
    typed = "公机金怎么提取"
    for steps in (("typo",), ()):
        trial = ask(runtime, typed, steps=steps)
        [step] = [each for each in trial.steps if each.name == "typo"]
        assert step.on == bool(steps) and step.rewrites[0].to == "公积金"
        assert ("公积金" in trial.answer.understood) == step.on


@pytest.mark.parametrize("text", [QUESTION, "转人工", "你好", "救命", "今天天气怎样"])
def test_nothing_is_recorded_and_nobody_is_queued(runtime: Runtime, text: str) -> None:
    ask(runtime, text)
    with runtime.db.reading() as session:
        assert session.scalar(select(func.count(Exchange.id))) == 0
        assert session.scalar(select(func.count(Handoff.id))) == 0


def test_a_stopped_channel_says_so_kindly_and_still_hands_over(runtime: Runtime) -> None:
    runtime.tuning.stop(["all"], actor="甲", comment="答错了")

    def say(text: str) -> tuple[Outcome, str]:
        answer = runtime.answerer.answer(Question(text, TODAY, reach=Reach()))
        runtime.conversations.erase_one(answer.conversation_id)
        return answer.outcome, answer.text

    outcome, text = say(QUESTION)
    assert outcome is Outcome.BLOCKED and "12345" in text
    assert say("你好")[0] is Outcome.BLOCKED
    assert say("转人工") == (Outcome.HANDED_OFF, Tuned().to_person)
    assert "110" in say("救命")[1]
    assert not ask(runtime, QUESTION, stopped=("all",)).live


def test_outside_the_hours_nobody_is_queued(runtime: Runtime) -> None:
    now = runtime.now()
    closed = "00:00" if now.hour != 15 else "00:01"
    values = {"open_days": "daily", "open_from": closed, "open_until": closed}
    runtime.tuning.save(values, actor="甲", comment="试", seen=0)
    answer = runtime.answerer.answer(Question("转人工", TODAY, reach=Reach()))
    assert "人工服务时间" in answer.text and "12345" in answer.text
    with runtime.db.reading() as session:
        assert session.scalar(select(func.count(Handoff.id))) == 0
    runtime.conversations.erase_one(answer.conversation_id)


def test_an_exchange_on_record_can_be_asked_again(runtime: Runtime) -> None:
    answer = runtime.answerer.answer(Question(f"我的手机13812345678，{QUESTION}", TODAY))
    asked = runtime.lab.asked(answer.id)
    assert "13812345678" not in asked.question and asked.text == answer.text
    assert asked.channel == "web" and asked.outcome is answer.outcome
    runtime.conversations.erase_one(answer.conversation_id)
    with pytest.raises(NotFound):
        runtime.lab.asked(answer.id)


def test_golden_questions_tell_better_from_worse(runtime: Runtime) -> None:
    golden = runtime.golden
    rows = [
        {"question": QUESTION, "expect": "JZZ"},
        {"question": "公积金取出来要什么手续", "expect": "公积金怎么提取？"},
        {"question": "月球旅游补贴", "expect": None},
    ]
    data = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    assert golden.take(data, actor="甲") == len(rows)
    assert golden.take(data, actor="甲") == len(rows) == len(golden.all()), "replaced, not doubled"
    strict, loose = replace(Tuned(), wrong_entries=0.0), replace(Tuned(), wrong_entries=1.0)
    found = compare(runtime, golden.all(), strict, loose)
    assert "公积金取出来要什么手续" in [each.golden.question for each in found.better]
    back = compare(runtime, golden.all(), loose, strict)
    assert back.worse and not back.better and back.before == found.after
    golden.remove(golden.all()[0].id, actor="甲")
    assert len(golden.all()) == 2
    with runtime.db.reading() as session:
        actions = session.scalars(select(Audit.action).where(Audit.subject.startswith("golden")))
        assert set(actions) == {"golden.import", "golden.remove"}


@pytest.mark.parametrize("line", ["{", "[]", '{"question": 3, "expect": null}', '{"expect": "A"}'])
def test_a_broken_golden_file_changes_nothing(runtime: Runtime, line: str) -> None:
    held = runtime.golden.all()
    good = json.dumps({"question": "好的问题", "expect": None})
    with pytest.raises(DocumentUnreadable, match="第2行"):
        runtime.golden.take(f"{good}\n{line}".encode(), actor="甲")
    assert runtime.golden.all() == held


def test_personal_numbers_are_masked_in_golden_questions(runtime: Runtime) -> None:
    runtime.golden.add(Golden("13812345678怎么办居住证", "JZZ"), actor="甲")
    kept = runtime.golden.all()[0]
    assert "13812345678" not in kept.question
    runtime.golden.remove(kept.id, actor="甲")


def test_a_chat_is_told_of_a_banner_once(runtime: Runtime) -> None:
    replies = Replies(
        runtime.answerer, runtime.conversations, public_url="", region=None, today=lambda: TODAY
    )

    def say(person: str, number: int) -> str:
        now = runtime.now()
        claim = Claim(number, "t", "wechat", "", person, QUESTION, f"{number:032x}", "", now)
        return replies.answer(claim, now)[0].text

    assert "维护" not in say("a" * 32, 1)
    runtime.tuning.save({"banner": "今晚维护"}, actor="甲", comment="维护", seen=0)
    said = say("a" * 32, 2)
    assert said.startswith("【一般通知】今晚维护") and "派出所" in said
    assert "维护" not in say("a" * 32, 3)
    assert "今晚维护" in say("b" * 32, 4), "each conversation hears of it"
    for person in ("a" * 32, "b" * 32):
        runtime.conversations.erase(person)
