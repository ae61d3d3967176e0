"""Dispersion: how far the rows of each cluster lie from its centroid, for many partitions in two shared passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.vectors.blocks import read_blocks

__all__ = ["Dispersion", "calinski_harabasz", "davies_bouldin", "dispersions"]

_CACHE_BYTES = 2**19  # distances are taken of so many bytes of rows at a time: they stay in the cache of a core
_MATRIX_MIB = 64


class Dispersion(NamedTuple):
    """What Calinski–Harabasz and Davies–Bouldin need to know of a partition, one entry per cluster that has rows.

    `squares` and `lengths` are the sums of squared and of plain Euclidean distances of the rows to the centroid;
    `centers` are the centroids up to a translation.
    """

    sizes: NDArray[np.int64]
    centers: NDArray[np.float64]
    squares: NDArray[np.float64]
    lengths: NDArray[np.float64]

    @property
    def is_scored(self) -> bool:
        """Whether the indices are defined: two clusters or more, not every row one of its own."""
        return 2 <= len(self.sizes) < self.sizes.sum()


def dispersions(
    vectors: NDArray[np.float32], valid: NDArray[np.bool_], labels: Sequence[NDArray[np.int32]]
) -> list[Dispersion]:
    """Return the dispersion of each partition over its clustered rows that are valid.

    Two passes over the rows whatever the number of partitions: sums of clusters, then distances to the centroids. These
    are differences in float64, so tight clusters far from the origin lose no digits. O(n_partitions * n * d).
    """
    used = [one if valid.all() else one[valid] for one in labels]
    slots = np.array([one.max(initial=-1) + 2 for one in used])  # the first of each partition is its noise
    starts = np.concatenate([[0], np.cumsum(slots)])
    offsets = (starts[:-1, None] + 1).astype(np.int32)
    row_bytes = 8 * vectors.shape[1] + 20 * len(used)

    origin = np.zeros(vectors.shape[1])
    sums, counts = np.zeros((starts[-1], vectors.shape[1])), np.zeros(starts[-1], dtype=np.int64)
    for rows, block in read_blocks(vectors, valid=valid, row_bytes=row_bytes):
        if rows.start == 0:
            origin = block.mean(axis=0, dtype=np.float64)  # near the data is enough: it saves digits in the sums
        codes = np.stack([one[rows] for one in used]) + offsets
        sums += _sums(codes, block - origin, n_slots=starts[-1])
        counts += np.bincount(codes.ravel(), minlength=starts[-1])
    centers = sums / np.maximum(counts, 1)[:, None]

    squares, lengths = np.zeros(starts[-1]), np.zeros(starts[-1])
    for rows, block in read_blocks(vectors, valid=valid, row_bytes=row_bytes):
        codes = np.stack([one[rows] for one in used]) + offsets
        own = _squared_distances(codes, block - origin, centers)
        squares += np.bincount(codes.ravel(), weights=own.ravel(), minlength=starts[-1])
        lengths += np.bincount(codes.ravel(), weights=np.sqrt(own).ravel(), minlength=starts[-1])
    found = []
    for start, end in zip(starts[:-1] + 1, starts[1:], strict=True):
        kept = start + np.flatnonzero(counts[start:end])
        found.append(Dispersion(counts[kept], centers[kept], squares[kept], lengths[kept]))
    return found


def _sums(codes: NDArray[np.int32], block: NDArray[np.float64], *, n_slots: int) -> NDArray[np.float64]:
    """Return the sum of the rows of each slot, where row i is in the slots codes[:, i]: one sparse product for all."""
    from scipy.sparse import csr_array

    n_partitions, n_rows = codes.shape
    ends = np.arange(0, codes.size + 1, n_partitions)
    members = csr_array((np.ones(codes.size), codes.T.ravel(), ends), shape=(n_rows, n_slots))
    return np.asarray(members.T @ block)


def _squared_distances(
    codes: NDArray[np.int32], block: NDArray[np.float64], centers: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the squared distance of each row to its centers, shape of `codes`."""
    found = np.empty(codes.shape)
    step = max(1, _CACHE_BYTES // (8 * block.shape[1]))
    for start in range(0, len(block), step):
        part = block[start : start + step]
        difference = np.empty_like(part)
        for own, index in zip(found[:, start : start + step], codes[:, start : start + step], strict=True):
            np.take(centers, index, axis=0, out=difference, mode="clip")  # "raise" would copy through a buffer
            difference -= part
            np.vecdot(difference, difference, out=own)
    return found


def calinski_harabasz(dispersion: Dispersion) -> float:
    """Return the index as scikit-learn defines it, NaN where it is not."""
    if not dispersion.is_scored:
        return float("nan")
    sizes, centers = dispersion.sizes, dispersion.centers
    n_rows, n_clusters = sizes.sum(), len(sizes)
    between = sizes @ ((centers - sizes @ centers / n_rows) ** 2).sum(axis=1)
    within = dispersion.squares.sum()
    return 1.0 if within == 0 else float(between * (n_rows - n_clusters) / (within * (n_clusters - 1)))


def davies_bouldin(dispersion: Dispersion) -> float:
    """Return the index as scikit-learn defines it, NaN where it is not; O(n_clusters² * d)."""
    from sklearn.metrics import pairwise_distances_chunked

    if not dispersion.is_scored:
        return float("nan")
    spread = dispersion.lengths / dispersion.sizes
    worst: list[NDArray[np.float64]] = []
    coincide = True
    for distances in pairwise_distances_chunked(dispersion.centers, working_memory=_MATRIX_MIB):
        start = sum(map(len, worst))
        coincide &= np.allclose(distances, 0)
        distances[distances == 0] = np.inf
        worst.append(((spread[start : start + len(distances), None] + spread) / distances).max(axis=1))
    return 0.0 if coincide or np.allclose(spread, 0) else float(np.concatenate(worst).mean())
