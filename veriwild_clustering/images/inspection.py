"""Size and state of every image file: what the image table says about pixels before anybody clusters them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.images.chunks import in_chunks
from veriwild_clustering.images.reading import BadImageError, open_header

if TYPE_CHECKING:
    from PIL import ImageFile

__all__ = ["Row", "inspect_image", "inspect_images", "inspection_table"]

T = TypeVar("T")
Row = tuple[int | None, int | None, str, str]

_CHUNK = 256
_EXIF_ORIENTATION = 0x0112
_TURNED = frozenset({5, 6, 7, 8})  # orientations that swap width and height


def inspect_images(
    image_store: ImageStore, paths: Sequence[str], *, n_jobs: int | None = None, progress: bool | None = None
) -> pd.DataFrame:
    """Read every image once: its size, and whether all of it can be decoded.

    Parameters
    ----------
    image_store : ImageStore
        Where the image files lie.
    paths : sequence of str
        Paths as in the image table.
    n_jobs : int, optional
        Number of processes. By default what `joblib.parallel_config` says, or one per core.
    progress : bool, optional
        Whether to show a progress bar. By default where somebody watches.

    Returns
    -------
    DataFrame
        One row per path, in order: `width` and `height` in pixels as the image is seen (EXIF orientation honoured),
        missing where unknown; `image_status`, one of "ok", "missing", "empty", "truncated", "unreadable",
        "too large" (above 100 megapixels), "refused" (leads outside the store); `detail`, the reason in words.

    Notes
    -----
    O(n_images): the whole stream of a JPEG is decoded, at an eighth of its resolution, so that truncation shows.
    On a cluster each machine reads the images itself, under the same path.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from veriwild_clustering import ImageStore, inspect_images
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (40, 30)).save(folder / "a.jpg")
    >>> inspect_images(ImageStore(folder), ["a.jpg", "b.jpg"], n_jobs=1)["image_status"].tolist()
    ['ok', 'missing']
    """
    return in_chunks(_inspect_chunk, image_store, paths, size=_CHUNK, n_jobs=n_jobs, progress=progress)


def inspect_image(store: ImageStore, path: str, *, decode: Callable[[ImageFile.ImageFile], T]) -> tuple[Row, T | None]:
    """Return the row of one image, and what `decode` makes of it, None where the image cannot be decoded."""
    width = height = None
    try:
        with open_header(store, path) as image:
            width, height = image.size
            if image.getexif().get(_EXIF_ORIENTATION) in _TURNED:
                width, height = height, width
            decoded = decode(image)
    except BadImageError as problem:
        return (width, height, problem.status, problem.detail), None
    return (width, height, "ok", ""), decoded


def inspection_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Return the rows of images as a table."""
    table = pd.DataFrame(rows, columns=["width", "height", "image_status", "detail"])
    return table.astype({"width": "Int32", "height": "Int32", "image_status": "str", "detail": "str"})


def _inspect_chunk(store: ImageStore, paths: list[str]) -> pd.DataFrame:
    return inspection_table([inspect_image(store, path, decode=_load_small)[0] for path in paths])


def _load_small(image: ImageFile.ImageFile) -> None:
    image.draft("RGB", (1, 1))
    image.load()
