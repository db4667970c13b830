"""Documents and clauses by what people call them; hides spellings of titles, numbers and places."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice

from sqlalchemy import ColumnElement, or_, select

from embeddings import folded
from kb.db import Database
from kb.errors import NotFound
from kb.index import Index
from kb.library import ClauseView, DocumentView, Library
from kb.metadata import normalise_document_number
from kb.models import Document, Revision, Status
from kb.numerals import CHINESE, number
from kb.validity import Validity

# How many documents of a name are listed for someone to choose from.
LISTED = 5
_NUMERAL = rf"[{CHINESE}]+|[0-9０-９]{{1,4}}"
# 第九条之二 and what stands inside of it: 第三款, （四）.
_ARTICLE = re.compile(rf"(?:第)?({_NUMERAL})(条(?:之({_NUMERAL}))?)?")
# A place beside a name in a text: 第十二条, 第39条之一.
_PLACE = re.compile(rf"第?(?:{_NUMERAL})条(?:之(?:{_NUMERAL}))?")
# A number as it is typed, its year in any brackets or none: 青政发(2024)1号, 国办发【2023】14.
_TYPED_NUMBER = re.compile(
    r"([\u4e00-\u9fff]{2,20})[〔\[({【<〈]?((?:19|20)\d\d)(?:年?[〕\])}】>〉]|年)?第?0*([1-9]\d{0,3})号?"
)
# An order: 国令722, 国务院令第722号.
_TYPED_ORDER = re.compile(rf"([\u4e00-\u9fff]{{1,20}}?)令第?({_NUMERAL})号?")
_QUOTED = re.compile(r"[《〈]([^《》]{2,200})[》〉]")
# Words that end the name of a document, so that a text which ends in one may be such a name.
_KIND = re.compile(
    "(?:办法|条例|规定|通知|意见|方案|细则|措施|公告|通告|决定|法|规划|纲要|指南|标准|批复|解读|规则|章程)$"
)
# What is typed around a name and is no part of it.
_AROUND = re.compile(
    r"^(?:请问|查一?下|查询|查找|搜索|我要看|看一?下)|(?:的?(?:原文|全文|内容|规定了什么|是什么|怎么规定))+$"
)
# A short name is the long one without what stands before it.
_BEFORE_NAME = re.compile(
    r"(?:中华人民共和国|.{2,10}(?:省|市|区|县|旗|州|盟)(?:人民政府)?(?:关于(?:印发)?)?)"
)
# From this share of a title on, a text that reads like a name is taken for it.
MOST_OF_IT = 0.6
MOST_NAMED = 3
_TITLES_READ = 40


@dataclass(frozen=True)
class Named:
    """A document that a text names, and the clause that it names beside it."""

    document: DocumentView
    clause: ClauseView | None


class Lookup:
    """Finds what is asked for by name; search finds what is asked for by meaning."""

    def __init__(self, db: Database, library: Library, index: Index) -> None:
        self._db = db
        self._library = library
        self._titles = index.titles

    def named_in(self, text: str, day: date) -> list[Named]:
        """Documents that a text names by number or title, what is in force on a day first.

        A title counts in book title marks, or where the text is nothing but a title, with or
        without the place or state it begins with; a number in any brackets or none, an order by
        its number alone (国令722). At most `MOST_NAMED`.
        """
        plain = unicodedata.normalize("NFKC", text)
        place = _PLACE.search(plain)
        found = list(dict.fromkeys([*self._numbered(plain), *self._titled(plain, place)]))
        named = []
        for document_id in islice(found, MOST_NAMED):
            document = self._library.document(document_id, day)
            try:
                clause = clause_at(document, place[0]) if place else None
            except NotFound:
                clause = None
            named.append(Named(document, clause))
        return sorted(named, key=lambda each: each.document.validity is not Validity.IN_FORCE)

    def _numbered(self, text: str) -> Iterator[int]:
        squeezed = "".join(text.split())
        numbers = [
            (before, f"〔{year}〕{int(serial)}号", "")
            for before, year, serial in _TYPED_NUMBER.findall(squeezed)
        ]
        numbers += [
            (issuer, f"令第{value}号", "令")
            for issuer, numeral in _TYPED_ORDER.findall(squeezed)
            if (value := number(numeral))
        ]
        for before, ending, kind in numbers:
            for key, held in self._ending_in(ending):
                code = held.removesuffix(ending)
                # An order's issuer is shortened freely: 国令 is 国务院令, 市政府令 a city's.
                if _abbreviates(before, code) if kind else before.endswith(code):
                    yield key

    def _titled(self, text: str, place: re.Match[str] | None) -> Iterator[int]:
        quoted = _QUOTED.findall(text)
        before = text[: place.start()] if place else text
        alone = _AROUND.sub("", "".join(re.sub(r"[《》〈〉]", "", before).split()))
        wanted = [(name, True) for name in quoted]
        if not quoted and len(alone) > 2 and _KIND.search(alone):
            wanted.append((alone, False))
        for name, sure in wanted:
            ranked = islice(self._titles.containing(name), _TITLES_READ)
            yield from (
                int(each.key.partition(":")[2])
                for each in ranked
                if _is_name_of(folded(name), folded(each.text), sure=sure)
            )

    def _ending_in(self, ending: str) -> Iterable[tuple[int, str]]:
        numbers = (Document.document_number, Revision.document_number)
        query = (
            select(Document.id, *numbers)
            .join(Document.revisions)
            .where(
                Document.status == Status.PUBLISHED,
                Revision.published_at.is_not(None),
                or_(*(each.endswith(ending, autoescape=True) for each in numbers)),
            )
            .order_by(Document.id.desc())
        )
        with self._db.reading() as session:
            rows = session.execute(query).all()
        return [
            (key, held) for key, *both in rows for held in both if held and held.endswith(ending)
        ]

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


def _abbreviates(short: str, long: str) -> bool:
    """Whether all characters of a short name come in the long one, in order."""
    rest = iter(long)
    return all(character in rest for character in short)


def _is_name_of(name: str, title: str, *, sure: bool) -> bool:
    """Whether a folded text is what people call the document of a folded title."""
    if name == title or len(name) >= MOST_OF_IT * len(title):
        return True
    before = title.removesuffix(name)
    if before != title and _BEFORE_NAME.fullmatch(before):
        return True
    return sure and name in title and len(name) >= MOST_OF_IT / 2 * len(title)


def _article(place: str) -> tuple[int | None, int | None] | None:
    found = _ARTICLE.match(place)
    if not found or not (found[2] or found[0] == place):
        return None
    return number(found[1]), number(found[3]) if found[3] else None
