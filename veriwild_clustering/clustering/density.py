"""Clusters as dense regions with noise between them: DBSCAN with the knee of its eps, and HDBSCAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.clustering.family import (
    Arrays,
    Assigned,
    Family,
    Params,
    centroid_confidence,
    nearest_center,
)
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.geometry import centroids
from veriwild_clustering.core.partition import NOISE, Partition, canonical_labels
from veriwild_clustering.core.validation import check_int, check_real

__all__ = ["DbscanFamily", "HdbscanFamily", "eps_knee", "neighbor_distances"]

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


@dataclass(frozen=True)
class HdbscanFamily(Family):
    """The most persistent dense regions over all scales [1]_, by the `hdbscan` package.

    Parameters are those of `hdbscan.HDBSCAN` with its defaults. Confidence is its membership probability. About
    O(n log n) in few dimensions, nearer to O(n²) in many: reduce first. A new row follows its nearest image in
    mutual reachability: it leaves the tree of clusters at the density of that link, the rule of
    `hdbscan.approximate_predict`, worked out from arrays. Most of the images that the partition was fitted on, not
    all, get their own labels back. As there, no new row is noise where `allow_single_cluster` made one cluster of all.

    References
    ----------
    .. [1] Campello, R. J. G. B., Moulavi, D., Sander, J. (2013). Density-based clustering based on hierarchical
       density estimates. doi:10.1007/978-3-642-37456-2_14
    """

    name: str = "hdbscan"

    def estimator(self) -> Any:
        """Return the HDBSCAN of the hdbscan package."""
        from hdbscan import HDBSCAN

        return HDBSCAN()

    def check_values(self, params: Params, n_usable: int) -> None:
        """Raise if one of the parameters, defaults included, is out of its range."""
        check_int("min_cluster_size", params["min_cluster_size"], low=2, high=n_usable, high_name="n_images")
        if params["min_samples"] is not None:
            check_int("min_samples", params["min_samples"], low=1, high=n_usable, high_name="n_images")
        check_real("cluster_selection_epsilon", params["cluster_selection_epsilon"], low=0)

    def fit(self, vectors: NDArray[np.float32], params: Params) -> tuple[NDArray, NDArray, Arrays, Params]:
        """Return labels, membership probabilities and the tree of clusters as arrays."""
        model = self.build(params).fit(vectors)
        labels, _ = canonical_labels(model.labels_)
        return labels, np.clip(model.probabilities_, 0, 1), _tree_arrays(model.condensed_tree_, labels), {}

    def remember(self, partition: Partition) -> dict[str, NDArray[Any]]:
        """Return the tree of clusters with all usable vectors and their core distances."""
        from sklearn.neighbors import NearestNeighbors

        vectors = np.asarray(partition.descriptor.usable())
        n_samples = _min_samples({**self.defaults(), **partition.params}, len(vectors))
        search = NearestNeighbors(n_neighbors=n_samples, **self._metric(partition.params)).fit(vectors)
        core_distances = search.kneighbors(vectors)[0][:, -1]  # a row counts as its own first neighbour here
        return {**partition.state, "vectors": vectors, "core_distances": core_distances}

    def assign(self, memory: Arrays, params: Params, vectors: NDArray[np.float32]) -> Assigned:
        """Return the cluster in which each row would leave the tree, and its membership probability."""
        from sklearn.neighbors import NearestNeighbors

        n_known = len(memory["vectors"])
        n_samples = _min_samples({**self.defaults(), **params}, n_known)
        search = NearestNeighbors(n_neighbors=min(2 * n_samples, n_known), **self._metric(params))
        distances, indices = search.fit(memory["vectors"]).kneighbors(vectors)
        own_core = distances[:, [min(n_samples, distances.shape[1] - 1)]]
        reach = np.maximum(np.maximum(distances, own_core), memory["core_distances"][indices])
        link = reach.argmin(axis=1)[:, None]
        nearest = np.take_along_axis(indices, link, axis=1)[:, 0]
        reach = np.take_along_axis(reach, link, axis=1)[:, 0]
        density = 1 / np.maximum(reach, np.finfo(np.float64).tiny)
        node = _climb(memory, nearest, density)
        labels = memory["node_label"][node]
        limit = np.append(memory["cluster_density"], 1.0)[labels]
        confidence = np.where(labels == NOISE, 0, np.minimum(density, limit) / limit)
        return labels, confidence.astype(np.float32)

    def _metric(self, params: Params) -> dict[str, Any]:
        full = {**self.defaults(), **params}
        return {"metric": full["metric"], "p": full["p"] or 2}


def _min_samples(params: Params, n_images: int) -> int:
    """Return how many neighbours define density: `min_cluster_size` unless `min_samples` is given."""
    return min(params["min_samples"] or params["min_cluster_size"], n_images - 1)


def _tree_arrays(tree: Any, labels: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    """Return the condensed tree as arrays: nodes numbered from the root, 0, each row with the node it leaves.

    A node belongs to a cluster if every clustered image below it does; densities are the tree's lambda values.
    """
    edges = tree.to_numpy()
    n_rows = len(labels)
    parent, child = edges["parent"].astype(np.int64) - n_rows, edges["child"].astype(np.int64)
    is_row = child < n_rows
    n_nodes = int(max(parent.max(), (child - n_rows).max())) + 1
    node_parent, node_density = np.zeros(n_nodes, dtype=np.int64), np.zeros(n_nodes)
    node_parent[child[~is_row] - n_rows] = parent[~is_row]
    node_density[child[~is_row] - n_rows] = edges["lambda_val"][~is_row]
    row_node, row_density = np.zeros(n_rows, dtype=np.int64), np.zeros(n_rows)
    row_node[child[is_row]] = parent[is_row]
    row_density[child[is_row]] = edges["lambda_val"][is_row]

    low, high = np.full(n_nodes, n_rows), np.full(n_nodes, NOISE)
    clustered = labels != NOISE
    np.minimum.at(low, row_node[clustered], labels[clustered])
    np.maximum.at(high, row_node[clustered], labels[clustered])
    for node in range(n_nodes - 1, 0, -1):  # a node's number is greater than its parent's
        low[node_parent[node]] = min(low[node_parent[node]], low[node])
        high[node_parent[node]] = max(high[node_parent[node]], high[node])
    node_label = np.where(low == high, low, NOISE).astype(np.int32)

    densest = np.zeros(n_nodes)
    np.maximum.at(densest, parent, edges["lambda_val"])
    cluster_density = np.ones(labels.max() + 1)
    inner = np.flatnonzero(node_label != NOISE)[::-1]  # the topmost node of a cluster is written last
    cluster_density[node_label[inner]] = np.minimum(densest[inner], np.finfo(np.float64).max)
    return {
        "node_parent": node_parent,
        "node_density": node_density,
        "node_label": node_label,
        "row_node": row_node,
        "row_density": row_density,
        "cluster_density": cluster_density,
    }


def _climb(tree: Arrays, nearest: NDArray[np.int64], density: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the node that each new row leaves: its nearest image's, or the ancestor that exists at its density."""
    node = tree["row_node"][nearest]
    climbing = np.flatnonzero(tree["row_density"][nearest] > density)
    while len(climbing):
        at = node[climbing]
        climbing = climbing[(at > 0) & (tree["node_density"][at] >= density[climbing])]
        node[climbing] = tree["node_parent"][node[climbing]]
    return node
