"""A Gaussian mixture of all rows: EM to convergence on as many as are enough, then a step over all of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.solvers.gaussian_em import Mixture, Vectors, one_step, posteriors
from veriwild_clustering.clustering.solvers.nested_mixtures import NestedMixtures
from veriwild_clustering.clustering.solvers.rows import Rows
from veriwild_clustering.clustering.solvers.threads import threads
from veriwild_clustering.core.progress import track

__all__ = ["EM_ROWS", "FittedRows", "MixtureFitter"]

EM_ROWS = 50_000
"""Rows on which EM runs to convergence; if there are more, one step over all rows follows."""
ROWS_PER_FEATURE = 6
"""Rows per component and feature below which the mixture of a small data set is scikit-learn's."""

_MAX_BYTES = 2**28  # the sample grows with the number of components up to here


class FittedRows(NamedTuple):
    """A mixture with each row's most probable component, its posterior, and the mean log-likelihood per row."""

    mixture: Mixture
    labels: NDArray[np.int32]
    posterior: NDArray[np.float32]
    log_likelihood: float
    resolved: dict[str, Any]


class MixtureFitter:
    """Mixtures of the same rows for any number of components.

    Parameters
    ----------
    rows : Rows
        The rows.
    random_state : int
        Seed of the sample on which EM runs.
    reg_covar : float
        Added to the variances.
    em_rows : int
        Size of that sample; doubled while it has too few rows per component.
    """

    def __init__(self, rows: Rows, random_state: int, *, reg_covar: float = 1e-6, em_rows: int = EM_ROWS) -> None:
        self.rows, self.random_state = rows, random_state
        self.reg_covar, self.em_rows = reg_covar, em_rows
        self._chains: dict[int, NestedMixtures] = {}

    def fit(self, n_clusters: int, *, tol: float = 1e-3, max_iter: int = 100) -> FittedRows:
        """Return a mixture; cheapest if the numbers of components are asked for in ascending order.

        Where rows are too few for the chain the mixture is scikit-learn's. Warns as scikit-learn does if EM does not
        converge within `max_iter` steps.
        """
        with threads():
            chain = self._chain(n_clusters)
            n_sampled, dtype = len(chain.vectors), chain.vectors.dtype.type
            mixture, resolved = self._grown(chain, n_clusters, tol=tol, max_iter=max_iter), {}
            if mixture is None:
                mixture, dtype = self._original(chain.vectors, n_clusters, tol=tol, max_iter=max_iter), np.float64
            if n_sampled < self.rows.n_rows:
                blocks = track(_centred(self.rows, dtype), description="A step over all images")
                mixture = one_step(blocks, mixture, reg_covar=self.reg_covar)
                resolved["approximation"] = (
                    f"EM to convergence on {n_sampled:,} of {self.rows.n_rows:,} images, then a step on all"
                )
            return _placed(self.rows, mixture, dtype=dtype)._replace(resolved=resolved)

    def _grown(self, chain: NestedMixtures, n_clusters: int, *, tol: float, max_iter: int) -> Mixture | None:
        """Return the mixture of the chain, or None where rows are too few for it."""
        if len(chain.vectors) < min(self.em_rows, self._enough(n_clusters)):
            return None
        link = chain.fit(n_clusters)
        if link is None:
            return None
        if link.gain < tol:
            return link.mixture
        link = link.copy()
        if not link.converge(tol=tol, max_iter=max_iter):
            from sklearn.exceptions import ConvergenceWarning

            warnings.warn(
                f"EM did not converge in {max_iter} steps: raise `max_iter` or `tol`, or look at the data.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return link.mixture

    def _original(self, vectors: Vectors, n_clusters: int, *, tol: float, max_iter: int) -> Mixture:
        """Return the mixture that scikit-learn finds."""
        from sklearn.mixture import GaussianMixture

        settings = {"tol": tol, "max_iter": max_iter, "reg_covar": self.reg_covar, "random_state": self.random_state}
        model = GaussianMixture(n_clusters, **settings).fit(vectors.astype(np.float64))
        return Mixture(model.weights_, model.means_, model.precisions_cholesky_)

    def _enough(self, n_clusters: int) -> int:
        """Return how many rows so many components need to be told apart by more than chance."""
        return ROWS_PER_FEATURE * self.rows.vectors.shape[1] * n_clusters

    def _chain(self, n_clusters: int) -> NestedMixtures:
        """Return the chain of the smallest sample that is large enough."""
        n_features, size = self.rows.vectors.shape[1], self.em_rows
        while size < self._enough(n_clusters) and 8 * size * n_features <= _MAX_BYTES:
            size *= 2
        if size not in self._chains:
            part = self.rows.sample(size, self.random_state)
            vectors = np.concatenate([block for _, block in part.blocks()])
            self._chains[size] = NestedMixtures(vectors.astype(_precision(vectors), copy=False), self.reg_covar)
        return self._chains[size]


def _precision(vectors: NDArray[np.float32]) -> type[np.float32] | type[np.float64]:
    """Return float32 where no direction has a variance far below another's, else float64."""
    variances = np.linalg.eigvalsh(np.cov(vectors, rowvar=False, dtype=np.float64).reshape(vectors.shape[1], -1))
    return np.float32 if variances[0] > 1e-4 * variances[-1] else np.float64


def _centred(rows: Rows, dtype: type[np.floating[Any]]) -> Iterator[Vectors]:
    """Yield blocks of the centred rows."""
    for _, block in rows.blocks():
        yield block.astype(dtype, copy=False)


def _placed(rows: Rows, mixture: Mixture, *, dtype: type[np.floating[Any]]) -> FittedRows:
    """Return what the mixture says of each row, with the means where the rows were before they were centred."""
    labels, highest = np.empty(rows.n_rows, dtype=np.int32), np.empty(rows.n_rows, dtype=np.float32)
    likelihood, start = 0.0, 0
    for block in _centred(rows, dtype):
        places = slice(start, start := start + len(block))
        shares, each = posteriors(mixture.log_densities(block))
        labels[places] = shares.argmax(axis=0)
        highest[places] = np.take_along_axis(shares, labels[None, places], axis=0)[0]
        likelihood += float(each.sum(dtype=np.float64))
    moved = mixture._replace(means=mixture.means + rows.mean)
    return FittedRows(moved, labels, highest, likelihood / rows.n_rows, {})
