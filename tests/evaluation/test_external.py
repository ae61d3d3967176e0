"""External scores: equal to scikit-learn's and to brute force; missing classes left out; noise as documented."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from veriwild_clustering import Descriptor, Partition, external_scores, hungarian_accuracy

SKLEARN = {
    "ari": metrics.adjusted_rand_score,
    "ami": metrics.adjusted_mutual_info_score,
    "nmi": metrics.normalized_mutual_info_score,
    "v_measure": metrics.v_measure_score,
}
BOUNDS = {"accuracy": (0, 1), "ari": (-0.5, 1), "ami": (-1, 1), "nmi": (0, 1), "v_measure": (0, 1)}


def partition_of(labels: object) -> Partition:
    return Partition(labels, Descriptor("blank", np.zeros((len(labels), 1))), "by hand")


def accuracy_by_permutations(labels: np.ndarray, truth: np.ndarray) -> float:
    clusters = [label for label in np.unique(labels) if label >= 0]
    classes = [*np.unique(truth), *[None] * len(clusters)]
    hits = [
        sum(
            np.count_nonzero((labels == cluster) & (truth == match))
            for cluster, match in zip(clusters, order, strict=True)
        )
        for order in permutations(classes, len(clusters))
    ]
    return max(hits) / len(labels)


@st.composite
def labellings(draw: st.DrawFn, *, lowest: int = -1) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, 20))
    labels = draw(st.lists(st.integers(lowest, 3), min_size=n, max_size=n))
    truth = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    return np.array(labels), np.array(truth)


@given(labellings())
@settings(max_examples=60, deadline=None)
def test_accuracy_equals_brute_force_over_permutations(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert hungarian_accuracy(*pair) == pytest.approx(accuracy_by_permutations(*pair))


@pytest.mark.parametrize(("n_clusters", "n_classes"), [(2, 5), (5, 2), (4, 4), (1, 3)])
def test_accuracy_with_unequal_numbers_of_clusters_and_classes(n_clusters: int, n_classes: int) -> None:
    rng = np.random.default_rng(n_clusters)
    labels, truth = rng.integers(0, n_clusters, 80), rng.integers(0, n_classes, 80)
    assert hungarian_accuracy(labels, truth) == pytest.approx(accuracy_by_permutations(labels, truth))


@pytest.mark.parametrize("name", SKLEARN)
def test_equals_scikit_learn_on_the_labels_as_they_are(name: str) -> None:
    rng = np.random.default_rng(0)
    labels, truth = rng.integers(-1, 5, 200), rng.integers(0, 4, 200)
    truth[:120] = labels[:120] % 4
    assert external_scores(partition_of(labels), truth)[name] == pytest.approx(SKLEARN[name](truth, labels))


@pytest.mark.parametrize("name", BOUNDS)
@given(labellings(), st.permutations(range(4)))
@settings(max_examples=40, deadline=None)
def test_scores_stay_in_bounds_and_ignore_names(
    name: str, pair: tuple[np.ndarray, np.ndarray], order: list[int]
) -> None:
    labels, truth = pair
    score = external_scores(partition_of(labels), truth)[name]
    low, high = BOUNDS[name]
    assert low - 1e-9 <= score <= high + 1e-9
    renamed = np.where(labels >= 0, np.array(order)[labels], -1)
    words = np.array(["bus", "car", "van", "truck"])[truth]
    assert external_scores(partition_of(renamed), words)[name] == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize("name", BOUNDS)
@given(labellings(lowest=0))
@settings(max_examples=20, deadline=None)
def test_a_partition_agrees_fully_with_itself(name: str, pair: tuple[np.ndarray, np.ndarray]) -> None:
    labels = pair[0]
    assert external_scores(partition_of(labels), labels)[name] == pytest.approx(1)


@pytest.mark.parametrize(
    "missing",
    [
        ["car", "car", "bus", None, float("nan"), ""],
        pd.Series(["car", "car", "bus", None, None, ""], index=range(6, 12)),
        pd.Series(["car", "car", "bus", None, None, None], dtype="category"),
        [1.5, 1.5, 2.5, np.nan, np.nan, np.nan],
        np.array(["car", "car", "bus", "", "", ""]),
    ],
    ids=["list", "Series with another index", "Categorical", "floats", "text array"],
)
def test_images_without_a_class_are_left_out(missing: object) -> None:
    scores = external_scores(partition_of([0, 0, 1, 1, 1, 2]), missing)
    assert scores["n_scored"] == 3
    assert scores["accuracy"] == scores["ari"] == scores["ami"] == 1


def test_no_class_at_all_is_nan() -> None:
    scores = external_scores(partition_of([0, 1]), [None, ""])
    assert scores.pop("n_scored") == 0
    assert all(np.isnan(score) for score in scores.values())
    assert np.isnan(hungarian_accuracy([0, 1], [None, None]))


def test_noise_is_wrong_for_accuracy_and_one_more_cluster_for_ari() -> None:
    truth = ["car"] * 3 + ["bus"] * 3
    scores = external_scores(partition_of([0, 0, 0, -1, -1, -1]), truth)
    assert scores["accuracy"] == 0.5
    assert scores["ari"] == 1


def test_all_noise() -> None:
    scores = external_scores(partition_of([-1, -1, -1]), ["car", "car", "bus"])
    assert scores["accuracy"] == 0
    assert scores["ari"] == 0


def test_constant_truth() -> None:
    split, whole = (external_scores(partition_of(labels), ["car"] * 4) for labels in ([0, 0, 1, 1], [0] * 4))
    assert split["ari"] == 0
    assert split["accuracy"] == 0.5
    assert whole["ari"] == whole["accuracy"] == 1


def test_one_image() -> None:
    assert external_scores(partition_of([0]), ["car"])["accuracy"] == 1


@pytest.mark.parametrize("truth", [["car"], [["car", "bus"]], []])
def test_truth_of_another_length_is_refused(truth: list[object]) -> None:
    with pytest.raises(ValueError, match=r"`truth` must have one entry per image, shape \(2,\)"):
        external_scores(partition_of([0, 1]), truth)
    with pytest.raises(ValueError, match=r"`truth` must have one entry per image, shape \(2,\)"):
        hungarian_accuracy([0, 1], truth)
