"""Agglomerative clustering, by scikit-learn; one tree serves every number of clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.families.family import Family, Params, centroid_confidence
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition, canonical_labels
from veriwild_clustering.core.validation import check_choice, check_real
from veriwild_clustering.core.vectors.geometry import centroids

__all__ = ["MAX_IMAGES", "AgglomerativeFamily", "cut_tree"]

MAX_IMAGES = 20_000
"""Most rows for which the distances of all pairs are computed: 1.6 GB in float64."""

_LINKAGES = ("ward", "average", "complete", "single")


@dataclass(frozen=True)
class AgglomerativeFamily(Family):
    """Bottom-up merging of clusters [1]_: O(n² * d) time and O(n²) memory, up to 20,000 usable rows.

    Parameters are those of `sklearn.cluster.AgglomerativeClustering` with its defaults. Settings that differ in
    `n_clusters` or `distance_threshold` alone share one tree, whose time is divided evenly among them.
    New rows go to the nearest cluster mean.

    References
    ----------
    .. [1] Ward, J. H. (1963). Hierarchical grouping to optimize an objective function.
       doi:10.1080/01621459.1963.10500845
    """

    name: str = "agglomerative"
    varying: ClassVar[frozenset[str]] = frozenset({"n_clusters", "distance_threshold"})

    def estimator(self) -> Any:
        """Return scikit-learn's AgglomerativeClustering."""
        from sklearn.cluster import AgglomerativeClustering

        return AgglomerativeClustering()

    def build(self, params: Params) -> Any:
        """Return an unfitted estimator; a distance threshold takes the place of the number of clusters."""
        if params.get("distance_threshold") is not None:
            params = {"n_clusters": None, **params}
        return self.estimator().set_params(**params)

    def check(self, params: Params, n_usable: int) -> None:
        """Raise if the parameters cannot be used on `n_usable` rows; fits nothing."""
        if params.get("n_clusters") is not None and params.get("distance_threshold") is not None:
            raise ValueError("`n_clusters` and `distance_threshold` both say where to cut the tree: give one of them.")
        super().check(params, n_usable)

    def check_values(self, params: Params, n_usable: int) -> None:
        """Raise if one of the parameters is out of its range, or there are too many rows."""
        if n_usable > MAX_IMAGES and params["connectivity"] is None:
            raise ValueError(
                f"Agglomerative clustering compares all pairs of images, so it takes at most {MAX_IMAGES:,} of them. "
                f"Got {n_usable:,}. Sweep a sample (`dataset.take(rows)`) and place the others with "
                f"`PartitionModel`, or pass `connectivity`."
            )
        if params["distance_threshold"] is None:
            super().check_values(params, n_usable)
        else:
            check_real("distance_threshold", params["distance_threshold"], low=0)
        check_choice("linkage", params["linkage"], _LINKAGES)
        if params["linkage"] == "ward" and params["metric"] != "euclidean":
            raise ValueError(
                f"`metric` must be 'euclidean' where `linkage` is 'ward'. Got {params['metric']!r} instead."
            )

    def fit_many(self, descriptor: Descriptor, settings: Sequence[Params]) -> Iterator[Partition]:
        """Yield a partition per setting, cut from one tree: the settings differ in where they cut alone."""
        started = perf_counter()
        vectors = descriptor.usable()
        shared = {key: value for key, value in settings[0].items() if key not in self.varying}
        tree = self.build({**shared, "distance_threshold": 0.0, "compute_full_tree": True}).fit(vectors)
        share = (perf_counter() - started) / len(settings)
        for params in settings:
            started = perf_counter()
            n_clusters = self.build(params).n_clusters
            if n_clusters is None:
                n_clusters = np.count_nonzero(tree.distances_ >= params["distance_threshold"]) + 1
            labels, _ = canonical_labels(cut_tree(tree.children_, int(n_clusters)))
            centers = centroids(vectors, labels)
            yield Partition(
                descriptor.expand(labels, fill=NOISE),
                descriptor,
                self.name,
                params=params,
                confidence=descriptor.expand(centroid_confidence(vectors, labels, centers), fill=0),
                state={"centers": centers},
                seconds=share + perf_counter() - started,
            )


def cut_tree(children: NDArray[np.integer], n_clusters: int) -> NDArray[np.int32]:
    """Return the label of each leaf after all but the last n_clusters − 1 merges.

    Row i of `children` holds the two nodes that merge i joins into node n_leaves + i, in the order of merging. O(n).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_leaves = len(children) + 1
    n_merges = n_leaves - n_clusters
    merged = np.repeat(np.arange(n_leaves, n_leaves + n_merges), 2)
    links = (np.ones(2 * n_merges, dtype=bool), (merged, children[:n_merges].ravel()))
    n_nodes = n_leaves + n_merges
    labels: NDArray[np.int32] = connected_components(coo_array(links, shape=(n_nodes, n_nodes)), directed=False)[1]
    return labels[:n_leaves]
