"""Gaussian mixtures with full covariances: EM from a partition, at each step only where posteriors are not zero."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mixture", "MixtureFit", "fit_mixture", "log_densities", "posteriors", "refine_mixture"]

MAX_STALE_STEPS = 10
"""Most EM steps between two in which every component is compared with every row."""
NEGLIGIBLE = 1e-6
"""A posterior below this counts as zero until all are computed again."""

_LEAST_WEIGHT = 10 * np.finfo(np.float64).eps  # as in scikit-learn: a component without rows stays finite
_BLOCK_ROWS = 1024  # a block times a component's matrix stays in the processor's cache

Floats = NDArray[np.float64]
Vectors = NDArray[np.floating[Any]]
"""float32 is twice as fast and enough where no direction has a variance 10⁴ times below another's."""


class Mixture(NamedTuple):
    """Weights (k,), means (k, d) and upper triangular factors of the precisions (k, d, d), as scikit-learn has them."""

    weights: Floats
    means: Floats
    precisions_cholesky: Floats


class MixtureFit(NamedTuple):
    """A mixture, its mean log-likelihood per row, and the number of steps."""

    mixture: Mixture
    log_likelihood: float
    n_iter: int
    converged: bool


class Moments(NamedTuple):
    """Per component the weight of its rows, their weighted sum and scatter, both about given points."""

    weights: Floats
    sums: Floats
    scatters: Floats


def log_densities(vectors: Vectors, mixture: Mixture) -> Floats:
    """Return log weight plus log density of each component at each row, shape (k, n); O(n * k * d²)."""
    result = np.empty((len(mixture.weights), len(vectors)))
    for component, row in enumerate(result):
        row[:] = _log_density(vectors, None, component=_part(mixture, component))
    return result


def _part(mixture: Mixture, component: int) -> Mixture:
    """Return one component alone."""
    return Mixture(*(values[component] for values in mixture))


def _blocks(vectors: Vectors, rows: NDArray[np.int64] | None) -> Iterator[tuple[slice, Vectors]]:
    """Yield small blocks of the given rows, of all if None, with their places among them."""
    for start in range(0, len(vectors) if rows is None else len(rows), _BLOCK_ROWS):
        places = slice(start, start + _BLOCK_ROWS)
        yield places, vectors[places] if rows is None else vectors[rows[places]]


def _log_density(vectors: Vectors, rows: NDArray[np.int64] | None, *, component: Mixture) -> Floats:
    """Return log weight plus log density of one component at the given rows."""
    weight, mean, factor = component
    constant = np.log(weight) + np.log(np.diagonal(factor)).sum() - 0.5 * len(factor) * np.log(2 * np.pi)
    mean, factor = mean.astype(vectors.dtype), factor.astype(vectors.dtype)
    result = np.empty(len(vectors) if rows is None else len(rows))
    for places, block in _blocks(vectors, rows):
        scaled = (block - mean) @ factor
        result[places] = np.einsum("ij,ij->i", scaled, scaled)
    return constant - 0.5 * result


def posteriors(log_density: Floats) -> tuple[Floats, Floats]:
    """Return the posterior of each component, shape (k, n), and the log-likelihood of each row."""
    highest = log_density.max(axis=0)
    shares = np.exp(log_density - highest)
    total = shares.sum(axis=0)
    shares /= total
    return shares, highest + np.log(total)


def _add_moments(moments: Moments | None, vectors: Vectors, posterior: Floats, *, about: Floats) -> Moments:
    """Return the moments with those of further rows added."""
    n_clusters, n_features = about.shape
    if moments is None:
        moments = Moments(np.zeros(n_clusters), np.zeros(about.shape), np.zeros((n_clusters, n_features, n_features)))
    for component, point in enumerate(about):
        rows = np.flatnonzero(posterior[component] > NEGLIGIBLE)
        share, apart = posterior[component, rows], vectors[rows] - point.astype(vectors.dtype)
        moments.weights[component] += share.sum()
        moments.sums[component] += share @ apart
        moments.scatters[component] += (share.astype(vectors.dtype)[:, None] * apart).T @ apart
    return moments


def _mixture_of(moments: Moments, *, about: Floats, reg_covar: float) -> Mixture:
    """Return the mixture with these moments: the M-step."""
    weights = moments.weights + _LEAST_WEIGHT
    shifts = moments.sums / weights[:, None]
    covariances = moments.scatters / weights[:, None, None] - shifts[:, :, None] * shifts[:, None, :]
    return Mixture(weights / weights.sum(), about + shifts, np.stack([_factor(one, reg_covar) for one in covariances]))


