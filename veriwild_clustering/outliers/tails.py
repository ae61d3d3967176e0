"""ECOD of all rows of a large matrix: the scores that PyOD gives, without its copies of the matrix.

PyOD's ECOD keeps several float64 matrices of the size of the data, and its `decision_function` sorts the fitted rows
anew for each block of others. Column by column, the exact scores of all rows need the memory of some columns.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.progress import track

__all__ = ["ecod_scores"]

_COLUMN_BYTES = 2**28


def ecod_scores(
    descriptor: Descriptor, *, normalize: bool, column_bytes: int = _COLUMN_BYTES, progress: bool | None = None
) -> NDArray[np.float64]:
    """Return the ECOD score of each usable row, the sum over the features of −log of its smaller tail probability.

    PyOD takes the tail that the skewness points to and then the maximum of it and both tails, which is that of the
    rarer one unless the skewness is exactly 0. O(d n log n); the matrix is read once for every `column_bytes` of it.
    """
    n_rows = descriptor.n_valid
    places = np.arange(1, n_rows + 1)
    evidence = -np.log(places / n_rows)
    untied = evidence[np.minimum(places, places[::-1]) - 1]
    scores = np.zeros(n_rows)
    columns = _columns(descriptor, _lengths(descriptor) if normalize else None, max(1, column_bytes // (4 * n_rows)))
    for column in track(columns, description=f"ECOD of {descriptor.name}", total=descriptor.n_features, show=progress):
        _add_column(scores, column, evidence, untied)
    return scores


def _columns(descriptor: Descriptor, lengths: NDArray[np.float32] | None, step: int) -> Iterator[NDArray[np.float32]]:
    """Yield the columns one by one, `step` of them read in one pass over the rows, divided by the lengths."""
    held = np.empty((min(step, descriptor.n_features), descriptor.n_valid), dtype=np.float32)
    for start in range(0, descriptor.n_features, step):
        for rows, block in descriptor.blocks():
            part = block[:, start : start + step].T
            held[: len(part), rows] = part if lengths is None else part / lengths[rows]
        yield from held[: descriptor.n_features - start]


def _lengths(descriptor: Descriptor) -> NDArray[np.float32]:
    """Return the Euclidean lengths as `sklearn.preprocessing.normalize` has them: 1 for a row of zeros."""
    from sklearn.utils.extmath import row_norms

    lengths = np.empty(descriptor.n_valid, dtype=np.float32)
    for rows, block in descriptor.blocks():
        lengths[rows] = row_norms(block)
    lengths[lengths == 0] = 1
    return lengths


def _add_column(
    scores: NDArray[np.float64],
    column: NDArray[np.float32],
    evidence: NDArray[np.float64],
    untied: NDArray[np.float64],
) -> None:
    """Add what one feature says to the scores of the rows; equal values share the greater probability of their ends."""
    n_rows = len(column)
    # Value and row in one 64-bit key: sorting these is several times faster than argsort.
    bits = (column + np.float32(0)).view(np.uint32)  # −0 becomes 0
    keys = (bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(n_rows, dtype=np.uint64)
    keys.sort()
    order = (keys & np.uint64(0xFFFFFFFF)).astype(np.intp)
    keys >>= np.uint64(32)
    said = untied
    tied = np.flatnonzero(keys[1:] == keys[:-1])
    if len(tied):
        said = untied.copy()
        breaks = np.flatnonzero(np.diff(tied) > 1) + 1
        first, last = tied[np.r_[0, breaks]], tied[np.r_[breaks - 1, -1]] + 1
        shared = evidence[np.minimum(last + 1, n_rows - first) - 1]
        said[tied] = np.repeat(shared, last - first)
        said[last] = shared
    scores[order] += said
