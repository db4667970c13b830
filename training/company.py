"""Token ids → a first table of vectors: a word is known by the company it keeps.

Singular vectors of the positive pointwise mutual information between tokens and their neighbours
(Levy & Goldberg 2014, with their smoothing of contexts and subsampling), each row scaled by a
power of the token's inverse document frequency, so that the mean of a text leans to its rare
words.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

WINDOW = 8
SMOOTHING = 0.75
SUBSAMPLING = 1e-4
IDF_POWER = 0.5
# Texts counted at once: bounds memory.
AT_ONCE = 5000

Ids = npt.NDArray[np.int64]


def table(texts: Sequence[Ids], size: int, dimensions: int) -> npt.NDArray[np.float32]:
    """Vectors of all tokens, shape (size, dimensions); token 0, the unknown one, is zero."""
    counts, frequencies = np.zeros(size), np.zeros(size)
    for ids in texts:
        np.add.at(counts, ids, 1)
        frequencies[np.unique(ids)] += 1
    left, values, _ = randomized_svd(
        _information(_neighbours(texts, counts)), dimensions, n_iter=4, random_state=0
    )
    rows = left * np.sqrt(values)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    idf = np.log1p((len(texts) - frequencies + 0.5) / (frequencies + 0.5)) ** IDF_POWER
    rows *= (idf / idf.mean())[:, None]
    rows[0] = 0
    return np.asarray(rows, dtype=np.float32)


def _neighbours(texts: Sequence[Ids], counts: npt.NDArray[np.float64]) -> sparse.csr_matrix:
    """How often each token stands within `WINDOW` of another one, frequent ones thinned out."""
    size = len(counts)
    share = counts / counts.sum()
    kept_share = np.minimum(1, np.sqrt(SUBSAMPLING / np.maximum(share, 1e-12)))
    random = np.random.default_rng(0)
    total = sparse.csr_matrix((size, size), dtype=np.float32)
    for start in range(0, len(texts), AT_ONCE):
        batch = texts[start : start + AT_ONCE]
        ids = np.concatenate(batch)
        owners = np.repeat(np.arange(len(batch)), [len(each) for each in batch])
        kept = random.random(len(ids)) < kept_share[ids]
        ids, owners = ids[kept], owners[kept]
        cells = [
            (ids[:-step] * size + ids[step:])[owners[:-step] == owners[step:]]
            for step in range(1, WINDOW + 1)
        ]
        places, times = np.unique(np.concatenate(cells), return_counts=True)
        total = total + sparse.csr_matrix(
            (times.astype(np.float32), (places // size, places % size)), shape=(size, size)
        )
    return total + total.T


def _information(together: sparse.csr_matrix) -> sparse.csr_matrix:
    """Positive pointwise mutual information of a symmetric matrix of counts."""
    rows = np.asarray(together.sum(axis=1)).ravel()
    contexts = rows**SMOOTHING
    contexts /= contexts.sum()
    cells = together.tocoo()
    expected = np.maximum(rows[cells.row] * contexts[cells.col], 1e-12)
    information = np.log(np.maximum(cells.data / expected, 1e-9))
    kept = information > 0
    return sparse.csr_matrix(
        (information[kept].astype(np.float32), (cells.row[kept], cells.col[kept])),
        shape=together.shape,
    )
