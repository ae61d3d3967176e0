"""Images that look alike, found by their perceptual hashes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int

__all__ = ["near_duplicates"]

_BITS = 64
_FEW = 64  # hashes among which splitting costs more than comparing all
_HASH = r"[0-9a-fA-F]{16}"


def near_duplicates(hashes: Sequence[str] | pd.Series, *, max_distance: int = 4) -> pd.DataFrame:
    """Find for each image the nearest of the earlier images that look like it.

    An image without an earlier look-alike, as the first of its kind, is not in the result: dropping the rows that are
    leaves one image of each kind, and their number is how many images repeat what others show.

    Parameters
    ----------
    hashes : sequence of str or Series of shape (n_images,)
        Perceptual hashes of 64 bits as 16 hex digits, column `phash` of `measure_images`. A missing hash is like none.
    max_distance : int, default=4
        In how many of the 64 bits two hashes may differ.

    Returns
    -------
    DataFrame
        One row per image with an earlier look-alike, in order: `row`; `other`, the earlier row at the smallest
        distance, of several the first; `distance`, the number of bits in which they differ.

    Raises
    ------
    ValueError
        If a hash is not 16 hex digits.

    Notes
    -----
    Exact. Equal hashes, which all images of a plain surface share, are settled by sorting. Two different hashes that
    differ in at most d bits agree in at least one of d + 1 bands of bits [1]_, so only hashes that agree in a band are
    compared; a large group of them is split in the same way by the bits that are left, as long as that saves work.
    Sorting is O(n_images log n_images); n different hashes with evenly spread bits take about
    n² (d + 1) / 2^(64 / (d + 1)) / 2 comparisons, and no more than n² / 2 however they crowd. Memory is O(n_images).

    Images without structure, dark or blurred ones, are alike in all that a hash sees, and so are photographs of one
    vehicle a moment apart: a look-alike is a candidate, not a proof.

    References
    ----------
    .. [1] Norouzi, M., Punjani, A. & Fleet, D. J. (2012). Fast search in Hamming space with multi-index hashing. CVPR.
       https://doi.org/10.1109/CVPR.2012.6248043

    Examples
    --------
    >>> from veriwild_clustering import near_duplicates
    >>> found = near_duplicates(["00000000000000ff", "8000000000000000", "00000000000000fe", None, "8000000000000000"])
    >>> print(found.to_string(index=False))
     row  other  distance
       2      0         1
       4      1         0
    """
    max_distance = check_int("max_distance", max_distance, low=0, high=_BITS)
    rows, codes = _codes(pd.Series(hashes, dtype="str"))
    kind, different = pd.factorize(codes)  # in the order in which they first occur
    first = np.unique(kind, return_index=True)[1]
    other, distance = first[kind], np.zeros(len(codes), dtype=np.int64)
    place, distance[first] = _nearest_earlier(different, max_distance)
    other[first] = np.where(place < 0, -1, first[place])
    found = other >= 0
    return pd.DataFrame({"row": rows[found], "other": rows[other[found]], "distance": distance[found]})


def _codes(hashes: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return which rows have a hash, and these hashes as numbers."""
    known = hashes.dropna()
    wrong = known[~known.str.fullmatch(_HASH)]
    if len(wrong):
        raise ValueError(f"`hashes` must be text of {_BITS // 4} hex digits each. Got {wrong.iloc[0]!r} instead.")
    return np.flatnonzero(hashes.notna()), np.array([int(text, 16) for text in known], dtype=np.uint64)


def _nearest_earlier(codes: NDArray[np.uint64], max_distance: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each of different codes the place of the nearest earlier one, -1 if none is near, and its distance."""
    n_codes = len(codes)
    best = np.full(n_codes, (max_distance + 1) * n_codes)  # distance * n_codes + place: the smaller the better
    if n_codes:
        _search(codes, np.arange(n_codes), np.arange(_BITS, dtype=np.uint64), n_bands=max_distance + 1, best=best)
    distance, place = np.divmod(best, max(1, n_codes))
    return np.where(distance > max_distance, -1, place), distance


def _search(
    codes: NDArray[np.uint64], members: NDArray[np.int64], bits: NDArray[np.uint64], *, n_bands: int, best: NDArray[Any]
) -> None:
    """Compare those members that agree in one of the bands into which the bits, all that they may differ in, fall."""
    bands = [bits[place::n_bands] for place in range(n_bands)]
    groups = [_agreeing(codes, members, band) for band in bands]
    if sum(float(sizes @ sizes) for _, sizes in groups) > len(members) ** 2 / 2:
        _compare(codes, members, np.array([len(members)]), best)
        return
    for band, (together, sizes) in zip(bands, groups, strict=True):
        many = sizes > _FEW
        _compare(codes, together[np.repeat(~many, sizes)], sizes[~many], best)
        for part in np.split(together[np.repeat(many, sizes)], np.cumsum(sizes[many]))[:-1]:
            _search(codes, part, np.setdiff1d(bits, band), n_bands=n_bands, best=best)


def _agreeing(
    codes: NDArray[np.uint64], members: NDArray[np.int64], band: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the members sorted into groups that agree in the bits of the band, each in order, and their sizes."""
    values = codes[members] & np.bitwise_or.reduce(np.uint64(1) << band, initial=np.uint64(0))
    order = np.argsort(values, kind="stable")
    return members[order], np.unique(values, return_counts=True)[1]


def _compare(
    codes: NDArray[np.uint64], members: NDArray[np.int64], sizes: NDArray[np.int64], best: NDArray[Any]
) -> None:
    """Compare all members of each group, which lie one behind the other, and note in `best` the best earlier ones."""
    rank = np.arange(len(members)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    later = np.arange(len(members))
    for step in range(1, sizes.max(initial=0)):
        later = later[rank[later] >= step]
        row, other = members[later], members[later - step]
        distance = np.bitwise_count(codes[row] ^ codes[other]).astype(np.int64)
        best[row] = np.minimum(best[row], distance * len(codes) + other)
