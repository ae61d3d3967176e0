"""The spanning tree of mutual reachability against brute force in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cophenet, is_valid_linkage
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import cdist, squareform

from veriwild_clustering.clustering.solvers.hierarchy import spanning_tree as solver
from veriwild_clustering.clustering.solvers.hierarchy.joins import nearest_parts
from veriwild_clustering.clustering.solvers.hierarchy.spanning_tree import single_linkage, spanning_tree
from veriwild_clustering.core.vectors.neighbors import search_neighbors


def mutual_reachability(vectors: np.ndarray, min_samples: int) -> np.ndarray:
    distances = cdist(vectors.astype(np.float64), vectors.astype(np.float64))
    core = np.sort(distances, axis=1)[:, min_samples]  # a row comes first in its own list
    return np.maximum(np.maximum(distances, core[:, None]), core)


def lightest(reachability: np.ndarray) -> np.ndarray:
    """Return the weights of a minimum spanning tree; shifted, since SciPy takes 0 for no edge."""
    return np.sort(minimum_spanning_tree(reachability + 1).data) - 1


def clustered(n_clusters: int, n_rows: int, n_features: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = 6 * rng.normal(size=(n_clusters, n_features))
    return (centers[rng.integers(n_clusters, size=n_rows)] + rng.normal(size=(n_rows, n_features))).astype(np.float32)


@pytest.mark.parametrize("min_samples", [0, 1, 5, 20])
@pytest.mark.parametrize("shape", [(1, 300, 2), (12, 700, 16), (60, 400, 3)])
def test_exact_tree_has_the_weights_of_brute_force(shape: tuple[int, int, int], min_samples: int):
    vectors = clustered(*shape)
    tree = spanning_tree(vectors, search_neighbors(vectors, 20, exact=True), min_samples=min_samples)
    reachability = mutual_reachability(vectors, min_samples)
    np.testing.assert_allclose(tree.weights, lightest(reachability), rtol=2e-7)
    np.testing.assert_allclose(tree.weights, reachability[tuple(tree.edges.T)], rtol=2e-7)
    assert tree.approximation is None
    assert connected(tree.edges, len(vectors))


def connected(edges: np.ndarray, n_rows: int) -> bool:
    links = np.zeros((n_rows, n_rows), dtype=bool)
    links[tuple(edges.T)] = True
    return connected_components(links, directed=False)[0] == 1


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 60), st.integers(1, 3), st.integers(1, 6))
def test_ties_and_duplicates(seed: int, n_rows: int, n_features: int, n_neighbors: int):
    vectors = np.random.default_rng(seed).integers(-3, 4, size=(n_rows, n_features)).astype(np.float32)
    n_neighbors = min(n_neighbors, n_rows - 1)
    tree = spanning_tree(vectors, search_neighbors(vectors, n_neighbors, exact=True), min_samples=n_neighbors)
    np.testing.assert_allclose(tree.weights, lightest(mutual_reachability(vectors, n_neighbors)), atol=1e-6)
    assert connected(tree.edges, n_rows)


def test_tree_does_not_depend_on_tiles_nor_on_the_length_of_lists(monkeypatch: pytest.MonkeyPatch):
    vectors = clustered(8, 600, 8)
    whole = spanning_tree(vectors, search_neighbors(vectors, 32, exact=True), min_samples=4)
    monkeypatch.setattr(solver, "_ROWS", 37)
    monkeypatch.setattr(solver, "_COLUMNS", 101)
    tiled = spanning_tree(vectors, search_neighbors(vectors, 5, exact=True), min_samples=4)
    np.testing.assert_array_equal(tiled.weights, whole.weights)


def test_shortcuts_that_do_not_fit_are_found_by_another_pass(monkeypatch: pytest.MonkeyPatch):
    vectors = clustered(8, 400, 8)
    monkeypatch.setattr(solver, "_MOST_SHORTCUTS", 1)
    tree = spanning_tree(vectors, search_neighbors(vectors, 1, exact=True), min_samples=1)
    np.testing.assert_allclose(tree.weights, lightest(mutual_reachability(vectors, 1)), rtol=2e-7)


def test_tight_clusters_far_apart_are_measured_in_float64():
    vectors = np.concatenate([center + 1e-4 * clustered(1, 60, 4, seed=900 + center) for center in (-900, 0, 900)])
    tree = spanning_tree(vectors, search_neighbors(vectors, 8, exact=True), min_samples=3)
    np.testing.assert_allclose(tree.weights, lightest(mutual_reachability(vectors, 3)), rtol=2e-7)


def test_approximate_tree_is_hardly_heavier_and_says_so():
    vectors = clustered(12, 800, 16)
    graph = search_neighbors(vectors, 32, exact=False)
    tree = spanning_tree(vectors, graph, min_samples=10)
    assert connected(tree.edges, 800)
    assert 0.999 < tree.weights.sum() / lightest(mutual_reachability(vectors, 10)).sum() < 1.01
    assert tree.approximation is not None
    assert tree.approximation.startswith(f"{graph.approximation}; spanning tree of 32 neighbours a row, ")


def test_parts_are_joined_by_their_nearest_rows():
    vectors = clustered(10, 500, 3)
    core = np.zeros(500)
    parts = np.argmin(cdist(vectors, vectors[:7]), axis=1).astype(np.int32)
    edges = nearest_parts(vectors, core, parts)
    assert (parts[edges[:, 0]] != parts[edges[:, 1]]).all()
    assert set(parts[edges].ravel()) == set(range(7))
    distances = cdist(vectors, vectors)
    for part in range(7):
        mine = (parts[edges] == part).any(axis=1)
        apart = distances[np.ix_(parts == part, parts != part)]
        assert distances[tuple(edges[mine].T)].min() == pytest.approx(apart.min())


def test_dendrogram_is_one_and_cuts_as_the_tree_does():
    vectors = clustered(5, 80, 3)
    tree = spanning_tree(vectors, search_neighbors(vectors, 10, exact=True), min_samples=3)
    dendrogram = single_linkage(tree.edges, tree.weights)
    assert is_valid_linkage(dendrogram)
    for cut in np.quantile(tree.weights, [0.2, 0.5, 0.9]):
        links = np.zeros((80, 80), dtype=bool)
        links[tuple(tree.edges[tree.weights <= cut].T)] = True
        part = connected_components(links, directed=False)[1]
        np.testing.assert_array_equal(squareform(cophenet(dendrogram)) <= cut, part[:, None] == part)
