"""Charts of numbers: scores along the number of clusters, the eps knee, profiles of clusters, outlier scores."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.validation import check_known_names
from veriwild_clustering.reporting.figures.style import INK, THEME, halo, heading, names_above, palette, write_cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from veriwild_clustering.evaluation.leaderboard import Leaderboard
    from veriwild_clustering.outliers.scores import OutlierScores

__all__ = ["plot_knee", "plot_outliers", "plot_profile", "plot_scores"]

_METRICS = {
    "calinski_harabasz": "Calinski–Harabasz\n(higher is better)",
    "davies_bouldin": "Davies–Bouldin\n(lower is better)",
    "silhouette": "silhouette\n(higher is better)",
}


def plot_scores(
    board: Leaderboard,
    *,
    chosen: Partition | None = None,
    descriptors: Sequence[str] | None = None,
    metrics: Sequence[str] = tuple(_METRICS),
    title: str | None = None,
) -> tuple[Figure, NDArray[Any]]:
    """Draw scores against the number of clusters, a row of panels per descriptor and a column per score.

    Parameters
    ----------
    board : Leaderboard
        The partitions with their scores.
    chosen : Partition, optional
        The partition to mark; one of the board's.
    descriptors : sequence of str, optional
        Which descriptors to draw; by default all of the board.
    metrics : sequence of str, optional
        Numeric columns of the leaderboard; by default Calinski–Harabasz, Davies–Bouldin and silhouette.
    title : str, optional
        By default the number of partitions and images.

    Returns
    -------
    fig : Figure
    axes : array of Axes, shape (n_descriptors, n_metrics)

    Raises
    ------
    ValueError
        If a descriptor or metric is not on the leaderboard.

    Notes
    -----
    Scores of different descriptors live in different spaces, so no two rows of panels share their scale. Hollow
    markers are partitions with noise, the smaller the more images they leave out: their scores are computed without
    the images that were hardest to place and do not compare with the others.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, leaderboard, plot_scores, sweep
    >>> space = Descriptor("toy", np.random.default_rng(0).normal(size=(60, 2)))
    >>> board = leaderboard(sweep(space, {"kmeans": {"n_clusters": [2, 3, 4]}}))
    >>> fig, axes = plot_scores(board)
    >>> axes.shape
    (1, 3)
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    table = board.table.reset_index(drop=True)
    names = list(dict.fromkeys(table["descriptor"])) if descriptors is None else list(descriptors)
    check_known_names("descriptor", names, set(table["descriptor"]))
    check_known_names("metric", metrics, [c for c in table.columns if pd.api.types.is_numeric_dtype(table[c])])
    series = [_series_name(partition) for partition in board.partitions]
    colors = dict(zip(dict.fromkeys(series), palette(len(set(series))), strict=True))
    mark = next((i for i, partition in enumerate(board.partitions) if partition is chosen), None)

    with plt.rc_context(THEME):
        size = (3.3 * len(metrics) + 1.6, 2.1 * len(names) + 0.7)
        fig, axes = plt.subplots(
            len(names), len(metrics), figsize=size, squeeze=False, sharex="col", layout="constrained"
        )
        for line, name in zip(axes, names, strict=True):
            for ax, metric in zip(line, metrics, strict=True):
                part = table.assign(series=series)[table["descriptor"] == name]
                _draw_series(ax, part, metric, colors=colors)
                if mark is not None and mark in part.index:
                    _mark_chosen(ax, part.loc[[mark]], metric)
                ax.grid(axis="y")
            line[0].set_ylabel(fill(name, 24), fontweight="bold")
        for ax, metric in zip(axes[0], metrics, strict=True):
            ax.set_title(_METRICS.get(metric, metric.replace("_", " ")))
        for ax in axes[-1]:
            ax.set_xlabel("number of clusters")
            ax.xaxis.get_major_locator().set_params(integer=True)
        fig.legend(handles=_series_legend(colors, table, marked=mark is not None), loc="outside right upper")
        n_images = len(board.partitions[0]) if board.partitions else 0
        heading(fig, f"Scores of {len(table):,} partitions of {n_images:,} images" if title is None else title)
    return fig, axes


def _series_name(partition: Partition) -> str:
    """Return what one line of the chart stands for: the algorithm and its parameters of kind, not of degree."""
    kinds = [str(value) for value in partition.params.values() if isinstance(value, str)]
    return " ".join([partition.algorithm, *(kind for kind in kinds if len(kind) < 20)])


