"""An index finds what comparing all vectors in float64 finds, whatever is filtered, added or removed."""

from __future__ import annotations

import threading
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulation import simulated_space
from veriwild_clustering import Dataset, DatasetError, Descriptor
from veriwild_clustering.search.index import Neighbors, SearchIndex

Metric = Literal["cosine", "euclidean"]
FACTORIES = ("Flat", "SQfp16", "SQ8", "HNSW16,Flat", "HNSW16,SQfp16", "IVF16,Flat", "IVF16,SQ8", "PCA4,HNSW16,SQfp16")


def as_dataset(**vectors: np.ndarray) -> Dataset:
    n_images = len(next(iter(vectors.values())))
    images = pd.DataFrame({"path": [f"{i}.jpg" for i in range(n_images)]})
    return Dataset(images, {name: Descriptor(name, matrix) for name, matrix in vectors.items()})


@pytest.fixture(scope="module")
def vehicles() -> Dataset:
    """Two descriptors of 1,500 images, some of which lack one or the other."""
    osnet = simulated_space(1_500, 32).vectors + np.float32(0.5)
    color = simulated_space(1_500, 12, random_state=1).vectors * np.float32(40)
    osnet[[0, 17, 400]] = np.nan
    color[[17, 1_499]] = np.nan
    osnet[[50, 51, 52]] = osnet[53]  # equal vectors
    return as_dataset(osnet=osnet, color_model=color)


