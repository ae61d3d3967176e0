"""The means of clusters, and the margin between two centers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["centroids", "own_and_other"]


def centroids(vectors: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the mean of each cluster, shape (n_clusters, n_features), for canonical labels; O(n * d)."""
    order = np.argsort(labels, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(labels + 1))[:-1])[1:]  # what comes first is noise
    means = [vectors[rows].mean(axis=0, dtype=np.float64) for rows in members]
    return np.asarray(means, dtype=np.float64).reshape(len(means), vectors.shape[1])


def own_and_other(
    distances: NDArray[np.float64], own: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return per row the distance to its own center and to the nearest other one, infinite where there is none."""
    index = own[:, None]
    to_own = np.take_along_axis(distances, index, axis=1)[:, 0]
    others = distances.copy()
    np.put_along_axis(others, index, np.inf, axis=1)
    return to_own, others.min(axis=1)
