"""Handing people over to operators, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from app import compose
from kb.db import Database
from kb.errors import Conflict, NotFound
from service import wording
from service.answering import Answerer
from service.channels import Capability, Channel, Delivery, Message, Reply, Response, Undelivered
from service.composing.composers import ExtractiveComposer
from service.config import Settings
from service.conversations import Answer, Outcome, Question, Reach
from service.desk.dispatch import RETRIES
from service.desk.handoff import IDLE, Handoffs
from service.errors import InvalidRequest
from service.models import Handoff, HandoffMessage, User
from service.runtime import Runtime
from service.sealing import Sealer
from tests.factories import TODAY, Clock

BEGIN = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)
MOBILE = "13812345678"


@dataclass
class Chat:
    """A platform that keeps what was pushed, or refuses it as told."""

    name: str = "chat"
    account: str = "gh_1"
    capability: Capability = field(
        default_factory=lambda: Capability(4.0, 3, passive=True, push=True)
    )
    pushed: list[tuple[str, str, str]] = field(default_factory=list)
    troubles: list[Exception] = field(default_factory=list)

    def receive(self, delivery: Delivery) -> Message | Response:
        raise NotImplementedError

    def render(self, message: Message, reply: Reply) -> Response:
        raise NotImplementedError

    def acknowledge(self, message: Message) -> Response:
        raise NotImplementedError

    def push(self, reply_to: str, reply: Reply, *, key: str) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.pushed.append((reply_to, reply.text, key))


@dataclass
class Desk:
    """A base with two operators and a chat platform."""

    runtime: Runtime
    handoffs: Handoffs
    answerer: Answerer
    chat: Chat
    clock: Clock
    operators: tuple[int, int]

    def ask(self, text: str, conversation: str, **facts: object) -> Answer:
        question = Question(text, as_of=TODAY, channel="widget", conversation_id=conversation)
        question = replace(question, reach=Reach())
        return self.answerer.answer(replace(question, **facts))  # type: ignore[arg-type]

    def waiting(self, conversation: str = "c1", **facts: object) -> int:
        """The number of a new handoff."""
        self.ask("转人工", conversation, **facts)
        return self.handoffs.queue()[-1].id

    def row(self, number: int) -> Handoff:
        with self.runtime.db.reading() as session:
            row = session.get(Handoff, number)
            assert row is not None
            return row

    def deliveries(self, number: int) -> list[str]:
        return [each.delivery for each in self.handoffs.thread(number).words]


@pytest.fixture
def desk(tmp_path: Path, database_url: str) -> Iterator[Desk]:
    clock, chat = Clock(), Chat()
    channel: Channel = chat
    settings = Settings(data_dir=str(tmp_path), database_url=database_url)
    runtime = compose(settings, now=clock)
    handoffs = Handoffs(runtime.db, runtime.sealer, {"chat": channel}, now=clock)
    answerer = Answerer(
        runtime.understanding,
        runtime.conversations,
        runtime.tuning,
        composer=ExtractiveComposer(),
        handoffs=handoffs,
    )
    with runtime.db.transaction() as session:
        users = [
            User(
                name=name,
                role="operator",
                display_name=shown,
                password_hash="",
                password_changed_at=BEGIN,
                created_at=BEGIN,
            )
            for name, shown in (("one", "坐席一"), ("two", "坐席二"))
        ]
        session.add_all(users)
        session.flush()
        first, second = (user.id for user in users)
    yield Desk(runtime, handoffs, answerer, chat, clock, (first, second))
    runtime.close()


IN_CHAT = {"channel": "chat", "reach": Reach("gh_1", '{"openid":"o-secret"}')}


def test_who_asks_for_a_person_is_in_the_queue_once(desk: Desk) -> None:
    first = desk.ask("我想转人工", "c1")
    again = desk.ask("转人工", "c1")
    assert first.outcome is again.outcome is Outcome.HANDED_OFF
    assert first.text == again.text == wording.TO_PERSON
    [row] = desk.handoffs.queue()
    assert (row.state, row.channel) == ("waiting", "widget")
    assert desk.handoffs.messages("c1") == ("waiting", ())


def test_the_queue_says_what_the_person_wanted_and_not_that_they_want_a_person(desk: Desk) -> None:
    desk.ask(f"居住证怎么办，我的手机是{MOBILE}", "c1")
    desk.ask("谢谢", "c1")
    desk.ask("转人工", "c1")
    assert desk.handoffs.queue()[0].question == "居住证怎么办，我的手机是138****5678"


def test_many_requests_at_one_moment_open_one_handoff(desk: Desk) -> None:
    desk.ask("你好", "c1")
    question = Question("转人工", TODAY, "widget", None, "c1", reach=Reach())
    start = threading.Barrier(6)

    def request(_: int) -> bool:
        start.wait()
        return desk.handoffs.open(question, "c1")

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(request, range(6)))
    assert len(desk.handoffs.queue()) == 1


def test_who_cannot_be_answered_is_told_the_hotline_and_does_not_wait(desk: Desk) -> None:
    assert desk.ask("转人工", "c1", reach=None).text == wording.TO_HOTLINE
    gone = desk.ask("转人工", "c2", channel="closed-account", reach=Reach("a", "b"))
    assert gone.text == wording.TO_HOTLINE
    assert desk.handoffs.queue() == ()


def test_danger_opens_no_queue_and_is_answered_at_once_even_with_an_operator(desk: Desk) -> None:
    assert desk.ask("我不想活了", "c1").text == wording.DANGER
    assert desk.handoffs.queue() == ()
    number = desk.waiting("c1")
    desk.handoffs.claim(number, desk.operators[0])
    assert desk.ask("我不想活了", "c1").text == wording.DANGER
    assert desk.handoffs.thread(number).words[-1].text == "我不想活了"


def test_two_operators_never_get_the_same_person(desk: Desk) -> None:
    for attempt in range(5):
        number = desk.waiting(f"c{attempt}")
        start = threading.Barrier(2)

        def claim(operator: int, number: int = number, start: threading.Barrier = start) -> bool:
            start.wait()
            try:
                desk.handoffs.claim(number, operator)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            won = list(pool.map(claim, desk.operators))
        assert sorted(won) == [False, True]
        assert desk.row(number).operator_id == desk.operators[won.index(True)]


def test_claiming_twice_is_harmless_and_others_cannot_answer(desk: Desk) -> None:
    one, two = desk.operators
    number = desk.waiting()
    desk.handoffs.claim(number, one)
    desk.handoffs.claim(number, one)
    assert len(desk.handoffs.thread(number).words) == 1
    for act in (
        lambda: desk.handoffs.reply(number, two, "我来"),
        lambda: desk.handoffs.close(number, two),
        lambda: desk.handoffs.release(number, two),
    ):
        with pytest.raises(Conflict):
            act()
    with pytest.raises(NotFound):
        desk.handoffs.claim(999, one)


def test_while_claimed_words_go_to_the_operator_and_back_to_the_page(desk: Desk) -> None:
    one, _ = desk.operators
    number = desk.waiting()
    desk.handoffs.claim(number, one)
    silent = desk.ask(f"我的电话{MOBILE}", "c1")
    assert (silent.outcome, silent.text) == (Outcome.HANDED_OFF, "")
    assert desk.handoffs.queue()[0].unread == 1
    desk.handoffs.reply(number, one, "请带身份证\n到窗口办理")
    state, words = desk.handoffs.messages("c1")
    assert state == "claimed"
    assert [(each.author, each.text) for each in words] == [
        ("system", wording.OPERATOR_HERE),
        ("operator", "请带身份证\n到窗口办理"),
    ]
    assert desk.handoffs.messages("c1", after=words[-1].id) == ("claimed", ())
    assert desk.handoffs.queue()[0].unread == 0
    thread = desk.handoffs.thread(number)
    assert [each.text for each in thread.words if each.author == "person"] == [
        "我的电话138****5678"
    ]
    desk.handoffs.close(number, one)
    state, words = desk.handoffs.messages("c1", after=words[-1].id)
    assert state == "closed" and [each.text for each in words] == [wording.OPERATOR_DONE]
    assert desk.ask("你好", "c1").text == wording.GREETING


def test_a_closed_conversation_can_be_handed_over_again(desk: Desk) -> None:
    number = desk.waiting()
    desk.handoffs.claim(number, desk.operators[0])
    desk.handoffs.close(number, desk.operators[0])
    with pytest.raises(Conflict, match="已经结束"):
        desk.handoffs.claim(number, desk.operators[1])
    again = desk.waiting()
    assert again != number and desk.handoffs.messages("c1")[0] == "waiting"


def test_who_is_given_back_can_be_taken_by_another(desk: Desk) -> None:
    one, two = desk.operators
    number = desk.waiting()
    desk.handoffs.claim(number, one)
    desk.handoffs.release(number, one)
    assert desk.handoffs.messages("c1")[1][-1].text == wording.OPERATOR_LEFT
    desk.handoffs.claim(number, two)
    assert desk.handoffs.queue()[0].operator == "坐席二"


def test_words_that_are_none_or_too_many_are_refused(desk: Desk) -> None:
    number = desk.waiting()
    desk.handoffs.claim(number, desk.operators[0])
    for text in ("", " \n\x00", "长" * 2001):
        with pytest.raises(InvalidRequest):
            desk.handoffs.reply(number, desk.operators[0], text)


def test_words_reach_the_persons_own_chat_in_order_and_the_address_is_erased(desk: Desk) -> None:
    one, _ = desk.operators
    number = desk.waiting(**IN_CHAT)
    assert "o-secret" not in desk.row(number).reply_to
    desk.handoffs.claim(number, one)
    desk.handoffs.reply(number, one, "第一句")
    desk.handoffs.reply(number, one, "第二句")
    desk.handoffs.close(number, one)
    assert desk.row(number).reply_to
    while desk.handoffs.deliver():
        pass
    said = [f"{wording.FROM_OPERATOR}第一句", f"{wording.FROM_OPERATOR}第二句"]
    assert [text for _, text, _ in desk.chat.pushed] == [*said, wording.OPERATOR_DONE]
    assert {to for to, _, _ in desk.chat.pushed} == {'{"openid":"o-secret"}'}
    keys = [key for _, _, key in desk.chat.pushed]
    assert len(set(keys)) == 3 and all(key.isalnum() and len(key) <= 32 for key in keys)
    assert desk.deliveries(number) == ["", "sent", "sent", "sent"]
    assert desk.row(number).reply_to == ""


def test_words_in_a_chat_are_not_given_out_to_whoever_fetches(desk: Desk) -> None:
    number = desk.waiting(**IN_CHAT)
    desk.handoffs.claim(number, desk.operators[0])
    desk.handoffs.reply(number, desk.operators[0], "只给聊天里的人")
    _, words = desk.handoffs.messages("c1")
    assert "只给聊天里的人" not in [each.text for each in words]


def test_a_platform_in_trouble_is_tried_again_and_later_words_wait(desk: Desk) -> None:
    number = desk.waiting(**IN_CHAT)
    desk.handoffs.claim(number, desk.operators[0])
    desk.handoffs.reply(number, desk.operators[0], "第一句")
    desk.handoffs.reply(number, desk.operators[0], "第二句")
    desk.chat.troubles = [Undelivered("busy", permanent=False)]
    assert desk.handoffs.deliver() and not desk.handoffs.deliver()
    assert desk.chat.pushed == []
    desk.clock.advance(RETRIES[0])
    assert desk.handoffs.deliver() and desk.handoffs.deliver()
    assert [text[-3:] for _, text, _ in desk.chat.pushed] == ["第一句", "第二句"]


def test_what_cannot_be_delivered_is_shown_to_the_operator(desk: Desk) -> None:
    number = desk.waiting(**IN_CHAT)
    desk.handoffs.claim(number, desk.operators[0])
    desk.handoffs.reply(number, desk.operators[0], "在吗")
    desk.chat.troubles = [Undelivered("window closed", permanent=True)]
    desk.handoffs.deliver()
    assert desk.deliveries(number) == ["", "failed"]
    desk.handoffs.reply(number, desk.operators[0], "还在吗")
    desk.chat.troubles = [Undelivered("busy", permanent=False)] * (len(RETRIES) + 1)
    for wait in (timedelta(), *RETRIES):
        desk.clock.advance(wait)
        assert desk.handoffs.deliver()
    assert desk.deliveries(number) == ["", "failed", "failed"] and not desk.chat.troubles
    desk.handoffs.reply(number, desk.operators[0], "最后一句")
    desk.chat.troubles = [RuntimeError("a fault of the channel")]
    desk.handoffs.deliver()
    assert desk.deliveries(number)[-1] == "failed"


def test_an_address_sealed_with_another_key_fails_for_good(desk: Desk) -> None:
    number = desk.waiting(**IN_CHAT)
    desk.handoffs.claim(number, desk.operators[0])
    desk.handoffs.reply(number, desk.operators[0], "在吗")
    other = Handoffs(desk.runtime.db, Sealer("another"), {"chat": desk.chat}, now=desk.clock)
    other.deliver()
    assert desk.deliveries(number) == ["", "failed"] and desk.chat.pushed == []


def test_processes_side_by_side_send_everything_once(desk: Desk, database_url: str) -> None:
    number = desk.waiting(**IN_CHAT)
    desk.handoffs.claim(number, desk.operators[0])
    for text in "一二三四五六":
        desk.handoffs.reply(number, desk.operators[0], text)
    database = Database(database_url)
    other = Handoffs(database, desk.runtime.sealer, {"chat": desk.chat}, now=desk.clock)

    def run(handoffs: Handoffs) -> None:
        while "pending" in desk.deliveries(number):
            handoffs.deliver()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, (desk.handoffs, other)))
    database.dispose()
    assert [text[-1] for _, text, _ in desk.chat.pushed] == list("一二三四五六")


def test_words_of_a_process_that_died_are_sent_by_another(desk: Desk) -> None:
    number = desk.waiting(**IN_CHAT)
    desk.handoffs.claim(number, desk.operators[0])
    desk.handoffs.reply(number, desk.operators[0], "在吗")
    desk.chat.troubles = [SystemExit()]  # type: ignore[list-item]
    with pytest.raises(SystemExit):
        desk.handoffs.deliver()
    assert not desk.handoffs.deliver()
    desk.clock.advance(timedelta(seconds=61))
    assert desk.handoffs.deliver() and len(desk.chat.pushed) == 1


def test_nobody_waits_for_ever(desk: Desk) -> None:
    number = desk.waiting()
    other = desk.waiting("c2", **IN_CHAT)
    desk.clock.advance(timedelta(minutes=30))
    assert desk.handoffs.sweep() == 0
    desk.clock.advance(timedelta(seconds=1))
    assert desk.handoffs.deliver()
    state, [notice] = desk.handoffs.messages("c1")
    assert (state, notice.text) == ("closed", wording.OPERATORS_BUSY)
    assert [text for _, text, _ in desk.chat.pushed] == [wording.OPERATORS_BUSY]
    assert desk.row(number).state == desk.row(other).state == "closed"
    assert desk.row(other).reply_to == ""


def test_a_conversation_left_alone_is_ended_but_one_with_new_words_is_not(desk: Desk) -> None:
    number = desk.waiting()
    desk.handoffs.claim(number, desk.operators[0])
    desk.clock.advance(IDLE)
    desk.ask("还在吗", "c1")
    desk.clock.advance(IDLE)
    assert desk.handoffs.sweep() == 0
    desk.clock.advance(timedelta(seconds=1))
    assert desk.handoffs.sweep() == 1
    assert desk.handoffs.messages("c1")[1][-1].text == wording.OPERATOR_IDLE


def test_no_personal_number_is_stored(desk: Desk) -> None:
    number = desk.waiting()
    desk.handoffs.claim(number, desk.operators[0])
    desk.ask(f"身份证11010519491231002X，手机{MOBILE}", "c1")
    desk.handoffs.reply(number, desk.operators[0], f"我打{MOBILE}给您")
    with desk.runtime.db.reading() as session:
        stored = " ".join(session.scalars(select(HandoffMessage.text)))
    assert MOBILE not in stored and "11010519491231002X" not in stored


def test_the_operator_sees_what_was_said_before(desk: Desk) -> None:
    desk.ask("你好", "c1")
    number = desk.waiting()
    thread = desk.handoffs.thread(number)
    assert thread.before == (("你好", wording.GREETING), ("转人工", wording.TO_PERSON))
    with pytest.raises(NotFound):
        desk.handoffs.thread(999)
