"""Static maps: a 2-D or 3-D projection coloured by cluster, by a column of the image table, with outliers ringed."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.validation import check_int, check_rows
from veriwild_clustering.reporting.figures.marks import Marks, marks_for
from veriwild_clustering.reporting.figures.style import (
    INK,
    MISSING_COLOR,
    NOISE_COLOR,
    OUTLINE,
    THEME,
    cap_legend,
    halo,
    literal,
    named_color,
    palette,
    place_legend,
    wrap_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from veriwild_clustering.outliers.scores import OutlierScores

__all__ = ["axis_names", "check_projection", "outlier_mask", "plot_map", "stratified_rows"]

_MAX_LEGEND = 16
_MAX_COLORED_VALUES = 12
_MAX_RINGS = 1_000


def check_projection(projection: Descriptor, partition: Partition | None) -> None:
    """Raise unless `projection` has two or three features and as many rows as `partition`."""
    if projection.n_features not in (2, 3):
        raise ValueError(
            f"`projection` must have 2 or 3 features. Got {projection.name!r} with {projection.n_features} instead. "
            f"Project it first, for example with transform(descriptor, PCA(2))."
        )
    if partition is not None and len(partition) != len(projection):
        raise ValueError(
            f"`partition` must have one label per row of `projection`, {len(projection)}. Got {len(partition)} instead."
        )


def axis_names(projection: Descriptor) -> list[str]:
    """Return what the axes of a projection are called, with the share of variance where it is known."""
    transformer = projection.transformer
    transformer = transformer.steps[-1][1] if hasattr(transformer, "steps") else transformer
    kind = "axis" if transformer is None else type(transformer).__name__
    names = [f"{kind} {i + 1}" for i in range(projection.n_features)]
    shares = getattr(transformer, "explained_variance_ratio_", None)
    if shares is None or len(shares) != len(names):
        return names
    return [f"{name} ({share:.1%} of variance)" for name, share in zip(names, shares, strict=True)]


def stratified_rows(
    rows: NDArray[np.int64], strata: ArrayLike, *, max_rows: int, random_state: int
) -> NDArray[np.int64]:
    """Return at most about `max_rows` of `rows`, each stratum in proportion and none left out, in row order."""
    if len(rows) <= max_rows:
        return rows
    rng = np.random.default_rng(random_state)
    _, strata = np.unique(np.asarray(strata), return_inverse=True)
    shuffled = rng.permutation(len(rows))
    kept = []
    for stratum in range(int(strata.max()) + 1):
        members = shuffled[strata[shuffled] == stratum]
        kept.append(members[: max(1, round(len(members) * max_rows / len(rows)))])
    return rows[np.sort(np.concatenate(kept))]


def outlier_mask(outliers: OutlierScores | ArrayLike, n_images: int) -> NDArray[np.bool_]:
    """Return which images are outliers, from outlier scores or from a mask."""
    return check_rows("outliers", getattr(outliers, "is_outlier", outliers), n_images).astype(bool)


def plot_map(
    projection: Descriptor,
    partition: Partition | None = None,
    *,
    values: ArrayLike | None = None,
    outliers: OutlierScores | ArrayLike | None = None,
    max_points: int | None = None,
    random_state: int = 0,
    ax: Axes | None = None,
    title: str | None = None,
    legend: bool = True,
    number_clusters: bool = True,
    point_size: float | None = None,
    figsize: tuple[float, float] = (8.0, 6.0),
) -> tuple[Figure, Axes]:
    """Draw a projection: one dot per image, or where they are many one pixel for all images that fall on it.

    Parameters
    ----------
    projection : Descriptor
        Two or three features per image, such as `transform(descriptor, UMAP(n_components=2))`. Beyond 50,000 images in
        two dimensions nothing is sampled and nothing hidden: each pixel is the mean colour, or mean value, of all its
        images, and its opacity grows with the logarithm of their number.
    partition : Partition, optional
        Colours the points by cluster and writes the cluster numbers at the clusters' medians. Noise is light grey,
        under everything.
    values : array of shape (n_images,), optional
        Colours the points by these instead: a numeric column gets a colour bar, any other a legend of its most
        frequent values. Cluster numbers are still written.
    outliers : OutlierScores or array of shape (n_images,), bool, optional
        Images to ring in black; to dot in black if they are more than 1,000.
    max_points : int, optional
        Draw a sample of about this many points, each cluster in proportion. By default all.
    random_state : int, default=0
        Seed of the sample and of the drawing order.
    ax : matplotlib Axes, optional
        Where to draw; must be 3-D for three features. By default a new figure.
    title : str, optional
        By default what was drawn, with the number of images, clusters and noise.
    legend : bool, default=True
        Whether to draw the legend or colour bar.
    number_clusters : bool, default=True
        Whether to write the cluster numbers.
    point_size : float, optional
        Area of a point in square points; by default smaller the more points there are.
    figsize : tuple of float, default=(8, 6)
        Inches of a new figure.

    Returns
    -------
    fig : Figure
    ax : Axes

    Raises
    ------
    ValueError
        If `projection` does not have two or three features, or lengths differ.

    Notes
    -----
    O(n_images). Images without a usable vector have no place on the map.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, plot_map
    >>> flat = Descriptor("flat", np.random.default_rng(0).normal(size=(30, 2)))
    >>> fig, ax = plot_map(flat, Partition(np.repeat([0, 1, 2], 10), flat, "by hand"))
    >>> [text.get_text() for text in ax.texts]
    ['0', '1', '2']
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    check_projection(projection, partition)
    labels = np.zeros(len(projection), dtype=np.int32) if partition is None else partition.labels
    column = None if values is None else pd.Series(check_rows("values", values, len(projection)), name=_name_of(values))
    rows = np.flatnonzero(projection.valid)
    if max_points is not None:
        limit = check_int("max_points", max_points, low=1)
        rows = stratified_rows(rows, labels[rows], max_rows=limit, random_state=random_state)
    size = point_size or float(np.clip(9000 / max(1, len(rows)), 0.6, 22))

    with plt.rc_context(THEME):
        if ax is None:
            kwargs = {"projection": "3d"} if projection.n_features == 3 else {}
            _, ax = plt.subplots(figsize=figsize, layout="constrained", subplot_kw=kwargs)
        shuffled = np.random.default_rng(random_state).permutation(rows)
        marks = marks_for(ax, projection.vectors[rows], size=size)
        if column is not None:
            handles = _color_by_values(marks, projection, column, rows=shuffled, legend=legend)
        elif partition is not None:
            handles = _color_by_cluster(marks, projection, partition, rows=shuffled)
        else:
            handles = []
            marks.colored(projection.vectors[shuffled], _rgb(palette(1)), label="images", zorder=2)
        if outliers is not None:
            mask = outlier_mask(outliers, len(projection))
            marked = np.flatnonzero(mask & projection.valid)
            handles = [_mark_outliers(ax, projection.vectors[marked], size=size), *handles]
        if partition is not None and number_clusters:
            _number_clusters(ax, projection, partition, outlined=column is None)
        if legend and handles:
            named = f"{column.name or 'value'} · images" if column is not None else "cluster · images"
            place_legend(ax, handles, title=named)
        _finish_axes(ax, projection)
        drawn = _title(projection, partition, len(rows)) if title is None else title
        ax.set_title(wrap_title(ax.figure, drawn), loc="left")
    return ax.figure, ax  # type: ignore[return-value]


