"""Masks and COCO's JSON: written beside the dataset, and to be taken away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO
from zipfile import ZipFile, ZipInfo

import numpy as np

from veriwild_clustering.apps.page.services.images import checked_row
from veriwild_clustering.apps.page.services.painting.schemas import SavedMasks, SaveRequest
from veriwild_clustering.apps.page.services.painting.states import opened
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.images.painting.coco import write_coco
from veriwild_clustering.images.painting.masks import mask_name
from veriwild_clustering.images.painting.states import Painting

__all__ = ["coco_of_all", "coco_of_image", "masks_of_all", "masks_of_image", "save_masks"]

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the same masks make the same zip


def save_masks(workspace: Workspace, row: int, request: SaveRequest) -> SavedMasks:
    """Write one mask for each colour of an image into the folder of paintings."""
    with opened(workspace, row) as canvas:
        folder = workspace.paintings.folder
        files = folder.save(workspace.paintings.paths[row], canvas.painting, colons=request.colons)
        return SavedMasks(files=[file.relative_to(folder.output).as_posix() for file in files])


def masks_of_image(workspace: Workspace, row: int) -> bytes:
    """Return a zip of the masks of what is painted on an image now, saved or not."""
    stream = BytesIO()
    with opened(workspace, row) as canvas:
        painting = canvas.painting
    _write_zip(stream, workspace, [(workspace.paintings.paths[row], painting)])
    return stream.getvalue()


def masks_of_all(workspace: Workspace) -> Path:
    """Return a zip of the masks of all images that are painted, in their folders."""
    file = workspace.folder / "exports" / "masks.zip"
    with write_atomically(file) as temporary, temporary.open("wb") as stream:
        _write_zip(stream, workspace, _all(workspace))
    return file


def coco_of_image(workspace: Workspace, row: int, form: str) -> bytes:
    """Return COCO's JSON of an image."""
    row = checked_row(workspace, row)
    with opened(workspace, row) as canvas:
        painting = canvas.painting
    with TemporaryDirectory(prefix="veriwild-") as folder:
        file = Path(folder) / "coco.json"
        write_coco(file, [(workspace.paintings.paths[row], painting)], form=form)
        return file.read_bytes()


def coco_of_all(workspace: Workspace, form: str) -> Path:
    """Return COCO's JSON of all images that are painted."""
    file = workspace.folder / "exports" / f"coco-{form}.json"
    write_coco(file, _all(workspace), form=form)
    return file


def _all(workspace: Workspace) -> Iterator[tuple[str, Painting]]:
    """Yield what is kept of each image of the dataset, one at a time."""
    paintings = workspace.paintings
    for path in paintings.folder.kept_paths():
        painting = paintings.folder.read(path) if path in paintings.rows else None
        if painting is not None and painting.colors:
            yield path, painting


def _write_zip(stream: IO[bytes], workspace: Workspace, paintings: Iterable[tuple[str, Painting]]) -> None:
    from PIL import Image

    with ZipFile(stream, "w") as archive:
        for path, painting in paintings:
            folder, stem = PurePosixPath(path).parent, workspace.paintings.folder.stem(path)
            for color in painting.colors:
                encoded = BytesIO()
                Image.fromarray(painting.mask(color).astype(np.uint8) * 255).save(encoded, "PNG")
                name = (folder / mask_name(stem, color)).as_posix()
                archive.writestr(ZipInfo(name, _FIRST_DAY), encoded.getvalue())
