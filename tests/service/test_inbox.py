"""One delivery, one answer: retries, races, slow answers, deaths, departures; on both databases.

Processes that share a database are several `Inbox` objects over it; one that dies is one whose
answer never comes and whose claim is not renewed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from kb.db import Database
from kb.entries import Entries
from kb.indexing import Indexer
from kb.search import Search
from kb.understanding import Dictionary, Understanding
from service import inbox as inbox_module
from service import wording
from service.answering import Answerer
from service.channels import Capability, Kind, Rejected, Reply, Response, Undelivered
from service.channels.recording import EVERYTHING, RecordingChannel
from service.composing.composers import ExtractiveComposer
from service.conversations import Conversations
from service.desk.handoff import Handoffs
from service.errors import NotReady
from service.inbound import KEPT, KEPT_UNSAID, LEASE, Claim, InboundLog
from service.inbox import Inbox
from service.models import Conversation, Exchange, Handoff, Inbound, User
from service.replies import Replies
from service.sealing import Sealer
from service.tuning import Tuning
from tests.factories import TODAY, Clock, entry

START = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)
HASTE = 0.02
PASSIVE_ONLY = Capability(patience=HASTE, tries=3, passive=True, push=False)
PUSHING = replace(PASSIVE_ONLY, push=True)
PUSH_ONLY = replace(PUSHING, passive=False)
PATIENT = Capability(patience=30.0, tries=3, passive=True, push=False)
LONGEST = 30.0
QUESTION, ANSWER = "护照到期怎么换发", "提前六个月申请换发。"
AMBIGUOUS = "居住证 居民"
OTHER_QUESTION, OTHER_ANSWER = "低保怎么申请", "向户籍地街道提出申请。"


class Platform(RecordingChannel):
    """A channel that says when something was pushed, and posts for a person."""

    def __init__(self, clock: Clock, capability: Capability) -> None:
        super().__init__(capability=capability)
        self.clock = clock
        self.rang = threading.Event()

    def push(self, reply_to: str, reply: Reply, *, key: str) -> None:
        try:
            super().push(reply_to, reply, key=key)
        finally:
            self.rang.set()


class Gated(Replies):
    """Replies that come when the gate opens, and are counted."""

    def __init__(self, *arguments: Any, **facts: Any) -> None:
        super().__init__(*arguments, **facts)
        self.gate, self.asked = threading.Event(), threading.Event()
        self.gate.set()
        self.calls: list[str] = []

    def answer(self, claim: Claim, now: datetime) -> tuple[Reply, str]:
        self.calls.append(claim.question)
        self.asked.set()
        assert self.gate.wait(LONGEST)
        return super().answer(claim, now)


class Desk:
    """Everything of one process that answers deliveries."""

    def __init__(self, db: Database, search: Search, platform: Platform) -> None:
        self.platform, self.clock = platform, platform.clock
        sealer = Sealer("secret of the tests")
        conversations, tuning = Conversations(db, self.clock), Tuning(db, now=self.clock)
        self.handoffs = Handoffs(db, sealer, {"recording": platform}, now=self.clock)
        answerer = Answerer(
            Understanding(db, search, Dictionary(), steps=()),
            conversations,
            tuning,
            composer=ExtractiveComposer(),
            handoffs=self.handoffs,
        )
        self.rows = InboundLog(db, sealer, self.clock)
        self.replies = Gated(
            answerer, conversations, public_url="", region=None, today=lambda: TODAY
        )
        self.inbox = Inbox(self.rows, {"recording": platform}, self.replies)

    def post(self, key: str, text: str = "", user: str = "甲", kind: Kind = Kind.TEXT) -> Response:
        delivery = self.platform.delivery(key, user, text, at=self.clock(), kind=kind)
        return self.inbox.receive("recording", delivery)

    def said(self, *arguments: Any, **facts: Any) -> str:
        """What the person sees at once; empty for nothing."""
        return str(json.loads(self.post(*arguments, **facts).body).get("text", ""))

    def settle(self) -> None:
        """Wait until nothing is in hand."""
        for pool in (self.inbox._answering, self.inbox._sending):
            # Every thread must come to the barrier, so what it had in hand is over.
            many = pool._max_workers
            barrier = threading.Barrier(many)
            for each in [pool.submit(barrier.wait) for _ in range(many)]:
                each.result(LONGEST)


Desks = Callable[..., Desk]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desks(
    database: Database, search: Search, entries: Entries, indexer: Indexer, clock: Clock
) -> Iterator[Desks]:
    records = [
        entry("护照到期怎么换发？", ANSWER, similar=("护照过期了怎么办",)),
        entry("低保怎么申请？", OTHER_ANSWER),
        entry("养老保险关系怎么转移？", "到转入地社保机构申请即可。"),
        entry("公积金贷款额度怎么算？", "按账户余额和缴存年限计算。"),
        entry("本市居民居住证怎么办理？"),
        entry("本市居民居住证丢了怎么补办？"),
        entry("本市居民居住证到期怎么签注？"),
        entry("本市居民居住证有什么用？"),
    ]
    assert all(
        each.outcome == "added"
        for each in entries.save(list(enumerate(records)), actor="编辑", publish=True)
    )
    indexer.catch_up()
    made: list[Desk] = []

    def make(capability: Capability = PATIENT, platform: Platform | None = None) -> Desk:
        desk = Desk(database, search, platform or Platform(clock, capability))
        made.append(desk)
        return desk

    yield make
    for desk in made:
        desk.replies.gate.set()
        desk.inbox.close()


def exchanges(db: Database) -> list[Exchange]:
    with db.reading() as session:
        return list(session.scalars(select(Exchange).order_by(Exchange.asked_at)))


def rows(db: Database) -> list[Inbound]:
    with db.reading() as session:
        return list(session.scalars(select(Inbound).order_by(Inbound.id)))


def test_a_question_is_answered_in_the_response_and_recorded_once(
    desks: Desks, database: Database
) -> None:
    desk = desks()
    assert desk.said("1", QUESTION) == ANSWER
    [exchange], [row] = exchanges(database), rows(database)
    assert exchange.question == QUESTION and exchange.text == ANSWER
    assert (row.state, row.said_by, row.question, row.reply_to) == ("said", "passive", "", "")


def test_every_retry_gets_the_same_reply(desks: Desks, database: Database) -> None:
    desk = desks()
    first = desk.post("1", QUESTION)
    assert [desk.post("1", QUESTION) for _ in range(4)] == [first] * 4
    assert desk.replies.calls == [QUESTION]
    assert len(exchanges(database)) == 1 and rows(database)[0].deliveries == 5


def test_duplicates_at_once_in_two_processes_are_answered_once(
    desks: Desks, database: Database
) -> None:
    first = desks()
    second = desks(platform=first.platform)
    many = 8
    barrier = threading.Barrier(many)

    def post(number: int) -> str:
        barrier.wait()
        return (first, second)[number % 2].said("1", QUESTION)

    with ThreadPoolExecutor(many) as pool:
        assert set(pool.map(post, range(many))) == {ANSWER}
    assert len(first.replies.calls) + len(second.replies.calls) == 1
    assert len(exchanges(database)) == 1 and len(rows(database)) == 1


def test_a_slow_answer_is_pushed_once_and_not_said_again(desks: Desks, database: Database) -> None:
    desk = desks(PUSHING)
    desk.replies.gate.clear()
    assert desk.said("1", QUESTION) == ""
    desk.clock.advance(timedelta(seconds=1))
    assert desk.said("1", QUESTION) == ""
    desk.replies.gate.set()
    desk.settle()
    [pushed] = desk.platform.pushed
    assert (pushed.user, pushed.text) == ("甲", ANSWER)
    assert pushed.key == exchanges(database)[0].id and len(pushed.key) == 32
    assert desk.said("1", QUESTION) == "" and not desk.inbox.job()
    desk.settle()
    assert len(desk.platform.pushed) == 1
    assert (rows(database)[0].said_by, rows(database)[0].reply_to) == ("push", "")


def test_where_a_response_carries_no_words_they_are_pushed(desks: Desks) -> None:
    desk = desks(PUSH_ONLY)
    assert desk.said("1", QUESTION) == desk.said("2", kind=Kind.OTHER) == ""
    desk.settle()
    assert {each.text for each in desk.platform.pushed} == {ANSWER, wording.PLEASE_WRITE}


def test_without_push_the_platforms_retry_collects_a_slow_answer(desks: Desks) -> None:
    desk = desks(PASSIVE_ONLY)
    desk.replies.gate.clear()
    with pytest.raises(NotReady):
        desk.post("1", QUESTION)
    answer_comes(desk)
    assert desk.said("1", QUESTION) == desk.said("1", QUESTION) == ANSWER
    assert desk.replies.calls == [QUESTION]


def out_of_tries(desk: Desk, key: str = "1", text: str = QUESTION) -> None:
    """A question that no try of the platform got the answer to."""
    desk.replies.gate.clear()
    for _ in range(2):
        with pytest.raises(NotReady):
            desk.post(key, text)
    assert desk.said(key, text) == wording.STILL_LOOKING


def answer_comes(desk: Desk) -> None:
    """It is there now, and the platform has time again."""
    desk.replies.gate.set()
    desk.settle()
    desk.platform.capability = PATIENT


def test_after_the_last_try_a_number_collects_the_answer(desks: Desks, database: Database) -> None:
    desk = desks(PASSIVE_ONLY)
    out_of_tries(desk)
    desk.platform.capability = PATIENT
    assert desk.said("2", "1") == wording.STILL_LOOKING
    answer_comes(desk)
    assert desk.said("3", "１") == desk.said("3", "１") == ANSWER
    assert desk.said("1", QUESTION) == ""
    assert len(exchanges(database)) == 1
    assert [row.said_by for row in rows(database)] == ["next", "passive", "passive"]


def test_the_next_message_begins_with_an_answer_that_was_kept(desks: Desks) -> None:
    desk = desks(PASSIVE_ONLY)
    out_of_tries(desk)
    answer_comes(desk)
    assert desk.said("2", OTHER_QUESTION, user="乙") == OTHER_ANSWER
    both = f"{ANSWER}\n\n{OTHER_ANSWER}"
    assert desk.said("3", OTHER_QUESTION) == desk.said("3", OTHER_QUESTION) == both
    assert desk.said("4", OTHER_QUESTION) == OTHER_ANSWER


def test_an_answer_that_comes_with_the_last_try_is_said_by_it(desks: Desks) -> None:
    desk = desks(PASSIVE_ONLY)
    out_of_tries(desk)
    answer_comes(desk)
    # The interim words were not seen after all: the platform asks a fourth time.
    assert desk.said("1", QUESTION) == ANSWER
    assert desk.said("2", OTHER_QUESTION) == OTHER_ANSWER


def test_a_response_that_came_too_late_does_not_lose_the_answer(desks: Desks) -> None:
    desk = desks()
    assert desk.said("1", QUESTION) == ANSWER
    # It took too long: the platform had hung up, and does so again, and again.
    desk.platform.capability = replace(PATIENT, patience=0.0)
    with pytest.raises(NotReady):
        desk.post("1", QUESTION)
    assert desk.said("1", QUESTION) == wording.STILL_LOOKING
    desk.platform.capability = PATIENT
    assert desk.said("2", "1") == desk.said("2", "1") == ANSWER
    assert desk.said("1", QUESTION) == ""


def test_a_platform_that_hung_up_is_not_spoken_to(desks: Desks) -> None:
    desk = desks()
    delivery = desk.platform.delivery("1", "甲", QUESTION, at=desk.clock())
    # It listens when the reply is taken, but not when that is written down.
    listens = iter([False, True])
    desk.platform.capability = replace(PATIENT, patience=0.2)
    with pytest.raises(NotReady):
        desk.inbox.receive("recording", delivery, hung_up=lambda: next(listens, True))
    desk.settle()
    with pytest.raises(NotReady):
        desk.inbox.receive("recording", delivery, hung_up=lambda: True)
    desk.platform.capability = PATIENT
    desk.clock.advance(timedelta(minutes=2))
    # It never tried a third time; the person writes something else.
    assert desk.said("2", OTHER_QUESTION) == f"{ANSWER}\n\n{OTHER_ANSWER}"


def test_a_reply_that_is_too_late_for_the_response_is_pushed(desks: Desks) -> None:
    desk = desks(replace(PUSHING, patience=0.0))
    desk.replies.gate.clear()
    assert desk.said("1", QUESTION) == ""
    desk.replies.gate.set()
    desk.settle()
    assert desk.said("1", QUESTION) == ""
    desk.clock.advance(timedelta(seconds=1))
    desk.inbox.job()
    desk.settle()
    assert [each.text for each in desk.platform.pushed] == [ANSWER]


def test_a_lost_response_is_followed_by_a_push(desks: Desks, database: Database) -> None:
    desk = desks(replace(PATIENT, push=True))
    assert desk.said("1", QUESTION) == ANSWER
    desk.platform.capability = replace(PUSHING, patience=0.0)
    desk.clock.advance(timedelta(seconds=1))
    assert desk.said("1", QUESTION) == ""
    desk.inbox.job()
    desk.settle()
    assert [each.text for each in desk.platform.pushed] == [ANSWER]


def test_a_slow_retry_does_not_take_back_what_a_later_one_said(desks: Desks) -> None:
    desk = desks()
    desk.said("1", QUESTION)
    slow = desk.rows.read(1)
    assert slow is not None
    assert desk.said("1", QUESTION) == ANSWER
    desk.rows.retract(slow)
    assert desk.said("2", OTHER_QUESTION) == OTHER_ANSWER
    assert desk.said("1", QUESTION) == ANSWER


def test_where_to_push_is_erased_when_no_retry_can_come(desks: Desks, database: Database) -> None:
    desk = desks(replace(PATIENT, push=True))
    desk.said("1", QUESTION)
    desk.rows.tidy()
    assert rows(database)[0].reply_to
    desk.clock.advance(timedelta(minutes=2))
    desk.rows.tidy()
    assert not rows(database)[0].reply_to


def test_a_retry_takes_over_from_a_process_that_died(desks: Desks, database: Database) -> None:
    dead = desks(PASSIVE_ONLY)
    dead.replies.gate.clear()
    with pytest.raises(NotReady):
        dead.post("1", QUESTION)
    living = desks(platform=Platform(dead.clock, PATIENT))
    dead.clock.advance(timedelta(seconds=LEASE.total_seconds() + 1))
    assert living.said("1", QUESTION) == ANSWER
    # It was not dead but slow: it comes too late, and changes nothing.
    dead.replies.gate.set()
    dead.settle()
    dead.platform.capability = PATIENT
    assert living.said("1", QUESTION) == dead.said("1", QUESTION) == ANSWER
    assert len(exchanges(database)) == 1


def test_the_background_job_takes_over_and_pushes(desks: Desks, database: Database) -> None:
    dead = desks(PUSHING)
    dead.replies.gate.clear()
    assert dead.said("1", QUESTION) == ""
    living = desks(platform=dead.platform)
    assert living.inbox.job() is False
    dead.clock.advance(timedelta(seconds=LEASE.total_seconds() + 1))
    assert living.inbox.job() is True
    living.settle()
    assert [each.text for each in living.platform.pushed] == [ANSWER]
    assert living.inbox.job() is False
    dead.replies.gate.set()
    dead.settle()
    assert len(living.platform.pushed) == 1 and len(exchanges(database)) == 1


def test_a_claim_that_is_renewed_is_not_taken(desks: Desks) -> None:
    desk = desks(PUSHING)
    desk.replies.gate.clear()
    desk.post("1", QUESTION)
    other = desks(platform=desk.platform)
    for _ in range(3):
        desk.clock.advance(timedelta(seconds=LEASE.total_seconds() - 1))
        desk.inbox._renew()
        assert other.inbox.job() is False
    desk.replies.gate.set()
    desk.settle()
    assert other.replies.calls == [] and len(desk.platform.pushed) == 1


def test_a_crash_between_answer_and_reply_leaves_one_exchange(
    desks: Desks, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    desk = desks(PASSIVE_ONLY)
    keep = desk.rows.answered

    def crash(claim: Claim, reply: Reply) -> bool:
        desk.rows.answered = keep  # type: ignore[method-assign]
        raise OSError("disk full")

    desk.rows.answered = crash  # type: ignore[method-assign]
    with pytest.raises(NotReady):
        desk.post("1", QUESTION)
    desk.settle()
    assert "keeping a reply failed" in caplog.text and len(exchanges(database)) == 1
    desk.clock.advance(timedelta(seconds=LEASE.total_seconds() + 1))
    assert desk.inbox.job() is True
    answer_comes(desk)
    assert desk.said("1", QUESTION) == ANSWER
    assert desk.replies.calls == [QUESTION] * 2 and len(exchanges(database)) == 1


def test_a_push_that_fails_is_sent_again_later_under_the_same_key(desks: Desks) -> None:
    desk = desks(PUSH_ONLY)
    desk.platform.refusal = Undelivered("busy", permanent=False)
    desk.post("1", QUESTION)
    desk.settle()
    desk.platform.refusal = None
    desk.inbox.job()
    desk.settle()
    assert desk.platform.pushed == []
    desk.clock.advance(timedelta(seconds=LEASE.total_seconds() + 1))
    desk.inbox.job()
    desk.settle()
    [pushed] = desk.platform.pushed
    desk.clock.advance(timedelta(hours=2))
    desk.inbox.job()
    desk.settle()
    assert desk.platform.pushed == [pushed]


def test_pushes_that_keep_failing_pause_longer_and_end(desks: Desks, database: Database) -> None:
    desk = desks(PUSH_ONLY)
    desk.platform.refusal = Undelivered("busy", permanent=False)
    desk.post("1", QUESTION)
    desk.settle()
    tries = 0
    for _ in range(240):
        desk.platform.rang.clear()
        desk.clock.advance(timedelta(seconds=30))
        desk.inbox.job()
        desk.settle()
        tries += desk.platform.rang.is_set()
    assert 5 <= tries <= 20
    [row] = rows(database)
    assert (row.state, row.said_by, row.reply_to) == ("answered", "later", "")


def test_what_a_platform_refuses_for_good_waits_for_the_next_message(desks: Desks) -> None:
    desk = desks(PUSHING)
    desk.replies.gate.clear()
    desk.platform.refusal = Undelivered("window closed", permanent=True)
    desk.post("1", QUESTION)
    desk.clock.advance(timedelta(seconds=1))
    desk.replies.gate.set()
    desk.settle()
    desk.platform.refusal = None
    desk.platform.capability = replace(PATIENT, push=True)
    assert desk.said("2", OTHER_QUESTION) == f"{ANSWER}\n\n{OTHER_ANSWER}"
    assert desk.platform.pushed == []


def test_a_process_that_dies_while_pushing_is_followed_by_another(desks: Desks) -> None:
    desk = desks(PUSHING)
    desk.replies.gate.clear()
    desk.post("1", QUESTION)
    desk.replies.gate.set()
    desk.settle()
    [row] = rows(desk.rows._db)
    claim = desk.rows.claim_push(row.id)
    assert claim is not None and desk.rows.claim_push(row.id) is None
    desk.clock.advance(timedelta(seconds=LEASE.total_seconds() + 1))
    desk.inbox.job()
    desk.settle()
    assert [each.key for each in desk.platform.pushed] == [claim.answer_id]


def test_response_and_push_never_both_speak(desks: Desks, database: Database) -> None:
    first, second = desks(PUSHING), desks(PUSHING)
    for number in range(20):
        first.replies.gate.clear()
        first.post(str(number), QUESTION, user=str(number))
        first.replies.gate.set()
        first.settle()
    ids = [row.id for row in rows(database)]
    barrier = threading.Barrier(2)

    def race(attempt: Callable[[int], object]) -> list[bool]:
        wins = []
        for id in ids:
            barrier.wait()
            wins.append(attempt(id) is not None)
        return wins

    with ThreadPoolExecutor(2) as pool:
        spoken = pool.submit(race, first.rows.speak)
        pushed = pool.submit(race, second.rows.claim_push)
        assert all(a != b for a, b in zip(spoken.result(), pushed.result(), strict=True))


def test_who_leaves_is_forgotten(desks: Desks, database: Database) -> None:
    desk = desks(PUSHING)
    desk.platform.capability = replace(PATIENT, push=True)
    desk.said("1", QUESTION)
    desk.said("2", "转人工")
    desk.said("3", QUESTION, user="乙")
    desk.platform.capability = PUSHING
    desk.replies.gate.clear()
    desk.post("4", QUESTION)
    assert desk.said("5", kind=Kind.LEFT) == ""
    assert desk.said("5", kind=Kind.LEFT) == ""
    desk.clock.advance(timedelta(seconds=1))
    # An answer in the making leaves nothing behind either.
    desk.replies.gate.set()
    desk.settle()
    assert desk.platform.pushed == []
    assert len(exchanges(database)) == 1
    with database.reading() as session:
        assert session.scalar(select(func.count(Conversation.id))) == 1
        assert session.scalar(select(func.count(Handoff.id))) == 0
    kept = {row.key: row for row in rows(database)}
    for key in "124":
        row = kept[key]
        assert (row.person, row.question, row.reply, row.reply_to) == ("", "", "", "")
    assert kept["3"].person and kept["3"].reply
    # A late retry is still known as one.
    assert desk.said("1", QUESTION) == "" and len(exchanges(database)) == 1


@pytest.mark.parametrize("number", ["2", "２", "②", "二", "2.", "第二个"])
def test_an_option_is_chosen_by_its_number(desks: Desks, database: Database, number: str) -> None:
    desk = desks()
    offer = desk.said("1", AMBIGUOUS)
    options = [line[3:] for line in offer.splitlines() if line[:2] in ("1.", "2.", "3.")]
    assert len(options) >= 2
    assert desk.said("2", number) == desk.said("2", number)
    assert exchanges(database)[-1].question == options[1]
    desk.said("3", number)
    # Nothing is offered any more: a number is a text like any other.
    assert exchanges(database)[-1].question == number


def test_a_choice_is_that_persons_own_and_not_for_ever(desks: Desks, database: Database) -> None:
    desk = desks()
    desk.said("1", AMBIGUOUS)
    desk.said("2", "1", user="乙")
    assert exchanges(database)[-1].question == "1"
    desk.clock.advance(timedelta(hours=5))
    desk.said("3", "1")
    assert exchanges(database)[-1].question == "1"


def test_messages_of_other_kinds(desks: Desks, database: Database) -> None:
    desk = desks()
    assert desk.said("1", kind=Kind.ARRIVED) == wording.WELCOME
    assert desk.said("2", kind=Kind.OTHER) == desk.said("2", kind=Kind.OTHER)
    assert desk.said("2", kind=Kind.OTHER) == wording.PLEASE_WRITE
    assert desk.said("3", kind=Kind.SILENT) == ""
    assert "太长" in desk.said("4", "问" * 501)
    assert "12345" in desk.said("5", "  ")
    assert desk.replies.calls == [] and exchanges(database) == []


def test_a_forged_delivery_leaves_no_trace(desks: Desks, database: Database) -> None:
    desk = desks()
    genuine = desk.platform.delivery("1", "甲", QUESTION, at=desk.clock())
    with pytest.raises(Rejected):
        desk.inbox.receive("recording", replace(genuine, body=genuine.body + b" "))
    assert rows(database) == []


def test_a_conversation_goes_on_for_some_hours(desks: Desks, database: Database) -> None:
    desk = desks()
    desk.said("1", QUESTION)
    desk.clock.advance(timedelta(hours=3))
    desk.said("2", OTHER_QUESTION)
    desk.said("3", OTHER_QUESTION, user="乙")
    desk.clock.advance(timedelta(hours=5))
    desk.said("4", QUESTION)
    first, second, other, later = (each.conversation_id for each in exchanges(database))
    assert first == second and len({first, other, later}) == 3


def test_while_an_operator_has_the_person_the_service_is_silent(
    desks: Desks, database: Database
) -> None:
    desk = desks(replace(PATIENT, push=True))
    assert desk.said("1", "转人工") == wording.TO_PERSON
    with database.transaction() as session:
        operator = User(
            name="gao",
            role="operator",
            password_hash="",
            password_changed_at=START,
            created_at=START,
        )
        session.add(operator)
    [waiting] = desk.handoffs.queue()
    desk.handoffs.claim(waiting.id, operator.id)
    assert desk.said("2", "我的事很急") == desk.said("2", "我的事很急") == ""
    assert desk.handoffs.thread(waiting.id).words[-1].text == "我的事很急"
    assert [w.text for w in desk.handoffs.thread(waiting.id).words].count("我的事很急") == 1
    desk.handoffs.close(waiting.id, operator.id)
    assert desk.said("3", QUESTION) == ANSWER


def test_without_push_nobody_is_promised_an_operator(desks: Desks) -> None:
    desk = desks()
    assert desk.said("1", "转人工") == wording.TO_HOTLINE
    assert desk.handoffs.queue() == ()


def test_an_unexpected_failure_is_said_once(
    desks: Desks, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    desk = desks()
    desk.replies._conversations = None  # type: ignore[assignment]
    assert desk.said("1", QUESTION) == desk.said("1", QUESTION) == wording.TRY_AGAIN
    assert "answering a message failed" in caplog.text and len(desk.replies.calls) == 1


def test_a_question_nobody_could_answer_is_given_up(desks: Desks) -> None:
    desk = desks(PUSHING)
    desk.replies.gate.clear()
    desk.post("1", QUESTION)
    desk.clock.advance(timedelta(minutes=6))
    other = desks(platform=desk.platform)
    assert other.inbox.job() is True
    other.settle()
    assert [each.text for each in desk.platform.pushed] == [wording.TRY_AGAIN]
    assert other.replies.calls == []


def test_a_full_house_leaves_messages_to_the_background(
    desks: Desks, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desks(PUSHING)
    with monkeypatch.context() as full:
        full.setattr(inbox_module, "ROOM", 0)
        assert desk.said("1", QUESTION) == ""
        assert desk.inbox.job() is False
    assert rows(database)[0].state == "received"
    desk.clock.advance(timedelta(seconds=1))
    assert desk.inbox.job() is True
    desk.settle()
    assert [each.text for each in desk.platform.pushed] == [ANSWER]


def test_long_waits_are_for_few_and_everybody_waits_a_little(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "EVERYBODY_WAITS", HASTE)
    desk = desks(PATIENT)
    desk.platform.capability = replace(EVERYTHING, patience=LONGEST)
    desk.inbox._patient = threading.Semaphore(0)
    desk.replies.gate.clear()
    # Would last half a minute otherwise.
    assert desk.said("1", QUESTION) == ""
    desk.replies.gate.set()
    desk.settle()
    assert desk.said("1", QUESTION) == ANSWER


def test_a_channel_that_is_gone_does_not_hold_up_the_others(
    desks: Desks, database: Database
) -> None:
    desk = desks(PUSH_ONLY)
    with database.transaction() as session:
        session.add_all(
            Inbound(
                channel="gone", account="x", key=str(number), person="p", state="answered",
                reply='{"text": "x", "options": []}', reply_to="sealed", received_at=START,
            )
            for number in range(60)
        )  # fmt: skip
    desk.platform.refusal = Undelivered("busy", permanent=False)
    desk.post("1", QUESTION)
    desk.settle()
    desk.platform.refusal = None
    desk.clock.advance(timedelta(seconds=60))
    desk.inbox.job()
    desk.settle()
    assert [each.text for each in desk.platform.pushed] == [ANSWER]


def test_rows_are_dropped_when_no_retry_can_come(desks: Desks, database: Database) -> None:
    desk = desks(PASSIVE_ONLY)
    out_of_tries(desk, key="kept")
    desk.replies.gate.set()
    desk.settle()
    desk.platform.capability = PATIENT
    desk.said("said", OTHER_QUESTION, user="乙")
    desk.clock.advance(timedelta(seconds=KEPT.total_seconds() - 1))
    desk.rows.tidy()
    assert {row.key for row in rows(database)} == {"kept", "said"}
    desk.clock.advance(timedelta(seconds=2))
    desk.rows.tidy()
    assert {row.key for row in rows(database)} == {"kept"}
    desk.clock.advance(timedelta(seconds=KEPT_UNSAID.total_seconds()))
    desk.rows.tidy()
    assert rows(database) == []


def test_no_personal_data_is_stored_in_the_open(desks: Desks, database: Database) -> None:
    desk = desks(PUSHING)
    desk.replies.gate.clear()
    desk.post("1", "我电话13812345678，低保怎么申请", user="openid-of-a-person")
    with database.reading() as session:
        held = repr(session.execute(text("SELECT * FROM inbound")).all())
    assert "13812345678" not in held and "openid-of-a-person" not in held and "低保" not in held
    desk.replies.gate.set()
    desk.settle()
    [exchange] = exchanges(database)
    assert "138****5678" in exchange.question


def test_a_seal_that_does_not_open_is_an_apology(
    desks: Desks, caplog: pytest.LogCaptureFixture
) -> None:
    desk = desks(PASSIVE_ONLY)
    desk.replies.gate.clear()
    with pytest.raises(NotReady):
        desk.post("1", QUESTION)
    other = desks(platform=Platform(desk.clock, PATIENT))
    other.rows._sealer = Sealer("another secret")
    desk.clock.advance(timedelta(seconds=LEASE.total_seconds() + 1))
    assert other.said("1", QUESTION) == wording.TRY_AGAIN
    assert "sealed with another key" in caplog.text