def brute_force(
    dataset: Dataset, weights: dict[str, float], queries: np.ndarray, k: int, *, metric: Metric, allowed: np.ndarray
) -> Neighbors:
    """Compare all in float64 from the descriptors themselves; `queries` are rows."""
    total = 0.0
    for name, weight in weights.items():
        vectors = dataset[name].vectors.astype(np.float64)
        if metric == "cosine":
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            total = total + weight * vectors[queries] @ vectors.T
        else:
            total = total - np.square(vectors[queries, None] - vectors).sum(axis=2)
    values = np.where(allowed & np.isfinite(total), total, -np.inf)
    rows = np.argsort(-values, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(values, rows, axis=1)
    scores = found if metric == "cosine" else np.sqrt(-found)
    return Neighbors(np.where(np.isinf(found), -1, rows), np.where(np.isinf(found), np.nan, scores))


def assert_same(found: Neighbors, expected: Neighbors, *, atol: float = 1e-6) -> None:
    """Scores agree, and rows wherever scores tell them apart by more than float32 does."""
    np.testing.assert_allclose(found.scores, expected.scores, atol=atol, rtol=1e-5)
    gaps = np.abs(np.diff(expected.scores, axis=1))
    clear = np.ones(expected.rows.shape, dtype=bool)
    clear[:, :-1] &= ~(gaps < 10 * atol)
    clear[:, 1:] &= ~(gaps < 10 * atol)
    clear[:, -1] = False  # the next one, which is not shown, may be as near
    np.testing.assert_array_equal(found.rows[clear], expected.rows[clear])


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize(
    ("weights", "metric"),
    [({"osnet": 1.0}, "cosine"), ({"osnet": 0.7, "color_model": 0.3}, "cosine"), ({"osnet": 1.0}, "euclidean")],
)
def test_exact_search_is_brute_force(
    factory: str, weights: dict[str, float], metric: Metric, vehicles: Dataset
) -> None:
    index = SearchIndex.build(vehicles, weights, metric=metric, factory=factory)
    everything = np.ones(1_500, dtype=bool)
    rows = np.array([1, 60, 777, 1_498])
    for k in (1, 10, 64):
        expected = brute_force(vehicles, weights, rows, k, metric=metric, allowed=everything)
        assert_same(index.nearest(index.space.rows(rows), k, exact=True), expected)
        alone = index.nearest(index.space.rows(rows)[2], k, exact=True)
        np.testing.assert_array_equal(alone.rows, index.nearest(index.space.rows(rows)[[2]], k, exact=True).rows)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_filter_loses_nothing_at_one_per_cent(factory: str, metric: Metric, vehicles: Dataset) -> None:
    index = SearchIndex.build(vehicles, "osnet", metric=metric, factory=factory)
    allowed = np.random.default_rng(0).random(1_500) < 0.01
    rows = np.arange(20, 1_400, 99)
    expected = brute_force(vehicles, {"osnet": 1.0}, rows, 20, metric=metric, allowed=allowed)
    assert_same(index.nearest(index.space.rows(rows), 20, allowed=allowed), expected)
    assert (expected.rows >= 0).any(axis=1).all()


@pytest.mark.parametrize("factory", ["PCA8,L2norm,HNSW16,SQfp16", "PCA8,L2norm,SQfp16", "PCA8,L2norm,IVF16,Flat"])
def test_candidates_by_the_direction_of_projections_lose_nothing(factory: str, vehicles: Dataset) -> None:
    index = SearchIndex.build(vehicles, "osnet", factory=factory)
    rows = np.array([1, 60, 777, 1_498])
    for share in (0.5, 1.0):
        allowed = np.random.default_rng(0).random(1_500) < share
        expected = brute_force(vehicles, {"osnet": 1.0}, rows, 10, metric="cosine", allowed=allowed)
        assert_same(index.nearest(index.space.rows(rows), 10, allowed=allowed, exact=True), expected)
    with pytest.raises(ValueError, match="makes Index"):
        SearchIndex.build(vehicles, "osnet", factory=factory, metric="euclidean")


@pytest.mark.parametrize("factory", ["HNSW16,SQfp16", "IVF16,SQ8", "PCA16,HNSW16,SQfp16"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("share", [0.95, 1.0])
def test_approximate_search_finds_nearly_all(factory: str, metric: Metric, share: float, vehicles: Dataset) -> None:
    index = SearchIndex.build(vehicles, "osnet", metric=metric, factory=factory)
    assert index.recall >= 0.99
    assert index.approximation == f"{factory} (FAISS), recall@10 {index.recall:.3f} on a sample of rows"
    allowed = np.random.default_rng(0).random(1_500) < share
    rows = np.arange(20, 1_400, 9)
    found = index.nearest(index.space.rows(rows), 10, allowed=allowed)
    exact = index.nearest(index.space.rows(rows), 10, allowed=allowed, exact=True)
    sign = 1 if metric == "cosine" else -1
    assert np.mean(sign * found.scores >= sign * exact.scores[:, -1:]) > 0.98
    assert allowed[found.rows].all()


def test_threads_that_share_one_query_find_what_one_finds() -> None:
    dataset = as_dataset(osnet=simulated_space(20_000, 64).vectors)
    allowed = np.random.default_rng(0).random(20_000) < 0.5
    indices = [SearchIndex.build(dataset, "osnet", factory="SQfp16", n_threads=n) for n in (1, 3)]
    for row in (0, 9_999, 19_999):
        first, second = (index.nearest(index.space.rows([row]), 30, allowed=allowed) for index in indices)
        np.testing.assert_array_equal(first.rows, second.rows)
        np.testing.assert_array_equal(first.scores, second.scores)
    expected = brute_force(dataset, {"osnet": 1.0}, np.array([19_999]), 30, metric="cosine", allowed=allowed)
    assert_same(second, expected)


@given(
    seed=st.integers(0, 999),
    removed=st.sets(st.integers(0, 59)),
    k=st.integers(1, 70),
    excluded=st.sets(st.integers(0, 59)),
)
@settings(max_examples=30, deadline=None)
def test_removing_and_excluding_is_masking(seed: int, removed: set[int], k: int, excluded: set[int]) -> None:
    rng = np.random.default_rng(seed)
    # Few values, so that many rows are equally near: those are ordered by their row.
    dataset = as_dataset(osnet=rng.integers(-1, 2, size=(60, 3)).astype(np.float32))
    index = SearchIndex.build(dataset, "osnet", metric="euclidean", factory="SQfp16")
    index.remove(sorted(removed))
    allowed = rng.random(60) < 0.7
    left = allowed.copy()
    left[list(removed | excluded)] = False
    found = index.nearest(index.space.rows([3]), k, allowed=allowed, exclude=[sorted(excluded)])
    expected = brute_force(dataset, {"osnet": 1.0}, np.array([3]), k, metric="euclidean", allowed=left)
    np.testing.assert_array_equal(found.rows[:, : expected.rows.shape[1]], expected.rows)
    assert (found.rows[:, expected.rows.shape[1] :] == -1).all()
    assert len(index) == 60 - len(removed)


@pytest.mark.parametrize("factory", ["Flat", "HNSW16,SQfp16"])
def test_many_equal_vectors_are_ordered_by_row(factory: str) -> None:
    vectors = np.ones((700, 8), dtype=np.float32)
    vectors[::7] = simulated_space(100, 8).vectors
    index = SearchIndex.build(as_dataset(osnet=vectors), "osnet", factory=factory)
    found = index.nearest(np.full(8, 8**-0.5), 5, exact=True)
    assert found.rows.tolist() == [[1, 2, 3, 4, 5]]
    np.testing.assert_allclose(found.scores, 1, rtol=1e-6)


@pytest.mark.parametrize("factory", ["Flat", "HNSW16,SQfp16", "IVF8,SQ8"])
def test_adding_and_removing_is_rebuilding(factory: str, vehicles: Dataset) -> None:
    old = vehicles.take(np.arange(900))
    index = SearchIndex.build(old, {"osnet": 0.5, "color_model": 0.5}, factory=factory)
    index.remove([5, 60, 899])
    index.extend(vehicles)
    index.remove([1_200])
    index.add([60])
    rebuilt = SearchIndex.build(vehicles, {"osnet": 0.5, "color_model": 0.5}, factory=factory)
    allowed = np.ones(1_500, dtype=bool)
    allowed[[5, 899, 1_200]] = False
    queries = index.space.rows([5, 60, 1_200, 1_400])
    found = index.nearest(queries, 30, exact=True)
    np.testing.assert_array_equal(found.rows, rebuilt.nearest(queries, 30, allowed=allowed, exact=True).rows)
    assert (len(index), len(rebuilt)) == (1_496 - 3, 1_496)
    approximate = index.nearest(queries, 10)
    assert np.mean(approximate.rows == found.rows[:, :10]) > 0.9
    assert not np.isin(approximate.rows, [5, 899, 1_200]).any()


def test_rows_without_usable_vectors_are_never_found(vehicles: Dataset) -> None:
    unusable = [0, 17, 400, 1_499]
    index = SearchIndex.build(vehicles, {"osnet": 0.5, "color_model": 0.5})
    found = index.nearest(index.space.rows([3]), 1_500)
    assert (found.rows[0] >= 0).sum() == len(index) == 1_496
    assert not np.isin(found.rows, unusable).any()
    assert np.isnan(found.scores[0, -4:]).all()
    with pytest.raises(ValueError, match="Row 17 has no usable vector of osnet and color_model"):
        index.add([3, 17])


@pytest.mark.parametrize("factory", ["Flat", "HNSW16,Flat"])
def test_each_query_excludes_its_own_rows(factory: str, vehicles: Dataset) -> None:
    index = SearchIndex.build(vehicles, "osnet", factory=factory)
    rows = np.array([53, 700])
    own = [np.array([50, 51, 52, 53]), np.arange(1, 1_400)]  # few, and more than candidates may be dropped of
    found = index.nearest(index.space.rows(rows), 10, exclude=own)
    for place, left_out in enumerate(own):
        allowed = ~np.isin(np.arange(1_500), left_out)
        expected = brute_force(vehicles, {"osnet": 1.0}, rows[[place]], 10, metric="cosine", allowed=allowed)
        np.testing.assert_allclose(found.scores[[place]], expected.scores, atol=1e-6)
    assert not np.isin(found.rows[0], own[0]).any()
    assert not np.isin(found.rows[1], own[1]).any()


def test_nothing_left_to_find_is_no_error(vehicles: Dataset) -> None:
    index = SearchIndex.build(vehicles, "osnet")
    for allowed in (np.zeros(1_500, dtype=bool), ~index.space.valid):
        found = index.nearest(index.space.rows([1, 2]), 3, allowed=allowed)
        assert (found.rows == -1).all()
        assert np.isnan(found.scores).all()
    assert index.nearest(np.empty((0, 32)), 3).rows.shape == (0, 3)


def test_graph_is_made_beyond_the_exact_size(monkeypatch: pytest.MonkeyPatch, vehicles: Dataset) -> None:
    from veriwild_clustering.search.indexing import building

    assert SearchIndex.build(vehicles, "osnet").approximation is None
    monkeypatch.setattr(building, "EXACT_VALUES", 1_000)
    assert SearchIndex.build(vehicles, "osnet").factory == "HNSW48,SQfp16"
    assert SearchIndex.build(vehicles, "color_model", metric="euclidean").factory == "HNSW48,Flat"
    wide = as_dataset(osnet=simulated_space(1_500, 16).vectors @ np.eye(16, 96, dtype=np.float32))
    index = SearchIndex.build(wide, "osnet")  # what tells rows apart lies in few directions
    assert index.factory == "PCA32,L2norm,HNSW48,SQfp16"
    assert index.recall >= 0.992
    assert SearchIndex.build(wide, "osnet", metric="euclidean").factory == "PCA32,HNSW48,Flat"


def test_searches_while_rows_come_and_go(vehicles: Dataset) -> None:
    index = SearchIndex.build(vehicles, "osnet")
    queries, errors = index.space.rows([1, 2, 3]), []

    def search() -> None:
        try:
            for _ in range(30):
                assert (index.nearest(queries, 10).rows >= 0).all()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for row in range(1, 200):
        index.remove([row + 500])
        if row % 50 == 0:
            index.add(np.arange(501, 700))
    for thread in threads:
        thread.join()
    assert not errors


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"queries": np.ones((1, 31))}, r"must have shape \(n_queries, 32\)\. Got \(1, 31\).*`index\.space\.encode`"),
        ({"queries": np.full((1, 32), np.nan)}, "`queries` must be finite"),
        ({"n_results": 0}, r"`n_results` must be an int in \[1, inf\)"),
        ({"allowed": np.ones(3, dtype=bool)}, r"`allowed` must have one entry per image, shape \(1500,\)"),
        ({"allowed": np.ones(1_500)}, "`allowed` must be an array of bool"),
        ({"exclude": [[1], [2]]}, "`exclude` must have one entry per query, 1. Got 2"),
        ({"exclude": [np.arange(1_500) < 2]}, "`exclude` must hold rows of the dataset, ints"),
        ({"exclude": [[0.5]]}, "`exclude` must hold rows of the dataset, ints"),
    ],
)
def test_impossible_searches_are_refused(asked: dict[str, Any], message: str, vehicles: Dataset) -> None:
    index = SearchIndex.build(vehicles, "osnet")
    with pytest.raises(ValueError, match=message):
        index.nearest(**{"queries": np.ones((1, 32)), **asked})


