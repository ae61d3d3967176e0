"""What came of a criterion: its groups with examples, the images without one, and a cross-table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.apps.page.services.clusters import partition_info
from veriwild_clustering.apps.page.services.criteria.schemas import CriterionResult, CrossTable, Group, Ungrouped
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.core.partition import NOISE, Partition

__all__ = ["result_of"]

_N_EXAMPLES = 6
_MAX_COLUMNS = 40
_MOST_SURE = 0.25  # the share of a group from which its examples are taken


def result_of(workspace: Workspace, name: str, version: int, *, compare_with: str) -> CriterionResult:
    """Return what a saved partition by a criterion holds, beside another partition."""
    partition = workspace.partition(name, version=version)
    return CriterionResult(
        criterion=str(partition.params["criterion"]),
        partition=partition_info(workspace, name, version=version),
        outcome=str(partition.params["outcome"]),
        approximation=str(partition.params.get("approximation", "")),
        coverage=1 - partition.noise_fraction,
        groups=[_group(partition, cluster) for cluster in range(partition.n_clusters)],
        ungrouped=_ungrouped(partition),
        cross_table=_cross_table(workspace, partition, compare_with),
    )


def _group(partition: Partition, cluster: int) -> Group:
    members = partition.members(cluster)
    order = members[np.argsort(-partition.confidence[members], kind="stable")]
    return Group(
        cluster=cluster,
        name=partition.cluster_name(cluster),
        size=len(members),
        share=len(members) / len(partition),
        examples=_spread(order[: max(_N_EXAMPLES, int(_MOST_SURE * len(order)))]),
    )


def _ungrouped(partition: Partition) -> Ungrouped:
    from veriwild_clustering.images.criteria.vocabulary import UNCERTAIN

    rows = partition.members(NOISE)
    usable = rows[partition.descriptor.valid[rows]]
    labels = np.asarray(partition.state["labels"])[usable]
    uncertain, without = labels == UNCERTAIN, labels == ""
    shown = usable[uncertain] if uncertain.any() else usable if len(usable) else rows
    return Ungrouped(
        size=len(rows),
        uncertain=int(uncertain.sum()),
        other_label=int((~uncertain & ~without).sum()),
        no_answer=int(without.sum()),
        no_vector=len(rows) - len(usable),
        examples=_spread(shown),
    )


def _spread(rows: NDArray[np.int64]) -> list[int]:
    """Return a few rows from all over, since neighbouring rows often show one vehicle."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(_N_EXAMPLES, len(rows))).astype(int))
    return [int(row) for row in rows[places]]


def _cross_table(workspace: Workspace, partition: Partition, name: str) -> CrossTable:
    version = workspace.library.current(name)
    other = workspace.partition(name, version=version)
    n_own = min(other.n_clusters, _MAX_COLUMNS)
    columns = [other.cluster_name(cluster) for cluster in range(n_own)]
    columns += ["smaller ones"] * (other.n_clusters > n_own)
    parts = np.where(other.labels >= 0, np.minimum(other.labels, len(columns) - 1), len(columns))
    groups = np.where(partition.labels >= 0, partition.labels, partition.n_clusters)
    counts = np.zeros((partition.n_clusters + 1, len(columns) + 1), dtype=np.int64)
    np.add.at(counts, (groups, parts), 1)
    return CrossTable(
        partition=name,
        version=version,
        rows=[*(partition.cluster_name(cluster) for cluster in range(partition.n_clusters)), "no group"],
        columns=[*columns, "noise"],
        counts=counts.tolist(),
    )
