"""The neighbour graph against brute force, exact and approximate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from veriwild_clustering import Descriptor, NeighborGraph, neighbor_graph
from veriwild_clustering.core.vectors import blocks, neighbors


def brute_force(vectors: np.ndarray, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """Return neighbours and float64 distances, those equally near by their place."""
    distances = cdist(vectors.astype(np.float64), vectors.astype(np.float64))
    np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances.astype(np.float32), axis=1, kind="stable")[:, :n_neighbors]
    return order, np.take_along_axis(distances, order, axis=1)


@pytest.fixture
def clusters() -> np.ndarray:
    """2,000 rows of 20 overlapping clusters in 12 dimensions."""
    rng = np.random.default_rng(0)
    return (3 * rng.normal(size=(20, 12))[rng.integers(20, size=2000)] + rng.normal(size=(2000, 12))).astype(np.float32)


@pytest.mark.parametrize("n_neighbors", [1, 32, 33, 119])
def test_graph_is_that_of_brute_force(toy_space: Descriptor, n_neighbors: int):
    graph = neighbor_graph(toy_space, n_neighbors=n_neighbors)
    indices, distances = brute_force(toy_space.vectors, n_neighbors)
    np.testing.assert_array_equal(graph.indices, indices)
    np.testing.assert_array_equal(graph.distances, distances.astype(np.float32))
    assert (graph.indices.dtype, graph.distances.dtype) == (np.int32, np.float32)
    assert (graph.n_neighbors, graph.recall, graph.approximation) == (n_neighbors, 1.0, None)


def test_a_common_offset_costs_no_digits(clusters: np.ndarray):
    far = clusters + np.float32(1000)
    _, distances = brute_force(far, 32)
    np.testing.assert_allclose(neighbors.search_neighbors(far, 32, exact=True).distances, distances, rtol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 40), st.integers(1, 4))
def test_ties_and_duplicates(seed: int, n_rows: int, n_features: int):
    vectors = np.random.default_rng(seed).integers(-2, 3, size=(n_rows, n_features)).astype(np.float32)
    graph = neighbors.search_neighbors(vectors, n_rows - 1, exact=True)
    indices, distances = brute_force(vectors, n_rows - 1)
    np.testing.assert_array_equal(graph.indices, indices)
    np.testing.assert_array_equal(graph.distances, distances.astype(np.float32))


def test_no_row_is_its_own_neighbour_among_many_equal_ones():
    vectors = np.zeros((300, 3), dtype=np.float32)
    vectors[200:] = np.random.default_rng(0).normal(size=(100, 3))
    for exact in (True, False):
        graph = neighbors.search_neighbors(vectors, 32, exact=exact)
        assert not (graph.indices == np.arange(300)[:, None]).any()
        assert (graph.distances[:200] == 0).all()


def test_rows_without_a_vector_are_not_in_it(clusters: np.ndarray):
    holed = clusters.copy()
    holed[[0, 77, 1999], 3] = np.nan
    graph = neighbor_graph(Descriptor("holed", holed), n_neighbors=10)
    alone = neighbor_graph(Descriptor("alone", np.delete(clusters, [0, 77, 1999], axis=0)), n_neighbors=10)
    np.testing.assert_array_equal(graph.indices, alone.indices)
    np.testing.assert_array_equal(graph.distances, alone.distances)


@pytest.mark.parametrize("exact", [True, False])
def test_blocks_and_memory_maps_change_nothing(
    clusters: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, exact: bool
):
    whole = neighbors.search_neighbors(clusters, 32, exact=exact)
    np.save(tmp_path / "vectors.npy", clusters)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 100_000)
    mapped = neighbors.search_neighbors(np.load(tmp_path / "vectors.npy", mmap_mode="r"), 32, exact=exact)
    np.testing.assert_array_equal(mapped.distances, whole.distances)
    np.testing.assert_array_equal(mapped.indices, whole.indices)


def test_inverted_file_finds_what_it_says(clusters: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(neighbors, "EXACT_ROWS", 1000)
    graph = neighbor_graph(Descriptor("clusters", clusters))
    _, distances = brute_force(clusters, 32)
    found = (graph.distances <= distances[:, -1:].astype(np.float32)).mean()
    assert found >= 0.97
    assert graph.recall == pytest.approx(found, abs=0.02)
    assert graph.approximation is not None
    assert f"recall {graph.recall:.3f}" in graph.approximation
    assert (np.diff(graph.distances, axis=1) >= 0).all()
    np.testing.assert_allclose(
        graph.distances[:, 0], np.linalg.norm(clusters - clusters[graph.indices[:, 0]], axis=1), rtol=1e-5
    )


def test_lists_that_hold_too_few_are_left_behind(clusters: np.ndarray):
    graph = neighbors.search_neighbors(clusters[:200], 180, exact=False)
    _, distances = brute_force(clusters[:200], 180)
    np.testing.assert_array_equal(graph.distances, distances.astype(np.float32))


def test_graph_is_searched_once_and_sliced(clusters: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    first = neighbor_graph(Descriptor("a", clusters))
    monkeypatch.setattr(neighbors, "search_neighbors", lambda *_, **__: pytest.fail("searched again"))
    fewer = neighbor_graph(Descriptor("b", clusters.copy()), n_neighbors=7)
    assert np.shares_memory(first.indices, fewer.indices)
    np.testing.assert_array_equal(fewer.distances, first.take(7).distances)
    assert not first.distances.flags.writeable


def test_graph_does_not_depend_on_what_was_asked_before(clusters: np.ndarray):
    wide = neighbor_graph(Descriptor("wide", clusters), n_neighbors=64)
    narrow = neighbor_graph(Descriptor("narrow", clusters), n_neighbors=32)
    np.testing.assert_array_equal(wide.take(32).indices, narrow.indices)


@pytest.mark.parametrize("n_neighbors", [0, 120, 2.0])
def test_impossible_numbers_of_neighbours_are_refused(toy_space: Descriptor, n_neighbors: float):
    with pytest.raises((TypeError, ValueError), match=r"`n_neighbors` must be an int in \[1, n_images\)"):
        neighbor_graph(toy_space, n_neighbors=n_neighbors)


def test_repr_says_how_large_and_how_exact(toy_space: Descriptor):
    graph = neighbor_graph(toy_space, n_neighbors=5)
    assert isinstance(graph, NeighborGraph)
    assert repr(graph) == "NeighborGraph(120 rows x 5 neighbours, recall 1.000)"


def test_more_rows_than_the_limit_are_refused_with_a_way_out(toy_space: Descriptor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(neighbors, "MOST_ROWS", len(toy_space))
    assert len(neighbor_graph(toy_space)) == len(toy_space)
    monkeypatch.setattr(neighbors, "MOST_ROWS", len(toy_space) - 1)
    with pytest.raises(ValueError, match=r"at most 119 usable rows, and 'toy' has 120.*`PartitionModel`"):
        neighbor_graph(toy_space)
