"""Reviewed questions and answers: every write, and export; hides how rows map to records."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from kb.db import Database
from kb.departments import department_named
from kb.errors import KnowledgeError, NotFound
from kb.exchange import HEADINGS, EntryRecord
from kb.journal import audit, changed, entry_group
from kb.metadata import normalise_document_number
from kb.models import Basis, Entry, Phrasing, Status, Tag
from kb.regions import Regions

# 某政发〔2024〕1号第三条: name, then the article that is meant.
_NUMBERED = re.compile(r"(?P<number>[^《》]+?号)(?P<rest>.*)", re.S)
_ARTICLE = re.compile(
    r"第([〇零一二两三四五六七八九十百千]+|\d{1,4})条(?:之[一二三四五六七八九十]+)?"
)
_OUTER = str.maketrans("〈〉", "《》")
# Widths of the columns that are narrower than what an entry table may hold.
_LIMITS = {"code": 64, "topic": 64, "audience": 64, "phone": 64, "department": 128, "tags": 64}


@dataclass(frozen=True)
class Saved:
    """What became of one record: `added`, `updated`, `unchanged` or `failed` (with a reason)."""

    row: int
    outcome: str
    entry_id: int | None = None
    field: str = ""
    reason: str = ""


class Entries:
    """Every write to entries."""

    def __init__(self, db: Database, *, regions: Regions) -> None:
        self._db = db
        self._regions = regions

    def save(
        self, rows: Iterable[tuple[int, EntryRecord]], *, actor: str, publish: bool = False
    ) -> list[Saved]:
        """Add or update entries; a record with a known code, else a known question, updates.

        A row that does not hold is reported and stops no other; all good rows commit together.

        Args:
            publish: publish every saved entry whatever status its row names.
        """
        with self._db.transaction() as session:
            # First of all, lest two imports wait for each other's tags and departments.
            self._db.serialise(session)
            saved = [
                self._save_row(session, row, record, actor=actor, publish=publish)
                for row, record in rows
            ]
            touched = [each for each in saved if each.outcome in ("added", "updated")]
            groups = [entry_group(each.entry_id) for each in touched if each.entry_id]
            changed(self._db, session, *groups)
        return saved

    def set_status(self, entry_id: int, status: Status, *, actor: str) -> None:
        """Publish, withdraw or send back an entry.

        Raises:
            NotFound: no such entry.
        """
        with self._db.transaction() as session:
            self._db.serialise(session)
            entry = session.get(Entry, entry_id)
            if entry is None:
                raise NotFound(f"没有编号为 {entry_id} 的问答条目")
            entry.status = status
            entry.updated_at = datetime.now(UTC)
            audit(session, actor=actor, action=status.value, subject=f"entry:{entry_id}")
            changed(self._db, session, entry_group(entry_id))

    def records(self, *, status: Status | None = None) -> Iterator[EntryRecord]:
        """All entries as table rows, in the order they were added."""
        query = (
            select(Entry)
            .options(*(selectinload(part) for part in (Entry.phrasings, Entry.bases, Entry.tags)))
            .options(selectinload(Entry.department))
            .order_by(Entry.id)
        )
        if status is not None:
            query = query.where(Entry.status == status)
        with self._db.reading() as session:
            for entry in session.scalars(query.execution_options(yield_per=500)):
                yield _record(entry)

    def _save_row(
        self, session: Session, row: int, record: EntryRecord, *, actor: str, publish: bool
    ) -> Saved:
        try:
            region_code = self._regions.resolve(record.region)
        except KnowledgeError as error:
            return Saved(row, "failed", field="region", reason=str(error))
        for field, limit in _LIMITS.items():
            value = getattr(record, field)
            longest = max(map(len, (value,) if isinstance(value, str) else value), default=0)
            if longest > limit:
                reason = f"“{HEADINGS[field]}”有 {longest} 字，超过 {limit} 字"
                return Saved(row, "failed", field=field, reason=reason)
        entry = _find(session, record, region_code)
        status = Status.PUBLISHED if publish else Status(record.status)
        if entry is not None and _same(entry, record, region_code) and entry.status == status:
            return Saved(row, "unchanged", entry.id)
        outcome = "updated" if entry else "added"
        now = datetime.now(UTC)
        # Before the entry is touched: these may write, and an entry counts each of its writes.
        department = department_named(session, record.department)
        tags = _tags(session, record.tags)
        if entry is None:
            entry = Entry(created_at=now)
        entry.department, entry.tags = department, tags
        _fill(entry, record)
        session.add(entry)
        entry.region_code, entry.status, entry.updated_at = region_code, status, now
        session.flush()
        subject = f"entry:{entry.id}"
        audit(session, actor=actor, action=outcome, subject=subject, version=entry.version)
        return Saved(row, outcome, entry.id)


def parse_basis(text: str) -> tuple[str, str]:
    """Split a basis into what names the document and the article: ("…法", "第五十八条").

    《》 or 〈〉 inside a title belong to it and become 《》, as on the document itself; of several
    documents the first one counts.
    """
    text = text.strip()
    name, rest = _quoted_title(text)
    if not name and (match := _NUMBERED.match(text)):
        name = normalise_document_number(match["number"]) or match["number"].strip()
        _, rest = _quoted_title(match["rest"].strip())
    if not name:
        return text, ""
    article = _ARTICLE.search(rest.partition("《")[0])
    return name, _in_words(article) if article else ""


def _quoted_title(text: str) -> tuple[str, str]:
    """The title in the outermost 《》 that a text begins with, if any, and what follows."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "《") - (char == "》")
        if at == 0 and depth == 0:
            break
        if depth == 0:
            return text[1:at].strip().translate(_OUTER), text[at + 1 :]
    return "", text


