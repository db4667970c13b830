"""What is looked at before an entry is published; hides how each fault is found.

A finding that blocks keeps the entry from the public; one that warns is for people to weigh.
Nothing is fetched from anywhere: whether links still lead somewhere is the daily check's.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from kb.clock import day_of
from kb.db import Database
from kb.exchange import EntryRecord
from kb.figures import Figure, figures
from kb.grounds import Basis, Grounds, period
from kb.passages import Passage
from kb.records import parse_basis, problems
from kb.regions import nested
from kb.search import SAME, Scope, Search
from kb.understanding import Understanding
from kb.validity import Validity

BLOCK, WARN = "block", "warn"
# An answer shorter than this says nothing; one longer needs a short form for the phone.
LEAST, SPOKEN = 6, 300
# Misspellings named in one field; more of them mean that the speller does not know the subject.
MISSPELT = 5
# Kinds of figures that two answers to one question should agree in.
_TELLING = ("元", "%", "个月", "个工作日", "日", "周岁", "日期", "小时", "人", "次")
_TEXTS = ("question", "answer", "short_answer")
_LISTS = ("similar", "negative")
_SENTENCE = re.compile(r"[\u3400-\u9fff]{2,60}")
_LINK = re.compile(r"(?:https?|ftp)\s?[:：][^\s\u3000-\u303f\u3400-\u9fff，。；！？）】]*", re.I)
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]|[\d.]+", re.I)


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        severity: `block` or `warn`.
        field: English name of the field.
        what: what was found, to be shown to the author.
        why: why it matters and what to do.
        key: of another entry that it is about ("entry:12").
    """

    severity: str
    field: str
    what: str
    why: str
    key: str = ""


@dataclass(frozen=True)
class Word:
    """A word that is not to be used, how severe that is, and why."""

    severity: str
    word: str
    why: str


@dataclass(frozen=True)
class Golden:
    """A question that must be answered by an entry."""

    question: str
    entry_id: int
    region: str | None = None


