"""Mixtures with full covariances: beside scikit-learn's, and what holds whatever the grid."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from veriwild_clustering import Descriptor, Partition, sweep
from veriwild_clustering.clustering.solvers.gaussian_em import fit_mixture, refine_mixture
from veriwild_clustering.clustering.solvers.mixture_fit import fit_rows
from veriwild_clustering.clustering.solvers.nested_kmeans import NestedKMeans
from veriwild_clustering.clustering.solvers.rows import Rows


@pytest.fixture
def vectors() -> np.ndarray:
    """Five elongated groups that overlap."""
    rng = np.random.default_rng(4)
    shapes = rng.normal(size=(5, 4, 4))
    groups = [3 * rng.normal(size=4) + rng.normal(size=(240, 4)) @ shape for shape in shapes]
    return np.concatenate(groups).astype(np.float32)


def _original(partition: Partition) -> GaussianMixture:
    """scikit-learn's mixture with the partition's arrays."""
    model = GaussianMixture(partition.params["n_clusters"])
    for name in ("weights", "means", "precisions_cholesky"):
        setattr(model, f"{name}_", partition.state[name])
    return model


def test_likelihood_beside_the_original(vectors: np.ndarray):
    partitions = sweep(Descriptor("groups", vectors), {"gaussian_mixture": {"n_clusters": range(2, 9)}})
    gains = []
    for partition in partitions:
        original = GaussianMixture(partition.params["n_clusters"], random_state=0).fit(vectors)
        gains.append(_original(partition).score(vectors) - original.score(vectors))
    assert np.mean(gains) >= -1e-3  # each stops where a step gains less
    assert min(gains) > -0.1


def test_labels_and_confidence_are_those_of_the_mixture(vectors: np.ndarray):
    [partition] = sweep(Descriptor("groups", vectors), {"gaussian_mixture": {"n_clusters": 5}})
    posterior = _original(partition).predict_proba(vectors)[:, partition.state["cluster_component"]]
    np.testing.assert_array_equal(partition.labels, posterior.argmax(axis=1))
    np.testing.assert_allclose(partition.confidence, posterior.max(axis=1), atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_em_is_that_of_the_original(vectors: np.ndarray, dtype: type):
    labels = np.arange(len(vectors)) // 240
    rows = vectors.astype(dtype)
    fit = fit_mixture(rows, labels, n_clusters=5, tol=1e-7, max_iter=500)
    mixture = fit.mixture
    original = GaussianMixture(
        5,
        weights_init=mixture.weights / mixture.weights.sum(),
        means_init=mixture.means,
        precisions_init=mixture.precisions_cholesky @ mixture.precisions_cholesky.transpose(0, 2, 1),
        tol=1e-7,
        max_iter=500,
    ).fit(vectors.astype(np.float64))
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(original.score(vectors), rel=1e-5)
    np.testing.assert_allclose(mixture.means, original.means_, atol=0.02)


def test_a_step_over_blocks_is_a_step_over_all(vectors: np.ndarray):
    rows = vectors.astype(np.float64)
    mixture = fit_mixture(rows, np.arange(len(vectors)) % 3, n_clusters=3, max_iter=100).mixture
    whole = refine_mixture([rows], mixture, reg_covar=1e-6)
    parts = refine_mixture([rows[:100], rows[100:]], mixture, reg_covar=1e-6)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


def test_fitting_on_a_sample_is_recorded_and_nearly_as_good(vectors: np.ndarray):
    chain = NestedKMeans(Rows(vectors), random_state=0)
    whole, sampled = fit_rows(chain, n_clusters=5), fit_rows(chain, n_clusters=5, em_rows=600)
    assert whole.resolved == {}
    assert sampled.resolved == {"approximation": "EM to convergence on 600 of 1,200 images, then 2 steps on all"}
    assert sampled.log_likelihood > whole.log_likelihood - 0.1


def test_a_mixture_does_not_depend_on_the_rest_of_the_grid(vectors: np.ndarray):
    grid = {"kmeans": {"n_clusters": 4}, "gaussian_mixture": {"n_clusters": [6, 2]}}
    _, six, _ = sweep(Descriptor("groups", vectors), grid)
    [alone] = sweep(Descriptor("alone", vectors), {"gaussian_mixture": {"n_clusters": 6}})
    np.testing.assert_array_equal(six.labels, alone.labels)


def test_a_singular_covariance_says_what_to_do():
    flat = Descriptor("flat", np.hstack([np.eye(3)[np.arange(30) % 3] * 5, np.ones((30, 1))]))
    with pytest.raises(ValueError, match="Raise `reg_covar`"):
        sweep(flat, {"gaussian_mixture": {"n_clusters": 2, "reg_covar": 0.0}})
