"""Similarity of where corners lie: the Jaccard index of grid cells with a corner, estimated by MinHash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.vectors.hamming import pairs_within
from veriwild_clustering.descriptors.pairwise.measure import Features, Found, Rows, small

__all__ = ["CornerSimilarity"]

_N_HASHES = 128
_SIDE, _GRID = 128, 16
_N_CORNERS = 100
_KEPT_BITS = 2**24 - 1  # of each hash: what float32 holds exactly
_CHUNK = 2**16


@dataclass(frozen=True)
class CornerSimilarity:
    """The share of 128 MinHash values that agree; signatures that cannot agree in enough of them are not compared.

    The set of an image are the cells of a 16 × 16 grid that hold one of its 100 strongest Harris corners. An image
    without corners has nothing to compare.
    """

    name: str = "minhash"
    sees: str = "where corners lie"

    def features(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Return the MinHash signatures."""
        minhash = _minhash()
        empty = minhash(num_perm=_N_HASHES, seed=1)
        signatures = np.empty((len(images), _N_HASHES), dtype=np.uint32)
        for row, image in enumerate(images):
            empty.clear()
            empty.update_batch([int(cell).to_bytes(2, "little") for cell in _cells(image)])
            signatures[row] = empty.hashvalues & _KEPT_BITS
        return signatures

    def describe(self, features: Features) -> NDArray[np.float32]:
        """Return the signatures, NaN for an image without corners."""
        nothing = (features == _KEPT_BITS).all(axis=1)
        return np.where(nothing[:, None], np.float32("nan"), features.astype(np.float32))

    def pairs(self, features: Features, rows: Rows, *, threshold: float, tile: int, n_jobs: int) -> Iterator[Found]:
        """Yield all pairs that agree often enough: those that differ d times agree in one of d + 1 bands."""
        del tile, n_jobs  # half a KiB per image
        signatures = np.asarray(features[rows])
        needed = ceil(_N_HASHES * threshold - 1e-9)
        if needed == 0:
            yield from _matches(signatures, rows, np.arange(len(rows)), np.array([len(rows)]), needed=0, bands=None)
            return
        bands = np.array_split(np.arange(_N_HASHES), _N_HASHES - needed + 1)
        for place, band in enumerate(bands):
            _, value = np.unique(np.ascontiguousarray(signatures[:, band]), axis=0, return_inverse=True)
            order = np.argsort(value, kind="stable")
            sizes = np.bincount(value)
            many = sizes > 1
            members = order[np.repeat(many, sizes)]
            yield from _matches(signatures, rows, members, sizes[many], needed=needed, bands=bands[:place])


def _minhash() -> Any:
    try:
        from datasketch import MinHash
    except ImportError as error:
        raise ImportError("MinHash needs datasketch: pip install 'veriwild-clustering[vision]'.") from error
    return MinHash


def _matches(
    signatures: Features, rows: Rows, members: Rows, sizes: Rows, *, needed: int, bands: list[Rows] | None
) -> Iterator[Found]:
    """Yield the pairs within groups that agree often enough and did not come up in an earlier band."""
    for later, earlier in pairs_within(members, sizes):
        for start in range(0, len(later), _CHUNK):
            one, other = later[start : start + _CHUNK], earlier[start : start + _CHUNK]
            agree = signatures[one] == signatures[other]
            counts = agree.sum(axis=1)
            seen = np.zeros(len(one), dtype=bool)
            for band in bands or []:
                seen |= agree[:, band].all(axis=1)
            near = (counts >= needed) & ~seen
            yield Found(rows[one[near]], rows[other[near]], counts[near] / _N_HASHES, int((~seen).sum()))


def _cells(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the cells of the grid that hold one of the strongest corners."""
    import cv2

    grey = cv2.GaussianBlur(small(image, _SIDE, grey=True), (0, 0), 1.5)
    response = cv2.cornerHarris(grey, 2, 3, 0.04)
    peak = (response == cv2.dilate(response, np.ones((5, 5)))) & (response > 0.01 * max(float(response.max()), 1e-6))
    y, x = np.nonzero(peak)
    strongest = np.argsort(-response[y, x], kind="stable")[:_N_CORNERS]
    return np.unique(y[strongest] * _GRID // _SIDE * _GRID + x[strongest] * _GRID // _SIDE)
