"""Groups of rows whose similarity reaches a threshold: connected components, complete or average linkage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin

from veriwild_clustering.core.partition import NOISE, canonical_labels
from veriwild_clustering.core.validation import check_choice, check_real
from veriwild_clustering.core.vectors.links import Links
from veriwild_clustering.descriptors.pairwise.measure import (
    Found,
    similar_links,
    similar_pairs,
    similarity_matrix,
)
from veriwild_clustering.descriptors.pairwise.vectors import METRICS, VectorSimilarity

__all__ = ["LINKAGES", "SimilarityComponents", "group_labels", "linked", "pairs_for"]

LINKAGES = ("components", "complete", "average")
_MOST_ROWS = 10_000  # of a component that a tree of all its pairs splits: 400 MB

Matrix = Callable[[NDArray[np.int64]], NDArray[np.float64]]


class SimilarityComponents(ClusterMixin, BaseEstimator):
    """Group rows that are similar; a row without a similar other is noise.

    Parameters
    ----------
    threshold : float, default=0.9
        Two rows are similar if their similarity, in [0, 1], is at least this.
    metric : str, default="cosine"
        "cosine", negative ones 0; "euclidean", 1 / (1 + distance); or "precomputed": the rows are similarities.
    linkage : str, default="components"
        "components": a chain of similar rows leads from each row of a group to each other. "complete": all rows of a
        group are similar. "average": groups join as long as the mean similarity of their rows reaches the threshold.

    Attributes
    ----------
    labels_ : array of shape (n_rows,), int32
        0 is the largest group, −1 noise.
    n_pairs_ : int
        Number of similar pairs.
    n_features_in_ : int
        Number of columns seen.

    Notes
    -----
    O(n² d) by matrix products. Memory O(n) for components; that of all similar pairs for complete linkage, of all pairs
    of a component for average linkage, both within components of at most 10,000 rows: no group leaves its component.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import SimilarityComponents
    >>> chain = np.array([[0.0], [1.0], [2.0], [9.0]])
    >>> SimilarityComponents(0.5, metric="euclidean").fit_predict(chain)
    array([ 0,  0,  0, -1], dtype=int32)
    >>> SimilarityComponents(0.5, metric="euclidean", linkage="complete").fit_predict(chain)
    array([ 0,  0, -1, -1], dtype=int32)
    """

    def __init__(self, threshold: float = 0.9, *, metric: str = "cosine", linkage: str = "components") -> None:
        self.threshold = threshold
        self.metric = metric
        self.linkage = linkage

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.metric == "precomputed"
        return tags

    def fit(self, X: Any, y: Any = None) -> SimilarityComponents:
        """Group the rows.

        Parameters
        ----------
        X : array of shape (n_rows, n_features), or (n_rows, n_rows)
            Vectors, or similarities where the metric is "precomputed".
        y : None
            Ignored.

        Returns
        -------
        SimilarityComponents
            The estimator.
        """
        from sklearn.utils.validation import validate_data

        del y
        threshold = check_real("threshold", self.threshold, low=0, high=1)
        check_choice("metric", self.metric, (*METRICS, "precomputed"))
        check_choice("linkage", self.linkage, LINKAGES)
        vectors = np.asarray(validate_data(self, X, dtype=np.float64))
        rows = np.arange(len(vectors))
        if self.metric == "precomputed":
            pairs: Iterable[Found] = [_pairs_of(vectors, threshold)]
            groups, self.n_pairs_, _ = linked(
                len(rows),
                pairs,
                linkage=self.linkage,
                threshold=threshold,
                matrix=lambda part: vectors[np.ix_(part, part)],
            )
        else:
            measure, features = VectorSimilarity("rows", self.metric), vectors.astype(np.float32)
            pairs = pairs_for(self.linkage)(measure, features, rows, threshold=threshold)
            groups, self.n_pairs_, _ = linked(
                len(rows), pairs, linkage=self.linkage, threshold=threshold,
                matrix=lambda part: similarity_matrix(measure, features, part),
            )  # fmt: skip
        self.labels_ = group_labels(groups)
        return self


def group_labels(groups: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return labels by size from any numbers of groups; a group of one row is noise."""
    alone = np.bincount(groups, minlength=1)[groups] == 1
    return canonical_labels(np.where(alone, NOISE, groups))[0]


