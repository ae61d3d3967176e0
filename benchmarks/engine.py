"""Groups of the image engine beside DBSCAN on a 3-D layout and plain clusterings, against the truth.

`ours` is the adjusted Rand index of `group_images`, which does not know the truth; `baseline` that of another way.
Since k-means is told that there are five groups, `group_images` is told so too in a figure of its own. With
VERIWILD_SHARED the real sample is scored against the type of vehicle and type × view, damaged images left out; without
it, and at size "tiny", a drawn sample against the factors that its simulated vectors show.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from benchmarks.harness import Bench
    from veriwild_clustering import Descriptor

SIZES = {"tiny": 400, "small": 1_500, "full": 5_000}
_SEEDS = {"tiny": (0,), "small": (0, 1, 2), "full": (0, 1, 2)}
_TOLD = 5
_TOLD_WAY = f"PCA-64 + k-means({_TOLD})"
_DRAWN_TRUTH = {
    "vdc_color": ("color",),
    "osnet": ("view", "color"),
    "efficientnet-b7": ("camera", "time_of_day", "view"),
    "vdc_type": ("view", "type"),
}


def run(bench: Bench) -> None:
    """Print the agreement with the truth of each descriptor and way of grouping, and the time of ours."""
    from veriwild_clustering.core.pickles import read_pickled_array

    raw, truth, targets = _sample(bench)
    for name, factors in targets.items():
        vectors = read_pickled_array(raw / "descriptors" / f"{name}.pickle")
        for seed in _SEEDS[bench.size]:
            ours, told = bench.measure(_ours, vectors, seed), bench.measure(_ours, vectors, seed, n_groups=_TOLD)
            others = {way: bench.measure(function, vectors, seed).value for way, function in _WAYS.items()}
            for target, codes in factors.items():
                figure = f"{name}, seed {seed}, {target}"
                scored = truth["corruption"].isna().to_numpy()
                score = _ari(codes, ours.value, scored)
                for way, labels in others.items():
                    bench.figure(
                        f"{figure}: beside {way}", ours=score, baseline=_ari(codes, labels, scored), unit="ARI",
                        n_images=len(vectors),
                    )  # fmt: skip
                bench.figure(
                    f"{figure}: both told {_TOLD}", ours=_ari(codes, told.value, scored),
                    baseline=_ari(codes, others[_TOLD_WAY], scored), unit="ARI", n_images=len(vectors),
                )  # fmt: skip
            bench.figure(f"{name}, seed {seed}: time", ours=ours.seconds, unit="s", n_images=len(vectors))


def _sample(bench: Bench) -> tuple[Path, pd.DataFrame, Mapping[str, Mapping[str, Any]]]:
    """Return the raw data, the truth, and per descriptor the classes to agree with."""
    shared = os.environ.get("VERIWILD_SHARED")
    if shared and bench.size != "tiny":
        folder = Path(shared) / "data/veriwild_sample"
        truth = pd.read_csv(folder / "truth.csv")
        classes = {"type": truth["type"], "type × view": truth["type"] + " " + truth["view"]}
        return folder / "raw_data", truth, dict.fromkeys(("osnet", "efficientnet-b7"), classes)
    from veriwild_clustering import draw_sample

    raw = bench.folder / "raw_data"
    if not raw.exists():
        draw_sample(raw, n_images=bench.n_images, random_state=1)
    truth = pd.read_csv(raw / "truth.csv")
    shown = list(_DRAWN_TRUTH.items())[: 1 if bench.size == "tiny" else None]
    return raw, truth, {
        name: {" × ".join(factors): truth[list(factors)].astype(str).agg(" ".join, axis=1)} for name, factors in shown
    }  # fmt: skip


def _ari(classes: pd.Series, labels: Any, scored: Any) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(classes[scored], labels[scored]))


def _ours(vectors: Any, seed: int, *, n_groups: int | None = None) -> Any:
    from veriwild_clustering import Descriptor, group_images

    descriptor = Descriptor("vectors", vectors)
    return group_images(descriptor, n_groups=n_groups, random_state=seed, progress=False).partition.labels


def _original(vectors: Any, seed: int) -> Any:
    """L2, PCA (95 %), UMAP in 3-D, DBSCAN at the knee of that layout."""
    layout = _umap(_space(vectors), seed, n_components=3, n_neighbors=15, min_dist=0.1, metric="cosine")
    n_images = len(layout)
    return _labels(
        "layout", layout, "dbscan", eps="knee", min_samples=3 if n_images < 200 else 5 if n_images < 1000 else 10
    )


def _hdbscan_umap(vectors: Any, seed: int) -> Any:
    layout = _umap(_space(vectors), seed, n_components=10, n_neighbors=15, min_dist=0.0)
    return _labels("umap", layout, "hdbscan", min_cluster_size=20)


def _hdbscan(vectors: Any, _seed: int) -> Any:
    return _labels("pca", _space(vectors), "hdbscan", min_cluster_size=20)


def _kmeans(vectors: Any, _seed: int) -> Any:
    """k-means, told the number, on 64 components of the standardised vectors."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    space = PCA(64, random_state=0).fit_transform(StandardScaler().fit_transform(vectors))
    return _labels("pca-64", space, "kmeans", n_clusters=_TOLD)


_WAYS: Mapping[str, Callable[..., Any]] = {
    "UMAP-3 + DBSCAN knee": _original,
    "UMAP-10 + HDBSCAN(20)": _hdbscan_umap,
    "PCA + HDBSCAN(20)": _hdbscan,
    _TOLD_WAY: _kmeans,
}


def _space(vectors: Any) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import normalize

    return PCA(0.95, svd_solver="full").fit_transform(normalize(vectors))


def _umap(space: Any, seed: int, **options: Any) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP

        return UMAP(random_state=seed, **options).fit_transform(space)


def _labels(name: str, space: Any, algorithm: str, **params: Any) -> Any:
    from veriwild_clustering import Descriptor, sweep

    descriptor: Descriptor = Descriptor(name, np.asarray(space, dtype=np.float32))
    return sweep(descriptor, {algorithm: params}, progress=False)[0].labels
