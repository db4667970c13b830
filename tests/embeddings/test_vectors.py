"""One contract over both vector indexes; the exact one is the oracle of the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings.encoder import Vectors, unit
from embeddings.vectors import ExactIndex, FaissIndex, VectorIndex

Make = Callable[[Vectors], VectorIndex]


def halved(rows: Vectors) -> Vectors:
    """Rows as a segment holds them: FAISS keeps half precision, so only these come back exactly."""
    return rows.astype(np.float16).astype(np.float32)


def random_rows(count: int, dimensions: int, seed: int) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, dimensions))
    return halved(unit(rows.astype(np.float32)))


def clustered_rows(count: int, dimensions: int, seed: int) -> Vectors:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, dimensions))
    near = centres[random.integers(20, size=count)]
    return halved(unit((near + 0.4 * random.normal(size=near.shape)).astype(np.float32)))


@pytest.fixture(params=[ExactIndex, FaissIndex])
def make(request: pytest.FixtureRequest) -> Make:
    chosen: Make = request.param
    return chosen


def test_nearest_come_first_with_their_inner_products(make: Make) -> None:
    rows, query = random_rows(300, 16, 1), random_rows(1, 16, 2)[0]
    positions, products = make(rows).search(query, 10)
    expected: npt.NDArray[np.float64] = rows.astype(np.float64) @ query
    assert positions.tolist() == np.argsort(-expected, kind="stable")[:10].tolist()
    np.testing.assert_allclose(products, expected[positions], atol=1e-5)


def test_a_row_finds_itself(make: Make) -> None:
    rows = random_rows(50, 16, 3)
    index = make(rows)
    for at in range(50):
        positions, products = index.search(rows[at], 1)
        assert positions.tolist() == [at]
        assert products[0] == pytest.approx(float(rows[at] @ rows[at]), abs=1e-5)
        assert products[0] == pytest.approx(1.0, abs=1e-3)


def test_no_more_than_there_are(make: Make) -> None:
    positions, products = make(random_rows(3, 8, 4)).search(random_rows(1, 8, 5)[0], 10)
    assert sorted(positions.tolist()) == [0, 1, 2]
    assert len(products) == 3


def test_zero_rows_are_allowed(make: Make) -> None:
    rows = random_rows(4, 8, 6)
    rows[2] = 0
    _, products = make(rows).search(rows[0], 4)
    assert np.isfinite(products).all()


def test_types_and_shapes(make: Make) -> None:
    positions, products = make(random_rows(9, 8, 7)).search(random_rows(1, 8, 8)[0], 5)
    assert positions.dtype == np.dtype(np.int64)
    assert products.dtype == np.dtype(np.float32)
    assert positions.shape == products.shape == (5,)


@settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 60), st.integers(0, 2**31))
def test_faiss_agrees_with_the_exact_index(count: int, dimensions: int, k: int, seed: int) -> None:
    rows, query = random_rows(count, dimensions, seed), random_rows(1, dimensions, seed + 1)[0]
    _, expected = ExactIndex(rows).search(query, k)
    positions, products = FaissIndex(rows).search(query, k)
    # Compared by product: rows of nearly the same one may change places.
    np.testing.assert_allclose(products, expected, atol=1e-5)
    np.testing.assert_allclose(rows[positions] @ query, expected, atol=1e-5)
    assert len(set(positions.tolist())) == len(positions)


@settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 2**31))
def test_rows_in_half_precision_are_searched_as_they_are(
    count: int, dimensions: int, seed: int
) -> None:
    rows = random_rows(count, dimensions, seed).astype(np.float16)
    query = random_rows(1, dimensions, seed + 1)[0]
    positions, products = FaissIndex(rows).search(query, 20)
    expected = rows.astype(np.float64) @ query
    np.testing.assert_allclose(products, expected[positions], atol=1e-6)
    np.testing.assert_allclose(products, np.sort(expected)[::-1][:20], atol=1e-6)


def test_other_rows_are_rounded_to_half_precision() -> None:
    rows = unit(np.random.default_rng(11).normal(size=(300, 64)).astype(np.float32))
    query = random_rows(1, 64, 12)[0]
    positions, products = FaissIndex(rows).search(query, 300)
    np.testing.assert_allclose(products, halved(rows)[positions] @ query, atol=1e-5)
    np.testing.assert_allclose(products, rows[positions] @ query, atol=1e-3)


def test_cells_find_nearly_all_of_the_nearest() -> None:
    rows, queries = clustered_rows(4000, 24, 9), clustered_rows(40, 24, 9)
    exact, cells = ExactIndex(rows), FaissIndex(rows, exact_up_to=1000)
    found = 0
    for query in queries:
        expected, _ = exact.search(query, 10)
        positions, products = cells.search(query, 10)
        assert np.all(np.diff(products) <= 1e-6)
        # A cell holds the distance of a row from its centre, which is rounded once more.
        np.testing.assert_allclose(products, rows[positions] @ query, atol=1e-4)
        found += len(set(expected.tolist()) & set(positions.tolist()))
    assert found >= 0.95 * 400


def test_cells_give_no_place_holders_when_they_hold_too_little() -> None:
    rows = clustered_rows(4000, 24, 10)
    positions, products = FaissIndex(rows, exact_up_to=1000).search(rows[0], 4000)
    assert 0 < len(positions) == len(products) <= 4000
    assert positions.min() >= 0
