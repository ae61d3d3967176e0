"""Scores of many partitions together: equal to one by one, in any blocks, and to scikit-learn on hard numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from veriwild_clustering import (
    Descriptor,
    Partition,
    agreement,
    cross_space_scores,
    external_scores,
    internal_scores,
    leaderboard,
)
from veriwild_clustering.core.vectors import blocks

INTERNAL = ["calinski_harabasz", "davies_bouldin", "silhouette"]


@pytest.fixture
def partitions() -> list[Partition]:
    """Partitions of 400 images in two spaces, one with unusable rows: noise of all degrees, singletons, one cluster."""
    rng = np.random.default_rng(0)
    holed = rng.normal(size=(400, 5)).astype(np.float32)
    holed[::37] = np.nan
    spaces = [Descriptor("holed", holed), Descriptor("whole", 50 + rng.normal(size=(400, 3)))]
    labels = [rng.integers(0, k, 400) for k in range(2, 45)]
    labels += [np.where(rng.random(400) < noise, -1, labels[5]) for noise in (0.1, 0.5, 0.95)]
    labels += [np.arange(400), np.zeros(400, int), np.full(400, -1)]
    return [Partition(one, space, "by hand", params={"i": i}) for i, one in enumerate(labels) for space in spaces]


def test_together_equals_one_by_one(partitions: list[Partition]) -> None:
    table = leaderboard(partitions, silhouette_sample=90).table
    for row, partition in enumerate(partitions):
        alone = internal_scores(partition, silhouette_sample=90)
        assert table.loc[row, INTERNAL].to_dict() == pytest.approx(
            {name: alone[name] for name in INTERNAL}, rel=1e-11, nan_ok=True
        )


def test_blocks_change_nothing(partitions: list[Partition], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = leaderboard(partitions).table[INTERNAL]
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 50_000)
    np.testing.assert_allclose(leaderboard(partitions).table[INTERNAL], whole, rtol=1e-11)


def test_memory_map_is_scored_as_the_array(partitions: list[Partition], tmp_path: Path) -> None:
    space = partitions[0].descriptor
    np.save(tmp_path / "space.npy", space.vectors)
    mapped = Descriptor("holed", np.load(tmp_path / "space.npy", mmap_mode="r"))
    expected = internal_scores(partitions[0])
    assert internal_scores(Partition(partitions[0].labels, mapped, "by hand")) == pytest.approx(expected, rel=1e-12)


def test_tight_clusters_far_from_the_origin_keep_their_digits() -> None:
    rng = np.random.default_rng(0)
    vectors = (np.repeat([[1000.0], [1010.0], [1030.0]], 50, axis=0) + 1e-2 * rng.normal(size=(150, 4))).astype(
        np.float32
    )
    labels = np.repeat([0, 1, 2], 50)
    scores = internal_scores(Partition(labels, Descriptor("far", vectors), "known"))
    exact = vectors.astype(np.float64)
    assert scores["calinski_harabasz"] == pytest.approx(metrics.calinski_harabasz_score(exact, labels), rel=1e-9)
    # scikit-learn's own distances lose digits far from the origin.
    centered = exact - exact.mean(axis=0)
    assert scores["davies_bouldin"] == pytest.approx(metrics.davies_bouldin_score(centered, labels), rel=1e-6)


def test_silhouette_of_noisy_partitions_draws_further_in_the_same_order(partitions: list[Partition]) -> None:
    noisy = partitions[2 * 44 + 1]
    assert noisy.noise_fraction == pytest.approx(0.5, abs=0.1)
    order = np.argsort(np.random.default_rng(3).permutation(400))
    drawn = order[noisy.clustered[order]][:90]
    expected = metrics.silhouette_score(noisy.descriptor.vectors[drawn].astype(np.float64), noisy.labels[drawn])
    found = internal_scores(noisy, silhouette_sample=90, random_state=3)["silhouette"]
    assert found == pytest.approx(expected, rel=1e-9)


def test_no_partition_with_two_clusters() -> None:
    space = Descriptor("line", np.arange(6.0)[:, None])
    table = leaderboard([Partition(one, space, "by hand") for one in ([0] * 6, [-1] * 6, range(6))]).table
    assert table[INTERNAL].isna().all(axis=None)


def test_foreign_spaces_score_the_rows_usable_in_both(partitions: list[Partition]) -> None:
    holed, whole = partitions[0].descriptor, partitions[1].descriptor
    table = cross_space_scores(partitions[1::2], [holed, whole], metric="calinski_harabasz")
    for name, partition in zip(table.index, partitions[1::2], strict=True):
        kept = holed.valid & partition.clustered
        if 2 <= len(np.unique(partition.labels[kept])) < kept.sum():
            expected = metrics.calinski_harabasz_score(holed.vectors[kept].astype(float), partition.labels[kept])
            assert table.loc[name, "holed"] == pytest.approx(expected, rel=1e-9)
        else:
            assert np.isnan(table.loc[name, "holed"])


def test_approximation_has_a_column_of_its_own(toy_space: Descriptor) -> None:
    labels = np.repeat([0, 1, 2], (60, 40, 20))
    sketch = {"n_clusters": 3, "approximation": "Ward over 30 micro-clusters of 120 images", "random_state": 0}
    pair = [Partition(labels, toy_space, "a", params=params) for params in (sketch, {"n_clusters": 3})]
    table = leaderboard(pair).table
    assert list(table["approximation"]) == ["Ward over 30 micro-clusters of 120 images", ""]
    assert list(table["params"]) == ["n_clusters=3", "n_clusters=3"]


@given(st.lists(st.tuples(st.integers(-1, 5), st.integers(0, 4)), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_external_scores_are_those_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    labels, truth = np.array(rows).T
    scores = external_scores(Partition(labels, Descriptor("blank", np.zeros((len(rows), 1))), "by hand"), truth)
    expected = {
        "ari": metrics.adjusted_rand_score(truth, labels),
        "ami": metrics.adjusted_mutual_info_score(truth, labels),
        "nmi": metrics.normalized_mutual_info_score(truth, labels),
        "v_measure": metrics.v_measure_score(truth, labels),
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n_classes", [2, 7, 900])
def test_adjusted_mutual_information_of_many_images(n_classes: int) -> None:
    rng = np.random.default_rng(n_classes)
    labels, truth = rng.geometric(0.3, 20_000) - 1, rng.integers(0, n_classes, 20_000)
    labels = np.where(rng.random(20_000) < 0.1, truth % 5, labels)
    space = Descriptor("blank", np.zeros((20_000, 1)))
    found = agreement([Partition(one, space, str(one)) for one in (labels, truth)], metric="ami").iloc[0, 1]
    assert found == pytest.approx(metrics.adjusted_mutual_info_score(truth, labels), abs=1e-8)
