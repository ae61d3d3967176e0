"""The quality measures of decoded images, one column each, and what each of them says."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.images.quality.brisque import INSTALL, brisque, brisque_is_installed
from veriwild_clustering.images.quality.damage import blockiness, noise, sharpness
from veriwild_clustering.images.reading import rgb_pixels

__all__ = ["QUALITY", "Measure", "quality_measures"]

DARK, GLARE = 32, 250  # grey levels: black to an eighth of the range; what a camera burns out


@dataclass(frozen=True)
class Measure:
    """What one quality measure says.

    Parameters
    ----------
    name, unit, meaning : str
        Its column, the unit of its values, and what they tell.
    bad : {"high", "low", "both"}
        At which end of the scale bad images lie.
    source : str
        Where the measure is described.
    """

    name: str
    unit: str
    meaning: str
    bad: Literal["high", "low", "both"]
    source: str


QUALITY: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "brisque",
            "points, about 0 to 100",
            "how far the statistics of local contrast are from those of undistorted natural images",
            "high",
            "Mittal, Moorthy & Bovik 2012, doi:10.1109/TIP.2012.2214050; model of image-quality 1.2.7",
        ),
        Measure(
            "sharpness",
            "ratio, 1 (blurred over more than two pixels) to about 3 (edges of one pixel)",
            "slope of the edges over their slope after blurring, noise taken out; does not depend on contrast",
            "low",
            "after Zhuo & Sim 2011, doi:10.1016/j.patcog.2011.03.009",
        ),
        Measure(
            "brightness",
            "share of white, 0 to 1",
            "mean luminance",
            "both",
            "ITU-R BT.601 luma",
        ),
        Measure(
            "dark_share",
            "share of pixels, 0 to 1",
            f"pixels near black, luminance below {DARK} of 255",
            "high",
            "share of the luminance histogram",
        ),
        Measure(
            "glare_share",
            "share of pixels, 0 to 1",
            f"pixels burnt out, luminance {GLARE} of 255 and above",
            "high",
            "share of the luminance histogram",
        ),
        Measure(
            "contrast",
            "share of white, 0 to 0.5",
            "root mean square deviation of luminance from its mean",
            "low",
            "Peli 1990, doi:10.1364/JOSAA.7.002032",
        ),
        Measure(
            "noise",
            "grey levels of 255",
            "standard deviation of noise from pixel to pixel, estimated where the image is smooth",
            "high",
            "mask of Immerkær 1996, doi:10.1006/cviu.1996.0060; median as in Donoho 1995, doi:10.1109/18.382009",
        ),
        Measure(
            "blockiness",
            "ratio, 0 is none",
            "share by which steps across the borders of JPEG's blocks exceed the steps beside them",
            "high",
            "after Wang, Sheikh & Bovik 2002, doi:10.1109/ICIP.2002.1038064",
        ),
        Measure(
            "entropy",
            "bits, 0 to 8",
            "information in the luminance histogram: low in an empty or dark frame",
            "low",
            "Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x",
        ),
    )
}


def quality_measures(images: Sequence[NDArray[np.uint8]]) -> pd.DataFrame:
    """Measure the technical quality of decoded images.

    Parameters
    ----------
    images : sequence of array of shape (height, width, 3), uint8
        RGB images, of any sizes.

    Returns
    -------
    DataFrame
        One row per image, float64 columns: `brisque` [1]_, `sharpness`, `brightness`, `dark_share`, `glare_share`,
        `contrast`, `noise`, `blockiness`, `entropy`. `QUALITY` in `veriwild_clustering.images.quality.measures`
        gives unit, meaning, bad end and source of each. NaN where a measure says nothing: BRISQUE of an image that is
        even all over; BRISQUE and blockiness of one below 16 pixels on a side, noise below 3. Without the package
        image-quality, which carries the trained model, `brisque` is NaN throughout, and a warning says so.

    Raises
    ------
    ValueError
        If an image is not an array of that form.

    Notes
    -----
    O(n_images * n_pixels), some 100 bytes of memory per pixel of the largest image. Rows do not depend on each other.
    Where processes share the cores, keep OpenCV to one thread.

    References
    ----------
    .. [1] Mittal, A., Moorthy, A. K. and Bovik, A. C. (2012). No-reference image quality assessment in the spatial
       domain. IEEE Transactions on Image Processing 21(12). doi:10.1109/TIP.2012.2214050

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import quality_measures
    >>> ramp = np.tile(np.arange(12, dtype=np.uint8) * 20, (12, 1))
    >>> images = [np.zeros((8, 8, 3), np.uint8), np.dstack([ramp] * 3)]
    >>> quality_measures(images)[["brightness", "dark_share", "contrast", "entropy"]].round(2)
       brightness  dark_share  contrast  entropy
    0        0.00        1.00      0.00     0.00
    1        0.43        0.17      0.27     3.58
    """
    images = rgb_pixels(images)
    table = pd.DataFrame([_grey_measures(image) for image in images], columns=list(QUALITY), dtype=np.float64)
    if brisque_is_installed():
        return table.assign(brisque=brisque(images))
    warnings.warn("BRISQUE is left out: " + INSTALL, stacklevel=2)
    return table


def _grey_measures(image: NDArray[np.uint8]) -> dict[str, float]:
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    sigma = noise(grey)
    return {
        "sharpness": sharpness(grey, sigma=np.nan_to_num(sigma)),
        **_tones(cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(np.float64)),
        "noise": sigma,
        "blockiness": blockiness(grey),
    }


def _tones(counts: NDArray[np.float64]) -> dict[str, float]:
    """Return what the histogram of luminance says: numbers of pixels per grey level."""
    n_pixels = counts.sum()
    shares, levels = counts / n_pixels, np.arange(256) / 255
    brightness = shares @ levels
    found = shares[shares > 0]
    return {
        "brightness": brightness,
        "dark_share": counts[:DARK].sum() / n_pixels,  # a sum of shares could exceed 1
        "glare_share": counts[GLARE:].sum() / n_pixels,
        "contrast": np.sqrt(shares @ (levels - brightness) ** 2),
        "entropy": np.abs(found @ np.log2(found)),
    }