def _name_of(values: ArrayLike) -> str | None:
    return str(values.name) if isinstance(values, pd.Series) and values.name is not None else None


def _dot(color: str, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], marker="o", linestyle="none", markersize=6, color=color, label=label, markeredgewidth=0.4,
                  markeredgecolor=OUTLINE)  # fmt: skip


def _rgb(colors: Sequence[str]) -> NDArray[np.float64]:
    from matplotlib.colors import to_rgba_array

    return to_rgba_array(list(colors))[:, :3]


def _color_by_cluster(
    marks: Marks, projection: Descriptor, partition: Partition, *, rows: NDArray[np.int64]
) -> list[Any]:
    colors = palette(partition.n_clusters)
    labels = partition.labels[rows]
    noise, clustered = rows[labels == NOISE], rows[labels != NOISE]
    # One shuffled layer for all clusters: none hides another.
    marks.colored(projection.vectors[noise], _rgb([NOISE_COLOR]), label="noise", zorder=1)
    marks.colored(projection.vectors[clustered], _rgb(colors)[partition.labels[clustered]], label="clustered", zorder=2)
    handles = [
        _dot(colors[c], f"{literal(fill(partition.numbered_name(c), 28))} · {size:,}")
        for c, size in enumerate(partition.sizes)
    ]
    handles = cap_legend(handles, _MAX_LEGEND, what="clusters")
    if not partition.clustered.all():
        handles.append(_dot(NOISE_COLOR, f"noise · {np.sum(~partition.clustered):,}"))
    return handles


