"""The vector index seam: rows of unit vectors in half precision → nearest rows; hides FAISS."""

from typing import Protocol

import faiss
import numpy as np
import numpy.typing as npt

from embeddings.encoder import Vectors

# One question is too little work to share between cores; threads would only wait on each other.
faiss.omp_set_num_threads(1)

# Flat search is exact and takes about 4 ms at this size; beyond it, cells are searched.
EXACT_UP_TO = 200_000

Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


class VectorIndex(Protocol):
    """Nearest neighbours by inner product over a fixed set of rows."""

    def search(self, query: Vectors, k: int) -> Found:
        """Return the positions and inner products of the k nearest rows, best first."""


class ExactIndex:
    """Brute force in numpy: the oracle, and the choice for a handful of rows."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def search(self, query: Vectors, k: int) -> Found:
        """See `VectorIndex.search`."""
        products = self._vectors @ query
        order = np.argsort(-products, kind="stable")[:k]
        return order.astype(np.int64), products[order].astype(np.float32)


class FaissIndex:
    """FAISS: exact up to `EXACT_UP_TO` rows, inverted cells above."""

    def __init__(
        self, vectors: npt.NDArray[np.floating], *, exact_up_to: int = EXACT_UP_TO
    ) -> None:
        count, dimensions = vectors.shape
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        half, product = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        self._index: faiss.Index = faiss.IndexScalarQuantizer(dimensions, half, product)
        if count > exact_up_to:
            cells = int(np.sqrt(count))
            self._cells = faiss.IndexFlatIP(dimensions)  # kept: FAISS only borrows it
            self._index = faiss.IndexIVFScalarQuantizer(
                self._cells, dimensions, cells, half, product
            )
            self._index.train(rows)
            self._index.nprobe = max(16, cells // 16)
        self._index.add(rows)

    def search(self, query: Vectors, k: int) -> Found:
        """See `VectorIndex.search`."""
        products, positions = self._index.search(
            np.ascontiguousarray(query.reshape(1, -1), dtype=np.float32),
            min(k, self._index.ntotal),
        )
        real = positions[0] >= 0
        return positions[0][real], products[0][real]
