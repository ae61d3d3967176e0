"""Regret: what each rule of choice loses against the best partition, where the truth is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from veriwild_clustering.core.classes import encode
from veriwild_clustering.evaluation.choice.choosing import picks_of_rules
from veriwild_clustering.evaluation.choice.evidence import evidence
from veriwild_clustering.evaluation.choice.rules import rule_for
from veriwild_clustering.evaluation.external import scores_of_codes
from veriwild_clustering.evaluation.leaderboard import Leaderboard

__all__ = ["regret"]


def regret(board: Leaderboard, truth: ArrayLike, *, rules: Iterable[str] | None = None, **limits: Any) -> pd.DataFrame:
    """Return what each rule of choice loses against the best partition of a leaderboard, where the truth is known.

    Parameters
    ----------
    board : Leaderboard
        The partitions with their scores.
    truth : array of shape (n_images,)
        Known classes; images without one (NaN, None or "") are left out.
    rules : iterable of str, optional
        Names of `choice_rules`; by default all for which the board has evidence.
    **limits
        Limits of `rank_partitions`.

    Returns
    -------
    DataFrame
        One row per rule, least regret first; the index is the rule. `partition`, the name of what it chooses, `row` on
        the board and `n_clusters`; `ari` against the truth; `best` and `best_ari`, those of the partition with the
        highest ARI, within the limits or not; `ratio` of the two and `regret`, their difference.

    Raises
    ------
    ValueError
        If a rule is not known or the board lacks what it needs, `truth` has another length, a limit is not possible or
        every partition is beyond the limits.

    Notes
    -----
    O(n_partitions * n_images).

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, leaderboard, regret, sweep
    >>> points = np.concatenate([np.random.default_rng(i).normal(loc=9 * i, size=(20, 2)) for i in range(4)])
    >>> board = leaderboard(sweep(Descriptor("toy", points), {"kmeans": {"n_clusters": range(2, 8)}}))
    >>> lost = regret(board, np.repeat(["bus", "car", "van", "truck"], 20), rules=["silhouette", "agreement"])
    >>> lost.loc["silhouette", ["n_clusters", "ratio"]].tolist()
    [4.0, 1.0]
    """
    codes = encode("truth", truth, len(board.partitions[0]))
    aris = np.array([scores_of_codes(partition.labels, codes)["ari"] for partition in board.partitions])
    if np.isnan(aris).any():
        raise ValueError("`truth` must name the class of at least one image. Got none instead.")
    picks = picks_of_rules(board, **limits)
    if picks.empty:
        raise ValueError(f"None of the {len(board)} partitions is within the limits. Widen them.")
    if rules is not None:
        asked = list(rules)
        found = evidence(board)
        for name in asked:
            rule_for(name, found)
        picks = picks.loc[asked]
    rows, best = picks["row"].to_numpy(), int(aris.argmax())
    table = pd.DataFrame(
        {
            "partition": [board.partitions[row].name for row in rows],
            "row": rows,
            "n_clusters": picks["n_clusters"].to_numpy(),
            "ari": aris[rows],
            "best": board.partitions[best].name,
            "best_ari": aris[best],
            "ratio": aris[rows] / aris[best],
            "regret": aris[best] - aris[rows],
        },
        index=picks.index,
    )
    return table.sort_values("regret", kind="stable")
