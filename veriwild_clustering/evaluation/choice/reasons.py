"""Reasons: the sentences that say why a partition stands first in a ranking and what to beware of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from veriwild_clustering.core.partition import Partition
from veriwild_clustering.evaluation.choice.evidence import IN_SPACE, evidence
from veriwild_clustering.evaluation.choice.ranking import standing_columns
from veriwild_clustering.evaluation.choice.rules import RULES
from veriwild_clustering.evaluation.leaderboard import Leaderboard, four_digits, grids

__all__ = ["why_first"]


def why_first(
    board: Leaderboard, ranking: pd.DataFrame, *, picks: pd.DataFrame, params: Mapping[str, Any], limits: str
) -> list[str]:
    """Return the reasons for the head of a ranking.

    `picks` are those of the rules, `params` those of the choice; `limits` counts what lies beyond which limit.
    """
    found, best = evidence(board), int(ranking.index[0])
    chosen, row = board.partitions[best], found.iloc[best]
    return [
        _place_reason(ranking, chosen, rule=_rule_name(params), limits=limits),
        _rule_reason(ranking, row, params),
        *_grid_reasons(board, chosen),
        _size_reason(chosen),
        *_information_reason(row),
        *_stability_reason(row),
        *_vehicle_reason(found, row),
        *_structure_reason(row),
        _metric_reason(board, row),
        *_runner_up_reason(board, ranking),
        _rules_reason(board, picks, best),
    ]


def _rule_name(params: Mapping[str, Any]) -> str:
    return "of the given criteria" if params.get("criteria") else f"“{params['rule']}”"


def _place_reason(ranking: pd.DataFrame, chosen: Partition, *, rule: str, limits: str) -> str:
    n_within = int(ranking["score"].notna().sum())
    rest = f"; {len(ranking) - n_within} are beyond them ({limits})" if limits else ""
    return f"{chosen.name} ranks first of {n_within} partitions within the limits by the rule {rule}{rest}."


def _rule_reason(ranking: pd.DataFrame, row: pd.Series, params: Mapping[str, Any]) -> str:
    finest = RULES[params["rule"]].finest
    if finest and not params.get("criteria"):
        level = RULES[params["rule"]].level if params.get("level") is None else params["level"]
        if row[finest] >= level:
            return f"It is the finest whose {finest} reaches {level:g}: {four_digits(row[finest])}."
        return f"No partition reaches {finest} {level:g}: this one comes nearest with {four_digits(row[finest])}."
    parts = []
    for name in standing_columns(ranking):
        where = f" within {row['descriptor']}" if name in IN_SPACE else ""
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
        elif isinstance(value, (int, float)):  # a word, such as "knee", has no place among numbers
            sentences.append(f"{name} = {value:g} lies inside the grid {low:g}…{high:g}.")
    return sentences or ["No numeric parameter was swept for it, so there is no grid whose edge it could be at."]


def _size_reason(chosen: Partition) -> str:
    return (
        f"Its {chosen.n_clusters} clusters hold {chosen.sizes.min():,} to {chosen.sizes.max():,} images; "
        f"{chosen.noise_fraction:.1%} of the images are noise."
    )


def _information_reason(row: pd.Series) -> list[str]:
    """Say how many bits the clusters tell of an image, and how many of them hold."""
    tests = {
        "stable_information": "in another half of the images",
        "vehicle_information": "by another image of the vehicle",
    }
    parts = [f"{row[name]:.2f} {words}" for name, words in tests.items() if pd.notna(row.get(name))]
    if not parts:
        return []
    both = f", {row['reproduced_information']:.2f} in both" if len(parts) == 2 else ""
    return [
        f"The cluster tells {row['information']:.2f} bits of an image; found again are {' and '.join(parts)}{both}."
    ]


def _stability_reason(row: pd.Series) -> list[str]:
    if pd.isna(row.get("stability")):
        return []
    return [
        f"Clustered again on half of the images it agrees with itself with an ARI of {row['stability']:.2f} "
        f"(95 % interval of the mean {row['stability_low']:.2f} to {row['stability_high']:.2f})."
    ]


def _vehicle_reason(found: pd.DataFrame, row: pd.Series) -> list[str]:
    if pd.isna(row.get("pair_consistency")):
        return []
    voice = (
        "" if "vehicle_information" in found else "; no partition keeps most of them together, so they have no voice"
    )
    return [
        f"Two images of one vehicle share a cluster in {row['pair_share']:.0%} of the pairs, any two images in "
        f"{row['pair_chance']:.0%}: {row['pair_consistency']:.2f} corrected for chance{voice}."
    ]


def _structure_reason(row: pd.Series) -> list[str]:
    """Say how the clusters compare with those that the algorithm finds where there are none."""
    if not row.get("structure") or pd.isna(row.get("null_explained_share")):
        return []
    unproved = row["structure"] == "no structure"
    warning = "; the clusters may be cuts through a continuum, not groups" if unproved else ""
    return [
        f"Against Gaussian data of the same covariance it shows {row['structure']}: the clusters explain "
        f"{row['explained_share']:.0%} of the variance, there {row['null_explained_share']:.0%}{warning}."
    ]


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


def _rules_reason(board: Leaderboard, picks: pd.DataFrame, best: int) -> str:
    """Say what the rules would have chosen, those that choose the same together."""
    same = [str(rule) for rule in picks.index[picks["row"] == best]]
    others = [
        f"{', '.join(map(str, part.index))}: {board.partitions[int(str(row))].name} (ARI {part['agreement'].max():.2f})"
        for row, part in picks[picks["row"] != best].groupby("row", sort=False)
    ]
    alike = f"The rules {', '.join(same)} choose it" if same else "No named rule chooses it"
    return f"{alike}; {'; '.join(others)}." if others else f"{alike}, as all do."
