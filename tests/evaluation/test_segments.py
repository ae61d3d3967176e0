"""Scores of segments: brute force and a worked case, invariance, refinement, edges, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike

from veriwild_clustering import segment_scores

SHAPE = (9, 11)
maps = arrays(np.int32, SHAPE, elements=st.integers(0, 4))
masks = arrays(np.bool_, SHAPE)


def at_boundary(labels: np.ndarray, row: int, column: int) -> bool:
    around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    inside = [(r, c) for r, c in around if 0 <= r < SHAPE[0] and 0 <= c < SHAPE[1]]
    return any(labels[place] != labels[row, column] for place in inside)


def brute_recall(labels: np.ndarray, truth: np.ndarray, tolerance: int) -> float:
    pixels = list(np.ndindex(SHAPE))
    drawn = [pixel for pixel in pixels if labels[pixel] == 0 or at_boundary(labels, *pixel)]
    true = [pixel for pixel in pixels if at_boundary(truth, *pixel)]
    met = [any(max(abs(r - y), abs(c - x)) <= tolerance for y, x in drawn) for r, c in true]
    return float(np.mean(met)) if met else float("nan")


def brute_error(labels: np.ndarray, truth: np.ndarray) -> float:
    spilled = 0
    for region in np.unique(truth):
        for one in np.unique(labels[labels > 0]):
            within = int(np.sum((labels == one) & (truth == region)))
            without = int(np.sum((labels == one) & (truth != region)))
            spilled += min(within, without)
    return spilled / np.sum(labels > 0) if (labels > 0).any() else float("nan")


@settings(max_examples=60, deadline=None)
@given(labels=maps, truth=masks, tolerance=st.integers(0, 2))
def test_scores_are_those_of_brute_force(labels: np.ndarray, truth: np.ndarray, tolerance: int) -> None:
    scores = segment_scores(labels, truth, tolerance=tolerance)
    assert scores["boundary_recall"] == pytest.approx(brute_recall(labels, truth, tolerance), nan_ok=True)
    assert scores["undersegmentation_error"] == pytest.approx(brute_error(labels, truth), nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(labels=maps, truth=masks, finer=masks)
def test_numbers_of_segments_mean_nothing_and_finer_segments_are_never_worse(
    labels: np.ndarray, truth: np.ndarray, finer: np.ndarray
) -> None:
    labels = labels + 1
    scores = segment_scores(labels, truth)
    assert segment_scores(90 - 7 * labels, ~truth) == pytest.approx(scores, nan_ok=True)
    split = segment_scores(2 * labels + finer, truth)
    assert split["undersegmentation_error"] <= scores["undersegmentation_error"]
    assert 0 <= scores["undersegmentation_error"] <= 1
    if not np.isnan(scores["boundary_recall"]):
        assert split["boundary_recall"] >= scores["boundary_recall"]


def test_the_truth_itself_is_perfect_and_one_segment_finds_nothing() -> None:
    truth = np.zeros((20, 30), dtype=bool)
    truth[5:15, 5:20] = True
    perfect = segment_scores(truth + 1, truth, tolerance=0)
    assert perfect == {"boundary_recall": 1, "undersegmentation_error": 0, "n_segments": 2, "edge_share": 0}
    whole = segment_scores(np.ones_like(truth, dtype=int), truth)
    assert whole["boundary_recall"] == 0
    assert whole["undersegmentation_error"] == 2 * 150 / 600


def test_the_tolerance_is_a_distance_in_pixels() -> None:
    truth = np.arange(20) >= 10
    shifted = 1 + (np.arange(20) >= 13)
    found = [segment_scores([shifted], [truth], tolerance=tolerance)["boundary_recall"] for tolerance in range(5)]
    assert found == [0, 0, 0.5, 1, 1]


def test_where_there_is_nothing_to_find_or_all_is_edge_scores_are_nan() -> None:
    plain = np.zeros((4, 5), dtype=bool)
    assert np.isnan(segment_scores(np.ones((4, 5), dtype=int), plain)["boundary_recall"])
    edges = segment_scores(np.zeros((4, 5), dtype=int), plain)
    assert np.isnan(edges["undersegmentation_error"])
    assert edges["n_segments"] == 0
    assert edges["edge_share"] == 1


@pytest.mark.parametrize(
    ("labels", "truth", "message"),
    [
        ([1, 2], [0, 1], r"`labels` must hold whole numbers, shape \(height, width\)"),
        ([[1.0, 2.0]], [[0, 1]], r"`labels` must hold whole numbers"),
        ([[1, 2]], [[0, 1, 1]], r"must be of one shape\. Got \(1, 2\) and \(1, 3\)"),
        ([[-1, 2]], [[0, 1]], r"`labels` must not be negative\. Got -1"),
        (np.zeros((0, 3), int), np.zeros((0, 3), int), r"`labels` must hold whole numbers"),
    ],
)
def test_what_is_no_label_map_is_refused(labels: ArrayLike, truth: ArrayLike, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        segment_scores(labels, truth)
