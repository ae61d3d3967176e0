"""PyOD's KNN and LOF on many rows: few neighbours from the graph that others share, many among a sample of rows.

PyOD searches with scikit-learn's trees or float64 blocks; FAISS finds the same neighbours in float32 in less time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.vectors.neighbors import NeighborGraph, neighbor_graph

__all__ = ["SampledKNN", "graph_scores", "is_euclidean_knn", "reads_graph"]

_MAX_NEIGHBORS = 64
_MAX_BYTES = 2**30  # of the rows, which FAISS holds in memory


def is_euclidean_knn(model: Any) -> bool:
    """Tell whether `model` is PyOD's KNN with Euclidean distances."""
    from pyod.models.knn import KNN

    return type(model) is KNN and _is_euclidean(model)


def reads_graph(model: Any, descriptor: Descriptor) -> bool:
    """Tell whether `model` is PyOD's KNN or LOF with few Euclidean neighbours, and the rows are not too wide."""
    from pyod.models.lof import LOF

    if not (is_euclidean_knn(model) or (type(model) is LOF and _is_euclidean(model))):
        return False
    few = model.n_neighbors <= min(_MAX_NEIGHBORS, descriptor.n_valid - 1)
    return few and 4 * descriptor.n_valid * descriptor.n_features <= _MAX_BYTES


def _is_euclidean(model: Any) -> bool:
    return model.metric in {"euclidean", "l2"} or (model.metric == "minkowski" and model.p == 2)


class SampledKNN:
    """PyOD's KNN, fitted to a sample and asked for the scores of other rows.

    Parameters
    ----------
    model : pyod.models.knn.KNN
        Its number of neighbours and method; Euclidean.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, sample: NDArray[np.float32]) -> SampledKNN:
        """Keep the sample; each of its rows is scored by its neighbours among the others."""
        import faiss

        self._center = sample.mean(axis=0)  # float32 distances are the better the nearer the rows are to the origin
        self._index = faiss.IndexFlatL2(sample.shape[1])
        self._index.add(sample - self._center)
        self.decision_scores_ = self._scores(self._distances(sample, self.model.n_neighbors + 1)[:, 1:])
        return self

    def decision_function(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the scores of other rows by their neighbours in the sample."""
        return self._scores(self._distances(rows, self.model.n_neighbors))

    def _distances(self, rows: NDArray[np.float32], n_neighbors: int) -> NDArray[np.float32]:
        squared, _ = self._index.search(rows - self._center, n_neighbors)
        return np.sqrt(np.maximum(squared, 0))

    def _scores(self, distances: NDArray[np.float32]) -> NDArray[np.float64]:
        return _scores_of_distances(self.model, distances)


def graph_scores(
    model: Any, descriptor: Descriptor, *, progress: bool | None = None
) -> tuple[NDArray[np.float64], str | None]:
    """Return the scores that KNN or LOF fitted to all usable rows gives them, and how the graph is approximate."""
    graph = neighbor_graph(descriptor, n_neighbors=model.n_neighbors, progress=progress)
    scores = _scores_of_distances(model, graph.distances) if is_euclidean_knn(model) else _lof_scores(graph)
    return scores, graph.approximation


def _scores_of_distances(model: Any, distances: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what KNN makes of the distances to the neighbours, nearest first: the only private name of PyOD used."""
    return np.asarray(model._get_dist_by_method(distances), dtype=np.float64)  # noqa: SLF001


def _lof_scores(graph: NeighborGraph) -> NDArray[np.float64]:
    """PyOD's LOF calls scikit-learn's, but refuses a matrix of distances; this calls the latter with one."""
    from scipy.sparse import csr_array
    from sklearn.neighbors import LocalOutlierFactor

    n_rows, n_neighbors = graph.indices.shape
    # scikit-learn wants each row to be its own first neighbour.
    itself = np.arange(n_rows, dtype=graph.indices.dtype)[:, None]
    indices = np.hstack([itself, graph.indices]).ravel()
    distances = np.hstack([np.zeros((n_rows, 1)), graph.distances]).ravel()
    ends = np.arange(0, len(indices) + 1, n_neighbors + 1)
    matrix = csr_array((distances, indices, ends), shape=(n_rows, n_rows))
    return -LocalOutlierFactor(n_neighbors, metric="precomputed").fit(matrix).negative_outlier_factor_