def _in_words(article: re.Match[str]) -> str:
    """第58条 as the laws print it, 第五十八条."""
    label = article[1]
    if not label.isdigit():
        return article[0]
    value, words = int(label), ""
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, value = divmod(value, unit)
        if digit:
            words += "一二三四五六七八九"[digit - 1] + name
        elif words and value and words[-1] != "零":
            words += "零"
    if words.startswith("一十"):
        words = words[1:]
    return article[0].replace(label, words, 1)


def _find(session: Session, record: EntryRecord, region_code: str | None) -> Entry | None:
    """The entry that a record is about: a code is the key, a question is one without a code."""
    if record.code:
        held = session.scalar(select(Entry).where(Entry.code == record.code))
        if held is not None:
            return held
    query = select(Entry).where(
        Entry.question == record.question, Entry.region_code.is_not_distinct_from(region_code)
    )
    if record.code:
        query = query.where(Entry.code.is_(None))
    return session.scalar(query.order_by(Entry.id).limit(1))


def _fill(entry: Entry, record: EntryRecord) -> None:
    """Copy a record's plain values into an entry."""
    entry.code = record.code or entry.code
    for name in ("question", "answer", "short_answer", "topic", "audience", "phone"):
        setattr(entry, name, getattr(record, name))
    for name in ("effective_on", "expires_on", "review_due"):
        setattr(entry, name, getattr(record, name))
    wordings = [(text, False) for text in record.similar] + [(t, True) for t in record.negative]
    entry.phrasings = [
        Phrasing(ordinal=number, text=text, negative=negative)
        for number, (text, negative) in enumerate(wordings, start=1)
    ]
    entry.bases = []
    for number, text in enumerate(record.basis, start=1):
        target, article = parse_basis(text)
        entry.bases.append(Basis(ordinal=number, text=text, target=target, article=article))


def _tags(session: Session, names: Sequence[str]) -> list[Tag]:
    known = {tag.name: tag for tag in session.scalars(select(Tag).where(Tag.name.in_(names)))}
    for name in names:
        if name not in known:
            known[name] = Tag(name=name)
            session.add(known[name])
    session.flush()
    return [known[name] for name in dict.fromkeys(names)]


def _record(entry: Entry) -> EntryRecord:
    return EntryRecord(
        question=entry.question,
        similar=tuple(each.text for each in entry.phrasings if not each.negative),
        negative=tuple(each.text for each in entry.phrasings if each.negative),
        answer=entry.answer,
        short_answer=entry.short_answer,
        department=entry.department.name,
        region=entry.region_code or "",
        topic=entry.topic,
        tags=tuple(tag.name for tag in entry.tags),
        audience=entry.audience,
        basis=tuple(each.text for each in entry.bases),
        effective_on=entry.effective_on,
        expires_on=entry.expires_on,
        review_due=entry.review_due,
        phone=entry.phone,
        status=entry.status.value,
        code=entry.code or "",
    )


def _same(entry: Entry, record: EntryRecord, region_code: str | None) -> bool:
    """Whether saving the record would change nothing."""
    held = _record(entry)
    same_rest = {**vars(held), "region": "", "status": "", "tags": set(held.tags)}
    return entry.region_code == region_code and same_rest == {
        **vars(record),
        "code": record.code or held.code,
        "region": "",
        "status": "",
        "tags": set(record.tags),
    }
