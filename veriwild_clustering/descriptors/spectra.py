"""How much of a descriptor's variance its principal components hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.progress import bars
from veriwild_clustering.descriptors.streaming.rows import Rows

__all__ = ["explained_variance"]


def explained_variance(
    descriptor: Descriptor, *, standardize: bool = True, progress: bool | None = None
) -> NDArray[np.float64]:
    """Return the share of the variance that the first 1, 2, … principal components hold together.

    Parameters
    ----------
    descriptor : Descriptor
        The vectors, often a wide memory map.
    standardize : bool, default=True
        Whether each column is first scaled to variance 1, as `StandardScaler` before `PCA` does.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal or a notebook.

    Returns
    -------
    array of shape (n_features,), float64
        Ascending to 1. `np.searchsorted(shares, 0.9) + 1` is the number of components that hold 90 %.

    Raises
    ------
    ValueError
        If there are fewer than two usable rows or all are equal.

    Notes
    -----
    O(n_images * n_features² + n_features³), one pass over the vectors; next to nothing right before or after a
    `transform` of the same descriptor by `PCA`, since both remember mean, covariance and axes.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, explained_variance
    >>> flat = Descriptor("flat", np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0], [2.0, 2.0]]))
    >>> explained_variance(flat).round(6)
    array([1., 1.])
    """
    if descriptor.n_valid < 2 or descriptor.is_constant:
        raise ValueError(f"Variance needs at least 2 usable rows that differ. {descriptor.name!r} has none.")
    with bars(show=progress):
        moments = Rows.of((descriptor,), covariance=True).moments
    variances, _ = (moments.standardized if standardize else moments).axes
    shares = np.cumsum(np.pad(variances, (0, descriptor.n_features - len(variances))))
    return np.minimum(shares / shares[-1], 1)
