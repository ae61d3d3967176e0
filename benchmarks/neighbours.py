"""The neighbour graph, and HDBSCAN and DBSCAN over it, beside scikit-learn and hdbscan called in a loop.

The graph is compared with scikit-learn's brute force, the approximate one with the exact one where both run. The sweeps
of ten `min_cluster_size` and of five `eps` include the graph and the spanning tree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench
from benchmarks.simulation import simulated_space

SIZES = {"tiny": 600, "small": 5_000, "medium": 20_000, "full": 416_314}
_N_FEATURES = 64
_N_NEIGHBORS = 32
_MIN_CLUSTER_SIZES = (10, 15, 20, 30, 40, 50, 75, 100, 150, 200)
_MIN_SAMPLES = 10
_BASELINE_ROWS = 20_000  # hdbscan and scikit-learn alone take hours on many more

Vectors = NDArray[np.float32]


def run(bench: Bench) -> None:
    space = simulated_space(bench.n_images, _N_FEATURES)
    is_full = bench.n_images > _BASELINE_ROWS
    sizes = {"n_images": bench.n_images, "n_features": _N_FEATURES}
    eps = _five_eps(space.vectors)

    exact = None if is_full else bench.measure(_graph, space.vectors, prepare=_warm_up)
    approximate = bench.measure(_inverted_file, space.vectors, prepare=_warm_up)
    if exact:
        sklearn = bench.measure(_sklearn_graph, space.vectors, prepare=_warm_up)
        bench.compare("graph", exact, sklearn, **sizes)
        bench.figure(
            "graph, distances like scikit-learn's", ours=_same(exact.value, sklearn.value), unit="part", **sizes
        )
        bench.figure("recall", ours=_recall(approximate.value[0], exact.value), unit="part", **sizes)
    bench.compare("approximate graph", approximate, exact, recall_on_sample=approximate.value[1], **sizes)

    for name, ours, loop, settings in (
        ("hdbscan, ten min_cluster_size", _hdbscan, _hdbscan_loop, list(_MIN_CLUSTER_SIZES)),
        ("dbscan, five eps", _dbscan, _dbscan_loop, eps),
    ):
        with bench.independent():
            mine = bench.measure(ours, space.vectors, settings, prepare=_warm_up)
            theirs = None if is_full else bench.measure(loop, space.vectors, settings, prepare=_warm_up)
            bench.compare(name, mine, theirs, **sizes)
            if theirs:
                lowest = _least_agreement(mine.value, theirs.value)
                bench.figure(f"{name}, least agreement", ours=lowest, unit="ARI", **sizes)


def _warm_up() -> None:
    """Import what both sides need; the first search starts the threads of FAISS."""
    import hdbscan  # noqa: F401
    from sklearn.cluster import DBSCAN  # noqa: F401
    from sklearn.neighbors import NearestNeighbors  # noqa: F401

    vectors = simulated_space(300, _N_FEATURES).vectors
    _hdbscan(vectors, [5])
    _graph(vectors)


def _space(vectors: Vectors) -> Any:
    from veriwild_clustering import Descriptor

    return Descriptor("space", vectors)


def _graph(vectors: Vectors) -> Vectors:
    from veriwild_clustering.core.vectors.neighbors import search_neighbors

    return search_neighbors(vectors, _N_NEIGHBORS, exact=True).distances


def _inverted_file(vectors: Vectors) -> tuple[Vectors, float]:
    from veriwild_clustering.core.vectors.neighbors import search_neighbors

    graph = search_neighbors(vectors, _N_NEIGHBORS, exact=False)
    return graph.distances, graph.recall


def _sklearn_graph(vectors: Vectors) -> Vectors:
    from sklearn.neighbors import NearestNeighbors

    distances, _ = NearestNeighbors(n_neighbors=_N_NEIGHBORS).fit(vectors).kneighbors()
    return np.asarray(distances)


def _same(ours: Vectors, theirs: Vectors) -> float:
    return float(np.isclose(ours, theirs, rtol=1e-5).mean())


def _recall(found: Vectors, exact: Vectors) -> float:
    return float((found <= exact[:, -1:]).mean())


def _five_eps(vectors: Vectors) -> list[float]:
    """Return five quantiles of the distance to the tenth neighbour of a sample of rows."""
    from sklearn.neighbors import NearestNeighbors

    sample = np.random.default_rng(0).permutation(len(vectors))[:1000]
    distances, _ = NearestNeighbors(n_neighbors=_MIN_SAMPLES).fit(vectors).kneighbors(vectors[sample])
    return [float(eps) for eps in np.quantile(distances[:, -1], [0.1, 0.25, 0.5, 0.75, 0.9])]


def _hdbscan(vectors: Vectors, min_cluster_sizes: list[int]) -> list[NDArray[np.int32]]:
    from veriwild_clustering import sweep

    grid = {"hdbscan": {"min_cluster_size": min_cluster_sizes, "min_samples": [_MIN_SAMPLES]}}
    return [partition.labels for partition in sweep(_space(vectors), grid)]


def _hdbscan_loop(vectors: Vectors, min_cluster_sizes: list[int]) -> list[NDArray[np.int64]]:
    from hdbscan import HDBSCAN

    return [HDBSCAN(size, min_samples=_MIN_SAMPLES).fit_predict(vectors) for size in min_cluster_sizes]


def _dbscan(vectors: Vectors, eps: list[float]) -> list[NDArray[np.int32]]:
    from veriwild_clustering import sweep

    grid = {"dbscan": {"eps": eps, "min_samples": [_MIN_SAMPLES]}}
    return [partition.labels for partition in sweep(_space(vectors), grid)]


def _dbscan_loop(vectors: Vectors, eps: list[float]) -> list[NDArray[np.int64]]:
    from sklearn.cluster import DBSCAN

    return [DBSCAN(eps=value, min_samples=_MIN_SAMPLES).fit_predict(vectors) for value in eps]


def _least_agreement(ours: list[Any], theirs: list[Any]) -> float:
    from sklearn.metrics import adjusted_rand_score

    return min(float(adjusted_rand_score(*pair)) for pair in zip(theirs, ours, strict=True))
