"""Where clusters lie in their descriptor's space: centres, and how far each image is from its own and the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.vectors.blocks import read_blocks
from veriwild_clustering.core.vectors.geometry import centroids

__all__ = ["cluster_centers", "nearest_centers", "next_centers", "own_distances"]


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


def next_centers(partition: Partition, centers: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return per image which other cluster's centre is nearest and its Euclidean distance; O(n * n_clusters * d).

    −1 and NaN for noise, and where there is one cluster alone.
    """
    from sklearn.metrics import euclidean_distances

    other, found = np.full(len(partition), NOISE, dtype=np.int64), np.full(len(partition), np.nan)
    if len(centers) < 2:
        return other, found
    rows = np.flatnonzero(partition.clustered)
    row_bytes = 16 * len(centers) + 8 * partition.descriptor.n_features
    for part, block in read_blocks(partition.descriptor.vectors, valid=partition.clustered, row_bytes=row_bytes):
        distances = euclidean_distances(block.astype(np.float64), centers)
        np.put_along_axis(distances, partition.labels[rows[part], None], np.inf, axis=1)
        other[rows[part]], found[rows[part]] = distances.argmin(axis=1), distances.min(axis=1)
    return other, found


def nearest_centers(centers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each centre the index of the nearest other one, −1 if there is none."""
    from scipy.spatial.distance import cdist

    if len(centers) < 2:
        return np.full(len(centers), NOISE, dtype=np.int64)
    distances = cdist(centers, centers)
    np.fill_diagonal(distances, np.inf)
    return distances.argmin(axis=1)
