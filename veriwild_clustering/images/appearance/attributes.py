"""The attributes of every image as one table: colour of the vehicle, light and focus, each with its confidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.classes import UNCERTAIN
from veriwild_clustering.images.reading import rgb_pixels

__all__ = ["ATTRIBUTES", "UNCERTAIN", "appearance"]

Answers = tuple[NDArray[np.str_], NDArray[np.floating]]

ATTRIBUTES = {"measured_color": 0.5, "light": 0.75, "focus": 0.6}
"""The attributes, with the confidence below which each is uncertain."""

_CHUNK = 128
_SIDE = 128
_SHARP, _BLURRED, _FOCUS_SLOPE = 1.42, 1.26, 0.03
_NO_EDGES = 0.95  # what any edge exceeds, however blurred


def appearance(images: Sequence[NDArray[np.uint8]]) -> pd.DataFrame:
    """Name the colour of the vehicle, the light and the focus of images, from their pixels alone.

    Parameters
    ----------
    images : sequence of array of shape (height, width, 3), uint8
        Decoded RGB images, each a crop around one vehicle.

    Returns
    -------
    DataFrame
        One row per image, in order. Text columns: `measured_color`, one of the eleven basic colour terms [1]_ (silver
        is grey); `light`, "day" or "night"; `focus`, "sharp", "soft" or "blurred"; each "uncertain" where its
        confidence is too low. Float columns in [0, 1]: `measured_color_confidence`, `light_confidence` and
        `focus_confidence`, the estimated probability that the most likely answer is right.

    Raises
    ------
    ValueError
        If something is not an array of shape (height, width, 3), uint8.

    Notes
    -----
    O(n_images): an image is reduced to 48 x 48 pixels for the colours and to 128 for the focus, about 1 ms of one core
    for 250 x 300 pixels, most of it the reduction.

    Pixels in the middle whose colour is not that of the border make the vehicle. Its paint is the dominant hue there,
    named by sectors of hue, lightness and chroma in CIELAB, whose boundaries are fuzzy as in [2]_ and meant, as in
    [3]_, for photographs rather than for colour chips; without one it is black, grey or white, by the lightness of
    the body below the windows, of its highlights and of the road. At night, under lamps that tint everything, and in
    images without any colour, the name of the colour is uncertain.

    References
    ----------
    .. [1] B. Berlin, P. Kay, "Basic Color Terms: Their Universality and Evolution", University of California Press,
       1969.
    .. [2] R. Benavente, M. Vanrell, R. Baldrich, "Parametric fuzzy sets for automatic color naming", Journal of the
       Optical Society of America A 25(10), 2008. :doi:`10.1364/JOSAA.25.002582`
    .. [3] J. van de Weijer, C. Schmid, J. Verbeek, D. Larlus, "Learning Color Names for Real-World Applications", IEEE
       Transactions on Image Processing 18(7), 2009. :doi:`10.1109/TIP.2009.2019809`

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import appearance
    >>> image = np.full((120, 160, 3), 128, np.uint8)  # a road
    >>> image[20:100, 20:140] = (180, 20, 30)
    >>> appearance([image])[["measured_color", "light", "focus"]].iloc[0].tolist()
    ['red', 'day', 'sharp']
    """
    images = rgb_pixels(images)
    parts = [_attributes(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)]
    names, confidences = {}, {}
    for name, least in ATTRIBUTES.items():
        answers = np.concatenate([np.empty(0, "U9"), *(part[name][0] for part in parts)])
        confidence = np.concatenate([np.empty(0), *(part[name][1] for part in parts)])
        names[name] = pd.Series(np.where(confidence < least, UNCERTAIN, answers), dtype="str")
        confidences[f"{name}_confidence"] = confidence
    return pd.DataFrame(names | confidences)


def _attributes(images: Sequence[NDArray[np.uint8]]) -> dict[str, Answers]:
    """Return the answers and the confidences of a chunk of images."""
    from veriwild_clustering.images.appearance.foreground import Pixels
    from veriwild_clustering.images.appearance.light import color_trust, daylight
    from veriwild_clustering.images.appearance.paint import name_paint

    pixels = Pixels.of(images)
    colors, fit = name_paint(pixels)
    day = daylight(pixels)
    return {
        "measured_color": (colors, fit * day * color_trust(pixels)),
        "light": (np.where(day >= 0.5, "day", "night"), np.maximum(day, 1 - day)),
        "focus": _focus(np.array([_sharpness(image) for image in images])),
    }


def _sharpness(image: NDArray[np.uint8]) -> float:
    """Return the sharpness of an image reduced to at most 128 pixels; NaN below 16."""
    import cv2

    from veriwild_clustering.images.quality.damage import SMALLEST_SIDE, noise, sharpness

    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    scale = min(1.0, _SIDE / max(grey.shape))
    if min(grey.shape) * scale < SMALLEST_SIDE:
        return np.nan
    if scale < 1:
        grey = np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return sharpness(grey, sigma=noise(grey))


def _focus(sharpness: NDArray[np.float64]) -> Answers:
    """Return the class of each sharpness; the confidence is 0 where there is no edge to judge it by."""
    below = [1 / (1 + np.exp(np.clip((sharpness - end) / _FOCUS_SLOPE, -30, 30))) for end in (_SHARP, _BLURRED)]
    shares = np.column_stack([1 - below[0], below[0] - below[1], below[1]])
    known = sharpness >= _NO_EDGES
    return np.array(["sharp", "soft", "blurred"])[shares.argmax(axis=1)], np.where(known, shares.max(axis=1), 0.0)
