"""The figure of a choice: a panel per descriptor and criterion, the chosen partition marked, every rule's pick."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest

from veriwild_clustering import Descriptor, Leaderboard, choose, leaderboard, plot_choice, rerun, sweep


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(4), 20)
    spaces = [
        Descriptor(name, s * np.eye(4)[groups] + rng.normal(size=(80, 4))) for name, s in (("far", 9), ("near", 3))
    ]
    partitions = sweep(spaces, {"kmeans": {"n_clusters": range(2, 8)}, "hdbscan": {"min_cluster_size": 8}})
    return leaderboard(partitions, groups=np.arange(80) // 4, reruns=[rerun(partitions, "half samples", n_repeats=4)])


def test_panels_show_the_evidence_and_the_chosen_one(board: Leaderboard) -> None:
    choice = choose(board)
    fig, axes = plot_choice(board, choice)
    assert axes.shape == (2, 5)
    assert [ax.get_title(loc="left").split("\n")[0] for ax in axes[0]] == [
        "information found again", "half-sample stability", "vehicles stay together", "silhouette",
        "what each rule takes",
    ]  # fmt: skip
    stars = [[line for line in ax.lines if line.get_marker() == "*"] for ax in axes.flat]
    chosen = choice.row
    where = ["far", "near"].index(chosen["descriptor"])
    assert [len(found) for found in stars] == [1 if i // 5 == where and i % 5 < 4 else 0 for i in range(10)]
    (star,) = stars[5 * where + 1]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (chosen["n_clusters"], chosen["stability"])
    assert choice.partition.name in fig.get_suptitle()


def test_stability_has_its_interval(board: Leaderboard) -> None:
    _, axes = plot_choice(board, choose(board), descriptors=["far"])
    rows = board.of("far").table.query("algorithm == 'kmeans'")
    (band,) = [one for one in axes[0, 1].collections if one.get_label().startswith("_") and one.get_alpha()][:1]
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(rows["stability_low"].min())
    assert heights.max() == pytest.approx(rows["stability_high"].max())


def test_each_rule_has_its_line_with_what_it_takes(board: Leaderboard) -> None:
    choice = choose(board, max_clusters=5)
    _, axes = plot_choice(board, choice, descriptors=["far"])
    ax = axes[0, -1]
    names = [label.get_text().replace(" ", "_") for label in ax.get_yticklabels()]
    picks = choose(board.of("far"), max_clusters=5).picks
    assert names == [rule.replace(" ", "_") for rule in picks.index]
    dots = {int(line.get_ydata()[0]): line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"}
    assert dots == dict(enumerate(picks["n_clusters"]))


def test_unknown_descriptor_is_refused(board: Leaderboard) -> None:
    with pytest.raises(ValueError, match=r"Unknown descriptor 'colour'. Known: 'far', 'near'"):
        plot_choice(board, choose(board), descriptors=["colour"])


def test_rules_take_nothing_of_a_descriptor_beyond_the_limits(board: Leaderboard) -> None:
    table = board.table.assign(noise_fraction=np.where(board.table["descriptor"] == "near", 0.9, 0.0))
    noisy = Leaderboard(table, board.partitions, board.agreement)
    _, axes = plot_choice(noisy, choose(noisy))
    assert [len([line for line in ax.lines if line.get_marker() == "o"]) > 0 for ax in axes[:, -1]] == [True, False]


def test_a_choice_from_elsewhere_is_refused(board: Leaderboard) -> None:
    with pytest.raises(ValueError, match=r"`choice` must be one of `board`\. Got .* on far, which is not on it"):
        plot_choice(board.of("near"), choose(board.of("far")))


def test_dollar_signs_in_names_are_drawn(tmp_path) -> None:
    points = np.repeat(np.eye(3), 10, axis=0) + np.random.default_rng(0).normal(0, 0.1, (30, 3))
    one = leaderboard(sweep(Descriptor("$x^$", points), {"kmeans": {"n_clusters": [3]}}))
    fig, axes = plot_choice(one, choose(one))
    fig.savefig(tmp_path / "figure.png")
    assert axes[0, 0].get_ylabel() == r"\$x^\$"
