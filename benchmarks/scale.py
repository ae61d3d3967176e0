"""The whole study over all four descriptors: raw folder, dataset, PCA, sweep, outliers, leaderboard, in one process.

The raw folder is simulated, which is not counted; everything else is, imports included. The study runs as a user would
write it, one step after another, and keeps its partitions in a store: with `--folder DIR --keep` a run that was killed
goes on from there, and its lines say so ("resumed"), since their times are then those of the rest alone.

What the full run found is then compared with the exact algorithms of scikit-learn and hdbscan on a random sample of at
most 20,000 rows, where those run. For k-means, mixtures and Ward: the labels which the sampled rows have in the
partition of all rows, against a fit of the sample alone; "within" is the variance within clusters over that of the fit.
HDBSCAN's clusters depend on how dense the rows lie, so a sample is another problem: there the approximate neighbour
graph is forced on the sample itself. The baseline is how well the exact algorithm agrees with itself: two seeds of
k-means and of mixtures, and HDBSCAN on nine tenths of the sample.
"""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench, Measured
from benchmarks.simulation import simulated_raw_data

SIZES = {"tiny": 400, "small": 5_000, "medium": 50_000, "full": 416_314}
_MIN_SAMPLES = 10
_SAMPLE_ROWS = 20_000
_STAGES = ("join", "pca", "sweep", "outliers", "leaderboard")


