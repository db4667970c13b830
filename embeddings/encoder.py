"""Text → unit vectors; hides which model makes them.

`SentenceEncoder` runs any sentence-transformers model. `HashingEncoder` needs no model at all:
it is the default until a model is configured, and it is what the tests run on.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from embeddings.errors import EncoderUnavailable
from embeddings.tokenizer import normalise, pairs

# Encoded to tell one version of a model from another.
_PROBE = "政策问答：社保、医保、公积金、住房、就业、教育、户籍"

Vectors = npt.NDArray[np.float32]


class Encoder(Protocol):
    """What the retriever needs to know of an embedding model."""

    @property
    def fingerprint(self) -> str:
        """Names model and version: vectors of different fingerprints never mix."""

    @property
    def dimensions(self) -> int:
        """Length of one vector."""

    @property
    def trust(self) -> float:
        """Weight of this encoder's cosine beside the lexical score, 0 to 1."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit row (or a zero row for a text without tokens) a text.

        Raises:
            EncoderUnavailable: the model failed.
        """


class HashingEncoder:
    """Feature hashing of character pairs (Weinberger et al. 2009): no training, no model file.

    Its cosine approximates plain overlap of characters, so it only breaks lexical ties.
    """

    trust = 0.03

    def __init__(self, dimensions: int = 128) -> None:
        self.dimensions = dimensions
        self.fingerprint = f"hashing-{dimensions}-1"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            digests = np.array(
                [zlib.crc32(token.encode()) for token in pairs(normalise(text))], dtype=np.int64
            )
            signs = 2.0 * (digests & 1) - 1.0
            row += np.bincount((digests >> 1) % self.dimensions, signs, self.dimensions)
        return unit(vectors)


class SentenceEncoder:
    """A sentence-transformers model: a folder or a model hub's name.

    Args:
        model: folder or name, as `SentenceTransformer` takes it.

    Raises:
        EncoderUnavailable: the model cannot be loaded.
    """

    trust = 0.4

    def __init__(self, model: str) -> None:
        # The one import inside a function: PyTorch takes seconds and 400 MB to load, and an
        # installation without a neural model must not pay for it.
        try:
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415

            self._model: Any = SentenceTransformer(model, device="cpu")
        except Exception as error:  # the libraries below raise whatever they like
            raise EncoderUnavailable(f"无法加载向量模型“{model}”：{error}") from error
        self.dimensions = int(self._model.get_embedding_dimension() or 0)
        # The name alone would not tell a folder's model from the one that replaces it there.
        probe = np.round(self.encode([_PROBE]), 2) + 0.0
        self.fingerprint = f"sentence-transformers:{model}:{zlib.crc32(probe.tobytes()):08x}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        try:
            vectors = self._model.encode(
                list(texts), convert_to_numpy=True, show_progress_bar=False
            )
        except Exception as error:
            raise EncoderUnavailable(f"向量模型计算失败：{error}") from error
        return unit(np.asarray(vectors, dtype=np.float32).reshape(len(texts), self.dimensions))


def unit(vectors: Vectors) -> Vectors:
    """Scale each row to length 1; rows that are zero or not finite become zero."""
    vectors = np.nan_to_num(vectors, nan=0.0, posinf=0.0, neginf=0.0)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
