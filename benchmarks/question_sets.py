"""The question sets of the evaluation; hides where each lies and how its truth is written.

A set is questions with the keys of what answers them, and the collection they are asked of: texts
for the baselines, and how the product's own base is filled with the same ones. What a set needs
and this machine lacks is said by `NotFound`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

from benchmarks.baselines import Text
from kb.documents import Upload
from kb.errors import NotFound
from kb.exchange import EntryRecord
from kb.metadata import parse_date
from kb.numerals import CHINESE, number
from kb.parsing import parse
from kb.passages import Citation, Passage
from kb.readers import read
from service.commands import SAMPLES, load_samples
from service.evaluation import (
    Keys,
    Source,
    Task,
    document_names,
    import_documents,
    index_all,
    names_of,
    read_golden,
    read_rows,
    uploads,
)
from service.runtime import Runtime
from training import questions as written

# Questions of the set `unanswerable`, and texts of the set `epidemic`.
STRANGERS, POOL = 500, 2_134
QUESTIONS = written.FOLDER
_LETTERS = re.compile(r"\w")
_STATE = "中华人民共和国"
_PASSED_ON = re.compile(r"\d{4}-\d{2}-\d{2}")
_FIRST_ARTICLE = re.compile(rf"^第([{CHINESE}]+)条", re.MULTILINE)
_ARTICLE = re.compile(r"第[^条\s]+条(?:之[一二三四五六七八九十]+)?")

_Row = TypeVar("_Row")


@dataclass(frozen=True)
class Asked:
    """A question and its truth.

    Attributes:
        right: keys of what answers it; none when nothing in the collection does.
        left_out: key of the question itself, which is not counted among what is found.
    """

    text: str
    right: frozenset[str]
    left_out: str = ""
    region: str = ""
    as_of: date | None = None


@dataclass(frozen=True, eq=False)
class Collection:
    """Texts to ask; equal only to itself.

    Attributes:
        texts: what the baselines rank.
        fill: puts the same into the product's base; returns what a source of an answer counts as.
        per_document: how many passages of one document may be ranked.
    """

    texts: Sequence[Text]
    fill: Callable[[Runtime], Keys]
    per_document: int = 1


@dataclass(frozen=True)
class QuestionSet:
    """Questions of one collection.

    Attributes:
        about: what they are, in the words of the report.
        ranked: whether systems are compared by how they rank.
        answered: whether the product's answers are judged.
    """

    name: str
    about: str
    collection: Collection
    asked: Sequence[Asked]
    ranked: bool = True
    answered: bool = True


def golden(data: Path | None, limit: int) -> QuestionSet:
    """The golden questions that come with the samples, asked of the samples."""
    rows = read_golden(SAMPLES / "golden.jsonl")
    asked = [
        Asked(
            row["question"],
            frozenset({row["expect"]} if row["expect"] is not None else ()),
            region=row.get("region") or "",
            as_of=parse_date(str(row["as_of"])) if row.get("as_of") else None,
        )
        for row in _first(rows, limit)
    ]
    about = "项目自带的标准问题，在示例库中作答"
    return QuestionSet("golden", about, _samples(), asked, ranked=False)


@cache
def _samples() -> Collection:
    def fill(runtime: Runtime) -> Keys:
        load_samples(runtime)
        index_all(runtime)
        return lambda source: sorted(names_of(source))

    return Collection((), fill)


def policy(data: Path | None, limit: int) -> QuestionSet:
    """Questions written from real policy documents."""
    collection, asked = _beir(_within(data, "policy-questions/dev"))
    about = "由真实政策文件写成的问题，答案在其中一份文件里"
    return QuestionSet("policy", about, collection, _first(asked, limit))


def unanswerable(data: Path | None, limit: int) -> QuestionSet:
    """Questions on documents that the base of `policy` lacks, beside those that it can answer."""
    collection, asked = _beir(_within(data, "policy-questions/dev"))
    rows = list(read_rows(_within(data, "policy-questions/train.jsonl")))
    texts = random.Random(0).sample([row["question"] for row in rows], min(STRANGERS, len(rows)))
    strangers = [Asked(text, frozenset()) for text in texts]
    about = "库中没有答案的问题（应当拒答或反问），与同一库中有答案的问题一起问"
    both = [*_first(strangers, limit), *_first(asked, limit)]
    return QuestionSet("unanswerable", about, collection, both, ranked=False)


def lay(data: Path | None, limit: int) -> QuestionSet:
    """People's own legal questions, answered by articles of law."""
    collection, asked = _beir(_within(data, "lay-questions/dev"))
    about = "群众自己的法律问题，答案是法律条文，一条是一篇"
    return QuestionSet("lay", about, collection, _first(asked, limit))


