"""Choice: limits, standings, no silent grid edge, and a pick that is right where the right one is known."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Choice, Descriptor, Leaderboard, Partition, choose, leaderboard, rank_partitions, sweep


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    """Two spaces of the same six groups in two super-groups, one blurred; k-means and Ward for k = 2…12."""
    rng = np.random.default_rng(0)
    centers = np.repeat(6 * np.eye(2, 12), 3, axis=0) + 6 * np.eye(6, 12, k=4)
    truth = np.repeat(np.arange(6), (80, 70, 60, 50, 40, 30))
    spaces = [
        Descriptor(name, centers[truth] + rng.normal(scale=s, size=(330, 12))) for name, s in (("sharp", 1), ("dim", 3))
    ]
    grid = {name: {"n_clusters": range(2, 13)} for name in ("kmeans", "agglomerative")}
    return leaderboard(sweep(spaces, grid), truth=truth, groups=np.arange(330) // 5)


def edited(board: Leaderboard, **columns: object) -> Leaderboard:
    return Leaderboard(board.table.assign(**columns), board.partitions, board.agreement)


def test_default_finds_the_groups_where_calinski_harabasz_alone_does_not(board: Leaderboard) -> None:
    choice = choose(board)
    assert choice.partition.n_clusters == 6
    assert choice.row["ari"] > 0.99
    assert choose(board, criteria={"calinski_harabasz": "max"}, min_clusters=2).partition.n_clusters == 2


def test_truth_has_no_voice(board: Leaderboard) -> None:
    blind = Leaderboard(board.table.drop(columns=["ari", "ami", "accuracy"]), board.partitions, board.agreement)
    assert choose(blind).partition is choose(board).partition


def test_ranking_holds_every_partition_once_best_first(board: Leaderboard) -> None:
    ranking = rank_partitions(board)
    assert sorted(ranking.index) == list(range(len(board)))
    scores = ranking["score"].to_numpy()
    n_within = int(np.isfinite(scores).sum())
    assert (np.diff(scores[:n_within]) <= 0).all()
    assert np.isnan(scores[n_within:]).all()
    assert (ranking["excluded"] == "").to_numpy()[:n_within].all()
    standings = ranking.filter(like="_standing").iloc[:n_within]
    assert list(standings) == [
        "mean_agreement_standing",
        "algorithm_agreement_standing",
        "pair_consistency_standing",
        "silhouette_standing",
    ]
    np.testing.assert_allclose(standings.mean(axis=1), scores[:n_within])
    assert standings.min(axis=None) > 0
    assert standings.max(axis=None) < 1


@pytest.mark.parametrize(
    ("limit", "column", "beyond"),
    [
        ({"max_noise": 0.2}, "noise_fraction", "more than 20% noise"),
        ({"min_clusters": 5}, "n_clusters", "fewer than 5 clusters"),
        ({"max_clusters": 7}, "n_clusters", "more than 7 clusters"),
        ({"min_size": 20}, "smallest_cluster", "a cluster of fewer than 20 images"),
        ({"max_share": 0.25}, "largest_cluster", "a cluster of more than 25% of the images"),
    ],
)
def test_limits(board: Leaderboard, limit: dict[str, float], column: str, beyond: str) -> None:
    noisy = edited(board, noise_fraction=np.linspace(0, 0.5, len(board)))
    excluded = rank_partitions(noisy, **limit)["excluded"].sort_index()
    values = noisy.table[column] / (330 if column == "largest_cluster" else 1)
    bound = next(iter(limit.values()))
    expected = values < bound if "min" in next(iter(limit)) else values > bound
    assert 0 < expected.sum() < len(board)
    pd.testing.assert_series_equal(excluded.str.contains(beyond, regex=False), expected, check_names=False)


def test_internal_metrics_stand_within_their_descriptor(board: Leaderboard) -> None:
    # A space in which all silhouettes are tenfold gives no standing over another space.
    ranking = rank_partitions(board, criteria={"silhouette": "max"})
    larger = board.table["silhouette"].where(board.table["descriptor"] == "dim", board.table["silhouette"] * 10)
    pd.testing.assert_frame_equal(
        rank_partitions(edited(board, silhouette=larger), criteria={"silhouette": "max"}), ranking
    )


def test_an_internal_metric_is_credited_for_the_clustered_share(board: Leaderboard) -> None:
    for name, direction in (("silhouette", "max"), ("calinski_harabasz", "max"), ("davies_bouldin", "min")):
        best = rank_partitions(board, criteria={name: direction}).index[0]
        noise = pd.Series(0.0, index=board.table.index)
        noise[best] = 0.9
        noisy = edited(board, noise_fraction=noise)
        assert rank_partitions(noisy, criteria={name: direction}, max_noise=1).index[0] != best


def test_half_of_equals_are_counted(board: Leaderboard) -> None:
    ranking = rank_partitions(edited(board, constant=1.0), criteria={"constant": "max"})
    assert ranking["score"].dropna().unique() == [0.5]


def test_direction_turns_the_ranking_round(board: Leaderboard) -> None:
    up, down = (
        rank_partitions(board, criteria={"seconds": side}).set_index("params", append=True) for side in ("max", "min")
    )
    np.testing.assert_allclose(up["score"], 1 - down["score"].reindex(up.index))


def test_a_partition_without_a_value_stands_at_zero(board: Leaderboard) -> None:
    scores = board.table["silhouette"].copy()
    scores[10] = np.nan
    ranking = rank_partitions(edited(board, silhouette=scores), criteria={"silhouette": "max"})
    assert ranking.loc[10, "score"] == 0


def test_new_columns_are_criteria_too(board: Leaderboard) -> None:
    stability = np.zeros(len(board))
    stability[14] = 1
    assert rank_partitions(edited(board, stability=stability), criteria={"stability": "max"}).index[0] == 14


def test_a_grid_edge_is_said(board: Leaderboard) -> None:
    inside = choose(board)
    assert "n_clusters = 6 lies inside the grid 2…12." in inside.reasons
    outside = choose(board, criteria={"n_clusters": "max"})
    assert outside.row["at_grid_edge"]
    assert "n_clusters = 12 is at the edge of the grid 2…12: a wider grid may hold a better one." in outside.reasons
    assert rank_partitions(board)["at_grid_edge"].sum() == 8


def test_reasons_are_sentences_with_the_figures(board: Leaderboard) -> None:
    choice = choose(board)
    first, criteria, _, sizes, _, vehicles, metrics, second, rules = choice.reasons
    assert first.startswith(f"{choice.partition.name} ranks first of ")
    assert f"{choice.row['pair_consistency']:.2f} corrected for chance" in vehicles
    assert rules.startswith("The rules combined, ")
    assert "fewer than 3 clusters: 4" in first
    assert f"silhouette {choice.row['silhouette']:.4g}" in criteria
    assert (
        f"hold {choice.partition.sizes[-1]} to {choice.partition.sizes[0]} images; 0.0% of the images are noise."
        in sizes
    )
    assert f"Davies–Bouldin {choice.row['davies_bouldin']:.4g}, place " in metrics
    assert "within sharp" in criteria or "within dim" in criteria
    assert board.partitions[choice.ranking.index[1]].name in second
    html = choice._repr_html_()
    assert all(escape(reason) in html for reason in choice.reasons)
    assert all(rule in html for rule in choice.picks.index)


def test_a_single_partition_can_be_chosen(toy_space: Descriptor) -> None:
    only = Partition(np.repeat([0, 1, 2], (60, 40, 20)), toy_space, "by hand")
    choice = choose(leaderboard([only]))
    assert isinstance(choice, Choice)
    assert choice.partition is only
    assert any("No numeric parameter was swept" in reason for reason in choice.reasons)


def test_nothing_within_the_limits_says_which_limit(board: Leaderboard) -> None:
    with pytest.raises(
        ValueError, match=r"None of the 44 partitions is within the limits \(fewer than 20 clusters: 44"
    ):
        choose(board, min_clusters=20)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"criteria": {"silhouete": "max"}}, "Unknown criterion 'silhouete'. Known: .*'silhouette'"),
        ({"criteria": {"params": "max"}}, "Unknown criterion 'params'"),
        ({"criteria": {"silhouette": "up"}}, r"`criteria\['silhouette'\]` must be one of 'max', 'min'. Got 'up'"),
        ({"criteria": {}}, "`criteria` must name at least one column that has values"),
        ({"max_noise": 2}, r"`max_noise` must be a number in \[0, 1\]. Got 2"),
        ({"min_clusters": 5, "max_clusters": 4}, r"`max_clusters` must be an int in \[5, inf\). Got 4"),
    ],
)
def test_impossible_limits_and_criteria_are_refused(board: Leaderboard, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose(board, **wrong)
