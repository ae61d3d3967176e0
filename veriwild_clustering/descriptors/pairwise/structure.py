"""Structural similarity (SSIM) of small grey images, with bounds that spare most pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from veriwild_clustering.descriptors.pairwise.measure import Features, Found, TiledMeasure, small

__all__ = ["StructuralSimilarity"]

_SIDE = 64
_WINDOW = 7
_PIXELS = _WINDOW**2
_PLACES = _SIDE - _WINDOW + 1
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_BLOCKS = 8
# Rows far apart first: a pair that differs anywhere is given up early.
_ORDER = np.concatenate([np.arange(start, _PLACES, 8) for start in (0, 4, 2, 6, 1, 3, 5, 7)])


@dataclass(frozen=True)
class StructuralSimilarity(TiledMeasure):
    """Mean SSIM over windows of 7 × 7 pixels of grey squares of 64 pixels, as scikit-image has it; negative is 0.

    Two bounds are exact. What a window loses is at least what its mean or its contrast alone loses, and by Cauchy and
    Schwarz the loss of a block of windows is bounded by sums over the block: 64 blocks decide first. Then windows are
    computed row by row until what was lost exceeds what the threshold allows.
    """

    name: str = "ssim"
    sees: str = "structure, pixel by pixel"
    strict: float = 0.9
    most_rows = 512

    def features(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Return grey squares."""
        return np.stack([small(image, _SIDE, grey=True).ravel() for image in images])

    def describe(self, features: Features) -> NDArray[np.float32]:
        """Return the mean grey of 8 × 8 blocks."""
        step = _SIDE // _BLOCKS
        return features.reshape(-1, _BLOCKS, step, _BLOCKS, step).mean(axis=(2, 4)).reshape(
            -1, _BLOCKS**2
        ) / np.float32(255)

    def prepare(self, features: Features) -> Any:
        """Return pixels, the mean and variance of each window, and the sums of the bounds."""
        images = features.reshape(-1, _SIDE, _SIDE).astype(np.int32)
        total, square = _window_sums(images), _window_sums(images**2)
        mean = total / _PIXELS
        variance = (_PIXELS * square - total**2) / (_PIXELS * (_PIXELS - 1))
        deviation = np.sqrt(variance)
        sums = [_block_sums(part) for part in (mean, mean**2 + _C1 / 2, deviation, variance + _C2 / 2)]
        return images, mean, variance, np.ascontiguousarray(np.stack(sums, axis=1))

    def compare(self, left: Any, right: Any, *, threshold: float, same: bool) -> Found:
        """Return the pairs that reach the threshold."""
        rows, others, values, n_compared = _compare(*left, *right, _ORDER, 1 - threshold, same)  # type: ignore[call-arg]
        return Found(rows, others, np.clip(values, 0, 1), int(n_compared))


def _window_sums(images: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the sum of each window, shape (n, places, places)."""
    summed = np.zeros((len(images), _SIDE + 1, _SIDE + 1), dtype=np.int64)
    summed[:, 1:, 1:] = images.cumsum(axis=1, dtype=np.int64).cumsum(axis=2)
    rows = summed[:, _WINDOW:] - summed[:, :-_WINDOW]
    return np.asarray(rows[:, :, _WINDOW:] - rows[:, :, :-_WINDOW])


def _block_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    edges = np.arange(_BLOCKS) * _PLACES // _BLOCKS
    return np.add.reduceat(np.add.reduceat(values, edges, axis=1), edges, axis=2).reshape(len(values), -1)


@njit(nogil=True, cache=True)
def _compare(x, mx, vx, bx, y, my, vy, by, order, allowed, same):  # type: ignore[no-untyped-def]
    """Return places, similarities and number of pairs computed to the end."""
    n_places = mx.shape[1]
    most = allowed * n_places * n_places + 1e-6
    rows, others, values, n_compared = [0], [0], [0.0], 0
    for i in range(len(x)):
        for j in range(i if same else len(y)):
            if _least_loss(bx[i], by[j]) > most:
                continue
            loss = _loss(x[i], mx[i], vx[i], y[j], my[j], vy[j], order, most)
            if loss < 0:
                continue
            n_compared += 1
            value = 1 - loss / (n_places * n_places)
            if value >= 1 - allowed - 1e-12:
                rows.append(i)
                others.append(j)
                values.append(value)
    return np.array(rows[1:]), np.array(others[1:]), np.array(values[1:]), n_compared


@njit(nogil=True, cache=True)
def _least_loss(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for k in range(a.shape[1]):
        light = (a[0, k] - b[0, k]) ** 2 / (a[1, k] + b[1, k])
        contrast = (a[2, k] - b[2, k]) ** 2 / (a[3, k] + b[3, k])
        total += max(light, contrast)
    return total


@njit(nogil=True, cache=True)
def _loss(x, mx, vx, y, my, vy, order, most):  # type: ignore[no-untyped-def]
    """Return the sum of 1 − SSIM over all windows, or −1 as soon as it is more than `most`."""
    side, n_places = x.shape[0], mx.shape[0]
    window = side - n_places + 1
    n_pixels = window * window
    column = np.empty(side, dtype=np.int32)
    loss = 0.0
    for row in order:
        for c in range(side):
            column[c] = 0
        for r in range(row, row + window):
            for c in range(side):
                column[c] += x[r, c] * y[r, c]
        for c in range(n_places):
            product = 0
            for k in range(window):
                product += column[c + k]
            m, n = mx[row, c], my[row, c]
            covariance = (product / n_pixels - m * n) * (n_pixels / (n_pixels - 1))
            above = (2 * m * n + _C1) * (2 * covariance + _C2)
            below = (m * m + n * n + _C1) * (vx[row, c] + vy[row, c] + _C2)
            loss += 1 - above / below
        if loss > most:
            return -1.0
    return loss
