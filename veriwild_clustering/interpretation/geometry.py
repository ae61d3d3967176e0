"""Where clusters lie in their descriptor's space: centres, and how far each image is from its own and the next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.vectors.blocks import row_blocks
from veriwild_clustering.core.vectors.geometry import centroids, own_and_other

__all__ = ["CenterDistances", "center_distances", "cluster_centers"]


class CenterDistances(NamedTuple):
    """Euclidean distances of each image, NaN for noise; `other` is also NaN where there is one cluster alone.

    `own` is the distance to the centre of the image's cluster, `other` to the nearest centre of another one.
    """

    own: NDArray[np.float64]
    other: NDArray[np.float64]


def cluster_centers(partition: Partition) -> NDArray[np.float64]:
    """Return the mean vector of each cluster, shape (n_clusters, n_features); one pass over the vectors."""
    return centroids(partition.descriptor.vectors, partition.labels)


def center_distances(partition: Partition, centers: NDArray[np.float64]) -> CenterDistances:
    """Return how far each image is from its own centre and from the nearest other one, O(n * n_clusters * d)."""
    from scipy.spatial.distance import cdist

    own = np.full(len(partition), np.nan)
    other = np.full(len(partition), np.nan)
    rows = np.flatnonzero(partition.labels != NOISE)
    for block in row_blocks(len(rows), 8 * (len(centers) + partition.descriptor.n_features)):
        distances = cdist(partition.descriptor.vectors[rows[block]], centers)
        own[rows[block]], nearest = own_and_other(distances, partition.labels[rows[block]])
        if len(centers) > 1:
            other[rows[block]] = nearest
    return CenterDistances(own, other)
