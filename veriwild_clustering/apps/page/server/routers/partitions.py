"""Routes of partitions: clusters, corrections, outliers, comparisons."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from veriwild_clustering.apps.page.server.errors import ErrorBody
from veriwild_clustering.apps.page.server.routers.parameters import (
    AnyPartition,
    Limit,
    Offset,
    OpenWorkspace,
    PartitionId,
    asked_partition,
)
from veriwild_clustering.apps.page.services import clusters, comparing, outliers
from veriwild_clustering.apps.page.services.schemas import Page

__all__ = ["router"]

router = APIRouter(tags=["partitions"])

Cluster = Annotated[int, Path(ge=-1, le=2**31 - 1, description="Number of a cluster; -1 is noise.")]
Version = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="By default the newest.")]


@router.get("/partitions")
def partitions(workspace: OpenWorkspace, offset: Offset = 0, limit: Limit = 100) -> Page[clusters.PartitionInfo]:
    """Return the saved partitions, the one to be shown first at the head."""
    return clusters.partition_page(workspace, offset=offset, limit=limit)


@router.get("/partitions/{partition}/clusters")
def partition_clusters(
    workspace: OpenWorkspace, partition: PartitionId, offset: Offset = 0, limit: Limit = 100
) -> Page[clusters.ClusterCard]:
    """Return the clusters of a partition, the largest first; noise, where there is any, comes last."""
    return clusters.cluster_page(workspace, partition, offset=offset, limit=limit)


@router.get("/partitions/{partition}/clusters/{cluster}")
def partition_cluster(
    workspace: OpenWorkspace, partition: PartitionId, cluster: Cluster, offset: Offset = 0, limit: Limit = 100
) -> clusters.ClusterDetail:
    """Return a cluster with its attributes and a part of its members."""
    return clusters.cluster_detail(workspace, partition, cluster, offset=offset, limit=limit)


@router.post(
    "/partitions/{partition}/edits",
    status_code=201,
    responses={409: {"model": ErrorBody, "description": "There is a newer version: `current` says which."}},
)
def edit(workspace: OpenWorkspace, partition: PartitionId, request: clusters.EditRequest) -> clusters.PartitionInfo:
    """Save a correction as a new version; of several that are made to one version, the first wins."""
    return clusters.apply_edit(workspace, partition, request)


@router.get("/outliers")
def list_outliers(
    workspace: OpenWorkspace,
    offset: Offset = 0,
    limit: Limit = 100,
    min_score: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    reason: Annotated[str | None, Query(max_length=200, description="Of one reason alone, such as `too dark`.")] = None,
    partition: AnyPartition = None,
) -> outliers.OutlierPage:
    """Return the flagged images, the most abnormal first; with `min_score` all of that score or more."""
    name = asked_partition(workspace, partition)
    return outliers.outlier_page(
        workspace, offset=offset, limit=limit, min_score=min_score, reason=reason, partition=name
    )


@router.get("/comparisons")
def comparison(
    workspace: OpenWorkspace,
    first: AnyPartition = None,
    second: AnyPartition = None,
    first_version: Version = None,
    second_version: Version = None,
) -> comparing.Comparison:
    """Return how much two partitions, or two versions of one, agree, and which cluster is which."""
    one, other = asked_partition(workspace, first), asked_partition(workspace, second)
    return comparing.compare(workspace, one, other, first_version=first_version, second_version=second_version)
