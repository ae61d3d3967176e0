"""Choosing: the best partition of a leaderboard without knowing the truth, and the reasons for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from html import escape
from typing import Any

import pandas as pd

from veriwild_clustering.core.html import card
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.evaluation.choice.evidence import evidence
from veriwild_clustering.evaluation.choice.ranking import rank_partitions
from veriwild_clustering.evaluation.choice.reasons import why_first
from veriwild_clustering.evaluation.choice.rules import COMBINED, rules_for
from veriwild_clustering.evaluation.leaderboard import Leaderboard, four_digits, in_words

__all__ = ["Choice", "choose", "limits_of", "picks_of_rules"]

_OF_ONE_RULE = {"rule", "level", "criteria"}
_SCROLLS = '<div style="overflow-x:auto"><p>{}</p>{}</div>'


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
    picks : DataFrame
        What each rule of `choice_rules` for which there is evidence puts first within the same limits, one row each,
        the index is the rule: `row` on the board, `descriptor`, `algorithm`, `params`, `n_clusters` and `agreement`,
        the ARI with the choice.
    reasons : list of str
        Sentences that say, with figures, why it was chosen and what to beware of.
    params : mapping
        The rule and the limits.

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
    picks: pd.DataFrame
    reasons: list[str]
    params: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Choice({self.partition.name!r})"

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(reason)}</li>" for reason in self.reasons)
        head = self.ranking.head(5).drop(columns=["noise_fraction", "excluded"]).rename(columns=in_words)
        picks = self.picks.drop(columns="row").rename(columns=in_words).rename_axis(None)
        tables = {"The head of the ranking:": head, "What each rule would have chosen:": picks}
        shown = "".join(
            _SCROLLS.format(title, table.to_html(float_format=four_digits, na_rep="–", border=0))
            for title, table in tables.items()
        )
        rows = {
            "clusters": self.partition.n_clusters,
            "noise": f"{self.partition.noise_fraction:.1%}",
            "rule": "the given criteria" if self.params.get("criteria") else self.params["rule"],
        }
        return card(f"Choice: {self.partition.name}", rows, body=f"<ul>{items}</ul>{shown}")


def choose(board: Leaderboard, *, rule: str = COMBINED, **limits: Any) -> Choice:
    """Choose the best partition of a leaderboard, without knowing the truth.

    Parameters
    ----------
    board : Leaderboard
        The partitions with their scores. The default rule is best with `reruns` on half samples and `groups`.
    rule : str, default="combined"
        One of `choice_rules`.
    **limits
        Limits, level and criteria of `rank_partitions`.

    Returns
    -------
    Choice
        The partition that `rank_partitions` puts first, with sentences that say why; one of them says whether it
        lies at the edge of its grid, another what other rules would have chosen.

    Raises
    ------
    ValueError
        If every partition is beyond the limits, or what `rank_partitions` raises.

    See Also
    --------
    rank_partitions : The rules, criteria and limits.
    plot_choice : The evidence as a figure.

    Notes
    -----
    On several descriptors the choice is one of all; `choose(board.of("osnet"))` is that of one descriptor.
    O(n_partitions), beyond what the leaderboard has cost.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, choose, leaderboard, rerun, sweep
    >>> points = np.concatenate([np.random.default_rng(i).normal(loc=9 * i, size=(20, 2)) for i in range(4)])
    >>> partitions = sweep(Descriptor("toy", points), {"kmeans": {"n_clusters": range(2, 8)}})
    >>> board = leaderboard(partitions, reruns=[rerun(partitions, "half samples", n_repeats=4)])
    >>> choose(board).partition.n_clusters
    4
    >>> choose(board, rule="finest stable", level=0.9).partition.n_clusters
    4
    """
    ranking = rank_partitions(board, rule=rule, **limits)
    beyond = ranking.loc[ranking["excluded"] != "", "excluded"].str.split(", ").explode().value_counts()
    counts = "; ".join(f"{reason}: {count}" for reason, count in beyond.items())
    if ranking["score"].isna().all():
        raise ValueError(f"None of the {len(board)} partitions is within the limits ({counts}). Widen them.")
    best = int(ranking.index[0])
    params = {"rule": rule, **limits}
    picks = picks_of_rules(board, **limits_of(params))
    picks["agreement"] = board.agreement[best, picks["row"]]
    reasons = why_first(board, ranking, picks=picks, params=params, limits=counts)
    row = board.table.iloc[best]
    return Choice(board.partitions[best], row, ranking=ranking, picks=picks, reasons=reasons, params=params)


def limits_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return those parameters of a choice that hold for every rule."""
    return {name: value for name, value in params.items() if name not in _OF_ONE_RULE}


def picks_of_rules(board: Leaderboard, **limits: Any) -> pd.DataFrame:
    """Return what each rule for which there is evidence puts first within the limits; no row if none is within."""
    rankings = {name: rank_partitions(board, rule=name, **limits) for name in rules_for(evidence(board))}
    heads = {name: int(one.index[0]) for name, one in rankings.items() if one["score"].notna().any()}
    shown = board.table[["descriptor", "algorithm", "params", "n_clusters"]].iloc[[*heads.values()]]
    return shown.set_axis(pd.Index(list(heads), name="rule")).assign(row=list(heads.values()))
