"""Partitions compared: with each other, in each other's spaces, and with images known to belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.classes import encode
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_choice
from veriwild_clustering.evaluation.contingency import MEASURES, Contingency
from veriwild_clustering.evaluation.internal import INTERNAL_METRICS, scores_in_spaces

__all__ = ["agreement", "aligned", "cross_space_scores", "pair_consistency", "pairs_of_codes", "pairwise_ari"]


def agreement(partitions: Iterable[Partition], *, metric: str = "ari") -> pd.DataFrame:
    """Return how much each two partitions agree.

    Parameters
    ----------
    partitions : iterable of Partition
        Partitions of the same images, in any spaces.
    metric : {"ari", "ami", "nmi", "v_measure"}, default="ari"
        The measure, as scikit-learn defines it; noise counts as one more cluster.

    Returns
    -------
    DataFrame of shape (n_partitions, n_partitions)
        Symmetric, 1 on the diagonal; rows and columns are the partitions' names.

    Raises
    ------
    ValueError
        If there is no partition, they are not of as many images, or the metric is not known.

    Notes
    -----
    Agreement does not depend on a space, so it compares partitions across descriptors. O(n_partitions² * n_images).

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, agreement
    >>> space = Descriptor("toy", np.eye(4))
    >>> agreement([Partition(labels, space, str(labels)) for labels in ([0, 0, 1, 1], [1, 1, 0, 0])]).to_numpy()
    array([[1., 1.],
           [1., 1.]])
    """
    check_choice("metric", metric, list(MEASURES))
    compared = aligned(partitions)
    names = [partition.name for partition in compared]
    values = np.eye(len(compared))
    for i, one in enumerate(compared):
        for j, other in enumerate(compared[:i]):
            values[i, j] = values[j, i] = MEASURES[metric](Contingency(one.labels + 1, other.labels + 1))
    return pd.DataFrame(values, index=names, columns=names)


def cross_space_scores(
    partitions: Iterable[Partition],
    descriptors: Iterable[Descriptor],
    *,
    metric: str = "silhouette",
    silhouette_sample: int = 2000,
    random_state: int = 0,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Score each partition in the space of each descriptor.

    Read it **down a column only**: one column is one space, in which all partitions are measured alike. Values of
    different columns say nothing about each other.

    Parameters
    ----------
    partitions : iterable of Partition
        Partitions of the same images.
    descriptors : iterable of Descriptor
        The spaces; a `Dataset` is such an iterable.
    metric : {"calinski_harabasz", "davies_bouldin", "silhouette"}, default="silhouette"
        The internal metric.
    silhouette_sample : int, default=2000
        Number of images over which the silhouette is the mean.
    random_state : int, default=0
        Seed of their draw.
    n_jobs : int, optional
        Threads that score; by default as `joblib.parallel_config` says, else one.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal or a notebook.

    Returns
    -------
    DataFrame of shape (n_partitions, 1 + n_descriptors)
        `noise_fraction`, which the metric leaves out, and one column per descriptor; rows are the partitions' names.

    Raises
    ------
    ValueError
        If there is no partition, the numbers of images differ, or the metric is not known.

    See Also
    --------
    internal_scores : All metrics of one partition in one space.

    Notes
    -----
    O(n_partitions * n_images * n_features) for each descriptor.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, cross_space_scores
    >>> line, mixed = (Descriptor(name, np.array(x)) for name, x in (("line", [[0.], [1], [8], [9]]),
    ...                                                              ("mixed", [[0.], [8], [1], [9]])))
    >>> cross_space_scores([Partition([0, 0, 1, 1], line, "by hand")], [line, mixed]).round(2)
                     noise_fraction  line  mixed
    by hand() on line           0.0  0.87  -0.44
    """
    check_choice("metric", metric, list(INTERNAL_METRICS))
    compared, spaces = aligned(partitions), list(descriptors)
    pairs = [(partition, space) for space in spaces for partition in compared]
    scores = scores_in_spaces(
        pairs,
        metrics=(metric,),
        silhouette_sample=silhouette_sample,
        random_state=random_state,
        n_jobs=n_jobs,
        progress=progress,
    )
    values = np.array([score[metric] for score in scores]).reshape(len(spaces), len(compared))
    table = pd.DataFrame({"noise_fraction": [partition.noise_fraction for partition in compared]})
    table = table.assign(**{space.name: column for space, column in zip(spaces, values, strict=True)})
    return table.set_axis([partition.name for partition in compared])


