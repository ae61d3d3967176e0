"""What was found out about the clusters of a partition, and which of it is certain enough to be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_rows
from veriwild_clustering.interpretation.evidence.attributes import encode_attributes, vehicle_codes
from veriwild_clustering.interpretation.evidence.contrasts import contrasts
from veriwild_clustering.interpretation.evidence.facts import ClusterFacts, cluster_facts
from veriwild_clustering.interpretation.evidence.tallies import MAX_FALSE_SHARE, q_values
from veriwild_clustering.interpretation.profiles import profile_attributes

__all__ = ["Findings", "claims", "gather"]

_MAX_CLAIMS = 3
_MAX_VALUES = 2
_MIN_SHARE = 0.2
_MIN_LIFT = 1.1
_OF_THE_SCENE = frozenset(
    {"camera", "color", "hours", "light", "measured_color", "model", "time_of_day", "type", "view"}
)


@dataclass(frozen=True, eq=False)
class Findings:
    """The figures of each cluster, its profile, the claims made of it, and how it differs from the nearest one."""

    facts: ClusterFacts
    profile: pd.DataFrame
    claims: pd.DataFrame
    differences: pd.DataFrame


def gather(partition: Partition, images: pd.DataFrame, columns: Sequence[str] | None) -> Findings:
    """Find out what `describe` and `summarize` tell."""
    check_rows("images", images.index, len(partition))
    attributes, vehicles = encode_attributes(images, columns), vehicle_codes(images)
    profiled = profile_attributes(partition, attributes, vehicles)
    facts = cluster_facts(partition, vehicles)
    members = [partition.members(cluster) for cluster in range(partition.n_clusters)]
    neighbors = facts.table["nearest"].to_numpy(dtype=np.int64)
    pairs = {(own, int(other)): (members[own], members[other]) for own, other in enumerate(neighbors) if other >= 0}
    return Findings(
        facts=facts,
        profile=profiled,
        claims=claims(profiled),
        differences=contrasts(pairs, attributes, vehicles, names=("cluster", "other")),
    )


def claims(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a profile that `describe` states, in its order, with their q-values."""
    table = table.assign(q_value=q_values(table["p_value"].to_numpy(dtype=float)))
    clear = (table["low"] > table["overall_share"]) & (table["lift"] >= _MIN_LIFT)
    large = table["count"] >= _MIN_SHARE * (table["known"] + table["missing"])
    stated = table[clear & large & (table["q_value"] <= MAX_FALSE_SHARE)]
    keys = {
        "secondary": ~stated["column"].isin(_OF_THE_SCENE),
        "weight": -(stated["share"] * np.log(stated["lift"].to_numpy(dtype=float))),
    }
    ranked = stated.assign(**keys).sort_values(["cluster", *keys], kind="stable").drop(columns=[*keys])
    of_column = ranked.groupby(["cluster", "column"]).head(_MAX_VALUES)
    return of_column.groupby("cluster").head(_MAX_CLAIMS).reset_index(drop=True)
