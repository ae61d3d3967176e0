"""A grid of four families over one space, scored: one `sweep` beside the plain loop over scikit-learn and hdbscan.

Imports are not counted on either side; what numba compiles is, but it is kept on disk from the first run on. The loop
gets the float32 vectors as they are, one estimator per setting, and scores each labelling by Calinski-Harabasz and
Davies-Bouldin over its clustered rows. `leaderboard` does more than that (silhouette on a sample, agreement between
partitions); all of it is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench, Measured
from benchmarks.simulation import simulated_space

SIZES = {"tiny": 600, "small": 5_000, "medium": 20_000, "full": 20_000}
_N_FEATURES = 64
_MIN_SAMPLES = 10
_NAMES = ("kmeans", "gaussian_mixture", "agglomerative", "hdbscan")

Floats = NDArray[np.float32]
Grid = dict[str, dict[str, Any]]


def run(bench: Bench) -> None:
    vectors = simulated_space(bench.n_images, _N_FEATURES).vectors
    most = bench.pick(tiny=4, small=10, medium=30, full=30)
    sizes = bench.pick(tiny=[5, 10], small=_sizes(10), medium=_sizes(20), full=_sizes(20))
    grid: Grid = {name: {"n_clusters": range(2, most + 1)} for name in _NAMES[:3]}
    grid["agglomerative"]["linkage"] = "ward"
    grid["hdbscan"] = {"min_cluster_size": sizes, "min_samples": _MIN_SAMPLES}

    loops: list[Measured] = []
    for name in _NAMES:
        with bench.independent():
            ours = bench.measure(_sweep, vectors, {name: grid[name]}, prepare=_imports)
            loop = bench.measure(_loop, vectors, name, settings=_settings(grid[name]), prepare=_imports)
            loops.append(loop)
            _print_family(bench, name, ours=ours, loop=loop)
            _AGREEMENT[name](bench, vectors, ours.value["results"], loop.value["results"])
    if len(loops) == len(_NAMES):
        _print_total(bench, bench.measure(_sweep, vectors, grid, prepare=_imports), loops)


def _sizes(first: int) -> list[int]:
    return [round(first * 1.35**step) for step in range(10)]


def _settings(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one dict per value of the one parameter that is listed."""
    (varied,) = (name for name, value in values.items() if isinstance(value, Sequence) and not isinstance(value, str))
    return [{**values, varied: value} for value in values[varied]]


def _imports() -> None:
    import faiss  # noqa: F401
    import hdbscan  # noqa: F401
    import numba
    import sklearn.cluster
    import sklearn.metrics
    import sklearn.mixture  # noqa: F401

    from veriwild_clustering import Descriptor, leaderboard, sweep  # noqa: F401

    compiled: Any = numba.njit(_nothing)
    compiled()  # numba imports most of itself with the first function


def _nothing() -> None:
    pass


def _sweep(vectors: Floats, grid: Grid) -> dict[str, Any]:
    """Sweep and score as a user writes it."""
    import veriwild_clustering as vc

    started = perf_counter()
    partitions = vc.sweep(vc.Descriptor("space", vectors), grid, random_state=0)
    swept = perf_counter()
    board = vc.leaderboard(partitions)
    return {
        "fitting": swept - started,
        "scoring": perf_counter() - swept,
        "results": [{"labels": one.labels, **one.state} for one in partitions],
        "scores": board.table[["calinski_harabasz", "davies_bouldin"]].to_numpy(dtype=float),
    }