def _draw_series(ax: Axes, part: pd.DataFrame, metric: str, *, colors: dict[str, str]) -> None:
    for name, rows in part.sort_values("n_clusters").groupby("series", sort=False):
        color = colors[str(name)]
        full = rows[rows["noise_fraction"] == 0]
        ax.plot(
            full["n_clusters"], full[metric], color=color, marker="o", markersize=3.2, linewidth=1.3, label=str(name)
        )
        noisy = rows[rows["noise_fraction"] > 0]
        area = 8 + 42 * (1 - noisy["noise_fraction"])
        ax.scatter(noisy["n_clusters"], noisy[metric], s=area, facecolors="none", edgecolors=color, linewidths=1.2,
                   label=f"{name} (with noise)")  # fmt: skip


def _mark_chosen(ax: Axes, row: pd.DataFrame, metric: str) -> None:
    ax.plot(row["n_clusters"], row[metric], marker="*", markersize=14, color="black", markeredgecolor="white",
            linestyle="none", zorder=4, label="chosen")  # fmt: skip


def _series_legend(colors: dict[str, str], table: pd.DataFrame, *, marked: bool) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=color, marker="o", markersize=3.2, label=name) for name, color in colors.items()]
    hollow: dict[str, Any] = {"marker": "o", "linestyle": "none", "markerfacecolor": "none", "markeredgecolor": INK}
    noise = table["noise_fraction"].max()
    if noise > 0:
        handles.append(
            Line2D([], [], markersize=5, label=f"with noise (up to {noise:.0%});\nsmaller: more noise", **hollow)
        )
    if marked:
        handles.append(Line2D([], [], marker="*", markersize=11, color="black", linestyle="none", label="chosen"))
    return handles


