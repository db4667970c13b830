"""Which logged questions were not answered well, and what of them may be shown; hides the queries.

A question counts once, under the worst that can be said of it: somebody called the answer
unhelpful, there was none, it was unsure, or a question back was left unanswered.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, exists, or_, select
from sqlalchemy.orm import Session, aliased

from service.conversations import Outcome
from service.insights.models import GapQuestion
from service.models import Conversation, Exchange, Feedback, Ticket

KINDS = {
    "unanswerable": "没有答案",
    "unsure": "把握不大",
    "abandoned": "追问后离开",
    "unhelpful": "没有帮助",
    "ticket": "转了部门",
}
# Channels on which nobody needs an answer: the command line and evaluations.
TRIALS = ("cli", "eval")
# An answer of less confidence may well be wrong.
UNSURE = 0.6
# Whoever has not chosen among the options by then has left.
LEFT_AFTER = timedelta(minutes=30)
HOTLINE = "hotline"
LEAST_CHARACTERS = 2

# What `guards.mask` leaves, long numbers of any kind, and people who introduce themselves.
_PERSONAL = re.compile(
    r"\*{2,}|\d[\d -]{5,}|@|我(?:叫|是)[\u4e00-\u9fa5]{2,3}[，,。\s]|(?:本人|姓名|名字)[是叫:： ]"
    r"|[\u4e00-\u9fa5]{2,}(?:小区|花园|家园|路|街)[\d一二三四五六七八九十]+(?:号|栋|幢|单元)"
)


@dataclass(frozen=True)
class Asked:
    """A question that was not answered well.

    Attributes:
        kind: one of `KINDS`.
        asker: tells one person's questions from another's; says nothing else.
        text: masked.
    """

    exchange_id: str | None
    ticket_id: int | None
    kind: str
    text: str
    asker: str
    channel: str
    region_code: str | None
    asked_at: datetime


def badly_answered(session: Session, *, since: datetime, now: datetime) -> Iterator[Asked]:
    """Questions and tickets since a moment that no gap holds yet, oldest first.

    Args:
        since: of asking, or of saying that an answer did not help.
    """
    found: dict[str, Asked] = {}
    for recent in (Exchange.asked_at >= since, Feedback.given_at >= since):
        for row in session.execute(_exchanges(now).where(recent)):
            found[row.id] = Asked(
                row.id,
                None,
                row.kind,
                row.question,
                row.conversation_id,
                row.channel,
                row.region_code,
                row.asked_at,
            )
    tickets = (
        Asked(
            None,
            row.id,
            "ticket",
            row.question,
            f"ticket:{row.number}",
            HOTLINE,
            row.region_code,
            row.created_at,
        )
        for row in session.execute(_tickets(since))
    )
    questions = [*found.values(), *tickets]
    questions.sort(key=lambda asked: (asked.asked_at, asked.exchange_id or ""))
    return (asked for asked in questions if len(asked.text.strip()) >= LEAST_CHARACTERS)


def showable(text: str, askers: int) -> bool:
    """Whether a masked wording may be shown to those who write answers.

    Several people do not ask about one person in the same words; what only one asked must not
    hold anything personal.
    """
    return askers >= 2 or not _PERSONAL.search(text)


def _exchanges(now: datetime) -> Any:
    later = aliased(Exchange)
    answered = Exchange.outcome.in_((Outcome.ANSWERED, Outcome.ANSWERED_CLAUSE))
    unhelpful = Feedback.helpful.is_(False)
    unanswerable = Exchange.outcome == Outcome.UNANSWERABLE
    unsure = and_(answered, Exchange.confidence < UNSURE)
    abandoned = and_(
        Exchange.outcome == Outcome.CLARIFY,
        Exchange.asked_at < now - LEFT_AFTER,
        ~exists().where(
            later.conversation_id == Exchange.conversation_id, later.asked_at > Exchange.asked_at
        ),
    )
    kind = case(
        (unhelpful, "unhelpful"),
        (unanswerable, "unanswerable"),
        (unsure, "unsure"),
        else_="abandoned",
    )
    return (
        select(
            Exchange.id,
            Exchange.question,
            Exchange.conversation_id,
            Conversation.channel,
            Exchange.region_code,
            Exchange.asked_at,
            kind.label("kind"),
        )
        .join(Conversation, Conversation.id == Exchange.conversation_id)
        .outerjoin(Feedback, Feedback.exchange_id == Exchange.id)
        .outerjoin(GapQuestion, GapQuestion.exchange_id == Exchange.id)
        .where(
            GapQuestion.id.is_(None),
            Conversation.channel.not_in(TRIALS),
            or_(unhelpful, unanswerable, unsure, abandoned),
        )
    )


def _tickets(since: datetime) -> Any:
    return (
        select(Ticket.id, Ticket.number, Ticket.question, Ticket.region_code, Ticket.created_at)
        .outerjoin(GapQuestion, GapQuestion.ticket_id == Ticket.id)
        .where(GapQuestion.id.is_(None), Ticket.created_at >= since)
    )