@pytest.mark.parametrize("rows", [[-1], [1_500], [0.5], ["a"]])
def test_rows_that_do_not_exist_are_refused(rows: list[Any], vehicles: Dataset) -> None:
    index = SearchIndex.build(vehicles, "osnet")
    for change in (index.remove, index.add):
        with pytest.raises(ValueError, match=r"`rows` must be rows of the dataset, ints in \[0, 1500\)"):
            change(rows)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("nonsense", "must be a string of FAISS's index_factory. Got 'nonsense'"),
        ("OPQ4,Flat", "'OPQ4,Flat' begins with steps of the kinds OPQMatrix"),
        ("L2norm,Flat", "begins with steps of the kinds NormalizationTransform"),
        ("PCA4,PQ4", "'PCA4,PQ4' makes IndexPQ"),
        ("PQ4", "'PQ4' makes IndexPQ"),
        ("IVF4,PQ4", "'IVF4,PQ4' makes IndexIVFPQ"),
        ("HNSW8,PQ4", "'HNSW8,PQ4' makes IndexHNSWPQ"),
        ("IVF4_HNSW8,Flat", "'IVF4_HNSW8,Flat' makes IndexIVFFlat"),
        ("SQ8_direct", "'SQ8_direct'"),
        ("IVF0,Flat", "'IVF0,Flat' makes IndexIVFFlat"),
        ("IVF2000,Flat", "asks for 2000 lists, more than the 1497 vectors"),
        (32, "must be a string of FAISS's index_factory. Got 32"),
    ],
)
def test_unfit_factories_are_refused(factory: Any, message: str, vehicles: Dataset) -> None:
    with pytest.raises(ValueError, match=message):
        SearchIndex.build(vehicles, "osnet", factory=factory)


