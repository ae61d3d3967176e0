"""Choice: the best partition of a leaderboard without knowing the truth, and the reasons for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from veriwild_clustering.core.html import card
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_choice, check_int, check_known_names, check_real
from veriwild_clustering.evaluation.internal import INTERNAL_METRICS
from veriwild_clustering.evaluation.leaderboard import Leaderboard, four_digits, in_words
from veriwild_clustering.evaluation.reasons import why_first

__all__ = ["Choice", "choose", "rank_partitions"]

_CRITERIA = {"mean_agreement": "max", "algorithm_agreement": "max", "pair_consistency": "max", "silhouette": "max"}


@dataclass(frozen=True, eq=False, repr=False)
class Choice:
    """The partition that was chosen, and why.

    Parameters
    ----------
    partition : Partition
        The chosen partition.
    row : Series
        Its row of the leaderboard.
    ranking : DataFrame
        The ranking at whose head it stands, as `rank_partitions` gives it.
    reasons : list of str
        Sentences that say, with figures, why it was chosen and what to beware of.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, choose, leaderboard, sweep
    >>> points = np.concatenate([np.random.default_rng(i).normal(loc=9 * i, size=(20, 2)) for i in range(4)])
    >>> grid = {"kmeans": {"n_clusters": range(2, 8)}, "agglomerative": {"n_clusters": range(2, 8)}}
    >>> choice = choose(leaderboard(sweep(Descriptor("toy", points), grid)))
    >>> choice
    Choice('kmeans(n_clusters=4) on toy')
    >>> choice.reasons[2]
    'n_clusters = 4 lies inside the grid 2…7.'
    """

    partition: Partition
    row: pd.Series
    _: KW_ONLY
    ranking: pd.DataFrame
    reasons: list[str]

    def __repr__(self) -> str:
        return f"Choice({self.partition.name!r})"

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(reason)}</li>" for reason in self.reasons)
        head = self.ranking.head(5).drop(columns=["noise_fraction", "excluded"]).rename(columns=in_words)
        table = head.to_html(float_format=four_digits, na_rep="–", border=0)
        rows = {"clusters": self.partition.n_clusters, "noise": f"{self.partition.noise_fraction:.1%}"}
        return card(
            f"Choice: {self.partition.name}", rows, body=f'<ul>{items}</ul><div style="overflow-x:auto">{table}</div>'
        )


def rank_partitions(
    board: Leaderboard,
    *,
    max_noise: float = 0.3,
    min_clusters: int = 3,
    max_clusters: int = 50,
    min_size: int = 5,
    max_share: float = 0.8,
    criteria: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Rank the partitions of a leaderboard by several criteria, without knowing the truth.

    Parameters
    ----------
    board : Leaderboard
        The partitions with their scores.
    max_noise : float, default=0.3
        Greatest share of images that may be noise.
    min_clusters, max_clusters : int, default=3 and 50
        Fewest and most clusters.
    min_size : int, default=5
        Fewest images of a cluster.
    max_share : float, default=0.8
        Greatest share of the images that one cluster may hold.
    criteria : mapping of str to {"max", "min"}, optional
        Numeric columns of the leaderboard, each with the direction in which it is better. By default
        `mean_agreement`, `algorithm_agreement`, `pair_consistency` and `silhouette`, all "max", as far as the board
        has them. A column in which no partition has a value is left out.

    Returns
    -------
    DataFrame
        One row per partition, best first; the index is its row on the board. `score` (NaN beyond the limits),
        `descriptor`, `algorithm`, `params`, `n_clusters`, `noise_fraction`, `at_grid_edge`; for each criterion
        `<criterion>_standing`; and `excluded`, the limits that the partition is beyond, "" if none.

    Raises
    ------
    ValueError
        If a limit is not possible, or a criterion is no numeric column of the board.

    Notes
    -----
    The standing of a partition is the share of those within the limits that it surpasses, half of equals counted:
    from 0 to 1, and 0 where the criterion is not defined for it. The score is the mean standing, so no criterion wins
    by its scale (the Borda count).

    Internal metrics stand within their descriptor only, since their values in two spaces cannot be compared, and are
    credited for the clustered share of the images alone: silhouette and Calinski–Harabasz times (1 − noise),
    Davies–Bouldin divided by it. By its own maximum the Calinski–Harabasz index mostly picks the fewest clusters.

    The default asks one question per criterion. Do other partitions find the same groups (`mean_agreement`, which is
    highest neither for the coarsest nor for the finest)? Do other algorithms, with about as many clusters? Do
    images of one vehicle stay together? Are the clusters apart?

    O(n_partitions * n_criteria), beyond what the leaderboard has cost.

    References
    ----------
    .. [1] Strehl, A., & Ghosh, J. (2002). Cluster ensembles: a knowledge reuse framework for combining multiple
       partitions. JMLR, 3, 583–617. https://doi.org/10.1162/153244303321897735

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, leaderboard, rank_partitions, sweep
    >>> points = np.concatenate([np.random.default_rng(i).normal(loc=9 * i, size=(20, 2)) for i in range(4)])
    >>> board = leaderboard(sweep(Descriptor("toy", points), {"kmeans": {"n_clusters": [2, 3, 4, 5]}}))
    >>> rank_partitions(board, criteria={"silhouette": "max"})[["score", "params", "excluded"]].round(2)
       score        params                 excluded
    2   0.83  n_clusters=4
    3   0.50  n_clusters=5
    1   0.17  n_clusters=3
    0    NaN  n_clusters=2  fewer than 3 clusters
    """
    limits = _beyond_limits(
        board,
        max_noise=check_real("max_noise", max_noise, low=0, high=1),
        min_clusters=check_int("min_clusters", min_clusters, low=1),
        max_clusters=check_int("max_clusters", max_clusters, low=min_clusters),
        min_size=check_int("min_size", min_size, low=1),
        max_share=check_real("max_share", max_share, low=0, high=1),
    )
    excluded = [", ".join(limits.columns[beyond]) for beyond in limits.to_numpy()]
    within = ~limits.any(axis=1)
    standings = _standings(board.table[within], _checked(criteria, board.table))
    shown = ["descriptor", "algorithm", "params", "n_clusters", "noise_fraction", "at_grid_edge"]
    ranking = board.table[shown].join(standings).assign(excluded=excluded)
    ranking.insert(0, "score", standings.mean(axis=1).reindex(board.table.index))
    return ranking.sort_values("score", ascending=False, kind="stable", na_position="last")


