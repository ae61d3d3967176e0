"""Several indices of one descriptor each, searched as one space with any weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.validation import check_int, check_rows
from veriwild_clustering.search.index import Neighbors, SearchIndex
from veriwild_clustering.search.space import SearchSpace

__all__ = ["JoinedIndex"]

_FEW_ALLOWED = 2_000
_DEPTHS = (256, 1_024)

Rows = NDArray[np.int64]


class JoinedIndex:
    """Finds the nearest rows in a weighted mixture of descriptors, each of which has an index of its own.

    An index of a mixture holds for its weights alone; this needs none for weights that change from search to search.
    Each index names its nearest rows, all of them are compared in the whole space, and the search goes deeper until no
    other row can be nearer (the threshold algorithm [1]_) or 1,024 rows per descriptor have been looked at.

    Parameters
    ----------
    indices : mapping of str to SearchIndex
        The index of each descriptor by its name, with the metric "cosine".
    space : SearchSpace
        The mixture, with the metric "cosine".

    References
    ----------
    .. [1] Fagin, R., Lotem, A. & Naor, M. (2003). Optimal aggregation algorithms for middleware. Journal of Computer
       and System Sciences 66(4). doi:10.1016/S0022-0000(03)00026-6

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor, SearchIndex, SearchSpace
    >>> body = Descriptor("type_model", [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> paint = Descriptor("color_model", [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> dataset = Dataset(pd.DataFrame({"path": list("abc")}), {"type_model": body, "color_model": paint})
    >>> indices = {name: SearchIndex.build(dataset, name) for name in dataset.names}
    >>> joined = JoinedIndex(indices, SearchSpace.of(dataset, {"type_model": 1, "color_model": 3}))
    >>> joined.nearest(joined.space.rows([0]), 2, exclude=[[0]]).rows.tolist()
    [[2, 1]]
    """

    def __init__(self, indices: Mapping[str, SearchIndex], space: SearchSpace) -> None:
        self._indices = {name: indices[name] for name in space.names}
        if space.metric != "cosine" or any(index.space.metric != "cosine" for index in self._indices.values()):
            raise ValueError("`space` and `indices` must have the metric 'cosine' to be searched together.")
        self._space = space

    @property
    def space(self) -> SearchSpace:
        """What is searched."""
        return self._space

    def __len__(self) -> int:
        """Return the number of rows that can be found."""
        return int(np.count_nonzero(self._findable()))

    def nearest(
        self,
        queries: ArrayLike,
        n_results: int = 20,
        *,
        allowed: ArrayLike | None = None,
        exclude: Sequence[ArrayLike] | None = None,
        exact: bool = False,
    ) -> Neighbors:
        """Return the nearest rows to vectors, as `SearchIndex.nearest` does; `exact` looks as deep as it takes."""
        vectors = np.atleast_2d(np.asarray(queries, dtype=np.float32))
        n_results = check_int("n_results", n_results, low=1)
        mask = self._findable()
        if allowed is not None:
            mask = mask & check_rows("allowed", allowed, len(self._space)).astype(bool)
        hidden = [np.empty(0, dtype=np.int64)] * len(vectors) if exclude is None else [np.asarray(e) for e in exclude]
        found = [
            self._one(vector, n_results, mask, out, exact=exact) for vector, out in zip(vectors, hidden, strict=True)
        ]
        rows = np.stack([rows for rows, _ in found])
        return Neighbors(rows, np.stack([scores for _, scores in found]).astype(np.float32))

    def remove(self, rows: ArrayLike) -> None:
        """Let rows be found no longer."""
        for index in self._indices.values():
            index.remove(rows)

    def add(self, rows: ArrayLike) -> None:
        """Let removed rows be found again."""
        for index in self._indices.values():
            index.add(rows)

    def _findable(self) -> NDArray[np.bool_]:
        return np.logical_and.reduce([index.findable for index in self._indices.values()])

    def _one(
        self, query: NDArray[np.float32], n_results: int, mask: NDArray[np.bool_], hidden: Rows, *, exact: bool
    ) -> tuple[Rows, NDArray[np.float64]]:
        """Return rows and scores of one query, filled up with −1 and NaN."""
        open_rows = mask.copy()
        open_rows[hidden.astype(np.int64)] = False
        n_open = int(np.count_nonzero(open_rows))
        if n_open <= _FEW_ALLOWED:
            return self._best(query, np.flatnonzero(open_rows), n_results)
        depths = [depth for depth in _DEPTHS if depth > n_results] or [2 * n_results]
        if exact:
            depths += [len(self._space)]
        for depth in (min(depth, n_open) for depth in depths):
            candidates, ceiling = self._candidates(query, depth, mask, hidden)
            rows, scores = self._best(query, candidates, n_results)
            if depth == n_open or scores[-1] >= ceiling:
                break
        return rows, scores

    def _candidates(
        self, query: NDArray[np.float32], depth: int, mask: NDArray[np.bool_], hidden: Rows
    ) -> tuple[Rows, float]:
        """Return the rows that some descriptor puts first, and the most that any other row can score."""
        named, ceiling = [], 0.0
        n_allowed = np.count_nonzero(mask)
        for (name, columns), weight in zip(self._space.blocks.items(), self._space.weights, strict=True):
            block = query[columns]
            length = float(np.linalg.norm(block))
            if length == 0:
                continue  # nothing is asked of this descriptor
            index = self._indices[name]
            allowed = None if len(index) == n_allowed else mask  # what it alone has would take the place of others
            found = index.nearest(block / length, depth, allowed=allowed, exclude=[hidden])
            rows = found.rows[0][found.rows[0] >= 0]
            named.append(rows)
            if len(rows) == depth:
                ceiling += length * np.sqrt(weight) * float(found.scores[0][len(rows) - 1])
        return np.unique(np.concatenate(named)), ceiling

    def _best(self, query: NDArray[np.float32], rows: Rows, n_results: int) -> tuple[Rows, NDArray[np.float64]]:
        scores = self._space.scores(query, rows)
        usable = np.flatnonzero(np.isfinite(scores))
        order = usable[np.argsort(-scores[usable], kind="stable")][:n_results]
        filled = np.full(n_results, -1, dtype=np.int64), np.full(n_results, np.nan)
        filled[0][: len(order)], filled[1][: len(order)] = rows[order], scores[order]
        return filled
