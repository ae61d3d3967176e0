"""Ward's method: the exact tree beside scikit-learn's, approximations beside the exact tree, all rows.

Every tree is cut into k = 2…30 clusters. An approximation is compared at a size where the exact tree is built, with as
many rows per micro-cluster and as many cells as at full size: seconds and memory of both, the adjusted Rand index of
their labels, and the variance within clusters over that of the exact ones, mean and worst over k.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench
from benchmarks.simulation import simulated_space

SIZES = {"tiny": 600, "small": 5_000, "medium": 20_000, "full": 416_314}

_N_FEATURES = 64
_N_CLUSTERS = range(2, 31)
_ROWS_PER_MICRO_CLUSTER, _N_CELLS = 8, 14
_N_NEIGHBORS = 10
_MOST_EXACT, _MOST_SCIKIT_LEARN = 100_000, 20_000

Labels = NDArray[np.int32]


def run(bench: Bench) -> None:
    n_images = min(bench.n_images, _MOST_EXACT)
    vectors = simulated_space(n_images, _N_FEATURES).vectors
    exact = bench.measure(_exact, vectors, prepare=_warm_up)
    loop = bench.measure(_scikit_learn, vectors, prepare=_warm_up) if n_images <= _MOST_SCIKIT_LEARN else None
    same = {} if loop is None else _agreement(vectors, exact.value, loop.value)
    bench.compare("exact Ward", exact, loop, n_images=n_images, n_features=_N_FEATURES, **same)
    for name, approximation in _APPROXIMATIONS.items():
        with bench.independent():
            ours = bench.measure(approximation, vectors, prepare=_warm_up)
            agreement = _agreement(vectors, ours.value, exact.value)
            bench.compare(name, ours, exact, n_images=n_images, n_features=_N_FEATURES, **agreement)
    if bench.n_images > n_images:
        vectors = simulated_space(bench.n_images, _N_FEATURES).vectors
        everything = bench.measure(_sweep, vectors, prepare=_warm_up)
        bench.compare("all rows", everything, n_features=_N_FEATURES, approximation=everything.value)


def _warm_up() -> None:
    import faiss  # noqa: F401
    import sklearn.cluster
    import sklearn.neighbors  # noqa: F401

    _exact(simulated_space(100, _N_FEATURES).vectors)


def _exact(vectors: NDArray[np.float32]) -> Labels:
    from veriwild_clustering.clustering.solvers.hierarchy.ward import ward_tree

    tree = ward_tree(vectors)
    return np.stack([tree.cut(n_clusters) for n_clusters in _N_CLUSTERS])


def _scikit_learn(vectors: NDArray[np.float32]) -> Labels:
    """Return what one fit gives; a plain loop would fit anew for each number of clusters."""
    from sklearn.cluster import AgglomerativeClustering

    from veriwild_clustering.clustering.solvers.hierarchy.linkage import cut_tree

    tree = AgglomerativeClustering(None, distance_threshold=0).fit(vectors)
    return np.stack([cut_tree(tree.children_, n_clusters) for n_clusters in _N_CLUSTERS])


def _early_merges(vectors: NDArray[np.float32]) -> Labels:
    from veriwild_clustering.clustering.solvers.hierarchy.micro_clusters import micro_clusters

    n_rows = len(vectors)
    micro = micro_clusters(vectors, _n_micro(n_rows), cell_rows=-(-n_rows // _N_CELLS))
    return _over_micro(micro.means, micro.sizes, micro.labels)


def _kmeans_centroids(vectors: NDArray[np.float32]) -> Labels:
    import faiss

    kmeans = faiss.Kmeans(vectors.shape[1], _n_micro(len(vectors)), niter=10, seed=1, min_points_per_centroid=1)
    kmeans.train(vectors)
    _, labels = np.unique(kmeans.index.search(vectors, 1)[1][:, 0], return_inverse=True)
    sizes = np.bincount(labels)
    sums = [np.bincount(labels, weights=feature) for feature in vectors.T]
    return _over_micro(np.stack(sums, axis=1) / sizes[:, None], sizes, labels)


def _neighbor_constrained(vectors: NDArray[np.float32]) -> Labels:
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.neighbors import kneighbors_graph

    from veriwild_clustering.clustering.solvers.hierarchy.linkage import cut_tree

    graph = kneighbors_graph(vectors, _N_NEIGHBORS)
    with warnings.catch_warnings():  # the graph may fall into parts, which scikit-learn joins
        warnings.filterwarnings("ignore", message="the number of connected components")
        tree = AgglomerativeClustering(None, distance_threshold=0, connectivity=graph).fit(vectors)
    return np.stack([cut_tree(tree.children_, n_clusters) for n_clusters in _N_CLUSTERS])


_APPROXIMATIONS = {
    "Ward over early merges within cells": _early_merges,
    "Ward over k-means centroids": _kmeans_centroids,
    f"Ward between {_N_NEIGHBORS} nearest neighbours": _neighbor_constrained,
}


def _n_micro(n_rows: int) -> int:
    return max(2 * _N_CLUSTERS[-1], n_rows // _ROWS_PER_MICRO_CLUSTER)


def _over_micro(means: NDArray[np.float64], sizes: NDArray[np.int64], labels: NDArray[np.integer]) -> Labels:
    from veriwild_clustering.clustering.solvers.hierarchy.ward import ward_tree

    tree = ward_tree(means, sizes)
    return np.stack([tree.cut(n_clusters)[labels] for n_clusters in _N_CLUSTERS])


def _sweep(vectors: NDArray[np.float32]) -> str:
    import veriwild_clustering as vc

    partitions = vc.sweep(vc.Descriptor("space", vectors), {"agglomerative": {"n_clusters": _N_CLUSTERS}})
    return str(partitions[0].params["approximation"])


def _agreement(vectors: NDArray[np.float32], ours: Labels, exact: Labels) -> dict[str, float]:
    from sklearn.metrics import adjusted_rand_score

    ari = [adjusted_rand_score(*pair) for pair in zip(exact, ours, strict=True)]
    ratio = [_within(vectors, a) / _within(vectors, b) for a, b in zip(ours, exact, strict=True)]
    return {
        "ari_mean": float(np.mean(ari)),
        "ari_worst": float(np.min(ari)),
        "variance_ratio_mean": float(np.mean(ratio)),
        "variance_ratio_worst": float(np.max(ratio)),
    }


def _within(vectors: NDArray[np.float32], labels: Labels) -> float:
    """Return the sum of squared distances of the rows to the mean of their cluster."""
    sizes = np.bincount(labels)
    sums = np.stack([np.bincount(labels, weights=feature) for feature in vectors.T])
    return float(np.square(vectors, dtype=np.float64).sum() - (np.square(sums) / sizes).sum())