class Checks:
    """Looks an entry over.

    Args:
        words: words that are not to be used, see `read_words`.
        mask: hides personal numbers in a text by asterisks.
        now: the present instant.
    """

    def __init__(
        self,
        db: Database,
        understanding: Understanding,
        *,
        words: Sequence[Word],
        mask: Callable[[str], str],
        now: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._understanding = understanding
        self._search: Search = understanding.search
        self._words = words
        self._mask = mask
        self._now = now

    def findings(self, record: EntryRecord, entry_id: int) -> list[Finding]:
        """Everything that is found, what blocks first.

        Args:
            record: its region as a code.
            entry_id: of the entry that it is for; 0 for a new one.
        """
        found = [*self._certain(record), *self._misspelt(record), *self.alike(record, entry_id)]
        return sorted(found, key=lambda each: each.severity != BLOCK)

    def obstacles(self, record: EntryRecord, _entry_id: int) -> Mapping[str, str]:
        """What blocks, by field; quick enough to be asked again at every step."""
        wrong: dict[str, str] = {}
        for each in self._certain(record):
            if each.severity == BLOCK:
                said = f"{each.what}：{each.why}" if each.what else each.why
                wrong[each.field] = f"{wrong[each.field]}；{said}" if each.field in wrong else said
        return wrong

    def worse(self, record: EntryRecord, entry_id: int, golden: Iterable[Golden]) -> list[Finding]:
        """Golden questions that publishing would probably answer worse.

        Judged by the wordings alone, without publishing: one that is closer to this entry than to
        the one it belongs to, or that this entry no longer contains as well as it did.
        """
        day = day_of(self._now())
        wordings = (record.question, *record.similar)
        found = []
        for each in golden:
            fits = self._search.agreement(each.question, wordings)
            scope = Scope(as_of=day, region=each.region, kind="entry")
            now = self._search.passages(each.question, scope, limit=10).passages
            right = next((p for p in now if p.key == f"entry:{each.entry_id}"), None)
            held = right.agreement if right else 0.0
            if each.entry_id == entry_id and right and fits < min(held, SAME):
                why = "这个标准问题现在由本条回答；改了问法以后不再像它，恐怕会答不上来"
                found.append(Finding(WARN, "similar", each.question, why, right.key))
            elif each.entry_id != entry_id and fits >= SAME and fits > held:
                why = "这个标准问题应由另一条回答，本条的问法比它更接近，会抢答"
                found.append(Finding(WARN, "similar", each.question, why, f"entry:{each.entry_id}"))
        return found

    def _certain(self, record: EntryRecord) -> Iterator[Finding]:
        """What is found without the index."""
        for field, why in problems(record).items():
            yield Finding(BLOCK, field, "", why)
        today = day_of(self._now())
        yield from _form(record)
        yield from _dates(record, today)
        yield from _banned(record, self._words)
        yield from _personal(record, self._mask)
        yield from _links(record)
        with self._db.reading() as session:
            yield from _basis(session, record, today)

    def _misspelt(self, record: EntryRecord) -> Iterator[Finding]:
        for field, text in _fields(record, (*_TEXTS, "similar")):
            said: dict[str, str] = {}
            for sentence in _SENTENCE.findall(text):
                said |= {r.from_: r.to for r in self._understanding.misspelt(sentence)}
            # A whole character too many or too few is nearly always another way to say it.
            alike = [(a, b) for a, b in said.items() if len(a) == len(b)]
            for typed, meant in alike[:MISSPELT]:
                why = f"像是错别字，是不是“{meant}”？"
                yield Finding(WARN, field, typed, why)

    def alike(self, record: EntryRecord, entry_id: int) -> Iterator[Finding]:
        """Published entries that answer the same question where this one does."""
        scope = Scope(as_of=day_of(self._now()), kind="entry", validity=None)
        found = self._search.passages(record.question, scope, limit=10).passages
        for other in found:
            same = other.agreement >= SAME and other.key != f"entry:{entry_id}"
            if not same or not nested(other.region_code, record.region or None):
                continue
            differing = contradictions(record.answer, other.text)
            if differing:
                why = f"与“{other.title}”说法不一：{'；'.join(differing)}。请核对哪个对"
                yield Finding(WARN, "answer", other.title, why, other.key)
            else:
                why = _overlap(record, other)
                yield Finding(WARN, "question", other.title, why, other.key)


def read_words(path: Path) -> tuple[Word, ...]:
    """The words of a file with lines of severity, word and reason, separated by tabs.

    Raises:
        ValueError: a line that is none of these; the message names it.
    """
    words = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split("\t")
        if len(parts) != 3 or parts[0] not in (BLOCK, WARN) or not parts[1]:
            raise ValueError(f"{path.name} 第 {number} 行应是“级别、用语、理由”，用制表符分开")
        words.append(Word(*parts))
    return tuple(words)


def contradictions(one: str, other: str) -> list[str]:
    """Amounts, periods, shares and dates in which two answers differ, in words.

    Only kinds of figures that both state count, and only where neither states all that the other
    does: an answer may well say more than another.
    """
    mine, theirs = _by_unit(figures(one)), _by_unit(figures(other))
    differing = []
    for unit in _TELLING:
        left, right = mine.get(unit, set()), theirs.get(unit, set())
        if left and right and not (left <= right or right <= left):
            said = (_said(values, unit) for values in (left - right, right - left))
            differing.append(f"{'、'.join(next(said))}与{'、'.join(next(said))}")
    return differing


def _by_unit(found: Iterable[Figure]) -> dict[str, set[Figure]]:
    sorted_out: dict[str, set[Figure]] = {}
    for figure in found:
        # Of a limit, only where it lies is compared: 不超过三元 and 三元以下 are the same.
        sorted_out.setdefault(figure.unit, set()).add(Figure(figure.value, figure.unit))
    return sorted_out


def _said(found: Iterable[Figure], unit: str) -> list[str]:
    return sorted(
        f"{figure.value if isinstance(figure.value, str) else _number(float(figure.value), unit)}"
        f"{'' if unit in ('日期', '%') else unit}"
        for figure in found
    )


def _number(value: float, unit: str) -> str:
    return f"{value * 100:g}%" if unit == "%" else f"{value:,.10g}"


def _overlap(record: EntryRecord, other: Passage) -> str:
    where = "同一地区" if other.region_code == (record.region or None) else "有重叠的地区"
    return f"{where}已有问法几乎一样的条目，群众会被问“您是想问哪一个”；请合并或写明区别"


def _fields(record: EntryRecord, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(field, text), one for each item of a list."""
    for name in names:
        value = getattr(record, name)
        yield from ((name, each) for each in ((value,) if isinstance(value, str) else value))


def _form(record: EntryRecord) -> Iterator[Finding]:
    if 0 < len(record.answer) < LEAST:
        yield Finding(WARN, "answer", record.answer, "答复太短，群众看不明白")
    if len(record.answer) > SPOKEN and not record.short_answer:
        why = f"答复超过 {SPOKEN} 字，电话里念不完，请另写简短答复"
        yield Finding(WARN, "short_answer", "", why)
    if not record.similar:
        yield Finding(WARN, "similar", "", "没有相似问；写上群众常用的几种说法，才容易答得上")
    both = sorted(set(record.similar) & set(record.negative))
    for text in both:
        yield Finding(BLOCK, "negative", text, "同时写在相似问和反例问里，请去掉一处")


def _dates(record: EntryRecord, today: date) -> Iterator[Finding]:
    begin, end, due = record.effective_on, record.expires_on, record.review_due
    if end and end < today:
        yield Finding(BLOCK, "expires_on", end.isoformat(), "失效日期已经过了，发布了也不会给群众")
    if begin and begin > today:
        why = "到这一天才会给群众；已有现行答复的，会在当天零点自动换成这一版"
        yield Finding(WARN, "effective_on", begin.isoformat(), why)
    if due and due <= today:
        yield Finding(WARN, "review_due", due.isoformat(), "复核日期已到，请改到以后")
    if not due and not end:
        why = "没有复核日期，也没有失效日期，过时了不会有人收到提醒"
        yield Finding(WARN, "review_due", "", why)


def _banned(record: EntryRecord, words: Sequence[Word]) -> Iterator[Finding]:
    seen = set()
    for field, text in _fields(record, (*_TEXTS, "similar")):
        for word in words:
            # How people ask is theirs: only what must not be said at all is kept out of it.
            if field == "similar" and word.severity != BLOCK:
                continue
            if word.word.lower() in text.lower() and (field, word) not in seen:
                seen.add((field, word))
                yield Finding(word.severity, field, word.word, word.why)


def _personal(record: EntryRecord, mask: Callable[[str], str]) -> Iterator[Finding]:
    for field, text in _fields(record, (*_TEXTS, *_LISTS, "phone")):
        masked = mask(text)
        if masked.count("*") <= text.count("*"):
            continue
        at = masked.index("*")
        shown = masked[max(0, at - 6) : at + 14]
        if field == "phone":
            yield Finding(WARN, field, shown, "像是个人手机号，请核对能不能公开")
        else:
            why = "是身份证号、手机号、银行卡号或车牌号，不能公开，请删去（办公电话不受影响）"
            yield Finding(BLOCK, field, shown, why)


def _links(record: EntryRecord) -> Iterator[Finding]:
    for field, text in _fields(record, ("answer", "short_answer")):
        for link in _LINK.findall(text):
            if not _is_link(link):
                yield Finding(BLOCK, field, link[:80], "网址不完整或写错了，点不开")


def _is_link(link: str) -> bool:
    try:
        parts = urlsplit(link)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    known = parts.scheme.lower() in ("http", "https", "ftp")
    return known and bool(_HOST.fullmatch(host)) and (port is None or port > 0)


def _basis(session: Session, record: EntryRecord, today: date) -> Iterator[Finding]:
    if not record.basis:
        yield Finding(WARN, "basis", "", "没有政策依据；依据变了也不会有人收到提醒")
        return
    grounds = Grounds(session, {parse_basis(text).target for text in record.basis})
    for text in record.basis:
        basis = Basis(*parse_basis(text), record.region or None)
        revision = grounds.revision(basis, today)
        if revision is None:
            why = "库里没有这份文件，不能核对原文，也不会有时效提醒；请先导入或核对名称"
            yield Finding(WARN, "basis", text, why)
            continue
        document = revision.document
        validity = period(document, revision).on(today)
        if validity is Validity.REPEALED:
            tail = f"，现在适用《{document.successor.title}》" if document.successor else ""
            yield Finding(BLOCK, "basis", text, f"已于{document.repealed_on}废止{tail}")
        elif validity is Validity.EXPIRED:
            yield Finding(BLOCK, "basis", text, f"已于{revision.expires_on}到期失效")
        elif validity is Validity.NOT_YET:
            yield Finding(WARN, "basis", text, "还没有开始施行")
        elif document.repealed_on:
            yield Finding(WARN, "basis", text, f"将于{document.repealed_on}废止")
        if basis.article and grounds.clause(basis, revision) is None:
            why = f"《{document.title}》现行版本里没有{basis.article}"
            yield Finding(WARN, "basis", text, why)
