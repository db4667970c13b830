"""The texts that training reads, each from a source whose licence allows it; hides their formats.

Everything is normalised as the product normalises it (`embeddings.tokenizer.normalise`).
`model/README.md` lists the sources with their licences.
"""

import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embeddings.tokenizer import normalise
from training.questions import read, read_paraphrases

ENTRIES = Path(__file__).parent.parent / "data" / "samples" / "entries"


@dataclass(frozen=True)
class Article:
    """An article of a law: official text."""

    law: str
    chapter: str
    number: str
    text: str


@dataclass(frozen=True)
class Consultation:
    """A question that a person asked, what a lawyer said, and the articles it rests on: MIT."""

    question: str
    answer: str
    articles: tuple[tuple[str, str], ...]


def articles(data: Path) -> list[Article]:
    """The articles of all laws, each once."""
    found: dict[tuple[str, str], Article] = {}
    for row in _rows(data / "laws" / "articles.jsonl.xz"):
        name = (row["law"], row["article"])
        if name not in found:
            law, chapter = normalise(row["law"]), normalise(row["chapter"] or "")
            found[name] = Article(law, chapter, row["article"], normalise(row["text"]))
    return list(found.values())


def circulars(data: Path) -> list[tuple[str, str]]:
    """Title and text of policy documents; interpretations, which may be protected, left out."""
    return [
        (normalise(row["title"]), normalise(row["text"]))
        for row in _rows(data / "documents-hebei" / "docs.jsonl.xz")
        if "解读" not in row["title"] and "解读" not in str(row["category"])
    ]


def services(data: Path) -> list[tuple[str, str]]:
    """Name and conditions, with materials, of government services: MIT."""
    return [
        (
            normalise(row["matter_name"]),
            normalise(f"{row['accept_standard'] or ''} {'，'.join(row['material_intro'] or [])}"),
        )
        for row in _rows(data / "services-guangdong" / "services.jsonl")
    ]


def reading(data: Path) -> list[tuple[str, str]]:
    """Question and paragraph of reading comprehension (CMRC 2018, DRCD): CC BY-SA."""
    found = [
        (asked["query_text"], row["context_text"])
        for row in json.loads((data / "reading" / "cmrc2018_dev.json").read_text("utf-8"))
        for asked in row["qas"]
    ]
    for name in ("drcd_dev.json", "drcd_test.json"):
        for article in json.loads((data / "reading" / name).read_text("utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                found += [(asked["question"], paragraph["context"]) for asked in paragraph["qas"]]
    return [(normalise(question), normalise(context)) for question, context in found]


def consultations(data: Path) -> list[Consultation]:
    """The training part of people's own legal questions: MIT."""
    folder = data / "lay-questions"
    ids = [row["_id"] for row in _rows(folder / "corpus.jsonl.xz")]
    corpus = dict(zip(ids, statute_book(data), strict=True))
    relevant: dict[str, list[str]] = {}
    for line in (folder / "train" / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        query, article, *_ = line.split("\t")
        relevant.setdefault(query, []).append(article)
    return [
        Consultation(
            normalise(row["text"]),
            normalise(row.get("answer") or ""),
            tuple(corpus[each] for each in relevant.get(row["_id"], ())),
        )
        for row in _rows(folder / "train" / "queries.jsonl")
    ]


def statute_book(data: Path) -> list[tuple[str, str]]:
    """Title ("…法第三条") and text of the articles that people's questions refer to."""
    path = data / "lay-questions" / "corpus.jsonl.xz"
    return [(normalise(row["title"]), normalise(row["text"])) for row in _rows(path)]


def entries() -> list[tuple[tuple[str, ...], str]]:
    """Wordings and answer of the sample entries: written for this project."""
    return [
        (
            tuple(normalise(text) for text in (row["question"], *row["similar"])),
            normalise(row["answer"]),
        )
        for path in sorted(ENTRIES.glob("*.jsonl"))
        for row in _rows(path)
    ]


def texts(data: Path) -> Iterator[str]:
    """Everything, text by text, for counting words and their company."""
    for article in articles(data):
        yield f"{article.law}。{article.chapter}。{article.text}"
    for pair in services(data):
        yield "。".join(pair)
    compared = reading(data)
    yield from dict.fromkeys(context for _, context in compared)
    yield from (question for question, _ in compared)
    yield from (f"{each.question}。{each.answer}" for each in consultations(data))
    yield from ("。".join((*wordings, answer)) for wordings, answer in entries())
    yield from colloquial(data)


def colloquial(data: Path) -> Iterator[str]:
    """Questions as people put them, none of those held out for testing."""
    yield from (normalise(each.question) for each in read() if not each.held_out)
    for group in read_paraphrases():
        yield from map(normalise, (group.question, *group.same, *group.different))
    yield from (each.question for each in consultations(data))
    for wordings, _ in entries():
        yield from wordings


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    unpack = lzma.open if path.suffix == ".xz" else open
    with unpack(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)
