"""Mean, variances and covariance of rows from one pass: all that scaling and PCA need to know of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.descriptors.streaming.affine import Affine, is_scaler

__all__ = ["Moments", "fit_from_moments", "fits_from_moments", "is_exact_pca"]

Floats = NDArray[np.float64]

_EXACT_SOLVERS = {"auto", "full", "covariance_eigh"}


@dataclass(frozen=True, eq=False)
class Moments:
    """What one pass over rows leaves of them.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    mean, variance : array of shape (n_features,), float64
        Of each column; the variance is divided by `n_rows`.
    covariance : array of shape (n_features, n_features), float64, optional
        Divided by `n_rows`.
    deviations : array of shape (n_rows, n_features), float64, optional
        The rows less their mean, kept in place of the covariance where they are fewer than the columns.
    """

    n_rows: int
    mean: Floats
    variance: Floats
    _: KW_ONLY
    covariance: Floats | None = None
    deviations: Floats | None = None

    @classmethod
    def of(cls, blocks: Iterable[NDArray[np.float32]], *, covariance: bool) -> Moments:
        """Return the moments of the rows in `blocks`: O(n d²) with the covariance, O(n d) without.

        Products are summed in float64: those of float32 would lose the small variances, and the axes with them.
        """
        n_rows, shift, total, squares = 0, np.zeros(0), np.zeros(0), np.zeros(0)
        for block in blocks:
            if not n_rows:
                shift = _rough_mean(block)
                total = np.zeros_like(shift)
                squares = np.zeros((len(shift), len(shift)), order="F") if covariance else np.zeros_like(shift)
            rows = block - shift
            n_rows += len(rows)
            total += rows.sum(axis=0)
            squares = _products(rows, squares) if covariance else squares + np.einsum("ij,ij->j", rows, rows)
        drift = total / n_rows
        if not covariance:
            return cls(n_rows, shift + drift, squares / n_rows - drift**2)
        spread = np.triu(squares)
        spread += np.triu(squares, 1).T
        spread /= n_rows
        spread -= np.outer(drift, drift)
        return cls(n_rows, shift + drift, spread.diagonal().copy(), covariance=spread)

    @classmethod
    def of_few(cls, matrix: NDArray[np.float32]) -> Moments:
        """Return the moments of a matrix with fewer rows than columns."""
        shift = _rough_mean(matrix)
        deviations = matrix - shift
        drift = deviations.mean(axis=0)
        deviations -= drift
        return cls(len(matrix), shift + drift, (deviations**2).mean(axis=0), deviations=deviations)

    @classmethod
    def side_by_side(cls, parts: Sequence[Moments]) -> Moments:
        """Return means and variances of the same rows in several matrices beside each other."""
        mean, variance = (np.concatenate([getattr(part, name) for part in parts]) for name in ("mean", "variance"))
        return cls(parts[0].n_rows, mean, variance)

    @cached_property
    def axes(self) -> tuple[Floats, Floats]:
        """Variances along the principal axes, largest first and divided by n_rows − 1, and the axes, one per row.

        As many as rows or columns, whichever are fewer; signs as scikit-learn's PCA chooses them.
        """
        from scipy.linalg import eigh, svd
        from sklearn.utils.extmath import svd_flip

        if self.deviations is not None:
            _, lengths, axes = svd(self.deviations, full_matrices=False, check_finite=False)
            variances = lengths**2 / (self.n_rows - 1)
        else:
            variances, columns = eigh(np.asarray(self.covariance), check_finite=False)
            axes = np.ascontiguousarray(columns.T[::-1])
            # Rounding may take a variance of 0 below it.
            variances = np.maximum(variances[::-1], 0) * self.n_rows / (self.n_rows - 1)
        return variances, svd_flip(None, axes, u_based_decision=False)[1]

    @cached_property
    def standardized(self) -> Moments:
        """The moments of the rows once a `StandardScaler` has scaled them; remembered, as its axes are."""
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler()
        fit_from_moments(scaler, self)
        return self._mapped(Affine.of(scaler))

    def after(self, step: Any) -> Moments:
        """Return the moments of the rows once a fitted scaler or projection has been applied."""
        from sklearn.preprocessing import StandardScaler

        if type(step) is StandardScaler and step.with_mean and step.with_std:
            return self.standardized
        return self._mapped(Affine.of(step))

    def _mapped(self, step: Affine) -> Moments:
        weights, diagonal = step.weights, step.weights.ndim == 1
        covariance: Any = self.covariance
        deviations: Any = self.deviations
        if deviations is not None:
            deviations = deviations * weights if diagonal else deviations @ weights
        if covariance is not None:
            covariance = weights[:, None] * covariance * weights if diagonal else weights.T @ covariance @ weights
        centred = self.mean - step.center
        mean = (centred * weights if diagonal else centred @ weights) + step.offset
        if diagonal:
            variance = self.variance * weights**2
        else:
            variance = covariance.diagonal() if deviations is None else (deviations**2).mean(axis=0)
        return Moments(self.n_rows, mean, variance, covariance=covariance, deviations=deviations)


def is_exact_pca(step: Any) -> bool:
    """Tell whether a transformer is a PCA that moments determine."""
    from sklearn.decomposition import PCA

    return type(step) is PCA and step.svd_solver in _EXACT_SOLVERS and step.n_components != "mle"


def fits_from_moments(step: Any, n_rows: int, n_features: int) -> bool:
    """Tell whether moments of so many rows can fit a transformer; a PCA that scikit-learn would refuse they cannot."""
    if not is_exact_pca(step):
        return is_scaler(step)
    wanted = step.n_components
    if isinstance(wanted, (int, np.integer)):
        return not isinstance(wanted, bool) and 1 <= int(wanted) <= min(n_rows, n_features)
    return wanted is None or (isinstance(wanted, (float, np.floating)) and 0 < float(wanted) < 1)


def fit_from_moments(step: Any, moments: Moments) -> None:
    """Fit a `StandardScaler`, a `BlockScaler` or a `PCA` to rows of which only the moments are given."""
    if is_scaler(step):
        # Two rows with the mean and the variances of all of them: the scaler needs to know no more.
        deviation = np.sqrt(moments.variance)
        step.fit(np.stack([moments.mean - deviation, moments.mean + deviation]))
        if hasattr(step, "n_samples_seen_"):
            step.n_samples_seen_ = np.int64(moments.n_rows)
        return
    variances, axes = moments.axes
    kept = _n_components(step.n_components, variances)
    fitted = {
        "components_": axes[:kept].copy(),
        "explained_variance_": variances[:kept].copy(),
        "explained_variance_ratio_": variances[:kept] / variances.sum(),
        "singular_values_": np.sqrt(variances[:kept] * (moments.n_rows - 1)),
        "noise_variance_": variances[kept:].mean() if kept < len(variances) else 0.0,
        "mean_": moments.mean.copy(),
        "n_components_": kept,
        "n_samples_": moments.n_rows,
        "n_features_in_": len(moments.mean),
        "_fit_svd_solver": "covariance_eigh",
    }
    vars(step).update(fitted)


def _n_components(wanted: int | float | None, variances: Floats) -> int:
    """Return a number of components: given, all, or as few as explain more than a share of the variance."""
    if wanted is None:
        return len(variances)
    if wanted >= 1:
        return int(wanted)
    explained = np.cumsum(variances / variances.sum())
    return min(int(np.searchsorted(explained, wanted, side="right")) + 1, len(variances))


def _rough_mean(block: NDArray[np.float32]) -> Floats:
    """Return what rows are shifted by, so that a large mean takes no digits from their variances.

    A mean in float32: the deviations of a constant column are then exactly 0.
    """
    return block.mean(axis=0, dtype=np.float64).astype(np.float32).astype(np.float64)


def _products(rows: Floats, squares: Floats) -> Floats:
    """Add the products of the columns of `rows` to the upper triangle of `squares`, in place."""
    from scipy.linalg.blas import dsyrk

    return np.asarray(dsyrk(1.0, rows.T, beta=1.0, c=squares, overwrite_c=True))