def _loop(vectors: Floats, name: str, settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Fit one estimator after another and score its labels."""
    started = perf_counter()
    results = [_fitted(name, vectors, one) for one in settings]
    fitted = perf_counter()
    scores = [_scores(vectors, result["labels"]) for result in results]
    return {
        "fitting": fitted - started,
        "scoring": perf_counter() - fitted,
        "results": results,
        "scores": np.asarray(scores, dtype=float),
    }


def _fitted(name: str, vectors: Floats, setting: Mapping[str, Any]) -> dict[str, Any]:
    from hdbscan import HDBSCAN
    from sklearn.cluster import AgglomerativeClustering, KMeans
    from sklearn.mixture import GaussianMixture

    if name == "kmeans":
        kmeans = KMeans(**setting, random_state=0).fit(vectors)
        return {"labels": kmeans.labels_, "centers": kmeans.cluster_centers_}
    if name == "gaussian_mixture":
        mixture = GaussianMixture(setting["n_clusters"], random_state=0)
        try:
            labels = mixture.fit_predict(vectors)
        except ValueError:  # a covariance that is singular in float32; its message says to do this
            labels = mixture.fit_predict(vectors.astype(np.float64))
        return {"labels": labels, **{part: getattr(mixture, f"{part}_") for part in _MIXTURE}}
    estimator = AgglomerativeClustering(**setting) if name == "agglomerative" else HDBSCAN(**setting)
    return {"labels": estimator.fit_predict(vectors)}


_MIXTURE = ("weights", "means", "precisions_cholesky")


def _scores(vectors: Floats, labels: NDArray[Any]) -> tuple[float, float]:
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

    kept = labels >= 0
    if not 2 <= len(np.unique(labels[kept])) < kept.sum():
        return np.nan, np.nan
    clustered = vectors[kept], labels[kept]
    return calinski_harabasz_score(*clustered), davies_bouldin_score(*clustered)


def _print_family(bench: Bench, name: str, *, ours: Measured, loop: Measured) -> None:
    bench.figure(
        f"{name}, fitting",
        ours=ours.value["fitting"],
        baseline=loop.value["fitting"],
        n_features=_N_FEATURES,
        peak_memory=ours.peak_memory,
        baseline_peak_memory=loop.peak_memory,
        n_settings=len(loop.value["results"]),
        target=1,
    )


def _print_total(bench: Bench, ours: Measured, loops: Sequence[Measured]) -> None:
    scoring = sum(loop.value["scoring"] for loop in loops)
    bench.figure("scoring", ours=ours.value["scoring"], baseline=scoring, n_features=_N_FEATURES)
    bench.figure(
        "all families, fitted and scored",
        ours=ours.seconds,
        baseline=sum(loop.seconds for loop in loops),
        n_features=_N_FEATURES,
        peak_memory=ours.peak_memory,
        baseline_peak_memory=max(loop.peak_memory for loop in loops),
        n_settings=len(ours.value["results"]),
        target=20,
    )


def _compare_labels(
    bench: Bench, _: Floats, ours: Sequence[Any], loop: Sequence[Any], *, name: str, target: float
) -> None:
    from sklearn.metrics import adjusted_rand_score

    found = [adjusted_rand_score(a["labels"], b["labels"]) for a, b in zip(ours, loop, strict=True)]
    bench.figure(f"{name}, least agreement", ours=min(found), unit="ARI", target=target, every=found)


def _compare_inertia(bench: Bench, vectors: Floats, ours: Sequence[Any], loop: Sequence[Any]) -> None:
    rows = vectors.astype(np.float64)
    ratios = [_inertia(rows, a["centers"]) / _inertia(rows, b["centers"]) for a, b in zip(ours, loop, strict=True)]
    bench.figure("kmeans, greatest inertia over the loop's", ours=max(ratios), unit="", target=1.001, every=ratios)


def _inertia(rows: NDArray[np.float64], centers: NDArray[Any]) -> float:
    from sklearn.metrics import pairwise_distances_argmin_min

    return float(np.square(pairwise_distances_argmin_min(rows, centers.astype(np.float64))[1]).sum())


def _compare_likelihood(bench: Bench, vectors: Floats, ours: Sequence[Any], loop: Sequence[Any]) -> None:
    rows = vectors.astype(np.float64)
    gains = [_log_likelihood(rows, a) - _log_likelihood(rows, b) for a, b in zip(ours, loop, strict=True)]
    what = "gaussian_mixture, log-likelihood per row above the loop's"
    bench.figure(f"{what}, mean", ours=float(np.mean(gains)), unit="nat", target=0, every=gains)
    bench.figure(f"{what}, least", ours=min(gains), unit="nat", target=-0.5)


def _log_likelihood(rows: NDArray[np.float64], parts: Mapping[str, NDArray[Any]]) -> float:
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(len(parts["weights"]))
    for part in _MIXTURE:
        setattr(mixture, f"{part}_", parts[part].astype(np.float64))
    return float(mixture.score(rows))


_AGREEMENT: Mapping[str, Callable[..., None]] = {
    "kmeans": _compare_inertia,
    "gaussian_mixture": _compare_likelihood,
    "agglomerative": partial(_compare_labels, name="agglomerative", target=1.0),
    "hdbscan": partial(_compare_labels, name="hdbscan", target=0.999),
}
