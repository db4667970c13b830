"""Measure how retrieval grows with the base, on made-up texts from a seed; prints JSON.

    python -m benchmarks.retrieval_speed [--items N] [--seed S]

Every figure at N items stands beside the same at 4N from the same run, so that the ratios hold on
any machine: 4.0 is linear growth, 1.0 none. All are processor time, which other work on the
machine and the disk do not blur. BM25 is compared with bm25s on the same tokens.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import bm25s
import numpy as np

from embeddings import HashingEncoder, Item, Retriever
from embeddings.lexical import K1, B, Floats, Postings, inverse_frequency, length_norms, term_key

QUERIES = 100
ITEMS_A_GROUP = 20
BATCH = 8_000


class Texts:
    """Texts of made-up words whose frequencies follow Zipf's law, as those of a language do."""

    def __init__(self, seed: int, vocabulary: int = 30_000) -> None:
        self._random = np.random.default_rng(seed)
        characters = np.array([chr(code) for code in range(0x4E00, 0x4E00 + 3000)])
        shares = 1.0 / np.arange(1, len(characters) + 1)
        sizes = self._random.integers(1, 4, size=vocabulary)
        drawn = self._random.choice(characters, size=(vocabulary, 3), p=shares / shares.sum())
        self._words = ["".join(row[:size]) for row, size in zip(drawn, sizes, strict=True)]
        shares = 1.0 / np.arange(1, vocabulary + 1)
        self._shares = shares / shares.sum()

    def words(self, least: int, most: int) -> list[str]:
        """Return as many words as chance gives between two bounds."""
        count = int(self._random.integers(least, most + 1))
        return [
            self._words[at] for at in self._random.choice(len(self._words), count, p=self._shares)
        ]

    def items(self, count: int) -> list[Item]:
        """Return items in groups, each of some 100 characters."""
        found: list[Item] = []
        while len(found) < count:
            group = f"g{len(found)}"
            title = "".join(self.words(4, 10))
            for at in range(min(ITEMS_A_GROUP, count - len(found))):
                text = "，".join("".join(self.words(6, 12)) for _ in range(6))
                found.append(Item(f"{group}/{at}", text, title, group))
        return found


def seconds(step: Callable[[], object]) -> float:
    """How much processor time a step takes."""
    began = time.process_time()
    step()
    return time.process_time() - began


def milliseconds(step: Callable[[str], object], questions: Sequence[str]) -> tuple[float, float]:
    """Return the median and the 95th percentile of a step over questions."""
    step(questions[0])
    spent = [seconds(partial(step, question)) for question in questions]
    return statistics.median(spent) * 1000, statistics.quantiles(spent, n=20)[-1] * 1000


def build(retriever: Retriever, items: Sequence[Item]) -> None:
    """Index items as a rebuild does: batch after batch, merging in between."""
    for start in range(0, len(items), BATCH):
        batch = items[start : start + BATCH]
        groups = {item.group for item in batch}
        retriever.apply(batch, replaced=groups, position=start + len(batch))
        while retriever.merge():
            pass


def measure_index(items: Sequence[Item], questions: Sequence[str]) -> dict[str, float]:
    """Figures of an index of the given items."""
    with tempfile.TemporaryDirectory() as folder:
        retriever = Retriever.open(HashingEncoder(), Path(folder))
        built = seconds(lambda: build(retriever, items))
        median, slow = milliseconds(lambda text: retriever.search(text, 40), questions)
        # Closed, so that from here on nothing is written: how fast the disk is, is not at issue.
        retriever.close()
        fresh = [Item("new/0", items[0].text, items[0].title, "new")]
        change = partial(retriever.apply, fresh, replaced=["new"], position=1)
        applied = [seconds(change) for _ in range(20)]
        loaded = seconds(lambda: Retriever.open(HashingEncoder(), Path(folder)).close())
    return {
        "build_s": built,
        "search_ms_p50": median,
        "search_ms_p95": slow,
        "apply_one_ms": statistics.median(applied) * 1000,
        "load_s": loaded,
    }


def measure_bm25(texts: Texts, count: int) -> dict[str, float]:
    """This BM25 and bm25s on the same tokens: time to build, time a query, largest difference."""
    corpus = [texts.words(20, 60) for _ in range(count)]
    queries = [texts.words(5, 15) for _ in range(QUERIES)]
    other = bm25s.BM25(method="lucene", k1=K1, b=B)
    theirs_built = seconds(lambda: other.index(corpus, show_progress=False))
    began = time.process_time()
    postings = Postings.build(corpus)
    norms = length_norms(postings.lengths, float(postings.lengths.mean()))
    ours_built = time.process_time() - began

    def score(query: Sequence[str]) -> Floats:
        total = np.zeros(count, dtype=np.float32)
        tokens = Counter(query)
        spans = postings.spans([term_key(token) for token in tokens])
        for span, often in zip(spans, tokens.values(), strict=True):
            idf = inverse_frequency(span.stop - span.start, count)
            postings.add_scores(total, span, often * idf, norms)
        return total

    known = [[token for token in query if token in other.vocab_dict] for query in queries]
    gap = max(
        float(np.abs(score(query) - (K1 + 1) * other.get_scores(query)).max()) for query in known
    )
    ours = seconds(lambda: [score(query) for query in known])
    theirs = seconds(lambda: [other.get_scores(query) for query in known])
    return {
        "build_s": ours_built,
        "bm25s_build_s": theirs_built,
        "score_ms": ours / QUERIES * 1000,
        "bm25s_score_ms": theirs / QUERIES * 1000,
        "score_time_ratio": ours / theirs,
        "largest_score_gap": gap,
    }


def measure(count: int, seed: int) -> dict[str, object]:
    """Return all figures for `count` items and for four times as many."""
    texts = Texts(seed)
    items = texts.items(4 * count)
    questions = ["".join(texts.words(5, 12)) for _ in range(QUERIES)]
    small, large = measure_index(items[:count], questions), measure_index(items, questions)
    return {
        "items": [count, 4 * count],
        "index": {name: [small[name], large[name]] for name in small},
        "ratios": {name: large[name] / small[name] for name in small},
        "bm25": measure_bm25(texts, count),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    figures = measure(arguments.items, arguments.seed)
    print(
        json.dumps(
            json.loads(json.dumps(figures), parse_float=lambda t: round(float(t), 3)), indent=1
        )
    )
