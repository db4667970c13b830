"""Measure the parser over a folder of texts or a JSON-lines file of documents; prints JSON.

    python -m benchmarks.parse_laws FOLDER_OR_JSONL_XZ

Reading is not timed, parsing is.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from kb.blocks import Block
from kb.numerals import CHINESE, number
from kb.parsing import ParsedDocument, parse
from kb.readers import read

_ARTICLE = re.compile(rf"第([{CHINESE}]+|\d+)条(之[{CHINESE}]+)?(?=\s|$)")
_CHAPTER = re.compile(rf"(?:#+\s*)?(第[{CHINESE}]+章)[^。]*")
_ABOVE = re.compile(rf"##\s*(第[{CHINESE}]+编|附则)")
_INVISIBLE = re.compile(r"[\s\ufeff\u200b-\u200f]+")


def expected_articles(text: str) -> list[tuple[str, str]] | None:
    """Return (article, chapter) by line starts alone, None unless they run strictly 1..n."""
    found: list[tuple[str, str]] = []
    chapter, last = "", 0
    for line in text.splitlines():
        if heading := _CHAPTER.fullmatch(line.strip()):
            chapter = heading[1]
        if _ABOVE.match(line):
            chapter = ""
        if (match := _ARTICLE.match(line.strip())) is None:
            continue
        value = number(match[1]) or 0
        if value != last + (0 if match[2] else 1):
            return None
        last = value
        found.append((match[0], chapter))
    return found or None


def kept(blocks: Sequence[Block], document: ParsedDocument) -> float:
    """Return the characters of clauses and headings as a share of those of the blocks."""
    out = sum(len(_INVISIBLE.sub("", clause.text)) for clause in document.clauses)
    out += sum(len(_INVISIBLE.sub("", heading)) for heading in document.headings)
    return out / max(1, sum(len(_INVISIBLE.sub("", block.text)) for block in blocks))


def unbroken(document: ParsedDocument) -> bool:
    """Whether the first-level numbers run 一、二、三 … (each restart again from 一)."""
    values = [0]
    for clause in document.clauses:
        label = clause.locator.at("first")
        value = number(label) if label else None
        if value and value != values[-1]:
            values.append(value)
    return len(values) > 1 and all(b in (a + 1, 1) for a, b in pairwise(values))


def texts(source: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of every document of the source."""
    if source.is_dir():
        for path in sorted(source.rglob("*.txt")):
            yield path.name, path.read_text("utf-8")
        return
    with lzma.open(source, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield row["id"], row["text"]


def measure(source: Path) -> dict[str, object]:
    """Parse every document of the source and return the figures."""
    seconds, count, perfect, gold = 0.0, 0, 0, 0
    first_level, sequences = 0, 0
    shares, wrong, broken = [], [], []
    for name, text in texts(source):
        blocks = read(text.encode(), "document.txt")
        begun = time.perf_counter()
        document = parse(blocks)
        seconds += time.perf_counter() - begun
        count += 1
        shares.append((kept(blocks, document), name))
        if expected := expected_articles(text):
            gold += 1
            got = [
                (c.locator.article, c.locator.chapter)
                for c in document.clauses
                if c.kind == "article"
            ]
            perfect += got == expected
            wrong += [name] if got != expected else []
        elif "一、" in text and "二、" in text:
            first_level += 1
            sequences += unbroken(document)
            broken += [] if unbroken(document) else [name]
    return {
        "documents": count,
        "seconds": round(seconds, 1),
        "kept_least": min(shares),
        "kept_most": max(shares),
        "numbered_articles": gold,
        "articles_exact": perfect,
        "articles_wrong": wrong[:40],
        "first_level": first_level,
        "first_level_unbroken": sequences,
        "first_level_broken": broken[:200],
    }


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("source", type=Path)
    print(json.dumps(measure(arguments.parse_args().source), ensure_ascii=False, indent=1))
