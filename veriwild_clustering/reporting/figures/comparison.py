"""Comparisons of partitions with each other and with known classes: how far they agree, and what lies where."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.validation import check_int, check_real, check_rows
from veriwild_clustering.evaluation.criteria.matching import confusion_table
from veriwild_clustering.reporting.figures.style import (
    INK,
    NOISE_COLOR,
    THEME,
    heading,
    literal,
    names_above,
    palette,
    write_cells,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch

__all__ = ["OTHERS", "flows", "plot_agreement", "plot_confusion", "plot_flow"]

OTHERS = -2
_BAR = 0.035
_MAX_WRITTEN = 20


def plot_agreement(matrix: pd.DataFrame, *, metric: str = "ARI", title: str | None = None) -> tuple[Figure, Axes]:
    """Draw how far partitions agree, as a heat map.

    Parameters
    ----------
    matrix : DataFrame
        As `agreement` returns it (square), or any other table of scores, such as that of `cross_space_scores`.
    metric : str, default="ARI"
        What the numbers are.
    title : str, optional
        By default the metric and the number of partitions.

    Returns
    -------
    fig : Figure
    ax : Axes

    Examples
    --------
    >>> import pandas as pd
    >>> from veriwild_clustering import plot_agreement
    >>> fig, ax = plot_agreement(pd.DataFrame([[1, 0.4], [0.4, 1]], index=["a", "b"], columns=["a", "b"]))
    >>> [text.get_text() for text in ax.texts]
    ['1.00', '0.40', '0.40', '1.00']
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    numbers = matrix.to_numpy(dtype=float)
    n_rows, n_columns = numbers.shape
    square = list(matrix.index) == list(matrix.columns)
    names = [fill(str(name), 40) for name in matrix.index]
    written = max(n_rows, n_columns) <= _MAX_WRITTEN
    with plt.rc_context(THEME):
        width, height = (0.5, 0.42) if written else (0.2, 0.2)
        fig, ax = plt.subplots(figsize=(4.8 + width * n_columns, 1.2 + height * n_rows), layout="constrained")
        limits = np.nanmin(numbers, initial=0.0), np.nanmax(numbers, initial=1e-9)
        image = ax.imshow(numbers, cmap="cividis", vmin=limits[0], vmax=limits[1], aspect="auto")
        if square:  # long names once, at the left, and above the columns their numbers alone
            names = [f"{name}  {i + 1}" for i, name in enumerate(names)]
            names_above(ax, [str(i + 1) for i in range(n_columns)], rotation=0)
        else:
            names_above(ax, matrix.columns)
        ax.set_yticks(range(n_rows), names)
        if written:
            write_cells(ax, image, [[f"{value:.2f}" for value in line] for line in numbers])
        fig.colorbar(image, ax=ax, pad=0.02, aspect=30, label=metric)
        heading(fig, f"Agreement of {n_rows} partitions ({metric})" if title is None else title)
    return fig, ax


