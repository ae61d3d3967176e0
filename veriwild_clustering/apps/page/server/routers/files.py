"""Routes of the files that leave: the partition as CSV, and records as JSON."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse

from veriwild_clustering.apps.page.server.routers.parameters import AnyPartition, OpenWorkspace, asked_partition
from veriwild_clustering.apps.page.services import exporting

__all__ = ["router"]

router = APIRouter(prefix="/export", tags=["export"])


@router.get("/partition.csv", response_class=FileResponse, responses={200: {"content": {"text/csv": {}}}})
def partition_csv(workspace: OpenWorkspace, partition: AnyPartition = None) -> FileResponse:
    """Return a row per image with its cluster, confidence and outlier score."""
    name = asked_partition(workspace, partition)
    file = exporting.export_csv(workspace, name)
    return FileResponse(file, media_type="text/csv", filename=f"{name}.csv")


@router.get("/records.json", response_class=FileResponse, responses={200: {"content": {"application/json": {}}}})
def records_json(workspace: OpenWorkspace, partition: AnyPartition = None) -> FileResponse:
    """Return a record per image with its place on the map, cluster and quality."""
    name = asked_partition(workspace, partition)
    file = exporting.export_records(workspace, name)
    return FileResponse(file, media_type="application/json", filename=f"{name}.json")
