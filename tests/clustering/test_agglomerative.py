"""Trees of merges beside SciPy's and scikit-learn's, exact and over micro-clusters, and what is cut from them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.sparse import csr_array
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import kneighbors_graph

from veriwild_clustering import Descriptor, sweep
from veriwild_clustering.clustering.families import agglomerative
from veriwild_clustering.clustering.solvers.hierarchy import micro_clusters as micro_module
from veriwild_clustering.clustering.solvers.hierarchy import ward as ward_module
from veriwild_clustering.clustering.solvers.hierarchy.linkage import cut_tree, linkage_tree
from veriwild_clustering.clustering.solvers.hierarchy.micro_clusters import MicroClusters, micro_clusters
from veriwild_clustering.clustering.solvers.hierarchy.ward import ward_tree

LINKAGES = ["ward", "average", "complete", "single"]


def points(n_rows: int, n_features: int, seed: int = 0) -> np.ndarray:
    """Return rows around five centers, of unequal spread per feature."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=3, size=(5, n_features))
    rows = centers[rng.integers(5, size=n_rows)] + rng.normal(size=(n_rows, n_features))
    return (rows / np.sqrt(1 + np.arange(n_features))).astype(np.float32)


def ward_by_brute_force(vectors: np.ndarray, weights: np.ndarray) -> list[tuple[float, frozenset[int]]]:
    """Return height and members of each merge, all pairs compared anew each time."""
    means, sizes = list(vectors.astype(np.float64)), list(weights.astype(np.float64))
    members, merges = [frozenset([row]) for row in range(len(vectors))], []
    while len(means) > 1:
        mean, size = np.array(means), np.array(sizes)
        gaps = 2 * np.outer(size, size) / np.add.outer(size, size)
        gaps = gaps * np.square(mean[:, None] - mean[None]).sum(axis=2)
        np.fill_diagonal(gaps, np.inf)
        i, j = sorted(np.unravel_index(gaps.argmin(), gaps.shape))
        merges.append((np.sqrt(gaps[i, j]), members[i] | members[j]))
        means[i] = (size[i] * mean[i] + size[j] * mean[j]) / (size[i] + size[j])
        sizes[i], members[i] = size[i] + size[j], members[i] | members[j]
        del means[j], sizes[j], members[j]
    return merges


@pytest.mark.parametrize(("n_rows", "n_features"), [(2, 1), (3, 2), (60, 1), (400, 5), (900, 40)])
def test_ward_is_that_of_scipy(n_rows: int, n_features: int) -> None:
    vectors = points(n_rows, n_features)
    tree = ward_tree(vectors)
    expected = scipy_linkage(vectors.astype(np.float64), "ward")
    np.testing.assert_allclose(tree.heights, expected[:, 2], rtol=1e-6)
    np.testing.assert_array_equal(tree.children, np.sort(expected[:, :2], axis=1))


def test_every_cut_of_ward_is_that_of_scikit_learn() -> None:
    vectors = points(400, 16, seed=3)
    tree = ward_tree(vectors)
    for n_clusters in (*range(1, 31), 100, 398, 399, 400):
        expected = AgglomerativeClustering(n_clusters).fit_predict(vectors)
        assert adjusted_rand_score(expected, tree.cut(n_clusters)) == 1.0


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1e-12, 0.0), (1e12, 0.0), (1.0, 1e3)])
def test_weighted_ward_by_brute_force(scale: float, offset: float) -> None:
    vectors = points(120, 6, seed=1) * np.float32(scale) + np.float32(offset)
    weights = np.random.default_rng(2).integers(1, 50, size=120)
    tree = ward_tree(vectors, weights)
    expected = ward_by_brute_force(vectors, weights)
    np.testing.assert_allclose(tree.heights, [height for height, _ in expected], rtol=1e-9)
    for n_merges in range(1, 119):
        joined = frozenset(np.flatnonzero(_members_of_merge(tree.children, n_merges - 1)))
        assert joined == expected[n_merges - 1][1]


