"""The columns of a leaderboard that reruns give, in the order of its partitions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.reruns import Reruns
from veriwild_clustering.evaluation.trust.nulls import NULL, null_columns
from veriwild_clustering.evaluation.trust.stability import STABILITY, stability_columns

__all__ = ["trust_columns"]

_ORDER = (*STABILITY, *NULL)


def trust_columns(
    partitions: Sequence[Partition],
    reruns: Sequence[Reruns],
    *,
    random_state: int,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return the columns of all reruns: NaN, or "" for text, where a partition was not among those that ran again."""
    _check(partitions, reruns)
    found, beyond = [], {}
    for on in sorted({one.on for one in reruns}, key=_ORDER.index):
        same = [one for one in reruns if one.on == on]
        found.append(_columns(partitions, same, random_state=random_state, n_jobs=n_jobs, progress=progress))
        if on in NULL:
            beyond[on] = found[-1].pop("beyond")
    if "gaussian" in beyond:
        found.append(_verdicts(beyond).rename("structure").to_frame())
    return pd.concat([pd.DataFrame(index=range(len(partitions))), *found], axis="columns")


def _columns(
    partitions: Sequence[Partition],
    reruns: Sequence[Reruns],
    *,
    random_state: int,
    n_jobs: int | None,
    progress: bool | None,
) -> pd.DataFrame:
    """Return the columns of reruns of one kind, a row per partition, missing where it did not run again."""
    places = [_places(partitions, one) for one in reruns]
    n_twice = np.count_nonzero(np.sum([place >= 0 for place in places], axis=0) > 1)
    if n_twice:
        raise ValueError(f"`reruns` on {reruns[0].on!r} must be of different partitions. Got {n_twice} of them twice.")
    parts = []
    for one, place in zip(reruns, places, strict=True):
        if one.on in STABILITY:
            columns = stability_columns(one)
        else:
            columns = null_columns(one, random_state=random_state, n_jobs=n_jobs, progress=progress)
        parts.append(columns.reindex(place).set_axis(range(len(partitions))))
    return reduce(lambda first, second: first.where(first.notna(), second), parts)


def _verdicts(beyond: dict[str, pd.Series]) -> pd.Series:
    """Say of each partition whether it shows more than Gaussian data do, and more than single coordinates explain."""
    words = beyond["gaussian"].map({1.0: "structure", 0.0: "no structure"}).fillna("")
    if "permuted columns" in beyond:
        words = words.mask((words == "structure") & (beyond["permuted columns"] == 0.0), "weak structure")
    return words


def _check(partitions: Sequence[Partition], reruns: Sequence[Reruns]) -> None:
    """Raise if one of the reruns is of other images."""
    for one in reruns:
        if len(one.partitions[0]) != len(partitions[0]):
            raise ValueError(
                f"`reruns` must be of the same images as the partitions, {len(partitions[0])}. "
                f"Got {len(one.partitions[0])} instead."
            )


def _places(partitions: Sequence[Partition], reruns: Reruns) -> NDArray[np.int64]:
    """Return the place of each partition among those that ran again, −1 where it is not."""
    known: dict[tuple[str, str, str], list[int]] = {}
    for place, partition in enumerate(reruns.partitions):
        known.setdefault(_key(partition), []).append(place)
    return np.array([_place(partition, reruns, known.get(_key(partition), [])) for partition in partitions])


def _place(partition: Partition, reruns: Reruns, candidates: Sequence[int]) -> int:
    same = (i for i in candidates if np.array_equal(reruns.partitions[i].labels, partition.labels))
    return next(same, -1)


def _key(partition: Partition) -> tuple[str, str, str]:
    return partition.descriptor.name, partition.algorithm, partition.settings
