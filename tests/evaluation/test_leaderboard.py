"""Leaderboard: its columns equal the single scores, the edges of grids are marked, and it reads well in a notebook."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import (
    Descriptor,
    Leaderboard,
    Partition,
    agreement,
    external_scores,
    internal_scores,
    leaderboard,
    pair_consistency,
)

INTERNAL = ["calinski_harabasz", "davies_bouldin", "silhouette"]


def cut(space: Descriptor, algorithm: str, n_clusters: int, **params: object) -> Partition:
    """Cut the first coordinate of a space into clusters; the last of five or more holds noise instead."""
    places = np.argsort(np.argsort(space.vectors[:, 0])) * n_clusters // len(space)
    labels = np.where(places >= 4, -1, places) if algorithm == "noisy" else places
    return Partition(labels, space, algorithm, params={"n_clusters": n_clusters, **params}, seconds=0.5)


@pytest.fixture
def partitions() -> list[Partition]:
    rng = np.random.default_rng(0)
    spaces = [Descriptor(name, rng.normal(size=(60, 3))) for name in ("osnet", "type_model")]
    return [cut(space, name, k) for space in spaces for name in ("even", "noisy") for k in (2, 3, 5, 6)]


def test_columns_equal_the_single_scores(partitions: list[Partition]) -> None:
    rng = np.random.default_rng(1)
    truth, vehicles = rng.choice(["car", "bus"], 60), rng.integers(0, 20, 60)
    board = leaderboard(partitions, truth=truth, groups=vehicles)
    for row, partition in enumerate(partitions):
        pairs = pair_consistency(partition, vehicles)
        expected = internal_scores(partition) | external_scores(partition, truth)
        expected |= {"pair_share": pairs["share"], "pair_consistency": pairs["corrected"], "seconds": 0.5}
        expected |= {"smallest_cluster": partition.sizes[-1], "largest_cluster": partition.sizes[0]}
        assert board.table.iloc[row][list(expected)].to_dict() == pytest.approx(expected, nan_ok=True)
    assert list(board.table["params"][:2]) == ["n_clusters=2", "n_clusters=3"]
    assert list(board.partitions) == partitions


def test_noise_stands_beside_the_internal_metrics(partitions: list[Partition]) -> None:
    columns = list(leaderboard(partitions).table)
    place = columns.index("noise_fraction")
    assert columns[place : place + 4] == ["noise_fraction", *INTERNAL]


def test_scores_against_truth_and_groups_are_there_only_where_these_are_given(partitions: list[Partition]) -> None:
    columns = set(leaderboard(partitions).table)
    assert not columns & {"ari", "accuracy", "pair_consistency"}


def test_mean_agreements_are_means_of_the_agreement_matrix(partitions: list[Partition]) -> None:
    board = leaderboard(partitions)
    mean = (board.agreement.sum(axis=1) - 1) / (len(partitions) - 1)
    np.testing.assert_allclose(board.table["mean_agreement"], mean)
    # even 5 clusters has one peer of the other algorithm in its space with 4/3 of its clusters or fewer: noisy 4.
    first, peers = board.table.iloc[2], [6, 7]
    assert list(board.table["n_clusters"][peers]) == [4, 4]
    assert first["algorithm_agreement"] == pytest.approx(board.agreement[2, peers].mean())


def test_agreement_of_many_images_is_measured_on_a_sample_of_them() -> None:
    rng = np.random.default_rng(0)
    space = Descriptor("wide", rng.normal(size=(6000, 2)))
    labels = rng.integers(0, 5, 6000)
    pair = [Partition(one, space, "random") for one in (labels, np.where(rng.random(6000) < 0.7, labels, 0))]
    first, again, other = (leaderboard(pair, random_state=seed).agreement[0, 1] for seed in (0, 0, 1))
    assert first == again != other
    assert [first, other] == pytest.approx([agreement(pair).iloc[0, 1]] * 2, abs=0.04)


def test_agreement_does_not_hang_on_silent_partitions(partitions: list[Partition]) -> None:
    blank = Partition(np.full(60, -1), partitions[0].descriptor, "nothing found")
    with_blank = leaderboard([*partitions, blank]).table
    np.testing.assert_allclose(with_blank["mean_agreement"][:-1], leaderboard(partitions).table["mean_agreement"])
    assert with_blank.iloc[-1][["n_clusters", "smallest_cluster", "largest_cluster"]].to_list() == [0, 0, 0]


def test_one_partition_has_nobody_to_agree_with(toy_space: Descriptor) -> None:
    table = leaderboard([cut(toy_space, "even", 3)]).table
    assert table[["mean_agreement", "algorithm_agreement"]].isna().all(axis=None)
    assert not table["at_grid_edge"].any()


def test_grid_edges_are_per_descriptor_algorithm_and_parameter(toy_space: Descriptor) -> None:
    other = Descriptor("other", toy_space.vectors)
    swept = [cut(toy_space, "even", k, random_state=seed) for k in (2, 3, 4) for seed in (0, 1, 2)]
    text = [cut(toy_space, "tree", 3, linkage=linkage) for linkage in ("ward", "average")]
    two = [cut(other, "even", k, eps=eps) for k in (2, 3, 4) for eps in (0.1, 0.2, 0.3)]
    table = leaderboard([*swept, *text, *two]).table
    assert list(table["at_grid_edge"][:9]) == [True] * 3 + [False] * 3 + [True] * 3
    assert not table["at_grid_edge"][9:11].any()
    assert list(table["at_grid_edge"][11:]) == [True] * 4 + [False] + [True] * 4


def test_of_one_descriptor(partitions: list[Partition]) -> None:
    part = leaderboard(partitions).of("type_model")
    alone = leaderboard(partitions[8:])
    pd.testing.assert_frame_equal(part.table, alone.table)
    np.testing.assert_allclose(part.agreement, alone.agreement)
    assert list(part.partitions) == partitions[8:]
    with pytest.raises(ValueError, match=r"Unknown descriptor 'oznet'. Known: 'osnet', 'type_model'"):
        leaderboard(partitions).of("oznet")


def test_threads_give_the_same_table(partitions: list[Partition]) -> None:
    pd.testing.assert_frame_equal(leaderboard(partitions, n_jobs=2).table, leaderboard(partitions).table)


def test_html_marks_the_best_of_each_descriptor_and_says_what_compares(partitions: list[Partition]) -> None:
    board = leaderboard(partitions)
    html = board._repr_html_()
    assert "compare within one descriptor only" in html
    marked = {tuple(map(int, cell)) for cell in re.findall(r"#T_\w+_row(\d+)_col(\d+)", html.split("</style>")[0])}
    columns = list(board.table)
    best = {
        (row, columns.index(name))
        for name, pick in zip(INTERNAL, ("max", "min", "max"), strict=True)
        for row in np.flatnonzero(board.table[name] == board.table.groupby("descriptor")[name].transform(pick))
    }
    assert marked == best
    assert f"{board.table['davies_bouldin'][0]:.4g}" in html


def test_names_in_html_stay_text(toy_space: Descriptor) -> None:
    named = Descriptor("<script>", toy_space.vectors)
    assert "<script>" not in leaderboard([cut(named, "<script>", 2)])._repr_html_()


def test_html_of_a_long_board_keeps_the_notable_rows(toy_space: Descriptor) -> None:
    board = leaderboard([cut(toy_space, "even", k) for k in range(2, 60)])
    html = board._repr_html_()
    assert "of 58 rows" in html
    assert 5 <= html.count("<tr>") - 1 <= 8
    assert f"n_clusters={board.table['n_clusters'][board.table['silhouette'].idxmax()]}<" in html


@pytest.mark.parametrize(("value", "shown"), [(94664.2, "94,660"), (1.61934, "1.619"), (0.00004, "4e-05"), (-3, "-3")])
def test_numbers_have_four_significant_digits(toy_space: Descriptor, value: float, shown: str) -> None:
    board = leaderboard([cut(toy_space, "even", 2)])
    table = board.table.assign(calinski_harabasz=float(value))
    assert f">{shown}<" in Leaderboard(table, board.partitions, board.agreement)._repr_html_()


def test_no_partitions_are_refused() -> None:
    with pytest.raises(ValueError, match="`partitions` must hold at least one Partition"):
        leaderboard([])


def test_truth_of_another_length_is_refused(partitions: list[Partition]) -> None:
    with pytest.raises(ValueError, match=r"`truth` must have one entry per image, shape \(60,\)"):
        leaderboard(partitions, truth=["car"])
