"""Gaussian mixtures with full covariances: EM steps of those components alone that still move, on their own rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.solvers.threads import each

__all__ = ["Expectation", "Mixture", "component_factor", "log_density", "one_step", "posteriors"]

NEGLIGIBLE = 1e-6
"""A posterior below this counts as zero until all are computed again."""
STILL = 3e-3
"""A component rests when its posteriors change by less than this share of its weight."""

_LEAST_WEIGHT = 10 * np.finfo(np.float64).eps  # as in scikit-learn: a component without rows stays finite
_BLOCK_ROWS = 1024  # a block times a component's matrix stays in the processor's cache

Floats = NDArray[np.float64]
Vectors = NDArray[np.floating[Any]]
"""float32 is twice as fast and enough where no direction has a variance 10⁴ times below another's."""
Rows = NDArray[np.int64] | slice


class Mixture(NamedTuple):
    """Weights (k,), means (k, d) and upper triangular factors of the precisions (k, d, d), as scikit-learn has them."""

    weights: Floats
    means: Floats
    precisions_cholesky: Floats

    def log_densities(self, vectors: Vectors) -> Vectors:
        """Return log weight plus log density of each component at each row, shape (k, n); O(n * k * d²)."""
        parts = zip(self.means, self.precisions_cholesky, strict=True)
        found = each(lambda part: log_density(vectors, slice(None), mean=part[0], factor=part[1]), parts)
        return np.stack(found) + np.log(self.weights).astype(vectors.dtype)[:, None]


def _blocks(vectors: Vectors, rows: Rows) -> Iterator[tuple[slice, Vectors]]:
    """Yield small blocks of the given rows with their places among them."""
    for start in range(0, len(vectors) if isinstance(rows, slice) else len(rows), _BLOCK_ROWS):
        places = slice(start, start + _BLOCK_ROWS)
        yield places, vectors[places if isinstance(rows, slice) else rows[places]]


def log_density(vectors: Vectors, rows: Rows, *, mean: Floats, factor: Floats) -> Vectors:
    """Return the log density of one Gaussian at the given rows."""
    constant = np.log(np.diagonal(factor)).sum() - 0.5 * len(factor) * np.log(2 * np.pi)
    offset, scale = (mean @ factor).astype(vectors.dtype), factor.astype(vectors.dtype)
    result = np.empty(len(vectors) if isinstance(rows, slice) else len(rows), dtype=vectors.dtype)
    for places, block in _blocks(vectors, rows):
        scaled = block @ scale
        scaled -= offset
        result[places] = np.einsum("ij,ij->i", scaled, scaled)
    result *= -0.5
    result += vectors.dtype.type(constant)
    return result


def posteriors(log_densities: Vectors) -> tuple[Vectors, Vectors]:
    """Return the posterior of each component, shape (k, n), and the log-likelihood of each row."""
    highest = log_densities.max(axis=0)
    shares = np.exp(log_densities - highest)
    total = shares.sum(axis=0)
    shares /= total
    return shares, highest + np.log(total)


def _members(posterior: Vectors) -> Rows:
    """Return the rows that a component has a share in, all of them where they are most."""
    rows = np.flatnonzero(posterior > NEGLIGIBLE)
    return slice(None) if 2 * len(rows) > len(posterior) else rows


class Moments(NamedTuple):
    """Weight of a component's rows, their weighted sum and scatter, both about a given point."""

    weight: float
    total: Floats
    scatter: Floats

    def plus(self, other: Moments) -> Moments:
        """Return the moments of these rows and others."""
        return Moments(self.weight + other.weight, self.total + other.total, self.scatter + other.scatter)

    def gaussian(self, about: Floats, reg_covar: float) -> tuple[Floats, Floats]:
        """Return mean and covariance."""
        weight = self.weight + _LEAST_WEIGHT
        shift = self.total / weight
        covariance = self.scatter / weight - np.outer(shift, shift)
        covariance[np.diag_indices_from(covariance)] += reg_covar
        return about + shift, covariance


def _moments(vectors: Vectors, posterior: Vectors, *, rows: Rows, about: Floats) -> Moments:
    """Return the moments of the given rows."""
    n_features = vectors.shape[1]
    total, scatter = np.zeros(n_features), np.zeros((n_features, n_features))
    shares, point = posterior[rows], about.astype(vectors.dtype)
    for places, block in _blocks(vectors, rows):
        apart = block - point
        shared = shares[places, None] * apart
        total += shared.sum(axis=0)
        scatter += shared.T @ apart
    shift = about - point  # what rounding the point has left out
    weight = float(shares.sum(dtype=np.float64))
    cross = np.outer(total, shift)
    scatter -= cross + cross.T - weight * np.outer(shift, shift)
    return Moments(weight, total - weight * shift, scatter)


def component_factor(covariance: Floats) -> Floats:
    """Return the upper triangular U with U Uᵀ = precision; raises numpy.linalg.LinAlgError if there is none."""
    from scipy.linalg import cholesky, solve_triangular

    lower = cholesky(covariance, lower=True)
    return np.ascontiguousarray(solve_triangular(lower, np.eye(len(covariance)), lower=True).T)


