"""Routes of the dataset: its table, images, maps and colours."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel

from veriwild_clustering import __version__
from veriwild_clustering.apps.page.server.routers.parameters import (
    AnyPartition,
    Limit,
    Offset,
    OpenWorkspace,
    Row,
    WhereText,
    asked_partition,
    parsed_where,
)
from veriwild_clustering.apps.page.services import images, maps
from veriwild_clustering.apps.page.services.schemas import Page
from veriwild_clustering.apps.page.services.searching import SearchResponse, neighbors

__all__ = ["router"]

router = APIRouter(tags=["dataset"])

_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


class Health(BaseModel):
    """That the server runs."""

    status: str
    version: str


@router.get("/health")
async def health() -> Health:
    """Tell that the server runs; needs no token."""
    return Health(status="ok", version=__version__)


@router.get("/dataset")
def dataset(workspace: OpenWorkspace) -> images.DatasetOverview:
    """Return what the dataset is: columns, descriptors, maps, partitions."""
    return images.dataset_overview(workspace)


@router.get("/images")
def list_images(
    workspace: OpenWorkspace,
    offset: Offset = 0,
    limit: Limit = 100,
    where: WhereText = "",
    partition: AnyPartition = None,
) -> Page[images.ImageRecord]:
    """Return rows of the image table that meet all conditions."""
    asked = parsed_where(where)
    name = asked_partition(workspace, partition)
    return images.image_page(workspace, offset=offset, limit=limit, where=asked, partition=name)


@router.get("/images/{row}")
def image(workspace: OpenWorkspace, row: Row) -> images.ImageDetail:
    """Return all that is known of an image."""
    return images.image_detail(workspace, row)


@router.get(
    "/images/{row}/thumbnail",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "It has not changed since the tag in `If-None-Match`."},
    },
)
def thumbnail(
    workspace: OpenWorkspace,
    row: Row,
    size: Annotated[int, Query(ge=1, le=4096, description=f"Its longer side: one of {images.SIZES}.")] = 128,
    if_none_match: Annotated[str, Header(max_length=1000)] = "",
) -> Response:
    """Return a small version of an image; a grey tile with a cross where it cannot be read."""
    headers = {"Cache-Control": "private, max-age=3600"}
    tag = f'"{images.thumbnail_tag(workspace, row, size=size)}"'
    if tag in if_none_match.replace("W/", "").split(", "):
        return Response(status_code=304, headers={**headers, "ETag": tag})
    found = images.thumbnail_of(workspace, row, size=size)
    return Response(found.data, media_type=found.media_type, headers={**headers, "ETag": f'"{found.tag}"'})


@router.get("/images/{row}/neighbors")
def image_neighbors(workspace: OpenWorkspace, row: Row, n: Annotated[int, Query(ge=1, le=200)] = 12) -> SearchResponse:
    """Return the images nearest to one of the dataset."""
    return neighbors(workspace, row, n_results=n)


@router.get("/layouts/{name}", response_class=Response, responses={200: {"content": _BINARY}})
def layout(
    workspace: OpenWorkspace,
    name: Annotated[str, Path(pattern=r"^[a-z0-9-]{1,32}$", description="One of the dataset's maps.")],
) -> Response:
    """Return the places of all images: little-endian uint16, row by row, shape in the header `X-Shape`.

    Places are 0 to 65534 with one scale for all axes; 65535 in every column is an image without a place.
    """
    places = maps.quantised_layout(workspace, name)
    shape = ",".join(map(str, places.shape))
    return Response(places.tobytes(), media_type="application/octet-stream", headers={"X-Shape": shape})


@router.get("/colors", response_model=maps.Legend, responses={200: {"content": _BINARY}})
def colors(
    *,
    workspace: OpenWorkspace,
    by: Annotated[str, Query(max_length=200, description='"cluster", "outlier_score", or a column.')] = "cluster",
    partition: AnyPartition = None,
    codes: Annotated[bool, Query(description="The code of each row instead, little-endian uint16.")] = False,
) -> maps.Legend | Response:
    """Return what colours mean, or the code of each row's colour; 0 is noise, or not known."""
    name = asked_partition(workspace, partition)
    if not codes:
        return maps.legend(workspace, by, partition=name)
    found = maps.color_codes(workspace, by, partition=name)
    return Response(found.tobytes(), media_type="application/octet-stream", headers={"X-Shape": str(len(found))})
