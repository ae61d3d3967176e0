"""Reasons: the sentences that say why a partition stands first in a ranking and what to beware of."""

from __future__ import annotations

import pandas as pd

from veriwild_clustering.core.partition import Partition
from veriwild_clustering.evaluation.internal import INTERNAL_METRICS
from veriwild_clustering.evaluation.leaderboard import Leaderboard, four_digits, grids

__all__ = ["why_first"]


def why_first(board: Leaderboard, ranking: pd.DataFrame, *, limits: str) -> list[str]:
    """Return the reasons for the head of a ranking; `limits` counts what lies beyond which limit."""
    best = int(ranking.index[0])
    chosen, row = board.partitions[best], board.table.iloc[best]
    return [
        _place_reason(ranking, chosen, limits),
        _criteria_reason(ranking, row),
        *_grid_reasons(board, chosen),
        _size_reason(chosen),
        _metric_reason(board, row),
        *_runner_up_reason(board, ranking),
    ]


def _place_reason(ranking: pd.DataFrame, chosen: Partition, limits: str) -> str:
    n_within = int(ranking["score"].notna().sum())
    rest = f"; {len(ranking) - n_within} are beyond them ({limits})" if limits else ""
    return f"{chosen.name} ranks first of {n_within} partitions within the limits{rest}."


def _criteria_reason(ranking: pd.DataFrame, row: pd.Series) -> str:
    names = [name.removesuffix("_standing") for name in map(str, ranking) if name.endswith("_standing")]
    parts = []
    for name in names:
        where = f" within {row['descriptor']}" if name in INTERNAL_METRICS else ""
        parts.append(f"{name} {four_digits(row[name])} (standing {ranking[f'{name}_standing'].iloc[0]:.2f}{where})")
    return f"Its score {ranking['score'].iloc[0]:.2f} is the mean standing, 1 at best: {', '.join(parts)}."


def _grid_reasons(board: Leaderboard, chosen: Partition) -> list[str]:
    """Say of each swept parameter whether the chosen value lies inside its grid."""
    sentences = []
    for name, (low, high) in grids(board.partitions)[chosen.descriptor.name, chosen.algorithm].items():
        value = chosen.params.get(name)
        if value in (low, high):
            sentences.append(
                f"{name} = {value:g} is at the edge of the grid {low:g}…{high:g}: a wider grid may hold a better one."
            )
        elif value is not None:
            sentences.append(f"{name} = {value:g} lies inside the grid {low:g}…{high:g}.")
    return sentences or ["No numeric parameter was swept for it, so there is no grid whose edge it could be at."]


def _size_reason(chosen: Partition) -> str:
    return (
        f"Its {chosen.n_clusters} clusters hold {chosen.sizes.min():,} to {chosen.sizes.max():,} images; "
        f"{chosen.noise_fraction:.1%} of the images are noise."
    )


def _metric_reason(board: Leaderboard, row: pd.Series) -> str:
    """Say where the two recommended internal metrics stand, with the noise that they leave out."""
    space = board.table[board.table["descriptor"] == row["descriptor"]]
    places = []
    for name, title, better in (
        ("calinski_harabasz", "Calinski–Harabasz", space["calinski_harabasz"] > row["calinski_harabasz"]),
        ("davies_bouldin", "Davies–Bouldin", space["davies_bouldin"] < row["davies_bouldin"]),
    ):
        places.append(f"{title} {four_digits(row[name])}, place {better.sum() + 1}")
    return f"In the space of {row['descriptor']}, of {len(space)} partitions, noise left out: {'; '.join(places)}."


def _runner_up_reason(board: Leaderboard, ranking: pd.DataFrame) -> list[str]:
    if ranking["score"].notna().sum() < 2:
        return []
    first, second = ranking.index[:2]
    return [
        f"Next comes {board.partitions[second].name}, score {ranking['score'].iloc[1]:.2f}; "
        f"the two agree with an ARI of {board.agreement[first, second]:.2f}."
    ]
