"""Pairs of short binary codes that differ in few bits, found without comparing all pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_BITS", "Visit", "pairs_within", "visit_near"]

MOST_BITS = 64
_FEW = 64  # codes among which splitting costs more than comparing all

Visit = Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], None]
"""Takes the later places of pairs, the earlier places, and the numbers of bits in which they differ."""


def visit_near(codes: NDArray[np.uint64], *, max_distance: int, visit: Visit) -> None:
    """Visit, among others, every pair of different codes that differ in at most `max_distance` bits.

    Two codes that differ in at most d bits agree in at least one of d + 1 bands of bits, so only codes that agree in a
    band are compared. A pair may be visited more than once, and so may pairs that are farther apart: the distance says.
    """
    if len(codes):
        bits = np.arange(MOST_BITS, dtype=np.uint64)
        _search(codes, np.arange(len(codes)), bits, n_bands=max_distance + 1, visit=visit)


def pairs_within(
    members: NDArray[np.int64], sizes: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield all pairs of members of one group, the later and the earlier; groups lie one behind the other."""
    rank = np.arange(len(members)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    later = np.arange(len(members))
    for step in range(1, sizes.max(initial=0)):
        later = later[rank[later] >= step]
        yield members[later], members[later - step]


def _search(
    codes: NDArray[np.uint64], members: NDArray[np.int64], bits: NDArray[np.uint64], *, n_bands: int, visit: Visit
) -> None:
    """Visit pairs of members that agree in one of the bands into which the bits, all that they may differ in, fall."""
    bands = [bits[place::n_bands] for place in range(n_bands)]
    groups = [_agreeing(codes, members, band) for band in bands]
    if sum(float(sizes @ sizes) for _, sizes in groups) > len(members) ** 2 / 2:
        _compare(codes, members, np.array([len(members)]), visit)
        return
    for band, (together, sizes) in zip(bands, groups, strict=True):
        many = sizes > _FEW
        _compare(codes, together[np.repeat(~many, sizes)], sizes[~many], visit)
        for part in np.split(together[np.repeat(many, sizes)], np.cumsum(sizes[many]))[:-1]:
            _search(codes, part, np.setdiff1d(bits, band), n_bands=n_bands, visit=visit)


def _agreeing(
    codes: NDArray[np.uint64], members: NDArray[np.int64], band: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the members sorted into groups that agree in the bits of the band, each in order, and their sizes."""
    values = codes[members] & np.bitwise_or.reduce(np.uint64(1) << band, initial=np.uint64(0))
    order = np.argsort(values, kind="stable")
    return members[order], np.unique(values, return_counts=True)[1]


def _compare(codes: NDArray[np.uint64], members: NDArray[np.int64], sizes: NDArray[np.int64], visit: Visit) -> None:
    """Compare all members of each group and visit the pairs with their distances."""
    for row, other in pairs_within(members, sizes):
        visit(row, other, np.bitwise_count(codes[row] ^ codes[other]).astype(np.int64))
