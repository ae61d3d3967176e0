"""Mixtures with full covariances: beside scikit-learn's, and what holds whatever the grid."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from veriwild_clustering import Descriptor, Partition, sweep
from veriwild_clustering.clustering.solvers.gaussian_em import Expectation, Mixture, one_step
from veriwild_clustering.clustering.solvers.mixture_fit import MixtureFitter
from veriwild_clustering.clustering.solvers.nested_mixtures import NestedMixtures, best_split
from veriwild_clustering.clustering.solvers.rows import Rows
from veriwild_clustering.clustering.solvers.threads import threads


@pytest.fixture
def vectors() -> np.ndarray:
    """Five elongated groups that overlap."""
    rng = np.random.default_rng(4)
    shapes = rng.normal(size=(5, 4, 4))
    groups = [3 * rng.normal(size=4) + rng.normal(size=(240, 4)) @ shape for shape in shapes]
    return np.concatenate(groups).astype(np.float32)


def _original(mixture: Mixture) -> GaussianMixture:
    """scikit-learn's mixture with these arrays."""
    model = GaussianMixture(len(mixture.weights))
    for name in Mixture._fields:
        setattr(model, f"{name}_", getattr(mixture, name))
    return model


def _of(partition: Partition) -> GaussianMixture:
    return _original(Mixture(*(partition.state[name] for name in Mixture._fields)))


def _from_labels(vectors: np.ndarray, labels: np.ndarray) -> Expectation:
    hot = labels == np.arange(labels.max() + 1)[:, None]
    return Expectation(vectors, hot.astype(vectors.dtype), reg_covar=1e-6)


def test_likelihood_beside_the_original(vectors: np.ndarray):
    partitions = sweep(Descriptor("groups", vectors), {"gaussian_mixture": {"n_clusters": range(2, 9)}})
    gains = []
    for partition in partitions:
        original = GaussianMixture(partition.params["n_clusters"], random_state=0).fit(vectors)
        gains.append(_of(partition).score(vectors) - original.score(vectors))
    assert np.mean(gains) >= 0
    assert min(gains) > -0.02


def test_labels_and_confidence_are_those_of_the_mixture(vectors: np.ndarray):
    [partition] = sweep(Descriptor("groups", vectors), {"gaussian_mixture": {"n_clusters": 5}})
    posterior = _of(partition).predict_proba(vectors)[:, partition.state["cluster_component"]]
    np.testing.assert_array_equal(partition.labels, posterior.argmax(axis=1))
    np.testing.assert_allclose(partition.confidence, posterior.max(axis=1), atol=1e-4)


@pytest.mark.parametrize("n_clusters", [3, 100])  # from the chain, and from scikit-learn
def test_log_likelihood_is_that_of_the_mixture(vectors: np.ndarray, n_clusters: int):
    fitted = MixtureFitter(Rows(vectors), 0).fit(n_clusters)
    assert fitted.log_likelihood == pytest.approx(_original(fitted.mixture).score(vectors.astype(float)), rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_em_is_that_of_the_original(vectors: np.ndarray, dtype: type):
    em = _from_labels(vectors.astype(dtype), np.arange(len(vectors)) // 240)
    assert em.converge(tol=1e-7, max_iter=500)
    original = GaussianMixture(
        5,
        weights_init=em.weights,
        means_init=em.means,
        precisions_init=np.linalg.inv(em.covariances),
        tol=1e-7,
        max_iter=500,
    ).fit(vectors.astype(np.float64))
    assert em.log_likelihood == pytest.approx(original.score(vectors), rel=1e-5)
    np.testing.assert_allclose(em.means, original.means_, atol=0.02)


def test_each_step_raises_the_likelihood_whichever_components_it_moves(vectors: np.ndarray):
    em = _from_labels(vectors.astype(np.float64), np.arange(len(vectors)) % 5)
    rng = np.random.default_rng(0)
    reached = em.log_likelihood
    for _ in range(40):
        em.step(rng.choice(5, size=rng.integers(1, 6), replace=False), everywhere=True)
        assert em.log_likelihood >= reached - 1e-9
        reached = em.log_likelihood


def test_densities_elsewhere_are_right_after_a_refresh(vectors: np.ndarray):
    vectors = vectors.astype(np.float64)
    em = _from_labels(vectors, np.arange(len(vectors)) // 240)
    for _ in range(3):
        em.step(range(5))
    em.refresh()
    expected = _original(em.mixture)
    assert em.log_likelihood == pytest.approx(expected.score(vectors))
    np.testing.assert_allclose(em.posterior.T, expected.predict_proba(vectors), atol=1e-8)


def test_likelihood_grows_along_the_chain(vectors: np.ndarray):
    chain = NestedMixtures(vectors - vectors.mean(axis=0), reg_covar=1e-6)
    reached = [chain.fit(n_clusters).log_likelihood for n_clusters in range(1, 9)]
    assert np.all(np.diff(reached) > 0)


def test_best_split_parts_two_groups_and_leaves_too_few_rows_alone():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(150, 3)), rng.normal(size=(50, 3)) + np.array([6, 0, 0])])
    found = best_split(rows, reg_covar=1e-6, least_rows=8)
    assert found.gain > 0.3
    assert sorted(np.bincount(found.halves.posterior.argmax(axis=0))) == [50, 150]
    assert best_split(rows[:15], reg_covar=1e-6, least_rows=8).halves is None


