"""The samples that ship: complete, distinct, and resting on articles that exist."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from kb.exchange import read_entries
from kb.numerals import number

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = sorted((ROOT / "data" / "samples" / "entries").glob("*.jsonl"))
LAWS = ROOT.parent / "shared" / "data" / "laws" / "txt"

needs_laws = pytest.mark.skipif(not LAWS.is_dir(), reason="the law texts are not on this machine")


def rows() -> list[dict[str, Any]]:
    texts = (path.read_text(encoding="utf-8") for path in ENTRIES)
    return [json.loads(line) for text in texts for line in text.splitlines()]


@lru_cache(maxsize=1)
def articles() -> dict[tuple[str, str], str]:
    """(official title, article number in digits) → text, the newest file of a title winning."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted(LAWS.rglob("*.txt"), key=_date_of):
        text = path.read_text(encoding="utf-8")
        title = re.sub(r"\s", "", text.partition("\n")[0].lstrip("# "))
        parts = re.split(
            r"(?m)^\s*(第[〇零一二三四五六七八九十百千]+条(?:之[一二三四五六七八九十]+)?)", text
        )
        for label, body in zip(parts[1::2], parts[2::2], strict=True):
            found[title, label] = body
    return found


def _date_of(path: Path) -> str:
    dated = re.search(r"\((\d{4}-\d{2}-\d{2})\)", path.name)
    return dated[1] if dated else ""


def bases() -> Iterator[tuple[dict[str, Any], str, str]]:
    for row in rows():
        for basis in row["basis"]:
            match = re.fullmatch(r"《(.+)》(第.+条(?:之.+)?)", basis)
            assert match, basis
            yield row, re.sub(r"\s", "", match[1]), match[2]


def test_there_are_enough_of_them_over_enough_topics() -> None:
    assert len(rows()) >= 200
    assert len({row["topic"] for row in rows()}) >= 12


def test_every_file_imports_without_a_problem() -> None:
    for path in ENTRIES:
        records, problems = read_entries(path.read_bytes(), path.name)
        assert records and not problems, (path.name, problems[:3])


def test_every_entry_is_complete_and_marked_as_a_sample() -> None:
    for row in rows():
        assert row["code"].startswith("SAMPLE-"), row["code"]
        assert len(row["similar"]) >= 3, row["code"]
        for field in ("question", "answer", "short_answer", "department", "audience", "topic"):
            assert row[field].strip(), (row["code"], field)
        assert row["basis"], row["code"]


def test_codes_and_wordings_are_distinct() -> None:
    codes = [row["code"] for row in rows()]
    wordings = [text for row in rows() for text in (row["question"], *row["similar"])]
    assert len(set(codes)) == len(codes)
    assert len(set(wordings)) == len(wordings)


def test_documents_say_that_they_are_samples() -> None:
    for path in (ROOT / "data" / "samples" / "documents").iterdir():
        assert "示例文件" in path.read_text(encoding="utf-8")[:400], path.name


@needs_laws
def test_every_basis_is_an_article_that_exists() -> None:
    missing = [
        (row["code"], title, at) for row, title, at in bases() if (title, at) not in articles()
    ]
    assert not missing


@needs_laws
def test_every_entry_is_about_what_its_articles_say() -> None:
    """The answer shares its subject with its articles: enough distinct pairs of characters."""
    strangers = []
    cited = [(row["code"], title, at) for row, title, at in bases()]
    for row in rows():
        texts = "".join(articles()[title, at] for r, title, at in cited if r == row["code"])
        said = _pairs(row["question"] + row["answer"])
        if len(said & _pairs(texts)) < 8:
            strangers.append((row["code"], len(said & _pairs(texts))))
    assert not strangers


@needs_laws
def test_answers_are_written_and_not_copied() -> None:
    copied = []
    for row, title, at in bases():
        statute = re.sub(r"\s", "", articles()[title, at])
        answer = re.sub(r"\s", "", row["answer"])
        if any(answer[i : i + 25] in statute for i in range(len(answer) - 24)):
            copied.append((row["code"], title, at))
    assert not copied


def test_articles_are_numbered_in_chinese() -> None:
    for row, _, at in bases():
        label = at.partition("条")[0].removeprefix("第")
        assert number(label), (row["code"], at)


def _pairs(text: str) -> set[str]:
    han = re.findall(r"[\u4e00-\u9fff]+", text)
    return {run[i : i + 2] for run in han for i in range(len(run) - 1)}
