"""Leaderboard: partitions with their scores, one row each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.classes import encode
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOT_IN_NAME, Partition
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.reruns import Reruns
from veriwild_clustering.core.validation import check_known_names
from veriwild_clustering.evaluation.agreement import aligned, pairs_of_codes, pairwise_ari
from veriwild_clustering.evaluation.external import scores_of_codes
from veriwild_clustering.evaluation.internal import scores_in_spaces
from veriwild_clustering.evaluation.rendering import four_digits, in_words, styled
from veriwild_clustering.evaluation.trust.columns import trust_columns
from veriwild_clustering.evaluation.trust.explanations import SILHOUETTE_IN, explanation

__all__ = ["Leaderboard", "four_digits", "grids", "in_words", "leaderboard"]

_AGREEMENT_ROWS = 2000
_SIMILAR = 4 / 3

Grids = dict[tuple[str, str], dict[str, tuple[float, float]]]


@dataclass(frozen=True, eq=False, repr=False)
class Leaderboard:
    """Partitions with their scores.

    Parameters
    ----------
    table : DataFrame
        One row per partition. `leaderboard` says what the columns mean.
    partitions : list of Partition
        The partitions, in the order of the rows.
    agreement : array of shape (n_partitions, n_partitions), float64
        Adjusted Rand index of each two partitions.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, leaderboard
    >>> space = Descriptor("osnet", np.array([[0.0], [1.0], [10.0], [11.0]]))
    >>> board = leaderboard([Partition(labels, space, "by hand") for labels in ([0, 0, 1, 1], [0, 1, 1, 1])])
    >>> board
    Leaderboard(2 partitions, descriptors: osnet)
    >>> board.of("osnet").table[["n_clusters", "calinski_harabasz"]].round(1)
       n_clusters  calinski_harabasz
    0           2              200.0
    1           2                1.3
    """

    table: pd.DataFrame
    partitions: list[Partition]
    agreement: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.partitions)

    def __repr__(self) -> str:
        return f"Leaderboard({len(self)} partitions, descriptors: {', '.join(self.table['descriptor'].unique())})"

    def _repr_html_(self) -> str:
        return styled(self.table)

    def explain(self) -> pd.DataFrame:
        """Return what each column of the table says, in a line."""
        columns = list(map(str, self.table))
        return pd.DataFrame({"column": columns, "meaning": list(map(explanation, columns))})

    def of(self, descriptor: str) -> Leaderboard:
        """Return the leaderboard of one descriptor alone: agreement is then within that descriptor."""
        check_known_names("descriptor", [descriptor], list(self.table["descriptor"].unique()))
        kept = np.flatnonzero(self.table["descriptor"] == descriptor)
        table = self.table.iloc[kept].reset_index(drop=True)
        among = self.agreement[np.ix_(kept, kept)]
        return Leaderboard(table.assign(**_mean_agreements(table, among)), [self.partitions[i] for i in kept], among)


def leaderboard(
    partitions: Iterable[Partition],
    *,
    truth: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    reruns: Iterable[Reruns] = (),
    spaces: Iterable[Descriptor] = (),
    silhouette_sample: int = 2000,
    random_state: int = 0,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> Leaderboard:
    """Score partitions and put them side by side.

    Parameters
    ----------
    partitions : iterable of Partition
        Partitions of the same images, in any spaces.
    truth : array of shape (n_images,), optional
        Known classes; adds the columns of `external_scores`. They are for judging, never for choosing.
    groups : array of shape (n_images,), optional
        Images known to belong together, such as `vehicle_id`; adds `pair_share`, `pair_chance` and
        `pair_consistency`, which is corrected for chance.
    reruns : iterable of Reruns, optional
        What `rerun` found; adds the columns below. Several with the same change must be of different partitions.
    spaces : iterable of Descriptor, optional
        Spaces in which all partitions are scored beside their own; a `Dataset` is such an iterable. Adds
        `silhouette_in_<name>` of each: `cross_space_scores` has other metrics.
    silhouette_sample : int, default=2000
        Number of images over which the silhouette is the mean.
    random_state : int, default=0
        Seed of the draws of images for the silhouette and for agreement.
    n_jobs : int, optional
        Threads that score; by default as `joblib.parallel_config` says, else one.
    progress : bool, optional
        Whether to show a progress bar; by default in a terminal or a notebook.

    Returns
    -------
    Leaderboard
        Its table holds, per partition: `descriptor`, `algorithm`, `params`; `approximation`, empty where the algorithm
        ran exactly on all images; `n_clusters`, `smallest_cluster` and
        `largest_cluster` in images; `noise_fraction` beside `calinski_harabasz`, `davies_bouldin` and `silhouette`;
        `mean_agreement`, the mean ARI with all other partitions; `algorithm_agreement`, the mean ARI with
        partitions of the same descriptor by other algorithms that have between 3/4 and 4/3 as many clusters;
        scores against `groups` and `truth`; `at_grid_edge`, whether a swept numeric parameter has the least or
        the greatest of its values on the board; `seconds` that fitting took. What is not defined is NaN.
        `Leaderboard.explain` says each column in a line.

        Reruns add, on "half samples": `stability`, the mean ARI of the partition with what its algorithm finds in a
        random half of the images, `stability_low` and `stability_high`, the 95 % t interval of that mean, and
        `prediction_strength` [2]_; on "seeds": `seed_stability`; on "vehicles": `vehicle_stability`. On "gaussian":
        `null_calinski_harabasz`, `null_davies_bouldin` and `null_silhouette`, means of what the algorithm reaches where
        there are no clusters; `explained_share` of the variance, `null_explained_share`, its mean on null data, and
        `null_z`, by how many standard deviations the one surpasses the other; `structure`: "structure", "no structure"
        or, with reruns on "permuted columns" too, "weak structure" if there is no more than single columns account for.
        On "permuted columns": the same scores, `permuted_...`. NaN, in `structure` "", for a partition that did not
        run again, or fewer than six times on null data; stability is NaN for one of fewer than two clusters.

    Raises
    ------
    ValueError
        If there is no partition, they are not of as many images, `truth` or `groups` has another length, or two reruns
        changed the same in one partition.

    Notes
    -----
    Calinski–Harabasz, Davies–Bouldin and silhouette compare within one descriptor only; agreement, pair consistency
    and the scores against truth compare across descriptors. Agreement is measured on 2,000 images drawn at random,
    or on all if there are fewer, and partitions with fewer than two clusters have no voice in the means. The mean ARI
    with an ensemble is the criterion of the consensus partition [1]_.

    "structure" is said where the explained share surpasses its mean on null data by a quantile of Student's t at 10⁻⁴,
    and by 0.01 at least; by 0.25 where the algorithm finds no two clusters in some of the null data. Gaussian data of
    the same mean and covariance are as likely as the data, were these Gaussian [3]_, so no elongated cloud passes for
    clusters. "no structure" says that none is shown: an algorithm that varies much on null data needs more repeats.
    Data of one mode that are skewed or heavy-tailed are not Gaussian either: "weak structure" catches what is so along
    the columns, not what is so in all directions at once. Clusters that are not compact, such as rings, explain little.

    O(n_partitions * n_images * n_features) + O(n_partitions² * min(n_images, 2000)), and the former
    for each repeat on null data.

    References
    ----------
    .. [1] Strehl, A., & Ghosh, J. (2002). Cluster ensembles: a knowledge reuse framework for combining multiple
       partitions. JMLR, 3, 583–617. https://doi.org/10.1162/153244303321897735
    .. [2] Tibshirani, R., & Walther, G. (2005). Cluster validation by prediction strength. Journal of Computational
       and Graphical Statistics, 14(3), 511-528. https://doi.org/10.1198/106186005X59243
    .. [3] Langsrud, Ø. (2005). Rotation tests. Statistics and Computing, 15, 53-60.
       https://doi.org/10.1007/s11222-005-4789-5

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, leaderboard, sweep
    >>> points = np.concatenate([np.random.default_rng(i).normal(loc=9 * i, size=(20, 2)) for i in range(3)])
    >>> partitions = sweep(Descriptor("toy", points), {"kmeans": {"n_clusters": [2, 3, 4]}})
    >>> board = leaderboard(partitions, truth=np.repeat(["car", "bus", "van"], 20))
    >>> board.table[["params", "ari", "at_grid_edge"]].iloc[[1]]
             params  ari  at_grid_edge
    1  n_clusters=3  1.0         False
    """
    scored = aligned(partitions)
    classes = None if truth is None else encode("truth", truth, len(scored[0]))
    identities = None if groups is None else encode("groups", groups, len(scored[0]))
    score = partial(
        scores_in_spaces,
        silhouette_sample=silhouette_sample,
        random_state=random_state,
        n_jobs=n_jobs,
        progress=progress,
    )
    internal = score([(partition, partition.descriptor) for partition in scored])
    known = _known_scores(scored, classes, identities, n_jobs=n_jobs, progress=progress)
    table = pd.DataFrame([_row(*parts) for parts in zip(scored, internal, known, strict=True)])
    drawn = np.random.default_rng(random_state).permutation(len(scored[0]))[:_AGREEMENT_ROWS]
    among = pairwise_ari([partition.labels[drawn] for partition in scored])
    agreements = _mean_agreements(table, among)
    after = list(table).index("silhouette") + 1
    for place, (name, values) in enumerate(agreements.items(), start=after):
        table.insert(place, name, values)
    table = table.join(trust_columns(scored, list(reruns), random_state=random_state, n_jobs=n_jobs, progress=progress))
    for space in spaces:
        elsewhere = score([(partition, space) for partition in scored], metrics=["silhouette"])
        table[f"{SILHOUETTE_IN}{space.name}"] = [scores["silhouette"] for scores in elsewhere]
    return Leaderboard(table.assign(at_grid_edge=_at_grid_edge(scored), seconds=table.pop("seconds")), scored, among)


def grids(partitions: Iterable[Partition]) -> Grids:
    """Return the least and the greatest value of each swept numeric parameter, by (descriptor, algorithm)."""
    values: dict[tuple[str, str], dict[str, set[float]]] = {}
    for partition in partitions:
        swept = values.setdefault((partition.descriptor.name, partition.algorithm), {})
        for name, value in partition.params.items():
            # A seed has no order, so it has no edge either.
            if isinstance(value, (int, float)) and not isinstance(value, bool) and name != "random_state":
                swept.setdefault(name, set()).add(value)
    return {
        key: {name: (min(found), max(found)) for name, found in swept.items() if len(found) > 1}
        for key, swept in values.items()
    }


def _known_scores(
    partitions: list[Partition],
    classes: NDArray[np.int64] | None,
    identities: NDArray[np.int64] | None,
    *,
    n_jobs: int | None,
    progress: bool | None,
) -> list[dict[str, Any]]:
    """Return the scores of each partition against what is known of the images."""
    from joblib import Parallel, delayed

    if classes is None and identities is None:
        return [{} for _ in partitions]
    jobs = (delayed(_known_columns)(partition.labels, classes, identities) for partition in partitions)
    found = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(jobs)
    return list(track(found, description="comparing with what is known", total=len(partitions), show=progress))


def _known_columns(
    labels: NDArray[np.int32], classes: NDArray[np.int64] | None, identities: NDArray[np.int64] | None
) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if identities is not None:
        pairs = pairs_of_codes(labels, identities)
        columns |= {
            "pair_share": pairs["share"],
            "pair_chance": pairs["chance"],
            "pair_consistency": pairs["corrected"],
        }
    if classes is not None:
        columns |= scores_of_codes(labels, classes)
    return columns


def _row(partition: Partition, internal: dict[str, float], known: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that one partition gives on its own."""
    shown = {key: value for key, value in partition.params.items() if key not in NOT_IN_NAME}
    return {
        "descriptor": partition.descriptor.name,
        "algorithm": partition.algorithm,
        "params": ", ".join(f"{key}={value}" for key, value in shown.items()),
        "approximation": str(partition.params.get("approximation") or ""),
        "n_clusters": partition.n_clusters,
        "smallest_cluster": int(partition.sizes[-1]) if partition.n_clusters else 0,
        "largest_cluster": int(partition.sizes.max(initial=0)),
        "noise_fraction": partition.noise_fraction,
        **internal,
        **known,
        "seconds": partition.seconds,
    }


