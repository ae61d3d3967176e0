"""UMAP of many rows from the neighbour graph that everything else shares."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.vectors.neighbors import neighbor_graph

__all__ = ["fit_on_graph", "takes_graph"]

_FEWEST_ROWS = 4096  # UMAP compares all pairs below
_METRICS = {"euclidean", "l2"}


def takes_graph(step: Any, n_rows: int) -> bool:
    """Tell whether a transformer is a UMAP that would search these rows for Euclidean neighbours."""
    if type(step).__name__ != "UMAP" or not hasattr(step, "precomputed_knn"):
        return False
    given = step.precomputed_knn[0] is not None or step.unique or step.metric not in _METRICS
    return not given and n_rows >= _FEWEST_ROWS and step.n_neighbors < n_rows


def fit_on_graph(umap: Any, space: Descriptor) -> tuple[NDArray[np.float32], str | None]:
    """Fit a UMAP on the neighbour graph of `space`; return its map and in what the graph is an approximation."""
    graph = neighbor_graph(space, n_neighbors=umap.n_neighbors - 1)
    matrix = space.usable()
    # UMAP counts a row as its own first neighbour.
    indices = np.column_stack([np.arange(len(graph), dtype=np.int32), graph.indices])
    distances = np.column_stack([np.zeros(len(graph), dtype=np.float32), graph.distances])
    umap.precomputed_knn = (indices, distances, _Search(matrix))
    try:
        with warnings.catch_warnings():
            # It asks for an index of pynndescent's; ours does what `transform` needs of one.
            warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]", category=UserWarning)
            umap.fit(matrix)
    finally:
        umap.precomputed_knn = (None, None, None)  # no parameter of the user's
    return umap.embedding_, graph.approximation


class _Search:
    """What UMAP asks for the neighbours of new rows: all pairs compared."""

    _angular_trees = False

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._neighbors = NearestNeighbors(algorithm="brute").fit(vectors)

    def query(
        self,
        rows: NDArray[np.float32],
        n_neighbors: int,
        *,
        epsilon: float,  # noqa: ARG002 (pynndescent's signature)
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return places and distances of the nearest rows."""
        distances, indices = self._neighbors.kneighbors(rows, n_neighbors)
        return indices.astype(np.int32), distances.astype(np.float32)
