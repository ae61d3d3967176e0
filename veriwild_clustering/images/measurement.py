"""All that is measured of the images, in one pass that decodes each of them once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.images.appearance.attributes import appearance
from veriwild_clustering.images.chunks import in_chunks, one_opencv_thread
from veriwild_clustering.images.inspection import Row, inspect_image, inspection_table
from veriwild_clustering.images.quality.measures import quality_measures
from veriwild_clustering.images.reading import upright

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["measure_images"]

_CHUNK = 64
_BATCH_PIXELS = 2**24  # decoded at a time: 48 MB
_MAX_MEASURED = 4_000_000  # pixels; BRISQUE takes some hundred bytes for each


def measure_images(
    image_store: ImageStore,
    paths: Sequence[str],
    *,
    store: str | Path | None = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Measure every image: its size, whether all of it can be decoded, quality, appearance, perceptual hash.

    Parameters
    ----------
    image_store : ImageStore
        Where the image files lie.
    paths : sequence of str
        Paths as in the image table.
    store : path, optional
        A folder, made if it is not there, in which each finished chunk is kept: a run that was stopped or killed goes
        on from there. What has changed since, files or code, is measured again.
    n_jobs : int, optional
        Number of processes. By default what `joblib.parallel_config` says, or one per core.
    progress : bool, optional
        Whether to show a progress bar. By default where somebody watches.

    Returns
    -------
    DataFrame
        One row per path, in order: the columns of `inspect_images`; those of `quality_measures`; those of
        `appearance`; `phash`, the perceptual hash of 64 bits [1]_ as 16 hex digits, close where images look alike, see
        `near_duplicates`. All but the first four are missing where the image cannot be decoded.

    Raises
    ------
    DatasetError
        If the zip of the images or the folder of the store cannot be used.

    Notes
    -----
    O(n_images * n_pixels): each image is read once and decoded once at full resolution. Memory per process is that of
    some 16 megapixels and what `quality_measures` needs for them: an image of more than 4 megapixels is measured at a
    half, a third … of its size, whichever is the first to fit. On a cluster each machine reads the images itself, under
    the same path.

    References
    ----------
    .. [1] Zauner, C. (2010). Implementation and benchmarking of perceptual image hash functions. Upper Austria
       University of Applied Sciences. https://www.phash.org/docs/pubs/thesis_zauner.pdf

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from veriwild_clustering import ImageStore, measure_images
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> Image.linear_gradient("L").save(folder / "a.png")
    >>> table = measure_images(ImageStore(folder), ["a.png", "b.png"], n_jobs=1)
    >>> table["brightness"].round(2).tolist(), table["phash"].notna().tolist()
    ([0.5, nan], [True, False])
    """
    return in_chunks(_measure_chunk, image_store, paths, size=_CHUNK, folder=store, n_jobs=n_jobs, progress=progress)


def _measure_chunk(store: ImageStore, paths: list[str]) -> pd.DataFrame:
    rows: list[Row] = []
    with one_opencv_thread:
        measured = pd.concat([_measures(batch) for batch in _batches(store, paths, rows)])
    return inspection_table(rows).join(measured)


def _batches(store: ImageStore, paths: list[str], rows: list[Row]) -> Iterator[dict[int, Image.Image]]:
    """Yield decoded images by their place, a few at a time since images may be large, and note the row of each path."""
    batch: dict[int, Image.Image] = {}
    n_pixels = 0
    for place, path in enumerate(paths):
        row, image = inspect_image(store, path, decode=partial(upright, max_pixels=_MAX_MEASURED))
        rows.append(row)
        if image is None:
            continue
        n_pixels += image.width * image.height
        if batch and n_pixels > _BATCH_PIXELS:
            yield batch
            batch, n_pixels = {}, image.width * image.height
        batch[place] = image
    yield batch


def _measures(images: Mapping[int, Image.Image]) -> pd.DataFrame:
    import imagehash

    pixels = [np.asarray(image) for image in images.values()]
    hashes = pd.Series([str(imagehash.phash(image)) for image in images.values()], dtype="str", name="phash")
    return pd.concat([quality_measures(pixels), appearance(pixels), hashes], axis=1).set_axis(list(images))