def plot_knee(distances: ArrayLike, eps: float, *, title: str | None = None) -> tuple[Figure, Axes]:
    """Draw sorted distances to the k-th neighbour with the eps read from their knee.

    Parameters
    ----------
    distances : array of shape (n_valid,)
        Distance of each image to its k-th neighbour, as `neighbor_distances` returns them.
    eps : float
        The distance at the knee.
    title : str, optional
        By default the number of images.

    Returns
    -------
    fig : Figure
    ax : Axes

    Examples
    --------
    >>> from veriwild_clustering import plot_knee
    >>> fig, ax = plot_knee([0.1, 0.2, 0.3, 2.0], 0.3)
    >>> ax.get_title(loc="left")
    'Distance to the k-th neighbour of 4 images'
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    ordered = np.sort(np.asarray(distances, dtype=float))
    within = int(np.searchsorted(ordered, eps, side="right"))
    with plt.rc_context(THEME):
        fig, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
        ax.plot(np.arange(1, len(ordered) + 1), ordered, color=palette(1)[0], linewidth=1.8)
        ax.axhline(eps, color=palette(4)[3], linewidth=1, linestyle="--")
        ax.plot(within, eps, marker="o", color=palette(4)[3], linestyle="none")
        share = within / max(1, len(ordered))
        ax.annotate(f"eps = {eps:.3g}: {share:.1%} of images have\ntheir k-th neighbour within it", (within, eps),
                    xytext=(-12, 8), textcoords="offset points", ha="right", path_effects=halo())  # fmt: skip
        ax.set(xlabel="images, sorted by distance", ylabel="distance to the k-th neighbour", ylim=(0, None))
        ax.grid(axis="y")
        ax.set_title(f"Distance to the k-th neighbour of {len(ordered):,} images" if title is None else title)
    return fig, ax


def plot_profile(
    profile: pd.DataFrame, *, column: str | None = None, max_values: int = 14, title: str | None = None
) -> tuple[Figure, Axes]:
    """Draw what the clusters hold: the share of each value of one column per cluster, with its lift.

    Parameters
    ----------
    profile : DataFrame
        As `profile` returns it: cluster, column, value, share, lift, one row each.
    column : str, optional
        Which column of the image table; by default the first of the profile.
    max_values : int, default=14
        The most frequent values are drawn, this many.
    title : str, optional
        By default the column and what colour and numbers mean.

    Returns
    -------
    fig : Figure
    ax : Axes

    Raises
    ------
    ValueError
        If the profile is empty or does not hold the column.

    Examples
    --------
    >>> import pandas as pd
    >>> from veriwild_clustering import plot_profile
    >>> table = pd.DataFrame({"cluster": [0, 1], "column": "type", "value": ["bus", "car"], "count": [9, 6],
    ...                       "share": [0.9, 0.6], "overall_share": [0.5, 0.5], "lift": [1.8, 1.2]})
    >>> fig, ax = plot_profile(table)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['bus', 'car']
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    columns = list(dict.fromkeys(profile["column"]))
    if not columns:
        raise ValueError("`profile` must hold at least one column of the image table. Got an empty table instead.")
    column = columns[0] if column is None else column
    check_known_names("column", [column], columns)
    part = profile[profile["column"] == column].assign(value=lambda t: t["value"].astype(str))
    order = part.groupby("value")["count"].sum().sort_values(ascending=False, kind="stable").index
    shown = order[:max_values]
    share, lift = (part.pivot_table(index="cluster", columns="value", values=what)[shown] for what in ("share", "lift"))
    numbers = share.to_numpy(dtype=float)
    texts = [
        [f"{s:.0%}\n×{t:.1f}" for s, t in zip(*line, strict=True)]
        for line in zip(numbers, lift.to_numpy(), strict=True)
    ]

    with plt.rc_context(THEME):
        size = (2.2 + 0.62 * share.shape[1], 1.4 + 0.38 * share.shape[0])
        fig, ax = plt.subplots(figsize=(max(size[0], 5.0), size[1]), layout="constrained")
        image = ax.imshow(numbers, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        write_cells(ax, image, texts)
        names_above(ax, share.columns)
        ax.set_yticks(range(len(share)), ["noise" if cluster == NOISE else str(cluster) for cluster in share.index])
        ax.set_ylabel("cluster")
        fig.colorbar(image, ax=ax, pad=0.02, aspect=30, label="share of the cluster's images", format="{x:.0%}")
        hidden = len(order) - len(shown)
        more = f"; {hidden:,} rarer values not shown" if hidden else ""
        heading(fig, f"{column}: share in each cluster, × lift over all images{more}" if title is None else title)
    return fig, ax


def plot_outliers(outliers: OutlierScores, *, title: str | None = None) -> tuple[Figure, Axes]:
    """Draw the distribution of outlier scores, the threshold beyond which an image is an outlier, and how sure that is.

    Parameters
    ----------
    outliers : OutlierScores
        One score per image, higher is more abnormal.
    title : str, optional
        By default the detector and how many images are outliers.

    Returns
    -------
    fig : Figure
    ax : Axes

    Notes
    -----
    The count axis is logarithmic: outliers are few. The band is the 95 % interval of the threshold over bootstrap
    samples of the images.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import OutlierScores, plot_outliers
    >>> evidence = np.append(np.linspace(0.1, 1, 99), 8)
    >>> fig, ax = plot_outliers(OutlierScores(pd.DataFrame({"osnet: KNN": evidence})))
    >>> print(ax.get_title(loc="left"))
    KNN: 1 of 100 images (1.0%) flagged, threshold 1.54
    95 % interval of the threshold 1.29–1.85: 1 to 1 images
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    scores = np.asarray(outliers.scores, dtype=float)
    finite = np.isfinite(scores)
    edges = np.histogram_bin_edges(scores[finite], bins=50) if finite.any() else np.linspace(0, 1, 2)
    with plt.rc_context(THEME):
        fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
        flags = np.asarray(outliers.is_outlier, dtype=bool)
        for mask, color, name in ((~flags, palette(1)[0], "inlier"), (flags, palette(4)[3], "outlier")):
            ax.hist(scores[finite & mask], bins=list(edges), color=color, label=f"{name} · {mask.sum():,}")
        (low, high), (fewest, most) = outliers.threshold_interval, outliers.n_outliers_interval
        across = ax.get_xaxis_transform()
        ax.fill_betweenx(
            [0, 1], low, high, transform=across, color=INK, alpha=0.12, linewidth=0, label="threshold, 95 % interval"
        )
        ax.axvline(outliers.threshold, color=INK, linestyle="--", linewidth=1)
        ax.set(xlabel="outlier score", ylabel="images (log scale)", yscale="log")
        ax.legend(loc="upper right")
        n_outliers = int(flags.sum())
        share = n_outliers / max(1, len(scores))
        facts = f"{n_outliers:,} of {len(scores):,} images ({share:.1%}) flagged, threshold {outliers.threshold:.3g}"
        sure = f"95 % interval of the threshold {low:.3g}–{high:.3g}: {fewest:,} to {most:,} images"
        ax.set_title(f"{outliers.detector}: {facts}\n{sure}" if title is None else title)
    return fig, ax