@cache
def _beir(folder: Path) -> tuple[Collection, Sequence[Asked]]:
    task = Task.read(folder)

    def fill(runtime: Runtime) -> Keys:
        return document_names(import_documents(runtime, uploads(task.corpus)))

    texts = [Text(row["_id"], row.get("title") or "", row["text"]) for row in task.corpus]
    asked = [Asked(text, frozenset(task.relevant[query])) for query, text in task.queries.items()]
    return Collection(texts, fill), asked


def epidemic(data: Path | None, limit: int) -> QuestionSet:
    """Find the same question in other words among many of one matter.

    The source compares only some pairs. What is the same as the same is the same, and so is what
    differs in punctuation alone: of 4,918 pairs marked as different, one says otherwise.
    """
    groups: dict[str, dict[str, int]] = {}
    alike = _Alike()
    for row in read_rows(_within(data, "paraphrase/pairs.jsonl.xz")):
        if row["source"] == "epidemic_ncov":
            groups.setdefault(row["a"], {})[row["b"]] = row["label"]
            for text in (row["a"], row["b"]):
                alike.join(text, "".join(_LETTERS.findall(text)))
            if row["label"] == 1:
                alike.join(row["a"], row["b"])
    order = sorted(groups)
    random.Random(0).shuffle(order)
    pool: dict[str, None] = {}
    chosen = []
    for text in order:
        if len(pool) >= POOL:
            break
        pool.update(dict.fromkeys([text, *groups[text]]))
        if any(label == 1 and b != text for b, label in groups[text].items()):
            chosen.append(text)
    members: dict[str, set[str]] = {}
    for text in pool:
        members.setdefault(alike.of(text), set()).add(text)
    asked = [
        Asked(text, frozenset(members[alike.of(text)] - {text}), left_out=text) for text in chosen
    ]
    about = "在同一话题的问题中找出换了说法的同一个问题（所问的那一句不计）"
    collection = Collection([Text(text, "", text) for text in pool], partial(_fill_entries, pool))
    return QuestionSet("epidemic", about, collection, _first(asked, limit), answered=False)


class _Alike:
    """Texts joined into classes (union by linking)."""

    def __init__(self) -> None:
        self._link: dict[str, str] = {}

    def of(self, text: str) -> str:
        """The representative of a text's class."""
        while (above := self._link.setdefault(text, text)) != text:
            text = above
        return text

    def join(self, one: str, other: str) -> None:
        """Make two classes one."""
        self._link[self.of(one)] = self.of(other)


def _fill_entries(questions: Iterable[str], runtime: Runtime) -> Keys:
    """One entry a question, all with the same answer; a source counts as its question."""
    texts = list(questions)
    records = (EntryRecord(text, "请向当地卫生健康部门咨询。", "卫生健康部门") for text in texts)
    saved = runtime.entries.save(enumerate(records), actor="evaluation", publish=True)
    names = {f"entry:{each.entry_id}": texts[each.row] for each in saved}
    index_all(runtime)

    def keys(source: Source) -> Sequence[str]:
        return (names[source.key],) if isinstance(source, Passage) else ()

    return keys