def _members_of_merge(children: np.ndarray, merge: int) -> np.ndarray:
    n_leaves = len(children) + 1
    inside, stack = np.zeros(n_leaves, dtype=bool), [n_leaves + merge]
    while stack:
        node = stack.pop()
        if node < n_leaves:
            inside[node] = True
        else:
            stack.extend(children[node - n_leaves])
    return inside


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=3, max_size=25), st.integers(0, 2**16))
def test_weights_stand_for_repeated_rows(weights: list[int], seed: int) -> None:
    distinct = points(len(weights), 3, seed=seed)
    order = np.random.default_rng(seed).permutation(sum(weights))
    repeated = np.repeat(np.arange(len(weights)), weights)[order]
    weighted, plain = ward_tree(distinct, np.array(weights)), ward_tree(distinct[repeated])
    n_equal = len(repeated) - len(weights)
    assert (plain.heights[:n_equal] == 0).all()
    np.testing.assert_allclose(plain.heights[n_equal:], weighted.heights, rtol=1e-9)
    for n_clusters in range(1, len(weights) + 1):
        assert adjusted_rand_score(weighted.cut(n_clusters)[repeated], plain.cut(n_clusters)) == 1.0


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 120), st.integers(1, 8), st.integers(0, 2**16))
def test_heights_ascend_and_do_not_see_the_order_of_rows(n_rows: int, n_features: int, seed: int) -> None:
    vectors = points(n_rows, n_features, seed=seed)
    order = np.random.default_rng(seed).permutation(n_rows)
    tree, permuted = ward_tree(vectors), ward_tree(vectors[order])
    assert (np.diff(tree.heights) >= 0).all()
    np.testing.assert_allclose(permuted.heights, tree.heights, rtol=1e-9)
    half = (n_rows + 1) // 2
    assert adjusted_rand_score(tree.cut(half)[order], permuted.cut(half)) == 1.0


def test_blocks_and_threads_do_not_change_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = points(500, 7)
    trees = [ward_tree(vectors)]
    for tile, n_threads in (((3, 129), 1), ((50, 17), 3)):
        monkeypatch.setattr(ward_module, "_TILE", tile)
        info = [{"user_api": "blas", "num_threads": n_threads}]
        monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda info=info: info)
        trees.append(ward_tree(vectors))
    for other in trees[1:]:
        np.testing.assert_array_equal(other.children, trees[0].children)
        np.testing.assert_array_equal(other.heights, trees[0].heights)


def test_ties_give_a_whole_tree_in_bounded_rounds() -> None:
    grid = np.stack(np.meshgrid(np.arange(12), np.arange(12)), axis=-1).reshape(-1, 2)
    for vectors in (np.arange(200)[:, None], grid, np.repeat(grid, 3, axis=0), np.eye(60)):
        tree = ward_tree(vectors)
        assert (np.diff(tree.heights) >= 0).all()
        assert sorted(tree.children.ravel()) == list(range(2 * len(vectors) - 2))
        assert [len(np.unique(tree.cut(k))) for k in (1, 2, 9, len(vectors))] == [1, 2, 9, len(vectors)]
        assert tree.heights[0] == scipy_linkage(vectors.astype(np.float64), "ward")[0, 2]


def test_distances_that_float32_cannot_tell_apart() -> None:
    rng = np.random.default_rng(0)
    vectors = np.array([[0.0, 0.0], [1e4, 0.0], [0.0, 1e4]])[rng.integers(3, size=150)] + rng.normal(size=(150, 2))
    expected = scipy_linkage(vectors.astype(np.float64), "ward")
    np.testing.assert_allclose(ward_tree(vectors).heights, expected[:, 2], rtol=1e-6)


@pytest.mark.parametrize("linkage", ["average", "complete", "single"])
def test_weights_stand_for_repeated_rows_in_other_linkages(linkage: str) -> None:
    rng = np.random.default_rng(0)
    distinct, weights = rng.normal(size=(40, 3)), rng.integers(1, 6, size=40)
    tree = linkage_tree(distinct, weights, linkage)
    expected = scipy_linkage(np.repeat(distinct, weights, axis=0), linkage)[-39:, 2]
    np.testing.assert_allclose(tree.heights, expected, rtol=1e-9)
    assert sorted(tree.children.ravel()) == list(range(78))


