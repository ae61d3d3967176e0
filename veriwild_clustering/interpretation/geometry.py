"""Where clusters lie in their descriptor's space: centres, and how far each image is from its own and the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.vectors.blocks import read_blocks
from veriwild_clustering.core.vectors.geometry import centroids, own_and_other

__all__ = ["cluster_centers", "next_distances", "own_distances"]


def cluster_centers(partition: Partition) -> NDArray[np.float64]:
    """Return the mean vector of each cluster, shape (n_clusters, n_features); one pass over the vectors."""
    return centroids(partition.descriptor.vectors, partition.labels)


def own_distances(partition: Partition, centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Euclidean distance of each image to the centre of its cluster, NaN for noise; O(n * d)."""
    rows = np.flatnonzero(partition.clustered)
    found = np.full(len(partition), np.nan)
    row_bytes = 8 * partition.descriptor.n_features
    for part, block in read_blocks(partition.descriptor.vectors, valid=partition.clustered, row_bytes=row_bytes):
        found[rows[part]] = np.linalg.norm(block - centers[partition.labels[rows[part]]], axis=1)
    return found


def next_distances(partition: Partition, centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Euclidean distance of each image to the nearest centre of another cluster; O(n * n_clusters * d).

    NaN for noise, infinite where there is one cluster alone.
    """
    from sklearn.metrics import euclidean_distances

    rows = np.flatnonzero(partition.clustered)
    found = np.full(len(partition), np.nan)
    row_bytes = 16 * len(centers) + 8 * partition.descriptor.n_features
    for part, block in read_blocks(partition.descriptor.vectors, valid=partition.clustered, row_bytes=row_bytes):
        distances = euclidean_distances(block.astype(np.float64), centers)
        _, found[rows[part]] = own_and_other(distances, partition.labels[rows[part]])
    return found
