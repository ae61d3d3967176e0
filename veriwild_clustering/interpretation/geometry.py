"""Where clusters lie in their descriptor's space: centres, and how far each image is from its own and the next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.partition import NOISE, Partition

__all__ = ["CenterDistances", "center_distances", "cluster_centers"]

_BLOCK = 65_536


class CenterDistances(NamedTuple):
    """Euclidean distances of each image, NaN for noise; `other` is also NaN where there is one cluster alone.

    `own` is the distance to the centre of the image's cluster, `other` to the nearest centre of another one.
    """

    own: NDArray[np.float64]
    other: NDArray[np.float64]


def cluster_centers(partition: Partition) -> NDArray[np.float64]:
    """Return the mean vector of each cluster, shape (n_clusters, n_features); one pass over the vectors."""
    vectors = partition.descriptor.vectors
    centers = np.empty((partition.n_clusters, partition.descriptor.n_features))
    for cluster in range(partition.n_clusters):
        vectors[partition.members(cluster)].mean(axis=0, dtype=np.float64, out=centers[cluster])
    return centers


def center_distances(partition: Partition, centers: NDArray[np.float64]) -> CenterDistances:
    """Return how far each image is from its own centre and from the nearest other one, O(n * n_clusters * d)."""
    from scipy.spatial.distance import cdist

    own = np.full(len(partition), np.nan)
    other = np.full(len(partition), np.nan)
    rows = np.flatnonzero(partition.labels != NOISE)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        distances = cdist(partition.descriptor.vectors[block], centers)
        at_own = (np.arange(len(block)), partition.labels[block])
        own[block] = distances[at_own]
        if len(centers) > 1:
            distances[at_own] = np.inf
            other[block] = distances.min(axis=1)
    return CenterDistances(own, other)
