"""Ranking the best candidates again, by the neighbours that they share with the query or by those of their own."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_choice, check_int, check_real

__all__ = ["KReciprocal", "LocalScaling", "Reranker", "find_reranker"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Reranker(Protocol):
    """Gives the candidates of a query new distances to it."""

    @property
    def n_candidates(self) -> int:
        """How many of the nearest rows are ranked again."""

    def __call__(self, distances: Floats, comparable: Mask) -> Floats:
        """Return the distance of each row but the first to the first, which is the query.

        Both arguments have the shape (n, n): squared distances, and which pairs may be neighbours.
        """


@dataclass(frozen=True)
class KReciprocal:
    """Rank by how much of their neighbourhoods query and candidate have in common: k-reciprocal encoding [1]_.

    Two rows are reciprocal neighbours if each is among the nearest of the other. The neighbourhood of a row is its
    reciprocal neighbours and those of theirs that agree with it; the new distance is the Jaccard distance of two
    neighbourhoods, weighted with the original one.

    Parameters
    ----------
    k1 : int, default 10
        How many neighbours make a neighbourhood: about as many images as show the same vehicle. The authors' 20 is for
        data with more; with two images of each vehicle it does harm.
    k2 : int, default 3
        Over how many nearest rows neighbourhoods are averaged; 1 for none.
    weight : float, default 0.3
        Share of the original distance, 0 to 1.
    n_candidates : int, default 100
        How many of the nearest rows are ranked again.

    Notes
    -----
    Neighbourhoods are those among the candidates and the nearest rows whatever the filters, at most twice
    `n_candidates` rows, n: O(n³) per query, some milliseconds, whatever the size of the dataset. Where the camera of
    the query is left out, images of one camera are no neighbours. The original distance is squared and divided by the
    largest of its row, as the authors do.

    References
    ----------
    .. [1] Zhong, Z., Zheng, L., Cao, D. & Li, S. (2017). Re-ranking person re-identification with k-reciprocal
       encoding. CVPR. doi:10.1109/CVPR.2017.389

    Examples
    --------
    The row at −0.9 is nearer to the query, at 0, than that at 1, but belongs with others:

    >>> import numpy as np
    >>> from veriwild_clustering.search.reranking import KReciprocal
    >>> line = np.array([0.0, 0.5, 1.0, -0.9, -1.0, -1.1])
    >>> distances = KReciprocal(k1=2, k2=1)((line[:, None] - line) ** 2, np.ones((6, 6), dtype=bool))
    >>> distances.round(2).tolist()
    [0.4, 0.75, 0.9, 0.95, 1.0]
    """

    k1: int = 10
    k2: int = 3
    weight: float = 0.3
    _: KW_ONLY
    n_candidates: int = 100

    def __post_init__(self) -> None:
        for name in ("k1", "k2", "n_candidates"):
            check_int(name, getattr(self, name), low=1)
        check_real("weight", self.weight, low=0, high=1)

    def __call__(self, distances: Floats, comparable: Mask) -> Floats:
        """Return the distance of each row but the first to the first."""
        far = np.where(comparable, distances, -np.inf).max(axis=1, keepdims=True)
        scaled = np.where(comparable, distances / np.where(far > 0, far, 1), np.inf)
        np.fill_diagonal(scaled, 0)
        ranks = _ranks(scaled)
        wide, narrow = (_reciprocal(ranks, comparable, k) for k in (self.k1, round(self.k1 / 2)))
        shared = wide.astype(np.float32) @ narrow.T.astype(np.float32)
        agrees = wide & (3 * shared >= 2 * narrow.sum(axis=1))
        near = wide | (agrees.astype(np.float32) @ narrow.astype(np.float32) > 0)
        members = np.where(near, np.exp(-scaled), 0)
        members /= members.sum(axis=1, keepdims=True)
        if self.k2 > 1:
            nearest = ((ranks < self.k2) & np.isfinite(scaled)).astype(np.float64)
            members = nearest @ members / nearest.sum(axis=1, keepdims=True)
        common = np.minimum(members[0], members[1:]).sum(axis=1)
        return (1 - self.weight) * (1 - common / (2 - common)) + self.weight * np.minimum(scaled[0, 1:], 1)


@dataclass(frozen=True)
class LocalScaling:
    """Rank by the distance less what the candidate has to its own nearest rows: cross-domain local scaling [1]_.

    Some images are near to very many others. What is as near to its other neighbours as to the query is moved back,
    what is nearer to the query than to any other comes forward. It needs no more than one image to be found, where
    `KReciprocal` needs several.

    Parameters
    ----------
    n_neighbors : int, default 5
        Over how many nearest rows the own distances of a candidate are averaged.
    n_candidates : int, default 100
        How many of the nearest rows are ranked again.

    Notes
    -----
    Distances are squared. The nearest rows are those among the candidates and the nearest rows whatever the filters, at
    most twice `n_candidates`, n: O(n² d) per query.

    References
    ----------
    .. [1] Conneau, A., Lample, G., Ranzato, M., Denoyer, L. & Jégou, H. (2018). Word translation without parallel data.
       ICLR. https://doi.org/10.48550/arXiv.1710.04087

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering.search.reranking import LocalScaling
    >>> line = np.array([0.0, 2.0, -2.0, -2.1, -2.2])
    >>> distances = LocalScaling(1)((line[:, None] - line) ** 2, np.ones((5, 5), dtype=bool))
    >>> distances.round(2).tolist()
    [4.0, 7.99, 8.81, 9.67]
    """

    n_neighbors: int = 5
    _: KW_ONLY
    n_candidates: int = 100

    def __post_init__(self) -> None:
        for name in ("n_neighbors", "n_candidates"):
            check_int(name, getattr(self, name), low=1)

    def __call__(self, distances: Floats, comparable: Mask) -> Floats:
        """Return the distance of each row but the first to the first."""
        others = np.where(comparable & ~np.eye(len(distances), dtype=bool), distances, np.nan)[1:]
        nearest = np.sort(others, axis=1)[:, : self.n_neighbors]  # NaN, where nothing is comparable, comes last
        n_found = np.isfinite(nearest).sum(axis=1)
        return 2 * distances[0, 1:] - np.nansum(nearest, axis=1) / np.maximum(n_found, 1)


def find_reranker(rerank: str | Reranker | None) -> Reranker | None:
    """Return what ranks again: an object as it is, "k-reciprocal" and "local-scaling" with their defaults."""
    if rerank is None:
        return None
    if not isinstance(rerank, str):
        if isinstance(rerank, type) or not (callable(rerank) and hasattr(rerank, "n_candidates")):
            raise TypeError(f"`rerank` must be a name or an object such as KReciprocal(). Got {rerank!r} instead.")
        return rerank
    known: dict[str, Reranker] = {"k-reciprocal": KReciprocal(), "local-scaling": LocalScaling()}
    return known[check_choice("rerank", rerank, known)]


def _ranks(distances: Floats) -> NDArray[np.int64]:
    """Return the place of each column among those of its row, nearest first, the row itself before its equals."""
    own = ~np.eye(len(distances), dtype=bool)
    order = np.lexsort((own, distances), axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(order))[None], axis=1)
    return ranks


def _reciprocal(ranks: NDArray[np.int64], comparable: Mask, k: int) -> Mask:
    """Return which pairs are among the k nearest of each other, each row with itself."""
    near = (ranks <= k) & comparable
    mutual: Mask = near & near.T
    np.fill_diagonal(mutual, val=True)
    return mutual