def test_a_bar_counts_the_merges(capsys: pytest.CaptureFixture[str]) -> None:
    ward_tree(np.repeat(points(20, 2), 3, axis=0), progress=True)
    shown = capsys.readouterr().err
    assert "Ward" in shown
    assert "/59" in shown


def test_cut_tree_by_hand() -> None:
    children = np.array([[0, 1], [2, 3], [4, 5]])  # (0 1), (2 3), then both
    assert [len(set(cut_tree(children, k).tolist())) for k in (1, 2, 3, 4)] == [1, 2, 3, 4]
    labels = cut_tree(children, 2)
    assert labels[0] == labels[1] != labels[2] == labels[3]


def test_micro_clusters_of_one_cell_are_those_of_ward() -> None:
    vectors = points(300, 4)
    micro = micro_clusters(vectors, 40)
    assert adjusted_rand_score(ward_tree(vectors).cut(40), micro.labels) == 1.0
    _check_statistics(micro, vectors)
    over_micro, exact = ward_tree(micro.means, micro.sizes), ward_tree(vectors)
    np.testing.assert_allclose(over_micro.heights, exact.heights[-39:], rtol=1e-9)


def test_micro_clusters_stay_within_cells_and_use_the_lowest_merges() -> None:
    vectors = points(600, 4)
    cells = micro_module._cells(vectors, np.arange(600), 100)
    micro = micro_clusters(vectors, 90, cell_rows=100)
    assert max(map(len, cells)) <= 100
    np.testing.assert_array_equal(np.sort(np.concatenate(cells)), np.arange(600))
    _check_statistics(micro, vectors)
    assert len(micro) == 90
    merges = np.concatenate([ward_tree(vectors[rows]).heights for rows in cells if len(rows) > 1])
    limit = np.sort(merges)[600 - 90 - 1]
    for rows in cells:
        assert not set(micro.labels[rows]) & set(np.delete(micro.labels, rows))
        within = 0 if len(rows) == 1 else np.count_nonzero(ward_tree(vectors[rows]).heights > limit)
        assert len(set(micro.labels[rows])) == within + 1


def _check_statistics(micro: MicroClusters, vectors: np.ndarray) -> None:
    assert sorted(set(micro.labels)) == list(range(len(micro)))
    for label in range(len(micro)):
        members = vectors[micro.labels == label].astype(np.float64)
        assert micro.sizes[label] == len(members)
        np.testing.assert_allclose(micro.means[label], members.mean(axis=0), rtol=1e-9, atol=1e-12)


def test_micro_clusters_read_the_valid_rows_of_a_memory_map(tmp_path: Path) -> None:
    vectors = points(400, 5)
    vectors[[0, 7, 399]] = np.nan
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    valid = np.isfinite(vectors).all(axis=1)
    straight = micro_clusters(vectors[valid], 60, cell_rows=90)
    from_map = micro_clusters(mapped, 60, valid=valid, cell_rows=90)
    np.testing.assert_array_equal(straight.labels, from_map.labels)
    np.testing.assert_array_equal(straight.means, from_map.means)


@pytest.mark.parametrize("vectors", [np.zeros((50, 2)), np.repeat(np.eye(3), 40, axis=0)])
def test_equal_rows_are_split_into_cells_too(vectors: np.ndarray) -> None:
    micro = micro_clusters(vectors.astype(np.float32), 12, cell_rows=15)
    assert len(micro) >= 12
    _check_statistics(micro, vectors)


