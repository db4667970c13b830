"""Which words a basis means on a day; hides how names, revisions and numbers of articles change.

A basis goes by name, so it holds for a document that is imported later and for each new revision.
Where a revision gives the cited words another number, they are followed by a sketch of them.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from kb.models import Clause, Document, Revision, Status
from kb.regions import depth, nested
from kb.validity import Period, Validity

_LABEL = re.compile(r"^\s*第[〇零一二两三四五六七八九十百千\d]+条(?:之[一二三四五六七八九十]+)?")
_SPACE = re.compile(r"\s+")
# What rules nothing: the head of a document with its dates, and its signature.
_NO_RULE = ("front", "closing")


class Basis(NamedTuple):
    """What an entry for a region rests on.

    Attributes:
        target: a document's title or number.
        article: an article of it; empty for all of it.
        sketch: of the words meant; empty where nobody has vouched for them.
    """

    target: str
    article: str
    region: str | None
    sketch: str = ""


def sketch(text: str) -> str:
    """A digest of what a clause says, whatever its number and its spaces."""
    words = _SPACE.sub("", _LABEL.sub("", text, count=1))
    return hashlib.sha256(words.encode()).hexdigest()


def period(document: Document, revision: Revision) -> Period:
    """The dates that bound the validity of a revision; issued without a first day, it has that day.

    This is also the day on which it takes over from an earlier one, so no two are in force at once.
    """
    return Period(
        effective_on=revision.effective_on or revision.issued_on,
        expires_on=revision.expires_on,
        superseded_on=revision.superseded_on,
        repealed_on=document.repealed_on,
    )


def revision_on(document: Document, day: date) -> Revision | None:
    """The published revision that is in force on a day, else the latest published one."""
    published = [each for each in document.revisions if each.published_at]
    current = [each for each in published if period(document, each).on(day) is Validity.IN_FORCE]

    def beginning(revision: Revision) -> tuple[date, int]:
        return revision.effective_on or revision.issued_on or date.min, revision.number

    return max(current or published, key=beginning, default=None)


class Grounds:
    """The published documents that some bases name, read once.

    Args:
        targets: titles and numbers as the bases give them.
    """

    def __init__(self, session: Session, targets: Iterable[str]) -> None:
        self._session = session
        self._clauses: dict[int, Sequence[Clause]] = {}
        self._at: dict[tuple[int, str], Clause | None] = {}
        self._named: dict[str, list[Document]] = {}
        names = set(targets)
        numbered = select(Revision.document_id).where(
            Revision.document_number.in_(names), Revision.published_at.is_not(None)
        )
        documents = session.scalars(
            select(Document)
            .options(selectinload(Document.revisions), joinedload(Document.successor))
            .where(
                Document.status == Status.PUBLISHED,
                Document.title.in_(names)
                | Document.document_number.in_(names)
                | Document.id.in_(numbered),
            )
        )
        for document in documents if names else ():
            for name in {document.title, *_numbers(document)} & names:
                self._named.setdefault(name, []).append(document)

    def documents(self, basis: Basis) -> list[Document]:
        """Those a basis may mean: a number names one, a title one that binds in the region."""
        return [
            each
            for each in self._named.get(basis.target, ())
            if basis.target in _numbers(each) or nested(each.region_code, basis.region)
        ]

    def revision(self, basis: Basis, day: date) -> Revision | None:
        """Of documents of one name, the nearest that is in force on the day, if any is."""

        def preference(revision: Revision) -> tuple[bool, int, int]:
            document = revision.document
            in_force = period(document, revision).on(day) is Validity.IN_FORCE
            return in_force, depth(document.region_code), document.id

        revisions = (revision_on(document, day) for document in self.documents(basis))
        return max((each for each in revisions if each), key=preference, default=None)

    def load(self, wanted: Iterable[tuple[Revision, str]]) -> None:
        """Read articles of revisions in one go, for `clause`."""
        pairs = {(revision.id, article) for revision, article in wanted if article}
        pairs -= self._at.keys()
        if not pairs:
            return
        self._at |= dict.fromkeys(pairs)
        rows = self._session.scalars(
            select(Clause).where(
                Clause.revision_id.in_({revision_id for revision_id, _ in pairs}),
                Clause.locator.in_({article for _, article in pairs}),
            )
        )
        self._at |= {(clause.revision_id, clause.locator): clause for clause in rows}

    def clause(self, basis: Basis, revision: Revision) -> Clause | None:
        """The cited words in a revision: where they moved to, else what stands at the article."""
        self.load([(revision, basis.article)])
        there = self._at.get((revision.id, basis.article))
        if not basis.article or not basis.sketch:
            return there
        if there is not None and sketch(there.text) == basis.sketch:
            return there
        return self.moved(basis, revision) or there

    def moved(self, basis: Basis, revision: Revision) -> Clause | None:
        """The clause of a revision that says what a basis means, whatever its number."""
        said = (each for each in self.clauses(revision) if sketch(each.text) == basis.sketch)
        return next(said, None)

    def clauses(self, revision: Revision) -> Sequence[Clause]:
        """All clauses of a revision, in order."""
        if revision.id not in self._clauses:
            self._clauses[revision.id] = self._session.scalars(
                select(Clause).where(Clause.revision_id == revision.id).order_by(Clause.ordinal)
            ).all()
        return self._clauses[revision.id]

    def sketch(self, basis: Basis, revision: Revision) -> str:
        """Of the words at the cited place of a revision; empty where it has no such article."""
        if basis.article:
            self.load([(revision, basis.article)])
            there = self._at.get((revision.id, basis.article))
            return sketch(there.text) if there else ""
        return sketch("".join(e.text for e in self.clauses(revision) if e.kind not in _NO_RULE))


def _numbers(document: Document) -> set[str]:
    """All numbers that a document has borne."""
    borne = {document.document_number}
    borne |= {each.document_number for each in document.revisions if each.published_at}
    return {number for number in borne if number}