class Expectation:
    """A mixture with the posteriors of rows, which EM improves in place, some components at a time.

    A step moves the parameters of the components asked for to the optimum given all posteriors, then computes the
    posteriors again, which never lowers the likelihood [1]_. Densities are computed at the rows alone whose posterior
    was not negligible; at the others they are those of an earlier step until `refresh`.

    Parameters
    ----------
    vectors : array of shape (n, d)
        The rows, centred.
    posterior : array of shape (k, n)
        Shares of the components, of the type of the vectors.
    reg_covar : float
        Added to the variances.

    Raises
    ------
    numpy.linalg.LinAlgError
        Here and in each step, if a covariance is singular.

    References
    ----------
    .. [1] Neal, R. M., Hinton, G. E. (1998). A view of the EM algorithm that justifies incremental, sparse, and other
       variants. doi:10.1007/978-94-011-5014-9_12
    """

    def __init__(self, vectors: Vectors, posterior: Vectors, *, reg_covar: float) -> None:
        self.vectors, self.posterior, self.reg_covar = vectors, posterior, reg_covar
        n_clusters, n_features = len(posterior), vectors.shape[1]
        weights = posterior.sum(axis=1, dtype=np.float64) + _LEAST_WEIGHT
        self.means = (posterior @ vectors) / weights[:, None]
        self.covariances = np.empty((n_clusters, n_features, n_features))
        self.factors = np.empty_like(self.covariances)
        self.densities = np.empty_like(posterior)
        self.stale = np.ones(n_clusters, dtype=bool)
        self.log_likelihood = self.gain = -np.inf
        self.step(range(n_clusters), everywhere=True)

    def copy(self) -> Expectation:
        """Return one that may be improved without this one."""
        other = copy(self)
        for name in ("means", "covariances", "factors", "densities", "stale"):
            setattr(other, name, getattr(self, name).copy())
        return other

    @property
    def mixture(self) -> Mixture:
        """The mixture alone."""
        return Mixture(self.weights, self.means.copy(), self.factors.copy())

    def step(self, components: Sequence[int] | NDArray[np.int64], *, everywhere: bool = False) -> Floats:
        """Make an EM step of some components; return by what share of its weight each one's posteriors changed."""

        def move(component: int) -> None:
            rows = _members(self.posterior[component])
            about = self.means[component]
            found = _moments(self.vectors, self.posterior[component], rows=rows, about=about)
            self.place(component, *found.gaussian(about, self.reg_covar), rows=slice(None) if everywhere else rows)

        each(move, components)
        self.weights = self.posterior.sum(axis=1, dtype=np.float64) + _LEAST_WEIGHT
        self.weights /= self.weights.sum()
        return self.expect()

    def place(self, component: int, mean: Floats, covariance: Floats, *, rows: Rows = slice(None)) -> None:
        """Give a component its parameters, and compute its density at the rows."""
        self.means[component], self.covariances[component] = mean, covariance
        self.factors[component] = component_factor(covariance)
        self._evaluate(component, rows)

    def _evaluate(self, component: int, rows: Rows) -> None:
        mean, factor = self.means[component], self.factors[component]
        self.densities[component, rows] = log_density(self.vectors, rows, mean=mean, factor=factor)
        self.stale[component] = not isinstance(rows, slice)

    def expect(self) -> Floats:
        """Compute the posteriors; return by what share of its weight each component's have changed."""
        before, reached = self.posterior, self.log_likelihood
        self.posterior, likelihood = posteriors(self.densities + np.log(self.weights).astype(before.dtype)[:, None])
        self.log_likelihood = float(likelihood.mean(dtype=np.float64))
        self.gain = self.log_likelihood - reached
        change = np.abs(self.posterior - before).sum(axis=1, dtype=np.float64)
        return change / (self.weights * before.shape[1])

    def refresh(self) -> None:
        """Compute the densities where they are those of an earlier step."""
        each(lambda component: self._evaluate(component, slice(None)), np.flatnonzero(self.stale))
        gain = self.gain
        self.expect()
        self.gain += gain  # that of the step and of what it had left out

    def settle(self, components: Sequence[int] | NDArray[np.int64], *, tol: float, max_iter: int) -> None:
        """Make steps of the components that still move, starting with the given ones, until they gain less than tol."""
        for step in range(max_iter):
            change = self.step(components, everywhere=step == 0)
            components = np.flatnonzero(change > STILL)
            if len(components) == 0 or (step and self.gain < tol):
                return

    def converge(self, *, tol: float, max_iter: int) -> bool:
        """Make steps of all components until one gains less than `tol` per row; tell whether one did."""
        self.refresh()
        for _ in range(max_iter):
            self.step(range(len(self.posterior)))
            if self.gain < tol:
                self.refresh()
                if self.gain < tol:
                    return True
        self.refresh()
        return False


def one_step(blocks: Iterable[Vectors], mixture: Mixture, *, reg_covar: float) -> Mixture:
    """Return the mixture after one EM step over all rows, block by block; O(n * k * d²)."""
    totals: list[Moments] | None = None
    for block in blocks:
        shares, _ = posteriors(mixture.log_densities(block))
        parts = list(zip(shares, mixture.means, strict=True))
        found = each(lambda part: _moments(block, part[0], rows=_members(part[0]), about=part[1]), parts)  # noqa: B023
        if totals is not None:
            found = [one.plus(other) for one, other in zip(totals, found, strict=True)]
        totals = found
    if totals is None:
        raise ValueError("There are no rows.")
    gaussians = [part.gaussian(mean, reg_covar) for part, mean in zip(totals, mixture.means, strict=True)]
    means, covariances = (np.stack(column) for column in zip(*gaussians, strict=True))
    weights = np.array([part.weight for part in totals]) + _LEAST_WEIGHT
    return Mixture(weights / weights.sum(), means, np.stack([component_factor(one) for one in covariances]))
