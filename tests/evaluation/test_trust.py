"""Stability columns of the leaderboard: they equal what the definitions give, and are NaN where nothing is defined."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import adjusted_rand_score

from veriwild_clustering import Descriptor, Partition, Reruns, cross_space_scores, leaderboard, rerun, sweep
from veriwild_clustering.core.reruns import Repeat

STABILITY = ["stability", "stability_low", "stability_high", "prediction_strength"]
GRID = {
    "kmeans": {"n_clusters": [3, 5]},
    "agglomerative": {"n_clusters": [2, 6]},
    "hdbscan": {"min_cluster_size": [8, 70], "min_samples": [4]},
}


@pytest.fixture
def partitions(toy_space: Descriptor) -> list[Partition]:
    return sweep(toy_space, GRID)


def prediction_strength(own: np.ndarray, placed: np.ndarray) -> float:
    """Prediction strength by counting pairs one by one."""
    shares = []
    for cluster in range(own.max() + 1):
        rows = np.flatnonzero(own == cluster)
        pairs = [(i, j) for i in rows for j in rows if i < j]
        shares.append(np.mean([placed[i] == placed[j] >= 0 for i, j in pairs]) if pairs else 1)
    return min(shares) if len(shares) >= 2 else 0.0


def test_stability_is_the_mean_ari_with_the_halves(partitions: list[Partition]) -> None:
    halves = rerun(partitions, "half samples", n_repeats=6)
    table = leaderboard(partitions, reruns=[halves]).table
    assert partitions[-1].n_clusters == 0
    assert table[STABILITY].iloc[-1].isna().all()
    for i, partition in enumerate(partitions[:-1]):
        values = [adjusted_rand_score(partition.labels[one.rows], one.labels[i]) for one in halves.repeats]
        strengths = [
            prediction_strength(halves.repeats[a].labels[i], halves.repeats[a ^ 1].placed[i]) for a in range(6)
        ]
        mean = np.mean(values)
        low, high = stats.t.interval(0.95, 5, mean, stats.sem(values)) if np.std(values) else (mean, mean)
        expected = [mean, low, min(high, 1), np.mean(strengths)]
        np.testing.assert_allclose(table[STABILITY].iloc[i].to_numpy(dtype=float), expected)


def test_true_clusters_are_found_again_and_others_are_not(toy_space: Descriptor) -> None:
    partitions = sweep(toy_space, {"kmeans": {"n_clusters": [3, 9]}})
    vehicles = np.arange(120) // 2
    reruns = [rerun(partitions, "half samples"), rerun(partitions, "vehicles", groups=vehicles)]
    true, fine = leaderboard(partitions, reruns=reruns).table.iloc
    columns = [*STABILITY, "vehicle_stability"]
    np.testing.assert_allclose(true[columns].to_numpy(dtype=float), 1)
    assert (fine[["stability_high", "prediction_strength", "vehicle_stability"]] < 0.9).all()


def test_seed_stability_compares_with_other_seeds(toy_space: Descriptor) -> None:
    noise = Descriptor("noise", np.random.default_rng(0).normal(size=(90, 2)))
    grid = {"kmeans": {"n_clusters": 6, "n_init": 1}, "agglomerative": {"n_clusters": 6}}
    partitions = sweep(noise, grid)
    seeds = rerun(partitions, "seeds", n_repeats=5)
    found = leaderboard(partitions, reruns=[seeds]).table["seed_stability"]
    values = [adjusted_rand_score(partitions[0].labels, one.labels[0]) for one in seeds.repeats]
    assert list(found) == pytest.approx([np.mean(values), 1])
    assert found[0] < 1


def test_noise_is_separated_in_prediction_strength(toy_space: Descriptor) -> None:
    space = toy_space.take(np.arange(8))
    partition = Partition([0, 0, 0, 0, 1, 1, 1, 1], space, "kmeans")
    one = Repeat(np.arange(0, 8, 2), np.array([[0, 0, 1, 1]]), seed=0, placed=np.array([[0, 0, 1, -1]]))
    other = Repeat(np.arange(1, 8, 2), np.array([[0, 0, 1, 1]]), seed=0, placed=np.array([[0, 0, 0, 0]]))
    halves = Reruns("half samples", [partition], [one, other])
    # All four in one cluster of the other half; and of the last two, one is noise there: shares 1 and 0.
    assert leaderboard([partition], reruns=[halves]).table["prediction_strength"][0] == 0.5


def test_rows_without_a_vector_do_not_count(toy_space: Descriptor) -> None:
    vectors = toy_space.vectors.copy()
    vectors[:60] = np.nan
    holed, whole = Descriptor("holed", vectors), toy_space
    partitions = sweep([holed, whole], {"kmeans": {"n_clusters": 5}})
    halves = rerun(partitions, "half samples", n_repeats=4)
    values = [
        adjusted_rand_score(*(one[repeat.rows >= 60] for one in (partitions[0].labels[repeat.rows], repeat.labels[0])))
        for repeat in halves.repeats
    ]
    assert leaderboard(partitions, reruns=[halves]).table["stability"][0] == pytest.approx(np.mean(values))


def test_partitions_that_did_not_run_again_have_no_values(partitions: list[Partition]) -> None:
    hand = Partition(np.arange(120) % 3, partitions[0].descriptor, "by hand")
    reruns = [rerun(partitions[:2], on, n_repeats=6) for on in ("half samples", "seeds", "gaussian")]
    table = leaderboard([hand, *reversed(partitions)], reruns=reruns).table
    ran = leaderboard(partitions[:2], reruns=reruns).table
    added = [*STABILITY, "seed_stability", "null_z", "explained_share", "structure"]
    pd.testing.assert_frame_equal(table[added].iloc[[-1, -2]].reset_index(drop=True), ran[added])
    assert table[added[:-1]].iloc[:-2].isna().all(axis=None)
    assert (table["structure"].iloc[:-2] == "").all()
    # One of the same name with other labels is another partition.
    changed = Partition(np.roll(partitions[0].labels, 1), hand.descriptor, "kmeans", params=partitions[0].params)
    assert np.isnan(leaderboard([changed], reruns=reruns).table["stability"][0])


def test_reruns_of_one_kind_may_be_of_different_partitions(partitions: list[Partition]) -> None:
    for on in ("half samples", "gaussian"):
        parts = [rerun(some, on, n_repeats=4) for some in (partitions[:1], partitions[1:])]
        together = rerun(partitions, on, n_repeats=4)
        pd.testing.assert_frame_equal(
            leaderboard(partitions, reruns=parts).table, leaderboard(partitions, reruns=[together]).table
        )


def test_reruns_that_do_not_fit_are_refused(partitions: list[Partition], toy_space: Descriptor) -> None:
    seeds = rerun(partitions, "seeds", n_repeats=2)
    with pytest.raises(ValueError, match=rf"on 'seeds' must be of different partitions\. Got {len(partitions)} of"):
        leaderboard(partitions, reruns=[seeds, seeds])
    fewer = sweep(toy_space.take(np.arange(100)), {"kmeans": {"n_clusters": 3}})
    with pytest.raises(ValueError, match=r"`reruns` must be of the same images as the partitions, 100\. Got 120"):
        leaderboard(fewer, reruns=[seeds])


def test_every_column_is_explained_in_a_line(partitions: list[Partition], toy_space: Descriptor) -> None:
    known, vehicles = np.arange(120) // 40, np.arange(120) // 2
    kinds = ("half samples", "seeds", "gaussian", "permuted columns")
    reruns = [rerun(partitions, on, n_repeats=2) for on in kinds]
    reruns.append(rerun(partitions, "vehicles", groups=vehicles, n_repeats=2))
    other = Descriptor("a <b>", toy_space.vectors[:, ::-1][:, :2])
    board = leaderboard(partitions, truth=known, groups=vehicles, reruns=reruns, spaces=[other])
    explained = board.explain().set_index("column")["meaning"]
    assert list(explained.index) == list(board.table)
    assert explained.str.len().between(15, 200).all()
    assert "a &lt;b&gt;" in board._repr_html_()
    assert f'title="{explained["prediction_strength"]}"' in board._repr_html_()
    elsewhere = cross_space_scores(partitions, [other])["a <b>"].to_numpy()
    np.testing.assert_allclose(board.table["silhouette_in_a <b>"], elsewhere)


def test_a_part_of_the_board_keeps_the_columns(partitions: list[Partition]) -> None:
    board = leaderboard(partitions, reruns=[rerun(partitions, "half samples", n_repeats=2)])
    pd.testing.assert_frame_equal(board.of("toy").table[STABILITY], board.table[STABILITY])
