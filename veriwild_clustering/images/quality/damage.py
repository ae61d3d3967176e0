"""What a camera or a codec does to one grey image: blur, noise, the blocks of JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["SMALLEST_SIDE", "blockiness", "noise", "sharpness"]

Grey = NDArray[np.uint8]

SMALLEST_SIDE = 16  # pixels; two blocks of JPEG, and the window of BRISQUE at half size

_BLOCK = 8
_FINE, _COARSE = 0.7, 2.0  # pixels: the two scales of the slopes
_FINE_RESPONSE, _COARSE_RESPONSE = 0.0998, 0.0042  # mean squared slope of white noise of variance 1 at these scales
_ROUNDING = 0.25  # squared grey levels a pixel: slopes that rounding to whole levels can feign


def sharpness(grey: Grey, *, sigma: float) -> float:
    """Return how much steeper edges are at the fine scale than at the coarse one, noise of this sigma taken out.

    Each pixel counts by its squared slope at the coarse scale, so edges decide, whatever surrounds them.
    """
    pixels = grey.astype(np.float32)
    fine, coarse = (_squared_slope(pixels, scale) for scale in (_FINE, _COARSE))
    total = float(coarse.sum()) or 1.0
    steep, flat = (float(np.vdot(slope, coarse)) / total for slope in (fine, coarse))
    excess = max(steep - _FINE_RESPONSE * sigma**2, 0)
    return float(np.sqrt(excess / (max(flat - _COARSE_RESPONSE * sigma**2, 0) + _ROUNDING)))


def _squared_slope(pixels: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    smooth = cv2.GaussianBlur(pixels, (0, 0), scale)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return across * across + down * down


def noise(grey: Grey) -> float:
    """Return the standard deviation of noise in grey levels, from the median response to Immerkær's mask."""
    if min(grey.shape) < 3:
        return np.nan
    mask = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32)  # blind to slopes and to straight edges
    response = np.abs(cv2.filter2D(grey, cv2.CV_16S, mask)[1:-1, 1:-1])
    below = np.cumsum(np.bincount(response.ravel()))
    upper_edge = np.r_[0, np.arange(1, len(below)) + 0.5]
    median = np.interp(below[-1] / 2, below, upper_edge)
    return float(median / (0.6745 * 6))


def blockiness(grey: Grey) -> float:
    """Return by which share the steps across the borders of 8-pixel blocks exceed the steps beside them."""
    if min(grey.shape) < SMALLEST_SIDE:
        return np.nan
    steps = (
        cv2.absdiff(grey[1:], grey[:-1]).mean(axis=1),
        cv2.absdiff(grey[:, 1:], grey[:, :-1]).mean(axis=0),
    )
    at = sum(step[_BLOCK - 1 : -1 : _BLOCK].mean() for step in steps)
    beside = sum((step[_BLOCK - 2 : -2 : _BLOCK].mean() + step[_BLOCK::_BLOCK].mean()) / 2 for step in steps)
    return float(max(at / (beside + 0.5) - 1, 0))  # half a grey level: rounding is no block