def _factor(covariance: Floats, reg_covar: float) -> Floats:
    """Return the upper triangular U with U Uᵀ = precision."""
    from scipy.linalg import cholesky, solve_triangular

    identity = np.eye(len(covariance))
    try:
        lower = cholesky(covariance + reg_covar * identity, lower=True)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"A component's covariance is singular: its rows lie in a subspace or are too few for "
            f"{len(covariance)} features. Raise `reg_covar`, ask for fewer clusters, or reduce the features."
        ) from error
    return np.ascontiguousarray(solve_triangular(lower, identity, lower=True).T)


def fit_mixture(
    vectors: Vectors,
    labels: NDArray[np.integer],
    *,
    n_clusters: int,
    tol: float = 1e-3,
    max_iter: int = 100,
    reg_covar: float = 1e-6,
) -> MixtureFit:
    """Return the mixture to which EM converges from a partition.

    Between steps over all pairs of rows and components, a component sees the rows alone whose posterior was not
    negligible, which bounds the likelihood from below and still never lowers that bound. Converged where a step over
    all pairs gains less than `tol` per row. O(n * k * d²) for such a step, some O(n * d²) for the others.
    """
    members: list[NDArray[np.int64] | None] = [np.flatnonzero(labels == one) for one in range(n_clusters)]
    posterior = np.equal(labels, np.arange(n_clusters)[:, None]).astype(np.float64)
    reached, stale = -np.inf, MAX_STALE_STEPS
    for n_iter in range(1, max_iter + 1):
        mixture, log_density = _step(vectors, members, posterior=posterior, reg_covar=reg_covar)
        posterior, likelihood = posteriors(log_density)
        stale += 1
        full = all(rows is None for rows in members)
        if not full and (stale > MAX_STALE_STEPS or abs(likelihood.mean() - reached) < tol):
            posterior, likelihood = posteriors(log_densities(vectors, mixture))
            full = True
        if full:
            members, stale = [_members(row) for row in posterior], 0
        before, reached = reached, float(likelihood.mean())
        if full and abs(reached - before) < tol:
            mixture, _ = _step(vectors, members, posterior=posterior, reg_covar=reg_covar)
            return MixtureFit(mixture, reached, n_iter, converged=True)
    return MixtureFit(mixture, reached, n_iter, converged=False)


def _members(posterior: Floats) -> NDArray[np.int64] | None:
    """Return the rows that a component has a share in, None for all where they are most of them."""
    rows = np.flatnonzero(posterior > NEGLIGIBLE)
    return None if 2 * len(rows) > len(posterior) else rows


def _step(
    vectors: Vectors, members: list[NDArray[np.int64] | None], *, posterior: Floats, reg_covar: float
) -> tuple[Mixture, Floats]:
    """Return the mixture of the given posteriors, and its densities at each component's own rows alone."""
    log_density = np.full(posterior.shape, -np.inf)
    parts = []
    total = len(vectors) + _LEAST_WEIGHT * len(members)
    for component, rows in enumerate(members):
        shares = posterior[component] if rows is None else posterior[component, rows]
        weight, mean, covariance = _moments(vectors, rows, shares=shares)
        part = Mixture(np.asarray(weight / total), mean, _factor(covariance, reg_covar))
        parts.append(part)
        log_density[component, slice(None) if rows is None else rows] = _log_density(vectors, rows, component=part)
    return Mixture(*(np.stack(column) for column in zip(*parts, strict=True))), log_density


def _moments(vectors: Vectors, rows: NDArray[np.int64] | None, *, shares: Floats) -> tuple[float, Floats, Floats]:
    """Return weight, mean and covariance of rows with these shares."""
    n_features = vectors.shape[1]
    total, scatter = np.zeros(n_features), np.zeros((n_features, n_features))
    shares = shares.astype(vectors.dtype)
    weight = float(shares.sum(dtype=np.float64)) + _LEAST_WEIGHT
    for places, block in _blocks(vectors, rows):
        total += shares[places] @ block
    mean = total / weight
    center = mean.astype(vectors.dtype)
    for places, block in _blocks(vectors, rows):
        apart = block - center
        scatter += (shares[places, None] * apart).T @ apart
    return weight, mean, scatter / weight


def refine_mixture(blocks: Iterable[Vectors], mixture: Mixture, *, reg_covar: float) -> Mixture:
    """Return the mixture after one EM step over all rows, block by block; O(n * k * d²)."""
    moments = None
    for block in blocks:
        posterior, _ = posteriors(log_densities(block, mixture))
        moments = _add_moments(moments, block, posterior, about=mixture.means)
    if moments is None:
        raise ValueError("There are no rows.")
    return _mixture_of(moments, about=mixture.means, reg_covar=reg_covar)