@pytest.mark.parametrize("linkage", LINKAGES)
def test_one_tree_serves_every_number_of_clusters(
    noisy_space: Descriptor, linkage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees, grow = [], agglomerative.AgglomerativeFamily._grow
    monkeypatch.setattr(agglomerative.AgglomerativeFamily, "_grow", lambda *given: trees.append(1) or grow(*given))
    partitions = sweep(noisy_space, {"agglomerative": {"n_clusters": range(2, 40), "linkage": linkage}})
    assert len(trees) == 1
    for partition in partitions:
        original = AgglomerativeClustering(partition.params["n_clusters"], linkage=linkage)
        expected = original.fit_predict(noisy_space.usable())
        assert partition.n_clusters == partition.params["n_clusters"]
        assert "approximation" not in partition.params
        assert adjusted_rand_score(expected, partition.labels[noisy_space.valid]) == 1.0


@pytest.mark.parametrize("linkage", ["ward", "average"])
def test_cuts_at_a_distance_too(toy_space: Descriptor, linkage: str) -> None:
    [partition] = sweep(toy_space, {"agglomerative": {"distance_threshold": 8.0, "linkage": linkage}})
    original = AgglomerativeClustering(None, distance_threshold=8.0, linkage=linkage).fit(toy_space.vectors)
    assert partition.n_clusters == original.n_clusters_
    assert adjusted_rand_score(original.labels_, partition.labels) == 1.0


def test_what_only_scikit_learn_has_goes_to_it(toy_space: Descriptor) -> None:
    graph = kneighbors_graph(toy_space.vectors, 70)
    for params in ({"metric": "cosine", "linkage": "average"}, {"connectivity": csr_array(graph + graph.T)}):
        [partition] = sweep(toy_space, {"agglomerative": {"n_clusters": 4} | {k: [v] for k, v in params.items()}})
        expected = AgglomerativeClustering(4, **params).fit_predict(toy_space.vectors)
        assert adjusted_rand_score(expected, partition.labels) == 1.0


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a hundred images be more than fit, and forty micro-clusters enough."""
    monkeypatch.setattr(agglomerative, "MAX_IMAGES", 100)
    monkeypatch.setattr(agglomerative, "MAX_WARD_IMAGES", 100)
    monkeypatch.setattr(agglomerative, "MICRO_CLUSTERS", dict.fromkeys(LINKAGES, 40))
    monkeypatch.setattr(micro_module, "micro_clusters", partial(micro_clusters, cell_rows=50))


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("linkage", LINKAGES)
def test_many_images_go_through_micro_clusters(toy_space: Descriptor, linkage: str) -> None:
    vectors = toy_space.vectors.copy()
    vectors[[3, 80]] = np.nan
    space = Descriptor("many", vectors)
    partitions = sweep(space, {"agglomerative": {"n_clusters": [2, 3, 39], "linkage": linkage}})
    assert [partition.n_clusters for partition in partitions] == [2, 3, 39]
    assert partitions[1].sizes.tolist() == [59, 39, 20]
    for partition in partitions:
        expected = f"{linkage.capitalize()} over 40 weighted micro-clusters of 118 images"
        assert partition.params["approximation"] == expected
        assert "approximation" not in partition.name
        assert (partition.labels[[3, 80]] == -1).all()
        means = [vectors[partition.members(label)].mean(axis=0) for label in range(partition.n_clusters)]
        np.testing.assert_allclose(partition.state["centers"], means, rtol=1e-4, atol=1e-5)
        [alone] = sweep(space, {"agglomerative": {"n_clusters": partition.n_clusters, "linkage": linkage}})
        np.testing.assert_array_equal(alone.labels, partition.labels)


@pytest.mark.usefixtures("few_are_many")
def test_what_micro_clusters_cannot_do_is_refused(toy_space: Descriptor) -> None:
    with pytest.raises(ValueError, match=r"other than 'euclidean' .* at most 100 of them\. Got 120\. Sweep a sample"):
        sweep(toy_space, {"agglomerative": {"n_clusters": 2, "metric": "cosine", "linkage": "average"}})
    with pytest.raises(ValueError, match=r"`n_clusters` must be an int in \[2, 40\)\. Got 40"):
        sweep(toy_space, {"agglomerative": {"n_clusters": 40}})


def test_three_rows_and_as_many_clusters_as_can_be() -> None:
    space = Descriptor("three", np.array([[0.0], [1.0], [5.0]]))
    [partition] = sweep(space, {"agglomerative": {"n_clusters": 2}})
    assert partition.labels.tolist() == [0, 0, 1]
    space = Descriptor("more", points(30, 2))
    [partition] = sweep(space, {"agglomerative": {"n_clusters": 29}})
    assert partition.sizes.tolist() == [2, *[1] * 28]
