"""The look that all figures share: a colour-blind-safe palette, the grey of noise, the theme, capped legends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage

__all__ = [
    "INK",
    "MISSING_COLOR",
    "NOISE_COLOR",
    "OUTLINE",
    "THEME",
    "cap_legend",
    "halo",
    "heading",
    "literal",
    "named_color",
    "names_above",
    "palette",
    "place_legend",
    "wrap_title",
    "write_cells",
]

NOISE_COLOR = "#cfcfcf"
MISSING_COLOR = "#e6e6e6"
INK = "#1f2328"
OUTLINE = "#6e7781"

THEME: Any = {
    "axes.edgecolor": "#8c959f",
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.titlesize": 11,
    "font.size": 9,
    "grid.color": "#d8dee4",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": "#57606a",
    "xtick.labelsize": 8.5,
    "ytick.color": "#57606a",
    "ytick.labelsize": 8.5,
}

# Okabe and Ito's colours without black (the ink) and yellow (unreadable on white).
_FIRST = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")

# Machado et al. (2009), severity 1.0, on linear RGB: how a colour looks without the red or the green cones.
_PROTANOPIA = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
_DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))

# Ottosson's OKLab: linear RGB -> cone responses -> (lightness, green-red, blue-yellow).
_TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def _oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return OKLab coordinates of linear RGB rows: Euclidean distance there follows perceived difference."""
    return np.asarray(np.cbrt(np.clip(rgb @ np.transpose(_TO_CONES), 0, None)) @ np.transpose(_TO_LAB))


