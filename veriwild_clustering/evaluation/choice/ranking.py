"""Ranking: the partitions of a leaderboard by a rule, those beyond the limits last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from veriwild_clustering.core.validation import check_choice, check_int, check_known_names, check_real
from veriwild_clustering.evaluation.choice.evidence import IN_SPACE, evidence
from veriwild_clustering.evaluation.choice.rules import COMBINED, Rule, rule_for
from veriwild_clustering.evaluation.leaderboard import Leaderboard

__all__ = ["NO_STRUCTURE", "rank_partitions", "standing_columns"]

NO_STRUCTURE = "no structure beyond Gaussian data"
_STANDING = "_standing"


def rank_partitions(
    board: Leaderboard,
    *,
    rule: str = COMBINED,
    level: float | None = None,
    criteria: Mapping[str, str] | None = None,
    max_noise: float = 0.3,
    min_clusters: int = 3,
    max_clusters: int = 50,
    min_size: int = 5,
    max_share: float = 0.8,
) -> pd.DataFrame:
    """Rank the partitions of a leaderboard by a rule, without knowing the truth.

    Parameters
    ----------
    board : Leaderboard
        The partitions with their scores.
    rule : str, default="combined"
        One of `choice_rules`.
    level : float, optional
        What a rule that looks for the finest partition asks of its column; by default as `choice_rules` says.
    criteria : mapping of str to {"max", "min"}, optional
        A rule of your own: numeric columns of the leaderboard, each with the direction in which it is better. A column
        in which no partition has a value is left out.
    max_noise : float, default=0.3
        Greatest share of images that may be noise.
    min_clusters, max_clusters : int, default=3 and 50
        Fewest and most clusters.
    min_size : int, default=5
        Fewest images of a cluster.
    max_share : float, default=0.8
        Greatest share of the images that one cluster may hold.

    Returns
    -------
    DataFrame
        One row per partition, best first; the index is its row on the board. `score` (NaN beyond the limits),
        `descriptor`, `algorithm`, `params`, `n_clusters`, `noise_fraction`, `at_grid_edge`; for each criterion
        `<criterion>_standing`; and `excluded`, the limits that the partition is beyond, "" if none.

    Raises
    ------
    ValueError
        If a limit is not possible, the board lacks what the rule needs, or a criterion is no numeric column.

    See Also
    --------
    choice_rules : The rules, each with its meaning and source.
    regret : What each of them loses where the truth is known.

    Notes
    -----
    The standing of a partition is the share of those within the limits that it surpasses, half of equals counted:
    from 0 to 1, and 0 where the criterion is not defined for it. The score is the mean standing, so no criterion wins
    by its scale (the Borda count). Of equal scores the higher mean agreement goes first.

    Internal metrics stand within their descriptor only, since their values in two spaces cannot be compared, and are
    credited for the clustered share of the images alone: silhouette and Calinski–Harabasz times (1 − noise),
    Davies–Bouldin divided by it. By its own maximum the Calinski–Harabasz index mostly picks the fewest clusters.

    The combined rule asks what a clustering tells of an image and whether that holds [1]_: a finer one tells more
    bits, but only those count that are found again. An image keeps its cluster in another half of the images with
    probability s (`stability`), in another image of the same vehicle with v (`pair_consistency`), both corrected for
    chance; what gets through both is the information of a channel that passes s v of the letters. Vehicles have no
    voice where no partition has v ≥ 0.5, since the descriptor then shows something else; the silhouette stands in for
    them. Without stability on the board, agreement with other partitions and algorithms, vehicles and the silhouette
    have equal voices. Partitions of "no structure" are beyond the limits, unless all are.

    A rule that looks for the finest partition puts those that miss its level behind all others, the nearest first.

    O(n_partitions * n_criteria), beyond what the leaderboard has cost.

    References
    ----------
    .. [1] Buhmann, J. M. (2010). Information theoretic model validation for clustering. IEEE International Symposium
       on Information Theory, 1398–1402. https://doi.org/10.1109/ISIT.2010.5513616

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, leaderboard, rank_partitions, sweep
    >>> points = np.concatenate([np.random.default_rng(i).normal(loc=9 * i, size=(20, 2)) for i in range(4)])
    >>> board = leaderboard(sweep(Descriptor("toy", points), {"kmeans": {"n_clusters": [2, 3, 4, 5]}}))
    >>> rank_partitions(board, rule="silhouette")[["score", "params", "excluded"]].round(2)
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
    found = evidence(board)
    followed = rule_for(rule, found) if criteria is None else _own_rule(rule, criteria, found)
    within = ~limits.any(axis=1)
    standings = _standings(found[within], followed, level)
    shown = ["descriptor", "algorithm", "params", "n_clusters", "noise_fraction", "at_grid_edge"]
    ranking = board.table[shown].join(standings)
    ranking["excluded"] = [", ".join(limits.columns[beyond]) for beyond in limits.to_numpy()]
    # Rounded, since equal standings in another order add up to another last digit.
    ranking.insert(0, "score", standings.mean(axis=1).round(12).reindex(board.table.index))
    order = ranking[["score"]].assign(tie=board.table["mean_agreement"])
    return ranking.loc[order.sort_values(["score", "tie"], ascending=False, kind="stable").index]


