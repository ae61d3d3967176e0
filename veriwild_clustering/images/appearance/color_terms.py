"""Which of the eleven basic colour terms names a paint, as soft memberships that add up to one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLOR_TERMS", "grey_memberships", "hue_memberships", "rises"]

Floats = NDArray[np.float32]

COLOR_TERMS = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
"""Berlin and Kay's basic colour terms of English."""

_SECTORS = {"red": 47.0, "orange": 72.0, "yellow": 106.0, "green": 200.0, "blue": 309.0, "purple": 350.0}  # ends
_HUE_SLOPE, _LIGHTNESS_SLOPE, _CHROMA_SLOPE = 3.0, 3.0, 3.0
_LIGHT_RED, _DARK_ORANGE, _DARK_YELLOW = 60.0, 36.0, 50.0
_DULL_ORANGE, _DULL_RED, _WARM_RED = 31.0, 30.0, 36.0


def grey_memberships(body: Floats, upper: Floats, brightest: Floats, *, road: Floats) -> Floats:
    """Return how well each of `COLOR_TERMS` names paints without a hue, shape (n, 11).

    All are lightnesses: of the `body` below the windows, of an `upper` quantile over all of the vehicle, of its
    `brightest` spots, of the `road` around it. Black is darker than asphalt in whatever light, its windows are too.
    White shows where light falls on it, since no silver is as bright there. Both boundaries are logistic regressions
    on drawn and real vehicles by day.
    """
    road = np.maximum(road, 1)
    black = (1 - rises(body / road, 0.58, 0.048)) * (1 - rises(upper / road, 0.95, 0.05))
    white = rises(brightest + 0.16 * body, 96.4, 4.4) * (1 - black)
    return _memberships(len(body), black=black, white=white, grey=1 - black - white)


def hue_memberships(lightness: Floats, chroma: Floats, hue: Floats) -> Floats:
    """Return how well each of `COLOR_TERMS` names paints with a hue (in degrees of CIELAB), shape (n, 11).

    Sectors of hue change their name with lightness and chroma: a light red or purple is pink, a dark or dull orange,
    a dark yellow and a dull warm red are brown.
    """
    ends = np.array(list(_SECTORS.values()), dtype=np.float32)
    width = (ends - np.roll(ends, 1)) % 360
    apart = np.abs((hue[:, None] - (ends - width / 2) + 180) % 360 - 180)
    sectors = rises(width / 2 - apart, 0.0, _HUE_SLOPE)
    red, orange, yellow, green, blue, purple = (sectors / sectors.sum(axis=1, keepdims=True)).T
    light = rises(lightness, _LIGHT_RED, _LIGHTNESS_SLOPE)
    clear = rises(lightness, _DARK_ORANGE, _LIGHTNESS_SLOPE) * rises(chroma, _DULL_ORANGE, _CHROMA_SLOPE)
    deep = 1 - rises(lightness, _DARK_YELLOW, _LIGHTNESS_SLOPE)
    warm = rises(hue, _WARM_RED, _HUE_SLOPE) * (1 - rises(chroma, _DULL_RED, _CHROMA_SLOPE)) * (1 - light)
    return _memberships(
        len(hue),
        red=red * (1 - light) * (1 - warm), pink=(red + purple) * light, purple=purple * (1 - light),
        orange=orange * clear, yellow=yellow * (1 - deep), green=green, blue=blue,
        brown=orange * (1 - clear) + yellow * deep + red * (1 - light) * warm,
    )  # fmt: skip


def rises(values: NDArray[np.floating], boundary: float, slope: float) -> Floats:
    """Return the logistic function: 0.5 at `boundary`, 0.73 a `slope` above it."""
    return np.asarray(1 / (1 + np.exp(-np.clip((values - boundary) / slope, -30, 30))), dtype=np.float32)


def _memberships(n: int, **terms: Floats) -> Floats:
    none = np.zeros(n, dtype=np.float32)
    return np.stack([terms.get(name, none) for name in COLOR_TERMS], axis=1)
