"""Stability: how well partitions are found again in other rows and with other seeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.reruns import Repeat, Reruns
from veriwild_clustering.evaluation.agreement import pairwise_ari

__all__ = ["STABILITY", "prediction_strengths", "recoveries", "stability_columns"]

STABILITY = {"half samples": "stability", "seeds": "seed_stability", "vehicles": "vehicle_stability"}
"""What was changed, with the column that says how well the partition was found again."""

_LEVEL = 0.95


def stability_columns(reruns: Reruns) -> pd.DataFrame:
    """Return the columns that reruns on real data give, one row per partition of theirs."""
    found = recoveries(reruns)
    columns = {STABILITY[reruns.on]: found.mean(axis=1)}
    if reruns.on == "half samples":
        low, high = _interval(found)
        strengths = prediction_strengths(reruns).mean(axis=1)
        columns |= {"stability_low": low, "stability_high": high, "prediction_strength": strengths}
    return pd.DataFrame(columns)


def recoveries(reruns: Reruns) -> NDArray[np.float64]:
    """Return the adjusted Rand index of each partition with what each repeat found, on the rows of the repeat.

    Shape (n_partitions, n_repeats); NaN for a partition of fewer than two clusters, in which there is nothing to find.
    """
    found = np.full((len(reruns.partitions), len(reruns)), np.nan)
    for i, partition in enumerate(reruns.partitions):
        for j, repeat in enumerate(reruns.repeats):
            usable = partition.descriptor.valid[repeat.rows]
            if partition.n_clusters >= 2:
                pair = partition.labels[repeat.rows][usable], repeat.labels[i][usable]
                found[i, j] = pairwise_ari(pair)[0, 1]
    return found


def prediction_strengths(reruns: Reruns) -> NDArray[np.float64]:
    """Return the prediction strength of each partition's algorithm in each half, shape (n_partitions, n_halves).

    Of the pairs of rows that share a cluster of a half, it is the share that the clusters of the other half do not
    separate, in the cluster where it is least. Rows that these call noise are separated from all.
    """
    strengths = [
        [_strength(own, placed) for own, placed in zip(one.labels, other.placed, strict=True)]
        for one, other in _halves(reruns)
    ]
    several = np.array([partition.n_clusters >= 2 for partition in reruns.partitions])
    return np.where(several[:, None], np.array(strengths).T.reshape(len(several), -1), np.nan)


def _halves(reruns: Reruns) -> Iterator[tuple[Repeat, Repeat]]:
    """Yield each half of each split with the other one."""
    for one, other in zip(reruns.repeats[::2], reruns.repeats[1::2], strict=False):
        yield one, other
        yield other, one


def _strength(own: NDArray[Any], placed: NDArray[Any]) -> float:
    """Return the prediction strength of one labelling by another, 0 where it has fewer than two clusters."""
    clustered = own >= 0
    sizes = np.bincount(own[clustered], minlength=1)
    if len(sizes) < 2 or sizes.max() < 2:
        return 0.0
    kept = clustered & (placed >= 0)
    shared = np.zeros((len(sizes), int(placed.max(initial=0)) + 1))
    np.add.at(shared, (own[kept], placed[kept]), 1)
    together = (shared * (shared - 1)).sum(axis=1)
    several = sizes >= 2  # one image alone has nobody to be separated from
    return float((together[several] / (sizes * (sizes - 1))[several]).min())


def _interval(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the 95 % t interval of the mean of each row, within [−1, 1]."""
    from scipy.stats import t

    n_repeats = values.shape[1]
    width = t.ppf((1 + _LEVEL) / 2, n_repeats - 1) * values.std(axis=1, ddof=1) / np.sqrt(n_repeats)
    mean = values.mean(axis=1)
    return np.clip(mean - width, -1, 1), np.clip(mean + width, -1, 1)
