"""The pixels of a batch of images in CIELAB, and how likely each belongs to the vehicle, not to its surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["SIDE", "Pixels", "weighted_quantile"]

Floats = NDArray[np.float32]

SIDE = 48
_RING = 0.08
_BINS = (12, 10, 10)  # of lightness, a and b: coarse enough that shading and noise stay in one bin
_AB_RANGE = 60.0
_BEHIND = (0.3, 0.6)  # least and most share of the middle that shows the surroundings of the vehicle
_LEAST_LIKELY = 0.02  # keeps a vehicle that has the colours of its surroundings
_NEUTRAL, _NEUTRAL_SHARE, _LARGEST_CAST = 14.0, 0.15, 9.0  # chroma; share of the border; chroma


@dataclass(frozen=True, eq=False)
class Pixels:
    """A batch in CIELAB, each image reduced to `SIDE` x `SIDE`: shape (n_images, SIDE * SIDE, 3)."""

    lab: Floats

    @classmethod
    def of(cls, images: Sequence[NDArray[np.uint8]]) -> Pixels:
        """Reduce and convert decoded RGB images; their shape is not kept, since shares of area do not depend on it."""
        small = np.stack([cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in images])
        flat = small.reshape(1, -1, 3).astype(np.float32) / 255
        lab = np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2LAB), dtype=np.float32)
        return cls(lab.reshape(len(images), SIDE * SIDE, 3))

    @cached_property
    def ring(self) -> NDArray[np.bool_]:
        """Which pixels lie along the border, shape (SIDE * SIDE,)."""
        x, y = _axes()
        return np.asarray(np.maximum(np.abs(x), np.abs(y)) > 1 - 2 * _RING)

    @cached_property
    def balanced(self) -> Floats:
        """`lab` with the cast of its neutral surroundings taken out: asphalt, concrete and sky are nearly grey."""
        ring = self.lab[:, self.ring]
        neutral = (np.hypot(ring[..., 1], ring[..., 2]) < _NEUTRAL) & (ring[..., 0] > 20)
        count = neutral.sum(axis=1, keepdims=True)
        cast = (ring[..., 1:] * neutral[..., None]).sum(axis=1) / np.maximum(count, 1)
        cast *= np.minimum(1, _LARGEST_CAST / np.maximum(np.hypot(*cast.T), 1e-6))[:, None]
        cast *= count >= _NEUTRAL_SHARE * neutral.shape[1]
        shifted = self.lab.copy()
        shifted[..., 1:] -= cast[:, None]
        return shifted

    @cached_property
    def weights(self) -> Floats:
        """Weight of every pixel as a part of the vehicle, shape (n_images, SIDE * SIDE), adds up to one.

        The middle of an image is a mixture of the vehicle and of what lies along the border; Bayes' rule says which
        colours are the vehicle's. The share of the border's colours is how often half of them come back in the middle.
        """
        bins = self._bins()
        centre = _centre()
        inside, outside = self._histogram(bins, centre), self._histogram(bins, self.ring.astype(np.float32))
        seen = inside / np.maximum(outside, 1e-6)
        behind = np.clip(weighted_quantile(seen, outside, q=0.5, high=2.0), *_BEHIND)[:, None]
        likely = np.clip(1 - behind / np.maximum(seen, 1e-6), _LEAST_LIKELY, 1)
        weights = np.take_along_axis(likely, bins, axis=1) * centre
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)

    @cached_property
    def surroundings(self) -> Floats:
        """Upper quartile of the lightness along the border: road, verge, wall, but no shadow; shape (n_images,)."""
        border = self.lab[:, self.ring, 0]
        return weighted_quantile(border, np.ones_like(border), q=0.75)

    @cached_property
    def below_windows(self) -> NDArray[np.bool_]:
        """Which pixels lie where doors, bonnet or boot lid mostly are, shape (SIDE * SIDE,)."""
        _, y = _axes()
        return np.asarray((y > -0.1) & (y < 0.65))

    def _bins(self) -> NDArray[np.int64]:
        scaled = np.empty_like(self.lab)
        scaled[..., 0] = self.lab[..., 0] / 100
        scaled[..., 1:] = 0.5 + self.lab[..., 1:] / (2 * _AB_RANGE)
        index = np.clip(scaled * _BINS, 0, np.array(_BINS) - 1).astype(np.int64)
        return np.asarray((index[..., 0] * _BINS[1] + index[..., 1]) * _BINS[2] + index[..., 2])

    def _histogram(self, bins: NDArray[np.int64], weights: Floats) -> Floats:
        n_images, n_bins = len(bins), int(np.prod(_BINS))
        offset = bins + n_bins * np.arange(n_images)[:, None]
        counts = np.bincount(offset.ravel(), np.tile(weights / weights.sum(), n_images), n_images * n_bins)
        smooth = counts.reshape(n_images, *_BINS).astype(np.float32)
        for axis in (1, 2, 3):
            smooth = _spread(smooth, axis)
        return smooth.reshape(n_images, n_bins)


def _spread(counts: Floats, axis: int) -> Floats:
    """Share counts with the neighbouring bins, half staying, so that a bin's edge cuts no surface in two."""
    wide = np.pad(counts, [(0, 0)] * axis + [(1, 1)] + [(0, 0)] * (3 - axis), mode="edge")
    low, high = np.moveaxis(wide, axis, 0)[:-2], np.moveaxis(wide, axis, 0)[2:]
    return np.moveaxis(0.25 * low + 0.25 * high, 0, axis) + 0.5 * counts


def weighted_quantile(
    values: NDArray[np.floating], weights: NDArray[np.floating], *, q: float, high: float = 100.0
) -> Floats:
    """Return a quantile of each row of `values`, which count from 0 to `high`, to a 200th of `high`."""
    n_rows, n_bins = len(values), 200
    index = np.clip(values * (n_bins / high), 0, n_bins - 1).astype(np.int64) + n_bins * np.arange(n_rows)[:, None]
    mass = np.bincount(index.ravel(), weights.ravel(), n_rows * n_bins).reshape(n_rows, n_bins).cumsum(axis=1)
    return np.asarray(((mass < q * mass[:, -1:]).sum(axis=1) + 0.5) * (high / n_bins), dtype=np.float32)


def _axes() -> tuple[Floats, Floats]:
    line = np.linspace(-1, 1, SIDE, dtype=np.float32)
    x, y = np.meshgrid(line, line)
    return x.ravel(), y.ravel()


def _centre() -> Floats:
    """A hill over the middle, flat on top: a crop leaves little around the vehicle."""
    x, y = _axes()
    return np.asarray(np.exp(-((x / 0.7) ** 4) - ((y / 0.75) ** 4)), dtype=np.float32)
