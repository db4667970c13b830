"""Question → answer: the steps in order, from one public method that never raises.

A reviewed entry is answered verbatim. Without one, the clause is quoted. Without either, the
answer is an honest refusal that says whom to ask. What is not in force is never given as
current: the answer says so and names what took its place.
"""

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from kb.passages import Citation, Passage
from kb.search import Scope, least_confidence
from kb.understanding import Understanding
from kb.validity import Validity
from service import guards, wording
from service.composing.composers import Composer, quotation
from service.conversations import Answer, Contact, Conversations, Outcome, Question
from service.desk.handoff import Handoffs

log = logging.getLogger(__name__)

OPTIONS = 3
# From this agreement on a question is an entry's own wording.
OWN_WORDING = 0.8
# An entry that contains this share of a question contains all of it.
FITS = 0.95
# Least share of a question that a successor's clause must contain to be quoted in its place.
SPEAKS_OF = 0.3
# Characters of an ended clause that are looked for in its successor.
MATTER = 300
SUGGESTIONS = 3


@dataclass(frozen=True)
class Cuts:
    """Least probabilities of being right.

    Attributes:
        answer: at which an answer is given, by kind of passage.
        offer: at which an entry is worth offering as "did you mean".
    """

    answer: Mapping[str, float]
    offer: float

    @classmethod
    def allowing(cls, *, entries: float, clauses: float, options: float) -> "Cuts":
        """Cuts at which no larger shares than these are expected to be wrong."""
        return cls(
            {
                "entry": least_confidence("entry", entries),
                "clause": least_confidence("clause", clauses),
            },
            min(least_confidence("entry", entries), 1 - options),
        )


class Answerer:
    """Answers questions from the knowledge base and keeps a record."""

    def __init__(
        self,
        understanding: Understanding,
        conversations: Conversations,
        cuts: Cuts,
        *,
        composer: Composer,
        handoffs: Handoffs,
    ) -> None:
        self._understanding = understanding
        self._search = understanding.search
        self._conversations = conversations
        self._cuts = cuts
        self._composer = composer
        self._handoffs = handoffs

    def answer(self, question: Question) -> Answer:
        """Answer a question. Never raises: failure is an outcome with words of its own."""
        began = time.perf_counter()
        asked = replace(question, text=guards.clean(question.text))
        try:
            answer = (
                self._with_operator(asked) or self._small_talk(asked) or self._from_policies(asked)
            )
        except Exception:
            # Whatever it is: a person is waiting for words, not for a trace.
            log.exception("answering failed")
            answer = Answer(Outcome.ERROR, wording.TRY_AGAIN)
        answer = replace(
            answer,
            id=asked.answer_id or uuid.uuid4().hex,
            conversation_id=asked.conversation_id or uuid.uuid4().hex,
        )
        milliseconds = round((time.perf_counter() - began) * 1000)
        try:
            self._conversations.record(asked, answer, milliseconds)
        except Exception:
            # An answer that cannot be recorded is still an answer.
            log.exception("recording an answer failed")
        answer = self._handed_over(asked, answer)
        log.info("answered", extra={"outcome": answer.outcome.value, "ms": milliseconds})
        return answer

    def _with_operator(self, question: Question) -> Answer | None:
        """While an operator has the conversation, words go there and the service keeps silent."""
        number = question.conversation_id
        if number is None or not self._handoffs.said(number, question.text):
            return None
        # Where somebody is in danger, no operator is quick enough.
        danger = guards.small_talk(question.text) == "danger"
        return Answer(
            Outcome.HANDED_OFF, wording.DANGER if danger else "", understood=question.text
        )

    def _handed_over(self, question: Question, answer: Answer) -> Answer:
        """An answer once who asked for a person is in the queue; else whom they can ring."""
        if answer.text != wording.TO_PERSON:
            return answer
        try:
            if self._handoffs.open(question, answer.conversation_id):
                return answer
        except Exception:
            log.exception("handing over failed")
        return replace(answer, text=wording.TO_HOTLINE)

    def _small_talk(self, question: Question) -> Answer | None:
        to_person = wording.TO_PERSON if question.reach else wording.TO_HOTLINE
        said = {
            "danger": (Outcome.HANDED_OFF, wording.DANGER),
            "person": (Outcome.HANDED_OFF, to_person),
            "greeting": (Outcome.ANSWERED, wording.GREETING),
            "thanks": (Outcome.ANSWERED, wording.THANKS),
        }.get(guards.small_talk(question.text))
        if said is None:
            return None
        return Answer(said[0], said[1], confidence=1.0, understood=question.text)

    def _from_policies(self, asked: Question) -> Answer:
        question = replace(asked, text=guards.impersonal(asked.text))
        scope = Scope(as_of=question.as_of, region=question.region)
        understood = self._understanding.understand(question.text, scope)
        question = replace(question, text=understood.text)
        found = self._search.passages(question.text, scope, also=understood.also)
        base = Answer(
            Outcome.UNANSWERABLE,
            "",
            understood=understood.said,
            rewrites=understood.rewrites,
            passages=found.passages,
            suggestions=_suggestions(found.passages),
            contact=_contact(found.passages),
        )
        return (
            self._outdated(question, base, found.rejected)
            or self._verbatim(base)
            or self._clarify(base)
            or self._quote(question, base)
            or _refuse(base)
        )

    def _outdated(
        self, question: Question, base: Answer, rejected: Sequence[Passage]
    ) -> Answer | None:
        """When the best match is no longer (or not yet) in force: say so, name the successor."""
        current_documents = {cited.document_id for p in base.passages for cited in p.citations}
        # A text that was only revised is answered from the revision of the day.
        ended = [
            passage
            for passage in rejected
            if passage.validity is not Validity.AMENDED
            and not (
                passage.kind == "clause" and passage.citations[0].document_id in current_documents
            )
        ]
        if not ended:
            return None
        old = ended[0]
        best = base.passages[0] if base.passages else None
        threshold = self._cuts.answer[old.kind]
        if old.confidence < threshold or (best and best.confidence >= old.confidence):
            return None
        cited = next(
            (each for each in old.citations if each.validity is old.validity), None
        ) or next(iter(old.citations), None)
        successor = cited.successor if cited else None
        text = wording.not_in_force(
            cited.title if cited else old.title,
            old.validity.value,
            _turning_day(old, cited),
            successor[1] if successor else "",
        )
        matter = old.text if old.kind == "clause" else question.text
        newer = self._in_successor(question, matter, successor[0]) if successor else None
        if newer is None:
            return replace(base, text=text, citations=old.citations)
        current = self._search.quote(question.text, newer)
        return replace(
            base,
            outcome=Outcome.ANSWERED_CLAUSE,
            text=f"{text}\n\n{quotation(current)}",
            confidence=newer.confidence,
            citations=(current, *old.citations),
        )

    def _in_successor(self, question: Question, matter: str, document_id: int) -> Passage | None:
        """The best clause of the document that took over, if it speaks of the matter at all."""
        scope = Scope(
            as_of=question.as_of, region=question.region, kind="clause", document_id=document_id
        )
        best = _best(self._search.passages(matter[:MATTER], scope).passages, "clause")
        return best if best and best.coverage >= SPEAKS_OF else None

    def _verbatim(self, base: Answer) -> Answer | None:
        best = _best(base.passages, "entry")
        if (
            best is None
            or best.confidence < self._cuts.answer["entry"]
            or _one_of_several(best, base)
        ):
            return None
        return replace(
            base,
            outcome=Outcome.ANSWERED,
            text=best.text,
            confidence=best.confidence,
            entry=best,
            citations=best.citations,
            contact=_contact([best]),
        )

    def _clarify(self, base: Answer) -> Answer | None:
        """Several entries are possible and none is sure: let the person choose."""
        fitting = _fitting(base)
        likely = [
            p
            for p in base.passages
            if p.kind == "entry" and (p.confidence >= self._cuts.offer or p in fitting)
        ]
        clause = _best(base.passages, "clause")
        if not likely:
            return None
        # A word that several entries have ("公积金") asks for a choice, whatever a clause says.
        least = max(self._cuts.answer["clause"], likely[0].confidence)
        if len(fitting) < 2 and clause and clause.confidence >= least:
            return None
        options = tuple(passage.title for passage in likely[:OPTIONS])
        return replace(
            base,
            outcome=Outcome.CLARIFY,
            text=wording.CLARIFY if len(options) > 1 else wording.CLARIFY_ONE,
            confidence=likely[0].confidence,
            options=options,
        )

    def _quote(self, question: Question, base: Answer) -> Answer | None:
        best = _best(base.passages, "clause")
        if best is None or best.confidence < self._cuts.answer["clause"]:
            return None
        cited = self._search.quote(question.text, best)
        draft = self._composer.compose(question.text, cited)
        return replace(
            base,
            outcome=Outcome.ANSWERED_CLAUSE,
            text=draft.text,
            ai_generated=draft.ai_generated,
            confidence=best.confidence,
            citations=(cited,),
        )


