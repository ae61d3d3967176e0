"""Several indices searched as one: the same rows as an index of the mixture finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering import Dataset, Descriptor, Query, SearchIndex, SearchSpace, search_images
from veriwild_clustering.search.backends.backend import VectorBackend
from veriwild_clustering.search.backends.joined import JoinedIndex

N_IMAGES = 5_000


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    vectors = {name: rng.normal(size=(N_IMAGES, width)) for name, width in (("a", 12), ("b", 6), ("c", 4))}
    vectors["b"][7] = np.nan
    images = pd.DataFrame({"path": [str(row) for row in range(N_IMAGES)], "group": np.arange(N_IMAGES) % 50})
    return Dataset(images, {name: Descriptor(name, values) for name, values in vectors.items()})


@pytest.fixture(scope="module")
def indices(dataset: Dataset) -> dict[str, SearchIndex]:
    return {name: SearchIndex.build(dataset, name) for name in dataset.names}


@settings(max_examples=15, deadline=None)
@given(
    weights=st.dictionaries(st.sampled_from("abc"), st.floats(0.01, 10), min_size=1),
    row=st.integers(0, N_IMAGES - 1).filter(lambda row: row != 7),
    n_results=st.sampled_from([1, 10, 200]),
    share=st.sampled_from([1.0, 0.9, 0.1]),
)
def test_exact_search_is_that_of_the_mixture(
    dataset: Dataset, indices: dict[str, SearchIndex], weights: dict[str, float], row: int, n_results: int, share: float
) -> None:
    joined, whole = JoinedIndex(indices, SearchSpace.of(dataset, weights)), SearchIndex.build(dataset, weights)
    allowed = None if share == 1 else np.random.default_rng(row).random(N_IMAGES) < share
    query = whole.space.rows([row])
    found = joined.nearest(query, n_results, allowed=allowed, exclude=[[row]], exact=True)
    expected = whole.nearest(query, n_results, allowed=allowed, exclude=[[row]])
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    assert (found.rows == expected.rows).mean() > 0.98  # rows that are equally near but for rounding may swap


def test_search_without_exactness_finds_nearly_all(dataset: Dataset, indices: dict[str, SearchIndex]) -> None:
    weights = {"a": 0.5, "b": 0.3, "c": 0.2}
    joined, whole = JoinedIndex(indices, SearchSpace.of(dataset, weights)), SearchIndex.build(dataset, weights)
    queries = whole.space.rows(np.arange(100, 150))
    pairs = zip(joined.nearest(queries, 10).rows, whole.nearest(queries, 10).rows, strict=True)
    assert np.mean([len(set(found) & set(expected)) / 10 for found, expected in pairs]) > 0.98


def test_it_is_searched_like_any_other(dataset: Dataset, indices: dict[str, SearchIndex]) -> None:
    weights = {"a": 2.0, "b": 1.0}
    joined = JoinedIndex(indices, SearchSpace.of(dataset, weights))
    assert isinstance(joined, VectorBackend)
    assert len(joined) == N_IMAGES - 1
    asked = {"n_results": 5, "where": {"group": [1, 2]}}
    found = search_images(joined, dataset, Query([3]), **asked)
    expected = search_images(SearchIndex.build(dataset, weights), dataset, Query([3]), **asked)
    assert found.rows.tolist() == expected.rows.tolist()


def test_removed_rows_are_not_found(dataset: Dataset) -> None:
    own = {name: SearchIndex.build(dataset, name) for name in "ab"}
    joined = JoinedIndex(own, SearchSpace.of(dataset, {"a": 1, "b": 1}))
    nearest = int(joined.nearest(joined.space.rows([0]), 2).rows[0, 1])
    joined.remove([nearest])
    assert nearest not in joined.nearest(joined.space.rows([0]), 2).rows
    joined.add([nearest])
    assert nearest in joined.nearest(joined.space.rows([0]), 2).rows


def test_nothing_allowed_finds_nothing(dataset: Dataset, indices: dict[str, SearchIndex]) -> None:
    joined = JoinedIndex(indices, SearchSpace.of(dataset, {"a": 1, "b": 1}))
    found = joined.nearest(joined.space.rows([0]), 3, allowed=np.zeros(N_IMAGES, dtype=bool))
    assert found.rows.tolist() == [[-1, -1, -1]]
    assert np.isnan(found.scores).all()


def test_distances_are_not_joined(dataset: Dataset) -> None:
    own = {"a": SearchIndex.build(dataset, "a", metric="euclidean")}
    with pytest.raises(ValueError, match="cosine"):
        JoinedIndex(own, SearchSpace.of(dataset, "a", metric="euclidean"))
