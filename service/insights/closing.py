"""Gaps that close by themselves: what was asked is answered by what is published now."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from kb import clock
from kb.clock import day_of
from kb.db import Database
from kb.journal import audit
from kb.models import Change
from kb.passages import Passage
from kb.search import Scope
from kb.understanding import Understanding
from service.conversations import Outcome
from service.insights.gaps import UNSETTLED
from service.insights.gathering import ANSWERED, wordings
from service.insights.models import Gap, GapQuestion
from service.policies import Policies, resting_on

# Wordings of a gap that must all be answered; and the gaps that are asked again at a time, since
# citizens are being answered meanwhile.
ASKED, MOST = 3, 100
SYSTEM = "system"
# Questions that had an answer: only another one helps.
_HAD_ONE = frozenset(("unhelpful", "unsure"))


class Closing:
    """Asks the most frequent wordings of unsettled gaps again, without leaving a trace."""

    def __init__(
        self,
        db: Database,
        understanding: Understanding,
        policies: Callable[[], Policies],
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._db = db
        self._understanding = understanding
        self._policies = policies
        self._now = now
        # The last change of the base that was looked at, and the last gap looked at since; None
        # when all were.
        self._seen = 0
        self._after: int | None = None

    def close(self) -> int:
        """Close what is answered now; return how many gaps that were.

        Each call looks at some gaps; after a change of the base, all are looked at again.
        """
        with self._db.reading() as session:
            changes = session.scalar(select(func.max(Change.number))) or 0
            if changes != self._seen:
                self._seen, self._after = changes, 0
            if self._after is None:
                return 0
            gaps = session.execute(
                select(Gap.id, Gap.region_code, Gap.last_seen, Gap.first_seen)
                .where(Gap.state.in_(UNSETTLED), Gap.size > 0, Gap.id > self._after)
                .order_by(Gap.id)
                .limit(MOST)
            ).all()
            asked = {gap.id: self._asked(session, gap.id) for gap in gaps}
        self._after = gaps[-1].id if len(gaps) == MOST else None
        policies, closed = self._policies(), 0
        for gap in gaps:
            texts, had_one = asked[gap.id]
            by = None
            for text in texts:
                passage = self._answering(policies, text, gap.region_code)
                if passage is None or (had_one and not _newer(passage, gap.last_seen)):
                    break
                by = by or passage
            else:
                closed += self._settle(gap.id, gap.last_seen, by) if by else 0
        return closed

    def _asked(self, session: Session, gap_id: int) -> tuple[list[str], bool]:
        """What to ask again, and whether any of the questions had an answer that did not do."""
        texts = [row[1] for row in wordings(session, [gap_id])][:ASKED]
        kinds = session.scalars(
            select(GapQuestion.kind).where(GapQuestion.gap_id == gap_id).distinct()
        )
        return texts, bool(_HAD_ONE & set(kinds))

    def _answering(self, policies: Policies, text: str, region: str | None) -> Passage | None:
        """What a person who asks now is answered from; None for who is not, or is asked back."""
        scope = Scope(as_of=day_of(self._now()), region=region)
        answer = policies.answer(self._understanding.understand(text, scope), scope)
        answered = answer.outcome in (Outcome.ANSWERED, Outcome.ANSWERED_CLAUSE)
        return resting_on(answer) if answered else None

    def _settle(self, gap_id: int, seen: datetime, passage: Passage) -> int:
        what = "问答" if passage.kind == "entry" else "文件"
        reason = f"现在能用已发布的{what}“{passage.title}”回答，系统自动关闭"
        with self._db.transaction() as session:
            moved = session.execute(
                update(Gap)
                .where(Gap.id == gap_id, Gap.state.in_(UNSETTLED), Gap.last_seen == seen)
                .values(state=ANSWERED, reason=reason, closed_at=self._now(), due_on=None)
            )
            closed: int = moved.rowcount  # type: ignore[attr-defined]
            if closed:
                subject = f"gap:{gap_id}"
                audit(session, actor=SYSTEM, action="gap.close", subject=subject, by=passage.key)
        return closed


def _newer(passage: Passage, last_seen: datetime) -> bool:
    return passage.entry is not None and passage.entry.updated_at > last_seen
