"""Short edges between the parts of a forest: from a few rows of each part, by going back and forth between parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["nearest_parts"]

_REPRESENTATIVES = 8_192  # rows in all from which the parts near to each other are guessed
_MOST_OF_A_PART = 1_024
_QUERIES = 32_768  # rows in all from which a part is searched for the row nearest to them
_MOST_QUERIES_OF_A_PART = 16
_STEPS = 3  # across, back and across again
_ROWS, _COLUMNS = 256, 1_024  # a tile of distances that stays in a processor's cache

Rows = NDArray[np.int64]


def nearest_parts(
    vectors: NDArray[np.float32], core: NDArray[np.float64], parts: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Return short edges between parts, shape (n_edges, 2), at least one of every part.

    Lengths are mutual reachability. From up to 1,024 evenly spaced rows of each part those nearest to one of another
    part are chosen, up to 16 of a part; from each, the nearest row of all in that other part, then the nearest to it
    in its own, and again. O(n d) per chosen row in the worst case; the rows are read in blocks.
    """
    from threadpoolctl import threadpool_limits

    members = np.split(np.argsort(parts, kind="stable"), np.cumsum(np.bincount(parts))[:-1])
    few = max(1, min(_MOST_OF_A_PART, _REPRESENTATIVES // len(members)))
    chosen = np.concatenate([_evenly(rows, few) for rows in members])
    space = _Space(vectors, vectors[chosen].mean(axis=0), core)
    n_queries = max(2, min(_MOST_QUERIES_OF_A_PART, _QUERIES // len(members)))
    with threadpool_limits(1, user_api="blas"):  # products of small tiles gain nothing from threads
        lengths, nearest = space.nearest(chosen, chosen, apart=parts)
        best = _first_of_each(parts[chosen], lengths, n_queries)
        here, there = chosen[best], nearest[best]
        for _ in range(_STEPS):
            here, there = _across(space, here, parts[there], members), here
    return np.column_stack([here, there])


def _evenly(rows: Rows, n_rows: int) -> Rows:
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(n_rows, len(rows))).astype(np.int64))]


def _first_of_each(groups: NDArray[np.int32], values: NDArray[np.float32], n_first: int) -> Rows:
    """Return the places of the `n_first` least values of each group."""
    order = np.lexsort((values, groups))
    starts = np.searchsorted(groups[order], groups[order])
    return order[np.arange(len(order)) - starts < n_first]


def _across(space: _Space, rows: Rows, targets: NDArray[np.int32], members: list[Rows]) -> Rows:
    """Return for each row the one nearest to it in its target part."""
    found = np.empty_like(rows)
    order = np.argsort(targets, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(targets[order])) + 1):
        found[places] = space.nearest(rows[places], members[targets[places[0]]])[1]
    return found


class _Space:
    """Rows of a matrix with the squares of their core distances; float32 is enough to choose among rows."""

    def __init__(self, vectors: NDArray[np.float32], center: NDArray[np.float32], core: NDArray[np.float64]) -> None:
        self._vectors, self._center, self._core = vectors, center, np.square(core, dtype=np.float64).astype(np.float32)

    def nearest(
        self, rows: Rows, others: Rows, *, apart: NDArray[np.int32] | None = None
    ) -> tuple[NDArray[np.float32], Rows]:
        """Return the squared mutual reachability of each row to its nearest other one, in another part if so asked."""
        best, found = np.full(len(rows), np.inf, dtype=np.float32), np.zeros(len(rows), dtype=np.int64)
        for start in range(0, len(others), _COLUMNS):
            candidates = others[start : start + _COLUMNS]
            block, norms = self._read(candidates)
            for first in range(0, len(rows), _ROWS):
                places = slice(first, first + _ROWS)
                own, own_norms = self._read(rows[places])
                squares = own @ block.T
                squares *= -2
                squares += norms
                squares += own_norms[:, None]
                np.maximum(squares, self._core[candidates], out=squares)
                np.maximum(squares, self._core[rows[places], None], out=squares)
                if apart is not None:
                    squares[apart[rows[places], None] == apart[candidates]] = np.inf
                nearest = squares.argmin(axis=1)
                lengths = np.take_along_axis(squares, nearest[:, None], axis=1)[:, 0]
                better = lengths < best[places]
                best[places] = np.where(better, lengths, best[places])
                found[places] = np.where(better, candidates[nearest], found[places])
        return best, found

    def _read(self, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        block = self._vectors[rows] - self._center
        return block, np.einsum("ij,ij->i", block, block)
