"""The nearest rows to vectors: FAISS gives candidates, the dataset's own vectors decide among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.validation import check_int, check_rows
from veriwild_clustering.search.indexing.candidates import Candidates
from veriwild_clustering.search.space import SearchSpace

__all__ = ["Contents", "Neighbors"]

_SPARE = 16  # candidates beyond those wanted: what is stored, and float32, may swap near ones
_SPARE_PROJECTED = 48  # where candidates are those of the leading directions, which swap more
_MOST_EXCLUDED = 256  # rows a query may drop from its candidates; for one that drops more all others are compared
_FEW_ALLOWED = 20_000  # rows that are compared as they are, where leading directions alone would prove little
_FEWEST_ALLOWED = 0.9  # part of the rows; among fewer a graph finds its way badly, and all of them can be compared

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Neighbors(NamedTuple):
    """The nearest rows to each query, nearest first and those equally near by their row.

    Parameters
    ----------
    rows : array of shape (n_queries, n_results), int64
        Rows of the dataset, −1 where fewer were found.
    scores : array of shape (n_queries, n_results), float32
        Cosine similarity (higher is nearer) or Euclidean distance (lower is nearer), NaN where there is no row.
        Worked out in float64 from the dataset's vectors, however the rows were found.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering.search.index import Neighbors
    >>> found = Neighbors(np.array([[4, 7, -1]]), np.array([[0.9, 0.5, np.nan]], dtype=np.float32))
    >>> found.rows[found.rows >= 0].tolist()
    [4, 7]
    """

    rows: Rows
    scores: Floats


@dataclass(frozen=True, eq=False)
class Contents:
    """What an index holds at one moment: never changed, only replaced, so searches need no lock.

    Parameters
    ----------
    space : SearchSpace
        What is searched.
    candidates : Candidates
        FAISS's index of the usable rows of the space, in their order: a row's place.
    removed : array of shape (n_images,), bool
        Rows that are not found.
    """

    space: SearchSpace
    candidates: Candidates
    removed: Mask

    @cached_property
    def rows(self) -> Rows:
        """The row at each place."""
        return np.flatnonzero(self.space.valid)

    @cached_property
    def findable(self) -> Mask:
        """Which rows may be found, shape (n_images,)."""
        return self.space.valid & ~self.removed

    @cached_property
    def present(self) -> Mask | None:
        """Which places may be found, None if all."""
        present = ~self.removed[self.rows]
        return None if present.all() else present

    @property
    def facts(self) -> dict[str, Any]:
        """What a record of the index says of its contents."""
        return {
            "metric": self.space.metric,
            "n_images": len(self.space),
            "n_indexed": len(self.candidates),
            "removed": np.flatnonzero(self.removed).tolist(),
            **self.candidates.facts,
        }

    def nearest(
        self,
        queries: ArrayLike,
        n_results: int,
        *,
        allowed: ArrayLike | None = None,
        exclude: Sequence[ArrayLike] | None = None,
        exact: bool = False,
        n_threads: int,
    ) -> Neighbors:
        """Return the nearest rows to each query, as `SearchIndex.nearest` says."""
        vectors = _checked_queries(queries, self.space.dim)
        self.candidates.check_lengths(vectors)
        dropped = _checked_exclusions(exclude, len(vectors))
        mask = self._mask(_checked_mask(allowed, len(self.space)))
        search = _Search(self, check_int("n_results", n_results, low=1), mask, n_threads)
        answers: dict[int, _Answer] = {}
        if self.candidates.effort and not exact and search.n_allowed >= _FEWEST_ALLOWED * len(self.candidates):
            quick = [i for i in range(len(vectors)) if len(dropped[i]) <= _MOST_EXCLUDED]
            answers = search.likely(vectors, quick, dropped)
        if search.n_allowed:
            answers |= search.certain(vectors, [i for i in range(len(vectors)) if i not in answers], dropped)
        rows = np.full((len(vectors), n_results), -1, dtype=np.int64)
        scores = np.full(rows.shape, np.nan, dtype=np.float32)
        for i, (found, values) in answers.items():
            rows[i, : len(found)], scores[i, : len(found)] = found, values
        return Neighbors(rows, scores)

    def _mask(self, allowed: Mask | None) -> Mask | None:
        if allowed is None:
            return self.present
        chosen = allowed[self.rows]
        return chosen if self.present is None else chosen & self.present


_Answer = tuple[Rows, NDArray[np.float64]]


class _Search:
    """One search for the same number of rows among the same allowed ones."""

    def __init__(self, contents: Contents, n_results: int, mask: Mask | None, n_threads: int) -> None:
        self._contents, self._candidates, self._n_threads = contents, contents.candidates, n_threads
        self._n_results, self._mask = n_results, mask
        self.n_allowed = len(self._candidates) if mask is None else int(np.count_nonzero(mask))

    def likely(self, queries: Floats, which: list[int], dropped: Sequence[Rows]) -> dict[int, _Answer]:
        """Return the answers to some queries by graph or lists, without those for which too few rows were found."""
        if not which:
            return {}
        share = self.n_allowed / len(self._candidates)  # what is not allowed takes room in the list of a search
        places = self._candidates.likely(
            queries[which], self._width(which, dropped), self._mask, share=share, n_threads=self._n_threads
        )
        answers = {i: self._best(queries[i], found, dropped[i]) for i, found in zip(which, places, strict=True)}
        return {i: answer for i, answer in answers.items() if len(answer[0]) == self._n_results}

    def certain(self, queries: Floats, which: list[int], dropped: Sequence[Rows]) -> dict[int, _Answer]:
        """Return the answers to some queries, all allowed rows compared."""
        if not which:
            return {}
        if self._candidates.is_projected and self._mask is not None and self.n_allowed <= _FEW_ALLOWED:
            allowed = np.flatnonzero(self._mask)
            return {i: self._best(queries[i], allowed, dropped[i]) for i in which}
        width = self._width(which, dropped)
        found = self._compare_all(queries[which], width)
        return {
            i: self._proven(queries[i], places, float(elsewhere), dropped[i])
            for i, places, elsewhere in zip(which, *found, strict=True)
        }

    def _proven(self, query: Floats, places: Rows, elsewhere: float, dropped: Rows) -> _Answer:
        """Take more candidates until no other row can be among the nearest."""
        while True:
            rows, scores = self._best(query, places, dropped)
            if len(places) >= self.n_allowed or (
                len(rows) == self._n_results and self._sign * (scores[-1] - elsewhere) > 0
            ):
                return rows, scores
            more, bounds = self._compare_all(query[None], 4 * len(places))
            places, elsewhere = more[0], float(bounds[0])

    def _compare_all(self, queries: Floats, width: int) -> tuple[Rows, NDArray[np.float64]]:
        return self._candidates.compare_all(queries, min(width, self.n_allowed), self._mask, n_threads=self._n_threads)

    def _width(self, which: list[int], dropped: Sequence[Rows]) -> int:
        spare = _SPARE_PROJECTED if self._candidates.is_projected else _SPARE
        return min(self._n_results + spare + max(len(dropped[i]) for i in which), self.n_allowed)

    def _best(self, query: Floats, places: Rows, dropped: Rows) -> _Answer:
        rows = self._contents.rows[places[places >= 0]]
        if len(dropped) == 1:
            rows = rows[rows != dropped[0]]
        elif len(dropped):
            rows = rows[~np.isin(rows, dropped)]
        scores = self._contents.space.scores(query, rows)
        order = np.lexsort((rows, -self._sign * scores))[: self._n_results]
        return rows[order], scores[order]

    @property
    def _sign(self) -> int:
        return 1 if self._candidates.is_cosine else -1


def _checked_queries(queries: ArrayLike, dim: int) -> Floats:
    """Return queries as a matrix with a row per query, or raise."""
    vectors = np.atleast_2d(np.ascontiguousarray(queries, dtype=np.float32))
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise ValueError(
            f"`queries` must have shape (n_queries, {dim}). Got {vectors.shape} instead. `index.space.encode` makes "
            f"them from vectors of the descriptors, `index.space.rows` from rows of the dataset."
        )
    if not np.isfinite(vectors).all():
        raise ValueError("`queries` must be finite. Got NaN or infinity, as of a row without a usable vector.")
    return vectors


def _checked_mask(allowed: ArrayLike | None, n_images: int) -> Mask | None:
    """Return the allowed rows as a mask, or raise."""
    if allowed is None:
        return None
    mask = check_rows("allowed", allowed, n_images)
    if mask.dtype != bool:
        raise ValueError(f"`allowed` must be an array of bool. Got dtype {mask.dtype} instead.")
    return mask


def _checked_exclusions(exclude: Sequence[ArrayLike] | None, n_queries: int) -> list[Rows]:
    """Return the rows that each query may not find, or raise."""
    if exclude is None:
        return [np.empty(0, dtype=np.int64)] * n_queries
    if len(exclude) != n_queries:
        raise ValueError(f"`exclude` must have one entry per query, {n_queries}. Got {len(exclude)} instead.")
    dropped = [np.ravel(rows) for rows in exclude]
    if any(rows.size and rows.dtype.kind not in "iu" for rows in dropped):
        raise ValueError("`exclude` must hold rows of the dataset, ints. Got other values instead.")
    return [rows.astype(np.int64) for rows in dropped]
