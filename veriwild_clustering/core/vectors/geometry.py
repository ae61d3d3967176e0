"""The means of clusters, and how far rows are from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.vectors.blocks import read_blocks

__all__ = ["center_square_distances", "centroids", "own_and_other"]

_BLOCK_BYTES = 2**20  # a block and its distances stay in the processor's cache


def centroids(vectors: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the mean of each cluster, shape (n_clusters, n_features), for canonical labels; one pass, O(n * d)."""
    from scipy.sparse import csr_array

    slots = labels + 1  # the first is noise
    sizes = np.bincount(slots, minlength=1)
    sums = np.zeros((len(sizes), vectors.shape[1]))
    for rows, block in read_blocks(vectors, row_bytes=8 * vectors.shape[1]):
        places = np.arange(len(block))
        members = csr_array((np.ones(len(block)), (slots[rows], places)), shape=(len(sizes), len(block)))
        sums += members @ block
    return sums[1:] / sizes[1:, None]


def own_and_other(
    distances: NDArray[np.float64], own: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return per row the distance to its own center and to the nearest other one, infinite where there is none."""
    index = own[:, None]
    to_own = np.take_along_axis(distances, index, axis=1)[:, 0]
    others = distances.copy()
    np.put_along_axis(others, index, np.inf, axis=1)
    return to_own, others.min(axis=1)


def center_square_distances(
    vectors: NDArray[np.float32], centers: NDArray[Any]
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield small blocks of rows with their squared distances to every center, as one float64 matrix product each.

    Rows and centers are taken relative to the mean center, so that a common offset costs no digits. O(n * k * d).
    """
    middle = centers.mean(axis=0, dtype=np.float64)
    apart = centers - middle
    square_norms = np.einsum("ij,ij->i", apart, apart)
    step = max(1, _BLOCK_BYTES // (8 * (vectors.shape[1] + len(centers))))
    for start in range(0, len(vectors), step):
        block = vectors[start : start + step] - middle
        distances = block @ (-2 * apart.T)
        distances += square_norms
        distances += np.einsum("ij,ij->i", block, block)[:, None]
        yield slice(start, start + len(block)), np.maximum(distances, 0, out=distances)