def _one_of_several(best: Passage, base: Answer) -> bool:
    """Whether a short question ("居住证") fits several entries as a whole, and none by name."""
    if best.closeness >= FITS:
        return False
    others = [p for p in _fitting(base) if p.title != best.title]
    if best.agreement >= OWN_WORDING:
        # Its own wording but for the asking words; others may have the same.
        others = [p for p in others if p.agreement >= OWN_WORDING]
    return bool(others)


def _fitting(base: Answer) -> list[Passage]:
    """Entries that contain all of the question."""
    return [p for p in base.passages if p.kind == "entry" and p.breadth >= FITS]


def _refuse(base: Answer) -> Answer:
    contact = base.contact
    return replace(base, text=wording.no_match(contact.department, contact.phone))


def _best(passages: Sequence[Passage], kind: str) -> Passage | None:
    fit = (p for p in passages if p.kind == kind and p.quotable)
    return max(fit, key=lambda p: p.confidence, default=None)


def _suggestions(passages: Sequence[Passage]) -> tuple[str, ...]:
    """Questions close to this one, after the first."""
    return tuple(p.title for p in passages if p.kind == "entry")[1 : SUGGESTIONS + 1]


def _contact(passages: Sequence[Passage]) -> Contact:
    """The department of the best passage that at least speaks of the matter."""
    for passage in passages:
        if passage.department and passage.coverage >= SPEAKS_OF:
            phone = passage.entry.phone if passage.entry else ""
            return Contact(passage.department, phone or wording.HOTLINE_PHONE)
    return Contact()


def _turning_day(old: Passage, cited: Citation | None) -> date | None:
    """The day on which the validity of a passage became what it is."""
    bearer = cited or old
    if old.validity is Validity.REPEALED:
        return cited.repealed_on if cited else None
    return bearer.expires_on if old.validity is Validity.EXPIRED else bearer.effective_on