def plot_confusion(partition: Partition, truth: ArrayLike, *, title: str | None = None) -> tuple[Figure, Axes]:
    """Draw which share of each known class lies in which cluster, matched pairs on the diagonal.

    Parameters
    ----------
    partition : Partition
        The clusters.
    truth : array of shape (n_images,)
        The class of each image. Images without one (NaN, None or "") are left out.
    title : str, optional
        By default the number of images with a class and the share that lies on the diagonal.

    Returns
    -------
    fig : Figure
    ax : Axes

    Raises
    ------
    ValueError
        If `truth` does not have one entry per image, or no image has a class.

    See Also
    --------
    confusion_table : The counts.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, plot_confusion
    >>> partition = Partition([0, 0, 0, 1], Descriptor("toy", np.eye(4)), "by hand", cluster_names=["cars", "buses"])
    >>> fig, ax = plot_confusion(partition, ["car", "car", "bus", "bus"])
    >>> [text.get_text() for text in ax.texts], [label.get_text() for label in ax.get_yticklabels()]
    (['50 %', '50 %', '', '100 %'], ['bus · 2', 'car · 2'])
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    counts = confusion_table(partition, truth)
    if counts.empty:
        raise ValueError("`truth` must hold a class for at least one image.")
    sizes, numbers = counts.sum(axis=1), counts.to_numpy()
    shares = numbers / sizes.to_numpy()[:, None]
    n_rows, n_columns = shares.shape
    matched = int(np.trace(np.where(counts.columns.to_numpy() == NOISE, 0, numbers)))
    with plt.rc_context(THEME):
        fig, ax = plt.subplots(figsize=(3.6 + 0.55 * n_columns, 1.6 + 0.36 * n_rows), layout="constrained")
        image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        names_above(ax, [fill(partition.cluster_name(int(cluster)), 24) for cluster in counts.columns])
        ax.set_yticks(range(n_rows), [f"{literal(fill(str(name), 24))} · {size:,}" for name, size in sizes.items()])
        ax.set(ylabel="known class · images")
        if max(n_rows, n_columns) <= _MAX_WRITTEN:
            write_cells(
                ax,
                image,
                [[f"{share:.0%}".replace("%", " %") if share >= 0.005 else "" for share in line] for line in shares],
            )
        fig.colorbar(
            image, ax=ax, pad=0.02, aspect=30, label="share of the class", format=lambda share, _: f"{share:.0%}"
        )
        default = f"{matched / sizes.sum():.1%} of {sizes.sum():,} images lie in the cluster that matches their class"
        heading(fig, default if title is None else title)
    return fig, ax


def plot_flow(
    left: Partition,
    right: Partition,
    *,
    min_share: float = 0.004,
    max_clusters: int = 20,
    label: Callable[[int, int], str] | None = None,
    title: str | None = None,
    figsize: tuple[float, float] | None = None,
) -> tuple[Figure, Axes]:
    """Draw how the images of one partition's clusters are spread over another's, as ribbons between two columns.

    Parameters
    ----------
    left, right : Partition
        Two partitions of the same images.
    min_share : float, default=0.004
        Ribbons that hold less than this share of all images are left out; the title says how many images they hold.
    max_clusters : int, default=20
        Clusters beyond this many on one side, the smallest, are drawn as one, "others".
    label : callable, optional
        Text beside a bar, from its cluster (−1 is noise, −2 the smallest clusters as one) and its number of images.
    title : str, optional
        By default the number of images and what was left out.
    figsize : tuple of float, optional
        Inches; by default higher with more clusters.

    Returns
    -------
    fig : Figure
    ax : Axes

    Raises
    ------
    ValueError
        If the partitions do not have the same number of labels.

    Notes
    -----
    O(n_images). Clusters on the right are ordered so that few ribbons cross. Ribbons bear the colour of the left
    cluster; noise is grey and at the bottom.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, plot_flow
    >>> space = Descriptor("toy", np.zeros((4, 1)))
    >>> fig, ax = plot_flow(Partition([0, 0, 1, 1], space, "a"), Partition([0, 0, 0, 1], space, "b"))
    >>> len(ax.patches)  # two bars on each side and three ribbons
    7
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    check_rows("right.labels", right.labels, len(left))
    min_share = check_real("min_share", min_share, low=0, high=1)
    shared = flows(left, right, check_int("max_clusters", max_clusters, low=1))
    counts = shared.to_numpy()
    drawn = counts >= max(min_share * counts.sum(), 1)
    sizes = counts.sum(axis=1), counts.sum(axis=0)
    tops = _stack(sizes[0]), _stack(sizes[1])
    colors = palette(left.n_clusters)
    names: tuple[list[Any], list[Any]] = shared.index.tolist(), shared.columns.tolist()
    shades = [colors[name] if name >= 0 else NOISE_COLOR for name in names[0]]

    with plt.rc_context(THEME):
        height = max(3.4, 1.2 + 0.27 * max(shared.shape))
        fig, ax = plt.subplots(figsize=figsize or (8.0, height), layout="constrained")
        starts = tops[0][:, None] + np.cumsum(counts, axis=1) - counts
        ends = tops[1][None, :] + np.cumsum(counts, axis=0) - counts
        for i, j in np.argwhere(drawn):
            ax.add_patch(_ribbon(starts[i, j], ends[i, j], counts[i, j], color=shades[i]))
        greys = ["#57606a" if name >= 0 else NOISE_COLOR for name in names[1]]
        for i, fills in enumerate((shades, greys)):
            written = label or partial(_label, (left, right)[i])
            texts = [written(int(c), int(n)) for c, n in zip(names[i], sizes[i], strict=True)]
            _draw_bars(ax, texts, tops[i], sizes[i], colors=fills, on_left=i == 0)
        bottom = max(tops[side][-1] + sizes[side][-1] for side in (0, 1))
        ax.set(xlim=(-0.2, 1.2), ylim=(1.01 * bottom, -0.02 * bottom))
        ax.axis("off")
        for x, partition, side in ((-0.2, left, "left"), (1.2, right, "right")):
            ax.text(x, 1.0, literal(fill(partition.name, 44)), ha=side, va="bottom", fontweight="bold",
                    transform=ax.get_xaxis_transform())  # fmt: skip
        omitted = int(counts[~drawn].sum())
        lost = f"; ribbons below {min_share:.1%} of them not drawn ({omitted:,} images)" if omitted else ""
        heading(fig, f"Flow of {len(left):,} images{lost}" if title is None else title)
    return fig, ax


