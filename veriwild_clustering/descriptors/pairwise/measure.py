"""What a similarity of images is, and the pairs of rows whose similarity reaches a threshold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.vectors.hamming import pairs_within

__all__ = [
    "MOST_PAIRS",
    "Found",
    "Measure",
    "TiledMeasure",
    "equal_rows",
    "similar_links",
    "similar_pairs",
    "similarity_matrix",
    "small",
]

Features = NDArray[Any]
Rows = NDArray[np.int64]

MOST_PAIRS = 2**16
"""Of pairs that are gathered before they are passed on."""


class Found(NamedTuple):
    """Pairs that reach the threshold, and how many pairs were computed to find them.

    `n_implied` counts pairs that reach it too and are not listed: of equal images, where a chain says as much.
    """

    rows: Rows
    others: Rows
    similarities: NDArray[np.float64]
    n_compared: int
    n_implied: int = 0

    @property
    def n_pairs(self) -> int:
        """How many pairs reach the threshold."""
        return len(self.rows) + self.n_implied


class Measure(Protocol):
    """A similarity in [0, 1]: symmetric, and 1 where the features of two images are equal."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def sees(self) -> str:
        """What it tells apart, in a few words."""

    @property
    def strict(self) -> float:
        """A threshold that copies of an image reach and few other images do, for where none can be chosen."""

    def features(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Return what is compared, one row per RGB image."""

    def describe(self, features: Features) -> NDArray[np.float32]:
        """Return the features, or a summary of them, as vectors; NaN where there is nothing to compare."""

    def pairs(self, features: Features, rows: Rows, *, threshold: float, tile: int, n_jobs: int) -> Iterator[Found]:
        """Yield every pair of the given rows whose similarity is at least the threshold, once."""


class TiledMeasure:
    """A measure that compares the rows of two tiles of the features at a time."""

    most_rows = 1024  # of a tile: what is prepared of it stays small

    def prepare(self, features: Features) -> Any:
        """Return what comparing needs of the rows of a tile."""
        raise NotImplementedError

    def compare(self, left: Any, right: Any, *, threshold: float, same: bool) -> Found:
        """Return the pairs of two tiles, of equal tiles only those of a row and an earlier one."""
        raise NotImplementedError

    def pairs(self, features: Features, rows: Rows, *, threshold: float, tile: int, n_jobs: int) -> Iterator[Found]:
        """Yield every pair of the given rows whose similarity is at least the threshold, once."""
        from joblib import Parallel, delayed

        step = min(tile, self.most_rows)
        tiles = [rows[start : start + step] for start in range(0, len(rows), step)]
        work = (
            delayed(self._tile)(features, tiles[a], tiles[b], left, threshold)
            for a in range(len(tiles))
            for left in [self.prepare(np.asarray(features[tiles[a]]))]
            for b in range(a + 1)
        )
        yield from Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")(work)

    def _tile(self, features: Features, rows: Rows, others: Rows, left: Any, threshold: float) -> Found:
        same = rows is others
        right = left if same else self.prepare(np.asarray(features[others]))
        found = self.compare(left, right, threshold=threshold, same=same)
        return Found(rows[found.rows], others[found.others], found.similarities, found.n_compared)


def equal_rows(features: Features, rows: Rows) -> NDArray[np.int64]:
    """Return a number per row, the same for rows whose features are equal."""
    digests = [hashlib.blake2b(np.ascontiguousarray(features[row]).tobytes(), digest_size=16).digest() for row in rows]
    return pd.factorize(np.array(digests, dtype=object))[0].astype(np.int64)


def similar_pairs(
    measure: Measure,
    features: Features,
    rows: Rows,
    *,
    threshold: float,
    tile: int = 1024,
    n_jobs: int = 1,
) -> Iterator[Found]:
    """Yield every pair of rows, in ascending order, that reaches the threshold; equal features are compared once.

    Pairs that follow from equal features come in pieces, so that they need no more memory than the rows do.
    """
    sets = _EqualSets.of(features, rows)
    for later, earlier in pairs_within(sets.rows, sets.sizes):
        yield Found(later, earlier, np.ones(len(later)), 0)
    for found in measure.pairs(features, sets.first, threshold=threshold, tile=tile, n_jobs=n_jobs):
        yield from sets.spread(found)


def similar_links(
    measure: Measure,
    features: Features,
    rows: Rows,
    *,
    threshold: float,
    tile: int = 1024,
    n_jobs: int = 1,
) -> Iterator[Found]:
    """Yield few pairs that join the rows, in ascending order, into the groups into which all similar pairs join them.

    Equal features are a chain, of which the first row alone meets others: n equal rows make n − 1 pairs.
    """
    sets = _EqualSets.of(features, rows)
    repeated = sets.rows[1:][np.diff(sets.number) == 0]
    before = sets.rows[:-1][np.diff(sets.number) == 0]
    n_equal = int((sets.sizes * (sets.sizes - 1) // 2).sum())
    yield Found(repeated, before, np.ones(len(repeated)), 0, n_equal - len(repeated))
    for found in measure.pairs(features, sets.first, threshold=threshold, tile=tile, n_jobs=n_jobs):
        n_pairs = int((sets.sizes[sets.of_first(found.rows)] * sets.sizes[sets.of_first(found.others)]).sum())
        yield found._replace(n_implied=n_pairs - len(found.rows))


@dataclass(frozen=True)
class _EqualSets:
    """Rows in sets of equal features, one set behind the other in the order of their first rows."""

    rows: Rows
    number: Rows  # of the set of each row
    sizes: Rows

    @classmethod
    def of(cls, features: Features, rows: Rows) -> _EqualSets:
        number = equal_rows(features, rows)
        order = np.argsort(number, kind="stable")
        return cls(rows[order], number[order], np.bincount(number))

    @cached_property
    def starts(self) -> Rows:
        return np.asarray(np.cumsum(self.sizes) - self.sizes)

    @cached_property
    def first(self) -> Rows:
        """The first row of each set, in ascending order, as `equal_rows` counts sets by their first rows."""
        return self.rows[self.starts]

    def of_first(self, rows: Rows) -> Rows:
        """Return the numbers of the sets whose first rows are given."""
        return np.searchsorted(self.first, rows)

    def spread(self, found: Found) -> Iterator[Found]:
        """Yield the pairs of all rows of two sets for the pairs of their first rows, not too many at a time."""
        left, right = self.of_first(found.rows), self.of_first(found.others)
        each = self.sizes[left] * self.sizes[right]
        stops = np.cumsum(each)
        n_compared = found.n_compared
        for start in range(0, max(1, int(each.sum())), MOST_PAIRS):
            place = np.arange(start, min(start + MOST_PAIRS, int(each.sum())))
            pair = np.searchsorted(stops, place, side="right")
            within = place - (stops - each)[pair]
            one = self.rows[self.starts[left[pair]] + within // self.sizes[right[pair]]]
            other = self.rows[self.starts[right[pair]] + within % self.sizes[right[pair]]]
            yield Found(one, other, found.similarities[pair], n_compared)
            n_compared = 0


def similarity_matrix(measure: Measure, features: Features, rows: Rows, *, n_jobs: int = 1) -> NDArray[np.float64]:
    """Return the similarities of all pairs of rows, in ascending order, shape (n_rows, n_rows)."""
    matrix = np.zeros((len(rows), len(rows)))
    np.fill_diagonal(matrix, 1)
    for found in similar_pairs(measure, features, rows, threshold=0.0, n_jobs=n_jobs):
        one, other = np.searchsorted(rows, found.rows), np.searchsorted(rows, found.others)
        matrix[one, other] = matrix[other, one] = found.similarities
    return matrix


def small(image: NDArray[np.uint8], side: int, *, grey: bool) -> NDArray[np.uint8]:
    """Return an image as a square, grey or RGB."""
    import cv2

    shrinks = min(image.shape[:2]) >= side
    square: NDArray[Any] = image
    if image.shape[:2] != (side, side):
        square = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(square, cv2.COLOR_RGB2GRAY) if grey else square, dtype=np.uint8)
