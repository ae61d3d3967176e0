"""Pairs of short binary codes that differ in few bits, found without comparing all pairs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_BITS", "near_pairs", "pairs_within"]

MOST_BITS = 64
_FEW = 64  # codes among which splitting costs more than comparing all

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def near_pairs(codes: NDArray[np.uint64], *, max_distance: int) -> Iterator[Pairs]:
    """Yield, among others, every pair of different codes that differ in at most `max_distance` bits, and none twice.

    Pairs come in pieces of at most as many as there are codes: the later places, the earlier places, and the numbers of
    bits in which they differ. Two codes that differ in at most d bits agree in at least one of d + 1 bands of bits, so
    only codes that agree in a band are compared, and the first such band is where a pair counts. Pairs that are farther
    apart come too: the distance says.
    """
    if len(codes):
        bits = np.arange(MOST_BITS, dtype=np.uint64)
        yield from _search(codes, np.arange(len(codes)), bits, n_bands=max_distance + 1, differ=())


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
    codes: NDArray[np.uint64],
    members: NDArray[np.int64],
    bits: NDArray[np.uint64],
    *,
    n_bands: int,
    differ: tuple[np.uint64, ...],
) -> Iterator[Pairs]:
    """Yield pairs of members that agree in one of the bands into which the bits, all that they may differ in, fall.

    Those that agree in one of the masks `differ` are left out: they came with an earlier band.
    """
    bands = [_mask(bits[place::n_bands]) for place in range(n_bands)]
    groups = [_agreeing(codes, members, band) for band in bands]
    if sum(float(sizes @ sizes) for _, sizes in groups) > len(members) ** 2 / 2:
        yield from _compare(codes, members, np.array([len(members)]), differ)
        return
    for place, (together, sizes) in enumerate(groups):
        before = (*differ, *bands[:place])
        many = sizes > _FEW
        yield from _compare(codes, together[np.repeat(~many, sizes)], sizes[~many], before)
        left = bits[(bands[place] >> bits) & np.uint64(1) == 0]
        for part in np.split(together[np.repeat(many, sizes)], np.cumsum(sizes[many]))[:-1]:
            yield from _search(codes, part, left, n_bands=n_bands, differ=before)


def _mask(bits: NDArray[np.uint64]) -> np.uint64:
    return np.uint64(np.bitwise_or.reduce(np.uint64(1) << bits, initial=np.uint64(0)))


def _agreeing(
    codes: NDArray[np.uint64], members: NDArray[np.int64], band: np.uint64
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the members sorted into groups that agree in the bits of the band, each in order, and their sizes."""
    values = codes[members] & band
    order = np.argsort(values, kind="stable")
    return members[order], np.unique(values, return_counts=True)[1]


def _compare(
    codes: NDArray[np.uint64], members: NDArray[np.int64], sizes: NDArray[np.int64], differ: tuple[np.uint64, ...]
) -> Iterator[Pairs]:
    """Compare all members of each group and yield the pairs that differ within each of the masks."""
    for later, earlier in pairs_within(members, sizes):
        difference = codes[later] ^ codes[earlier]
        new = np.ones(len(later), dtype=bool)
        for mask in differ:
            new &= (difference & mask) != 0
        yield later[new], earlier[new], np.bitwise_count(difference[new]).astype(np.int64)
