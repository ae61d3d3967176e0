"""Rules of choice: the information that is found again, finest partitions, structure, regret, what is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy
from sklearn.metrics import adjusted_rand_score

from veriwild_clustering import (
    Descriptor,
    Leaderboard,
    Partition,
    choice_rules,
    choose,
    leaderboard,
    rank_partitions,
    regret,
    rerun,
    sweep,
)
from veriwild_clustering.evaluation.choice.choosing import picks_of_rules
from veriwild_clustering.evaluation.choice.evidence import evidence, reproduced

TRUTH = np.repeat(np.arange(6), (80, 70, 60, 50, 40, 30))


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    """Six groups in three pairs, two of them near each other; vehicles of five images; halves and null data."""
    rng = np.random.default_rng(0)
    centers = 7 * np.eye(3, 10).repeat(2, axis=0) + 4 * np.eye(6, 10, k=4)
    space = Descriptor("pairs", centers[TRUTH] + rng.normal(size=(330, 10)))
    partitions = sweep(space, {name: {"n_clusters": range(2, 11)} for name in ("kmeans", "agglomerative")})
    reruns = [rerun(partitions, on, n_repeats=6) for on in ("half samples", "gaussian")]
    return leaderboard(partitions, groups=np.arange(330) // 5, reruns=reruns)


def edited(board: Leaderboard, **columns: object) -> Leaderboard:
    return Leaderboard(board.table.assign(**columns), board.partitions, board.agreement)


def without(board: Leaderboard, *columns: str) -> Leaderboard:
    return Leaderboard(board.table.drop(columns=list(columns)), board.partitions, board.agreement)


@pytest.mark.parametrize("n_letters", [2, 5, 12])
@pytest.mark.parametrize("agreement", [0.0, 0.3, 0.9, 1.0])
def test_information_is_that_of_a_symmetric_channel(n_letters: int, agreement: float) -> None:
    joint = (agreement * np.eye(n_letters) + (1 - agreement) / n_letters) / n_letters
    shared = 2 * np.log2(n_letters) - entropy(joint.ravel(), base=2)
    found = reproduced(np.array([np.log2(n_letters)]), np.array([agreement]))
    np.testing.assert_allclose(found, shared, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 6), st.floats(-0.5, 1), st.floats(0, 1))
def test_information_grows_with_agreement_up_to_all_of_it(bits: float, agreement: float, more: float) -> None:
    higher = agreement + more * (1 - agreement)
    low, high = reproduced(np.full(2, bits), np.array([agreement, higher]))
    assert -1e-9 <= low <= high + 1e-9
    assert high <= bits + 1e-9


def test_information_is_the_entropy_of_the_clusters() -> None:
    space = Descriptor("toy", np.arange(8.0)[:, None])
    labels = [[0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 1, 1, -1, -1, -1, -1], [0] * 8]
    found = evidence(leaderboard([Partition(one, space, "by hand") for one in labels]))
    np.testing.assert_allclose(found["information"], [2.0, 0.5, 0.0])


def test_every_rule_says_what_it_means_and_ranks_every_partition(board: Leaderboard) -> None:
    rules = choice_rules()
    assert rules.index[0] == "combined"
    assert rules["meaning"].str.len().min() > 20
    assert rules["source"].str.startswith("https://").sum() >= len(rules) - 1
    for rule in rules.index:
        ranking = rank_partitions(board, rule=rule)
        assert sorted(ranking.index) == list(range(len(board)))
        assert ranking["score"].iloc[0] == ranking["score"].max() > 0.5
    assert list(choose(board).picks.index) == list(rules.index)


@pytest.mark.parametrize(
    "rule", ["combined", "stable information", "vehicle information", "prediction strength", "vehicle consistency"]
)
def test_rules_of_reproduction_find_the_groups(board: Leaderboard, rule: str) -> None:
    assert choose(board, rule=rule).partition.n_clusters == 6


@pytest.mark.parametrize(
    ("rule", "column", "level"),
    [("finest stable", "stability_low", 0.6), ("prediction strength", "prediction_strength", 0.5),
     ("vehicle consistency", "pair_consistency", 0.7)],
)  # fmt: skip
def test_finest_partition_that_reaches_the_level(board: Leaderboard, rule: str, column: str, level: float) -> None:
    reached = board.table[(board.table[column] >= level) & (board.table["n_clusters"] >= 3)]
    choice = choose(board, rule=rule, level=level)
    assert choice.row["n_clusters"] == reached["n_clusters"].max()
    assert choice.row[column] >= level
    assert f"finest whose {column} reaches {level:g}" in choice.reasons[1]


def test_where_none_reaches_the_level_the_nearest_is_chosen(board: Leaderboard) -> None:
    values = np.linspace(0.1, 0.5, len(board))
    choice = choose(edited(board, stability_low=values), rule="finest stable")
    assert choice.partition is board.partitions[-1]
    assert "No partition reaches stability_low 0.85: this one comes nearest with 0.5." in choice.reasons


def test_equal_scores_go_by_mean_agreement(board: Leaderboard) -> None:
    equal = edited(board, stability_low=0.9, n_clusters=4)
    assert rank_partitions(equal, rule="finest stable").index[0] == board.table["mean_agreement"].argmax()


def test_combined_rule_falls_back_on_what_there_is(board: Leaderboard) -> None:
    stability = [name for name in board.table if "stability" in name]
    expected = {
        (): ["reproduced_information"],
        ("pair_consistency",): ["reproduced_information", "silhouette"],
        tuple(stability): ["mean_agreement", "algorithm_agreement", "pair_consistency", "silhouette"],
        (*stability, "pair_consistency"): ["mean_agreement", "algorithm_agreement", "silhouette"],
    }
    for absent, criteria in expected.items():
        choice = choose(without(board, *absent))
        assert [name for name in choice.ranking if name.endswith("_standing")] == [f"{c}_standing" for c in criteria]
        assert 5 <= choice.partition.n_clusters <= 6


def test_vehicles_have_no_voice_where_every_partition_splits_most(board: Leaderboard) -> None:
    split = edited(board, pair_consistency=board.table["pair_consistency"] * 0.4)
    choice = choose(split)
    assert choice.partition is choose(without(board, "pair_consistency")).partition
    assert any("so they have no voice" in reason for reason in choice.reasons)
    with pytest.raises(ValueError, match="'vehicle information' needs `vehicle_information`"):
        choose(split, rule="vehicle information")


def test_partitions_without_structure_are_beyond_the_limits_unless_all_are(board: Leaderboard) -> None:
    best = int(rank_partitions(board).index[0])
    structure = np.where(np.arange(len(board)) == best, "no structure", "structure")
    ranking = rank_partitions(edited(board, structure=structure))
    assert ranking.loc[best, "excluded"] == "no structure beyond Gaussian data"
    none = choose(edited(board, structure="no structure"))
    assert none.partition is board.partitions[best]
    assert any("cuts through a continuum" in reason for reason in none.reasons)


def test_reasons_hold_the_figures_of_trust(board: Leaderboard) -> None:
    choice = choose(board)
    said, row = "\n".join(choice.reasons), choice.row
    assert f"ARI of {row['stability']:.2f} (95 % interval of the mean {row['stability_low']:.2f} to" in said
    assert f"explain {row['explained_share']:.0%} of the variance" in said
    bits = entropy(choice.partition.sizes / 330, base=2)
    assert f"The cluster tells {bits:.2f} bits of an image" in said
    for rule, pick in choice.picks.iterrows():
        assert str(rule) in choice.reasons[-1]
        same = adjusted_rand_score(board.partitions[pick["row"]].labels, choice.partition.labels)
        assert pick["agreement"] == pytest.approx(same)
    assert choose(board, rule="gap", max_clusters=9).params == {"rule": "gap", "max_clusters": 9}


def test_regret_is_measured_against_the_best_of_the_board(board: Leaderboard) -> None:
    truth = pd.Series(TRUTH).astype(object).mask(np.arange(330) % 7 == 0)
    known = truth.notna().to_numpy()
    aris = [adjusted_rand_score(TRUTH[known], partition.labels[known]) for partition in board.partitions]
    lost = regret(board, truth)
    assert set(lost.index) == set(choice_rules().index)
    assert lost["best_ari"].unique() == pytest.approx(max(aris))
    np.testing.assert_allclose(lost["ari"], [aris[row] for row in lost["row"]])
    np.testing.assert_allclose(lost["ratio"], lost["ari"] / max(aris))
    assert (lost["regret"] >= 0).all()
    assert lost["regret"].is_monotonic_increasing
    assert lost.loc["combined", "ratio"] > 0.99
    assert lost.loc["calinski_harabasz", "ratio"] < 0.9
    assert list(regret(board, truth, rules=["gap"]).index) == ["gap"]
    assert regret(board, truth, min_clusters=8, rules=["combined"])["n_clusters"].item() >= 8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rule": "elbow"}, "`rule` must be one of 'combined', .*Got 'elbow'"),
        ({"rule": "gap", "criteria": {"silhouette": "max"}}, "`criteria` are a rule of their own. Got `rule` = 'gap'"),
        ({"level": 0.5}, "`level` is for rules that look for the finest partition. Got 0.5"),
        ({"rule": "finest stable", "level": 2}, r"`level` must be a number in \[-1, 1\]. Got 2"),
    ],
)
def test_impossible_rules_are_refused(board: Leaderboard, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose(board, **wrong)


def test_a_rule_without_evidence_says_what_to_give(board: Leaderboard) -> None:
    bare = without(board, "stability", "stability_low", "null_explained_share", "null_silhouette")
    assert {"finest stable", "stable information", "gap", "silhouette over null"}.isdisjoint(choose(bare).picks.index)
    with pytest.raises(ValueError, match=r"needs `stability_low`.*give `leaderboard` reruns on 'half samples'"):
        choose(bare, rule="finest stable")
    with pytest.raises(ValueError, match=r"needs `gap`.*give `leaderboard` reruns on 'gaussian'"):
        regret(bare, TRUTH, rules=["gap"])


@pytest.mark.parametrize(
    ("truth", "message"),
    [(np.zeros(3), "`truth` must have one entry per image"), ([None] * 330, "`truth` must name the class of at least")],
)
def test_impossible_truth_is_refused(board: Leaderboard, truth: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regret(board, truth)


def test_rules_take_nothing_beyond_the_limits(board: Leaderboard) -> None:
    assert picks_of_rules(board, min_clusters=11).empty
    with pytest.raises(ValueError, match=r"None of the 18 partitions is within the limits"):
        regret(board, TRUTH, min_clusters=11)


def test_a_word_among_numbers_has_no_edge() -> None:
    space = Descriptor("toy", np.arange(30.0)[:, None])
    labels = np.repeat([0, 1, 2], 10)
    partitions = [Partition(labels, space, "own", params={"eps": eps}) for eps in ("knee", 0.5, 1.0)]
    reasons = choose(leaderboard(partitions)).reasons
    assert "No numeric parameter was swept for it, so there is no grid whose edge it could be at." in reasons
