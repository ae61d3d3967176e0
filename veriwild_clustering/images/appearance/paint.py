"""The paint of a vehicle: its dominant colour, windows, tyres, lamps and shadow left aside, and its name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.images.appearance.color_terms import COLOR_TERMS, grey_memberships, hue_memberships, rises
from veriwild_clustering.images.appearance.foreground import Pixels, weighted_quantile

__all__ = ["name_paint"]

Floats = NDArray[np.float32]

_HUE_BINS, _REACH = 72, 5  # 5 degrees each; shading and reflections spread one paint over 5 bins to either side
_TINTED, _TINTED_SLOPE = 10.0, 2.0  # chroma from which on a surface has a hue of its own
_SKY_BLUE = 0.87  # what of a blue counts: the sky tints grey paint
_PAINTED, _PAINTED_SLOPE = 0.26, 0.04  # share of one hue beyond that of lamps, plates, lettering and reflections


def name_paint(pixels: Pixels) -> tuple[NDArray[np.str_], Floats]:
    """Return the best colour term of each image and how well it fits, shapes (n_images,)."""
    lightness, a, b = np.moveaxis(pixels.balanced, -1, 0)
    chroma = np.hypot(a, b)
    tinted = rises(np.where(b < -np.abs(a), _SKY_BLUE, 1) * chroma, _TINTED, _TINTED_SLOPE)
    one_hue, hue = _dominant_hue(a, b, pixels.weights * tinted)
    painted = rises(one_hue.sum(axis=1), _PAINTED, _PAINTED_SLOPE)[:, None]
    with_hue = hue_memberships(
        weighted_quantile(lightness, one_hue, q=0.6), weighted_quantile(chroma, one_hue, q=0.7, high=130.0), hue
    )
    plain = pixels.weights * (1 - tinted)
    without = grey_memberships(
        weighted_quantile(lightness, plain * pixels.below_windows, q=0.7),
        weighted_quantile(lightness, plain, q=0.7),
        weighted_quantile(lightness, plain, q=0.98),
        road=pixels.surroundings,
    )
    memberships = painted * with_hue + (1 - painted) * without
    return np.array(COLOR_TERMS)[memberships.argmax(axis=1)], memberships.max(axis=1)


def _dominant_hue(a: Floats, b: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return `weights` within the heaviest window of hues, 0 elsewhere, and the mean hue there in degrees."""
    n_images = len(a)
    bins = ((np.degrees(np.arctan2(b, a)) % 360) * (_HUE_BINS / 360)).astype(np.int64) % _HUE_BINS
    flat = (bins + _HUE_BINS * np.arange(n_images)[:, None]).ravel()
    mass = np.bincount(flat, weights.ravel(), n_images * _HUE_BINS).reshape(n_images, _HUE_BINS)
    window = np.sum([np.roll(mass, step, axis=1) for step in range(-_REACH, _REACH + 1)], axis=0)
    apart = np.abs((bins - window.argmax(axis=1)[:, None] + _HUE_BINS // 2) % _HUE_BINS - _HUE_BINS // 2)
    within = np.asarray(weights * (apart <= _REACH), dtype=np.float32)
    alike = within / np.maximum(np.hypot(a, b), 1e-6)  # each pixel counts alike, vivid tail lamps no more than paint
    hue = np.degrees(np.arctan2((b * alike).sum(axis=1), (a * alike).sum(axis=1))) % 360
    return within, np.asarray(hue, dtype=np.float32)
