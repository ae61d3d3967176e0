"""Internal scores: how compact and how separate the clusters lie in a space."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.validation import check_int
from veriwild_clustering.core.vectors.blocks import release
from veriwild_clustering.evaluation.dispersion import calinski_harabasz, davies_bouldin, dispersions
from veriwild_clustering.evaluation.silhouette import silhouettes

__all__ = ["INTERNAL_METRICS", "internal_scores", "scores_in_spaces"]

INTERNAL_METRICS = ("calinski_harabasz", "davies_bouldin", "silhouette")

_JOB_PARTITIONS = 32


def internal_scores(
    partition: Partition,
    *,
    descriptor: Descriptor | None = None,
    silhouette_sample: int = 2000,
    random_state: int = 0,
) -> dict[str, float]:
    """Score how compact and separate the clusters of a partition lie in a space.

    Parameters
    ----------
    partition : Partition
        The partition to score.
    descriptor : Descriptor, optional
        The space to score it in; by default the one in which it was found.
    silhouette_sample : int, default=2000
        The silhouette is the mean over at most so many clustered images, drawn at random and the same for all
        partitions of as many images.
    random_state : int, default=0
        Seed of that draw.

    Returns
    -------
    dict of str to float
        `calinski_harabasz` (higher is better, no bound), `davies_bouldin` (lower is better, from 0) and
        `silhouette` (higher is better, from −1 to 1) over the clustered images with a usable vector;
        `noise_fraction` and `n_clusters` of the partition. A metric that is not defined (fewer than two clusters,
        or every image a cluster) is NaN.

    Raises
    ------
    ValueError
        If `descriptor` has another number of images than the partition.

    Notes
    -----
    Noise is left out of the three metrics, so they mean nothing without `noise_fraction`. Their values depend on
    the space: compare them between partitions of one space only. They equal scikit-learn's, computed in blocks of
    rows: O(n_images * n_features), and O(silhouette_sample² * n_features) for the silhouette. Many partitions of one
    space are scored faster together, by `leaderboard`.

    References
    ----------
    .. [1] Caliński, T., & Harabasz, J. (1974). A dendrite method for cluster analysis. Communications in Statistics,
       3(1), 1–27. https://doi.org/10.1080/03610927408827101
    .. [2] Davies, D. L., & Bouldin, D. W. (1979). A cluster separation measure. IEEE TPAMI, PAMI-1(2), 224–227.
       https://doi.org/10.1109/TPAMI.1979.4766909
    .. [3] Rousseeuw, P. J. (1987). Silhouettes: a graphical aid to the interpretation and validation of cluster
       analysis. Journal of Computational and Applied Mathematics, 20, 53–65.
       https://doi.org/10.1016/0377-0427(87)90125-7

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, internal_scores
    >>> space = Descriptor("toy", np.array([[0.0], [1.0], [10.0], [11.0], [99.0]]))
    >>> scores = internal_scores(Partition([0, 0, 1, 1, -1], space, "by hand"))
    >>> {name: round(value, 3) for name, value in scores.items()}
    {'calinski_harabasz': 200.0, 'davies_bouldin': 0.1, 'silhouette': 0.9, 'noise_fraction': 0.2, 'n_clusters': 2}
    """
    space = partition.descriptor if descriptor is None else descriptor
    (scores,) = scores_in_spaces(
        [(partition, space)], silhouette_sample=silhouette_sample, random_state=random_state, progress=False
    )
    return {**scores, "noise_fraction": partition.noise_fraction, "n_clusters": partition.n_clusters}


def scores_in_spaces(
    pairs: Sequence[tuple[Partition, Descriptor]],
    *,
    metrics: Collection[str] = INTERNAL_METRICS,
    silhouette_sample: int,
    random_state: int,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> list[dict[str, float]]:
    """Return the named metrics of each partition in its space; partitions in one space share what can be shared."""
    from joblib import Parallel, delayed

    n_drawn = check_int("silhouette_sample", silhouette_sample, low=2)
    by_space: dict[int, list[int]] = {}
    for index, (partition, space) in enumerate(pairs):
        if len(space) != len(partition):
            raise ValueError(
                f"`descriptor` must have one row per image of the partition, {len(partition)}. "
                f"Got {len(space)} instead."
            )
        by_space.setdefault(id(space), []).append(index)
    groups = [
        together[start : start + _JOB_PARTITIONS]
        for together in by_space.values()
        for start in range(0, len(together), _JOB_PARTITIONS)
    ]
    # Workers get no history of the space and no state of the partitions; a memory map travels as its path.
    bare = {id(space): Descriptor(space.name, space.vectors, space.valid) for _, space in pairs}
    jobs = (
        delayed(_group_scores)(
            bare[id(pairs[group[0]][1])],
            [pairs[index][0].labels for index in group],
            metrics=metrics,
            n_drawn=n_drawn,
            random_state=random_state,
        )
        for group in groups
    )
    finished = chain.from_iterable(Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(jobs))
    shown = track(finished, description="scoring", total=len(pairs), show=progress)
    scores = dict(zip(chain.from_iterable(groups), shown, strict=True))
    return [scores[index] for index in range(len(pairs))]


def _group_scores(
    space: Descriptor,
    labels: Sequence[NDArray[np.int32]],
    *,
    metrics: Collection[str],
    n_drawn: int,
    random_state: int,
) -> list[dict[str, float]]:
    """Return the named metrics of each labelling of the valid rows."""
    vectors, valid = space.vectors, space.valid
    columns: dict[str, list[float]] = {}
    if {"calinski_harabasz", "davies_bouldin"} & set(metrics):
        found = dispersions(vectors, valid, labels)
        columns["calinski_harabasz"] = [calinski_harabasz(one) for one in found]
        columns["davies_bouldin"] = [davies_bouldin(one) for one in found]
    if "silhouette" in metrics:
        scores = np.empty(len(labels))
        for indices, rows in _draws(valid, labels, n_drawn=n_drawn, random_state=random_state):
            drawn = vectors[rows].astype(np.float64)
            release(vectors)
            scores[indices] = silhouettes(drawn, [labels[i][rows] for i in indices])
        columns["silhouette"] = scores.tolist()
    return [{name: columns[name][i] for name in metrics} for i in range(len(labels))]


def _draws(
    valid: NDArray[np.bool_], labels: Sequence[NDArray[np.int32]], *, n_drawn: int, random_state: int
) -> Iterator[tuple[list[int], NDArray[np.int64]]]:
    """Yield the rows drawn, each time with the labellings that share them.

    Those of a labelling are its first clustered ones in a random order of all images: the same for all without noise.
    """
    order = np.argsort(np.random.default_rng(random_state).permutation(len(valid)))
    order = order[valid[order]]
    shared: dict[bytes, tuple[list[int], NDArray[np.int64]]] = {}
    for index, one in enumerate(labels):
        rows = np.sort(order[one[order] >= 0][:n_drawn])
        shared.setdefault(rows.tobytes(), ([], rows))[0].append(index)
    yield from shared.values()
