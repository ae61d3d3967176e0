"""Scores of partitions by a criterion: equal to references, beside chance, with the spread over repetitions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association
from sklearn import metrics

from veriwild_clustering import (
    Descriptor,
    Partition,
    attribute_association,
    class_scores,
    confusion_table,
    criterion_scores,
    hungarian_accuracy,
)


def partition_of(labels: object, **more: object) -> Partition:
    return Partition(labels, Descriptor("blank", np.zeros((len(labels), 1))), "by hand", **more)


@pytest.fixture
def noisy() -> tuple[np.ndarray, np.ndarray]:
    """Five classes, and seven clusters that follow them loosely, with noise."""
    rng = np.random.default_rng(0)
    truth = rng.integers(5, size=400)
    labels = np.where(rng.random(400) < 0.7, truth, rng.integers(-1, 7, size=400))
    return labels, np.array(["a", "b", "c", "d", "e"], dtype=object)[truth]


def test_scores_are_those_of_scikit_learn(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    labels, truth = noisy
    scores = criterion_scores(partition_of(labels), truth)
    assert scores["accuracy"] == pytest.approx(hungarian_accuracy(labels, truth))
    assert scores["ari"] == pytest.approx(metrics.adjusted_rand_score(truth, labels))
    assert scores["nmi"] == pytest.approx(metrics.normalized_mutual_info_score(truth, labels))
    assert scores["coverage"] == pytest.approx(np.mean(labels >= 0))
    assert (scores["n_clusters"], scores["n_classes"], scores["n_scored"]) == (7, 5, 400)
    assert scores["accuracy_where_grouped"] >= scores["accuracy"] > scores["accuracy_by_chance"] + 0.3
    assert np.isnan(scores["accuracy_spread"])


def test_chance_is_what_random_labels_reach() -> None:
    rng = np.random.default_rng(0)
    labels, truth = rng.integers(4, size=2000), rng.integers(4, size=2000)
    scores = criterion_scores(partition_of(labels), truth)
    assert scores["accuracy"] == pytest.approx(scores["accuracy_by_chance"], abs=0.03)


def test_spread_is_over_the_repetitions() -> None:
    truth = np.array(["a", "a", "b", "b"])
    repetitions = np.array([[0, 0, 1, 1], [0, 0, 0, 1], [-1, -1, 0, 0]])
    scores = criterion_scores(partition_of([0, 0, 1, 1], state={"repetitions": repetitions}), truth)
    assert (scores["accuracy_low"], scores["accuracy_high"], scores["accuracy_spread"]) == (0.5, 1.0, 0.5)


def test_classes_that_are_not_known_are_left_out() -> None:
    partition = partition_of([0, 0, 1, 1, 1])
    truth = ["a", "a", "b", None, ""]
    assert criterion_scores(partition, truth)["n_scored"] == 3
    assert confusion_table(partition, truth).to_numpy().sum() == 3
    nothing = criterion_scores(partition, [None] * 5)
    assert np.isnan(nothing["accuracy"])
    assert nothing["n_scored"] == 0
    assert class_scores(partition, [None] * 5).empty


def test_table_holds_all_images_and_as_many_as_can_be_on_the_diagonal(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    labels, truth = noisy
    partition = partition_of(labels)
    table = confusion_table(partition, truth)
    assert table.columns[-1] == -1
    counts = pd.crosstab(truth, partition.labels)
    pd.testing.assert_frame_equal(
        table.loc[counts.index, counts.columns], counts, check_names=False, check_index_type=False, check_dtype=False
    )
    assert np.trace(table.to_numpy()[:, :5]) / 400 == pytest.approx(hungarian_accuracy(labels, truth))


def test_class_scores_are_precision_and_recall_of_the_match(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    labels, truth = noisy
    partition = partition_of(labels)
    for row in class_scores(partition, truth).to_dict("records"):
        is_class, is_cluster = truth == row["class"], partition.labels == row["cluster"]
        assert row["precision"] == pytest.approx(metrics.precision_score(is_class, is_cluster))
        assert row["recall"] == pytest.approx(metrics.recall_score(is_class, is_cluster))
        assert row["f1"] == pytest.approx(metrics.f1_score(is_class, is_cluster))
        assert row["share"] == pytest.approx(is_class.mean())


def test_more_classes_than_clusters_leaves_some_without() -> None:
    table = class_scores(partition_of([0, 0, 0, 0, 1, 1]), ["a", "a", "b", "c", "d", "d"]).set_index("class")
    assert table["cluster"].to_dict() == {"a": 0, "b": -1, "c": -1, "d": 1}
    assert table["recall"].to_dict() == {"a": 1.0, "b": 0.0, "c": 0.0, "d": 1.0}


def test_association_is_cramers_v(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    labels, truth = noisy
    found = attribute_association(partition_of(labels), truth)
    counts = pd.crosstab(labels, truth).to_numpy()
    n, (rows, columns) = counts.sum(), counts.shape
    phi = association(counts, method="cramer") ** 2 * (min(rows, columns) - 1)
    corrected = max(0, phi - (rows - 1) * (columns - 1) / (n - 1))
    limits = [size - (size - 1) ** 2 / (n - 1) for size in (rows, columns)]
    assert found["cramers_v"] == pytest.approx(np.sqrt(corrected / (min(limits) - 1)))
    assert found["cramers_v"] > 5 * found["cramers_v_by_chance"]
    assert found["largest_gap"] > found["largest_gap_by_chance"]


def test_ignoring_an_attribute_shows_in_the_association() -> None:
    rng = np.random.default_rng(0)
    day = rng.random(1000) < 0.6
    color = rng.integers(3, size=1000)
    before = attribute_association(partition_of(np.where(day, color, 3)), np.where(day, "day", "night"))
    after = attribute_association(partition_of(color), np.where(day, "day", "night"))
    assert before["cramers_v"] > 0.9
    assert after["cramers_v"] < 0.1


def test_attribute_with_one_value_or_none_associates_with_nothing() -> None:
    assert attribute_association(partition_of([0, 0, 1]), ["x", "x", "x"])["cramers_v"] == 0
    assert np.isnan(attribute_association(partition_of([0, 0, 1]), [None] * 3)["cramers_v"])
