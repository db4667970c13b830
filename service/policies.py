"""Question + scope → what the base says to it; hides the order of the kinds of answer.

A reviewed entry is answered verbatim. Where one question back decides between several, it is
asked. Without an entry, the clause is quoted. Without either, the answer is an honest refusal
that says whom to ask. What is not in force is never given as current: the answer says so and
names what took its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from kb.passages import Citation, Passage
from kb.search import Scope, Search, least_confidence
from kb.understanding import Understood
from kb.validity import Validity
from service import wording
from service.clarifying import OPTIONS, Clarifying
from service.composing.composers import Composer, quotation
from service.conversations import Answer, Contact, Outcome
from service.tunables import Tuned

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
    def of(cls, tuned: Tuned) -> "Cuts":
        """Cuts at which no larger shares than were set are expected to be wrong."""
        entry = least_confidence("entry", tuned.wrong_entries)
        clause = least_confidence("clause", tuned.wrong_clauses)
        return cls({"entry": entry, "clause": clause}, min(entry, 1 - tuned.wrong_options))


class Policies:
    """Answers whole questions from the knowledge base."""

    def __init__(self, search: Search, tuned: Tuned, composer: Composer) -> None:
        self._search = search
        self._tuned = tuned
        self._cuts = Cuts.of(tuned)
        self._composer = composer
        self._clarifying = Clarifying(search.regions)

    def answer(self, understood: Understood, scope: Scope) -> Answer:
        """What the base says to a question in a scope."""
        found = self._search.passages(understood.text, scope, also=understood.also)
        base = Answer(
            Outcome.UNANSWERABLE,
            "",
            understood=understood.said,
            rewrites=understood.rewrites,
            passages=found.passages,
            suggestions=_suggestions(found.passages)[1:],
            contact=_contact(found.passages),
        )
        text = understood.text
        return (
            self._outdated(text, base, scope, found.rejected)
            or self._verbatim(text, base)
            or self._clarify(text, base)
            or self._quote(text, base)
            or self._refused(base)
        )

    def _outdated(
        self, question: str, base: Answer, scope: Scope, rejected: Sequence[Passage]
    ) -> Answer | None:
        """When the best match is no longer (or not yet) in force: say so, name the successor."""
        current_documents = {cited.document_id for p in base.passages for cited in p.citations}
        # A text that was only revised is answered from the revision of the day.
        ended = [
            passage
            for passage in rejected
            if (passage.validity is not Validity.AMENDED or passage.amended)
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
        text, successor = _why_not(old)
        matter = old.text if old.kind == "clause" else question
        newer = self._in_successor(matter, scope, successor[0]) if successor else None
        if newer is None:
            return replace(base, text=text, citations=old.citations)
        current = self._search.quote(question, newer)
        return replace(
            base,
            outcome=Outcome.ANSWERED_CLAUSE,
            text=f"{text}\n\n{quotation(current)}",
            confidence=newer.confidence,
            citations=(current, *old.citations),
        )

    def _in_successor(self, matter: str, scope: Scope, document_id: int) -> Passage | None:
        """The best clause of the document that took over, if it speaks of the matter at all."""
        scope = replace(scope, kind="clause", document_id=document_id)
        best = _best(self._search.passages(matter[:MATTER], scope).passages, "clause")
        return best if best and best.coverage >= SPEAKS_OF else None

    def _verbatim(self, question: str, base: Answer) -> Answer | None:
        best = _best(base.passages, "entry")
        if (
            best is None
            or best.confidence < self._cuts.answer["entry"]
            or _one_of_several(best, base)
        ):
            return None
        variants = self._clarifying.variants(question, best, base.passages)
        if variants:
            return self._asked_back(question, base, variants)
        return replace(
            base,
            outcome=Outcome.ANSWERED,
            text=best.text,
            confidence=best.confidence,
            entry=best,
            citations=best.citations,
            contact=_contact([best]),
        )

    def _clarify(self, question: str, base: Answer) -> Answer | None:
        """Several entries are possible and none is sure: let the person choose."""
        fitting = _fitting(base)
        likely = [
            p
            for p in base.passages
            if p.kind == "entry"
            and p.breadth > 0
            and (p.confidence >= self._cuts.offer or p in fitting)
        ]
        clause = _best(base.passages, "clause")
        if not likely:
            return None
        # A word that several entries have ("公积金") asks for a choice, whatever a clause says.
        least = max(self._cuts.answer["clause"], likely[0].confidence)
        if len(fitting) < 2 and clause and clause.confidence >= least:
            return None
        return self._asked_back(question, base, likely[:OPTIONS])

    def _asked_back(self, question: str, base: Answer, likely: Sequence[Passage]) -> Answer:
        back = self._clarifying.choice(question, likely)
        return replace(
            base,
            outcome=Outcome.CLARIFY,
            text=back.text,
            confidence=likely[0].confidence,
            options=back.choices,
        )

    def _quote(self, question: str, base: Answer) -> Answer | None:
        best = _best(base.passages, "clause")
        if best is None or best.confidence < self._cuts.answer["clause"]:
            return None
        cited = self._search.quote(question, best)
        draft = self._composer.compose(question, cited)
        return replace(
            base,
            outcome=Outcome.ANSWERED_CLAUSE,
            text=draft.text,
            ai_generated=draft.ai_generated,
            confidence=best.confidence,
            citations=(cited,),
        )

    def _refused(self, base: Answer) -> Answer:
        """Whom to ask; and what may have been meant, the likeliest too, as it is not given."""
        text = self._tuned.no_match(base.contact.department, base.contact.phone)
        suggestions = _suggestions(base.passages)[:SUGGESTIONS]
        return replace(base, text=text, suggestions=suggestions)


def resting_on(answer: Answer) -> Passage | None:
    """The passage that an answer gives, quotes or asks about; None for a refusal."""
    if answer.entry:
        return answer.entry
    if answer.outcome is Outcome.CLARIFY:
        return next((each for each in answer.passages if each.kind == "entry"), None)
    cited = {each.clause_id for each in answer.citations}
    clauses = (each for each in answer.passages if each.kind == "clause")
    return next((each for each in clauses if each.citations[0].clause_id in cited), None)


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


def _best(passages: Sequence[Passage], kind: str) -> Passage | None:
    """The surest one; what has no word of the question is no answer, however near it seems."""
    fit = (p for p in passages if p.kind == kind and p.quotable and p.breadth > 0)
    return max(fit, key=lambda p: p.confidence, default=None)


def _suggestions(passages: Sequence[Passage]) -> tuple[str, ...]:
    """Questions close to this one that share words with it, the likeliest first."""
    close = (p.title for p in passages if p.kind == "entry" and p.breadth > 0)
    return tuple(close)[: SUGGESTIONS + 1]


def _contact(passages: Sequence[Passage]) -> Contact:
    """The department of the best passage that at least speaks of the matter."""
    for passage in passages:
        if passage.department and passage.coverage >= SPEAKS_OF:
            phone = passage.entry.phone if passage.entry else ""
            return Contact(passage.department, phone or wording.HOTLINE_PHONE)
    return Contact()


def _why_not(old: Passage) -> tuple[str, tuple[int, str] | None]:
    """Why a passage is not used, and the document that says what holds instead."""
    if old.amended:
        document = (old.amended.document_id, old.amended.title)
        return wording.basis_amended(old.amended.title, old.amended.since), document
    cited = next((each for each in old.citations if each.validity is old.validity), None) or next(
        iter(old.citations), None
    )
    successor = cited.successor if cited else None
    text = wording.not_in_force(
        cited.title if cited else old.title,
        old.validity.value,
        _turning_day(old, cited),
        successor[1] if successor else "",
    )
    return text, successor


def _turning_day(old: Passage, cited: Citation | None) -> date | None:
    """The day on which the validity of a passage became what it is."""
    bearer = cited or old
    if old.validity is Validity.REPEALED:
        return cited.repealed_on if cited else None
    return bearer.expires_on if old.validity is Validity.EXPIRED else bearer.effective_on
