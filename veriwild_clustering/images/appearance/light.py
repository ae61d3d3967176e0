"""Day or night, and whether the light has a colour of its own that hides that of the paint."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.images.appearance.color_terms import rises
from veriwild_clustering.images.appearance.foreground import Pixels, weighted_quantile

__all__ = ["color_trust", "daylight"]

Floats = NDArray[np.float32]

_DUSK, _DUSK_SLOPE = 35.0, 2.0  # lightness of the surroundings: asphalt by day 40 to 70, under street lamps below 26
_CAST, _CAST_SLOPE = 0.32, 0.03
_GREY, _GREY_SLOPE = 3.0, 0.3


def daylight(pixels: Pixels) -> Floats:
    """Return the probability that each image was taken by day, from how light its surroundings are.

    Lamps and flash light the vehicle rather than what is around it.
    """
    return rises(pixels.surroundings, _DUSK, _DUSK_SLOPE)


def color_trust(pixels: Pixels) -> Floats:
    """Return how far colours can be told at all: near 0 where even the greyest tenth is tinted, or nothing is coloured.

    Yellow lamps leave no neutral pixel; infrared and grey-scale images have no chroma anywhere.
    """
    lightness, chroma = pixels.lab[..., 0], np.hypot(pixels.lab[..., 1], pixels.lab[..., 2])
    equal = np.ones_like(chroma)
    tint = weighted_quantile(chroma / np.maximum(lightness, 8), equal, q=0.1, high=2.0)
    vivid = weighted_quantile(chroma, equal, q=0.98)
    return (1 - rises(tint, _CAST, _CAST_SLOPE)) * rises(vivid, _GREY, _GREY_SLOPE)
