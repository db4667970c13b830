"""Wordings that people's choices speak for, or against, as phrasings of an entry.

Somebody who chooses an entry among options, or calls its answer helpful, has said what their words
mean; somebody who calls it unhelpful, or asks again in other words at once, has said what they do
not. Hides how choices are found in the log.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, aliased

from kb import clock
from kb.clusters import folded
from kb.db import Database
from kb.errors import Conflict, NotFound
from kb.exchange import MAX_PHRASING
from kb.history import History, Version
from kb.journal import audit
from kb.models import Department, Entry, Phrasing, Status
from kb.versions import Versions
from service.conversations import Outcome
from service.insights.evidence import TRIALS, showable
from service.insights.models import PhrasingProposal
from service.models import Conversation, Exchange, Feedback

# Who rejects an answer asks again at once.
AT_ONCE = timedelta(minutes=2)
# Rejected by so many before it is worth saying that an entry must not answer.
REJECTED_BY = 2
LOOK_BACK = timedelta(days=90)
LISTED = 200
NO_PROPOSAL = "没有这条建议，或者它的问答已经不公开"
OPEN, ACCEPTED, DISMISSED = "open", "accepted", "dismissed"


@dataclass(frozen=True)
class Proposal:
    """A wording proposed for an entry.

    Attributes:
        negative: that the entry must not answer it.
        evidence: conversations that speak for it.
    """

    id: int
    entry_id: int
    question: str
    department: str
    region_code: str | None
    text: str
    negative: bool
    evidence: int
    last_seen: datetime


class Phrasings:
    """Proposals from the log, and what becomes of them."""

    def __init__(
        self,
        db: Database,
        versions: Versions,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._db = db
        self._versions = versions
        self._history = History(db)
        self._now = now

    def gather(self) -> int:
        """Count the evidence of the last 90 days anew; return how many proposals are new.

        What was decided stays decided.
        """
        since = self._now() - LOOK_BACK
        with self._db.reading() as session:
            found = _evidence(session, since)
            held = _held(session, {entry_id for entry_id, _, _ in found})
        fresh = 0
        with self._db.transaction() as session:
            self._db.serialise(session)
            known = {
                (row.entry_id, row.text, row.negative): row
                for row in session.scalars(select(PhrasingProposal))
            }
            for (entry_id, text, negative), (askers, last) in found.items():
                if folded(text) in held.get(entry_id, ()):
                    continue
                if len(askers) < (REJECTED_BY if negative else 1):
                    continue
                if not showable(text, len(askers)) or len(text) > MAX_PHRASING:
                    continue
                row = known.get((entry_id, text, negative))
                if row is None:
                    fresh += 1
                    row = PhrasingProposal(
                        entry_id=entry_id, text=text, negative=negative, evidence=0, last_seen=last
                    )
                    session.add(row)
                row.evidence, row.last_seen = len(askers), last
        return fresh

    def listed(self, department: str | None = None) -> tuple[Proposal, ...]:
        """Proposals that nobody has decided on, those with the most evidence first.

        Args:
            department: of the entries, by name; None for all.
        """
        query = _rows().where(PhrasingProposal.state == OPEN)
        if department is not None:
            query = query.where(Department.name == department)
        query = query.order_by(PhrasingProposal.evidence.desc(), PhrasingProposal.id).limit(LISTED)
        with self._db.reading() as session:
            return tuple(Proposal(*row) for row in session.execute(query))

    def find(self, proposal_id: int) -> Proposal:
        """One proposal.

        Raises:
            NotFound: no such one, or its entry is not public any more.
        """
        with self._db.reading() as session:
            row = session.execute(_rows().where(PhrasingProposal.id == proposal_id)).first()
        if row is None:
            raise NotFound(NO_PROPOSAL)
        return Proposal(*row)

    def accept(self, proposal_id: int, *, actor: str) -> Version:
        """Begin a version of the entry with the wording added.

        Raises:
            NotFound: no such proposal or entry.
            Conflict: it is decided, or somebody is working on the entry.
        """
        proposal = self.find(proposal_id)
        self._decide(proposal_id, ACCEPTED, actor)
        try:
            return self.add(
                proposal.entry_id, [proposal.text], actor=actor, negative=proposal.negative
            )
        except Exception:
            self._undecide(proposal_id)
            raise

    def dismiss(self, proposal_id: int, *, actor: str) -> None:
        """The wording is not one of the entry's; it is not proposed again.

        Raises:
            NotFound: no such proposal.
            Conflict: it is decided.
        """
        self._decide(proposal_id, DISMISSED, actor)

    def add(
        self, entry_id: int, texts: Sequence[str], *, actor: str, negative: bool = False
    ) -> Version:
        """Put wordings into the draft of an entry: the author's own, else a new version.

        Raises:
            NotFound: no such entry, or it is not public.
            Conflict: somebody else is working on it.
        """
        draft = self._history.open(entry_id)
        if draft and draft.author == actor and draft.state == "draft":
            record = _with(draft.record, texts, negative=negative)
            return self._versions.save(draft.id, record, actor=actor, seen=draft.edits)
        current = self._history.current(entry_id)
        if current is None:
            raise NotFound("没有这条问答，或者它尚未公开")
        record = _with(current.record, texts, negative=negative)
        return self._versions.draft(entry_id, record, actor=actor, based_on=current.number)

    def _decide(self, proposal_id: int, state: str, actor: str) -> None:
        with self._db.transaction() as session:
            moved: Any = session.execute(
                update(PhrasingProposal)
                .where(PhrasingProposal.id == proposal_id, PhrasingProposal.state == OPEN)
                .values(state=state, decided_by=actor, decided_at=self._now())
            )
            if not moved.rowcount:
                raise Conflict("这条建议已经处理过")
            subject = f"proposal:{proposal_id}"
            audit(session, actor=actor, action=f"proposal.{state}", subject=subject)

    def _undecide(self, proposal_id: int) -> None:
        with self._db.transaction() as session:
            session.execute(
                update(PhrasingProposal)
                .where(PhrasingProposal.id == proposal_id)
                .values(state=OPEN, decided_by="", decided_at=None)
            )


def _with(record: Any, texts: Sequence[str], *, negative: bool) -> Any:
    held = record.negative if negative else record.similar
    more = tuple(dict.fromkeys((*held, *(text for text in texts if text != record.question))))
    return replace(record, negative=more) if negative else replace(record, similar=more)


def _rows() -> Any:
    return (
        select(
            PhrasingProposal.id,
            PhrasingProposal.entry_id,
            Entry.question,
            Department.name,
            Entry.region_code,
            PhrasingProposal.text,
            PhrasingProposal.negative,
            PhrasingProposal.evidence,
            PhrasingProposal.last_seen,
        )
        .join(Entry, Entry.id == PhrasingProposal.entry_id)
        .join(Department, Department.id == Entry.department_id)
        .where(Entry.status == Status.PUBLISHED)
    )


_Evidence = dict[tuple[int, str, bool], tuple[set[str], datetime]]


def _evidence(session: Session, since: datetime) -> _Evidence:
    gathered: dict[tuple[int, str, bool], set[str]] = defaultdict(set)
    last: dict[tuple[int, str, bool], datetime] = {}
    for entry_id, text, negative, asker, at in (
        *_judged(session, since),
        *_asked_again(session, since),
    ):
        key = (entry_id, text.strip(), negative)
        gathered[key].add(asker)
        last[key] = max(at, last.get(key, at))
    return {key: (askers, last[key]) for key, askers in gathered.items() if key[1]}


def _judged(session: Session, since: datetime) -> Iterator[Any]:
    """Answers of entries that somebody called helpful or not."""
    rows = session.execute(
        select(
            Exchange.entry_id,
            Exchange.question,
            Feedback.helpful,
            Exchange.conversation_id,
            Exchange.asked_at,
        )
        .join(Feedback, Feedback.exchange_id == Exchange.id)
        .join(Conversation, Conversation.id == Exchange.conversation_id)
        .where(
            Feedback.given_at >= since,
            Exchange.entry_id.is_not(None),
            Conversation.channel.not_in(TRIALS),
        )
    )
    for entry_id, text, helpful, asker, at in rows:
        yield entry_id, text, not helpful, asker, at


def _asked_again(session: Session, since: datetime) -> Iterator[Any]:
    """An option that was chosen speaks for the words before it; other words at once, against."""
    first, then = aliased(Exchange), aliased(Exchange)
    rows = session.execute(
        select(first, then, Entry.question)
        .join(then, then.conversation_id == first.conversation_id)
        .outerjoin(Entry, Entry.id == then.entry_id)
        .join(Conversation, Conversation.id == first.conversation_id)
        .where(
            first.asked_at >= since,
            first.outcome.in_((Outcome.CLARIFY, Outcome.ANSWERED)),
            then.asked_at > first.asked_at,
            then.entry_id.is_not(None),
            Conversation.channel.not_in(TRIALS),
        )
        .order_by(first.id, then.asked_at)
    )
    seen: set[str] = set()
    for before, after, question in rows:
        if before.id in seen:
            continue
        seen.add(before.id)
        soon = after.asked_at - before.asked_at <= AT_ONCE
        asker = before.conversation_id
        if before.outcome == Outcome.CLARIFY and after.question == question:
            yield after.entry_id, before.question, False, asker, after.asked_at
        elif (
            before.outcome == Outcome.ANSWERED
            and soon
            and before.entry_id not in (None, after.entry_id)
            and folded(before.question) != folded(after.question)
        ):
            yield before.entry_id, before.question, True, asker, after.asked_at


def _held(session: Session, entry_ids: set[int]) -> dict[int, set[str]]:
    """What entries have as wordings already, whichever way."""
    held: dict[int, set[str]] = defaultdict(set)
    for entry_id, question in session.execute(select(Entry.id, Entry.question)):
        if entry_id in entry_ids:
            held[entry_id].add(folded(question))
    for entry_id, text in session.execute(select(Phrasing.entry_id, Phrasing.text)):
        if entry_id in entry_ids:
            held[entry_id].add(folded(text))
    return held
