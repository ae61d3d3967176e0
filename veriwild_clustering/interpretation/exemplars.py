"""Which images to show of a cluster: the typical ones, those on the border, or any."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.validation import check_choice, check_int, check_rows
from veriwild_clustering.interpretation.evidence.geometry import cluster_centers, next_centers, own_distances

__all__ = ["best_rows", "exemplars"]


def exemplars(
    partition: Partition,
    *,
    n: int = 8,
    kind: str = "exemplar",
    groups: ArrayLike | None = None,
    noise: bool = False,
    random_state: int | None = 0,
) -> dict[int, NDArray[np.int64]]:
    """Pick images that show what each cluster holds.

    Parameters
    ----------
    partition : Partition
        The clusters, in the space in which they were found.
    n : int, default=8
        How many images per cluster; smaller clusters give all they have.
    kind : {"exemplar", "borderline", "random"}, default="exemplar"
        "exemplar": nearest to the centre of the cluster, the nearest first, which is the medoid under squared
        Euclidean distance. "borderline": smallest difference between the distances to the nearest other centre and
        to the own one, so the most doubtful first. "random": a random sample.
    groups : array of shape (n_images,), optional
        What images should differ in, such as the vehicle: the best image of each group comes before any second one.
    noise : bool, default=False
        Whether to pick noise too, under the key −1. Noise has no centre, so its images are a random sample.
    random_state : int or None, default=0
        Seed of random samples.

    Returns
    -------
    dict of int to array of shape (at most n,), int64
        Rows of each cluster, best first.

    Raises
    ------
    ValueError
        If `n` or `kind` is out of range, `groups` has another length, or borderline images are asked of fewer than
        two clusters.

    Notes
    -----
    O(n_images * n_features) for exemplars and n_clusters times as much for borderline images; random ones cost no
    distances.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, exemplars
    >>> space = Descriptor("osnet", np.array([[0.0], [1], [2], [10], [14]]))
    >>> partition = Partition(np.array([0, 0, 0, 1, 1]), space, "kmeans")
    >>> exemplars(partition, n=2)
    {0: array([1, 0]), 1: array([3, 4])}
    >>> exemplars(partition, n=1, kind="borderline")
    {0: array([2]), 1: array([3])}
    """
    check_int("n", n, low=1)
    check_choice("kind", kind, ("exemplar", "borderline", "random"))
    group_codes = None if groups is None else pd.factorize(check_rows("groups", groups, len(partition)))[0]
    if kind == "borderline" and partition.n_clusters < 2:
        raise ValueError(f"`kind` must not be 'borderline' with {partition.n_clusters} clusters: there is no border.")
    badness = np.random.default_rng(random_state).random(len(partition))
    if kind != "random":
        centers = cluster_centers(partition)
        distances = own_distances(partition, centers)
        if kind == "borderline":
            distances = next_centers(partition, centers)[1] - distances
        badness = np.where(partition.clustered, distances, badness)
    shown = [*range(partition.n_clusters), *([NOISE] if noise and not partition.clustered.all() else [])]
    return {cluster: best_rows(partition.members(cluster), badness, group_codes)[:n] for cluster in shown}


def best_rows(
    rows: NDArray[np.int64], badness: NDArray[np.float64], group_codes: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Return `rows` from the least bad on, the first of each group before all others; −1 is a group of its own."""
    ordered = rows[np.argsort(badness[rows], kind="stable")]
    if group_codes is None:
        return ordered
    repeated = pd.Series(group_codes[ordered]).duplicated().to_numpy() & (group_codes[ordered] >= 0)
    return ordered[np.argsort(repeated, kind="stable")]
