"""A search space kept in a Qdrant collection: for more rows, or more readers, than one machine serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.validation import DatasetError, check_int, check_known_names, check_rows
from veriwild_clustering.search.backends.collection import Collection
from veriwild_clustering.search.backends.connection import clear_errors, connect, is_local
from veriwild_clustering.search.backends.payloads import filter_of
from veriwild_clustering.search.filters import conditions
from veriwild_clustering.search.index import Neighbors
from veriwild_clustering.search.space import Metric, SearchSpace, checked_rows

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

__all__ = ["QdrantIndex"]

_QUERIES = 64  # in one request


class QdrantIndex:
    """The vectors of a search space in a Qdrant collection, with the image table as payload [1]_.

    Made by `build` and `open`; finds the same rows with the same scores as `SearchIndex`, where Qdrant's own
    approximation does not miss any. Each point holds one vector of the space, all descriptors side by side, since only
    then one search ranks by the weighted sum. Rows without a usable vector are not uploaded.

    Parameters
    ----------
    collection : Collection
        The collection, with what it was made of.

    References
    ----------
    .. [1] https://qdrant.tech/documentation/

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor
    >>> from veriwild_clustering.search.backends.qdrant import QdrantIndex
    >>> images = pd.DataFrame({"path": ["a.jpg", "b.jpg", "c.jpg"], "color": ["red", "blue", "red"]})
    >>> dataset = Dataset(images, {"osnet": Descriptor("osnet", [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])})
    >>> index = QdrantIndex.build(dataset, "osnet", "vehicles", location=":memory:")
    >>> index.nearest(index.space.rows([0]), 2, where={"color": "red"}).rows
    array([[0, 2]])
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def __len__(self) -> int:
        with clear_errors(self._collection.name):
            return int(self._collection.client.count(self._collection.name, exact=True).count)

    def __repr__(self) -> str:
        return f"QdrantIndex({self._collection.name!r}, {self.space!r}, {len(self):,} of {len(self.space):,} rows)"

    @classmethod
    def build(
        cls,
        dataset: Dataset,
        descriptors: str | Mapping[str, float],
        collection: str,
        *,
        location: str | Path | QdrantClient | None = None,
        metric: Metric = "cosine",
        columns: Sequence[str] | None = None,
        quantized: bool = False,
        progress: bool | None = None,
    ) -> QdrantIndex:
        """Upload a search space, or what is missing of it: an upload that was stopped is continued.

        Parameters
        ----------
        dataset : Dataset
            Where the descriptors and the image table are.
        descriptors : str or mapping of str to float
            The name of one, or the names of several with their weights.
        collection : str
            Name of the collection; made if it is not there.
        location : str, path or QdrantClient, optional
            Where it is, see `connect`.
        metric : {"cosine", "euclidean"}, default="cosine"
            What nearness means.
        columns : sequence of str, optional
            Columns of the image table that conditions may name; by default all.
        quantized : bool, default=False
            Whether a new collection keeps whole vectors on disk and in memory copies of one byte per number, by which
            candidates are found before the whole vectors rank them.
        progress : bool, optional
            Whether to show a progress bar; by default in a terminal or a notebook.

        Returns
        -------
        QdrantIndex
            The index. Points that are there with the same vector and payload are not sent again; removed rows are.

        Raises
        ------
        DatasetError
            If no row has a usable vector, the collection holds something else, or the database does not answer.
        ValueError
            If a name is unknown.
        """
        weights = {descriptors: 1.0} if isinstance(descriptors, str) else dict(descriptors)
        space = SearchSpace.of(dataset, weights, metric=metric)
        if not space.valid.any():
            raise DatasetError(f"No image has a usable vector of {' and '.join(space.names)}: nothing to upload.")
        columns = list(dataset.images.columns) if columns is None else list(columns)
        check_known_names("column", columns, list(dataset.images.columns))
        made = Collection(connect(location), collection, space, dataset.images[columns], list(weights.items()))
        with clear_errors(collection):
            made.fill(quantized=quantized, progress=progress)
        return cls(made)

    @classmethod
    def open(
        cls, collection: str, dataset: Dataset, *, location: str | Path | QdrantClient | None = None
    ) -> QdrantIndex:
        """Open a collection that `build` made of this dataset.

        Parameters
        ----------
        collection : str
            Name of the collection.
        dataset : Dataset
            The dataset that it was made of.
        location : str, path or QdrantClient, optional
            Where it is, see `connect`.

        Returns
        -------
        QdrantIndex
            The index.

        Raises
        ------
        DatasetError
            If there is no such collection, it was made of other vectors or not to the end, or nothing answers.
        """
        client = connect(location)
        with clear_errors(collection):
            return cls(Collection.open(client, collection, dataset))

    @property
    def space(self) -> SearchSpace:
        """What is searched: it makes vectors of the space out of vectors of the descriptors."""
        return self._collection.space

    def holds(self, columns: pd.DataFrame) -> bool:
        """Tell whether conditions on columns of an image table can be tested in the database.

        Parameters
        ----------
        columns : DataFrame
            Columns of the image table, one row per image.

        Returns
        -------
        bool
            Whether all of them are kept as payload, with the same values.
        """
        kept = self._collection.images
        return set(columns) <= set(kept) and kept[list(columns)].equals(columns)

    def nearest(
        self,
        queries: ArrayLike,
        n_results: int = 20,
        *,
        where: Mapping[str, Any] | None = None,
        allowed: ArrayLike | None = None,
        exclude: Sequence[ArrayLike] | None = None,
        exact: bool = False,
    ) -> Neighbors:
        """Return the nearest rows to vectors of the space.

        Parameters
        ----------
        queries : array of shape (n_queries, dim), float32
            From `space.encode` or `space.rows`.
        n_results : int, default=20
            How many rows per query.
        where : mapping of str to value, list or range, optional
            Conditions on the columns, as `matching` takes them; tested in the database. There times are kept to the
            microsecond, and ranges of whole numbers beyond 2^53 are those of float64.
        allowed : array of shape (n_images,), bool, optional
            The rows that may be found. Travels as a list of these or of the others: `where` is shorter.
        exclude : sequence of arrays, optional
            Per query the rows that it may not find.
        exact : bool, default=False
            Whether to compare with every vector.

        Returns
        -------
        Neighbors
            Rows and scores, best first and those equally near by their row: cosine similarity or Euclidean distance.

        Raises
        ------
        DatasetError
            If the database does not answer.
        TypeError, ValueError
            If queries or conditions do not fit the space and the image table.
        """
        vectors = np.atleast_2d(np.asarray(queries, dtype=np.float32))
        check_int("n_results", n_results, low=1)
        if vectors.ndim != 2 or vectors.shape[1] != self.space.dim or not np.isfinite(vectors).all():
            raise ValueError(f"`queries` must be finite, of shape (n, {self.space.dim}). Got {vectors.shape} instead.")
        filters = self._filters(len(vectors), where, allowed, exclude)
        neighbors = Neighbors(
            np.full((len(vectors), n_results), -1, dtype=np.int64),
            np.full((len(vectors), n_results), np.nan, dtype=np.float32),
        )
        for start in range(0, len(vectors), _QUERIES):
            block = slice(start, start + _QUERIES)
            for query, points in enumerate(self._ask(vectors[block], filters[block], n_results, exact=exact), start):
                rows = np.array([point.id for point in points], dtype=np.int64)
                scores = np.array([point.score for point in points], dtype=np.float32)
                order = np.lexsort((rows, -scores if self.space.metric == "cosine" else scores))
                neighbors.rows[query, : len(points)], neighbors.scores[query, : len(points)] = (
                    rows[order],
                    scores[order],
                )
        return neighbors

    def remove(self, rows: ArrayLike) -> None:
        """Delete rows of the dataset from the collection; building it again, or `add`, brings them back.

        Parameters
        ----------
        rows : array of int
            Rows of the dataset; those that are not there are passed over.

        Raises
        ------
        DatasetError
            If the database does not answer.
        ValueError
            If there is no such row.
        """
        from qdrant_client import models

        points = models.PointIdsList(points=checked_rows(rows, len(self.space)).tolist())
        with clear_errors(self._collection.name):
            self._collection.client.delete(self._collection.name, points_selector=points, wait=True)

    def add(self, rows: ArrayLike) -> None:
        """Upload rows of the dataset that were removed; those that are there stay.

        Parameters
        ----------
        rows : array of int
            Rows of the dataset.

        Raises
        ------
        DatasetError
            If the database does not answer.
        ValueError
            If there is no such row, or it has no usable vector.
        """
        chosen = np.unique(checked_rows(rows, len(self.space)))
        unusable = chosen[~self.space.valid[chosen]]
        if len(unusable):
            raise ValueError(f"Row {unusable[0]} has no usable vector of {' and '.join(self.space.names)}.")
        with clear_errors(self._collection.name):
            self._collection.send(chosen)

    def close(self) -> None:
        """Close the connection, and free its folder if it has one."""
        self._collection.client.close()

    def _filters(
        self,
        n_queries: int,
        where: Mapping[str, Any] | None,
        allowed: ArrayLike | None,
        exclude: Sequence[ArrayLike] | None,
    ) -> list[models.Filter | None]:
        """Return the filter of each query."""
        if exclude is not None and len(exclude) != n_queries:
            raise ValueError(f"`exclude` must have one entry per query, {n_queries}. Got {len(exclude)} instead.")
        omitted = [
            np.atleast_1d(np.asarray(rows, np.int64)) for rows in ([[]] * n_queries if exclude is None else exclude)
        ]
        kept = None
        if allowed is not None:
            mask = check_rows("allowed", allowed, len(self.space))
            if mask.dtype != bool:
                raise ValueError(f"`allowed` must be an array of bool. Got dtype {mask.dtype} instead.")
            if mask.mean() > 0.5:  # the shorter list travels
                omitted = [np.union1d(rows, np.flatnonzero(~mask)) for rows in omitted]
            else:
                kept = np.flatnonzero(mask)
        tests = conditions(self._collection.images, where)
        return [filter_of(tests, allowed=kept, excluded=rows) for rows in omitted]

    def _ask(
        self, vectors: NDArray[np.float32], filters: Sequence[models.Filter | None], n_results: int, *, exact: bool
    ) -> list[list[models.ScoredPoint]]:
        """Return the points nearest to some queries, in one request."""
        from qdrant_client import models

        client, name = self._collection.client, self._collection.name
        params = models.SearchParams(exact=True) if exact and not is_local(client) else None  # local is exact
        requests = [
            models.QueryRequest(query=vector.tolist(), filter=one, limit=n_results, params=params)
            for vector, one in zip(vectors, filters, strict=True)
        ]
        with clear_errors(name):
            return [answer.points for answer in client.query_batch_points(name, requests=requests)]
