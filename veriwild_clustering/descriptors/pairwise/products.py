"""Measures that follow from the inner product of two rows: pairs by matrix products, decided in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.descriptors.pairwise.measure import Found

__all__ = ["Similarity", "Tile", "compare_products", "tile_of"]

Floats = NDArray[np.float64]
Similarity = Callable[[Floats, Floats, Floats], Floats]
"""The similarity from the inner products of pairs and the norms of their rows; it rises with the inner product."""

_FEW = 1 / 500  # of the pairs of a tile: so many cost less one by one than a matrix product
_CHUNK_BYTES = 2**24


class Tile(NamedTuple):
    """Rows in single precision with their norms, and a projection with the norms of what it leaves out."""

    rows: NDArray[np.float32]
    norms: Floats
    coarse: NDArray[np.float32] | None


def tile_of(rows: NDArray[np.float32], coarse: NDArray[np.float32] | None = None) -> Tile:
    """Return a tile; `coarse` are the coordinates of the rows along some orthonormal vectors."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    if coarse is not None:
        left_out = norms**2 - np.einsum("ij,ij->i", coarse, coarse, dtype=np.float64)
        rest = np.sqrt(np.maximum(left_out, 0) + 1e-6 * norms**2)
        coarse = np.hstack([coarse, rest[:, None]]).astype(np.float32)
    return Tile(rows, norms, coarse)


def compare_products(left: Tile, right: Tile, similarity: Similarity, *, threshold: float, same: bool) -> Found:
    """Return the pairs whose similarity is at least the threshold.

    An inner product is at most that of the projections plus the product of the norms of what they leave out (Cauchy and
    Schwarz), so pairs whose bound is too small are not computed. Products in single precision are bounds as well, with
    a margin for their rounding; what decides is computed pair by pair in double precision, the same in any tile.
    """
    candidates = _candidates(left, right, similarity, threshold=threshold, same=same)
    rows, others = candidates
    n_compared = len(rows)
    values = np.empty(len(rows))
    step = max(1, _CHUNK_BYTES // (8 * left.rows.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        one, other = rows[part], others[part]
        products = np.einsum("ij,ij->i", left.rows[one].astype(np.float64), right.rows[other].astype(np.float64))
        values[part] = similarity(products, left.norms[one], right.norms[other])
    near = values >= threshold
    return Found(rows[near], others[near], values[near], n_compared)


def _candidates(
    left: Tile, right: Tile, similarity: Similarity, *, threshold: float, same: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs that an upper bound does not rule out."""
    scale = np.outer(left.norms, right.norms)
    norms = (left.norms[:, None], right.norms[None, :])
    may = np.tri(len(left.rows), k=-1, dtype=bool) if same else np.ones(scale.shape, dtype=bool)
    for one, other in ((left.coarse, right.coarse), (left.rows, right.rows)):
        if one is None or other is None:
            continue
        bound = (one @ other.T).astype(np.float64) + scale * (one.shape[1] * 2.0**-23)
        may &= similarity(bound, *norms) >= threshold
        if may.mean() <= _FEW:
            break
    rows, others = np.nonzero(may)
    return rows, others
