"""Tail evidence keeps the order and the scale of ordinary scores; the threshold flags few of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering.outliers.calibration import outlier_threshold, tail_evidence


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
    center, end = np.quantile(np.sqrt(scores), [0.5, 0.9])
    tail = norm.sf((np.sqrt(scores) - center) / (end - center) * norm.ppf(0.9))
    expected = false_discovery_control(tail) <= 0.1
    assert 30 < expected.sum() < 80
    np.testing.assert_array_equal(scores > outlier_threshold(scores), expected)


def test_contamination_flags_that_share():
    scores = np.random.default_rng(0).exponential(size=1000)
    assert np.count_nonzero(scores > outlier_threshold(scores, contamination=0.03)) == 30


def test_equal_scores_flag_nothing():
    assert not (np.ones(50) > outlier_threshold(np.ones(50))).any()
