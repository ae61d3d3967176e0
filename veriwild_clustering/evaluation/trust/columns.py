"""The columns of a leaderboard that reruns give, in the order of its partitions."""

from __future__ import annotations

from collections.abc import Sequence

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
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return the columns of all reruns: NaN, or "" for text, where a partition was not among those that ran again."""
    _check(partitions, reruns)
    found, beyond = [], {}
    for one in sorted(reruns, key=lambda one: _ORDER.index(one.on)):
        is_real = one.on in STABILITY
        columns = stability_columns(one) if is_real else null_columns(one, n_jobs=n_jobs, progress=progress)
        found.append(columns.reindex(_places(partitions, one)).set_axis(range(len(partitions))))
        if not is_real:
            beyond[one.on] = found[-1].pop("beyond")
    if "gaussian" in beyond:
        found.append(_verdicts(beyond).rename("structure").to_frame())
    return pd.concat([pd.DataFrame(index=range(len(partitions))), *found], axis="columns")


def _verdicts(beyond: dict[str, pd.Series]) -> pd.Series:
    """Say of each partition whether it shows more than Gaussian data do, and more than single coordinates explain."""
    words = beyond["gaussian"].map({1.0: "structure", 0.0: "no structure"}).fillna("")
    if "permuted columns" in beyond:
        words = words.mask((words == "structure") & (beyond["permuted columns"] == 0.0), "weak structure")
    return words


def _check(partitions: Sequence[Partition], reruns: Sequence[Reruns]) -> None:
    """Raise if two reruns would give the same columns, or one is of other images."""
    on = [one.on for one in reruns]
    twice = sorted({one for one in on if on.count(one) > 1})
    if twice:
        raise ValueError(f"`reruns` must differ in what they changed. Got {', '.join(map(repr, twice))} twice.")
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
