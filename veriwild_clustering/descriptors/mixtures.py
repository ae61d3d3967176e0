"""Weighted mixtures: several descriptors as one space in which each has the say it is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.validation import check_real
from veriwild_clustering.descriptors.transforms import fitted_descriptor

__all__ = ["BlockScaler", "mix", "mixtures"]

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
        self.weights_ = _shares(self.weights, len(sizes))
        moments = StandardScaler()
        for rows in gen_batches(len(matrix), _BLOCK_ROWS):
            moments.partial_fit(matrix[rows])
        starts = np.cumsum([0, *sizes[:-1]])
        totals = np.add.reduceat(moments.var_, starts)
        totals[totals <= _ROUNDING * np.add.reduceat(moments.mean_**2, starts)] = 0
        constant = np.flatnonzero((totals == 0) & (self.weights_ > 0))
        if len(constant):
            raise ValueError(
                f"Block {constant[0]} is constant over the {len(matrix)} rows, so it cannot carry a weight of "
                f"{self.weights_[constant[0]]:.3g}. Leave it out or give it the weight 0."
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


def mix(
    descriptors: Sequence[Descriptor], *, weights: Sequence[float] | None = None, name: str | None = None
) -> Descriptor:
    """Join descriptors into one whose squared distances are the weighted sum of theirs.

    Plain concatenation lets the widest or the largest-valued descriptor win. Here each is first brought to a total
    variance of 1, then given its weight, so a weight of 0.7 means 70 % of the mean squared distance.

    Parameters
    ----------
    descriptors : sequence of Descriptor
        Two or more, with one row per image of the same dataset.
    weights : sequence of float, optional
        Share of each, not negative; normalised to sum 1. Equal by default.
    name : str, optional
        By default the weights and names, such as "0.7 type_model + 0.3 color_model".

    Returns
    -------
    Descriptor
        The blocks side by side, made by a `BlockScaler`. A row is valid where it is valid in every parent.

    Raises
    ------
    ValueError
        If there are fewer than two descriptors, their lengths differ, the weights do not fit, or a descriptor with
        a positive weight is constant.

    Notes
    -----
    O(n_images * sum of n_features) time and memory; reduce wide descriptors first.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, mix
    >>> rng = np.random.default_rng(0)
    >>> wide = Descriptor("type_model", 100 * rng.normal(size=(50, 6)))
    >>> narrow = Descriptor("color_model", rng.normal(size=(50, 2)))
    >>> mixture = mix([wide, narrow], weights=[7, 3])
    >>> mixture.name, mixture.n_features, round(float(mixture.vectors[:, :6].var(axis=0).sum()), 3)
    ('0.7 type_model + 0.3 color_model', 8, 0.7)
    """
    parents = tuple(descriptors)
    _check_parents(parents)
    shares = _shares(weights, len(parents))
    scaler = BlockScaler([parent.n_features for parent in parents], weights=[float(share) for share in shares])
    default = " + ".join(f"{share:.3g} {parent.name}" for share, parent in zip(shares, parents, strict=True))
    return fitted_descriptor(parents, scaler, name=name or default)


def mixtures(descriptors: Sequence[Descriptor], *, step: float = 0.25) -> list[Descriptor]:
    """Return every mixture of the descriptors whose weights are multiples of a step: the search over weights.

    Parameters
    ----------
    descriptors : sequence of Descriptor
        Two or more, with one row per image of the same dataset.
    step : float, default=0.25
        Distance between neighbouring weights, 1 divided by a whole number of at least 2.

    Returns
    -------
    list of Descriptor
        One mixture for each way of dividing 1 among at least two descriptors; those without a share are left out
        of the mixture.

    Raises
    ------
    ValueError
        If `step` is not 1 divided by a whole number of at least 2, or `mix` refuses the descriptors.

    Notes
    -----
    With m descriptors and s = 1 / step there are C(s + m - 1, m - 1) - m mixtures, each a matrix of its own,
    O(n_images * sum of n_features): reduce wide descriptors first.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, mixtures
    >>> rng = np.random.default_rng(0)
    >>> a, b = (Descriptor(name, rng.normal(size=(9, 2))) for name in "ab")
    >>> [mixture.name for mixture in mixtures([a, b])]
    ['0.75 a + 0.25 b', '0.5 a + 0.5 b', '0.25 a + 0.75 b']
    """
    parents = tuple(descriptors)
    _check_parents(parents)
    n_steps = round(1 / check_real("step", step, low=1e-3, high=0.5))
    if not np.isclose(n_steps * step, 1):
        raise ValueError(f"`step` must be 1 divided by a whole number. Got {step!r} instead.")
    found = []
    for counts in _divisions(n_steps, len(parents)):
        chosen = [(parent, count / n_steps) for parent, count in zip(parents, counts, strict=True) if count]
        if len(chosen) > 1:
            found.append(mix([parent for parent, _ in chosen], weights=[weight for _, weight in chosen]))
    return found


def _divisions(total: int, n_parts: int) -> Iterator[tuple[int, ...]]:
    """Yield every way to write `total` as `n_parts` ordered non-negative ints, the first part largest first."""
    if n_parts == 1:
        yield (total,)
        return
    for first in range(total, -1, -1):
        for rest in _divisions(total - first, n_parts - 1):
            yield (first, *rest)


def _shares(weights: Sequence[float] | None, n_blocks: int) -> NDArray[np.float64]:
    """Return weights that sum to 1, equal if none are given."""
    given = np.ones(n_blocks) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != (n_blocks,):
        raise ValueError(f"`weights` must have one entry per block, {n_blocks}. Got {weights!r} instead.")
    if not np.isfinite(given).all() or (given < 0).any() or given.sum() == 0:
        raise ValueError(f"`weights` must be finite, not negative, and not all 0. Got {weights!r} instead.")
    return given / given.sum()


def _check_parents(parents: tuple[Descriptor, ...]) -> None:
    if len(parents) < 2:
        raise ValueError(f"`descriptors` must hold at least 2 descriptors. Got {len(parents)} instead.")
    lengths = {parent.name: len(parent) for parent in parents}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"Descriptors of one mixture must describe the same images. Got these lengths: {lengths}.")
