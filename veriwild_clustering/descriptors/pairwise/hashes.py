"""Similarity of perceptual hashes: the share of bits in which they agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.vectors.hamming import MOST_BITS, near_pairs
from veriwild_clustering.descriptors.extraction.handcrafted import HANDCRAFTED
from veriwild_clustering.descriptors.pairwise.measure import MOST_PAIRS, Features, Found, Rows

__all__ = ["HashSimilarity"]


@dataclass(frozen=True)
class HashSimilarity:
    """1 − the Hamming distance of two hashes / their bits; hashes that cannot be near are not compared."""

    name: str
    strict: float = 0.95

    @property
    def sees(self) -> str:
        """What it tells apart."""
        return HANDCRAFTED[self.name].sees

    @property
    def n_bits(self) -> int:
        """Length of the hash."""
        return HANDCRAFTED[self.name].n_features

    def features(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Return the hashes, one 64-bit number per image."""
        bits = np.zeros((len(images), MOST_BITS), dtype=bool)
        bits[:, : self.n_bits] = HANDCRAFTED[self.name](images) > 0
        return np.packbits(bits, axis=1, bitorder="little").view("<u8")

    def describe(self, features: Features) -> NDArray[np.float32]:
        """Return the bits of the hashes."""
        octets = np.ascontiguousarray(features, dtype="<u8").view(np.uint8)
        return np.unpackbits(octets, axis=1, bitorder="little")[:, : self.n_bits].astype(np.float32)

    def pairs(self, features: Features, rows: Rows, *, threshold: float, tile: int, n_jobs: int) -> Iterator[Found]:
        """Yield all pairs that agree in enough bits, by multi-index hashing."""
        del tile, n_jobs  # 8 bytes per image: all are searched at once
        codes = np.asarray(features[rows, 0], dtype=np.uint64)
        most = floor(self.n_bits * (1 - threshold) + 1e-9)
        kept: list[NDArray[np.int64]] = []
        n_kept = n_compared = 0
        for later, earlier, distance in near_pairs(codes, max_distance=most):
            n_compared += len(distance)
            near = distance <= most
            if not near.any():
                continue
            kept.append(np.stack([later[near], earlier[near], distance[near]]))
            n_kept += kept[-1].shape[1]
            if n_kept >= MOST_PAIRS:
                yield self._found(rows, kept, n_compared)
                kept, n_kept, n_compared = [], 0, 0
        yield self._found(rows, kept, n_compared)

    def _found(self, rows: Rows, kept: list[NDArray[np.int64]], n_compared: int) -> Found:
        later, earlier, distance = np.concatenate([np.empty((3, 0), np.int64), *kept], axis=1)
        return Found(rows[later], rows[earlier], 1 - distance / self.n_bits, n_compared)
