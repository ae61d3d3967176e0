"""Lloyd's k-means from given centers, and sums of rows along an axis per cluster: one pass over the rows each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from veriwild_clustering.clustering.solvers.rows import Rows

__all__ = ["Assignment", "KMeansFit", "along_axes", "assign", "lloyd"]

_TILE = 1024  # rows whose minima stay in the processor's first cache


class Assignment(NamedTuple):
    """Nearest centers, with squared distances less the squared norm of the row."""

    labels: NDArray[np.int32]
    own: NDArray[np.float32]
    other: NDArray[np.float32]
    sums: NDArray[np.float64]
    counts: NDArray[np.int64]


class KMeansFit(NamedTuple):
    """What k-means found: centers (of centred rows), the rows nearest to them, their inertia, the number of steps."""

    centers: NDArray[np.float64]
    found: Assignment
    inertia: float
    n_iter: int


def assign(rows: Rows, centers: NDArray[np.float64]) -> Assignment:
    """Return the nearest center of each row and the sums over each center's rows, O(n * k * d)."""
    labels = np.empty(rows.n_rows, dtype=np.int32)
    own, other = np.empty((2, rows.n_rows), dtype=np.float32)
    sums, counts = np.zeros(centers.shape), np.zeros(len(centers), dtype=np.int64)
    scale, norms = (-2 * centers).astype(np.float32), (centers**2).sum(axis=1).astype(np.float32)
    for index, block in rows.blocks():
        scores = scale @ block.T
        _nearest(scores, norms, block, labels[index], own[index], other[index], sums, counts)
    return Assignment(labels, own, other, sums, counts)


@njit(nogil=True, cache=True)
def _nearest(scores, norms, block, labels, own, other, sums, counts):  # type: ignore[no-untyped-def]
    """Find the least and the second least of each column of `scores` plus norms; add rows to the sums of theirs."""
    for start in range(0, len(block), _TILE):
        tile = slice(start, start + _TILE)
        label, least, second = labels[tile], own[tile], other[tile]
        label[:], least[:], second[:] = 0, np.inf, np.inf
        for center in range(len(scores)):
            score, norm = scores[center, tile], norms[center]
            for i in range(len(score)):  # no branches: the compiler makes vector instructions of it
                value = score[i] + norm
                nearer = value < least[i]
                second[i] = min(second[i], max(value, least[i]))
                label[i] = center if nearer else label[i]
                least[i] = value if nearer else least[i]
    for i in range(len(block)):
        center = labels[i]
        counts[center] += 1
        for j in range(block.shape[1]):
            sums[center, j] += block[i, j]


def along_axes(
    rows: Rows, labels: NDArray[np.int32], *, axes: NDArray[np.float64], offsets: NDArray[np.float64], side: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return per cluster the sum of its rows weighted by their place on its axis, and how many lie beyond the offset.

    With `side` the weight is 1 beyond the offset and 0 before it. O(n * d).
    """
    sums, n_beyond = np.zeros(axes.shape), np.zeros(len(axes), dtype=np.int64)
    directions, starts = axes.astype(np.float32), offsets.astype(np.float32)
    for index, block in rows.blocks():
        _add_along(block, labels[index], directions, starts, side, sums, n_beyond)
    return sums, n_beyond


@njit(nogil=True, cache=True, fastmath=True)
def _add_along(block, labels, axes, offsets, side, sums, n_beyond):  # type: ignore[no-untyped-def]
    for i in range(len(block)):
        cluster = labels[i]
        along = -offsets[cluster]
        for j in range(block.shape[1]):
            along += axes[cluster, j] * block[i, j]
        n_beyond[cluster] += along > 0
        weight = np.float32(along > 0) if side else along
        for j in range(block.shape[1]):
            sums[cluster, j] += weight * block[i, j]


def _means(rows: Rows, found: Assignment) -> NDArray[np.float64]:
    """Return the mean of each cluster; an empty one moves to a row that is far from its center."""
    means = found.sums / np.maximum(found.counts, 1)[:, None]
    empty = np.flatnonzero(found.counts == 0)
    if len(empty):
        far = np.argsort(-(rows.square_norms + found.own), kind="stable")[: len(empty)]
        means[empty] = rows.take(np.sort(far)) - rows.mean
    return means


def lloyd(
    rows: Rows,
    centers: NDArray[np.float64],
    *,
    max_iter: int = 300,
    tolerance: float = 0.0,
    goal: float = np.inf,
) -> KMeansFit:
    """Return k-means from given centers, O(n * k * d) per step.

    Stops as scikit-learn does: when no label changes, when the squared shifts of the centers add up to `tolerance` or
    less, or after `max_iter` steps; and when at its present pace the inertia would not fall below `goal`.
    """
    found, inertia = assign(rows, centers), np.inf
    for n_iter in range(1, max_iter + 1):
        moved = _means(rows, found)
        shift = ((moved - centers) ** 2).sum()
        before, centers, found = found.labels, moved, assign(rows, moved)
        previous, inertia = inertia, rows.inertia + float(found.own.sum(dtype=np.float64))
        if shift <= tolerance or np.array_equal(before, found.labels):
            break
        if n_iter > 1 and inertia - min(4, max_iter - n_iter) * (previous - inertia) > goal:
            break
    return KMeansFit(centers, found, inertia, n_iter)
