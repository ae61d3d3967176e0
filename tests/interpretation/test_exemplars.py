"""Exemplars are the images nearest the centre, borderline ones the most doubtful, random ones seeded."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from veriwild_clustering import Descriptor, Partition, exemplars


@pytest.fixture
def partition() -> Partition:
    """Three overlapping clusters of 60, 40 and 25 points and 5 of noise."""
    rng = np.random.default_rng(0)
    centers = rng.normal(scale=2, size=(3, 5))
    labels = np.repeat([0, 1, 2, -1], [60, 40, 25, 5])
    points = centers[labels] + rng.normal(size=(130, 5))
    return Partition(labels, Descriptor("toy", points.astype(np.float32)), "kmeans")


def test_first_exemplar_is_the_medoid(partition):
    for cluster, rows in exemplars(partition).items():
        members = partition.members(cluster)
        points = partition.descriptor.vectors[members].astype(float)
        assert rows[0] == members[cdist(points, points, "sqeuclidean").sum(axis=0).argmin()]


def test_exemplars_and_borderline_agree_with_brute_force(partition):
    points = partition.descriptor.vectors.astype(float)
    centers = np.array([points[partition.labels == c].mean(axis=0) for c in range(3)])
    typical, doubtful = exemplars(partition, n=6), exemplars(partition, n=6, kind="borderline")
    for cluster in range(3):
        members = partition.members(cluster)
        own = np.linalg.norm(points[members] - centers[cluster], axis=1)
        rest = [np.linalg.norm(points[members] - centers[c], axis=1) for c in range(3) if c != cluster]
        margin = np.minimum(*rest) - own
        np.testing.assert_array_equal(typical[cluster], members[np.argsort(own)[:6]])
        np.testing.assert_array_equal(doubtful[cluster], members[np.argsort(margin)[:6]])


@pytest.mark.parametrize("kind", ["exemplar", "borderline", "random"])
def test_rows_belong_to_their_cluster_once_and_small_clusters_give_all(partition, kind):
    shown = exemplars(partition, n=30, kind=kind)
    assert list(shown) == [0, 1, 2]
    for cluster, rows in shown.items():
        assert set(rows) <= set(partition.members(cluster))
        assert len(set(rows)) == len(rows) == min(30, partition.sizes[cluster])


@pytest.mark.parametrize("kind", ["exemplar", "borderline"])
def test_exemplars_follow_their_rows(partition, kind):
    order = np.random.default_rng(1).permutation(len(partition))
    moved = Partition(partition.labels[order], partition.descriptor.take(order), "kmeans")
    expected = exemplars(partition, kind=kind)
    for cluster, rows in exemplars(moved, kind=kind).items():
        np.testing.assert_array_equal(order[rows], expected[cluster])


def test_random_ones_follow_the_seed(partition):
    once, again, other = (exemplars(partition, kind="random", random_state=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


@pytest.mark.parametrize("kind", ["exemplar", "borderline", "random"])
def test_each_vehicle_comes_once_before_any_comes_twice(partition, kind):
    vehicles = np.arange(len(partition)) // 6
    for cluster, rows in exemplars(partition, n=60, kind=kind, groups=vehicles).items():
        n_vehicles = len(set(vehicles[partition.members(cluster)]))
        assert len(set(vehicles[rows[:n_vehicles]])) == n_vehicles
        assert len(rows) == partition.sizes[cluster]


def test_missing_groups_are_each_their_own(partition):
    unknown = np.full(len(partition), None, dtype=object)
    plain, grouped = exemplars(partition), exemplars(partition, groups=unknown)
    for cluster, rows in plain.items():
        np.testing.assert_array_equal(grouped[cluster], rows)


def test_noise_on_request_alone(partition):
    assert -1 not in exemplars(partition)
    shown = exemplars(partition, noise=True)
    assert set(shown[-1]) == set(partition.members(-1))
    assert list(shown) == [0, 1, 2, -1]


def test_all_noise_shows_no_cluster():
    partition = Partition(np.full(4, -1), Descriptor("toy", np.eye(4, dtype=np.float32)), "hdbscan")
    assert exemplars(partition) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "`n` must be an int"),
        ({"kind": "best"}, "`kind` must be one of 'exemplar', 'borderline', 'random'. Got 'best'"),
        ({"groups": [1, 2]}, "`groups` must have one entry per image"),
    ],
)
def test_bad_arguments_are_named(partition, change, message):
    with pytest.raises(ValueError, match=message):
        exemplars(partition, **change)


def test_one_cluster_has_no_border():
    partition = Partition(np.zeros(4, dtype=int), Descriptor("toy", np.eye(4, dtype=np.float32)), "kmeans")
    with pytest.raises(ValueError, match="there is no border"):
        exemplars(partition, kind="borderline")