def _perceived(colors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sRGB rows in [0, 1] as seen with all cones, without red, without green: shape (3, n, 3)."""
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    seen = [linear] + [np.clip(linear @ np.transpose(matrix), 0, 1) for matrix in (_PROTANOPIA, _DEUTERANOPIA)]
    return np.stack([_oklab(view) for view in seen])


def _separation(seen: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each candidate is from one colour for the viewer who tells them apart worst, shape (n,)."""
    return np.asarray(np.linalg.norm(seen - other[:, None], axis=2).min(axis=0))


@lru_cache
def _ordered_colors(n_colors: int) -> tuple[str, ...]:
    from matplotlib.colors import to_hex, to_rgb

    levels = np.linspace(0, 1, 16)
    candidates = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    lightness, a, b = _perceived(candidates)[0].T
    # Not so dark that hue is lost, not so light that white swallows it, not so grey that it looks like noise.
    candidates = candidates[(lightness > 0.36) & (lightness < 0.83) & (np.hypot(a, b) > 0.07)]
    seen = _perceived(candidates)
    taken = np.array([to_rgb(color) for color in (*_FIRST, NOISE_COLOR, "white")])
    distance = np.min([_separation(seen, other) for other in _perceived(taken).transpose(1, 0, 2)], axis=0)
    colors = list(_FIRST)
    while len(colors) < n_colors:
        best = int(distance.argmax())
        colors.append(to_hex(candidates[best]))
        distance = np.minimum(distance, _separation(seen, seen[:, best]))
    return tuple(colors)


def palette(n_colors: int) -> list[str]:
    """Return colours that stay apart for normal and for colour-blind eyes.

    Parameters
    ----------
    n_colors : int
        How many; the first six are Okabe and Ito's, the rest are added one by one, each as far as possible from
        all before it, from white and from the grey of noise, for the viewer who tells them apart worst.

    Returns
    -------
    list of str
        Hexadecimal colours. `palette(k)` begins with `palette(j)` for j < k.

    Notes
    -----
    O(n_colors) with a few thousand candidates, remembered. Beyond some 20 colours no palette can be told apart by
    hue alone: figures label clusters with their numbers as well.

    References
    ----------
    Machado, Oliveira and Fernandes (2009), "A physiologically-based model for simulation of color vision
    deficiency", doi:10.1109/TVCG.2009.113. Distances: Ottosson's OKLab (2020).

    Examples
    --------
    >>> from veriwild_clustering.reporting.figures.style import palette
    >>> palette(2)
    ['#0072b2', '#e69f00']
    """
    n_colors = check_int("n_colors", n_colors, low=0)
    return list(_ordered_colors(max(n_colors, len(_FIRST)))[:n_colors])


# Paint should look like itself: a value that names a colour is drawn in it.
_PAINTS = {
    "white": "#f4f1e6", "grey": "#8a8d91", "gray": "#8a8d91", "silver": "#b9c0c7", "black": "#111111", "red": "#c8232c",
    "green": "#2e8b57", "blue": "#1f5fbf", "yellow": "#f2c200", "orange": "#ee7f00", "brown": "#7a4a21",
    "pink": "#f29ac0", "purple": "#7a3fa0", "gold": "#c9a227", "champagne": "#dcc9a3", "beige": "#d9c7a0",
}  # fmt: skip


def named_color(value: Any) -> str | None:
    """Return the colour that `value` names ("white", "Red"), or None if it names none."""
    return _PAINTS.get(str(value).strip().lower())


def halo(color: str = "white") -> list[Any]:
    """Return the white outline that keeps text legible over points, itself outlined in `color`."""
    from matplotlib import patheffects

    return [
        patheffects.withStroke(linewidth=5, foreground=color),
        patheffects.withStroke(linewidth=3, foreground="white"),
    ]


def cap_legend(handles: list[Any], n_max: int, *, what: str) -> list[Any]:
    """Return at most `n_max` legend handles, the last of which says how many more there are."""
    from matplotlib.lines import Line2D

    if len(handles) <= n_max:
        return handles
    hidden = len(handles) - (n_max - 1)
    return [*handles[: n_max - 1], Line2D([], [], linestyle="none", label=f"+ {hidden} more {what}")]


def place_legend(ax: Axes, handles: list[Any], *, title: str | None = None) -> None:
    """Put the legend to the right of the axes, where it covers no data."""
    legend = ax.legend(
        handles=handles, title=title, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0,
        alignment="left", labelspacing=0.35, handletextpad=0.5,
    )  # fmt: skip
    legend.get_title().set_fontweight("bold")


def heading(fig: Figure, text: str) -> None:
    """Write the title at the left edge of the figure, where the names of a chart's lines begin."""
    fig.suptitle(wrap_title(fig, text), x=0.01, ha="left")


def wrap_title(fig: Figure | SubFigure, text: str) -> str:
    """Return the lines of a title broken so that they fit the width of the figure."""
    width = max(30, int(fig.bbox.width / fig.dpi * 13))
    return literal("\n".join(fill(line, width) for line in text.splitlines()))


def literal(text: str) -> str:
    """Return text in which matplotlib takes no dollar signs for the bounds of a formula."""
    return text.replace("$", r"\$")


def names_above(ax: Axes, names: Sequence[str] | pd.Index, *, rotation: float = 35) -> None:
    """Name the columns of a heat map above it and take its frame and tick marks away."""
    ax.set_xticks(range(len(names)), [literal(fill(str(name), 24)) for name in names], rotation=rotation,
                  ha="left" if rotation else "center", rotation_mode="anchor")  # fmt: skip
    ax.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)


def write_cells(ax: Axes, image: AxesImage, texts: Sequence[Sequence[str]]) -> None:
    """Write a text into each cell of a heat map that has a number, in the ink that its background bears."""
    numbers: NDArray[np.float64] = np.ma.filled(np.ma.asarray(image.get_array()), np.nan)
    brightness = image.to_rgba(numbers)[..., :3] @ np.array([0.299, 0.587, 0.114])
    for i, j in np.argwhere(np.isfinite(numbers)):
        color = "white" if brightness[i, j] < 0.55 else INK
        ax.text(j, i, texts[i][j], ha="center", va="center", fontsize=7.5, color=color)
