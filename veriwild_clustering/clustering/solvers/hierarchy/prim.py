"""Prim's algorithm on a few edges: it settles which of equally heavy edges a spanning tree takes."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

__all__ = ["prim"]


def prim(edges: NDArray[np.int64], weights: NDArray[np.float64], n_rows: int) -> NDArray[np.int64]:
    """Return which of the edges Prim's algorithm takes from row 0 on, in its order; they must connect all rows.

    Of rows equally near to the tree the first is taken, and of edges equally short to it that from the row which was
    in the tree first, as hdbscan does on all pairs. O(n_edges log n_edges).
    """
    ends = np.concatenate([edges[:, 0], edges[:, 1]])
    order = np.argsort(ends, kind="stable")
    starts = np.searchsorted(ends[order], np.arange(n_rows + 1)).tolist()
    other = np.concatenate([edges[:, 1], edges[:, 0]])[order].tolist()
    weight = np.tile(weights, 2)[order].tolist()
    edge = (order % len(edges)).tolist()
    nearest, by, taken = [np.inf] * n_rows, [0] * n_rows, [False] * n_rows
    heap: list[tuple[float, int]] = []
    tree, row = [], 0
    for _ in range(n_rows - 1):
        taken[row] = True
        for place in range(starts[row], starts[row + 1]):
            reached = other[place]
            if not taken[reached] and weight[place] < nearest[reached]:
                nearest[reached], by[reached] = weight[place], edge[place]
                heapq.heappush(heap, (weight[place], reached))
        while taken[row]:
            row = heapq.heappop(heap)[1]
        tree.append(by[row])
    return np.array(tree, dtype=np.int64)
