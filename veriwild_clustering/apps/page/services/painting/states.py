"""What is painted on an image, as figures and as images; what there is to paint with."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.apps.page.preparation.paintings import MAX_PIXELS
from veriwild_clustering.apps.page.services.images import checked_row
from veriwild_clustering.apps.page.services.painting.schemas import (
    PaintedColor,
    PaintedImage,
    PaintingOverview,
    PaintingState,
    Way,
)
from veriwild_clustering.apps.page.services.schemas import Page
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.core.storage.partitions import VersionConflictError
from veriwild_clustering.images.painting.canvas import Canvas
from veriwild_clustering.images.painting.states import Color, unpacked_color
from veriwild_clustering.images.segmentation.segmenting import METHODS, PROMPTED

__all__ = [
    "SAM",
    "hex_of",
    "image_jpeg",
    "image_tag",
    "opened",
    "paint_png",
    "painted_page",
    "painting_overview",
    "painting_state",
    "sam_missing",
    "segments_png",
    "state_of",
]

SAM = ("mobile-sam", "sam-vit-b")
_QUALITY = 92
_ABOUT = {
    "slic": "superpixels", "mslic": "superpixels, smaller where there is more to see",
    "kmeans": "clusters of pixels by colour and place", "superpixel-kmeans": "clusters of superpixels",
    "edge": "what lies between edges", "felzenszwalb": "trees of a graph (scikit-image)",
    "graph": "trees of a graph (OpenCV)", "chan-vese": "a contour between light and dark",
    "quickshift": "modes of density", "watershed": "basins of the gradient", "sam": "everything a network sees",
}  # fmt: skip
_OF_SKIMAGE = frozenset({"felzenszwalb", "chan-vese", "quickshift", "watershed"})
_NO_SKIMAGE = "needs the package scikit-image: pip install 'veriwild-clustering[vision]'"


def painting_overview(workspace: Workspace) -> PaintingOverview:
    """Return what there is to paint on, and with."""
    has_images, missing = workspace.dataset.image_store is not None, sam_missing(workspace)
    has_skimage = find_spec("skimage") is not None
    wanting = {"sam": missing, **dict.fromkeys(_OF_SKIMAGE, "" if has_skimage else _NO_SKIMAGE)}
    sam = missing or "a network, which knows many things by their look"
    return PaintingOverview(
        n_images=len(workspace.dataset),
        has_images=has_images,
        max_pixels=MAX_PIXELS,
        n_kept=sum(1 for _ in workspace.paintings.folder.kept_paths()) if has_images else 0,
        methods=[
            Way(name=name, is_at_hand=not wanting.get(name), about=wanting.get(name) or _ABOUT[name])
            for name in METHODS
            if name not in PROMPTED
        ],
        cutting=[
            Way(name="grabcut", is_at_hand=True, about="tells the object from the rest by their colours"),
            Way(name="sam", is_at_hand=not missing, about=sam),
        ],
    )


def sam_missing(workspace: Workspace) -> str:
    """Say what is missing for SAM, "" if nothing is."""
    from veriwild_clustering.images.models.weights import ModelError, is_cached

    if find_spec("onnxruntime") is None:
        return "SAM needs the package onnxruntime: pip install 'veriwild-clustering[models]'"
    try:
        is_here = any(is_cached(name, folder=workspace.models) for name in SAM)
    except ModelError as error:
        return str(error)
    return "" if is_here else (
        "SAM needs its encoder and decoder, mobile_sam_encoder.onnx and mobile_sam_decoder.onnx, in the folder of "
        "weights. Nobody offers them: export them as its authors say."
    )  # fmt: skip


def painted_page(workspace: Workspace, *, offset: int, limit: int) -> Page[PaintedImage]:
    """Return the images of which something is kept, folder by folder."""
    paintings = workspace.paintings
    kept = [path for path in paintings.folder.kept_paths() if path in paintings.rows]
    items = []
    for path in kept[offset : offset + limit]:
        painting = paintings.folder.read(path)
        colors = [hex_of(color) for color in painting.colors] if painting is not None else []
        items.append(PaintedImage(row=paintings.rows[path], path=path, colors=colors))
    return Page[PaintedImage](total=len(kept), items=items)


@contextmanager
def opened(workspace: Workspace, row: int, *, base_version: int | None = None) -> Iterator[Canvas]:
    """Give the canvas of a row, to one request at a time.

    Raises
    ------
    NotFoundError
        If there is no such row.
    VersionConflictError
        If its version is not `base_version`.
    DatasetError
        If the image cannot be read, is too large, or is not at hand.
    """
    row = checked_row(workspace, row)
    with workspace.paintings.held(row) as canvas:
        if base_version is not None and base_version != canvas.version:
            name = workspace.paintings.paths[row]
            raise VersionConflictError(name, base=base_version, current=canvas.version, kind="The painting of")
        yield canvas


def painting_state(workspace: Workspace, row: int) -> PaintingState:
    """Return what is painted on an image; it is divided into segments if it is new."""
    with opened(workspace, row) as canvas:
        return state_of(workspace, row, canvas)


def state_of(workspace: Workspace, row: int, canvas: Canvas) -> PaintingState:
    """Return what is painted on an image that is open."""
    path, painting = workspace.paintings.paths[row], canvas.painting
    numbers, counts = np.unique(painting.paint, return_counts=True)
    height, width = painting.paint.shape
    side = canvas.method.params.get("region_size", 20 if canvas.method.name in {"slic", "mslic"} else None)
    return PaintingState(
        row=row,
        path=path,
        width=width,
        height=height,
        version=canvas.version,
        method=canvas.method.name,
        side=side,
        n_segments=int(painting.labels.max()),
        segments_tag=f"{zlib.crc32(painting.labels.tobytes()):08x}",
        colors=[
            PaintedColor(color=hex_of(unpacked_color(number)), n_pixels=count, share=count / painting.paint.size)
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
            if number >= 0
        ],
        can_undo=canvas.can_undo,
        can_redo=canvas.can_redo,
        saved=[file.name for file in workspace.paintings.folder.saved(path)],
    )


def image_jpeg(workspace: Workspace, row: int) -> bytes:
    """Return the image as it is painted on: upright, in its own size."""
    with opened(workspace, row) as canvas:
        return _encoded(canvas.image, "JPEG", quality=_QUALITY, subsampling=0)


def image_tag(workspace: Workspace, row: int) -> str:
    """Return what tells an image from another, or from what it was before its file changed."""
    return workspace.thumbnails.tag(checked_row(workspace, row), 0)


def segments_png(workspace: Workspace, row: int) -> bytes:
    """Return the segment of each pixel as an RGB PNG: red, green and blue are the bytes of its number."""
    with opened(workspace, row) as canvas:
        return _encoded(_channels(canvas.painting.labels), "PNG", compress_level=1)


def paint_png(workspace: Workspace, row: int) -> bytes:
    """Return the paint as an RGBA PNG, transparent where there is none."""
    with opened(workspace, row) as canvas:
        paint = canvas.painting.paint
        alpha = np.where(paint >= 0, 255, 0).astype(np.uint8)
        pixels = np.dstack([_channels(np.maximum(paint, 0)), alpha])
        return _encoded(pixels, "PNG", compress_level=1)


def hex_of(color: Color) -> str:
    """Return a colour as a page writes it."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def _channels(numbers: NDArray[np.int32]) -> NDArray[np.uint8]:
    return np.stack([numbers >> 16 & 255, numbers >> 8 & 255, numbers & 255], axis=2).astype(np.uint8)


def _encoded(pixels: NDArray[np.uint8], form: str, **options: int) -> bytes:
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()
