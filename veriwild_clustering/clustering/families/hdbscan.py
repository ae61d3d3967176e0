"""HDBSCAN, by the hdbscan package: dense regions over all scales, with noise between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.families.family import (
    Arrays,
    Assigned,
    Family,
    Params,
)
from veriwild_clustering.clustering.solvers.hierarchy.spanning_tree import single_linkage, spanning_tree
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition, canonical_labels
from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.core.vectors.neighbors import FEWEST_NEIGHBORS, MOST_NEIGHBORS, neighbor_graph

__all__ = ["HdbscanFamily"]

_OPTIONS_OF_THE_CUT = (
    "min_cluster_size",
    "cluster_selection_method",
    "allow_single_cluster",
    "cluster_selection_epsilon",
    "cluster_selection_persistence",
    "max_cluster_size",
    "cluster_selection_epsilon_max",
)
_OPTIONS_OF_THE_TREE = ("metric", "alpha", "algorithm", "match_reference_implementation")


@dataclass(frozen=True)
class HdbscanFamily(Family):
    """The most persistent dense regions over all scales [1]_, by the `hdbscan` package over a tree of our own.

    Parameters are those of `hdbscan.HDBSCAN` with its defaults. Confidence is its membership probability. Settings of
    the same `min_samples` share one spanning tree, grown from the neighbour graph. Where the graph is exact, clusters
    are those of `algorithm="prims_kdtree"`, hdbscan's own choice beyond 60 features; below, it takes by default an
    approximate tree, which this never does. Where the graph is not, `params["approximation"]` says so. Another
    `metric`, `alpha` or `algorithm`, or `match_reference_implementation`, goes to hdbscan alone: O(n² d) in many
    dimensions.

    A new row follows its nearest image in mutual reachability: it leaves the tree of clusters at the density of that
    link, the rule of `hdbscan.approximate_predict`, worked out from arrays. Most of the images that the partition was
    fitted on, not all, get their own labels back. As there, no new row is noise where `allow_single_cluster` made one
    cluster of all.

    References
    ----------
    .. [1] Campello, R. J. G. B., Moulavi, D., Sander, J. (2013). Density-based clustering based on hierarchical
       density estimates. doi:10.1007/978-3-642-37456-2_14
    """

    name: str = "hdbscan"
    varying = frozenset(_OPTIONS_OF_THE_CUT)
    revision = 2

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
        most = MOST_NEIGHBORS // n_usable
        if self._is_shared(params) and _min_samples(params, n_usable) > most:
            raise ValueError(
                f"`min_samples`, by default `min_cluster_size`, must be at most {most:,} on so many images: the "
                f"graph of neighbours would not fit in memory. Got {_min_samples(params, n_usable):,}."
            )

    def fit_many(self, descriptor: Descriptor, settings: Sequence[Params]) -> Iterator[Partition]:
        """Yield a partition per setting; those of the same `min_samples` share one spanning tree."""
        grown: dict[int, tuple[NDArray[np.float64], str | None]] = {}
        for params in settings:
            started = perf_counter()
            full = {**self.defaults(), **params}
            resolved: dict[str, Any] = {}
            if self._is_shared(full):
                n_samples = _min_samples(full, descriptor.n_valid)
                if n_samples not in grown:
                    grown[n_samples] = _dendrogram(descriptor, n_samples)
                dendrogram, approximation = grown[n_samples]
                found, probabilities, condensed = _extract(dendrogram, full)
                resolved = {} if approximation is None else {"approximation": approximation}
            else:
                model = self.build(params).fit(descriptor.usable())
                found, probabilities = model.labels_, model.probabilities_
                condensed = model.condensed_tree_.to_numpy()
            labels, _ = canonical_labels(found)
            yield Partition(
                descriptor.expand(labels, fill=NOISE),
                descriptor,
                self.name,
                params={**params, **resolved},
                confidence=descriptor.expand(np.clip(probabilities, 0, 1), fill=0),
                state=_tree_arrays(condensed, labels),
                seconds=perf_counter() - started,
            )

    def _is_shared(self, params: Params) -> bool:
        """Tell whether the tree is the plain one: no option that changes it differs from its default."""
        defaults = self.defaults()
        return all(params[name] == defaults[name] for name in _OPTIONS_OF_THE_TREE)

    def remember(self, partition: Partition) -> dict[str, NDArray[Any]]:
        """Return the tree of clusters with all usable vectors and their core distances."""
        descriptor = partition.descriptor
        vectors = np.asarray(descriptor.usable())
        n_samples = _min_samples({**self.defaults(), **partition.params}, len(vectors))
        memory = {**partition.state, "vectors": vectors}
        if n_samples == 1:  # a row counts as its own first neighbour here
            return {**memory, "core_distances": np.zeros(len(vectors))}
        if self._metric(partition.params)["metric"] == "euclidean":
            graph = neighbor_graph(descriptor, n_neighbors=n_samples - 1)
            return {**memory, "core_distances": graph.distances[:, -1].astype(np.float64)}
        from sklearn.neighbors import NearestNeighbors

        search = NearestNeighbors(n_neighbors=n_samples, **self._metric(partition.params)).fit(vectors)
        return {**memory, "core_distances": search.kneighbors(vectors)[0][:, -1]}

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


def _dendrogram(descriptor: Descriptor, n_samples: int) -> tuple[NDArray[np.float64], str | None]:
    """Return the single-linkage tree of mutual reachability, as SciPy lays them out, and how far it is approximate."""
    n_neighbors = min(max(FEWEST_NEIGHBORS, n_samples), descriptor.n_valid - 1)
    graph = neighbor_graph(descriptor, n_neighbors=n_neighbors)
    tree = spanning_tree(descriptor.usable(), graph, min_samples=n_samples)
    return single_linkage(tree.edges, tree.weights), tree.approximation


def _extract(dendrogram: NDArray[np.float64], params: Params) -> tuple[NDArray[Any], NDArray[np.float64], Any]:
    """Return labels, membership probabilities and the condensed tree of one setting, by hdbscan's own code."""
    from hdbscan.hdbscan_ import _tree_to_labels

    chosen = {name: params[name] for name in _OPTIONS_OF_THE_CUT}
    labels, probabilities, _, condensed, _ = _tree_to_labels(None, dendrogram, **chosen)
    return labels, probabilities, condensed


def _tree_arrays(edges: Any, labels: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    """Return the condensed tree as arrays: nodes numbered from the root, 0, each row with the node it leaves.

    A node belongs to a cluster if every clustered image below it does; densities are the tree's lambda values.
    """
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
