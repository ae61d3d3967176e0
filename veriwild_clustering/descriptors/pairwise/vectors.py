"""Similarity of vectors of a descriptor: their cosine, or one that falls with their Euclidean distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.descriptors.pairwise.measure import Features, Found, TiledMeasure
from veriwild_clustering.descriptors.pairwise.products import Floats, compare_products, tile_of

__all__ = ["METRICS", "VectorSimilarity"]


@dataclass(frozen=True)
class VectorSimilarity(TiledMeasure):
    """The cosine of two vectors, negative ones 0; or 1 / (1 + their Euclidean distance)."""

    name: str
    metric: str = "cosine"
    strict: float = 0.95

    @property
    def sees(self) -> str:
        """What it tells apart."""
        return f"what {self.name} tells apart"

    def features(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Refuse: vectors come from a descriptor."""
        raise TypeError(f"{self.name!r} compares vectors of a descriptor, not {len(images)} images.")

    def describe(self, features: Features) -> NDArray[np.float32]:
        """Return the vectors."""
        return features

    def prepare(self, features: Features) -> Any:
        """Return the vectors with their norms."""
        return tile_of(np.asarray(features, dtype=np.float32))

    def compare(self, left: Any, right: Any, *, threshold: float, same: bool) -> Found:
        """Return the pairs that reach the threshold."""
        return compare_products(left, right, METRICS[self.metric], threshold=threshold, same=same)


def _cosine(products: Floats, one: Floats, other: Floats) -> Floats:
    norms = one * other
    nothing = np.where(one + other == 0, 1.0, 0.0)
    return np.where(norms > 0, np.clip(products / np.where(norms > 0, norms, 1), 0, 1), nothing)


def _euclidean(products: Floats, one: Floats, other: Floats) -> Floats:
    return np.asarray(1 / (1 + np.sqrt(np.maximum(one**2 + other**2 - 2 * products, 0))))


METRICS = {"cosine": _cosine, "euclidean": _euclidean}
