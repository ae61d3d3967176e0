"""Charts: what is drawn, in which panel, and how it is labelled."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import (
    OutlierScores,
    Partition,
    agreement,
    leaderboard,
    plot_agreement,
    plot_flow,
    plot_knee,
    plot_outliers,
    plot_profile,
    plot_scores,
    profile,
    transform,
)
from veriwild_clustering.reporting.figures.comparison import flows
from veriwild_clustering.reporting.figures.style import NOISE_COLOR, palette


@pytest.fixture
def board(flat, partition):
    from sklearn.preprocessing import StandardScaler

    scaled = transform(flat, StandardScaler(), name="scaled <b>")
    groups = [np.repeat([0, 1], 30), np.repeat([0, 1, 2], 20), np.arange(60) % 4]
    partitions = [
        Partition(labels, space, "kmeans", params={"n_clusters": labels.max() + 1})
        for space in (flat, scaled)
        for labels in groups
    ]
    return leaderboard([*partitions, partition])


def test_scores_are_a_line_per_algorithm_in_a_row_of_panels_per_descriptor(board) -> None:
    chosen = board.partitions[1]
    fig, axes = plot_scores(board, chosen=chosen)
    assert axes.shape == (2, 3)
    kmeans = next(line for line in axes[0, 2].lines if line.get_label() == "kmeans")
    assert kmeans.get_xdata().tolist() == [2, 3, 4]
    np.testing.assert_allclose(kmeans.get_ydata(), board.table["silhouette"][:3])
    star = next(line for line in axes[0, 2].lines if line.get_label() == "chosen")
    assert star.get_xdata().tolist() == [3]
    assert not [line for line in axes[1, 2].lines if line.get_label() == "chosen"]
    assert fig.get_suptitle() == "Scores of 7 partitions of 60 images"


def test_partitions_with_noise_are_hollow_and_said_to_be(board, partition) -> None:
    fig, axes = plot_scores(board, descriptors=["flat"], metrics=["silhouette"])
    points = next(c for c in axes[0, 0].collections if c.get_label() == "hdbscan (with noise)")
    assert points.get_offsets().tolist() == [[3, board.table["silhouette"].iloc[-1]]]
    assert len(points.get_facecolors()) == 0
    legend = [text.get_text() for text in fig.legends[0].get_texts()]
    assert "with noise (up to 8%);\nsmaller: more noise" in legend


def test_unknown_descriptor_or_metric_is_named(board) -> None:
    with pytest.raises(ValueError, match="Unknown descriptor 'nothing'"):
        plot_scores(board, descriptors=["nothing"])
    with pytest.raises(ValueError, match="Unknown metric 'algorithm'"):
        plot_scores(board, metrics=["algorithm"])


def test_agreement_writes_each_number_once_and_names_at_the_left(board) -> None:
    matrix = agreement(board.partitions)
    _, ax = plot_agreement(matrix)
    written = np.array([float(text.get_text()) for text in ax.texts]).reshape(7, 7)
    np.testing.assert_allclose(written, matrix, atol=0.005)
    assert [label.get_text() for label in ax.get_xticklabels()] == list("1234567")
    assert ax.get_yticklabels()[0].get_text() == "kmeans(n_clusters=2) on flat  1"


def test_agreement_of_many_partitions_is_not_written_out() -> None:
    names = [f"p{i}" for i in range(25)]
    _, ax = plot_agreement(pd.DataFrame(np.eye(25), index=names, columns=names))
    assert not ax.texts


def test_a_table_that_is_not_square_names_its_columns_and_skips_gaps() -> None:
    table = pd.DataFrame([[0.5, np.nan], [-0.2, 0.1]], index=["a", "b"], columns=["osnet", "color"])
    _, ax = plot_agreement(table, metric="silhouette", title="Scores in each space")
    assert [text.get_text() for text in ax.texts] == ["0.50", "-0.20", "0.10"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["osnet", "color"]
    assert ax.images[0].norm.vmin == -0.2


def test_flow_counts_are_those_of_a_cross_table(flat, partition) -> None:
    other = Partition(np.repeat([0, 1, 2, 3], 15), flat, "kmeans")
    shared = flows(partition, other, max_clusters=20)
    for left, counts in shared.iterrows():
        for right, count in counts.items():
            assert count == np.sum((partition.labels == left) & (other.labels == right))
    assert shared.index.tolist() == [0, 1, 2, -1]


def test_flow_merges_small_clusters_and_says_what_it_leaves_out(flat) -> None:
    many = Partition(np.r_[np.repeat(np.arange(4), 10), np.arange(20) + 4], flat, "many")
    halves = Partition(np.repeat([0, 1], 30), flat, "halves")
    _, ax = plot_flow(many, halves, max_clusters=4)
    texts = [text.get_text() for text in ax.texts]
    assert "others · 20" in texts
    fig, ax = plot_flow(many, halves, max_clusters=24, min_share=0.05)
    assert fig.get_suptitle() == "Flow of 60 images; ribbons below 5.0% of them not drawn (20 images)"
    assert len([p for p in ax.patches if type(p).__name__ == "PathPatch"]) == 4


def test_flow_ribbons_fit_their_bars_and_noise_is_grey(partition) -> None:
    from matplotlib.colors import to_hex

    _, ax = plot_flow(partition, partition, min_share=0)
    bars = [p for p in ax.patches if type(p).__name__ == "Rectangle"]
    assert sum(bar.get_height() for bar in bars[:4]) == sum(bar.get_height() for bar in bars[4:]) == 60
    ribbons = [to_hex(p.get_facecolor()) for p in ax.patches if type(p).__name__ == "PathPatch"]
    assert ribbons == [*palette(3), NOISE_COLOR]


def test_flow_refuses_partitions_of_other_images(flat, partition) -> None:
    with pytest.raises(ValueError, match=r"`right.labels` must have one entry per image, shape \(60,\)"):
        plot_flow(partition, Partition([0], flat.take([0]), "one"))


def test_knee_says_how_many_images_lie_within_eps() -> None:
    _, ax = plot_knee(np.arange(1, 101) / 100, 0.9)
    assert ax.texts[0].get_text().startswith("eps = 0.9: 90.0% of images")
    assert ax.lines[0].get_ydata().tolist() == sorted(ax.lines[0].get_ydata())


def test_profile_writes_share_and_lift(partition, dataset) -> None:
    fig, ax = plot_profile(profile(partition, dataset.images, columns=["type"]))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["sedan", "<i>bus</i>", "truck"]
    assert [text.get_text() for text in ax.texts] == ["100%\n×2.0", "100%\n×3.0", "100%\n×6.0"]
    assert fig.get_suptitle().startswith("type: share in each cluster")


def test_profile_says_how_many_values_it_leaves_out(partition, dataset) -> None:
    table = profile(partition, dataset.images, columns=["type", "vehicle_id"])
    fig, _ = plot_profile(table, column="vehicle_id", max_values=5)
    assert "23 rarer values not shown" in fig.get_suptitle().replace("\n", " ")
    with pytest.raises(ValueError, match="Unknown column 'color'"):
        plot_profile(table, column="color")
    with pytest.raises(ValueError, match="Got an empty table"):
        plot_profile(table.iloc[:0])


def test_outlier_histogram_counts_every_scored_image() -> None:
    evidence = np.r_[np.linspace(0.1, 1, 98), 9, np.nan]
    outliers = OutlierScores(pd.DataFrame({"osnet: KNN": evidence}))
    _, ax = plot_outliers(outliers)
    assert sum(bar.get_height() for bar in ax.patches) == 99
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "inlier · 98",
        "outlier · 2",
        "threshold, 95 % interval",
    ]
    band = ax.collections[0].get_paths()[0].get_extents()
    assert (band.x0, band.x1) == pytest.approx(outliers.threshold_interval)
    assert "2 of 100 images (2.0%) flagged" in ax.get_title(loc="left")
