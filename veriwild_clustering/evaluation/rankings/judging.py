"""Ranked images read in blocks of queries and judged, so that memory stays that of a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.validation import check_rows
from veriwild_clustering.core.vectors.blocks import row_blocks
from veriwild_clustering.evaluation.rankings.expectation import Ties, chances

__all__ = ["RankedImages", "scores_of_queries"]

_ENTRY_BYTES = 128  # that judging takes for each entry of a ranking

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Judge = Callable[[slice, Ints], tuple[Bools, Bools]]  # block of queries, rows -> which are right, which are judged


@dataclass(frozen=True)
class RankedImages:
    """Ranked images, block by block, and which image each query is, −1 where none of them."""

    ranking: Any
    rows: Ints
    n_images: int

    @classmethod
    def of(cls, ranking: Any, n_images: int) -> RankedImages:
        """Check a ranking for queries that are none of the images."""
        ranking = ranking if hasattr(ranking, "dtype") else np.asarray(ranking)
        if len(shape := ranking.shape) != 2 or 0 in shape or ranking.dtype.kind not in "iuf":
            raise ValueError(
                f"`ranking` must be a numeric matrix, one line per query, at least one. Got shape {shape} and dtype "
                f"{ranking.dtype} instead."
            )
        if ranking.dtype.kind == "f" and shape[1] != n_images:
            raise ValueError(
                f"Similarities must have one column per image, {n_images}. Got {shape[1]} instead. Rows of the first "
                f"results are passed as whole numbers."
            )
        return cls(ranking, np.full(shape[0], -1), n_images)

    @classmethod
    def of_images(cls, ranking: Any, n_images: int, rows: ArrayLike | None) -> RankedImages:
        """Check a ranking for queries that are images themselves, by default all of them."""
        checked = cls.of(ranking, n_images)
        n_queries = len(checked.rows)
        if rows is None and n_queries != n_images:
            raise ValueError(
                f"`query_rows` must say which of the {n_images} images the {n_queries} queries are, or `query_labels` "
                f"what they show."
            )
        places = np.arange(n_images) if rows is None else check_rows("query_rows", rows, n_queries)
        return replace(checked, rows=_known_rows("query_rows", places, n_images, low=0))

    def blocks(self) -> Iterator[tuple[slice, Ints, Floats]]:
        """Yield blocks of queries: their results' rows and scores, higher is better, NaN where there is no result."""
        n_queries, n_results = self.ranking.shape
        for block in row_blocks(n_queries, n_results * _ENTRY_BYTES):
            results = np.asarray(self.ranking[block])
            if results.dtype.kind == "f":
                yield block, np.arange(self.n_images)[None], results.astype(np.float64)
                continue
            rows = _known_rows("ranking", results, self.n_images)
            ordered = np.sort(rows, axis=1)
            if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
                raise ValueError("`ranking` must hold an image once per query. Got one twice.")
            yield block, rows, np.where(rows >= 0, -np.arange(n_results, dtype=np.float64), np.nan)


def scores_of_queries(queries: RankedImages, judge: Judge, totals: tuple[Ints, Ints], *, k: int) -> pd.DataFrame:
    """Return scores and chances, one line per query, NaN where nothing could be right."""
    parts = []
    for block, rows, scores in queries.blocks():
        right, judged = judge(block, rows)
        listed = ~np.isnan(scores)
        right, judged = right & listed, judged & listed
        n_listed = judged.sum(axis=1)
        whole = queries.ranking.dtype.kind == "f"  # all images are ranked: what is not listed is not searched
        n_right, n_judged = (right.sum(axis=1), n_listed) if whole else (total[block] for total in totals)
        ties = Ties.of(right, np.where(judged, scores, np.nan))
        part = ties.scores(n_right, n_listed, k=k) | {
            f"{name}_chance": value for name, value in chances(n_right, n_judged, n_listed, k=k).items()
        }
        parts.append(pd.DataFrame({name: np.where(n_right > 0, values, np.nan) for name, values in part.items()}))
    return pd.concat(parts, ignore_index=True)


def _known_rows(name: str, rows: NDArray[Any], n_images: int, *, low: int = -1) -> Ints:
    """Return `rows` as int64, or raise if one is below `low` or beyond the images."""
    if rows.dtype.kind not in "iu" or rows.min() < low or rows.max() >= n_images:
        raise ValueError(f"`{name}` must hold whole numbers in [{low}, {n_images}): rows of the images.")
    return rows.astype(np.int64, copy=False)
