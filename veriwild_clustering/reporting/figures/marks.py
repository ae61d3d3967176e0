"""How rows become marks on a map: dots where they are few, pixels that count all of them where they are many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.reporting.figures.style import OUTLINE

if TYPE_CHECKING:
    from matplotlib.cm import ScalarMappable

__all__ = ["MAX_DOTS", "Marks", "marks_for"]

MAX_DOTS = 50_000  # beyond, dots hide each other, and what is drawn last decides what is seen
_PIXELS_PER_INCH = 140
_LEAST_OPACITY = 0.5
_MARGIN = 0.02

Points = NDArray[np.float32]
Limits = tuple[float, float]


class Marks(Protocol):
    """Draws points into axes, those of a higher `zorder` above those of a lower."""

    @property
    def ax(self) -> Any:
        """The axes."""

    def colored(
        self, points: Points, rgb: NDArray[np.float64], *, label: str, zorder: int, outlined: bool = False
    ) -> None:
        """Draw points in colours of shape (n_points, 3), or (1, 3) for all of them."""

    def valued(self, points: Points, values: NDArray[np.float64], *, limits: Limits, label: str) -> ScalarMappable:
        """Draw points in the colours of their values and return what a colour bar needs."""


def marks_for(ax: Any, points: Points, *, size: float) -> Marks:
    """Return dots of `size` square points for few points and for 3-D maps, pixels for many."""
    return _Dots(ax, size) if len(points) <= MAX_DOTS or points.shape[1] == 3 else _Pixels.over(ax, points)


@dataclass(frozen=True)
class _Dots:
    """One dot per point."""

    ax: Any
    size: float

    def colored(
        self, points: Points, rgb: NDArray[np.float64], *, label: str, zorder: int, outlined: bool = False
    ) -> None:
        if len(points):  # an empty scatter stretches 3-D limits
            edges: dict[str, Any] = {"linewidths": 0.25, "edgecolors": OUTLINE} if outlined else {"linewidths": 0}
            alpha = 1.0 if outlined or zorder < 2 else 0.75
            self.ax.scatter(*points.T, s=self.size, color=rgb, alpha=alpha, zorder=zorder, label=label,
                            rasterized=True, **edges)  # fmt: skip

    def valued(self, points: Points, values: NDArray[np.float64], *, limits: Limits, label: str) -> ScalarMappable:
        shown: ScalarMappable = self.ax.scatter(
            *points.T, s=self.size, c=values, cmap="viridis", vmin=limits[0], vmax=limits[1], linewidths=0, zorder=2,
            label=label, rasterized=True,
        )  # fmt: skip
        return shown


@dataclass(frozen=True)
class _Pixels:
    """All points counted per pixel: its colour is the mean of theirs, its opacity grows with their number."""

    ax: Any
    x_range: Limits
    y_range: Limits
    width: int
    height: int

    @classmethod
    def over(cls, ax: Any, points: Points) -> _Pixels:
        """Lay square pixels over the points, as many as the axes have room for."""
        low, high = points.min(axis=0).astype(float), points.max(axis=0).astype(float)
        margin = _MARGIN * max((high - low).max(), 1e-5 * np.abs([low, high]).max(), 1e-5)  # all may be on one spot
        low, high = low - margin, high + margin
        room = ax.get_window_extent()
        inches = np.array([room.width, room.height]) / ax.figure.dpi
        side = float(((high - low) / inches).max()) / _PIXELS_PER_INCH
        width, height = (int(n) for n in np.ceil((high - low) / side))
        return cls(ax, (low[0], low[0] + width * side), (low[1], low[1] + height * side), width, height)

    def colored(
        self, points: Points, rgb: NDArray[np.float64], *, label: str, zorder: int, outlined: bool = False
    ) -> None:
        if not len(points):
            return
        channels = np.broadcast_to(rgb, (len(points), 3)).T
        counts, means = self._count(points, *channels)
        opacity = _opacity(counts) if zorder > 1 and not outlined else (counts > 0).astype(float)
        self._show(np.nan_to_num(np.dstack([*means, opacity])), label=label, zorder=zorder)

    def valued(self, points: Points, values: NDArray[np.float64], *, limits: Limits, label: str) -> ScalarMappable:
        _, (mean,) = self._count(points, values)
        return self._show(mean, label=label, zorder=2, cmap="viridis", vmin=limits[0], vmax=limits[1])

    def _count(self, points: Points, *columns: NDArray[np.float64]) -> tuple[NDArray[Any], list[NDArray[Any]]]:
        """Return the number of points per pixel and the mean of each column, NaN where there are none."""
        import datashader as ds
        import pandas as pd

        named = {f"column {place}": column for place, column in enumerate(columns)}
        table = pd.DataFrame({"x": points[:, 0], "y": points[:, 1], **named})
        canvas = ds.Canvas(self.width, self.height, self.x_range, self.y_range)
        means = {name: ds.mean(name) for name in named}
        found = canvas.points(table, "x", "y", ds.summary(count=ds.count(), **means))
        return found["count"].to_numpy(), [found[name].to_numpy() for name in named]

    def _show(self, image: NDArray[np.float64], *, label: str, zorder: int, **options: Any) -> ScalarMappable:
        extent = (*self.x_range, *self.y_range)
        shown: ScalarMappable = self.ax.imshow(
            image, extent=extent, origin="lower", aspect="auto", zorder=zorder, label=label, **options
        )
        return shown


def _opacity(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return opacities that grow with the logarithm of counts, full from the hundredth fullest pixel on."""
    share = np.log1p(counts) / np.log1p(np.percentile(counts[counts > 0], 99))
    return np.where(counts > 0, _LEAST_OPACITY + (1 - _LEAST_OPACITY) * np.minimum(share, 1), 0.0)
