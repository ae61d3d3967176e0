"""DBSCAN, by scikit-learn, and the knee of its eps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.clustering.families.family import (
    Arrays,
    Assigned,
    Family,
    Params,
    centroid_confidence,
    nearest_center,
)
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition, canonical_labels
from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.core.vectors.geometry import centroids

__all__ = ["DbscanFamily", "eps_knee", "neighbor_distances"]

_KNEE_POINTS = 1000


def neighbor_distances(
    descriptor: Descriptor, *, n_neighbors: int = 10, metric: str = "euclidean"
) -> NDArray[np.float64]:
    """Return the distance of each usable row to its n-th nearest other row, in ascending order.

    Parameters
    ----------
    descriptor : Descriptor
        The space to measure in.
    n_neighbors : int, default=10
        Which neighbour, in [1, n_images); the row itself is not counted.
    metric : str, default="euclidean"
        Any metric of `sklearn.neighbors.NearestNeighbors`.

    Returns
    -------
    array of shape (n_valid,), float64
        The curve whose knee suggests `eps` for DBSCAN.

    Raises
    ------
    ValueError
        If there are not more usable rows than neighbours.

    Notes
    -----
    O(n² * d) beyond some 15 features, about O(n log n) below.

    References
    ----------
    Schubert, E. et al. (2017). DBSCAN revisited, revisited. doi:10.1145/3068335

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, neighbor_distances
    >>> space = Descriptor("line", np.array([[0.0], [1.0], [3.0], [7.0]]))
    >>> neighbor_distances(space, n_neighbors=1)
    array([1., 1., 2., 4.])
    """
    from sklearn.neighbors import NearestNeighbors

    check_int("n_neighbors", n_neighbors, low=1, high=descriptor.n_valid, high_name="n_images")
    search = NearestNeighbors(n_neighbors=n_neighbors, metric=metric).fit(descriptor.usable())
    distances, _ = search.kneighbors()  # without a query a row is not its own neighbour
    return np.sort(distances[:, -1].astype(np.float64))


def eps_knee(distances: ArrayLike) -> float:
    """Return the distance at the knee of a sorted curve of neighbour distances: where dense regions end.

    Parameters
    ----------
    distances : array of shape (n,), float
        In ascending order, such as `neighbor_distances` returns.

    Returns
    -------
    float
        A value for `eps` of DBSCAN.

    Raises
    ------
    ValueError
        If the curve has no knee (all distances alike, or fewer than three).

    Notes
    -----
    The curve is thinned to 1,000 evenly spaced points, which smooths it and bounds the cost: O(n) for n
    distances.

    References
    ----------
    Satopää, V. et al. (2011). Finding a "kneedle" in a haystack. doi:10.1109/ICDCSW.2011.20

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import eps_knee
    >>> curve = np.concatenate([np.linspace(1, 1.2, 90), np.linspace(1.2, 9, 10)])
    >>> round(eps_knee(curve), 2)
    1.2
    """
    from kneed import KneeLocator

    curve = np.asarray(distances, dtype=np.float64)
    if curve.ndim != 1 or len(curve) < 3 or not np.isfinite(curve).all() or (np.diff(curve) < 0).any():
        raise ValueError("`distances` must be three or more finite numbers in ascending order.")
    knee = None
    if curve[-1] > curve[0]:
        index = np.unique(np.linspace(0, len(curve) - 1, _KNEE_POINTS).astype(int))
        knee = KneeLocator(index, curve[index], curve="convex", direction="increasing").knee
    if knee is None or curve[int(knee)] <= 0:
        raise ValueError("The neighbour distances have no knee. Give `eps` as a number instead.")
    return float(curve[int(knee)])


@dataclass(frozen=True)
class DbscanFamily(Family):
    """Regions in which each core image has `min_samples` images within `eps` [1]_; O(n² * d) in many dimensions.

    Parameters are those of `sklearn.cluster.DBSCAN` with its defaults; `eps="knee"` takes the knee of the distances
    to the (min_samples − 1)-th other image, and the partition's `params` hold the number found. A new row joins
    the cluster of the nearest core image within `eps`, else it is noise: core images and noise keep their labels,
    a border image may go to another cluster within reach.

    References
    ----------
    .. [1] Ester, M. et al. (1996). A density-based algorithm for discovering clusters. KDD, 226-231.
    """

    name: str = "dbscan"

    def estimator(self) -> Any:
        """Return scikit-learn's DBSCAN."""
        from sklearn.cluster import DBSCAN

        return DBSCAN()

    def build(self, params: Params) -> Any:
        """Return an unfitted DBSCAN; `eps="knee"`, which only data can resolve, stays at the default."""
        known = {key: value for key, value in params.items() if not (key == "eps" and value == "knee")}
        return self.estimator().set_params(**known)

    def check_values(self, params: Params, n_usable: int) -> None:
        """Raise if one of the parameters, defaults included, is out of its range."""
        check_int("min_samples", params["min_samples"], low=1, high=n_usable, high_name="n_images")
        if isinstance(params["eps"], str) and params["eps"] != "knee":
            raise ValueError(f"`eps` must be a positive number or 'knee'. Got {params['eps']!r} instead.")
        if not isinstance(params["eps"], str) and check_real("eps", params["eps"], low=0) == 0:
            raise ValueError("`eps` must be a positive number or 'knee'. Got 0 instead.")

    def fit(self, vectors: NDArray[np.float32], params: Params) -> tuple[NDArray, NDArray, Arrays, Params]:
        """Return labels, centroid confidence, the core images, and `eps` as used."""
        full = {**self.defaults(), **params}
        resolved = {}
        if full["eps"] == "knee":
            space = Descriptor("", vectors, valid=np.ones(len(vectors), dtype=bool))
            n_neighbors = max(1, full["min_samples"] - 1)
            curve = neighbor_distances(space, n_neighbors=n_neighbors, metric=full["metric"])
            resolved = {"eps": float(f"{eps_knee(curve):.6g}")}
        model = self.build({**params, **resolved}).fit(vectors)
        labels, _ = canonical_labels(model.labels_)
        centers = centroids(vectors, labels)
        core = model.core_sample_indices_
        state = {"centers": centers, "core_rows": core, "core_labels": labels[core]}
        return labels, centroid_confidence(vectors, labels, centers), state, resolved

    def remember(self, partition: Partition) -> dict[str, NDArray[Any]]:
        """Return the core images' vectors and labels beside the cluster means."""
        core = np.flatnonzero(partition.descriptor.valid)[partition.state["core_rows"]]
        return {
            "centers": partition.state["centers"],
            "core_vectors": np.asarray(partition.descriptor.vectors[core]),
            "core_labels": partition.state["core_labels"],
        }

    def assign(self, memory: Arrays, params: Params, vectors: NDArray[np.float32]) -> Assigned:
        """Return the cluster of the nearest core image within eps, and the confidence over the cluster means."""
        from sklearn.neighbors import NearestNeighbors

        if len(memory["core_vectors"]) == 0:
            return nearest_center(vectors, memory["centers"])
        full = {**self.defaults(), **params}
        search = NearestNeighbors(
            n_neighbors=1, metric=full["metric"], p=full["p"] or 2, metric_params=full["metric_params"]
        )
        distances, nearest = search.fit(memory["core_vectors"]).kneighbors(vectors)
        labels = np.where(distances[:, 0] <= full["eps"], memory["core_labels"][nearest[:, 0]], NOISE)
        labels = labels.astype(np.int32)
        return labels, centroid_confidence(vectors, labels, memory["centers"])
