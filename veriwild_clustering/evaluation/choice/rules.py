"""Rules: the ways to tell the best partition without the truth, under the names that the field gives them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pandas as pd

from veriwild_clustering.core.validation import check_choice

__all__ = ["COMBINED", "RULES", "Rule", "choice_rules", "rule_for", "rules_for"]

COMBINED = "combined"
_DOI = "https://doi.org/"


@dataclass(frozen=True)
class Rule:
    """One way to choose: the best by some columns, or the finest partition of which a column is high enough.

    Parameters
    ----------
    meaning, source : str
        A line that explains it, and where it comes from.
    criteria : mapping of str to {"max", "min"}
        Columns of the evidence; the mean standing counts.
    finest : str
        Column that must reach `level`; of the partitions where it does, the one with most clusters is the best.
    level : float
        That level, unless the user names another.
    """

    meaning: str
    source: str = ""
    criteria: Mapping[str, str] = field(default_factory=dict)
    finest: str = ""
    level: float = float("nan")

    @property
    def needs(self) -> list[str]:
        """The columns that it reads."""
        return [*self.criteria, *([self.finest] if self.finest else [])]


RULES: Mapping[str, Rule] = {
    COMBINED: Rule(
        "most information that is found again in another half of the images and in other images of the vehicle; "
        "without vehicles, that of another half and the silhouette; without reruns, agreement, vehicles and silhouette",
        f"{_DOI}10.1109/ISIT.2010.5513616",
    ),
    "stable information": Rule(
        "most information that is found again in another half of the images",
        f"{_DOI}10.1109/ISIT.2010.5513616",
        criteria={"stable_information": "max"},
    ),
    "vehicle information": Rule(
        "most information that another image of the same vehicle gives again",
        f"{_DOI}10.1109/ISIT.2010.5513616",
        criteria={"vehicle_information": "max"},
    ),
    "finest stable": Rule(
        "the finest partition that half of the images give again: lower end of the interval of the ARI",
        f"{_DOI}10.1142/9789812799623_0002",
        finest="stability_low",
        level=0.85,
    ),
    "prediction strength": Rule(
        "the finest partition in which one half of the images predicts even the worst cluster of the other",
        f"{_DOI}10.1198/106186005X59243",
        finest="prediction_strength",
        level=0.8,
    ),
    "vehicle consistency": Rule(
        "the finest partition in which images of one vehicle stay together, corrected for chance",
        finest="pair_consistency",
        level=0.95,
    ),
    "agreement": Rule(
        "the highest mean ARI with all other partitions: the most central one",
        "https://jmlr.org/papers/v3/strehl02a.html",
        criteria={"mean_agreement": "max"},
    ),
    "gap": Rule(
        "the variance within clusters lies furthest below that in Gaussian data of the same covariance (logarithms)",
        f"{_DOI}10.1111/1467-9868.00293",
        criteria={"gap": "max"},
    ),
    "silhouette over null": Rule(
        "the silhouette exceeds that in Gaussian data of the same covariance by most",
        f"{_DOI}10.1016/0377-0427(87)90125-7",
        criteria={"silhouette_excess": "max"},
    ),
    "silhouette": Rule(
        "the highest silhouette, times the clustered share",
        f"{_DOI}10.1016/0377-0427(87)90125-7",
        criteria={"silhouette": "max"},
    ),
    "calinski_harabasz": Rule(
        "the highest Calinski–Harabasz index, times the clustered share",
        f"{_DOI}10.1080/03610927408827101",
        criteria={"calinski_harabasz": "max"},
    ),
    "davies_bouldin": Rule(
        "the lowest Davies–Bouldin index, divided by the clustered share",
        f"{_DOI}10.1109/TPAMI.1979.4766909",
        criteria={"davies_bouldin": "min"},
    ),
}  # fmt: skip

_WHERE_FROM = {
    "stable_information": "give `leaderboard` reruns on 'half samples'",
    "stability_low": "give `leaderboard` reruns on 'half samples'",
    "prediction_strength": "give `leaderboard` reruns on 'half samples'",
    "vehicle_information": "give `leaderboard` the vehicles as `groups`; they tell nothing where every partition "
    "splits most of them",
    "pair_consistency": "give `leaderboard` the vehicles as `groups`",
    "gap": "give `leaderboard` reruns on 'gaussian'",
    "silhouette_excess": "give `leaderboard` reruns on 'gaussian'",
}


def choice_rules() -> pd.DataFrame:
    """Return the rules by which `choose` and `rank_partitions` can choose, with their meanings and sources.

    Returns
    -------
    DataFrame
        One row per rule, the default first; the index is its name. `meaning`; `level`, which rules that look for the
        finest partition ask for, else NaN; `columns` of the evidence that it reads; `source`.

    Notes
    -----
    O(1).

    Examples
    --------
    >>> from veriwild_clustering import choice_rules
    >>> choice_rules()["level"].dropna().to_dict()
    {'finest stable': 0.85, 'prediction strength': 0.8, 'vehicle consistency': 0.95}
    """
    rows = {
        name: {"meaning": rule.meaning, "level": rule.level, "columns": ", ".join(rule.needs), "source": rule.source}
        for name, rule in RULES.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("rule")


def rule_for(name: str, evidence: pd.DataFrame) -> Rule:
    """Return a rule, the combined one with the criteria that there is evidence for, or raise if there is none."""
    rule = RULES[check_choice("rule", name, list(RULES))]
    if name == COMBINED:
        return Rule(rule.meaning, rule.source, criteria=_combined(evidence))
    missing = [column for column in rule.needs if not _has(evidence, column)]
    if missing:
        raise ValueError(
            f"The rule {name!r} needs `{missing[0]}`, of which the leaderboard has no values: "
            f"{_WHERE_FROM.get(missing[0], 'score partitions with at least two clusters')}."
        )
    return rule


def rules_for(evidence: pd.DataFrame) -> list[str]:
    """Return the names of the rules for which there is evidence."""
    return [name for name, rule in RULES.items() if all(_has(evidence, column) for column in rule.needs)]


def _has(evidence: pd.DataFrame, column: str) -> bool:
    return column in evidence and bool(evidence[column].notna().any())


def _combined(evidence: pd.DataFrame) -> dict[str, str]:
    """Return the criteria of the default, by the best evidence that there is."""
    wanted: Collection[str]
    if not _has(evidence, "reproduced_information"):
        wanted = ["mean_agreement", "algorithm_agreement", "pair_consistency", "silhouette"]
    elif _has(evidence, "vehicle_information"):
        wanted = ["reproduced_information"]
    else:
        # What cuts one long group in two is found again as well; only the gap between clusters tells that it is none.
        wanted = ["reproduced_information", "silhouette"]
    return {name: "max" for name in wanted if _has(evidence, name)}
