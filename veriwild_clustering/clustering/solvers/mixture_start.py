"""Where EM starts from: the best of several k-means partitions by the likelihood of one Gaussian per cluster."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.solvers.nested_kmeans import NestedKMeans, lloyd
from veriwild_clustering.clustering.solvers.rows import Rows

__all__ = ["partition_likelihood", "start_labels"]

N_SEEDINGS = 6
"""Random k-means partitions that stand beside the one of the chain."""
_SEEDING_ROWS = 5_000
_SEEDING_STEPS = 10
_LAST_STEPS = 5


def partition_likelihood(
    vectors: NDArray[np.floating[Any]], labels: NDArray[np.integer], *, n_clusters: int, reg_covar: float
) -> float:
    """Return the mean log-likelihood per row, up to a constant, of one Gaussian per cluster; O(n * d²)."""
    total = 0.0
    for cluster in range(n_clusters):
        own = vectors[labels == cluster]
        if len(own):
            own = own - own.mean(axis=0)
            covariance = own.T @ own / len(own) + reg_covar * np.eye(own.shape[1])
            total += len(own) * (np.log(len(own) / len(vectors)) - 0.5 * np.linalg.slogdet(covariance)[1])
    return total / len(vectors)


def start_labels(
    chain: NestedKMeans, rows: Rows, *, n_clusters: int, vectors: NDArray[np.floating[Any]], reg_covar: float
) -> NDArray[np.int32] | None:
    """Return the most likely of several partitions of `rows`, or None if the chain finds too few distinct rows.

    The lowest inertia is not the highest likelihood, least of all where there are fewer clusters than groups.
    `vectors` are those of the rows. A function of the rows, the chain's seed and the number of clusters alone.
    """
    from sklearn.cluster import kmeans_plusplus

    first = chain.start(n_clusters)
    if first is None:
        return None
    starts = [first + chain.rows.mean - rows.mean]
    part = rows.sample(max(_SEEDING_ROWS, 40 * n_clusters), chain.random_state)
    points = part.take(np.arange(part.n_rows)) - part.mean.astype(np.float32)
    rng = np.random.default_rng([chain.random_state, n_clusters])
    for _ in range(N_SEEDINGS):
        seeds, _ = kmeans_plusplus(points, n_clusters, random_state=int(rng.integers(2**31)))
        fit = lloyd(part, seeds.astype(np.float64), max_iter=_SEEDING_STEPS)
        starts.append(fit.centers + part.mean - rows.mean)
    found = [lloyd(rows, centers, max_iter=_LAST_STEPS).labels for centers in starts]
    return max(
        found,
        key=lambda labels: partition_likelihood(vectors, labels, n_clusters=n_clusters, reg_covar=reg_covar),
    )
