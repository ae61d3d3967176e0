"""Routes of painting: segments and paint of an image, strokes on it, masks and COCO's JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import FileResponse

from veriwild_clustering.apps.page.server.errors import ErrorBody
from veriwild_clustering.apps.page.server.routers.parameters import Limit, Offset, OpenWorkspace, Row
from veriwild_clustering.apps.page.services.painting import exporting, states, strokes
from veriwild_clustering.apps.page.services.painting.schemas import (
    Change,
    Divide,
    Matches,
    MatchRequest,
    PaintedImage,
    PaintingOverview,
    PaintingState,
    SavedMasks,
    SaveRequest,
    StrokeRequest,
)
from veriwild_clustering.apps.page.services.schemas import Page

__all__ = ["router"]

router = APIRouter(prefix="/painting", tags=["painting"])

_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorBody, "description": "Somebody else has painted since, `current` says what; or it is busy."}
}
Form = Annotated[Literal["rle", "polygons"], Query(description="Run lengths or polygons; both hold the same pixels.")]


def _binary(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


def _download(data: bytes, media_type: str, name: str) -> Response:
    return Response(data, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.get("")
def overview(workspace: OpenWorkspace) -> PaintingOverview:
    """Return what there is to paint on and with, and what is missing for the rest."""
    return states.painting_overview(workspace)


@router.get("/images")
def painted_images(workspace: OpenWorkspace, offset: Offset = 0, limit: Limit = 100) -> Page[PaintedImage]:
    """Return the images of which something is kept, with the colours that are painted on them."""
    return states.painted_page(workspace, offset=offset, limit=limit)


@router.get("/masks.zip", response_class=FileResponse, responses=_binary("application/zip"))
def masks_of_all(workspace: OpenWorkspace) -> FileResponse:
    """Return the masks of all images that are painted, one for each colour, in their folders."""
    return FileResponse(exporting.masks_of_all(workspace), media_type="application/zip", filename="masks.zip")


@router.get("/coco.json", response_class=FileResponse, responses={200: {"content": {"application/json": {}}}})
def coco_of_all(workspace: OpenWorkspace, form: Form = "rle") -> FileResponse:
    """Return what is painted on all images as COCO's JSON."""
    return FileResponse(exporting.coco_of_all(workspace, form), media_type="application/json", filename="coco.json")


@router.get("/{row}")
def state(workspace: OpenWorkspace, row: Row) -> PaintingState:
    """Return what is painted on an image; it is divided into segments if it is new."""
    return states.painting_state(workspace, row)


@router.get(
    "/{row}/image.jpg",
    response_class=Response,
    responses={**_binary("image/jpeg"), 304: {"description": "It is what the tag in `If-None-Match` says."}},
)
def image(workspace: OpenWorkspace, row: Row, if_none_match: Annotated[str, Header(max_length=1000)] = "") -> Response:
    """Return the image upright and in its own size, as it is painted on."""
    headers = {"Cache-Control": "private, no-cache", "ETag": f'"{states.image_tag(workspace, row)}"'}
    if headers["ETag"] in if_none_match.replace("W/", "").split(", "):
        return Response(status_code=304, headers=headers)
    return Response(states.image_jpeg(workspace, row), media_type="image/jpeg", headers=headers)


@router.get("/{row}/segments.png", response_class=Response, responses=_binary("image/png"))
def segments(workspace: OpenWorkspace, row: Row) -> Response:
    """Return the segment of each pixel: red, green and blue are the bytes of its number; 0 is an edge."""
    return Response(states.segments_png(workspace, row), media_type="image/png")


@router.get("/{row}/paint.png", response_class=Response, responses=_binary("image/png"))
def paint(workspace: OpenWorkspace, row: Row) -> Response:
    """Return the paint, transparent where there is none."""
    return Response(states.paint_png(workspace, row), media_type="image/png")


@router.get("/{row}/masks.zip", response_class=Response, responses=_binary("application/zip"))
def masks(workspace: OpenWorkspace, row: Row) -> Response:
    """Return the masks of what is painted on an image now, saved or not, one for each colour."""
    return _download(exporting.masks_of_image(workspace, row), "application/zip", f"masks-{row}.zip")


@router.get("/{row}/coco.json", response_class=Response, responses={200: {"content": {"application/json": {}}}})
def coco(workspace: OpenWorkspace, row: Row, form: Form = "rle") -> Response:
    """Return what is painted on an image as COCO's JSON."""
    return _download(exporting.coco_of_image(workspace, row, form), "application/json", f"coco-{row}.json")


@router.post("/{row}/strokes", status_code=201, responses=_CONFLICT)
def stroke(workspace: OpenWorkspace, row: Row, request: StrokeRequest) -> PaintingState:
    """Make a stroke: fill, unfill, cut, stamp or cut out; of several on one version, the first counts."""
    return strokes.apply_stroke(workspace, row, request)


@router.post("/{row}/undo", status_code=201, responses=_CONFLICT)
def undo(workspace: OpenWorkspace, row: Row, request: Change) -> PaintingState:
    """Go back by one change; where there is none, nothing happens."""
    return strokes.undo(workspace, row, request)


@router.post("/{row}/redo", status_code=201, responses=_CONFLICT)
def redo(workspace: OpenWorkspace, row: Row, request: Change) -> PaintingState:
    """Do again what was undone; where there is nothing, nothing happens."""
    return strokes.redo(workspace, row, request)


@router.post("/{row}/reset", status_code=201, responses=_CONFLICT)
def reset(workspace: OpenWorkspace, row: Row, request: Change) -> PaintingState:
    """Begin anew with the segments of the method and no paint; undoing takes it back."""
    return strokes.reset(workspace, row, request)


@router.post("/{row}/segments", status_code=201, responses=_CONFLICT)
def divide(workspace: OpenWorkspace, row: Row, request: Divide) -> PaintingState:
    """Divide the image anew, by this or another method; the paint stays."""
    return strokes.divide(workspace, row, request)


@router.post("/{row}/matches")
def matches(workspace: OpenWorkspace, row: Row, request: MatchRequest) -> Matches:
    """Return where a pattern would be painted; nothing is changed."""
    return strokes.find_matches(workspace, row, request)


@router.post("/{row}/save", status_code=201)
def save(workspace: OpenWorkspace, row: Row, request: SaveRequest) -> SavedMasks:
    """Write one mask for each colour into the folder of paintings; masks of colours that are gone are removed."""
    return exporting.save_masks(workspace, row, request)