def _mean_agreements(table: pd.DataFrame, among: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the mean agreement of each partition with all others, and with its peers of other algorithms."""
    descriptor, algorithm = (table[name].to_numpy(dtype=object) for name in ("descriptor", "algorithm"))
    n_clusters = table["n_clusters"].to_numpy(dtype=float).clip(1)
    others = ~np.eye(len(table), dtype=bool) & (n_clusters >= 2)
    ratio = n_clusters[:, None] / n_clusters
    peers = (descriptor[:, None] == descriptor) & (algorithm[:, None] != algorithm)
    similar = (ratio <= _SIMILAR) & (ratio >= 1 / _SIMILAR)
    return {
        "mean_agreement": _row_means(among, others),
        "algorithm_agreement": _row_means(among, others & peers & similar),
    }


def _row_means(values: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean of the masked values of each row, NaN where there are none."""
    counts = mask.sum(axis=1)
    return np.where(counts, (values * mask).sum(axis=1) / np.maximum(counts, 1), np.nan)


def _at_grid_edge(partitions: list[Partition]) -> list[bool]:
    swept = grids(partitions)
    return [
        any(
            partition.params.get(name) in edges
            for name, edges in swept[partition.descriptor.name, partition.algorithm].items()
        )
        for partition in partitions
    ]
