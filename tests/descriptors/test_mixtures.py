"""Mixtures: distances add up as the weights say, whatever the width and the scale of the parents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.utils.estimator_checks import parametrize_with_checks

from veriwild_clustering import BlockScaler, Descriptor, mix, mixtures


def _space(name: str, n_features: int, *, scale: float = 1, seed: int = 0) -> Descriptor:
    return Descriptor(name, scale * np.random.default_rng(seed).normal(size=(25, n_features)))


@parametrize_with_checks([BlockScaler()])
def test_block_scaler_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=3, max_size=3), st.integers(0, 100))
def test_squared_distance_is_the_weighted_sum_of_normalised_ones(weights: list[float], seed: int):
    parents = [_space(name, d, seed=seed + d, scale=10.0**d) for name, d in (("a", 1), ("b", 4), ("c", 3))]
    mixture = mix(parents, weights=weights)
    expected = np.zeros((25, 25))
    for parent, weight in zip(parents, weights, strict=True):
        block = parent.vectors.astype(np.float64)
        expected += weight / sum(weights) * cdist(block, block, "sqeuclidean") / block.var(axis=0).sum()
    vectors = mixture.vectors.astype(np.float64)
    np.testing.assert_allclose(cdist(vectors, vectors, "sqeuclidean"), expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1e3))
def test_the_scale_of_a_parent_does_not_matter(scale: float):
    fixed = _space("a", 3, seed=1)
    plain, scaled = mix([fixed, _space("b", 2)]), mix([fixed, _space("b", 2, scale=scale)])
    np.testing.assert_allclose(plain.vectors, scaled.vectors, rtol=1e-4, atol=1e-6)


def test_total_variance_is_one_and_split_by_the_weights():
    mixture = mix([_space("a", 6, scale=50), _space("b", 2, seed=1)], weights=[3, 1])
    variances = mixture.vectors.var(axis=0, dtype=np.float64)
    assert variances[:6].sum() == pytest.approx(0.75, rel=1e-5)
    assert variances.sum() == pytest.approx(1, rel=1e-5)
    assert mixture.name == "0.75 a + 0.25 b"


def test_weights_are_equal_by_default_and_only_their_ratio_counts():
    parents = [_space("a", 6), _space("b", 2, seed=1)]
    np.testing.assert_array_equal(mix(parents).vectors, mix(parents, weights=[5, 5]).vectors)


def test_transformer_reproduces_the_vectors_from_the_parents():
    parents = [_space("a", 6), _space("b", 2, seed=1)]
    mixture = mix(parents, weights=[0.7, 0.3])
    joined = np.hstack([parent.vectors for parent in parents])
    np.testing.assert_array_equal(mixture.transformer.transform(joined), mixture.vectors)
    np.testing.assert_array_equal(mixture.compute(lambda root: root.vectors[:3]), mixture.vectors[:3])
    assert mixture.parents == tuple(parents)


def test_rows_are_valid_where_all_parents_are():
    vectors = _space("a", 3).vectors.copy()
    vectors[4] = np.nan
    mixture = mix([Descriptor("a", vectors), _space("b", 2)])
    assert np.flatnonzero(~mixture.valid).tolist() == [4]
    assert np.isnan(mixture.vectors[4]).all()


def test_a_constant_parent_cannot_carry_weight():
    flat = Descriptor("flat", np.full((25, 3), 0.1))
    with pytest.raises(ValueError, match=r"'a' \+ 'flat': Block 1 is constant, so it cannot carry a weight of 0.5"):
        mix([_space("a", 2), flat])
    weightless = mix([_space("a", 2), flat], weights=[1, 0])
    np.testing.assert_array_equal(weightless.vectors[:, 2:], 0)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, 3], "must have one entry per block, 2"),
        ([1, -1], "must be finite, not negative, and not all 0"),
        ([0, 0], "must be finite, not negative, and not all 0"),
        ([1, np.nan], "must be finite, not negative, and not all 0"),
    ],
)
def test_weights_are_checked(weights: list[float], message: str):
    with pytest.raises(ValueError, match=message):
        mix([_space("a", 2), _space("b", 2)], weights=weights)


def test_parents_are_checked():
    with pytest.raises(ValueError, match=r"at least 2 descriptors\. Got 1 instead"):
        mix([_space("a", 2)])
    with pytest.raises(ValueError, match=r"must describe the same images\. Got these lengths: \{'a': 25, 'b': 2\}"):
        mix([_space("a", 2), Descriptor("b", np.eye(2))])


@pytest.mark.parametrize(("n_parents", "step", "expected"), [(2, 0.25, 3), (3, 0.25, 12), (3, 0.5, 3), (4, 1 / 3, 16)])
def test_mixtures_cover_the_simplex(n_parents: int, step: float, expected: int):
    parents = [_space("abcd"[i], 2, seed=i) for i in range(n_parents)]
    found = mixtures(parents, step=step)
    shares = [dict(zip(m.parents, m.transformer.weights, strict=True)) for m in found]
    assert len(found) == len({m.name for m in found}) == expected
    for share in shares:
        assert sum(share.values()) == pytest.approx(1)
        assert all(weight == pytest.approx(round(weight / step) * step) for weight in share.values())


def test_step_must_divide_one():
    with pytest.raises(ValueError, match=r"`step` must be 1 divided by a whole number\. Got 0\.3 instead"):
        mixtures([_space("a", 2), _space("b", 2)], step=0.3)
    with pytest.raises(ValueError, match=r"`step` must be a number in \[0\.001, 0\.5\]\. Got 1 instead"):
        mixtures([_space("a", 2), _space("b", 2)], step=1)


@pytest.mark.parametrize("sizes", [[3], [2, 0, 2], []])
def test_block_sizes_must_cover_the_columns(sizes: list[int]):
    with pytest.raises(ValueError, match="must be positive and sum to the number of columns, 4"):
        BlockScaler(sizes).fit(np.random.default_rng(0).normal(size=(9, 4)))
