"""Text → unit vectors; hides which model makes them.

`StaticEncoder` reads the model that ships with the product, `SentenceEncoder` runs any other one
of sentence-transformers. `HashingEncoder` needs no model at all: most tests run on it.
"""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from embeddings.errors import EncoderUnavailable
from embeddings.tokenizer import normalise, pairs

# Encoded to tell one version of a model from another.
_PROBE = "政策问答：社保、医保、公积金、住房、就业、教育、户籍"

# Bounds the memory of tokens in flight.
_TEXTS_AT_ONCE = 1024

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
        """Factor of this encoder's cosines in ranking: 1 for the one that it was learned with."""

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


class StaticEncoder:
    """A static embedding in sentence-transformers' format, read without PyTorch.

    The vector of a text is the mean of a table's rows, one a token, scaled to length 1. That takes
    three small libraries and a fraction of a millisecond; `SentenceTransformer` computes the same
    (in single precision: `.float()`) from the same folder, after seconds of loading.

    Args:
        folder: holds `modules.json` that lists a StaticEmbedding.

    Raises:
        EncoderUnavailable: the folder does not hold such a model.
    """

    trust = 1.0

    def __init__(self, folder: Path) -> None:
        try:
            place = _static_module(folder)
            self._tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
            (stored,) = load_file(place / "model.safetensors").values()
            rows, self.dimensions = stored.shape
            if rows < self._tokenizer.get_vocab_size():
                raise ValueError("向量比词少")
        except Exception as error:  # `tokenizers` raises plain Exception for a damaged file
            raise EncoderUnavailable(f"无法读取向量模型“{folder}”：{error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._table = stored.astype(np.float32)
        digest = zlib.crc32(self._tokenizer.to_str().encode(), zlib.crc32(stored.tobytes()))
        self.fingerprint = f"static-{digest:08x}"

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See `Encoder.encode`."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            batch = [normalise(text) for text in texts[start : start + _TEXTS_AT_ONCE]]
            encoded = self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            for row, each in enumerate(encoded, start=start):
                if each.ids:
                    vectors[row] = self._table[each.ids].sum(axis=0)
        return unit(vectors)


class SentenceEncoder:
    """A sentence-transformers model: a folder or a model hub's name.

    Args:
        model: folder or name, as `SentenceTransformer` takes it.

    Raises:
        EncoderUnavailable: the model cannot be loaded.
    """

    trust = 0.5

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


def _static_module(folder: Path) -> Path:
    """Where the one StaticEmbedding of a model keeps its files."""
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    for module in modules:
        if str(module["type"]).endswith(".StaticEmbedding"):
            return folder / str(module["path"])
    raise ValueError("modules.json 里没有 StaticEmbedding")
