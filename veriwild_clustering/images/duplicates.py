"""Images that look alike, found by their perceptual hashes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.partition import canonical_labels
from veriwild_clustering.core.validation import check_int
from veriwild_clustering.core.vectors.hamming import near_pairs
from veriwild_clustering.core.vectors.links import Links

__all__ = ["near_duplicate_groups", "near_duplicates"]

_BITS = 64
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


def near_duplicate_groups(hashes: Sequence[str] | pd.Series, *, max_distance: int = 4) -> pd.DataFrame:
    """Group images that look alike: two are in one group if a chain of look-alikes leads from one to the other.

    Parameters
    ----------
    hashes : sequence of str or Series of shape (n_images,)
        Perceptual hashes of 64 bits as 16 hex digits, column `phash` of `measure_images`. A missing hash is like none.
    max_distance : int, default=4
        In how many of the 64 bits two hashes may differ that follow each other in a chain.

    Returns
    -------
    DataFrame
        One row per image that has a look-alike: `group`, 0 the largest and of equal ones the first to appear; `size`,
        how many images the group has; `row`. By group and row.

    Raises
    ------
    ValueError
        If a hash is not 16 hex digits.

    Notes
    -----
    The connected components of all pairs of look-alikes, not only of the nearest that `near_duplicates` gives, which
    may leave a chain in two parts. Exact, at the cost of `near_duplicates`; memory is O(n_images).

    A chain may be long: the ends of a group can look different. Images without structure, dark or blurred ones, tend to
    be one large group.

    Examples
    --------
    >>> from veriwild_clustering.images.duplicates import near_duplicate_groups
    >>> kinds = ["00000000000000ff", "8000000000000000", "00000000000000fe", "00000000000000f0"]
    >>> hashes = [kinds[0], kinds[1], kinds[2], None, kinds[1], kinds[3]]
    >>> print(near_duplicate_groups(hashes).to_string(index=False))
     group  size  row
         0     3    0
         0     3    2
         0     3    5
         1     2    1
         1     2    4
    """
    max_distance = check_int("max_distance", max_distance, low=0, high=_BITS)
    rows, codes = _codes(pd.Series(hashes, dtype="str"))
    kind, different = pd.factorize(codes)
    links = Links(len(different))
    for later, earlier, distance in near_pairs(different, max_distance=max_distance):
        near = distance <= max_distance
        links.add(later[near], earlier[near])
    group, _ = canonical_labels(links.components()[kind])
    size = np.bincount(group)[group]
    table = pd.DataFrame({"group": group.astype(np.int64), "size": size, "row": rows})
    return table[size > 1].sort_values(["group", "row"], ignore_index=True)


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
    for later, earlier, apart in near_pairs(codes, max_distance=max_distance):  # in a piece, each is later once
        best[later] = np.minimum(best[later], apart * n_codes + earlier)
    distance, place = np.divmod(best, max(1, n_codes))
    return np.where(distance > max_distance, -1, place), distance