def run(bench: Bench) -> None:
    _make_raw_data(bench)
    most = bench.pick(tiny=3, small=10, medium=30, full=30)
    sizes = [round(bench.pick(tiny=5, small=20, medium=50, full=100) * 1.3**step) for step in range(10)]
    grid: dict[str, dict[str, Any]] = {
        "kmeans": {"n_clusters": range(2, most + 1)},
        "gaussian_mixture": {"n_clusters": range(2, most + 1)},
        "agglomerative": {"n_clusters": range(2, most + 1), "linkage": "ward"},
        "hdbscan": {"min_cluster_size": sizes[:2] if bench.size == "tiny" else sizes, "min_samples": _MIN_SAMPLES},
    }
    n_clusters = max(2, most // 2)
    n_components = bench.pick(tiny=16, small=64, medium=64, full=64)
    whole = bench.measure(_study, bench.folder, grid, n_components=n_components, n_clusters=n_clusters)
    _print_stages(bench, whole)
    for name, sample in whole.value["samples"].items():
        for compare in (_compare_with_fits, _compare_hdbscan):
            with bench.independent():
                compare(bench, name, sample, n_clusters=n_clusters)


def _make_raw_data(bench: Bench) -> None:
    folder = bench.folder / "raw_data"
    if not folder.exists():
        unfinished = bench.folder / "unfinished"
        made = bench.measure(simulated_raw_data, unfinished, bench.n_images)
        bench.say(f"made the raw folder in {made.seconds:.0f} s, which is not counted")
        unfinished.rename(folder)


def _study(folder: Path, grid: dict[str, Any], *, n_components: int, n_clusters: int) -> dict[str, Any]:
    """Do what the story notebook does, and return the seconds of each step and a sample of the results."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import veriwild_clustering as vc

    csv, store = folder / "transport_dataset.csv", folder / "partitions"
    resumed = csv.exists()
    clock = [perf_counter()]
    dataset = vc.Dataset.open(csv) if resumed else vc.join_dataset(vc.locate_raw_data(folder / "raw_data"), csv)
    clock.append(perf_counter())
    steps = make_pipeline(StandardScaler(), PCA(n_components, random_state=0))
    spaces = [vc.transform(descriptor, steps, name=descriptor.name) for descriptor in dataset]
    clock.append(perf_counter())
    partitions = vc.sweep(spaces, grid, random_state=0, store=store)
    clock.append(perf_counter())
    outliers = [vc.detect_outliers(space, random_state=0) for space in spaces]
    clock.append(perf_counter())
    board = vc.leaderboard(partitions, groups=dataset.images["vehicle_id"])
    clock.append(perf_counter())
    return {
        "seconds": dict(zip(_STAGES, np.diff(clock).tolist(), strict=True)),
        "resumed": resumed,
        "families": board.table.groupby(["descriptor", "algorithm"])["seconds"].sum().unstack().to_dict("index"),
        "approximations": sorted(set(board.table["approximation"].dropna()) - {""}),
        "n_partitions": len(board),
        "n_outliers": {space.name: one.n_outliers for space, one in zip(spaces, outliers, strict=True)},
        "samples": {space.name: _sample(space, partitions, n_clusters) for space in spaces},
    }


def _sample(space: Any, partitions: list[Any], n_clusters: int) -> dict[str, Any]:
    """Return some rows of a space, and their labels in its partitions into `n_clusters`, by algorithm."""
    rows = np.sort(np.random.default_rng(0).permutation(len(space))[:_SAMPLE_ROWS])
    chosen = [
        one for one in partitions if one.descriptor.name == space.name and one.params.get("n_clusters") == n_clusters
    ]
    return {"vectors": space.vectors[rows], "labels": {one.algorithm: one.labels[rows] for one in chosen}}


def _print_stages(bench: Bench, whole: Measured) -> None:
    found = whole.value
    facts = {"resumed": found["resumed"], "n_partitions": found["n_partitions"]}
    bench.compare("everything", whole, target=2400, target_memory=8 * 2**30, **facts)
    for stage, seconds in found["seconds"].items():
        bench.figure(stage, ours=seconds, **facts)
    for name, families in found["families"].items():
        for family, seconds in families.items():
            bench.figure(f"{family} on {name}", ours=seconds, **facts)
    bench.say(json.dumps({"approximations": found["approximations"], "outliers": found["n_outliers"]}))


def _compare_with_fits(bench: Bench, name: str, sample: dict[str, Any], *, n_clusters: int) -> None:
    """Compare the partitions of all rows with fits of the sample alone."""
    from sklearn.metrics import adjusted_rand_score

    exact = bench.measure(_exact, sample["vectors"], n_clusters)
    for family, fits in exact.value.items():
        bench.figure(
            f"{family} on {name}, agreement with exact on a sample",
            ours=adjusted_rand_score(sample["labels"][family], fits[0]),
            baseline=adjusted_rand_score(*fits) if len(fits) == 2 else None,
            unit="ARI",
            n_features=sample["vectors"].shape[1],
            n_clusters=n_clusters,
            n_sample=len(sample["vectors"]),
            within=_within(sample["vectors"], sample["labels"][family]) / _within(sample["vectors"], fits[0]),
        )


def _exact(vectors: NDArray[np.float32], n_clusters: int) -> dict[str, list[NDArray[Any]]]:
    from sklearn.cluster import AgglomerativeClustering, KMeans
    from sklearn.mixture import GaussianMixture

    seeds, rows = (0, 1), vectors.astype(np.float64)  # in float32 some covariances are singular
    return {
        "kmeans": [KMeans(n_clusters, random_state=seed).fit_predict(vectors) for seed in seeds],
        "gaussian_mixture": [GaussianMixture(n_clusters, random_state=seed).fit_predict(rows) for seed in seeds],
        "agglomerative": [AgglomerativeClustering(n_clusters).fit_predict(vectors)],
    }


def _within(vectors: NDArray[np.float32], labels: NDArray[Any]) -> float:
    """Return the sum of squared distances to the means of clusters."""
    clusters = [vectors[labels == label].astype(np.float64) for label in np.unique(labels)]
    return float(sum(np.square(rows - rows.mean(axis=0)).sum() for rows in clusters))


def _compare_hdbscan(bench: Bench, name: str, sample: dict[str, Any], **_: Any) -> None:
    """Compare HDBSCAN over the neighbour graph with the exact one, both on the sample."""
    from sklearn.metrics import adjusted_rand_score

    vectors = sample["vectors"]
    setting = {"min_cluster_size": max(5, len(vectors) // 100), "min_samples": _MIN_SAMPLES}
    kept = np.random.default_rng(0).random(len(vectors)) < 0.9
    ours = bench.measure(_graph_hdbscan, vectors, setting)
    exact = bench.measure(_exact_hdbscan, vectors, setting)
    again = bench.measure(_exact_hdbscan, vectors[kept], setting)
    bench.figure(
        f"hdbscan on {name}, agreement of the neighbour graph with exact",
        ours=adjusted_rand_score(ours.value["labels"], exact.value),
        baseline=adjusted_rand_score(exact.value[kept], again.value),
        unit="ARI",
        n_features=sample["vectors"].shape[1],
        target=0.9,
        n_sample=len(vectors),
        noise_fraction=float(np.mean(exact.value < 0)),
        approximation=ours.value["approximation"],
        **setting,
    )


def _graph_hdbscan(vectors: NDArray[np.float32], setting: dict[str, Any]) -> dict[str, Any]:
    """Return what HDBSCAN finds in a space so large that its neighbours are approximate, on a smaller one."""
    from unittest.mock import patch

    import veriwild_clustering as vc
    from veriwild_clustering.core.vectors import neighbors

    with patch.object(neighbors, "EXACT_ROWS", 1):
        (found,) = vc.sweep(vc.Descriptor("sample", vectors), {"hdbscan": setting})
    return {"labels": found.labels, "approximation": found.params.get("approximation")}


def _exact_hdbscan(vectors: NDArray[np.float32], setting: dict[str, Any]) -> NDArray[Any]:
    from hdbscan import HDBSCAN

    labels: NDArray[Any] = HDBSCAN(**setting).fit_predict(vectors)
    return labels
