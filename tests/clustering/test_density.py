"""HDBSCAN and DBSCAN over the shared graph and tree against hdbscan and scikit-learn."""

from __future__ import annotations

from typing import Any

import hdbscan
import numpy as np
import pytest
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score

from veriwild_clustering import Descriptor, Partition, canonical_labels, eps_knee, neighbor_distances, sweep
from veriwild_clustering.clustering.families import dbscan as dbscan_family
from veriwild_clustering.clustering.families import hdbscan as hdbscan_family
from veriwild_clustering.clustering.families.dbscan import DbscanFamily
from veriwild_clustering.clustering.families.hdbscan import HdbscanFamily
from veriwild_clustering.core.vectors import neighbors


@pytest.fixture
def groups() -> Descriptor:
    """1,500 rows of 12 groups of unequal size and width in 10 dimensions, with noise, duplicates and a gap."""
    rng = np.random.default_rng(0)
    group = np.minimum(rng.geometric(0.2, size=1500) - 1, 11)
    vectors = 4 * rng.normal(size=(12, 10))[group] + rng.normal(size=(1500, 10)) * (0.5 + group[:, None] / 12)
    vectors[:100] = rng.uniform(-12, 12, size=(100, 10))
    vectors[200:230] = vectors[200]
    vectors[7] = np.nan
    return Descriptor("groups", vectors)


HDBSCAN_SETTINGS: list[dict[str, Any]] = [
    {"min_cluster_size": 5, "min_samples": 4},
    {"min_cluster_size": 20, "min_samples": 10},
    {"min_cluster_size": 40},
    {"min_cluster_size": 15, "min_samples": 1},
    {"min_cluster_size": 15, "min_samples": 5, "cluster_selection_method": "leaf"},
    {"min_cluster_size": 15, "min_samples": 5, "cluster_selection_epsilon": 2.5},
    {"min_cluster_size": 15, "min_samples": 5, "allow_single_cluster": True},
    {"min_cluster_size": 15, "min_samples": 5, "max_cluster_size": 200},
    {"min_cluster_size": 20, "min_samples": 5, "metric": "manhattan"},
    {"min_cluster_size": 20, "min_samples": 5, "alpha": 1.3, "algorithm": "prims_kdtree"},
]


@pytest.mark.parametrize("params", HDBSCAN_SETTINGS, ids=str)
def test_hdbscan_is_that_of_the_original(groups: Descriptor, params: dict[str, Any]):
    [partition] = sweep(groups, {"hdbscan": params})
    original = hdbscan.HDBSCAN(**{"algorithm": "prims_kdtree", **params}).fit(groups.usable().astype(np.float64))
    usable = partition.labels[groups.valid]
    assert partition.n_clusters == original.labels_.max() + 1 > 1
    assert adjusted_rand_score(original.labels_, usable) >= 0.999
    same = usable == canonical_labels(original.labels_)[0]
    assert same.mean() >= 0.998
    np.testing.assert_allclose(partition.confidence[groups.valid][same], original.probabilities_[same], rtol=1e-5)
    assert partition.labels[7] == -1


def test_hdbscan_shares_one_tree_among_settings(groups: Descriptor, monkeypatch: pytest.MonkeyPatch):
    grown = []
    original = hdbscan_family.spanning_tree
    monkeypatch.setattr(
        hdbscan_family, "spanning_tree", lambda *args, **given: grown.append(given) or original(*args, **given)
    )
    grid = {"min_cluster_size": [5, 10, 20], "min_samples": [3], "cluster_selection_method": ["eom", "leaf"]}
    together = sweep(groups, {"hdbscan": grid})
    assert [given["min_samples"] for given in grown] == [3]
    for partition in together:
        [alone] = sweep(groups, {"hdbscan": partition.params})
        np.testing.assert_array_equal(alone.labels, partition.labels)
        np.testing.assert_array_equal(alone.confidence, partition.confidence)


def test_hdbscan_on_few_rows():
    points = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2], [9.0]])
    for n_rows in (3, 6, 7):
        for partition in sweep(
            Descriptor("few", points[:n_rows]), {"hdbscan": {"min_cluster_size": [2], "min_samples": [1, 2]}}
        ):
            original = hdbscan.HDBSCAN(2, min_samples=partition.params["min_samples"]).fit(points[:n_rows])
            assert adjusted_rand_score(original.labels_, partition.labels) == 1.0


