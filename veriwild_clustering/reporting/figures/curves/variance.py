"""A chart of the variance that principal components hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from veriwild_clustering.reporting.figures.style import INK, THEME, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_explained_variance"]


def plot_explained_variance(
    curves: Mapping[str, ArrayLike], *, shares: Sequence[float] = (0.9,), title: str | None = None
) -> tuple[Figure, Axes]:
    """Draw the share of the variance that the first principal components hold, a line per descriptor.

    Parameters
    ----------
    curves : mapping of str to array of shape (n_features,)
        By the name of each descriptor what `explained_variance` returned.
    shares : sequence of float, default=(0.9,)
        Shares to mark: the legend says how many components hold the first of them.
    title : str, optional
        By default what is drawn.

    Returns
    -------
    fig : Figure
    ax : Axes

    Raises
    ------
    ValueError
        If there is no curve.

    Examples
    --------
    >>> from veriwild_clustering import plot_explained_variance
    >>> fig, ax = plot_explained_variance({"osnet": [0.6, 0.85, 0.95, 1.0]})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['osnet · 90% in 3 of 4']
    >>> import matplotlib.pyplot as plt; plt.close(fig)
    """
    import matplotlib.pyplot as plt

    if not curves:
        raise ValueError("`curves` must hold at least one curve. Got none.")
    with plt.rc_context(THEME):
        fig, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
        for color, (name, curve) in zip(palette(len(curves)), curves.items(), strict=True):
            held = np.asarray(curve, dtype=float)
            numbers = np.arange(1, len(held) + 1)
            label = name
            for share in reversed(shares):
                enough = min(int(np.searchsorted(held, share)), len(held) - 1)
                label = f"{name} · {share:.0%} in {enough + 1:,} of {len(held):,}"
                ax.plot(numbers[enough], held[enough], marker="o", markersize=5, color=color, linestyle="none")
            ax.plot(numbers, held, color=color, linewidth=1.8, label=label)
        for share in shares:
            ax.axhline(share, color=INK, linewidth=0.8, linestyle="--")
        ax.set(xscale="log", xlabel="principal components (log scale)", ylabel="share of the variance", ylim=(0, 1.03))
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        ax.grid(axis="y")
        ax.legend(loc="lower right")
        ax.set_title("Variance held by the first principal components" if title is None else title)
    return fig, ax