def test_numbers_too_large_for_half_floats_are_named() -> None:
    dataset = as_dataset(osnet=np.array([[1e6, 0], [0, 1e6]], dtype=np.float32))
    with pytest.raises(ValueError, match="numbers too large for what `factory` stores"):
        SearchIndex.build(dataset, "osnet", metric="euclidean", factory="SQfp16")


def test_distances_too_large_for_floats_are_refused_not_lost(vehicles: Dataset) -> None:
    large = as_dataset(osnet=1e25 * np.eye(3, dtype=np.float32))
    with pytest.raises(ValueError, match="Euclidean distances are searched between vectors of length"):
        SearchIndex.build(large, "osnet", metric="euclidean")
    with pytest.raises(ValueError, match="Euclidean distances are searched between vectors of length"):
        SearchIndex.build(vehicles, "osnet", metric="euclidean").nearest(np.full(32, 1e25))
    found = SearchIndex.build(as_dataset(osnet=1e18 * np.eye(3)), "osnet", metric="euclidean").nearest([0, 1e18, 0])
    assert found.rows[0, :3].tolist() == [1, 0, 2]
    assert SearchIndex.build(large, "osnet").nearest([0, 1, 0]).rows[0, :3].tolist() == [1, 0, 2]


@pytest.mark.parametrize("n_images", [0, 3])
def test_dataset_without_vectors_is_refused(n_images: int) -> None:
    dataset = as_dataset(osnet=np.full((n_images, 4), np.nan, dtype=np.float32))
    with pytest.raises(DatasetError, match=f"No image has a usable vector of osnet.*has {n_images} images"):
        SearchIndex.build(dataset, "osnet")


@pytest.mark.parametrize("factory", ["Flat", "HNSW8,SQfp16", "IVF1,Flat"])
def test_one_image_finds_itself(factory: str) -> None:
    index = SearchIndex.build(as_dataset(osnet=np.ones((1, 4), dtype=np.float32)), "osnet", factory=factory)
    found = index.nearest(index.space.rows([0]), 2)
    assert found.rows.tolist() == [[0, -1]]
    assert found.scores[0, 0] == pytest.approx(1)


def test_dataset_that_has_not_grown_from_it_is_refused(vehicles: Dataset) -> None:
    index = SearchIndex.build(vehicles.take(np.arange(900)), "osnet")
    for other in (vehicles.take(np.arange(1, 1_500)), vehicles.take(np.arange(100)), as_dataset(other=np.eye(3))):
        with pytest.raises(DatasetError, match="The first 900 rows of 'osnet' must be those of the index"):
            index.extend(other)
