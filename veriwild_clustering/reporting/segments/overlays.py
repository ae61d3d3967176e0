"""Segments drawn over an image: their borders, or each in its mean colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.images.reading import rgb_pixels
from veriwild_clustering.reporting.figures.style import THEME, literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["overlay", "plot_segments"]

_LEAST_SIDE = 240  # pixels of the shorter side: below it borders would hide the image
_LINE, _SHADOW = (255, 255, 255), (0, 0, 0)


def overlay(image: NDArray[np.uint8], labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return an image, enlarged if it is small, with white borders of its segments, dark beside them."""
    [pixels] = rgb_pixels([image])
    if np.shape(labels) != pixels.shape[:2]:
        raise ValueError(f"`labels` must have shape {pixels.shape[:2]}. Got {np.shape(labels)} instead.")
    factor = max(1, -(-_LEAST_SIDE // min(pixels.shape[:2]))) if max(pixels.shape[:2]) < 4 * _LEAST_SIDE else 1
    drawn = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    large = np.asarray(labels).repeat(factor, axis=0).repeat(factor, axis=1)
    line = large == 0
    line[:, 1:] |= large[:, 1:] != large[:, :-1]
    line[1:] |= large[1:] != large[:-1]
    shadow = line.copy()
    shadow[1:, 1:] |= line[:-1, :-1]
    drawn[shadow] = _SHADOW
    drawn[line] = _LINE
    return drawn


def plot_segments(
    image: NDArray[np.uint8], maps: dict[str, ArrayLike], *, n_columns: int = 4, title: str | None = None
) -> tuple[Figure, Axes]:
    """Draw label maps over their image, side by side, with the number of their segments.

    Parameters
    ----------
    image : array of shape (height, width, 3), uint8
        RGB.
    maps : dict of str to array of shape (height, width), int
        Label maps by name, as `segment` returns them.
    n_columns : int, default 4
        Maps in a line.
    title : str, optional
        Of the figure.

    Returns
    -------
    fig : Figure
    ax : Axes
        Of the first map.

    Raises
    ------
    ValueError
        If there is no map, or one has another shape than the image.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import plot_segments, segment
    >>> image = np.zeros((60, 80, 3), np.uint8)
    >>> fig, ax = plot_segments(image, {"slic": segment(image, "slic")})
    >>> ax.get_title(loc="left").startswith("slic")
    True
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    if not maps:
        raise ValueError("`maps` must hold at least one label map. Got none.")
    columns = min(n_columns, len(maps))
    lines = -(-len(maps) // columns)
    height = 2.6 * image.shape[0] / image.shape[1]
    with plt.rc_context(THEME):
        size = (2.6 * columns, (height + 0.35) * lines + (0.4 if title else 0))
        fig, axes = plt.subplots(lines, columns, figsize=size, squeeze=False, layout="constrained")
        for ax in axes.flat:
            ax.axis("off")
        for ax, (name, labels) in zip(axes.flat, maps.items(), strict=False):
            found = np.asarray(labels)
            ax.imshow(overlay(image, found))
            ax.set_title(f"{literal(name)}: {int(found.max())} segments")
        if title:
            fig.suptitle(title, x=0.01, ha="left")
    return fig, axes[0, 0]
