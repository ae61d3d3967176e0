"""Similarity of where corners lie: the Jaccard index of grid cells with a corner, estimated by MinHash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import ceil

import numpy as np
from numba import njit
from numpy.typing import NDArray

from veriwild_clustering.descriptors.pairwise.measure import Features, Found, Rows, small

__all__ = ["CornerSimilarity"]

_N_HASHES = 128
_SIDE, _GRID = 128, 16
_N_CORNERS = 100
_NO_HASH = 2**32 - 1  # of a set without cells
_KEPT_BITS = 2**24 - 1  # of each hash: what float32 holds exactly


@dataclass(frozen=True)
class CornerSimilarity:
    """The share of 128 MinHash values that agree; signatures that cannot agree in enough of them are not compared.

    The set of an image are the cells of a 16 × 16 grid that hold one of its 100 strongest Harris corners. An image
    without corners has nothing to compare.
    """

    name: str = "minhash"
    sees: str = "where corners lie"
    strict: float = 0.7

    def features(self, images: Sequence[NDArray[np.uint8]]) -> Features:
        """Return the MinHash signatures."""
        hashes = _cell_hashes()
        signatures = np.empty((len(images), _N_HASHES), dtype=np.uint32)
        for row, image in enumerate(images):
            signatures[row] = hashes[_cells(image)].min(axis=0, initial=_NO_HASH) & _KEPT_BITS
        return signatures

    def describe(self, features: Features) -> NDArray[np.float32]:
        """Return the signatures, NaN for an image without corners."""
        nothing = (features == _KEPT_BITS).all(axis=1)
        return np.where(nothing[:, None], np.float32("nan"), features.astype(np.float32))

    def pairs(self, features: Features, rows: Rows, *, threshold: float, tile: int, n_jobs: int) -> Iterator[Found]:
        """Yield all pairs that agree often enough: those that differ d times agree in one of d + 1 bands."""
        del tile, n_jobs  # half a KiB per image
        signatures = np.ascontiguousarray(features[rows])
        needed = ceil(_N_HASHES * threshold - 1e-9)
        edges = np.linspace(0, _N_HASHES, min(_N_HASHES, _N_HASHES - needed + 1) + 1).astype(np.int64)
        groups = [_agreeing(signatures[:, start:stop]) for start, stop in pairwise(edges)]
        if needed == 0 or sum(float(sizes @ sizes) for _, sizes in groups) > len(rows) ** 2 / 2:
            groups = [(np.arange(len(rows)), np.array([len(rows)]))]  # bands would spare nothing
        for place, (members, sizes) in enumerate(groups):
            starts = np.append(0, np.cumsum(sizes))
            one, other, counts, n_compared = _matches(signatures, members, starts, needed, edges[: place + 1])
            yield Found(rows[one], rows[other], counts / _N_HASHES, int(n_compared))


@cache
def _cell_hashes() -> NDArray[np.int64]:
    """Return the hashes of each cell: those of a set are the least of its cells'."""
    try:
        from datasketch import MinHash
    except ImportError as error:
        raise ImportError("MinHash needs datasketch: pip install 'veriwild-clustering[vision]'.") from error
    one = MinHash(num_perm=_N_HASHES, seed=1)
    hashes = np.empty((_GRID**2, _N_HASHES), dtype=np.int64)
    for cell, row in enumerate(hashes):
        one.clear()
        one.update_batch([cell.to_bytes(2, "little")])
        row[:] = one.hashvalues
    return hashes


def _agreeing(part: Features) -> tuple[Rows, Rows]:
    """Return the rows in groups that agree in all columns, those of one row left out, and the sizes of groups."""
    _, value = np.unique(np.ascontiguousarray(part), axis=0, return_inverse=True)
    sizes = np.bincount(value.ravel())
    order = np.argsort(value.ravel(), kind="stable")
    return order[np.repeat(sizes > 1, sizes)], sizes[sizes > 1]


@njit(nogil=True, cache=True)
def _matches(signatures, members, starts, needed, edges):  # type: ignore[no-untyped-def]
    """Return the pairs within groups that agree often enough and in no band before, and how many were compared."""
    rows, others, counts, n_compared = [0], [0], [0], 0
    for group in range(len(starts) - 1):
        for i in range(starts[group] + 1, starts[group + 1]):
            for j in range(starts[group], i):
                one, other = signatures[members[i]], signatures[members[j]]
                if _agree_before(one, other, edges):
                    continue
                n_compared += 1
                count = 0
                for k in range(len(one)):
                    count += one[k] == other[k]
                if count >= needed:
                    rows.append(members[i])
                    others.append(members[j])
                    counts.append(count)
    return np.array(rows[1:]), np.array(others[1:]), np.array(counts[1:]), n_compared


@njit(nogil=True, cache=True)
def _agree_before(one, other, edges):  # type: ignore[no-untyped-def]
    for band in range(len(edges) - 1):
        equal = True
        for k in range(edges[band], edges[band + 1]):
            if one[k] != other[k]:
                equal = False
                break
        if equal:
            return True
    return False


def _cells(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the cells of the grid that hold one of the strongest corners."""
    import cv2

    grey = cv2.GaussianBlur(small(image, _SIDE, grey=True), (0, 0), 1.5)
    response = cv2.cornerHarris(grey, 2, 3, 0.04)
    peak = (response == cv2.dilate(response, np.ones((5, 5)))) & (response > 0.01 * max(float(response.max()), 1e-6))
    y, x = np.nonzero(peak)
    strongest = np.argsort(-response[y, x], kind="stable")[:_N_CORNERS]
    return np.unique(y[strongest] * _GRID // _SIDE * _GRID + x[strongest] * _GRID // _SIDE)
