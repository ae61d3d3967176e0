"""Each family beside the original library on the same input, and what must hold whatever the data."""

from __future__ import annotations

import hdbscan
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans, MiniBatchKMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from veriwild_clustering import Descriptor, Partition, eps_knee, neighbor_distances, sweep

ORIGINALS = {
    "kmeans": ({"n_clusters": 6, "n_init": 3}, KMeans(6, n_init=3, random_state=3)),
    "minibatch_kmeans": ({"n_clusters": 6, "batch_size": 32}, MiniBatchKMeans(6, batch_size=32, random_state=3)),
    "gaussian_mixture": (
        {"n_clusters": 5, "covariance_type": "diag"},
        GaussianMixture(5, covariance_type="diag", random_state=3),
    ),
    "agglomerative": ({"n_clusters": 7}, AgglomerativeClustering(7)),
    "hdbscan": ({"min_cluster_size": 8, "min_samples": 3}, hdbscan.HDBSCAN(8, min_samples=3, algorithm="prims_kdtree")),
    "dbscan": ({"eps": 4.0, "min_samples": 4}, DBSCAN(eps=4.0, min_samples=4)),
}


def _sweep_one(space: Descriptor, algorithm: str, params: dict) -> Partition:
    [partition] = sweep(space, {algorithm: params}, random_state=3)
    return partition


@pytest.mark.parametrize("algorithm", ORIGINALS)
def test_labels_are_those_of_the_original(noisy_space: Descriptor, algorithm: str):
    params, original = ORIGINALS[algorithm]
    partition = _sweep_one(noisy_space, algorithm, params)
    vectors = noisy_space.usable()
    vectors = vectors.astype(np.float64) if algorithm == "gaussian_mixture" else vectors
    expected = original.fit_predict(vectors)
    assert adjusted_rand_score(expected, partition.labels[noisy_space.valid]) == 1.0
    np.testing.assert_array_equal(partition.labels[noisy_space.valid] == -1, expected == -1)


@pytest.mark.parametrize("algorithm", ORIGINALS)
def test_what_every_partition_promises(noisy_space: Descriptor, algorithm: str):
    params, _ = ORIGINALS[algorithm]
    partition = _sweep_one(noisy_space, algorithm, params)
    assert partition.descriptor is noisy_space
    assert len(partition) == len(noisy_space)
    assert (partition.labels[~noisy_space.valid] == -1).all()
    assert ((partition.confidence >= 0) & (partition.confidence <= 1)).all()
    assert (partition.confidence[partition.labels == -1] == 0).all()
    assert partition.seconds > 0
    assert {**partition.params, **params} == partition.params
    assert (partition.params.get("random_state") == 3) == ("random_state" in partition.params)


@settings(max_examples=8, deadline=None)
@given(st.permutations(range(60)))
def test_deterministic_families_do_not_see_the_order_of_rows(order: list[int]):
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(30, 3)), 8 + rng.normal(size=(20, 3)), rng.uniform(-30, 30, (10, 3))])
    space = Descriptor("blobs", points)
    grid = {
        "agglomerative": {"n_clusters": [2, 5], "linkage": ["ward", "average"]},
        "dbscan": {"eps": [2.0, "knee"], "min_samples": 4},
        "hdbscan": {"min_cluster_size": [5, 10]},
    }
    for straight, permuted in zip(sweep(space, grid), sweep(space.take(order), grid), strict=True):
        assert straight.params == permuted.params
        assert adjusted_rand_score(straight.labels[order], permuted.labels) == 1.0


def test_no_cluster_of_hdbscan_is_smaller_than_asked(noisy_space: Descriptor):
    for partition in sweep(noisy_space, {"hdbscan": {"min_cluster_size": range(2, 30), "min_samples": 2}}):
        assert partition.sizes.min() >= partition.params["min_cluster_size"]


def test_hdbscan_confidence_is_its_membership_probability(noisy_space: Descriptor):
    partition = _sweep_one(noisy_space, "hdbscan", {"min_cluster_size": 8})
    original = hdbscan.HDBSCAN(8).fit(noisy_space.usable())
    np.testing.assert_allclose(partition.confidence[noisy_space.valid], original.probabilities_, rtol=1e-6)