def pairs_for(linkage: str) -> Callable[..., Iterator[Found]]:
    """Return what yields the pairs that a linkage needs: few where components say enough."""
    return similar_pairs if linkage == "complete" else similar_links


def linked(
    n_rows: int, pairs: Iterable[Found], *, linkage: str, threshold: float, matrix: Matrix
) -> tuple[NDArray[np.int64], int, int]:
    """Return the group of each row, how many similar pairs there are, and how many were computed.

    Complete linkage needs all similar pairs, others no more than join the rows, as `pairs_for` gives them.
    `matrix(rows)` gives all similarities of a few rows; average linkage alone asks for it.
    """
    links, n_pairs, n_compared = Links(n_rows), 0, 0
    kept: list[Found] = []
    for found in pairs:
        links.add(found.rows, found.others)
        n_pairs += found.n_pairs
        n_compared += found.n_compared
        if linkage == "complete":
            kept.append(found)
    groups = links.components()
    if linkage != "components":
        groups = _split(groups, kept, linkage=linkage, threshold=threshold, matrix=matrix)
    return groups, n_pairs, n_compared


def _split(
    components: NDArray[np.int64], kept: list[Found], *, linkage: str, threshold: float, matrix: Matrix
) -> NDArray[np.int64]:
    """Return the groups into which a tree of each component falls below the threshold."""
    from scipy.cluster.hierarchy import fcluster
    from scipy.cluster.hierarchy import linkage as tree_of
    from scipy.spatial.distance import squareform

    groups = np.full(len(components), -1)
    order = np.argsort(components, kind="stable")
    n_groups = 0
    for rows in np.split(order, np.cumsum(np.bincount(components))[:-1]):
        number = np.zeros(len(rows), dtype=np.int64)
        if len(rows) > _MOST_ROWS:
            raise ValueError(
                f"`linkage` {linkage!r} takes at most {_MOST_ROWS:,} images that chains of similar ones join. Got "
                f"{len(rows):,}: raise `threshold`, or use 'components'."
            )
        if len(rows) > 2:
            apart = 1 - matrix(rows) if linkage == "average" else _distances(rows, kept)
            np.fill_diagonal(apart, 0)
            method: Literal["average", "complete"] = "average" if linkage == "average" else "complete"
            tree = tree_of(squareform(apart, checks=False), method)
            number = fcluster(tree, 1 - threshold, "distance").astype(np.int64) - 1
        groups[rows] = number + n_groups
        n_groups += number.max() + 1
    return groups


def _distances(rows: NDArray[np.int64], kept: list[Found]) -> NDArray[np.float64]:
    """Return the distances of similar pairs of a component; 2 between others, which no complete linkage joins."""
    apart = np.full((len(rows), len(rows)), 2.0)
    for found in kept:
        place = np.searchsorted(rows, found.rows)
        inside = rows[np.minimum(place, len(rows) - 1)] == found.rows
        one, other = place[inside], np.searchsorted(rows, found.others[inside])
        apart[one, other] = apart[other, one] = 1 - found.similarities[inside]
    return apart


def _pairs_of(similarities: NDArray[np.float64], threshold: float) -> Found:
    if similarities.shape[0] != similarities.shape[1]:
        raise ValueError(f"`X` must be a square matrix of similarities. Got shape {similarities.shape} instead.")
    symmetric = np.maximum(similarities, similarities.T)
    rows, others = np.nonzero(np.tril(symmetric >= threshold, -1))
    return Found(rows, others, symmetric[rows, others], len(symmetric) * (len(symmetric) - 1) // 2)
