"""Agglomerative clustering: one tree serves every number of clusters, over micro-clusters where images are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.families.family import Family, Params, centroid_confidence
from veriwild_clustering.clustering.solvers.hierarchy.linkage import Tree, linkage_tree
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition, canonical_labels
from veriwild_clustering.core.validation import check_choice, check_int, check_real
from veriwild_clustering.core.vectors.geometry import centroids

if TYPE_CHECKING:
    from veriwild_clustering.clustering.solvers.hierarchy.micro_clusters import MicroClusters

__all__ = ["MAX_IMAGES", "MAX_WARD_IMAGES", "MICRO_CLUSTERS", "AgglomerativeFamily"]

MAX_WARD_IMAGES = 100_000
"""Most rows of which Ward's exact tree is built: quadratic time, linear memory."""

MAX_IMAGES = 20_000
"""Most rows for which other linkages and metrics compute the distances of all pairs: 1.6 GB in float64."""

MICRO_CLUSTERS = {"ward": 50_000, "average": 10_000, "complete": 10_000, "single": 10_000}
"""Number of micro-clusters over which each linkage builds its tree where rows are too many for the exact one."""


@dataclass(frozen=True)
class AgglomerativeFamily(Family):
    """Bottom-up merging of clusters, at any number of images.

    Parameters are those of `sklearn.cluster.AgglomerativeClustering` with its defaults. Settings that differ in
    `n_clusters` or `distance_threshold` alone share one tree, whose time is divided evenly among them.
    New rows go to the nearest cluster mean.

    Ward's tree [1]_ is exact up to 100,000 usable rows, O(n² d) time and O(n d) memory; those of the other linkages,
    by scikit-learn, up to 20,000, with O(n²) memory. Beyond, the tree is built over weighted micro-clusters, the early
    merges of Ward's method within cells of neighbouring rows; such a tree can be cut into fewer clusters than that.
    Metrics other than the Euclidean end at 20,000 rows. It wants a PCA space: thousands of features take long.

    References
    ----------
    .. [1] Ward, J. H. (1963). Hierarchical grouping to optimize an objective function.
       doi:10.1080/01621459.1963.10500845
    """

    name: str = "agglomerative"
    varying: ClassVar[frozenset[str]] = frozenset({"n_clusters", "distance_threshold"})
    revision: ClassVar[int] = 2

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
        check_choice("linkage", params["linkage"], list(MICRO_CLUSTERS))
        if params["linkage"] == "ward" and params["metric"] != "euclidean":
            raise ValueError(
                f"`metric` must be 'euclidean' where `linkage` is 'ward'. Got {params['metric']!r} instead."
            )
        if n_usable > MAX_IMAGES and params["connectivity"] is None and not _is_plain(params):
            raise ValueError(
                f"Agglomerative clustering with a `metric` other than 'euclidean' compares all pairs of images, so it "
                f"takes at most {MAX_IMAGES:,} of them. Got {n_usable:,}. Sweep a sample (`dataset.take(rows)`) and "
                f"place the others with `PartitionModel`, or pass `connectivity`."
            )
        if params["distance_threshold"] is not None:
            check_real("distance_threshold", params["distance_threshold"], low=0)
        elif _is_approximate(params, n_usable):
            check_int("n_clusters", params["n_clusters"], low=2, high=MICRO_CLUSTERS[params["linkage"]])
        else:
            super().check_values(params, n_usable)

    def fit_many(self, descriptor: Descriptor, settings: Sequence[Params]) -> Iterator[Partition]:
        """Yield a partition per setting, cut from one tree: the settings differ in where they cut alone."""
        started = perf_counter()
        tree, micro = self._grow(descriptor, {**self.defaults(), **settings[0]})
        resolved = {} if micro is None else {"approximation": _approximation(settings[0], micro)}
        share = (perf_counter() - started) / len(settings)
        for params in settings:
            started = perf_counter()
            threshold = params.get("distance_threshold")
            n_clusters = self.build(params).n_clusters if threshold is None else tree.n_clusters_at(threshold)
            labels, centers = _clusters(descriptor, tree.cut(n_clusters), micro)
            blocks = descriptor.blocks()
            confidence = [centroid_confidence(block, labels[rows], centers) for rows, block in blocks]
            yield Partition(
                descriptor.expand(labels, fill=NOISE),
                descriptor,
                self.name,
                params={**params, **resolved},
                confidence=descriptor.expand(np.concatenate(confidence), fill=0),
                state={"centers": centers},
                seconds=share + perf_counter() - started,
            )

    def _grow(self, descriptor: Descriptor, params: Params) -> tuple[Tree, MicroClusters | None]:
        """Return the tree over the usable rows, or over the micro-clusters that stand for them."""
        linkage = params["linkage"]
        if not _is_plain(params) or (linkage != "ward" and descriptor.n_valid <= MAX_IMAGES):
            common = {key: value for key, value in params.items() if key not in self.varying}
            estimator = self.build({**common, "distance_threshold": 0.0, "compute_full_tree": True})
            fitted = estimator.fit(descriptor.usable())
            return Tree(fitted.children_, fitted.distances_), None
        # These load Numba, which takes a while.
        from veriwild_clustering.clustering.solvers.hierarchy.micro_clusters import micro_clusters
        from veriwild_clustering.clustering.solvers.hierarchy.ward import ward_tree

        if not _is_approximate(params, descriptor.n_valid):
            return ward_tree(descriptor.usable()), None
        micro = micro_clusters(descriptor.vectors, MICRO_CLUSTERS[linkage], valid=descriptor.valid)
        if linkage == "ward":
            return ward_tree(micro.means, micro.sizes), micro
        return linkage_tree(micro.means, micro.sizes, linkage), micro


def _is_plain(params: Params) -> bool:
    """Tell whether the tree is one of all pairs in Euclidean space."""
    return params["connectivity"] is None and params["metric"] == "euclidean"


def _is_approximate(params: Params, n_usable: int) -> bool:
    """Tell whether the tree is built over micro-clusters."""
    return _is_plain(params) and n_usable > (MAX_WARD_IMAGES if params["linkage"] == "ward" else MAX_IMAGES)


def _approximation(params: Params, micro: MicroClusters) -> str:
    linkage = str(params.get("linkage", "ward"))
    return f"{linkage.capitalize()} over {len(micro):,} weighted micro-clusters of {len(micro.labels):,} images"


def _clusters(
    descriptor: Descriptor, leaves: NDArray[np.int32], micro: MicroClusters | None
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return canonical labels of the usable rows and the mean of each cluster, given the label of each leaf."""
    if micro is None:
        labels, _ = canonical_labels(leaves)
        return labels, centroids(descriptor.usable(), labels)
    labels, order = canonical_labels(leaves[micro.labels])
    return labels, micro.centers(leaves)[order]
