"""Noise to clusters: images that a density algorithm left over join the cluster around them, with less confidence."""

from __future__ import annotations

import numpy as np

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.validation import check_int

__all__ = ["assign_noise"]


def assign_noise(partition: Partition, *, descriptor: Descriptor | None = None, n_neighbors: int = 10) -> Partition:
    """Give each image without a cluster that of its nearest clustered images.

    Parameters
    ----------
    partition : Partition
        Any partition with noise.
    descriptor : Descriptor, optional
        Where nearness is measured, with the same images; by default the space in which the clusters were found.
    n_neighbors : int, default=10
        How many of the nearest clustered images vote, the nearer the heavier.

    Returns
    -------
    Partition
        `params` say so with "noise" and the share that joined; `confidence` of these images is at most a half, half of
        the share of the votes. Images without a usable vector stay noise. The partition as it is where all images are
        clustered, or none.

    Raises
    ------
    ValueError
        If `descriptor` has another number of images.

    Notes
    -----
    The state that places new images is not carried over. O(n_noise * n_clustered * n_features) in many dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, assign_noise
    >>> space = Descriptor("line", np.array([[0.0], [1.0], [2.0], [8.0], [9.0]]))
    >>> assigned = assign_noise(Partition([0, 0, -1, 1, 1], space, "by hand"), n_neighbors=2)
    >>> assigned.labels, assigned.confidence
    (array([0, 0, 0, 1, 1], dtype=int32), array([1. , 1. , 0.5, 1. , 1. ], dtype=float32))
    """
    from sklearn.neighbors import KNeighborsClassifier

    space = partition.descriptor if descriptor is None else descriptor
    if len(space) != len(partition):
        raise ValueError(f"`descriptor` must have {len(partition)} images, as `partition` has. Got {len(space)}.")
    n_neighbors = check_int("n_neighbors", n_neighbors, low=1)
    known = np.flatnonzero(partition.clustered & space.valid)
    left = np.flatnonzero((partition.labels == NOISE) & partition.descriptor.valid & space.valid)
    if not len(known) or not len(left):
        return partition
    vote = KNeighborsClassifier(min(n_neighbors, len(known)), weights="distance")
    shares = vote.fit(space.vectors[known], partition.labels[known]).predict_proba(space.vectors[left])
    labels, confidence = partition.labels.copy(), partition.confidence.copy()
    labels[left] = vote.classes_[shares.argmax(axis=1)]
    confidence[left] = shares.max(axis=1) / 2
    joined = f"{len(left) / len(partition):.1%} joined the cluster of their {n_neighbors} nearest images"
    return Partition(
        labels, partition.descriptor, partition.algorithm, params={**partition.params, "noise": joined},
        confidence=confidence, seconds=partition.seconds, cluster_names=partition.cluster_names,
    )  # fmt: skip
