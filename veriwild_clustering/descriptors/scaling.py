"""Scaling blocks of columns so that each has the share of the total variance that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["BlockScaler", "shares"]

_BLOCK_ROWS = 8192
_ROUNDING = 1e-24  # variance / mean² that float64 sums of a constant column may show


class BlockScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Scale blocks of columns so that each holds a given share of the total variance.

    A block is multiplied by sqrt(weight / V), V being the sum of its columns' variances, so the squared distance
    of two rows becomes the weighted sum of the blocks' normalised squared distances, ||x - y||² / V.

    Parameters
    ----------
    block_sizes : sequence of int, optional
        Number of columns of each block, from left to right; by default all columns are one block.
    weights : sequence of float, optional
        Share of each block, not negative; normalised to sum 1. Equal by default.

    Attributes
    ----------
    weights_ : array of shape (n_blocks,), float64
        The normalised weights.
    scale_ : array of shape (n_features,), float64
        The factor of each column.
    n_features_in_ : int
        Number of columns seen by `fit`.

    Raises
    ------
    ValueError
        If sizes and weights do not fit the data, or a block with a positive weight is constant: it has no
        distances to scale, so its weight would silently be lost.

    Notes
    -----
    O(n_rows * n_features). Columns are not centred, since distances do not see their means.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import BlockScaler
    >>> X = np.array([[0.0, 0.0, 5.0], [2.0, 20.0, 5.5]])
    >>> BlockScaler([2, 1], weights=[3, 1]).fit(X).weights_
    array([0.75, 0.25])
    """

    def __init__(self, block_sizes: Sequence[int] | None = None, weights: Sequence[float] | None = None) -> None:
        self.block_sizes = block_sizes
        self.weights = weights

    def fit(self, X: ArrayLike, y: Any = None) -> BlockScaler:  # noqa: ARG002 (scikit-learn's signature)
        """Learn the scale of each block from the rows of `X`; `y` is ignored."""
        from sklearn.preprocessing import StandardScaler

        matrix = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        sizes = self._checked_sizes(matrix.shape[1])
        self.weights_ = shares(self.weights, len(sizes))
        moments = StandardScaler()
        for rows in gen_batches(len(matrix), _BLOCK_ROWS):
            moments.partial_fit(matrix[rows])
        starts = np.cumsum([0, *sizes[:-1]])
        totals = np.add.reduceat(moments.var_, starts)
        totals[totals <= _ROUNDING * np.add.reduceat(moments.mean_**2, starts)] = 0
        constant = np.flatnonzero((totals == 0) & (self.weights_ > 0))
        if len(constant):
            raise ValueError(
                f"Block {constant[0]} is constant, so it cannot carry a weight of {self.weights_[constant[0]]:.3g}. "
                f"Leave it out or give it the weight 0."
            )
        scales = np.sqrt(np.divide(self.weights_, totals, out=np.zeros(len(sizes)), where=totals > 0))
        self.scale_ = np.repeat(scales, sizes)
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Return `X` with its blocks scaled, in the dtype of `X` (float32 or float64)."""
        check_is_fitted(self)
        matrix = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return matrix * self.scale_.astype(matrix.dtype)

    def _checked_sizes(self, n_features: int) -> list[int]:
        sizes = [n_features] if self.block_sizes is None else [int(size) for size in self.block_sizes]
        if min(sizes, default=0) < 1 or sum(sizes) != n_features:
            raise ValueError(
                f"`block_sizes` must be positive and sum to the number of columns, {n_features}. Got {sizes} instead."
            )
        return sizes


def shares(weights: Sequence[float] | None, n_blocks: int) -> NDArray[np.float64]:
    """Return weights that sum to 1, equal if none are given."""
    given = np.ones(n_blocks) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != (n_blocks,):
        raise ValueError(f"`weights` must have one entry per block, {n_blocks}. Got {weights!r} instead.")
    if not np.isfinite(given).all() or (given < 0).any() or given.sum() == 0:
        raise ValueError(f"`weights` must be finite, not negative, and not all 0. Got {weights!r} instead.")
    return given / given.sum()
