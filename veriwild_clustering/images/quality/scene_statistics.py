"""The statistics of a natural scene in one grey image: the 36 features from which BRISQUE judges."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom
from scipy.signal import convolve2d
from scipy.special import gammaln

from veriwild_clustering.images.quality.damage import SMALLEST_SIDE

__all__ = ["N_FEATURES", "N_MOMENTS", "scene_features", "scene_moments"]

N_MOMENTS = (10, 5)  # fields, sums of each
N_FEATURES = 36

Floats = NDArray[np.float64]

_WINDOW = 7
_SIGMA = 7 / 6
_STABILISER = 1 / 255
_TIE = 1e-11  # share of white; pixels nearer to their local mean differ from it by rounding alone
_POLE = 2 * np.sqrt(2) - 3  # of the filter that turns pixels into coefficients of quadratic B-splines
_REACH = 16  # pixels, beyond which that filter is below 1e-12
_LARGE = 1_000  # pixels a side, above which the dense products of `_half` cost more than SciPy's loop


def scene_moments(image: NDArray[np.uint8]) -> Floats:
    """Return what the fits need to know of an RGB image, shape (10, 5): five fields at full and at half size.

    The fields are the normalised luminance and its products with four neighbours; of each, the number of pixels, the
    sums of |x| and x², and the sum of x² and the number of pixels where x < 0. NaN for an even image, which has no
    local contrast, and for one that is too small to have statistics.
    """
    grey = np.multiply(image, 1 / 255) @ np.array([0.2125, 0.7154, 0.0721])
    if min(grey.shape) < SMALLEST_SIDE or np.ptp(grey) < _TIE:
        return np.full(N_MOMENTS, np.nan)
    return np.array([_moments(field) for scale in (grey, _half(grey)) for field in _fields(_normalised(scale))])


def scene_features(moments: Floats) -> Floats:
    """Return the features of images from their moments: shape (n_images, 10, 5) to (n_images, 36).

    An asymmetric generalised Gaussian is fitted to each field by matching moments. Where a field is so flat-topped
    that no shape matches, its shape is 10, the end of the range in which the method's authors searched.
    """
    n_pixels, absolute, squares, left_squares, n_left = np.moveaxis(moments, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # no pixel on one side: no answer, NaN
        left, right = left_squares / n_left, (squares - left_squares) / (n_pixels - n_left)
        skew = np.sqrt(left / right)
        ratio = absolute**2 / (n_pixels * squares) * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    ratios, shapes = _shape_table()
    shape = np.interp(ratio, ratios, shapes, right=10)
    log_gamma = gammaln(np.array([1, 2, 3])[:, None, None] / shape)
    mean = (np.sqrt(right) - np.sqrt(left)) * np.exp(log_gamma[1] - (log_gamma[0] + log_gamma[2]) / 2)
    scales = []
    for first in (0, 5):
        scales += [shape[:, first, None], (left + right)[:, first, None] / 2]
        products = slice(first + 1, first + 5)
        scales.append(np.stack([part[:, products] for part in (shape, mean, left, right)], axis=2).reshape(-1, 16))
    return np.hstack(scales)


@cache
def _shape_table() -> tuple[Floats, Floats]:
    """Return the ratio (E|x|)² / E[x²] of generalised Gaussians, rising, with their shapes."""
    shapes = np.geomspace(0.02, 1e4, 60_000)
    return np.exp(2 * gammaln(2 / shapes) - gammaln(1 / shapes) - gammaln(3 / shapes)), shapes


def _moments(field: NDArray[np.float32]) -> tuple[float, ...]:
    negative = np.minimum(field, 0)
    squares, left_squares = (cv2.norm(values, cv2.NORM_L2SQR) for values in (field, negative))
    return field.size, cv2.norm(field, cv2.NORM_L1), squares, left_squares, cv2.countNonZero(negative)


def _fields(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    return x, x[:, :-1] * x[:, 1:], x[:-1] * x[1:], x[:-1, :-1] * x[1:, 1:], x[1:, :-1] * x[:-1, 1:]


def _normalised(grey: Floats) -> NDArray[np.float32]:
    """Return the luminance less its local mean, over the local deviation; zeros surround the image."""
    mean = _local_mean(grey)
    spread = _local_mean(grey * grey)
    spread -= mean * mean
    np.sqrt(np.abs(spread, out=spread), out=spread)
    spread += _STABILISER
    difference = np.subtract(grey, mean, out=mean)
    distance = np.abs(difference)
    if distance.min() < _TIE:
        tied = np.nonzero(distance < _TIE)
        difference[tied] = _rounding(grey, *tied)
    return (difference / spread).astype(np.float32)


def _local_mean(grey: Floats) -> Floats:
    window = np.exp(-(np.arange(-3, 4) ** 2) / (2 * _SIGMA**2))
    window /= window.sum()
    return np.asarray(cv2.sepFilter2D(grey, -1, window, window, borderType=cv2.BORDER_CONSTANT), dtype=np.float64)


def _rounding(grey: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
    """Return pixels less their local means as SciPy's convolution rounds them.

    In an even area the difference is zero but for rounding, and its sign decides on which side of the distribution
    the pixel counts: it has to come from the same sums as in the reference.
    """
    y, x = np.indices((_WINDOW, _WINDOW)) - _WINDOW // 2
    window = 1 / (2 * np.pi * _SIGMA**2) * np.exp(-(x**2 + y**2) / (2 * _SIGMA**2))
    window = window / np.sum(window)
    if window.size * len(rows) > grey.size:
        return (grey - convolve2d(grey, window, "same"))[rows, columns]
    around = np.lib.stride_tricks.sliding_window_view(np.pad(grey, _WINDOW // 2), window.shape)[rows, columns]
    strip = around.transpose(1, 0, 2).reshape(_WINDOW, -1)
    return grey[rows, columns] - convolve2d(strip, window, "valid")[0, ::_WINDOW]


def _half(grey: Floats) -> Floats:
    """Return the image at half size by quadratic splines, zeros around it, within the range of its pixels.

    As two dense products, unless the image is large or a sign depends on how SciPy rounds.
    """
    if max(grey.shape) <= _LARGE:
        half = _clipped(_halving(grey.shape[0]) @ grey @ _halving(grey.shape[1]).T, grey)
        if np.abs(half - _local_mean(half)).min() > _TIE:
            return half
    ratio = [_half_length(length) / length for length in grey.shape]
    return _clipped(zoom(grey, ratio, order=2, mode="grid-constant", grid_mode=True), grey)


def _half_length(length: int) -> int:
    return max(round(length / 2), 1)


def _clipped(half: Floats, grey: Floats) -> Floats:
    return np.clip(half, grey.min() if half.min() > 0 else 0, grey.max())


def _halving(length: int) -> Floats:
    """Return the matrix that halves a column of pixels: the spline's coefficients, read at the new centres."""
    n_half = _half_length(length)
    centers = (np.arange(n_half) + 0.5) * (length / n_half) - 0.5
    nearest = np.floor(centers + 0.5).astype(np.intp)
    offset = centers - nearest
    basis = np.stack([(0.5 - offset) ** 2 / 2, 0.75 - offset**2, (0.5 + offset) ** 2 / 2], axis=1)
    reach = np.arange(-_REACH, _REACH + 1)
    to_coefficients = _POLE ** np.abs(reach - np.array([[-1], [0], [1]])) * (1 - _POLE) / (1 + _POLE)
    matrix = np.zeros((n_half, length + 2 * _REACH))
    matrix[np.arange(n_half)[:, None], nearest[:, None] + reach + _REACH] = basis @ to_coefficients
    return matrix[:, _REACH:-_REACH]
