"""HDBSCAN, by the hdbscan package: dense regions over all scales, with noise between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.families.family import (
    Arrays,
    Assigned,
    Family,
    Params,
)
from veriwild_clustering.core.partition import NOISE, Partition, canonical_labels
from veriwild_clustering.core.validation import check_int, check_real

__all__ = ["HdbscanFamily"]


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
