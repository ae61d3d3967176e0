"""Internal scores of a whole sweep, and outliers of all rows, beside loops over scikit-learn and PyOD."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench
from benchmarks.simulation import simulated_space

if TYPE_CHECKING:
    from veriwild_clustering.core.partition import Partition

SIZES = {"tiny": 600, "small": 5_000, "medium": 20_000, "full": 416_314}

_FAMILIES = 3  # as many partitions with the same numbers of clusters
_NOISY = 10
_DAMAGED = 0.01
_SAMPLE = 2_000


def run(bench: Bench) -> None:
    """Print the figures."""
    space = simulated_space(bench.n_images)
    labels = np.stack(list(_labels(space.vectors, space.groups)))
    sizes = {"n_images": bench.n_images, "n_features": space.vectors.shape[1], "n_partitions": len(labels)}
    with bench.independent():
        ours = bench.measure(_our_scores, space.vectors, labels, prepare=_imports)
        loop = None
        if bench.size != "full":  # hours
            loop = bench.measure(_loop_scores, space.vectors, labels, prepare=_imports)
            error = np.nanmax(np.abs(ours.value / loop.value - 1))
            bench.figure("largest relative difference of a score", ours=float(error), unit="", **sizes)
        bench.compare("Calinski–Harabasz, Davies–Bouldin and silhouette of a sweep", ours, loop, **sizes)
    vectors, damaged = _with_damaged(space.vectors)
    sizes.pop("n_partitions")
    for name in ("ECOD", "KNN", "LOF"):
        with bench.independent():
            _outliers(bench, name, vectors, damaged=damaged, sizes=sizes)


def _outliers(
    bench: Bench, name: str, vectors: NDArray[np.float32], *, damaged: NDArray[np.bool_], sizes: dict[str, Any]
) -> None:
    from scipy.stats import spearmanr
    from sklearn.metrics import roc_auc_score

    max_fit = min(10_000, bench.n_images // 2)
    ours = bench.measure(_our_outliers, vectors, name, max_fit=max_fit, prepare=_imports)
    plain = None if bench.size == "full" else bench.measure(_plain_outliers, vectors, name, prepare=_imports)
    bench.compare(f"outliers by {name}", ours, plain, approximation=ours.value["approximation"], **sizes)
    aucs = [roc_auc_score(damaged, one) for one in (ours.value["scores"], *([plain.value] if plain else []))]
    bench.figure(f"damaged images by {name}", ours=aucs[0], baseline=aucs[1] if plain else None, unit="AUC", **sizes)
    if plain:
        correlation = float(spearmanr(ours.value["scores"], plain.value).statistic)
        bench.figure(f"order of the images by {name}", ours=correlation, unit="rank correlation", **sizes)


def _labels(vectors: NDArray[np.float32], groups: NDArray[np.int32]) -> Iterator[NDArray[np.int32]]:
    """Yield labels as a sweep gives them: the nearest of 2 to 30 rows, and the groups with ever more noise."""
    rng = np.random.default_rng(0)
    for n_clusters in np.tile(np.arange(2, 31), _FAMILIES):
        centers = vectors[rng.choice(len(vectors), n_clusters, replace=False)]
        yield np.argmax(vectors @ centers.T - (centers**2).sum(axis=1) / 2, axis=1).astype(np.int32)
    for noise in np.linspace(0.05, 0.7, _NOISY):
        yield np.where(rng.random(len(groups)) < noise, -1, groups).astype(np.int32)


def _with_damaged(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the vectors with some that resemble each other and lie elsewhere, as those of dark images do."""
    rng = np.random.default_rng(0)
    damaged = rng.random(len(vectors)) < _DAMAGED
    spread = vectors.std(axis=0)
    other = 5 * spread * rng.choice([-1, 1], vectors.shape[1]) / np.sqrt(np.arange(1, vectors.shape[1] + 1))
    changed = vectors.copy()
    changed[damaged] = (other + 0.5 * spread * rng.normal(size=(damaged.sum(), vectors.shape[1]))).astype(np.float32)
    return changed, damaged


def _imports() -> None:
    """Load what is not to be measured."""
    import faiss  # noqa: F401
    import pyod.models.ecod
    import pyod.models.knn
    import pyod.models.lof
    import sklearn.metrics  # noqa: F401

    import veriwild_clustering.evaluation.leaderboard
    import veriwild_clustering.outliers.detection  # noqa: F401

    pyod.models.ecod.ECOD().fit(np.random.default_rng(0).normal(size=(20, 2)))  # compiles


def _our_scores(vectors: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.float64]:
    from veriwild_clustering import Descriptor, Partition, leaderboard

    space = Descriptor("simulated", vectors)
    partitions: list[Partition] = [Partition(one, space, "given") for one in labels]
    table = leaderboard(partitions, silhouette_sample=_SAMPLE).table
    return table[["calinski_harabasz", "davies_bouldin", "silhouette"]].to_numpy()


def _loop_scores(vectors: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.float64]:
    from sklearn import metrics

    exact = vectors.astype(np.float64)
    order = np.argsort(np.random.default_rng(0).permutation(len(vectors)))
    scores = []
    for one in labels:
        clustered = np.flatnonzero(one >= 0)
        drawn = np.sort(order[one[order] >= 0][:_SAMPLE])
        rows, kept = exact[clustered], one[clustered]
        scores.append(
            [
                metrics.calinski_harabasz_score(rows, kept),
                metrics.davies_bouldin_score(rows, kept),
                metrics.silhouette_score(exact[drawn], one[drawn]),
            ]
        )
    return np.array(scores)


def _detector(name: str, n_rows: int) -> Any:
    from pyod.models.ecod import ECOD
    from pyod.models.knn import KNN
    from pyod.models.lof import LOF

    if name == "KNN":
        return KNN(n_neighbors=max(50, n_rows // 50), method="mean")
    return ECOD() if name == "ECOD" else LOF(n_neighbors=20)


def _our_outliers(vectors: NDArray[np.float32], name: str, *, max_fit: int) -> dict[str, Any]:
    from veriwild_clustering import Descriptor, detect_outliers

    detector = _detector(name, max_fit)
    found = detect_outliers(Descriptor("simulated", vectors), detector, max_fit=max_fit, normalize=False)
    return {"scores": found.scores, "approximation": found.params.get("approximation")}


def _plain_outliers(vectors: NDArray[np.float32], name: str) -> NDArray[np.float64]:
    return _detector(name, len(vectors)).fit(vectors).decision_scores_
