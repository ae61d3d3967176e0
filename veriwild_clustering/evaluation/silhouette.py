"""Silhouettes of many partitions from the same distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["silhouettes"]

_MATRIX_MIB = 64


def silhouettes(vectors: NDArray[np.float64], labels: Sequence[NDArray[np.int32]]) -> list[float]:
    """Return the mean silhouette of each labelling of the rows, NaN where it is not defined.

    The distances between rows are taken once for all labellings, O(n² * d), and summed over the clusters of each,
    O(n_labellings * n²); memory stays at two blocks of them.
    """
    from scipy.sparse import csr_array
    from sklearn.metrics import pairwise_distances_chunked

    places = np.arange(len(vectors))
    codes = [np.unique(one, return_inverse=True)[1] for one in labels]
    sizes = [np.bincount(one) for one in codes]
    scored = [i for i, counts in enumerate(sizes) if 2 <= len(counts) < len(vectors)]
    members = {i: csr_array((np.ones(len(places)), (codes[i], places))) for i in scored}
    totals, start = dict.fromkeys(scored, 0.0), 0
    for distances in pairwise_distances_chunked(vectors, working_memory=_MATRIX_MIB) if scored else ():
        columns = np.ascontiguousarray(distances.T)
        rows = slice(start, start := start + len(distances))
        for i in scored:
            totals[i] += _silhouettes(members[i] @ columns, codes[i][rows], sizes[i]).sum()
    return [totals[i] / len(vectors) if i in totals else float("nan") for i in range(len(labels))]


def _silhouettes(sums: NDArray[np.float64], own: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the silhouette of each row from the sums of its distances to each cluster, shape (n_clusters, n_rows)."""
    rows = np.arange(len(own))
    inside = sums[own, rows] / np.maximum(sizes[own] - 1, 1)
    means = sums / sizes[:, None]
    means[own, rows] = np.inf
    outside = means.min(axis=0)
    larger = np.maximum(inside, outside)
    # A row alone in its cluster, or one that coincides with all others, counts as 0.
    defined = (sizes[own] > 1) & (larger > 0)
    return np.divide(outside - inside, larger, out=np.zeros(len(own)), where=defined)
