"""How time and memory of each family grow with the number of images, on a space of 64 features.

Each measurement is a sweep of one setting in a process of its own, the vectors in memory; a fit of a few rows comes
before it, so that neither imports nor compiling count. A slope is the exponent p of "cost ~ n ** p": between the two
greatest numbers of images, where an algorithm that is exact on few images and approximate on many shows what it costs
on many, and over all numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench, Measured
from benchmarks.simulation import simulated_space

SIZES = {"tiny": 600, "small": 5_000, "medium": 50_000, "full": 416_314}
_STEPS = {
    "tiny": (300, 600),
    "small": (1_000, 2_000, 5_000),
    "medium": (5_000, 10_000, 20_000, 50_000),
    "full": (10_000, 50_000, 100_000, 200_000, 416_314),
}
_N_FEATURES = 64
_GRIDS: Mapping[str, Mapping[str, Any]] = {
    "kmeans": {"n_clusters": 10},
    "minibatch_kmeans": {"n_clusters": 10},
    "gaussian_mixture": {"n_clusters": 10},
    "agglomerative": {"n_clusters": 10, "linkage": "ward"},
    "hdbscan": {"min_cluster_size": 50, "min_samples": 10},
    "dbscan": {"eps": "knee", "min_samples": 10},
}

Curves = dict[str, dict[int, Measured]]


def run(bench: Bench) -> None:
    curves: Curves = {family: {} for family in _GRIDS}
    for n_images in _STEPS[bench.size]:
        vectors = simulated_space(n_images, _N_FEATURES).vectors
        for family, setting in _GRIDS.items():
            with bench.independent():
                measured = bench.measure(_fit, vectors, family, setting=setting, prepare=partial(_warm_up, family))
                curves[family][n_images] = measured
                bench.compare(
                    family,
                    measured,
                    n_images=n_images,
                    n_features=_N_FEATURES,
                    memory_of_vectors=vectors.nbytes,
                    approximation=measured.value,
                )
    for family, points in curves.items():
        if len(points) > 1:
            _print_slopes(bench, family, points)
    if "figure" in bench.options:
        _draw(curves, bench.options["figure"])


def _warm_up(family: str) -> None:
    _fit(simulated_space(300, _N_FEATURES).vectors, family, _GRIDS[family])


def _fit(vectors: NDArray[np.float32], family: str, setting: Mapping[str, Any]) -> str | None:
    """Fit one setting and return how the partition is approximate."""
    import veriwild_clustering as vc

    (partition,) = vc.sweep(vc.Descriptor("space", vectors), {family: setting}, random_state=0)
    return partition.params.get("approximation")


def _print_slopes(bench: Bench, family: str, points: Mapping[int, Measured]) -> None:
    rows = {what: [getattr(point, key) for point in points.values()] for what, key in _QUANTITIES.items()}
    for what, costs in rows.items():
        bench.figure(
            f"{family}, slope of {what} at the top",
            ours=_slope(list(points)[-2:], costs[-2:]),
            unit="",
            n_features=_N_FEATURES,
            over_all=_slope(list(points), costs),
            n_images=max(points),
        )


_QUANTITIES = {"time": "seconds", "memory": "peak_memory"}


def _slope(sizes: Sequence[int], costs: Sequence[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def _draw(curves: Curves, path: str) -> None:
    """Draw time and memory over the number of images, all axes logarithmic."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from veriwild_clustering.reporting.figures.style import OUTLINE, THEME, palette

    sizes = np.array(sorted({size for points in curves.values() for size in points}))
    panels = {"Time of one fit, s": ("seconds", 1), "Peak memory of the process, GiB": ("peak_memory", 2**30)}
    with mpl.rc_context(THEME):
        figure = Figure(figsize=(10, 4), layout="constrained")
        axes = figure.subplots(1, 2)
        for axis, (title, (attribute, unit)) in zip(axes, panels.items(), strict=True):
            for (family, points), color in zip(curves.items(), palette(len(curves)), strict=True):
                costs = [getattr(point, attribute) / unit for point in points.values()]
                axis.plot(list(points), costs, "o-", color=color, markersize=4, label=family.replace("_", " "))
            axis.set(xscale="log", yscale="log", title=title, xlabel="images")
            axis.set_xticks(sizes, labels=[f"{size / 1000:,.3g}k" for size in sizes])
            axis.minorticks_off()
            axis.yaxis.set_major_formatter("{x:g}")
            axis.grid(visible=True)
        cost = sizes * np.log(sizes)
        axes[0].plot(sizes, cost / cost[0] * axes[0].get_ylim()[0], "--", color=OUTLINE, linewidth=1, label="n log n")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
        figure.savefig(path, dpi=150)
