"""DBSCAN, every eps cut from one spanning tree, and the knee of its eps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
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
from veriwild_clustering.clustering.solvers.hierarchy.spanning_tree import SpanningTree, spanning_tree
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition, canonical_labels
from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.core.vectors.geometry import centroids
from veriwild_clustering.core.vectors.neighbors import FEWEST_NEIGHBORS, MOST_NEIGHBORS, NeighborGraph, neighbor_graph

__all__ = ["DbscanFamily", "eps_knee", "neighbor_distances"]

MAX_IMAGES_OF_OTHER_METRICS = 50_000
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
    Euclidean distances are those of the `neighbor_graph`, with its cost; others O(n² * d) beyond some 15 features.

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
    check_int("n_neighbors", n_neighbors, low=1, high=descriptor.n_valid, high_name="n_images")
    if metric == "euclidean":
        graph = neighbor_graph(descriptor, n_neighbors=n_neighbors)
        return np.sort(graph.distances[:, -1].astype(np.float64))
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=n_neighbors, metric=metric).fit(descriptor.usable())
    distances, _ = search.kneighbors()  # without a query a row is not its own neighbour
    return np.sort(distances[:, -1].astype(np.float64))


def eps_knee(distances: ArrayLike, *, sensitivity: float = 1.0) -> float:
    """Return the distance at the knee of a sorted curve of neighbour distances: where dense regions end.

    Parameters
    ----------
    distances : array of shape (n,), float
        In ascending order, such as `neighbor_distances` returns.
    sensitivity : float, default=1.0
        Kneedle's S, at least 0: how far the curve must leave its bend behind before that counts as the knee.

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

    sensitivity = check_real("sensitivity", sensitivity, low=0)
    curve = np.asarray(distances, dtype=np.float64)
    if curve.ndim != 1 or len(curve) < 3 or not np.isfinite(curve).all() or (np.diff(curve) < 0).any():
        raise ValueError("`distances` must be three or more finite numbers in ascending order.")
    knee = None
    if curve[-1] > curve[0]:
        index = np.unique(np.linspace(0, len(curve) - 1, _KNEE_POINTS).astype(int))
        knee = KneeLocator(index, curve[index], S=sensitivity, curve="convex", direction="increasing").knee
    if knee is None or curve[int(knee)] <= 0:
        raise ValueError("The neighbour distances have no knee. Give `eps` as a number instead.")
    return float(curve[int(knee)])


@dataclass(frozen=True)
class DbscanFamily(Family):
    """Regions in which each core image has `min_samples` images within `eps` [1]_.

    Parameters are those of `sklearn.cluster.DBSCAN` with its defaults. Every `eps` cuts one spanning tree of mutual
    reachability, grown from the neighbour graph: the clusters of DBSCAN where that is exact, whatever the number of
    images within eps; `params["approximation"]` says where it is not. Other metrics than "euclidean" go to
    scikit-learn, for at most 50,000 images: O(n² * d) in many dimensions. `eps="knee"` takes the knee of the distances
    to the (min_samples − 1)-th other image, and the partition's `params` hold the number found. A new row joins
    the cluster of the nearest core image within `eps`, else it is noise: core images and noise keep their labels,
    a border image may go to another cluster within reach.

    References
    ----------
    .. [1] Ester, M. et al. (1996). A density-based algorithm for discovering clusters. KDD, 226-231.
    """

    name: str = "dbscan"
    varying = frozenset({"eps"})
    revision = 2

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
        if not _is_shared(params) and n_usable > MAX_IMAGES_OF_OTHER_METRICS:
            raise ValueError(
                f"DBSCAN with another metric than 'euclidean' takes at most {MAX_IMAGES_OF_OTHER_METRICS:,} images. "
                f"Got {n_usable:,}."
            )
        if params["min_samples"] * n_usable > MOST_NEIGHBORS:
            raise ValueError(
                f"`min_samples` must be at most {MOST_NEIGHBORS // n_usable:,} on so many images: the graph of "
                f"neighbours would not fit in memory. Got {params['min_samples']:,}."
            )

    def fit_many(self, descriptor: Descriptor, settings: Sequence[Params]) -> Iterator[Partition]:
        """Yield a partition per setting: every `eps` cuts the same spanning tree."""
        density = None
        for params in settings:
            started = perf_counter()
            full = {**self.defaults(), **params}
            resolved: dict[str, Any] = {}
            if full["eps"] == "knee":
                n_neighbors = max(1, full["min_samples"] - 1)
                curve = neighbor_distances(descriptor, n_neighbors=n_neighbors, metric=full["metric"])
                resolved["eps"] = float(f"{eps_knee(curve):.6g}")
            if _is_shared(full):
                density = density or _Density.of(descriptor, full["min_samples"])
                found, core = density.cut({**full, **resolved}["eps"])
                resolved |= {} if density.tree.approximation is None else {"approximation": density.tree.approximation}
            else:
                model = self.build({**params, **resolved}).fit(descriptor.usable())
                found, core = model.labels_, model.core_sample_indices_
            vectors = descriptor.usable()
            labels, _ = canonical_labels(found)
            centers = centroids(vectors, labels)
            yield Partition(
                descriptor.expand(labels, fill=NOISE),
                descriptor,
                self.name,
                params={**params, **resolved},
                confidence=descriptor.expand(centroid_confidence(vectors, labels, centers), fill=0),
                state={"centers": centers, "core_rows": core, "core_labels": labels[core]},
                seconds=perf_counter() - started,
            )

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


def _is_shared(params: Params) -> bool:
    """Tell whether the neighbour graph serves: distances are Euclidean."""
    return bool(params["metric"] == "euclidean" and params["metric_params"] is None)


@dataclass(frozen=True)
class _Density:
    """What every eps is cut from: the spanning tree, and the rows among which each row has its nearest."""

    tree: SpanningTree
    graph: NeighborGraph

    @classmethod
    def of(cls, descriptor: Descriptor, min_samples: int) -> _Density:
        """Return the tree in which a row reaches its (min_samples − 1)-th other row: DBSCAN counts the row itself."""
        n_others = min_samples - 1
        graph = neighbor_graph(descriptor, n_neighbors=min(max(FEWEST_NEIGHBORS, n_others), descriptor.n_valid - 1))
        return cls(spanning_tree(descriptor.usable(), graph, min_samples=n_others), graph.take(max(1, n_others)))

    def cut(self, eps: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return labels and core rows: clusters in the order of their first core rows, as scikit-learn finds them.

        A row that is not core has all rows within eps among its nearest `min_samples − 1`: it joins the first of
        their clusters.
        """
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        is_core = self.tree.core_distances <= eps
        edges = self.tree.edges[self.tree.weights <= eps]
        links = coo_matrix((np.ones(len(edges), dtype=bool), edges.T), shape=(len(is_core), len(is_core)))
        part = connected_components(links, directed=False)[1]
        number = np.cumsum(np.bincount(part[is_core], minlength=len(is_core)) > 0) - 1
        labels = np.where(is_core, number[part], len(is_core))
        border = np.flatnonzero(~is_core)
        near = (self.graph.distances[border] <= eps) & is_core[self.graph.indices[border]]
        labels[border] = np.where(near, labels[self.graph.indices[border]], len(is_core)).min(axis=1)
        return np.where(labels < len(is_core), labels, NOISE), np.flatnonzero(is_core)
