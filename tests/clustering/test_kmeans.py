"""K-means along a chain of numbers of clusters: beside scikit-learn's, and what the chain promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from veriwild_clustering import Descriptor, Partition, sweep
from veriwild_clustering.clustering.solvers.lloyd import lloyd
from veriwild_clustering.clustering.solvers.nested_kmeans import NestedKMeans
from veriwild_clustering.clustering.solvers.rows import Rows


def _groups(n_rows: int, n_groups: int, *, spread: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centers = spread * rng.normal(size=(n_groups, 6))
    return (centers[rng.integers(n_groups, size=n_rows)] + rng.normal(size=(n_rows, 6))).astype(np.float32)


def _inertia(partition: Partition) -> float:
    vectors = partition.descriptor.vectors[partition.clustered].astype(np.float64)
    return float((cdist(vectors, partition.state["centers"]).min(axis=1) ** 2).sum())


@pytest.mark.parametrize("spread", [0.5, 3.0])
def test_inertia_is_about_the_best_of_many_seeds(spread: float):
    space = Descriptor("groups", 50 + _groups(800, 9, spread=spread, seed=1))
    for partition in sweep(space, {"kmeans": {"n_clusters": [2, 5, 9, 14]}}):
        best = KMeans(partition.params["n_clusters"], n_init=10, random_state=0).fit(space.vectors).inertia_
        assert _inertia(partition) <= 1.005 * best


def test_inertia_falls_along_the_numbers_of_clusters(noisy_space: Descriptor):
    inertias = [_inertia(one) for one in sweep(noisy_space, {"kmeans": {"n_clusters": range(2, 20)}})]
    assert (np.diff(inertias) < 0).all()


def test_a_partition_does_not_depend_on_the_rest_of_the_grid(noisy_space: Descriptor):
    together = sweep(noisy_space, {"kmeans": {"n_clusters": [11, 3, 70]}})
    for partition in together:
        alone = Descriptor("alone", noisy_space.vectors)
        [other] = sweep(alone, {"kmeans": {"n_clusters": partition.params["n_clusters"]}})
        np.testing.assert_array_equal(partition.labels, other.labels)
        assert partition.n_clusters == partition.params["n_clusters"]


def test_it_is_a_fixed_point_of_the_original(noisy_space: Descriptor):
    [partition] = sweep(noisy_space, {"kmeans": {"n_clusters": 6, "tol": 0.0}})
    original = KMeans(6, init=partition.state["centers"], n_init=1, tol=0.0).fit(noisy_space.usable())
    np.testing.assert_array_equal(partition.labels[noisy_space.valid], original.labels_)
    np.testing.assert_allclose(partition.state["centers"], original.cluster_centers_, rtol=1e-4, atol=1e-4)


def test_samples_start_what_all_rows_finish(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("veriwild_clustering.clustering.solvers.nested_kmeans.SAMPLE_ROWS", 200)
    vectors = _groups(3000, 7, spread=4.0, seed=2)
    fit = NestedKMeans(Rows(vectors), random_state=0).fit(7)
    assert fit is not None
    assert fit.inertia == pytest.approx(KMeans(7, n_init=10, random_state=0).fit(vectors).inertia_, rel=1e-3)


def test_rows_that_are_not_kept_give_the_same(monkeypatch: pytest.MonkeyPatch):
    vectors = _groups(500, 5, spread=3.0, seed=3)
    kept = NestedKMeans(Rows(vectors), random_state=0).fit(5)
    monkeypatch.setattr("veriwild_clustering.clustering.solvers.rows.MAX_BYTES", 0)
    read = NestedKMeans(Rows(vectors), random_state=0).fit(5)
    np.testing.assert_array_equal(kept.found.labels, read.found.labels)


def test_an_empty_cluster_takes_a_far_row():
    vectors = np.array([[0.0], [1.0], [10.0], [11.0], [30.0]], dtype=np.float32)
    rows = Rows(vectors)
    fit = lloyd(rows, np.array([[0.0], [1e6], [5.0]]) - rows.mean)
    assert fit.found.counts.min() > 0
    assert fit.inertia == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("n_rows", "n_clusters"), [(2, 2), (3, 3), (40, 40)])
def test_nearly_as_many_clusters_as_rows(n_rows: int, n_clusters: int):
    vectors = np.random.default_rng(0).normal(size=(n_rows + 1, 1)).astype(np.float32)
    [partition] = sweep(Descriptor("few", vectors), {"kmeans": {"n_clusters": n_clusters}})
    assert partition.n_clusters == n_clusters
