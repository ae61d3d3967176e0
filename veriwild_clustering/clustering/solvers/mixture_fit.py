"""A Gaussian mixture of all rows: EM to convergence on as many as are enough, then steps over all of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.solvers.gaussian_em import (
    Mixture,
    fit_mixture,
    log_densities,
    posteriors,
    refine_mixture,
)
from veriwild_clustering.clustering.solvers.mixture_start import start_labels
from veriwild_clustering.clustering.solvers.nested_kmeans import NestedKMeans
from veriwild_clustering.clustering.solvers.rows import Rows

__all__ = ["EM_ROWS", "FittedRows", "fit_rows"]

EM_ROWS = 50_000
"""Rows on which EM runs to convergence; if there are more, `ALL_STEPS` steps over all rows follow."""
ALL_STEPS = 2


class FittedRows(NamedTuple):
    """A mixture with each row's most probable component, its posterior, and the mean log-likelihood per row."""

    mixture: Mixture
    labels: NDArray[np.int32]
    posterior: NDArray[np.float32]
    log_likelihood: float
    resolved: dict[str, Any]


def fit_rows(
    chain: NestedKMeans,
    *,
    n_clusters: int,
    tol: float = 1e-3,
    max_iter: int = 100,
    reg_covar: float = 1e-6,
    em_rows: int = EM_ROWS,
) -> FittedRows | None:
    """Return a mixture of the chain's rows, or None if there are too few distinct ones for the chain.

    Warns as scikit-learn does if EM does not converge within `max_iter` steps.
    """
    rows = chain.rows
    part = chain.sample(em_rows) if em_rows < rows.n_rows else rows
    vectors = np.concatenate([block.T for _, block in part.blocks()])
    offset = part.mean - rows.mean
    dtype = _precision(vectors)
    vectors = (vectors + offset.astype(np.float32)).astype(dtype)
    labels = start_labels(chain, part, n_clusters=n_clusters, vectors=vectors, reg_covar=reg_covar)
    if labels is None:
        return None
    fit = fit_mixture(vectors, labels, n_clusters=n_clusters, tol=tol, max_iter=max_iter, reg_covar=reg_covar)
    if not fit.converged:
        from sklearn.exceptions import ConvergenceWarning

        warnings.warn(
            f"EM did not converge in {max_iter} steps: raise `max_iter` or `tol`, or look at the data.",
            ConvergenceWarning,
            stacklevel=2,
        )
    mixture, resolved = fit.mixture, {}
    if part is not rows:
        for _ in range(ALL_STEPS):
            mixture = refine_mixture(_centred(rows, dtype), mixture, reg_covar=reg_covar)
        resolved["approximation"] = (
            f"EM to convergence on {part.n_rows:,} of {rows.n_rows:,} images, then {ALL_STEPS} steps on all"
        )
    found, posterior, likelihood = [], [], 0.0
    for block in _centred(rows, dtype):
        shares, each = posteriors(log_densities(block, mixture))
        found.append(shares.argmax(axis=0).astype(np.int32))
        posterior.append(shares.max(axis=0).astype(np.float32))
        likelihood += float(each.sum())
    mixture = mixture._replace(means=mixture.means + rows.mean)
    return FittedRows(mixture, np.concatenate(found), np.concatenate(posterior), likelihood / rows.n_rows, resolved)


def _precision(vectors: NDArray[np.float32]) -> type[np.float32] | type[np.float64]:
    """Return float32 where no direction has a variance far below another's, else float64."""
    variances = np.linalg.eigvalsh(np.cov(vectors, rowvar=False, dtype=np.float64).reshape(vectors.shape[1], -1))
    return np.float32 if variances[0] > 1e-4 * variances[-1] else np.float64


def _centred(rows: Rows, dtype: type[np.floating[Any]]) -> Iterator[NDArray[np.floating[Any]]]:
    """Yield blocks of the centred rows, rows first."""
    for _, block in rows.blocks():
        yield np.ascontiguousarray(block.T, dtype=dtype)
