"""Components of similar rows: a scikit-learn estimator, equal to walking over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from veriwild_clustering import SimilarityComponents


@parametrize_with_checks([SimilarityComponents(), SimilarityComponents(0.5, metric="euclidean", linkage="average")])
@pytest.mark.filterwarnings("ignore")  # what the checks themselves set off
def test_is_a_scikit_learn_estimator(estimator: SimilarityComponents, check: object) -> None:
    check(estimator)  # type: ignore[operator]


def similarities(n_rows: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).random((n_rows, n_rows))
    symmetric = np.maximum(values, values.T)
    np.fill_diagonal(symmetric, 1)
    return symmetric**4


def reachable(similar: np.ndarray) -> np.ndarray:
    """Return which rows chains join: powers of the matrix of pairs until nothing is added."""
    joined = similar | np.eye(len(similar), dtype=bool)
    for _ in range(len(similar)):
        joined = joined @ joined
    return joined


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_connected_components(seed: int) -> None:
    matrix = similarities(30, seed)
    labels = SimilarityComponents(0.9, metric="precomputed").fit_predict(matrix)
    joined = reachable(matrix >= 0.9)
    np.testing.assert_array_equal(labels == -1, joined.sum(axis=1) == 1)
    same = (labels[:, None] == labels) & (labels >= 0)
    np.testing.assert_array_equal(same | np.eye(30, dtype=bool), joined)


@pytest.mark.parametrize("linkage", ["complete", "average"])
@pytest.mark.parametrize("seed", range(5))
def test_linkage_is_that_of_scikit_learn(linkage: str, seed: int) -> None:
    matrix = similarities(40, seed)
    ours = SimilarityComponents(0.6, metric="precomputed", linkage=linkage).fit_predict(matrix)
    reference = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage=linkage, distance_threshold=0.4
    ).fit_predict(1 - matrix)
    alone = np.bincount(reference)[reference] == 1
    np.testing.assert_array_equal(ours == -1, alone)
    assert adjusted_rand_score(ours[~alone], reference[~alone]) == 1


def test_a_chain_is_one_group_whatever_the_order() -> None:
    chain = np.arange(20.0)[:, None]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(20)
        assert (SimilarityComponents(0.5, metric="euclidean").fit(chain[order]).labels_ == 0).all()
    assert SimilarityComponents(0.5, metric="euclidean").fit(chain).n_pairs_ == 19


def test_chains_that_are_too_long_for_a_tree_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from veriwild_clustering.clustering import components

    monkeypatch.setattr(components, "_MOST_ROWS", 4)
    with pytest.raises(ValueError, match="raise `threshold`, or use 'components'"):
        SimilarityComponents(0.5, metric="euclidean", linkage="average").fit(np.arange(5.0)[:, None])


def test_parameters_are_checked() -> None:
    with pytest.raises(ValueError, match=r"`threshold` must be a number in \[0, 1\]"):
        SimilarityComponents(1.5).fit([[1.0], [2.0]])
    with pytest.raises(ValueError, match="square matrix of similarities"):
        SimilarityComponents(metric="precomputed").fit([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
