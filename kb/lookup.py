"""Documents and clauses by what people call them; hides spellings of titles, numbers and places."""

import re
from datetime import date

from sqlalchemy import ColumnElement, or_, select

from kb.db import Database
from kb.errors import NotFound
from kb.library import ClauseView, DocumentView, Library
from kb.metadata import normalise_document_number
from kb.models import Document, Status
from kb.numerals import CHINESE, number

# How many documents of a name are listed for someone to choose from.
LISTED = 5
_NUMERAL = rf"[{CHINESE}]+|[0-9０-９]{{1,4}}"
# 第九条之二 and what stands inside of it: 第三款, （四）.
_ARTICLE = re.compile(rf"(?:第)?({_NUMERAL})(条(?:之({_NUMERAL}))?)?")


class Lookup:
    """Finds what is asked for by name; search finds what is asked for by meaning."""

    def __init__(self, db: Database, library: Library) -> None:
        self._db = db
        self._library = library

    def document(self, name: str, day: date) -> DocumentView:
        """The document that is called that.

        Args:
            name: its number in the base, document number in any brackets, title, or a part of the
                title that no other document has.

        Raises:
            NotFound: none is, or several are; the message lists these.
        """
        wanted = name.strip().strip("《》").strip()
        if wanted.isascii() and wanted.isdigit() and len(wanted) < 10:
            return self._library.document(int(wanted), day)
        found = self._named(wanted) or self._containing(wanted)
        if not found:
            raise NotFound(f"没有叫“{wanted}”的文件，或者它尚未公开")
        if len(found) > 1:
            several = "、".join(
                f"《{title}》（{numbered or '无文号'}，编号{key}）"
                for key, title, numbered in found
            )
            raise NotFound(f"有多份文件符合：{several}。请用文号或编号指明是哪一份")
        return self._library.document(found[0][0], day)

    def _named(self, name: str) -> list[tuple[int, str, str | None]]:
        numbered = normalise_document_number(name)
        return self._select(
            or_(Document.title == name, Document.document_number.in_({name, numbered or name}))
        )

    def _containing(self, name: str) -> list[tuple[int, str, str | None]]:
        return self._select(Document.title.contains(name, autoescape=True)) if name else []

    def _select(self, condition: ColumnElement[bool]) -> list[tuple[int, str, str | None]]:
        query = (
            select(Document.id, Document.title, Document.document_number)
            .where(Document.status == Status.PUBLISHED, condition)
            .order_by(Document.id)
            .limit(LISTED)
        )
        with self._db.reading() as session:
            return [(row[0], row[1], row[2]) for row in session.execute(query)]


def clause_at(document: DocumentView, place: str) -> ClauseView:
    """The clause that stands at a place, or the one that the place lies in.

    Args:
        place: as cited (第九条, 一、（二）), or an article's number in any numerals (9, 第9条).

    Raises:
        NotFound: the document has none there.
    """
    wanted = re.sub(r"\s", "", place)
    exact = [each for each in document.clauses if re.sub(r"\s", "", each.locator) == wanted]
    if exact:
        return exact[0]
    article = _article(wanted)
    for clause in document.clauses:
        if article and _ARTICLE.fullmatch(clause.locator) and _article(clause.locator) == article:
            return clause
    places = [each.locator for each in document.clauses if each.locator]
    known = f"，这份文件从“{places[0]}”到“{places[-1]}”" if places else ""
    raise NotFound(f"《{document.title}》没有“{place}”{known}")


def _article(place: str) -> tuple[int | None, int | None] | None:
    found = _ARTICLE.match(place)
    if not found or not (found[2] or found[0] == place):
        return None
    return number(found[1]), number(found[3]) if found[3] else None