def _color_by_values(
    marks: Marks, projection: Descriptor, column: pd.Series, *, rows: NDArray[np.int64], legend: bool
) -> list[Any]:
    missing = column.isna().to_numpy()
    present, absent = rows[~missing[rows]], rows[missing[rows]]
    marks.colored(projection.vectors[absent], _rgb([MISSING_COLOR]), label="missing", zorder=1)
    handles = [_dot(MISSING_COLOR, f"missing · {missing.sum():,}")] if missing.any() else []
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        numbers = column.to_numpy(dtype=float, na_value=np.nan)
        limits = np.nanpercentile(numbers, [1, 99]) if len(present) else (0.0, 1.0)
        shown = marks.valued(projection.vectors[present], numbers[present], limits=tuple(limits), label="values")
        if legend:
            bar = marks.ax.figure.colorbar(shown, ax=marks.ax, shrink=0.8, pad=0.02, extend="both")
            bar.set_label(str(column.name or "value") + " (1st to 99th percentile)")
        return handles
    return _color_by_words(marks, projection, column, rows=present) + handles


def _color_by_words(marks: Marks, projection: Descriptor, column: pd.Series, *, rows: NDArray[np.int64]) -> list[Any]:
    """Colour the most frequent values, the rest like noise beneath them."""
    text = column.astype(str)
    counts = text[column.notna()].value_counts()
    top = list(counts.index[:_MAX_COLORED_VALUES])
    paints = [named_color(value) for value in top]
    colors = [color for color in paints if color] if all(paints) else palette(len(top))
    place = pd.Index(top).get_indexer(text.iloc[rows])
    marks.colored(projection.vectors[rows[place < 0]], _rgb([NOISE_COLOR]), label="other values", zorder=1)
    named = rows[place >= 0]
    marks.colored(projection.vectors[named], _rgb(colors)[place[place >= 0]], label="values", zorder=2, outlined=True)
    others = counts.iloc[_MAX_COLORED_VALUES:]
    rest = [_dot(NOISE_COLOR, f"{len(others):,} other values · {others.sum():,}")] if len(others) else []
    return [_dot(color, f"{value} · {counts[value]:,}") for value, color in zip(top, colors, strict=True)] + rest


def _mark_outliers(ax: Any, points: NDArray[np.float32], *, size: float) -> Any:
    from matplotlib.lines import Line2D

    if len(points) <= _MAX_RINGS:
        style: Any = {"facecolors": "none", "edgecolors": "black", "linewidths": 0.8, "s": max(2.2 * size, 14)}
        key: Any = {"markersize": 6, "markerfacecolor": "none", "markeredgecolor": "black", "markeredgewidth": 0.8}
    else:  # rings would hide the map
        style = {"color": "black", "linewidths": 0, "s": max(9000 / len(points), 0.8)}
        key = {"markersize": 3, "color": "black"}
    ax.scatter(*points.T, zorder=3, label="outliers", rasterized=True, **style)
    return Line2D([], [], marker="o", linestyle="none", label=f"outlier · {len(points):,}", **key)


def _number_clusters(ax: Any, projection: Descriptor, partition: Partition, *, outlined: bool) -> None:
    """Write the numbers, outlined in the clusters' colours where points have those colours."""
    colors = palette(partition.n_clusters) if outlined else ["white"] * partition.n_clusters
    for cluster in range(partition.n_clusters):
        rows = np.flatnonzero((partition.labels == cluster) & projection.valid)
        if len(rows):
            place = np.median(projection.vectors[rows], axis=0)
            ax.text(*place, str(cluster), ha="center", va="center", fontsize=9, fontweight="bold", color=INK,
                    path_effects=halo(colors[cluster]), zorder=5, clip_on=True)  # fmt: skip


def _finish_axes(ax: Any, projection: Descriptor) -> None:
    """Distances mean something, coordinates do not: equal aspect, no ticks."""
    names = axis_names(projection)
    ax.set(xlabel=names[0], ylabel=names[1], xticks=[], yticks=[])
    if projection.n_features == 3:
        ax.set(zlabel=names[2], zticks=[])
        extent = np.ptp(projection.vectors[projection.valid], axis=0)
        ax.set_box_aspect(np.maximum(extent, 1e-6 * extent.max() or 1.0), zoom=0.92)
        for axis, name in zip((ax.xaxis, ax.yaxis, ax.zaxis), names, strict=True):
            axis.labelpad = -10
            axis.set_label_text(name)
        return
    ax.set_aspect("equal", adjustable="datalim")


def _title(projection: Descriptor, partition: Partition | None, n_shown: int) -> str:
    n_images = len(projection)
    counted = f"{n_images:,} images" if n_shown == n_images else f"{n_shown:,} of {n_images:,} images"
    if partition is None:
        return f"{projection.name}: {counted}"
    facts = f"{counted}, {partition.n_clusters} clusters, {partition.noise_fraction:.1%} noise"
    return f"{partition.name}\n{facts}, drawn by {projection.name}"