def pair_consistency(partition: Partition, groups: ArrayLike) -> dict[str, float]:
    """Return how often two images of one group, such as one vehicle, share a cluster.

    Parameters
    ----------
    partition : Partition
        The partition to judge.
    groups : array of shape (n_images,)
        The group of each image, such as `vehicle_id`; images without one (NaN, None or "") are left out.

    Returns
    -------
    dict of str to float
        `share`, the share of pairs within a group that share a cluster; `chance`, the same share among all pairs of
        images; `corrected`, (share − chance) / (1 − chance), 1 where no group is split, 0 on average for labels by
        chance; `n_pairs`, the number of pairs within a group. NaN where there is no such pair, and `corrected` also
        where chance is 1.

    Raises
    ------
    ValueError
        If `groups` does not have one entry per image.

    Notes
    -----
    An image that is noise shares a cluster with nobody, not even with other noise. Counted exactly, without
    listing pairs: O(n_images log n_images). Coarse partitions split few pairs, so this is a limit to hold rather
    than a score to maximise on its own.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, pair_consistency
    >>> partition = Partition([0, 0, 1, 1], Descriptor("toy", np.eye(4)), "by hand")
    >>> pair_consistency(partition, ["00001", "00001", "00002", "00002"])["corrected"]
    1.0
    """
    return pairs_of_codes(partition.labels, encode("groups", groups, len(partition)))


def aligned(partitions: Iterable[Partition]) -> list[Partition]:
    """Return the partitions as a list, or raise if there is none or they are of different numbers of images."""
    listed = list(partitions)
    if not listed:
        raise ValueError("`partitions` must hold at least one Partition. Got none instead.")
    sizes = {len(partition) for partition in listed}
    if len(sizes) > 1:
        raise ValueError(f"`partitions` must be of the same images. Got {sorted(sizes)} images instead.")
    return listed


def pairs_of_codes(labels: NDArray[np.int32], codes: NDArray[np.int64]) -> dict[str, float]:
    """Return the pair consistency of `labels` within encoded groups."""
    known = codes >= 0
    groups, clusters = codes[known], labels[known].astype(np.int64)
    firm = clusters >= 0
    _, cells = np.unique(groups[firm] * (1 + clusters.max(initial=0)) + clusters[firm], return_counts=True)
    n_pairs = _n_pairs(np.bincount(groups))
    n_all = _n_pairs(np.array([len(groups)]))
    if n_pairs == 0:
        return {"share": np.nan, "chance": np.nan, "corrected": np.nan, "n_pairs": 0}
    share = _n_pairs(cells) / n_pairs
    chance = _n_pairs(np.bincount(clusters[firm])) / n_all
    corrected = (share - chance) / (1 - chance) if chance < 1 else np.nan
    return {"share": share, "chance": chance, "corrected": corrected, "n_pairs": n_pairs}


def pairwise_ari(labels: Sequence[NDArray[np.int32]]) -> NDArray[np.float64]:
    """Return the adjusted Rand index of each two label vectors; noise counts as one more cluster.

    Many pairs of few rows: counts of cells alone, without a table for each pair.
    """
    n_rows, filled = len(labels[0]), [np.unique(one, return_inverse=True)[1] for one in labels]
    squares = np.zeros((len(filled), len(filled)))
    for i, one in enumerate(filled):
        for j, other in enumerate(filled[: i + 1]):
            squares[i, j] = squares[j, i] = _sum_of_squares(one, other)
    together = (squares - n_rows) / 2
    own = np.diag(together)
    expected = np.outer(own, own / max(1, n_rows * (n_rows - 1) / 2))
    room = (own[:, None] + own[None]) / 2 - expected
    # No room means two partitions that are both one cluster, or both all singletons: they agree.
    return np.where(room == 0, 1.0, (together - expected) / np.where(room == 0, 1.0, room))


def _sum_of_squares(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    """Return the sum of the squared numbers of rows that each two labels share."""
    n_second = int(second.max(initial=0)) + 1
    cells = first * n_second + second
    few = (int(first.max(initial=0)) + 1) * n_second <= 4 * len(cells)
    counts = np.bincount(cells) if few else np.unique(cells, return_counts=True)[1]
    return int(counts @ counts)


def _n_pairs(counts: NDArray[np.int64]) -> int:
    return int((counts * (counts - 1) // 2).sum())
