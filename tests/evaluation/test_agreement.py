"""Agreement, scores across spaces and consistency of pairs, against scikit-learn and brute force."""

from __future__ import annotations

from itertools import combinations

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
    internal_scores,
    leaderboard,
    pair_consistency,
)

SKLEARN = {
    "ari": metrics.adjusted_rand_score,
    "ami": metrics.adjusted_mutual_info_score,
    "nmi": metrics.normalized_mutual_info_score,
    "v_measure": metrics.v_measure_score,
}


@pytest.fixture
def partitions() -> list[Partition]:
    rng = np.random.default_rng(0)
    spaces = [Descriptor(name, rng.normal(size=(90, 3))) for name in ("osnet", "color_model")]
    coarse = rng.integers(0, 3, 90)
    finer = np.where(rng.random(90) < 0.8, coarse * 2 + rng.integers(0, 2, 90), -1)
    labels = [coarse, finer, rng.integers(-1, 4, 90), np.zeros(90, int), np.full(90, -1), np.arange(90)]
    return [Partition(one, spaces[i % 2], "by hand", params={"number": i}) for i, one in enumerate(labels)]


@pytest.mark.parametrize("metric", SKLEARN)
def test_agreement_equals_scikit_learn_and_is_symmetric(partitions: list[Partition], metric: str) -> None:
    table = agreement(partitions, metric=metric)
    expected = [[SKLEARN[metric](a.labels, b.labels) for b in partitions] for a in partitions]
    np.testing.assert_allclose(table, expected, atol=1e-12)
    np.testing.assert_array_equal(table, table.T)
    assert list(table.index) == list(table.columns) == [partition.name for partition in partitions]


def test_agreement_on_a_leaderboard_is_the_same_index(partitions: list[Partition]) -> None:
    np.testing.assert_allclose(leaderboard(partitions).agreement, agreement(partitions), atol=1e-12)


@given(st.lists(st.lists(st.integers(-1, 3), min_size=9, max_size=9), min_size=2, max_size=4))
@settings(max_examples=30, deadline=None)
def test_agreement_on_a_leaderboard_for_any_labels(labels: list[list[int]]) -> None:
    space = Descriptor("line", np.arange(9.0)[:, None])
    some = [Partition(one, space, "by hand") for one in labels]
    np.testing.assert_allclose(leaderboard(some).agreement, agreement(some), atol=1e-12)


@pytest.mark.parametrize(
    ("labels", "message"),
    [([], "at least one Partition"), ([[0, 1], [0, 1, 1]], r"same images. Got \[2, 3\] images")],
)
def test_agreement_needs_partitions_of_the_same_images(labels: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        agreement([Partition(one, Descriptor("blank", np.zeros((len(one), 1))), "by hand") for one in labels])


def test_unknown_metric_is_refused(partitions: list[Partition]) -> None:
    with pytest.raises(ValueError, match=r"`metric` must be one of 'ari', 'ami', 'nmi', 'v_measure'\. Got 'rand'"):
        agreement(partitions, metric="rand")
    with pytest.raises(ValueError, match="`metric` must be one of 'calinski_harabasz'"):
        cross_space_scores(partitions, [partitions[0].descriptor], metric="ari")


@pytest.mark.parametrize("metric", ["calinski_harabasz", "davies_bouldin", "silhouette"])
def test_cross_space_scores_are_the_internal_scores_in_each_space(partitions: list[Partition], metric: str) -> None:
    spaces = [partition.descriptor for partition in partitions[:2]]
    table = cross_space_scores(partitions, spaces, metric=metric)
    assert list(table.columns) == ["noise_fraction", "osnet", "color_model"]
    assert list(table["noise_fraction"]) == [partition.noise_fraction for partition in partitions]
    for row, partition in enumerate(partitions):
        for space in spaces:
            expected = internal_scores(partition, descriptor=space)[metric]
            assert table[space.name].iloc[row] == pytest.approx(expected, nan_ok=True)


def pairs_by_listing(labels: list[int], groups: list[int | None]) -> tuple[float, float]:
    known = [(label, group) for label, group in zip(labels, groups, strict=True) if group is not None]
    everybody = list(combinations(known, 2))
    kin = [(a, b) for a, b in everybody if a[1] == b[1]]

    def together(pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> float:
        return sum(a[0] == b[0] >= 0 for a, b in pairs) / len(pairs) if pairs else np.nan

    return together(kin), together(everybody) if kin else np.nan


@given(st.lists(st.tuples(st.integers(-1, 2), st.none() | st.integers(0, 3)), min_size=1, max_size=14))
@settings(max_examples=80, deadline=None)
def test_pair_consistency_equals_listing_the_pairs(rows: list[tuple[int, int | None]]) -> None:
    labels, groups = [row[0] for row in rows], [row[1] for row in rows]
    scores = pair_consistency(Partition(labels, Descriptor("blank", np.zeros((len(rows), 1))), "by hand"), groups)
    share, chance = pairs_by_listing(labels, groups)
    assert scores["share"] == pytest.approx(share, nan_ok=True)
    assert scores["chance"] == pytest.approx(chance, nan_ok=True)
    expected = (share - chance) / (1 - chance) if chance != 1 else np.nan
    assert scores["corrected"] == pytest.approx(expected, nan_ok=True)


def test_pair_consistency_of_labels_by_chance_is_about_zero() -> None:
    rng = np.random.default_rng(0)
    partition = Partition(rng.integers(0, 4, 4000), Descriptor("blank", np.zeros((4000, 1))), "random")
    assert pair_consistency(partition, np.arange(4000) // 4)["corrected"] == pytest.approx(0, abs=0.03)


def test_pair_consistency_without_pairs_or_in_one_cluster() -> None:
    blank = Descriptor("blank", np.zeros((3, 1)))
    alone = pair_consistency(Partition([0, 0, 1], blank, "by hand"), ["a", "b", None])
    assert alone.pop("n_pairs") == 0
    assert all(np.isnan(value) for value in alone.values())
    whole = pair_consistency(Partition([0, 0, 0], blank, "by hand"), ["a", "a", "b"])
    assert whole["share"] == whole["chance"] == 1
    assert np.isnan(whole["corrected"])
    noise = pair_consistency(Partition([-1, -1, -1], blank, "by hand"), ["a", "a", "b"])
    assert noise["share"] == noise["corrected"] == 0


def test_groups_of_another_length_are_refused(partitions: list[Partition]) -> None:
    with pytest.raises(ValueError, match=r"`groups` must have one entry per image, shape \(90,\)"):
        pair_consistency(partitions[0], ["00001"])