@pytest.mark.parametrize("min_samples", [1, 2, 5, 60])
@pytest.mark.parametrize("eps", [0.5, 2.0, 3.0, 4.0, 60.0])
def test_dbscan_is_that_of_the_original_border_rows_included(groups: Descriptor, eps: float, min_samples: int):
    [partition] = sweep(groups, {"dbscan": {"eps": eps, "min_samples": min_samples}})
    original = DBSCAN(eps=eps, min_samples=min_samples).fit(groups.usable().astype(np.float64))
    np.testing.assert_array_equal(partition.labels[groups.valid], canonical_labels(original.labels_)[0])
    np.testing.assert_array_equal(partition.state["core_rows"], original.core_sample_indices_)


def test_dbscan_of_ties_and_duplicates():
    points = np.random.default_rng(0).integers(0, 9, size=(200, 2)).astype(np.float32)
    for partition in sweep(Descriptor("grid", points), {"dbscan": {"eps": [1.0, 1.5], "min_samples": [1, 3, 8]}}):
        eps, min_samples = partition.params["eps"], partition.params["min_samples"]
        expected = DBSCAN(eps=eps, min_samples=min_samples).fit_predict(points)
        np.testing.assert_array_equal(partition.labels, canonical_labels(expected)[0])


def test_dbscan_of_another_metric_goes_to_scikit_learn(groups: Descriptor):
    [partition] = sweep(groups, {"dbscan": {"eps": 6.0, "min_samples": 5, "metric": "manhattan"}})
    expected = DBSCAN(eps=6.0, min_samples=5, metric="manhattan").fit_predict(groups.usable())
    assert adjusted_rand_score(expected, partition.labels[groups.valid]) == 1.0
    assert partition.n_clusters > 1


def test_knee_of_one_tree(groups: Descriptor):
    by_number, by_knee = sweep(groups, {"dbscan": {"eps": [2.0, "knee"], "min_samples": [6]}})
    knee = eps_knee(neighbor_distances(groups, n_neighbors=5))
    assert by_number.params["eps"] == 2.0
    assert by_knee.params["eps"] == pytest.approx(knee, rel=1e-5)


@pytest.fixture
def approximate(groups: Descriptor, monkeypatch: pytest.MonkeyPatch) -> list[Partition]:
    """HDBSCAN and DBSCAN through the inverted file, as on many rows."""
    monkeypatch.setattr(neighbors, "EXACT_ROWS", 100)
    return sweep(groups, {"hdbscan": {"min_cluster_size": [20], "min_samples": [5]}, "dbscan": {"eps": [3.0]}})


def test_approximate_partitions_say_so_and_agree_with_the_exact(groups: Descriptor, approximate: list[Partition]):
    vectors = groups.usable().astype(np.float64)
    originals = [hdbscan.HDBSCAN(20, min_samples=5, approx_min_span_tree=False), DBSCAN(eps=3.0)]
    for partition, original in zip(approximate, originals, strict=True):
        assert "lists" in partition.params["approximation"]
        assert "approximation" not in partition.name
        assert adjusted_rand_score(original.fit_predict(vectors), partition.labels[groups.valid]) >= 0.95


def test_what_would_not_fit_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(
        ValueError, match=r"`min_samples`, by default `min_cluster_size`, must be at most 268 on so many"
    ):
        HdbscanFamily().check({"min_cluster_size": 500}, 1_000_000)
    HdbscanFamily().check({"min_cluster_size": 500, "min_samples": 10}, 1_000_000)
    with pytest.raises(ValueError, match=r"`min_samples` must be at most 268 on so many images"):
        DbscanFamily().check({"min_samples": 500}, 1_000_000)
    monkeypatch.setattr(dbscan_family, "MAX_IMAGES_OF_OTHER_METRICS", 10)
    with pytest.raises(ValueError, match="with another metric than 'euclidean' takes at most 10 images"):
        DbscanFamily().check({"metric": "cosine"}, 11)