def choose(board: Leaderboard, **limits: Any) -> Choice:
    """Choose the best partition of a leaderboard, without knowing the truth.

    Parameters
    ----------
    board : Leaderboard
        The partitions with their scores.
    **limits
        Limits and criteria of `rank_partitions`.

    Returns
    -------
    Choice
        The partition that `rank_partitions` puts first, with sentences that say why; one of them says whether it
        lies at the edge of its grid.

    Raises
    ------
    ValueError
        If every partition is beyond the limits, or what `rank_partitions` raises.

    See Also
    --------
    rank_partitions : The rule, its criteria and limits.

    Notes
    -----
    On several descriptors the choice is one of all; `choose(board.of("osnet"))` is that of one descriptor.
    O(n_partitions), beyond what the leaderboard has cost.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, choose, leaderboard, sweep
    >>> points = np.concatenate([np.random.default_rng(i).normal(loc=9 * i, size=(20, 2)) for i in range(4)])
    >>> board = leaderboard(sweep(Descriptor("toy", points), {"kmeans": {"n_clusters": range(2, 8)}}))
    >>> choose(board, min_clusters=4).partition.n_clusters
    4
    """
    ranking = rank_partitions(board, **limits)
    beyond = ranking.loc[ranking["excluded"] != "", "excluded"].str.split(", ").explode().value_counts()
    counts = "; ".join(f"{reason}: {count}" for reason, count in beyond.items())
    if ranking["score"].isna().all():
        raise ValueError(f"None of the {len(board)} partitions is within the limits ({counts}). Widen them.")
    best = int(ranking.index[0])
    reasons = why_first(board, ranking, limits=counts)
    return Choice(board.partitions[best], board.table.iloc[best], ranking=ranking, reasons=reasons)


def _beyond_limits(
    board: Leaderboard,
    *,
    max_noise: float,
    min_clusters: int,
    max_clusters: int,
    min_size: int,
    max_share: float,
) -> pd.DataFrame:
    """Return which partition is beyond which limit; the columns say the limits in words."""
    table, n_images = board.table, len(board.partitions[0])
    return pd.DataFrame(
        {
            f"more than {max_noise:.0%} noise": table["noise_fraction"] > max_noise,
            f"fewer than {min_clusters} clusters": table["n_clusters"] < min_clusters,
            f"more than {max_clusters} clusters": table["n_clusters"] > max_clusters,
            f"a cluster of fewer than {min_size} images": table["smallest_cluster"] < min_size,
            f"a cluster of more than {max_share:.0%} of the images": table["largest_cluster"] > max_share * n_images,
        }
    )


def _checked(criteria: Mapping[str, str] | None, table: pd.DataFrame) -> dict[str, str]:
    """Return the criteria that have values; by default those that the board has at all."""
    if criteria is None:
        wanted = {name: direction for name, direction in _CRITERIA.items() if name in table}
    else:
        wanted = dict(criteria)
        check_known_names("criterion", wanted, list(table.select_dtypes("number").columns))
        for name, direction in wanted.items():
            check_choice(f"criteria[{name!r}]", direction, ["max", "min"])
    defined = {name: direction for name, direction in wanted.items() if table[name].notna().any()}
    if not defined:
        raise ValueError(f"`criteria` must name at least one column that has values. Got {list(wanted)} instead.")
    return defined


def _standings(table: pd.DataFrame, criteria: Mapping[str, str]) -> pd.DataFrame:
    """Return, per criterion, the share of partitions that each surpasses, half of equals counted."""
    standings = {}
    for name, direction in criteria.items():
        values = table[name]
        spaces: Any = np.zeros(len(table))
        if name in INTERNAL_METRICS:
            clustered = 1 - table["noise_fraction"]
            values = values * clustered if direction == "max" else values / clustered
            spaces = table["descriptor"].to_numpy(dtype=object)
        among = values.groupby(spaces)
        places = (among.rank(ascending=direction == "max") - 0.5) / among.transform("count")
        standings[f"{name}_standing"] = places.fillna(0.0)
    return pd.DataFrame(standings, index=table.index)
