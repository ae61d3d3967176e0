"""Which rows each query may find, and the nearest of them, ranked again if asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.classes import encode
from veriwild_clustering.search.backends.backend import FilteringBackend, VectorBackend
from veriwild_clustering.search.filters import conditions, matching
from veriwild_clustering.search.index import Neighbors
from veriwild_clustering.search.reranking import Reranker
from veriwild_clustering.search.space import SearchSpace

__all__ = ["Scope", "rank"]

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Scope:
    """The rows that queries may find.

    Parameters
    ----------
    allowed : array of shape (n_images,), bool, optional
        For all queries.
    where : mapping, optional
        Conditions for all queries that the index tests itself.
    vehicles, cameras : array of shape (n_images,), int64, optional
        By which a query may not find what is like its own rows; −1 where unknown, which is like nothing.
    """

    allowed: Mask | None = None
    where: Mapping[str, Any] | None = None
    vehicles: Codes | None = None
    cameras: Codes | None = None

    @classmethod
    def of(
        cls,
        images: pd.DataFrame,
        index: VectorBackend,
        *,
        where: Mapping[str, Any] | None,
        vehicle: bool,
        camera: bool,
    ) -> Scope:
        """Return the scope that was asked for; ValueError if the table has no such column."""
        tested = conditions(images, where)
        columns = images[[condition.column for condition in tested]]
        is_left = bool(tested) and isinstance(index, FilteringBackend) and index.holds(columns)
        return cls(
            matching(images, where) if tested and not is_left else None,
            where if is_left else None,
            _codes(images, "vehicle_id", "exclude_same_vehicle") if vehicle else None,
            _codes(images, "camera", "exclude_same_camera") if camera else None,
        )

    def check(self, rows: Sequence[int]) -> None:
        """Raise if something is to be left out by the query's rows and there are none."""
        if not rows and (self.vehicles is not None or self.cameras is not None):
            raise ValueError(
                "`exclude_same_vehicle` and `exclude_same_camera` go by the rows of the query, and it has none: of a "
                "new image or words neither is known."
            )

    @property
    def is_open(self) -> bool:
        """Whether all rows may be found."""
        return all(limit is None for limit in (self.allowed, self.where, self.vehicles, self.cameras))

    def cameras_of(self, rows: Sequence[int]) -> tuple[int, ...]:
        """Return the cameras of a query's rows."""
        return () if self.cameras is None else tuple(np.unique(self.cameras[list(rows)]).tolist())

    def mask(self, cameras: tuple[int, ...]) -> Mask | None:
        """Return the rows that a query of these cameras may find."""
        if self.cameras is None:
            return self.allowed
        others = ~_among(self.cameras, cameras)
        return others if self.allowed is None else others & self.allowed

    def same_vehicle(self, rows: Sequence[int]) -> NDArray[np.int64]:
        """Return the rows of the vehicles of a query's rows."""
        if self.vehicles is None:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero(_among(self.vehicles, np.unique(self.vehicles[list(rows)])))

    def comparable(self, rows: NDArray[np.int64], cameras: tuple[int, ...]) -> Mask:
        """Return which pairs of a query, first, and rows may be neighbours: not those of a camera that is left out.

        What images of one camera have in common is the camera, so they say nothing of each other's vehicle.
        """
        pairs = np.ones((len(rows) + 1, len(rows) + 1), dtype=bool)
        if self.cameras is not None:
            seen = self.cameras[rows]
            pairs[0, 1:] = pairs[1:, 0] = ~_among(seen, cameras)
            pairs[1:, 1:] = (seen[:, None] != seen) | (seen < 0)
            np.fill_diagonal(pairs, val=True)
        return pairs


def rank(
    index: VectorBackend,
    vectors: NDArray[np.float32],
    examples: Sequence[Sequence[int]],
    *,
    scope: Scope,
    hidden: Sequence[Sequence[int]],
    n_results: int,
    rerank: Reranker | None,
) -> tuple[Neighbors, NDArray[np.float64]]:
    """Return the rows nearest to each vector, and the distances of those that were ranked again, else NaN.

    `examples` are the rows that make each query, `hidden` those that it may not find.
    """
    n_nearest = n_results if rerank is None else max(n_results, rerank.n_candidates)
    cameras = [scope.cameras_of(rows) for rows in examples]
    own_rows = [np.array(rows, dtype=np.int64) for rows in hidden]
    unwanted = [np.union1d(own, scope.same_vehicle(rows)) for own, rows in zip(own_rows, examples, strict=True)]
    found = Neighbors(
        np.full((len(vectors), n_nearest), -1, dtype=np.int64), np.full((len(vectors), n_nearest), np.nan, np.float32)
    )
    conditions_there: dict[str, Any] = {} if scope.where is None else {"where": scope.where}
    for group in set(cameras):  # one mask for all queries of a camera
        places = [place for place, own in enumerate(cameras) if own == group]
        exclude = [unwanted[place] for place in places]
        part = index.nearest(vectors[places], n_nearest, allowed=scope.mask(group), exclude=exclude, **conditions_there)
        found.rows[places], found.scores[places] = part
    distances = np.full(found.rows.shape, np.nan)
    if rerank is not None:
        n_around = rerank.n_candidates
        around = (found if scope.is_open else index.nearest(vectors, n_around, exclude=own_rows)).rows[:, :n_around]
        for place, vector in enumerate(vectors):
            kept = found.rows[place, : rerank.n_candidates]
            kept = kept[kept >= 0]
            members = np.concatenate([kept, np.setdiff1d(around[place], [-1, *kept])])
            apart = _square_distances(index.space, vector, members)
            new = rerank(apart, scope.comparable(members, cameras[place]))[: len(kept)]
            order = np.argsort(new, kind="stable")
            for values, reordered in ((found.rows, kept), (found.scores, found.scores[place]), (distances, new)):
                values[place, : len(kept)] = reordered[order]
    return Neighbors(found.rows[:, :n_results], found.scores[:, :n_results]), distances[:, :n_results]


def _square_distances(space: SearchSpace, vector: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the squared distances of a query, first, and rows; on the unit sphere if the space is one of cosines."""
    points = np.vstack([vector[None], space.rows(rows)]).astype(np.float64)
    if space.metric == "cosine":
        points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    else:
        points -= points[0]  # a common offset would cost digits
    squares = np.einsum("ij,ij->i", points, points)
    distances = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
    np.fill_diagonal(distances, 0)
    return distances


def _codes(images: pd.DataFrame, column: str, option: str) -> Codes:
    if column not in images:
        raise ValueError(f"`{option}` needs a column {column!r}, which the image table does not have.")
    return encode(column, images[column], len(images))


def _among(codes: Codes, wanted: Any) -> Mask:
    """Return which codes are among the wanted ones; what is not known is not."""
    return np.isin(codes, wanted) & (codes >= 0)
