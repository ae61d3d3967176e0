"""Routes of searching and describing: what takes new images and words."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, File, Form, UploadFile
from numpy.typing import NDArray
from pydantic import ValidationError

from veriwild_clustering.apps.page.problems import BadRequestError
from veriwild_clustering.apps.page.server.routers.parameters import OpenWorkspace
from veriwild_clustering.apps.page.services import describing
from veriwild_clustering.apps.page.services.searching import SearchRequest, SearchResponse, search

__all__ = ["router"]

router = APIRouter(tags=["search"])

_MAX_FILES = 8


@router.post("/search")
def search_dataset(workspace: OpenWorkspace, request: SearchRequest) -> SearchResponse:
    """Return the images nearest to rows, to words, or to both."""
    return search(workspace, request)


@router.post("/search/upload")
def search_upload(
    workspace: OpenWorkspace,
    images: Annotated[list[UploadFile], File(max_length=_MAX_FILES, description="Images of at most 20 MB each.")],
    query: Annotated[str, Form(max_length=100_000, description="What /search takes, as JSON.")] = "{}",
) -> SearchResponse:
    """Return the images nearest to new ones, and to what else the query holds."""
    try:
        request = SearchRequest.model_validate_json(query)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(["query", *map(str, first["loc"])])
        raise BadRequestError(str(first["msg"]), field=field) from error
    return search(workspace, request, [_pixels(file, "images") for file in images])


@router.post("/describe")
def describe(workspace: OpenWorkspace, image: Annotated[UploadFile, File()]) -> describing.Description:
    """Return colour, type, view and roof of the vehicle in an image, "uncertain" where nothing at hand tells."""
    return describing.describe_image(workspace, _pixels(image, "image"))


def _pixels(file: UploadFile, field: str) -> NDArray[np.uint8]:
    return describing.decode_upload(file.file.read(describing.MAX_UPLOAD_BYTES + 1), field=field)