def held_out_questions(data: Path | None, limit: int) -> QuestionSet:
    """The part of the questions written for this project that nothing is trained on."""
    folder = _within(data, "laws/txt")
    # Those without an article are of other documents than laws.
    rows = [row for row in written.read(QUESTIONS) if row.article]
    if not rows:
        raise NotFound("没有 training/questions/*.jsonl")
    files = _newest(folder)
    collection = _articles(
        {row.law: files[_short(row.law)] for row in rows if _short(row.law) in files}
    )
    known = {each.key for each in collection.texts}
    right: dict[str, set[str]] = {}
    for row in rows:
        key = f"{row.law} {row.article}"
        if row.held_out and key in known:
            right.setdefault(row.question, set()).add(key)
    asked = [Asked(text, frozenset(keys)) for text, keys in right.items()]
    about = "为本项目写的问题中留作测试的一成，答案是所涉法律的条文，一部法律可以排出多条"
    return QuestionSet("held-out", about, collection, _first(asked, limit))


def _newest(folder: Path) -> dict[str, str]:
    """Title without the state's name → the whole text passed last, which may be in several files.

    The parts of a code share its title and bear no date.
    """
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for path in sorted(folder.rglob("*.txt")):
        text = path.read_text(encoding="utf-8-sig")
        title, _, body = text.lstrip("# ").partition("\n")
        passed_on = (_PASSED_ON.findall(path.name) or [""])[-1]
        newest, parts = found.get(_short(title), ("", {}))
        if passed_on > newest:
            parts = {}
        if passed_on >= newest:
            # Filed under two categories, a text is still one.
            found[_short(title)] = (passed_on, {**parts, path.name: body})
    return {title: "\n\n".join(_in_order(parts.values())) for title, (_, parts) in found.items()}


def _in_order(parts: Iterable[str]) -> list[str]:
    """Parts of a text by the number of their first article."""

    def first(part: str) -> int:
        article = _FIRST_ARTICLE.search(part)
        return (number(article[1]) or 0) if article else 0

    return sorted(parts, key=first)


def _short(law: str) -> str:
    return law.strip().removeprefix(_STATE)


def _articles(laws: Mapping[str, str]) -> Collection:
    """Laws as documents for the product, and their articles one by one for the baselines.

    Args:
        laws: title → text below the title.
    """
    files = {law: f"# {law}\n\n{body}".encode() for law, body in laws.items()}
    texts: dict[str, Text] = {}
    for law, data in files.items():
        for clause in parse(read(data, f"{law}.txt")).clauses:
            if clause.kind == "article" and not clause.locator.annex:
                key = f"{law} {clause.locator.article}"
                texts.setdefault(key, Text(key, law, clause.text))

    def fill(runtime: Runtime) -> Keys:
        names = import_documents(
            runtime, (Upload(data, f"{law}.txt") for law, data in files.items())
        )

        def keys(source: Source) -> Sequence[str]:
            if not isinstance(source, Citation):
                return ()
            article = _ARTICLE.match(source.locator)
            place = article[0] if article else source.locator
            return [f"{law} {place}" for law in names.get(source.document_id or 0, ())]

        return keys

    return Collection(list(texts.values()), fill, per_document=10)


def _within(data: Path | None, name: str) -> Path:
    if data is None:
        raise NotFound("没有给出评测数据所在文件夹（--data）")
    path = data / name
    if not path.exists():
        raise NotFound(f"{data} 里没有 {name}")
    return path


def _first(rows: Sequence[_Row], limit: int) -> Sequence[_Row]:
    return rows[:limit] if limit else rows


# Neighbours that share a collection share one base.
SETS: dict[str, Callable[[Path | None, int], QuestionSet]] = {
    "golden": golden,
    "policy": policy,
    "unanswerable": unanswerable,
    "lay": lay,
    "epidemic": epidemic,
    "held-out": held_out_questions,
}
