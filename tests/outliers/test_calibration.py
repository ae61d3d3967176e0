"""Tail evidence keeps the order and the scale of ordinary scores; the threshold flags few of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering.outliers.calibration import (
    bootstrap_thresholds,
    joint_evidence,
    outlier_threshold,
    tail_evidence,
)


@given(st.lists(st.integers(-1000, 1000), min_size=10, max_size=60))
@settings(max_examples=40, deadline=None)
def test_evidence_keeps_the_order_and_is_not_negative(scores):
    evidence = tail_evidence(np.array(scores, dtype=float))
    assert (evidence >= 0).all()
    order = np.argsort(scores, kind="stable")
    gaps = np.diff(evidence[order])
    assert (gaps[np.diff(np.array(scores)[order]) == 0] == 0).all()
    assert (gaps >= 0).all()


def test_evidence_of_exponential_scores_is_their_true_tail_probability():
    scores = np.random.default_rng(0).exponential(size=50_000)
    np.testing.assert_allclose(tail_evidence(scores), scores / np.log(10), atol=0.12, rtol=0.03)


def test_evidence_does_not_depend_on_the_unit_of_the_detector():
    scores = np.random.default_rng(0).gamma(3, size=500)
    np.testing.assert_allclose(tail_evidence(scores), tail_evidence(1000 * scores - 7), rtol=1e-9)


def test_evidence_grows_with_distance_beyond_the_ninetieth_percentile():
    near, far = np.arange(100.0), np.arange(100.0)
    far[-1] = 500
    assert tail_evidence(far)[-1] > 3 * tail_evidence(near)[-1]
    np.testing.assert_allclose(tail_evidence(far)[:-1], tail_evidence(near)[:-1])


def test_evidence_of_equal_scores_is_equal():
    assert np.unique(tail_evidence(np.full(20, 3.0))).size == 1


@pytest.mark.parametrize("n_parts", [1, 2, 6])
def test_threshold_flags_hardly_any_ordinary_image(n_parts):
    flagged = []
    for seed in range(20):
        scores = np.random.default_rng(seed).exponential(size=(2000, n_parts)).mean(axis=1) / np.log(10)
        flagged.append(np.count_nonzero(scores > outlier_threshold(scores)))
    assert max(flagged) <= 10
    assert np.mean(flagged) <= 2


def test_threshold_is_that_of_the_benjamini_hochberg_procedure():
    from scipy.stats import false_discovery_control, norm

    rng = np.random.default_rng(1)
    scores = np.concatenate([rng.gamma(2, size=950), rng.uniform(8, 30, size=50)])
    roots, expected = np.sqrt(scores), np.zeros(1000, dtype=bool)
    for _ in range(2):
        center, end = np.quantile(roots[~expected], [0.5, 0.9], method="inverted_cdf")
        tail = norm.sf((roots - center) / (end - center) * norm.ppf(0.9))
        expected = false_discovery_control(tail) <= 0.1
    assert 30 < expected.sum() < 80
    np.testing.assert_array_equal(scores > outlier_threshold(scores), expected)


def test_contamination_flags_that_share():
    scores = np.random.default_rng(0).exponential(size=1000)
    assert np.count_nonzero(scores > outlier_threshold(scores, contamination=0.03)) == 30


def test_equal_scores_flag_nothing():
    assert not (np.ones(50) > outlier_threshold(np.ones(50))).any()


def test_few_outliers_do_not_hide_each_other():
    rng = np.random.default_rng(2)
    scores = np.concatenate([rng.gamma(4, 0.1, size=950), rng.gamma(4, 0.1, size=50) + 1.2])
    flagged = scores > outlier_threshold(scores)
    assert flagged[950:].mean() > 0.85
    assert flagged[:950].mean() < 0.02


def test_groups_count_once_however_many_parts_they_have():
    rng = np.random.default_rng(0)
    parts = rng.exponential(size=(500, 3))
    few = pd.DataFrame(parts, columns=["a: x", "a: y", "b: x"])
    many = pd.DataFrame(np.column_stack([parts, parts[:, :2], parts[:, :2]]))
    kinds = ["vectors", "vectors", "quality"]
    joined = joint_evidence(few, kinds)
    np.testing.assert_allclose(joint_evidence(many, kinds + ["vectors"] * 4), joined)
    halves = [tail_evidence(parts[:, :2].mean(axis=1)), tail_evidence(parts[:, 2])]
    np.testing.assert_allclose(joined, np.mean(halves, axis=0))


def test_group_that_an_image_lacks_does_not_count():
    table = pd.DataFrame(np.random.default_rng(0).exponential(size=(100, 2)))
    table.loc[4, 1] = table.loc[5, 0] = table.loc[6, :] = np.nan
    joined = joint_evidence(table, ["vectors", "quality"])
    assert joined[4] == tail_evidence(table[0].dropna().to_numpy())[4]
    assert np.flatnonzero(np.isnan(joined)).tolist() == [6]


def test_bootstrap_thresholds_are_those_of_the_samples():
    scores = np.sort(np.random.default_rng(0).gamma(4, size=300))
    rng = np.random.default_rng(7)
    expected = [outlier_threshold(scores[rng.integers(300, size=300)]) for _ in range(20)]
    np.testing.assert_allclose(bootstrap_thresholds(scores, n_repeats=20, random_state=7), expected)


def test_interval_of_the_threshold_holds_that_of_most_other_samples():
    rng = np.random.default_rng(0)
    draw = lambda: np.concatenate([rng.gamma(4, 0.2, size=950), rng.uniform(3, 9, size=50)])  # noqa: E731
    low, high = np.quantile(bootstrap_thresholds(draw()), [0.005, 0.995])
    others = np.array([outlier_threshold(draw()) for _ in range(40)])
    assert ((others > low) & (others < high)).mean() > 0.8


def test_interval_of_a_given_share_holds_its_quantile():
    scores = np.random.default_rng(0).exponential(size=1000)
    low, high = np.quantile(bootstrap_thresholds(scores, contamination=0.05), [0.025, 0.975])
    assert low < outlier_threshold(scores, contamination=0.05) < high
    assert bootstrap_thresholds(scores, contamination=0, n_repeats=5).max() == scores.max()