def standing_columns(ranking: pd.DataFrame) -> list[str]:
    """Return the criteria of a ranking."""
    return [name.removesuffix(_STANDING) for name in map(str, ranking) if name.endswith(_STANDING)]


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
    limits = pd.DataFrame(
        {
            f"more than {max_noise:.0%} noise": table["noise_fraction"] > max_noise,
            f"fewer than {min_clusters} clusters": table["n_clusters"] < min_clusters,
            f"more than {max_clusters} clusters": table["n_clusters"] > max_clusters,
            f"a cluster of fewer than {min_size} images": table["smallest_cluster"] < min_size,
            f"a cluster of more than {max_share:.0%} of the images": table["largest_cluster"] > max_share * n_images,
        }
    )
    if "structure" in table:
        none = table["structure"] == "no structure"
        if not none[~limits.any(axis=1)].all():
            limits[NO_STRUCTURE] = none
    return limits


def _own_rule(name: str, criteria: Mapping[str, str], found: pd.DataFrame) -> Rule:
    """Return the rule that the criteria of the caller make, those without any value left out."""
    if name != COMBINED:
        raise ValueError(f"`criteria` are a rule of their own. Got `rule` = {name!r} as well.")
    check_known_names("criterion", criteria, list(found.select_dtypes("number").columns))
    for column, direction in criteria.items():
        check_choice(f"criteria[{column!r}]", direction, ["max", "min"])
    defined = {column: direction for column, direction in criteria.items() if found[column].notna().any()}
    if not defined:
        raise ValueError(f"`criteria` must name at least one column that has values. Got {list(criteria)} instead.")
    return Rule("the highest mean standing by the given criteria", criteria=defined)


def _standings(found: pd.DataFrame, rule: Rule, level: float | None) -> pd.DataFrame:
    """Return, per criterion, the share of partitions that each surpasses, half of equals counted."""
    if rule.finest:
        asked = rule.level if level is None else check_real("level", level, low=-1, high=1)
        # Levels and values are at most 1, so what misses the level comes behind whatever reaches it.
        reached = found["n_clusters"].where(found[rule.finest] >= asked, found[rule.finest] - 2)
        return pd.DataFrame({f"{rule.finest}{_STANDING}": _places(reached, np.zeros(len(found)))})
    if level is not None:
        raise ValueError(f"`level` is for rules that look for the finest partition. Got {level!r} with another rule.")
    standings = {}
    for name, direction in rule.criteria.items():
        values, spaces = found[name], np.zeros(len(found))
        if name in IN_SPACE:
            clustered = 1 - found["noise_fraction"]
            values = values * clustered if direction == "max" else values / clustered
            spaces = found["descriptor"].to_numpy(dtype=object)
        standings[f"{name}{_STANDING}"] = _places(values if direction == "max" else -values, spaces)
    return pd.DataFrame(standings, index=found.index)


def _places(values: pd.Series, spaces: Any) -> pd.Series:
    """Return the share of those in its space that each surpasses, 0 where it has no value."""
    among = values.groupby(spaces)
    return ((among.rank() - 0.5) / among.transform("count")).fillna(0.0)
