"""Fixed baselines that rank texts for a question; hides the libraries behind one method.

Every baseline gets the same texts. Which form it gets them in is part of its figures: `form` says
so in the words of the report.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version as version_of
from typing import Any, Protocol

import bm25s
import numpy as np
import numpy.typing as npt

from embeddings import Encoder
from embeddings.tokenizer import normalise, pairs, words
from kb.indexing import windows

# Texts encoded in one go.
BATCH = 256
# Passages that txtai is asked for at first, for each text wanted: several may be of one text.
OVERFETCH = 4


class Unavailable(Exception):  # noqa: N818
    """A baseline cannot run here; `str(error)` says why."""


@dataclass(frozen=True)
class Text:
    """One text to be found, whole."""

    key: str
    title: str
    text: str


class System(Protocol):
    """Something that ranks texts for a question."""

    name: str
    form: str

    def rank(self, question: str, limit: int) -> list[str]:
        """Keys of texts, best first, each once; texts without any agreement may be left out."""


def passages(texts: Iterable[Text]) -> Iterator[tuple[int, str]]:
    """Cut texts as the product does, each part under its title: (position of the text, part)."""
    for at, each in enumerate(texts):
        for part in windows(each.text):
            yield at, f"{each.title}\n{part}" if each.title else part


class WordStatistics:
    """BM25 of the bm25s library with its default parameters over whole texts."""

    def __init__(
        self, name: str, tokens: str, tokenise: Callable[[str], list[str]], texts: Sequence[Text]
    ) -> None:
        self.name = name
        self.form = f"bm25s {bm25s.__version__}，整篇（标题加正文），{tokens}"
        self._tokenise = tokenise
        self._keys = [each.key for each in texts]
        self._model = bm25s.BM25()
        corpus = [self._tokens(f"{each.title}\n{each.text}") for each in texts]
        self._model.index(corpus, show_progress=False)

    def rank(self, question: str, limit: int) -> list[str]:
        """See `System.rank`."""
        known = [token for token in self._tokens(question) if token in self._model.vocab_dict]
        if not known:
            return []
        scores = np.asarray(self._model.get_scores(known))
        best = np.argsort(-scores, kind="stable")[:limit]
        return [self._keys[at] for at in best if scores[at] > 0]

    def _tokens(self, text: str) -> list[str]:
        return self._tokenise(normalise(text))


class EncoderAlone:
    """Exact cosine of an encoder; a text is as near as its nearest passage."""

    name = "encoder"

    def __init__(self, encoder: Encoder, texts: Sequence[Text]) -> None:
        self.form = (
            f"产品的向量模型（{encoder.fingerprint}）单独使用，片段（标题加正文），逐一比较余弦"
        )
        self._encoder = encoder
        self._keys = [each.key for each in texts]
        cut = list(passages(texts))
        of_text = np.array([at for at, _ in cut], dtype=np.int64)
        # Where the passages of each text begin; every text has one at least.
        self._starts = np.searchsorted(of_text, np.arange(len(self._keys)))
        parts = [part for _, part in cut]
        batches = (parts[start : start + BATCH] for start in range(0, len(parts), BATCH))
        self._vectors = np.concatenate([encoder.encode(batch) for batch in batches])

    def rank(self, question: str, limit: int) -> list[str]:
        """See `System.rank`."""
        cosines = self._vectors @ self._encoder.encode([question])[0]
        nearest = np.maximum.reduceat(cosines, self._starts)
        best = np.argsort(-nearest, kind="stable")[:limit]
        return [self._keys[at] for at in best]


class Txtai:
    """txtai's hybrid search (its BM25 and a vector index) with the product's encoder.

    Raises:
        Unavailable: txtai is not installed.
    """

    name = "txtai"

    def __init__(self, encoder: Encoder, texts: Sequence[Text]) -> None:
        # Not at the top: it brings PyTorch along, which the rest of an evaluation need not pay.
        try:
            txtai: Any = importlib.import_module("txtai")
        except ImportError as error:
            raise Unavailable(f"没有安装 txtai（见 training/requirements.txt）：{error}") from error
        self.form = (
            f"txtai {version_of('txtai')} 的混合检索（自带分词的 BM25 与同一向量模型各半），"
            "片段（标题加正文），逐一比较余弦，不存内容"
        )
        self._keys = [each.key for each in texts]

        def transform(parts: Sequence[str]) -> npt.NDArray[np.float32]:
            vectors = encoder.encode(list(parts))
            # txtai divides by the length: a text that the encoder knows nothing of is given a
            # direction that is near to no other.
            return np.where(vectors.any(axis=1, keepdims=True), vectors, np.float32(1))

        self._embeddings = txtai.Embeddings(
            method="external",
            transform=transform,
            hybrid=True,
            content=False,
            # Exact at every size: from 5,000 texts on the default would look at a part only.
            faiss={"components": "IDMap,Flat"},
        )
        cut = list(passages(texts))
        self._of_passage = [at for at, _ in cut]
        self._embeddings.index((row, part, None) for row, (_, part) in enumerate(cut))

    def rank(self, question: str, limit: int) -> list[str]:
        """See `System.rank`."""
        wanted = limit * OVERFETCH
        while True:
            rows = self._embeddings.search(question, wanted)
            found = list(dict.fromkeys(self._of_passage[row] for row, _ in rows))
            if len(found) >= limit or len(rows) < wanted:
                return [self._keys[at] for at in found[:limit]]
            wanted *= 4


def baselines(encoder: Encoder) -> dict[str, Callable[[Sequence[Text]], System]]:
    """All baselines by name, still to be given their texts; making one may raise `Unavailable`."""
    return {
        "bm25s-words": lambda texts: WordStatistics(
            "bm25s-words", "结巴搜索模式的词", words, texts
        ),
        "bm25s-bigrams": lambda texts: WordStatistics("bm25s-bigrams", "相邻两字", pairs, texts),
        EncoderAlone.name: lambda texts: EncoderAlone(encoder, texts),
        Txtai.name: lambda texts: Txtai(encoder, texts),
    }
