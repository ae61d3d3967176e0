"""Size and state of every image file: what the image table says about pixels before anybody clusters them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from veriwild_clustering.core.progress import track
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.images.reading import BadImageError, open_header

__all__ = ["inspect_images"]

_Row = tuple[int | None, int | None, str, str]

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
    from joblib import Parallel, delayed, effective_n_jobs

    listed = list(paths)
    chunks = [listed[start : start + _CHUNK] for start in range(0, len(listed), _CHUNK)]
    if n_jobs is None and effective_n_jobs() == 1:
        n_jobs = -1
    if len(chunks) == 1:
        n_jobs = 1  # starting processes costs more than one chunk
    store = replace(image_store, location=image_store.location.absolute())  # workers may stand in another folder
    done = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(_inspect_chunk)(store, part) for part in chunks)
    bar = track(done, description=f"Images, {_CHUNK} a step", total=len(chunks), show=progress)
    rows = [row for part in bar for row in part]
    table = pd.DataFrame(rows, columns=["width", "height", "image_status", "detail"])
    return table.astype({"width": "Int32", "height": "Int32", "image_status": "str", "detail": "str"})


def _inspect_chunk(store: ImageStore, paths: list[str]) -> list[_Row]:
    return [_inspect(store, path) for path in paths]


def _inspect(store: ImageStore, path: str) -> _Row:
    width = height = None
    try:
        with open_header(store, path) as image:
            width, height = image.size
            if image.getexif().get(_EXIF_ORIENTATION) in _TURNED:
                width, height = height, width
            image.draft("RGB", (1, 1))
            image.load()
    except BadImageError as problem:
        return width, height, problem.status, problem.detail
    return width, height, "ok", ""
