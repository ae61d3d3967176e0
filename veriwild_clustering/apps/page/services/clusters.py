"""Clusters: partitions with their versions, what each cluster holds, and corrections by hand."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field, JsonValue

from veriwild_clustering.apps.page.problems import BadRequestError, NotFoundError
from veriwild_clustering.apps.page.services.maps import cluster_color
from veriwild_clustering.apps.page.services.schemas import Model, Page, RowNumber, plain_value
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.clustering.editing import (
    MAX_NAME,
    mark_outliers,
    marked_outliers,
    merge_clusters,
    rename_cluster,
    unmark_outliers,
)
from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.storage.partitions import VersionConflictError

__all__ = [
    "Edit",
    "EditRequest",
    "apply_edit",
    "cluster_detail",
    "cluster_page",
    "partition_info",
    "partition_page",
]

_MAX_ROWS = 10_000
_MAX_MERGED = 1_000


class HistoryEntry(Model):
    """A correction, and the version that it made."""

    version: int
    edit: dict[str, JsonValue]


class PartitionInfo(Model):
    """A saved partition."""

    id: str
    name: str
    algorithm: str
    params: dict[str, JsonValue]
    descriptor: str
    n_clusters: int
    noise_fraction: float
    n_marked: int = Field(description="Images that were marked as outliers by hand.")
    version: int
    parent: int | None = Field(description="The version from which this one was made.")
    history: list[HistoryEntry]


class BorderlineImage(Model):
    """A doubtful member of a cluster."""

    row: int
    other: int = Field(description="The cluster with the next centre.")
    confidence: float


class ClusterCard(Model):
    """A cluster at a glance."""

    cluster: int = Field(description="-1 is noise.")
    name: str
    color: str
    size: int
    share: float = Field(description="Of all images.")
    text: str = Field(description="What it holds, in two sentences.")
    figures: dict[str, JsonValue] = Field(description="Spread, median confidence, nearest cluster, vehicles.")
    exemplars: list[int] = Field(description="Rows of typical images, the most typical first.")
    borderline: list[BorderlineImage]


class AttributeValue(Model):
    """How often a value occurs in a cluster."""

    value: JsonValue
    count: int
    share: float
    overall_share: float
    lift: float
    low: float | None
    high: float | None


class AttributeProfile(Model):
    """An attribute within a cluster."""

    column: str
    known: int
    missing: int
    values: list[AttributeValue]


class Member(Model):
    """An image of a cluster."""

    row: int
    path: str
    vehicle_id: str | None
    confidence: float


class ClusterDetail(Model):
    """A cluster with its attributes and a part of its members."""

    partition: str
    version: int
    card: ClusterCard
    profile: list[AttributeProfile]
    members: Page[Member]


class Rename(Model):
    """Give a cluster another name; "" takes it away."""

    kind: Literal["rename"]
    cluster: RowNumber
    name: Annotated[str, Field(max_length=MAX_NAME)]


class Merge(Model):
    """Make one cluster of several."""

    kind: Literal["merge"]
    clusters: Annotated[list[RowNumber], Field(min_length=2, max_length=_MAX_MERGED)]


class MarkOutlier(Model):
    """Mark images as outliers: they become noise, and it is remembered where they came from."""

    kind: Literal["mark_outlier"]
    rows: Annotated[list[RowNumber], Field(min_length=1, max_length=_MAX_ROWS)]


class UnmarkOutlier(Model):
    """Put marked images back into the clusters that they came from."""

    kind: Literal["unmark_outlier"]
    rows: Annotated[list[RowNumber], Field(min_length=1, max_length=_MAX_ROWS)]


Edit = Annotated[Rename | Merge | MarkOutlier | UnmarkOutlier, Field(discriminator="kind")]


class EditRequest(Model):
    """A correction of a version."""

    base_version: Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)]
    edit: Edit


def partition_page(workspace: Workspace, *, offset: int, limit: int) -> Page[PartitionInfo]:
    """Return the saved partitions, the one to be shown first at the head."""
    names = workspace.partition_names
    shown = names[offset : offset + limit]
    return Page[PartitionInfo](total=len(names), items=[partition_info(workspace, name) for name in shown])


def partition_info(workspace: Workspace, name: str, *, version: int | None = None) -> PartitionInfo:
    """Return a saved partition, by default its newest version."""
    version = version or workspace.current(name)
    partition = workspace.partition(name, version=version)
    params = {key: _plain(value) for key, value in partition.params.items() if key != "edits"}
    edits = list(partition.params.get("edits", ()))
    first = version - len(edits) + 1  # less than 1 where it was corrected before it was saved
    return PartitionInfo(
        id=name,
        name=str(partition.params.get("criterion", partition.name)),
        algorithm=partition.algorithm,
        params=params,
        descriptor=partition.descriptor.name,
        n_clusters=partition.n_clusters,
        noise_fraction=partition.noise_fraction,
        n_marked=len(marked_outliers(partition)),
        version=version,
        parent=version - 1 if version > 1 else None,
        history=[HistoryEntry(version=max(1, first + place), edit=dict(edit)) for place, edit in enumerate(edits)],
    )


def cluster_page(workspace: Workspace, name: str, *, offset: int, limit: int) -> Page[ClusterCard]:
    """Return the clusters of a partition, the largest first; noise, where there is any, comes last."""
    version = workspace.current(name)
    partition = workspace.partition(name, version=version)
    clusters = [*range(partition.n_clusters), *([NOISE] if partition.noise_fraction else [])]
    shown = clusters[offset : offset + limit]
    return Page[ClusterCard](total=len(clusters), items=[_card(workspace, name, version, c) for c in shown])


def cluster_detail(workspace: Workspace, name: str, cluster: int, *, offset: int, limit: int) -> ClusterDetail:
    """Return a cluster with its attributes and a part of its members; -1 is noise, which has no attributes."""
    version = workspace.current(name)
    partition = workspace.partition(name, version=version)
    if not NOISE <= cluster < partition.n_clusters:
        raise NotFoundError(
            f"Partition {name!r} has no cluster {cluster}: it has {partition.n_clusters}.", field="cluster"
        )
    rows = partition.members(cluster)
    return ClusterDetail(
        partition=name,
        version=version,
        card=_card(workspace, name, version, cluster),
        profile=_profile(workspace.summaries(name, version=version).profile, cluster),
        members=Page[Member](
            total=len(rows), items=[_member(workspace, partition, int(row)) for row in rows[offset : offset + limit]]
        ),
    )


def apply_edit(workspace: Workspace, name: str, request: EditRequest) -> PartitionInfo:
    """Save a correction as the next version.

    Raises
    ------
    VersionConflictError
        If there is a newer version than the one it was made to.
    BadRequestError
        If it cannot be made: no such cluster or row, a cluster that would be left empty.
    NotFoundError
        If there is no such partition or version.
    """
    current = workspace.current(name)
    if request.base_version != current:
        raise VersionConflictError(name, base=request.base_version, current=current)
    partition = _edited(workspace.partition(name, version=current), request.edit)
    version = workspace.library.save(name, partition, base=request.base_version)
    return partition_info(workspace, name, version=version)


def _edited(partition: Partition, edit: Rename | Merge | MarkOutlier | UnmarkOutlier) -> Partition:
    try:
        if isinstance(edit, Rename):
            return rename_cluster(partition, edit.cluster, edit.name)
        if isinstance(edit, Merge):
            return merge_clusters(partition, edit.clusters)
        return (mark_outliers if isinstance(edit, MarkOutlier) else unmark_outliers)(partition, edit.rows)
    except (ValueError, TypeError) as error:
        raise BadRequestError(str(error), field="edit") from error


def _card(workspace: Workspace, name: str, version: int, cluster: int) -> ClusterCard:
    summaries = workspace.summaries(name, version=version)
    partition = summaries.partition
    if cluster == NOISE:
        size = len(partition) - int(partition.sizes.sum())
        figures: dict[str, Any] = {"n_marked": len(marked_outliers(partition))}
        text, exemplars, borderline = f"{size:,} images that belong to no cluster.", pd.DataFrame(), pd.DataFrame()
    else:
        found = summaries.table.iloc[cluster].to_dict()
        size, text = int(found.pop("size")), str(found.pop("text"))
        figures = {str(key): plain_value(value) for key, value in found.items() if key not in {"cluster", "share"}}
        exemplars, borderline = (
            table[table["cluster"] == cluster] for table in (summaries.exemplars, summaries.borderline)
        )
    return ClusterCard(
        cluster=cluster,
        name=partition.cluster_name(cluster),
        color=cluster_color(cluster),
        size=size,
        share=size / max(1, len(partition)),
        text=text,
        figures=figures,
        exemplars=[int(row) for row in exemplars.get("row", [])],
        borderline=[
            BorderlineImage(**{str(key): one[key] for key in BorderlineImage.model_fields})
            for one in borderline.to_dict("records")
        ],
    )


def _profile(table: pd.DataFrame, cluster: int) -> list[AttributeProfile]:
    own = table[table["cluster"] == cluster]
    return [
        AttributeProfile(
            column=str(column),
            known=int(part["known"].iloc[0]),
            missing=int(part["missing"].iloc[0]),
            values=[
                AttributeValue(**{key: plain_value(one[key]) for key in AttributeValue.model_fields})
                for one in part.to_dict("records")
            ],
        )
        for column, part in own.groupby("column", sort=False)
    ]


def _member(workspace: Workspace, partition: Partition, row: int) -> Member:
    images = workspace.dataset.images
    vehicle = plain_value(images["vehicle_id"].iloc[row]) if "vehicle_id" in images else None
    return Member(
        row=row,
        path=str(images["path"].iloc[row]),
        vehicle_id=None if vehicle is None else str(vehicle),
        confidence=float(partition.confidence[row]),
    )


def _plain(value: Any) -> Any:
    """Return a parameter as JSON knows it."""
    value = plain_value(value) if not isinstance(value, dict) else {str(k): _plain(v) for k, v in value.items()}
    return value if value is None or isinstance(value, (str, bool, int, float, list, dict)) else str(value)
