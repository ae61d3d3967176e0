"""Connected components of rows, from pairs that arrive piece by piece."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Links"]

_MOST_PAIRS = 2**20  # that are kept before they are joined


class Links:
    """The components of rows that pairs join; few pairs are kept at a time."""

    def __init__(self, n_rows: int) -> None:
        self._component = np.arange(n_rows)
        self._pairs: list[NDArray[np.int64]] = []
        self._n_pairs = 0

    def add(self, rows: NDArray[np.int64], others: NDArray[np.int64]) -> None:
        """Take the pairs that are not known to be in one component."""
        pairs = self._component[np.stack([rows, others])]
        self._pairs.append(pairs[:, pairs[0] != pairs[1]])
        self._n_pairs += self._pairs[-1].shape[1]
        if self._n_pairs > _MOST_PAIRS:
            self.components()

    def components(self) -> NDArray[np.int64]:
        """Return the number of the component of each row."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        one, other = np.concatenate([np.empty((2, 0), np.int64), *self._pairs], axis=1)
        shape = (len(self._component), len(self._component))
        graph = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=shape)
        self._component = connected_components(graph, directed=False)[1].astype(np.int64)[self._component]
        self._pairs, self._n_pairs = [], 0
        return self._component
