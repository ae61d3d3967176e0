"""Searching: by rows of the dataset, new images, words, several of them together, and by what is not wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.search.backends.backend import VectorBackend
from veriwild_clustering.search.encoding import QueryEncoder
from veriwild_clustering.search.index import Neighbors
from veriwild_clustering.search.query_vectors import query_vector, usable_rows
from veriwild_clustering.search.ranking import Scope, rank
from veriwild_clustering.search.reranking import Reranker, find_reranker
from veriwild_clustering.search.results import Results

__all__ = ["Query", "search_images", "search_rows"]


@dataclass(frozen=True, eq=False)
class Query:
    """What is looked for. All that is given counts together.

    Parameters
    ----------
    rows : sequence of int
        Rows of the dataset: like these.
    images : sequence of path or array of shape (height, width, 3), uint8
        New images: like these.
    texts : sequence of str
        Words, in English for CLIP.
    vectors : mapping of str to array of shape (n, n_features)
        Vectors by descriptor, where they are at hand.
    negatives : Query, optional
        Unlike these: rows, images, words or vectors.
    text_weight : float, default 0.5
        Share of the words beside examples, 0 to 1. CLIP tells images apart by small differences of their similarity to
        words, so words may need 0.7 and more to change what an example finds.
    negative_weight : float, default 0.25
        How far the query moves away from the negatives, as a share of its distance to them, at most 100. 0.25 is
        Rocchio's ratio of 0.15 to 0.75.

    Raises
    ------
    TypeError, ValueError
        If nothing is given, a text is empty, or a weight is out of range.

    Notes
    -----
    For each descriptor apart: examples (rows, images, vectors) are brought to length 1 and averaged, and so are words.
    Both averages are brought to length 1 and added, (1 - text_weight) examples + text_weight words, and the sum is
    brought to length 1: what is found lies between them on the sphere. Words count in CLIP's descriptor alone.
    Negatives, averaged in the same way, then push the query away, query + negative_weight (query - negatives), after
    Rocchio [1]_, in descriptors that have something wanted. In a Euclidean space nothing is brought to length 1, and
    there are no words.

    References
    ----------
    .. [1] Manning, C. D., Raghavan, P. & Schütze, H. (2008). Introduction to information retrieval, chapter 9.
       Cambridge University Press. doi:10.1017/CBO9780511809071

    Examples
    --------
    >>> from veriwild_clustering.search.queries import Query
    >>> like_this_but_red = Query(rows=[7], texts=["a red car"], text_weight=0.7)
    >>> no_taxi = Query(rows=[7, 9], negatives=Query(rows=[12]))
    """

    rows: Sequence[int] = ()
    images: Sequence[Any] = ()
    texts: Sequence[str] = ()
    _: KW_ONLY
    vectors: Mapping[str, ArrayLike] = field(default_factory=dict)
    negatives: Query | None = None
    text_weight: float = 0.5
    negative_weight: float = 0.25

    def __post_init__(self) -> None:
        rows = tuple(check_int("rows", row, low=0) for row in np.asarray(self.rows, dtype=object).ravel())
        object.__setattr__(self, "rows", rows)
        for name in ("images", "texts"):
            given = getattr(self, name)
            if isinstance(given, str) or not hasattr(given, "__iter__"):
                raise TypeError(f"`{name}` must be a sequence, such as [{given!r}]. Got {given!r} instead.")
            object.__setattr__(self, name, tuple(given))
        if not all(isinstance(text, str) and text.strip() for text in self.texts):
            raise ValueError(f"`texts` must be texts that are not empty. Got {list(self.texts)!r} instead.")
        if not isinstance(self.vectors, Mapping):
            raise TypeError(f"`vectors` must be a mapping from descriptors. Got {type(self.vectors).__name__} instead.")
        if not (self.rows or self.images or self.texts or self.vectors):
            raise ValueError("A query must hold rows, images, texts or vectors. Got nothing to look for.")
        if self.negatives is not None and _checked_query("negatives", self.negatives).negatives is not None:
            raise ValueError("`negatives` must not have negatives of their own.")
        check_real("text_weight", self.text_weight, low=0, high=1)
        check_real("negative_weight", self.negative_weight, low=0, high=100)


def search_images(
    index: VectorBackend,
    dataset: Dataset,
    query: Query,
    *,
    n_results: int = 20,
    where: Mapping[str, Any] | None = None,
    exclude_self: bool = True,
    exclude_same_vehicle: bool = False,
    exclude_same_camera: bool = False,
    rerank: str | Reranker | None = None,
    encoder: QueryEncoder | None = None,
) -> Results:
    """Return the images nearest to what is looked for.

    Parameters
    ----------
    index : SearchIndex or QdrantIndex
        What is searched.
    dataset : Dataset
        The dataset of the index.
    query : Query
        What is looked for.
    n_results : int, default 20
        How many images; fewer come where no more are left.
    where : mapping, optional
        Conditions on columns of the image table, see `matching`.
    exclude_self : bool, default True
        Whether the query's own rows, negatives too, are left out.
    exclude_same_vehicle : bool, default False
        Whether images of the vehicles of the query's rows are left out.
    exclude_same_camera : bool, default False
        Whether images of the cameras of the query's rows are left out.
    rerank : {"k-reciprocal", "local-scaling"} or Reranker, optional
        How the nearest are ranked again, such as `KReciprocal(k1=20, k2=6)`.
    encoder : QueryEncoder, optional
        What makes vectors of new images and words. It keeps networks open: give the same one to many searches.

    Returns
    -------
    Results
        Rows, scores, and what each descriptor adds.

    Raises
    ------
    DatasetError
        If a row has no usable vector, an image cannot be read, or nobody knows what made a descriptor.
    TypeError, ValueError
        If a row, a column or a model is not known, the query has no direction, negatives share no descriptor with what
        is wanted, vehicles or cameras shall be left out of a query without rows, or the dataset is another.

    Notes
    -----
    O(n_images) for filters and exclusions, but for conditions that the index tests itself, as Qdrant does; then what
    `SearchIndex.nearest` takes, besides the networks. Re-ranking is a second search without the filters and some
    milliseconds, see `KReciprocal` and `LocalScaling`; it orders the `n_candidates` nearest anew and finds no others. A
    dataset opened apart from that of the index has its vectors compared the first time, O(n_images d).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor
    >>> from veriwild_clustering.search.index import SearchIndex
    >>> from veriwild_clustering.search.queries import Query, search_images
    >>> images = pd.DataFrame({"path": list("abcd"), "vehicle_id": ["1", "1", "2", "3"]})
    >>> paint = Descriptor("color_model", [[1.0, 0.0], [0.9, 0.1], [0.8, 0.6], [0.0, 1.0]])
    >>> dataset = Dataset(images, {"color_model": paint})
    >>> index = SearchIndex.build(dataset, "color_model")
    >>> results = search_images(index, dataset, Query(rows=[0]), exclude_same_vehicle=True)
    >>> results.rows.tolist(), results.explain(0)
    ([2, 3], 'Result 1, row 2 (c): cosine similarity 0.80, 0.80 of 1.00 from color_model.')
    """
    _check_dataset(index, dataset)
    check_int("n_results", n_results, low=1)
    _checked_query("query", query)
    if taken := {"row", "path", "score", "reranked"}.intersection(index.space.names):
        raise ValueError(f"The table of results has a column {taken.pop()!r} of its own: rename the descriptor.")
    scope = Scope.of(dataset.images, index, where=where, vehicle=exclude_same_vehicle, camera=exclude_same_camera)
    scope.check(query.rows)
    space, reranker = index.space, find_reranker(rerank)
    vector = query_vector(space, dataset, query, encoder=encoder)
    own = [*query.rows, *(query.negatives.rows if query.negatives else ())] if exclude_self else []
    found, distances = rank(
        index, vector[None], [query.rows], scope=scope, hidden=[own], n_results=n_results, rerank=reranker
    )
    rows = found.rows[0][found.rows[0] >= 0]
    table = pd.DataFrame(
        {"row": rows, "path": dataset.images["path"].to_numpy()[rows], "score": found.scores[0][: len(rows)]}
    )
    if reranker is not None:
        table["reranked"] = distances[0][: len(rows)]
    table[list(space.names)] = space.contributions(vector, rows)
    params = {
        "where": dict(where or {}),
        "exclude_self": exclude_self,
        "exclude_same_vehicle": exclude_same_vehicle,
        "exclude_same_camera": exclude_same_camera,
        "rerank": _shown(reranker),
    }
    weights = dict(zip(space.names, space.weights, strict=True))
    return Results(table, weights, space.metric, params=params)


def search_rows(
    index: VectorBackend,
    dataset: Dataset,
    rows: ArrayLike,
    *,
    n_results: int = 20,
    where: Mapping[str, Any] | None = None,
    exclude_self: bool = True,
    exclude_same_vehicle: bool = False,
    exclude_same_camera: bool = False,
    rerank: str | Reranker | None = None,
) -> Neighbors:
    """Search with each of many rows alone, as an evaluation does.

    Parameters
    ----------
    index, dataset
        As for `search_images`.
    rows : array of shape (n_queries,), int
        Rows of the dataset, each a query of its own.
    n_results, where, exclude_self, exclude_same_vehicle, exclude_same_camera, rerank
        As for `search_images`.

    Returns
    -------
    Neighbors
        Rows and scores, shape (n_queries, n_results), best first; −1 and NaN where no more are left. With re-ranking
        scores are still similarities or distances, and no longer in order.

    Raises
    ------
    DatasetError, TypeError, ValueError
        As `search_images` does.

    Notes
    -----
    What `search_images` takes for each row, without the table; O(n_queries (n_results + dim)) of memory.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor
    >>> from veriwild_clustering.search.index import SearchIndex
    >>> from veriwild_clustering.search.queries import search_rows
    >>> paint = Descriptor("color_model", [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> dataset = Dataset(pd.DataFrame({"path": list("abc")}), {"color_model": paint})
    >>> search_rows(SearchIndex.build(dataset, "color_model"), dataset, [0, 2], n_results=1).rows.tolist()
    [[1], [1]]
    """
    _check_dataset(index, dataset)
    check_int("n_results", n_results, low=1)
    queries = np.asarray(rows, dtype=object).ravel().tolist()
    scope = Scope.of(dataset.images, index, where=where, vehicle=exclude_same_vehicle, camera=exclude_same_camera)
    examples = [[row] for row in queries]
    vectors = index.space.rows(usable_rows(index.space, queries))
    if index.space.metric == "cosine" and not (directed := vectors.any(axis=1)).all():
        raise ValueError(f"Row {queries[directed.argmin()]} has no direction: its vector is zero.")
    found, _ = rank(
        index,
        vectors,
        examples,
        scope=scope,
        hidden=examples if exclude_self else [[] for _ in queries],
        n_results=n_results,
        rerank=find_reranker(rerank),
    )
    return found


def _check_dataset(index: VectorBackend, dataset: Dataset) -> None:
    """Raise if row i of the dataset is not row i of the index; vectors are read only if they are other objects."""
    same = len(dataset) == len(index.space) and all(
        own.name in dataset.names and (dataset[own.name] is own or dataset[own.name].fingerprint == own.fingerprint)
        for own in index.space.descriptors
    )
    if not same:
        raise ValueError(f"`dataset` must be the one that the index was built from: {index.space!r}. Got {dataset!r}.")


def _checked_query(name: str, query: Any) -> Query:
    if not isinstance(query, Query):
        raise TypeError(f"`{name}` must be a Query, such as Query(rows=[0]). Got {query!r} instead.")
    return query


def _shown(rerank: Reranker | None) -> Any:
    """Return what ranks again as a name with its settings."""
    if rerank is None:
        return None
    return {"name": type(rerank).__name__, **vars(rerank)}
