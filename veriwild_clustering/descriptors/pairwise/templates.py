"""Template matching of small colour images: one minus the normalised squared difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.descriptors.pairwise.measure import Features, Found, TiledMeasure, small
from veriwild_clustering.descriptors.pairwise.products import Floats, compare_products, tile_of

__all__ = ["TemplateSimilarity"]

_SIDE = 64
_BLOCKS = 8


@dataclass(frozen=True)
class TemplateSimilarity(TiledMeasure):
    """1 − Σ (a − b)² / √(Σ a² Σ b²) over RGB squares of 64 pixels, OpenCV's TM_SQDIFF_NORMED; below 0 it is 0.

    Products of the means of 8 × 8 blocks decide first.
    """

    name: str = "template"
    sees: str = "the same pixels"
    strict: float = 0.97

    def features(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Return RGB squares."""
        return np.stack([small(image, _SIDE, grey=False).ravel() for image in images])

    def describe(self, features: Features) -> NDArray[np.float32]:
        """Return the mean colour of 8 × 8 blocks."""
        return _block_sums(features) / np.float32(255 * (_SIDE // _BLOCKS) ** 2)

    def prepare(self, features: Features) -> Any:
        """Return pixels and their coordinates along blocks."""
        return tile_of(features.astype(np.float32), _block_sums(features) / np.float32(_SIDE // _BLOCKS))

    def compare(self, left: Any, right: Any, *, threshold: float, same: bool) -> Found:
        """Return the pairs that reach the threshold."""
        return compare_products(left, right, _similarity, threshold=threshold, same=same)


def _block_sums(features: Features) -> NDArray[np.float32]:
    step = _SIDE // _BLOCKS
    blocks = features.reshape(-1, _BLOCKS, step, _BLOCKS, step, 3).sum(axis=(2, 4), dtype=np.int64)
    return np.asarray(blocks.reshape(len(features), -1), dtype=np.float32)


def _similarity(products: Floats, one: Floats, other: Floats) -> Floats:
    norms = one * other
    difference = one**2 + other**2 - 2 * products
    black = np.where(one + other == 0, 1.0, 0.0)  # of two black images, and of one
    return np.where(norms > 0, np.clip(1 - difference / np.where(norms > 0, norms, 1), 0, 1), black)
