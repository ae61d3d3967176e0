"""Null baselines: how well an algorithm scores where there are no clusters, and whether a partition does better."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.reruns import Repeat, Reruns, by_space
from veriwild_clustering.descriptors.null_data import null_descriptor
from veriwild_clustering.evaluation.internal import scores_in_spaces

__all__ = ["NULL", "null_columns"]

NULL = {"gaussian": "null", "permuted columns": "permuted"}
"""Kinds of null data, with that with which the names of their columns begin."""

_LEVEL = 1e-4  # one-sided, per partition: boards have hundreds of rows, and a false alarm on any of them is one
_LEAST_REPEATS = 6  # of fewer the quantile of t is so far out that no structure would ever reach it
_LEAST_SPREAD = 0.001
_LEAST_UNEXPLAINED = 1e-9
_LEAST_EXCESS = 0.01
_LEAST_EXCESS_OF_RARE = 0.25
_SILHOUETTE_ROWS = 500


def null_columns(
    reruns: Reruns, *, random_state: int, n_jobs: int | None = None, progress: bool | None = None
) -> pd.DataFrame:
    """Return how the partitions compare with what their algorithms found in null data, and who is `beyond` it.

    A partition is judged by the share of the variance that its clusters explain: 0 where there are no two of them, so
    noise and failure have their place. It is compared as the logarithm of what is left unexplained, the gap statistic
    (Tibshirani et al. 2001, doi:10.1111/1467-9868.00293), since a share of 0.9 is further from 0.8 than 0.2 is from
    0.1. The threshold lies as many standard deviations from the mean over null data as a quantile of Student's t:
    Gaussian data are exchangeable with their null data. Where an algorithm finds nothing in some null data, chance
    finds are rare and large, their spread is not known from few repeats, and the share has to exceed the mean by 0.25.
    Fewer than six repeats do not tell: `beyond` is then missing.
    """
    from scipy.stats import t

    prefix, n_repeats = NULL[reruns.on], len(reruns)
    shown = track(reruns.repeats, description="scoring null data", show=progress)
    scores = partial(_scores, reruns, random_state=random_state, n_jobs=n_jobs)
    repeats = pd.concat([scores(repeat, on=reruns.on) for repeat in shown])
    own = scores(reruns.repeats[0], on=None)["explained_share"]
    by_partition = repeats.assign(unexplained=_log_unexplained(repeats["explained_share"])).groupby(level=0)
    means, spread = by_partition.mean(), by_partition["unexplained"].std() * np.sqrt(1 + 1 / n_repeats)
    z = (means["unexplained"] - _log_unexplained(own)) / spread.clip(lower=_LEAST_SPREAD)
    rare = by_partition["explained_share"].min() == 0
    enough = own - means["explained_share"] >= np.where(rare, _LEAST_EXCESS_OF_RARE, _LEAST_EXCESS)
    columns = means.drop(columns="unexplained").add_prefix(f"{prefix}_").assign(**{f"{prefix}_z": z})
    if reruns.on == "gaussian":
        columns.insert(0, "explained_share", own)
    beyond = (enough & (z >= t.ppf(1 - _LEVEL, n_repeats - 1))).astype(float)  # a number, so that it can be missing
    return columns.assign(beyond=beyond if n_repeats >= _LEAST_REPEATS else np.nan)


def _log_unexplained(shares: pd.Series) -> pd.Series:
    return np.log((1 - shares).clip(lower=_LEAST_UNEXPLAINED))


def _scores(reruns: Reruns, repeat: Repeat, *, on: str | None, random_state: int, n_jobs: int | None) -> pd.DataFrame:
    """Return the scores of what a repeat found in its null data; with `on` None, of the partitions on the same rows."""
    found: dict[int, dict[str, float]] = {}
    for whole, places in by_space(dict(enumerate(reruns.partitions))):
        if on is None:
            space, labels = whole.take(repeat.rows), [reruns.partitions[place].labels[repeat.rows] for place in places]
        else:
            space = null_descriptor(whole, on, rows=repeat.rows, random_state=repeat.seed)
            labels = [repeat.labels[place] for place in places]
        scores = _scores_of_space(space, labels, whole.n_valid, random_state=random_state, n_jobs=n_jobs)
        found.update(zip(places, scores, strict=True))
    return pd.DataFrame([found[place] for place in range(len(reruns.partitions))])


def _scores_of_space(
    space: Descriptor, labels: list[NDArray], n_all: int, *, random_state: int, n_jobs: int | None
) -> list[dict[str, float]]:
    """Return the internal scores and the explained share of each labelling."""
    partitions = [Partition(one, space, "again") for one in labels]
    scores = scores_in_spaces(
        [(partition, space) for partition in partitions],
        silhouette_sample=_SILHOUETTE_ROWS,
        random_state=random_state,
        n_jobs=n_jobs,
        progress=False,
    )
    return [
        row
        | {
            "explained_share": _explained_share(partition, row["calinski_harabasz"]),
            # It grows with the rows, so that of a sample is brought to all.
            "calinski_harabasz": row["calinski_harabasz"] * n_all / space.n_valid,
        }
        for partition, row in zip(partitions, scores, strict=True)
    ]


def _explained_share(partition: Partition, calinski_harabasz: float) -> float:
    """Return between-cluster over total variance, of the clustered rows, times their share of all usable ones."""
    if np.isnan(calinski_harabasz):
        return 0.0
    n_rows, n_clusters = int(partition.sizes.sum()), partition.n_clusters
    within = (n_rows - n_clusters) / (n_clusters - 1)
    return float(calinski_harabasz / (calinski_harabasz + within) * n_rows / partition.descriptor.n_valid)
