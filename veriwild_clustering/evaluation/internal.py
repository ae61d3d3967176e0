"""Internal scores: how compact and how separate the clusters lie in a space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_int

__all__ = ["INTERNAL_METRICS", "internal_scores", "metrics_in_space"]


def internal_scores(
    partition: Partition,
    *,
    descriptor: Descriptor | None = None,
    silhouette_sample: int = 2000,
    random_state: int = 0,
) -> dict[str, float]:
    """Score how compact and separate the clusters of a partition lie in a space.

    Parameters
    ----------
    partition : Partition
        The partition to score.
    descriptor : Descriptor, optional
        The space to score it in; by default the one in which it was found.
    silhouette_sample : int, default=2000
        The silhouette is the mean over at most so many clustered images, drawn at random and the same for all
        partitions of as many images.
    random_state : int, default=0
        Seed of that draw.

    Returns
    -------
    dict of str to float
        `calinski_harabasz` (higher is better, no bound), `davies_bouldin` (lower is better, from 0) and
        `silhouette` (higher is better, from −1 to 1) over the clustered images with a usable vector;
        `noise_fraction` and `n_clusters` of the partition. A metric that is not defined (fewer than two clusters,
        or every image a cluster) is NaN.

    Raises
    ------
    ValueError
        If `descriptor` has another number of images than the partition.

    Notes
    -----
    Noise is left out of the three metrics, so they mean nothing without `noise_fraction`. Their values depend on
    the space: compare them between partitions of one space only. O(n_images * n_features) and a float64 copy of the
    clustered rows; the silhouette costs O(silhouette_sample² * n_features).

    References
    ----------
    .. [1] Caliński, T., & Harabasz, J. (1974). A dendrite method for cluster analysis. Communications in Statistics,
       3(1), 1–27. https://doi.org/10.1080/03610927408827101
    .. [2] Davies, D. L., & Bouldin, D. W. (1979). A cluster separation measure. IEEE TPAMI, PAMI-1(2), 224–227.
       https://doi.org/10.1109/TPAMI.1979.4766909
    .. [3] Rousseeuw, P. J. (1987). Silhouettes: a graphical aid to the interpretation and validation of cluster
       analysis. Journal of Computational and Applied Mathematics, 20, 53–65.
       https://doi.org/10.1016/0377-0427(87)90125-7

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, internal_scores
    >>> space = Descriptor("toy", np.array([[0.0], [1.0], [10.0], [11.0], [99.0]]))
    >>> scores = internal_scores(Partition([0, 0, 1, 1, -1], space, "by hand"))
    >>> {name: round(value, 3) for name, value in scores.items()}
    {'calinski_harabasz': 200.0, 'davies_bouldin': 0.1, 'silhouette': 0.9, 'noise_fraction': 0.2, 'n_clusters': 2}
    """
    space = partition.descriptor if descriptor is None else descriptor
    metrics = metrics_in_space(
        partition, space, metrics=INTERNAL_METRICS, silhouette_sample=silhouette_sample, random_state=random_state
    )
    return {**metrics, "noise_fraction": partition.noise_fraction, "n_clusters": partition.n_clusters}


def metrics_in_space(
    partition: Partition,
    space: Descriptor,
    *,
    metrics: Iterable[str],
    silhouette_sample: int,
    random_state: int,
) -> dict[str, float]:
    """Return the named metrics of a partition in a space, NaN where one is not defined."""
    n_drawn = check_int("silhouette_sample", silhouette_sample, low=2)
    if len(space) != len(partition):
        raise ValueError(
            f"`descriptor` must have one row per image of the partition, {len(partition)}. Got {len(space)} instead."
        )
    rows = np.flatnonzero(partition.clustered & space.valid)
    drawn = _draw(rows, n_images=len(partition), n_drawn=n_drawn, random_state=random_state)
    return {
        name: _value(name, space, partition.labels, rows=drawn if name == "silhouette" else rows) for name in metrics
    }


def _draw(rows: NDArray[np.int64], *, n_images: int, n_drawn: int, random_state: int) -> NDArray[np.int64]:
    """Return the first of `rows` in a random order of all images, so that all partitions share most of the draw."""
    if len(rows) <= n_drawn:
        return rows
    place = np.random.default_rng(random_state).permutation(n_images)
    return np.sort(rows[np.argsort(place[rows])[:n_drawn]])


def _value(name: str, space: Descriptor, labels: NDArray[np.int32], *, rows: NDArray[np.int64]) -> float:
    chosen = labels[rows]
    if not 2 <= len(np.unique(chosen)) < len(rows):
        return float("nan")
    return float(INTERNAL_METRICS[name](space.vectors[rows].astype(np.float64), chosen))


def _calinski_harabasz(vectors: NDArray[np.float64], labels: NDArray[np.int32]) -> float:
    from sklearn.metrics import calinski_harabasz_score

    return calinski_harabasz_score(vectors, labels)


def _davies_bouldin(vectors: NDArray[np.float64], labels: NDArray[np.int32]) -> float:
    from sklearn.metrics import davies_bouldin_score

    return davies_bouldin_score(vectors, labels)


def _silhouette(vectors: NDArray[np.float64], labels: NDArray[np.int32]) -> float:
    from sklearn.metrics import silhouette_score

    return silhouette_score(vectors, labels)


INTERNAL_METRICS: Mapping[str, Callable[[NDArray[np.float64], NDArray[np.int32]], float]] = {
    "calinski_harabasz": _calinski_harabasz,
    "davies_bouldin": _davies_bouldin,
    "silhouette": _silhouette,
}
