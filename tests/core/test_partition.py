"""Partition: labels numbered by size, rows kept, per-cluster arrays carried along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from veriwild_clustering import Descriptor, Partition, canonical_labels

LABELS = st.lists(st.integers(-3, 6), min_size=1, max_size=60)


def space(n_images: int) -> Descriptor:
    return Descriptor("toy", np.arange(n_images, dtype=np.float32)[:, None])


@given(LABELS)
@settings(max_examples=100, deadline=None)
def test_canonical_labels_are_the_same_partition_numbered_by_size(given_labels):
    labels, order = canonical_labels(given_labels)
    merged_noise = np.maximum(given_labels, -1)
    assert adjusted_rand_score(merged_noise, labels) == 1.0
    sizes = np.bincount(labels[labels >= 0], minlength=len(order))
    assert (np.diff(sizes) <= 0).all()
    assert (order[labels[labels >= 0]] == merged_noise[labels >= 0]).all()
    assert ((labels == -1) == (merged_noise == -1)).all()


@given(LABELS)
@settings(max_examples=50, deadline=None)
def test_renumbering_twice_changes_nothing(given_labels):
    labels, _ = canonical_labels(given_labels)
    again, order = canonical_labels(labels)
    assert (again == labels).all()
    assert (order == np.arange(len(order))).all()


def test_ties_go_to_the_cluster_that_appears_first():
    labels, order = canonical_labels([5, 5, 2, 2, 9])
    assert labels.tolist() == [0, 0, 1, 1, 2]
    assert order.tolist() == [5, 2, 9]


def test_per_cluster_arrays_follow_the_renumbering():
    state = {"centers": [[10.0], [20.0]], "cluster_limits": [1.0, 2.0], "other": [7.0]}
    partition = Partition([0, 1, 1], space(3), "by hand", state=state)
    assert partition.labels.tolist() == [1, 0, 0]
    assert partition.state["centers"].ravel().tolist() == [20.0, 10.0]
    assert partition.state["cluster_limits"].tolist() == [2.0, 1.0]
    assert partition.state["other"].tolist() == [7.0]


def test_rows_without_a_usable_vector_are_noise_without_confidence():
    descriptor = Descriptor("toy", np.array([[0.0], [np.nan], [1.0]], dtype=np.float32))
    partition = Partition([0, 0, 0], descriptor, "by hand")
    assert partition.labels.tolist() == [0, -1, 0]
    assert partition.confidence.tolist() == [1.0, 0.0, 1.0]
    assert partition.noise_fraction == pytest.approx(1 / 3)


def test_a_partition_of_noise_alone_has_no_clusters():
    partition = Partition([-1, -1], space(2), "by hand")
    assert partition.n_clusters == 0
    assert partition.sizes.tolist() == []
    assert partition.noise_fraction == 1.0


def test_members_are_rows_in_order():
    assert Partition([0, 1, 0, 1, 1], space(5), "by hand").members(0).tolist() == [1, 3, 4]


@given(LABELS)
@settings(max_examples=50, deadline=None)
def test_names_follow_their_clusters(given_labels):
    names = [f"name {label}" for label in range(max(given_labels) + 1)]
    partition = Partition(given_labels, space(len(given_labels)), "by hand", cluster_names=names)
    for label, cluster in zip(given_labels, partition.labels, strict=True):
        assert partition.cluster_name(cluster) == (f"name {label}" if label >= 0 else "noise")
    again = replace(partition, params={"again": True})
    assert again.cluster_names == partition.cluster_names


def test_a_cluster_without_a_name_goes_by_its_number():
    partition = Partition([0, 1, 1, -1], space(4), "by hand", cluster_names=["red", ""])
    assert [partition.cluster_name(cluster) for cluster in (-1, 0, 1)] == ["noise", "cluster 0", "red"]
    assert Partition([0, 1], space(2), "by hand").cluster_name(1) == "cluster 1"
    assert "red" in partition._repr_html_()


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["red"], ValueError, "name every cluster, 2 of them. Got 1"),
        ("ab", TypeError, "sequence of str"),
        ([1, 2], TypeError, "sequence of str"),
    ],
)
def test_names_that_do_not_fit_are_refused(names, error, message):
    with pytest.raises(error, match=message):
        Partition([0, 1], space(2), "by hand", cluster_names=names)


@pytest.mark.parametrize("field", ["labels", "confidence"])
def test_wrong_lengths_are_refused_by_name(field):
    arguments = {"labels": [0, 0, 1], "confidence": [1.0, 1.0, 1.0]} | {field: [0, 1]}
    with pytest.raises(ValueError, match=rf"`{field}` must have one entry per image, shape \(3,\). Got shape \(2,\)"):
        Partition(arguments["labels"], space(3), "by hand", confidence=arguments["confidence"])


def test_name_tells_what_made_it_without_the_seed():
    partition = Partition([0, 1], space(2), "kmeans", params={"n_clusters": np.int64(2), "random_state": 0})
    assert partition.name == "kmeans(n_clusters=2) on toy"
    assert type(partition.params["n_clusters"]) is int
    assert "kmeans(n_clusters=2) on toy" in partition._repr_html_()
