"""Noise that joins clusters: nearest images decide, confidence stays low, nothing else moves."""

from __future__ import annotations

import numpy as np
import pytest
from kneed import KneeLocator
from sklearn.neighbors import KNeighborsClassifier

from veriwild_clustering import Descriptor, Partition
from veriwild_clustering.clustering.families.dbscan import eps_knee
from veriwild_clustering.clustering.noise import assign_noise


@pytest.fixture
def partition(toy_space) -> Partition:
    labels = np.repeat([0, 1, 2], (60, 40, 20))
    labels[::7] = -1
    return Partition(labels, toy_space, "by hand", confidence=np.full(120, 0.8), params={"n": 3})


def test_noise_joins_the_cluster_of_its_nearest_images(partition, toy_space) -> None:
    assigned = assign_noise(partition, n_neighbors=5)
    was_noise = partition.labels == -1
    expected = KNeighborsClassifier(5, weights="distance").fit(
        toy_space.vectors[~was_noise], partition.labels[~was_noise]
    )
    assert assigned.noise_fraction == 0
    assert (assigned.labels[was_noise] == expected.predict(toy_space.vectors[was_noise])).all()
    assert (assigned.labels[~was_noise] == partition.labels[~was_noise]).all()
    assert (assigned.confidence[~was_noise] == np.float32(0.8)).all()
    assert (assigned.confidence[was_noise] <= 0.5).all()
    assert assigned.params["n"] == 3
    assert assigned.params["noise"].startswith("15.0% joined")


def test_nothing_changes_where_nothing_is_left_over_or_there_is_no_cluster(toy_space) -> None:
    for labels in (np.zeros(120, int), np.full(120, -1)):
        partition = Partition(labels, toy_space, "by hand")
        assert assign_noise(partition) is partition


def test_an_unusable_image_stays_noise(toy_space) -> None:
    vectors = toy_space.vectors.copy()
    vectors[5] = np.nan
    labels = np.repeat([0, 1, 2], (60, 40, 20))
    labels[3] = -1
    assigned = assign_noise(Partition(labels, Descriptor("holes", vectors), "by hand"))
    assert assigned.labels[5] == -1
    assert assigned.labels[3] == assigned.labels[0]


def test_other_images_are_refused(partition) -> None:
    with pytest.raises(ValueError, match="must have 120 images"):
        assign_noise(partition, descriptor=Descriptor("other", np.eye(3)))


@pytest.mark.parametrize("sensitivity", [0.5, 1.0, 5.0])
def test_sensitivity_is_that_of_kneedle(sensitivity) -> None:
    rng = np.random.default_rng(0)
    curve = np.sort(np.r_[rng.normal(1, 0.05, 300), rng.uniform(1.2, 6, 60)])
    knee = KneeLocator(range(360), curve, S=sensitivity, curve="convex", direction="increasing").knee
    assert eps_knee(curve, sensitivity=sensitivity) == curve[int(knee)]
    with pytest.raises(ValueError, match="`sensitivity`"):
        eps_knee(curve, sensitivity=-1)
