"""What a person says about an image before it is cut out: boxes, points, strokes, in pixels of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_choice, check_int

__all__ = ["KINDS", "Stroke", "checked_boxes", "checked_points"]

KINDS = ("foreground", "background", "maybe foreground", "maybe background")


@dataclass(frozen=True)
class Stroke:
    """A line of a brush that says what the pixels under it are.

    Parameters
    ----------
    points : tuple of pairs of float
        Where it runs: (x, y) of each corner in pixels. One point is a dot.
    kind : {"foreground", "background", "maybe foreground", "maybe background"}
        What is under it. The last two are where the search begins and may be corrected by it.
    width : int, default 3
        Of the brush, in pixels.

    Raises
    ------
    ValueError
        If there is no point, or the kind is not among those named.

    Examples
    --------
    >>> from veriwild_clustering import Stroke
    >>> Stroke(((10, 20), (40, 20)), "background").width
    3
    """

    points: tuple[tuple[float, float], ...]
    kind: str = "foreground"
    width: int = 3

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        check_int("width", self.width, low=1)
        checked_points("points", self.points)
        if not self.points:
            raise ValueError("`points` of a stroke must hold at least one (x, y). Got none.")


def checked_points(name: str, points: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return points as an array of shape (n_points, 2), or raise."""
    return _rows(name, points, ("x", "y"))


def checked_boxes(
    boxes: Sequence[Sequence[float]], size: tuple[int, int], *, name: str = "boxes"
) -> NDArray[np.float64]:
    """Return boxes as an array of shape (n_boxes, 4), cut off at the edge of an image of `size`, or raise."""
    rows = _rows(name, boxes, ("left", "top", "right", "bottom"))
    height, width = size
    inside = np.clip(rows, 0, (width, height, width, height))
    empty = (inside[:, 0] >= inside[:, 2]) | (inside[:, 1] >= inside[:, 3])
    if empty.any():
        raise ValueError(
            f"`{name}` must be left, top, right, bottom with an area inside the image of {width} x {height} pixels. "
            f"Got {tuple(rows[empty][0].tolist())} instead."
        )
    return inside


def _rows(name: str, values: Sequence[Sequence[float]], columns: tuple[str, ...]) -> NDArray[np.float64]:
    if not len(values):
        return np.empty((0, len(columns)))
    try:
        rows = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{name}` must be a list of ({', '.join(columns)}). Got {values!r} instead.") from error
    if rows.shape[1] != len(columns) or not np.isfinite(rows).all():
        raise ValueError(f"`{name}` must be a list of ({', '.join(columns)}), all finite. Got {values!r} instead.")
    return rows