def _rank(cluster: Any) -> int:
    """Clusters first, then the merged small ones, then noise."""
    return {OTHERS: 1, NOISE: 2}.get(cluster, 0)


def flows(left: Partition, right: Partition, max_clusters: int) -> pd.DataFrame:
    """Return image counts, left clusters x right clusters, the right ones in an order in which few ribbons cross."""
    sides = [pd.Series(np.where(p.labels < max_clusters, p.labels, OTHERS)) for p in (left, right)]
    counts = pd.crosstab(sides[0], sides[1])
    counts = counts.loc[sorted(counts.index, key=lambda c: (_rank(c), c))]
    center = (counts.mul(np.arange(len(counts)), axis=0).sum() / counts.sum()).to_dict()
    return counts[sorted(counts.columns, key=lambda c: (_rank(c), center[c]))]


def _stack(sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the top of each bar of a column; all gaps together are half as high as the bars."""
    gap = 0.5 * sizes.sum() / max(1, len(sizes) - 1)
    return np.asarray(np.concatenate([[0.0], np.cumsum(sizes[:-1] + gap)]))


def _ribbon(start: float, end: float, width: float, *, color: str) -> PathPatch:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    x0, x1 = _BAR, 1 - _BAR
    corners = [
        (x0, start), (0.5, start), (0.5, end), (x1, end),
        (x1, end + width), (0.5, end + width), (0.5, start + width), (x0, start + width), (x0, start),
    ]  # fmt: skip
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    return PathPatch(Path(corners, codes), facecolor=color, alpha=0.5, linewidth=0)


def _label(partition: Partition, cluster: int, size: int) -> str:
    unnamed = {NOISE: "noise", OTHERS: "others"}.get(cluster, str(cluster))
    name = unnamed if cluster < 0 else partition.own_name(cluster) or unnamed
    return f"{literal(fill(name, 28))} · {size:,}"


def _draw_bars(
    ax: Axes,
    texts: list[str],
    tops: NDArray[np.float64],
    sizes: NDArray[np.int64],
    *,
    colors: list[str],
    on_left: bool,
) -> None:
    from matplotlib.patches import Rectangle

    x, x_text, side = (0.0, -0.012, "right") if on_left else (1 - _BAR, 1.012, "left")
    for text, top, size, color in zip(texts, tops, sizes, colors, strict=True):
        ax.add_patch(Rectangle((x, top), _BAR, size, facecolor=color, linewidth=0))
        ax.text(x_text, top + size / 2, text, ha=side, va="center", color=INK)
