"""What is compared of the images of a dataset, made batch by batch in bounded memory."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.progress import track
from veriwild_clustering.descriptors.extraction.decoding import decoded_groups
from veriwild_clustering.descriptors.pairwise.catalog import MEASURES
from veriwild_clustering.descriptors.pairwise.measure import Measure
from veriwild_clustering.descriptors.pairwise.vectors import VectorSimilarity
from veriwild_clustering.images.reading import image_store_of

__all__ = ["Compared", "compared"]

_IN_MEMORY = 2**28  # bytes; larger features lie in a temporary file
_BATCH = 256


@dataclass(frozen=True)
class Compared:
    """A measure with what it compares: one row of features per image, and a descriptor of them."""

    measure: Measure
    features: NDArray[Any]
    descriptor: Descriptor

    @property
    def rows(self) -> NDArray[np.int64]:
        """The images that can be compared."""
        return np.flatnonzero(self.descriptor.valid)


def compared(
    dataset: Dataset,
    method: str | Descriptor,
    *,
    metric: str,
    batch_size: int | None,
    n_jobs: int,
    progress: bool | None,
) -> Compared:
    """Return what the method compares: pixels of the images, read now, or vectors of a descriptor."""
    if isinstance(method, Descriptor):
        if len(method) != len(dataset):
            raise ValueError(
                f"`method` must have {len(dataset)} rows, one per image of the dataset. Got {len(method)} instead."
            )
        return Compared(VectorSimilarity(method.name, metric), method.vectors, method)
    if method in MEASURES:
        return _read(dataset, MEASURES[method], batch_size=batch_size or _BATCH, n_jobs=n_jobs, progress=progress)
    if method in dataset.names:
        return compared(
            dataset, dataset[method], metric=metric, batch_size=batch_size, n_jobs=n_jobs, progress=progress
        )
    known = ", ".join(map(repr, (*MEASURES, *dataset.names)))
    raise ValueError(f"`method` must be one of {known} or a Descriptor. Got {method!r} instead.")


def _read(dataset: Dataset, measure: Measure, *, batch_size: int, n_jobs: int, progress: bool | None) -> Compared:
    paths = [str(path) for path in dataset.images["path"]]
    size = min(batch_size, _BATCH)
    groups = decoded_groups(image_store_of(dataset), paths, start=0, batch_size=size, n_threads=n_jobs)
    valid = np.zeros(len(paths), dtype=bool)
    features = described = None
    with closing(groups), ThreadPoolExecutor(n_jobs, thread_name_prefix="features") as pool:
        steps = track(
            groups, description="Images", total=ceil(len(paths) / size), unit=" images", per_step=size, show=progress
        )
        for rows, images in steps:
            readable = np.array([image.pixels is not None for image in images])
            pixels = [image.pixels for image in images if image.pixels is not None]
            if not pixels:
                continue
            share = ceil(len(pixels) / n_jobs)
            parts = [pixels[start : start + share] for start in range(0, len(pixels), share)]
            made = np.concatenate([*pool.map(measure.features, parts)])
            if features is None or described is None:
                features = _array((len(paths), made.shape[1]), made.dtype)
                described = _array((len(paths), measure.describe(made).shape[1]), np.dtype(np.float32))
                described[:] = np.nan
            places = np.arange(rows.start, rows.stop)[readable]
            summary = measure.describe(made)
            features[places], described[places], valid[places] = made, summary, np.isfinite(summary).all(axis=1)
    if features is None or described is None:
        features, described = np.zeros((len(paths), 1)), np.full((len(paths), 1), np.nan, dtype=np.float32)
    return Compared(measure, features, Descriptor(measure.name, described, valid))


def _array(shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros: in memory, or in a temporary file that goes with them."""
    if shape[0] * shape[1] * dtype.itemsize <= _IN_MEMORY:
        return np.zeros(shape, dtype=dtype)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)