def test_a_core_within_a_halo_is_found():
    rng = np.random.default_rng(1)
    rows = np.concatenate([rng.normal(size=(900, 6)), 5 * rng.normal(size=(300, 6))])
    em = NestedMixtures(rows, reg_covar=1e-6).fit(2)
    np.testing.assert_allclose(sorted(em.weights), [0.25, 0.75], atol=0.03)


def test_a_step_over_blocks_is_the_step_over_all(vectors: np.ndarray):
    rows = vectors.astype(np.float64)
    em = _from_labels(rows, np.arange(len(vectors)) % 3)
    whole = one_step([rows], em.mixture, reg_covar=1e-6)
    parts = one_step([rows[:100], rows[100:]], em.mixture, reg_covar=1e-6)
    em.step(range(3))
    for one, other, expected in zip(whole, parts, em.mixture, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(one, expected, rtol=1e-8, atol=1e-8)


def test_threads_change_nothing(vectors: np.ndarray):
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"), threads():
            found.append(NestedMixtures(vectors, reg_covar=1e-6).fit(4).means)
    np.testing.assert_array_equal(*found)


def test_fitting_on_a_sample_is_recorded_and_nearly_as_good(vectors: np.ndarray):
    rows = Rows(vectors)
    whole, sampled = MixtureFitter(rows, 0).fit(5), MixtureFitter(rows, 0, em_rows=600).fit(5)
    assert whole.resolved == {}
    assert sampled.resolved == {"approximation": "EM to convergence on 600 of 1,200 images, then a step on all"}
    assert sampled.log_likelihood > whole.log_likelihood - 0.1


@pytest.mark.parametrize("numbers", [[6, 2], [2, 70, 4]])
def test_a_mixture_does_not_depend_on_the_rest_of_the_grid(vectors: np.ndarray, numbers: list[int]):
    grid = {"kmeans": {"n_clusters": 4}, "gaussian_mixture": {"n_clusters": numbers, "reg_covar": 0.01}}
    _, *together = sweep(Descriptor("groups", vectors[:, :2]), grid)
    assert [partition.params["n_clusters"] for partition in together] == numbers
    for partition in together[1:]:
        alone = {**grid["gaussian_mixture"], "n_clusters": partition.params["n_clusters"]}
        [alone] = sweep(Descriptor("alone", vectors[:, :2]), {"gaussian_mixture": alone})
        np.testing.assert_array_equal(partition.labels, alone.labels)


def test_too_few_rows_for_the_chain_are_left_to_the_original(vectors: np.ndarray):
    few = vectors[::20]
    [partition] = sweep(Descriptor("few", few), {"gaussian_mixture": {"n_clusters": 4}}, random_state=3)
    expected = GaussianMixture(4, random_state=3).fit(few.astype(np.float64))
    assert _of(partition).score(few) == pytest.approx(expected.score(few.astype(np.float64)), rel=1e-3)


def test_a_finer_tolerance_goes_on_from_the_chain(vectors: np.ndarray):
    fitter = MixtureFitter(Rows(vectors), 0)
    assert fitter.fit(6, tol=1e-7, max_iter=1000).log_likelihood > fitter.fit(6).log_likelihood
    with pytest.warns(ConvergenceWarning, match="did not converge in 1 steps"):
        fitter.fit(6, tol=1e-9, max_iter=1)


@pytest.mark.parametrize("n_rows", [30, 300])
def test_a_singular_covariance_says_what_to_do(n_rows: int):
    flat = Descriptor("flat", np.hstack([np.eye(3)[np.arange(n_rows) % 3] * 5, np.ones((n_rows, 1))]))
    with pytest.raises(ValueError, match="increase reg_covar"):
        sweep(flat, {"gaussian_mixture": {"n_clusters": 2, "reg_covar": 0.0}})