def test_mixture_confidence_is_the_posterior(noisy_space: Descriptor):
    partition = _sweep_one(noisy_space, "gaussian_mixture", {"n_clusters": 4, "covariance_type": "tied"})
    vectors = noisy_space.usable().astype(np.float64)
    original = GaussianMixture(4, covariance_type="tied", random_state=3).fit(vectors)
    expected = original.predict_proba(vectors).max(axis=1)
    np.testing.assert_allclose(partition.confidence[noisy_space.valid], expected, rtol=1e-6)


@pytest.mark.parametrize("algorithm", ["kmeans", "agglomerative", "dbscan"])
def test_centroid_confidence_by_brute_force(noisy_space: Descriptor, algorithm: str):
    params, _ = ORIGINALS[algorithm]
    partition = _sweep_one(noisy_space, algorithm, params)
    vectors = noisy_space.vectors.astype(np.float64)
    centers = np.array([vectors[partition.members(c)].mean(axis=0) for c in range(partition.n_clusters)])
    for row in np.flatnonzero(partition.clustered):
        distances, own = cdist(vectors[[row]], centers)[0], partition.labels[row]
        expected = max(0, 1 - distances[own] / np.delete(distances, own).min())
        assert partition.confidence[row] == pytest.approx(expected, abs=1e-4)


def test_confidence_is_one_in_the_only_cluster(toy_space: Descriptor):
    partition = _sweep_one(toy_space, "dbscan", {"eps": 1000.0})
    assert partition.n_clusters == 1
    assert (partition.confidence == 1).all()


def test_all_noise_is_a_partition_too(toy_space: Descriptor):
    for partition in sweep(toy_space, {"dbscan": {"eps": 1e-6}, "hdbscan": {"min_cluster_size": 119}}):
        assert partition.n_clusters == 0
        assert partition.noise_fraction == 1


@pytest.mark.filterwarnings("ignore:Number of distinct clusters:sklearn.exceptions.ConvergenceWarning")
def test_fewer_distinct_rows_than_clusters():
    twice = Descriptor("twice", np.repeat(np.eye(2, dtype=np.float32), 5, axis=0))
    partition = _sweep_one(twice, "kmeans", {"n_clusters": 4})
    assert partition.sizes.tolist() == [5, 5]
    assert len(partition.state["centers"]) == 2


def test_constant_columns(toy_space: Descriptor):
    flat = Descriptor("flat", np.hstack([toy_space.vectors, np.ones((120, 2), dtype=np.float32)]))
    grid = {algorithm: {"n_clusters": 3} for algorithm in ("kmeans", "gaussian_mixture", "agglomerative")}
    for partition in sweep(flat, grid):
        assert partition.sizes.tolist() == [60, 40, 20]


def test_neighbor_distances_by_brute_force(noisy_space: Descriptor):
    vectors = noisy_space.usable().astype(np.float64)
    expected = np.sort(np.sort(cdist(vectors, vectors), axis=1)[:, 4])
    np.testing.assert_allclose(neighbor_distances(noisy_space, n_neighbors=4), expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"`n_neighbors` must be an int in \[1, n_images\)\. Got 133 instead"):
        neighbor_distances(noisy_space, n_neighbors=133)


def test_knee_lies_where_the_curve_turns():
    curve = np.concatenate([np.linspace(1, 2, 900), np.linspace(2, 50, 100)])
    assert eps_knee(curve) == pytest.approx(2, abs=0.2)
    assert eps_knee(10 * curve) == pytest.approx(10 * eps_knee(curve))


@pytest.mark.parametrize("curve", [np.ones(20), np.zeros(20), [1.0, 2.0], [3.0, 2.0, 1.0], [1.0, np.nan, 2.0]])
def test_curves_without_a_knee_are_refused(curve: np.ndarray):
    with pytest.raises(ValueError, match=r"no knee|three or more finite numbers in ascending order"):
        eps_knee(curve)


def test_knee_becomes_the_eps_that_was_used(toy_space: Descriptor):
    partition = _sweep_one(toy_space, "dbscan", {"eps": "knee", "min_samples": 5})
    assert partition.params["eps"] == pytest.approx(eps_knee(neighbor_distances(toy_space, n_neighbors=4)), rel=1e-5)
    expected = DBSCAN(eps=partition.params["eps"], min_samples=5).fit_predict(toy_space.vectors)
    assert adjusted_rand_score(expected, partition.labels) == 1.0
    assert partition.n_clusters == 3
