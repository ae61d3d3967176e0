"""What transformers make of rows, written block by block into memory or into a file that is then mapped."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.storage.vector_files import map_npy
from veriwild_clustering.core.validation import DatasetError, reason_of
from veriwild_clustering.descriptors.streaming.rows import Rows

__all__ = ["MAPPED_BYTES", "check_path", "whole", "written"]

MAPPED_BYTES = 2**30
"""Results larger than this do not stay in memory: they go to a temporary file."""

Parts = Iterator[tuple[slice, NDArray[np.float32]]]
Written = tuple[NDArray[np.float32], NDArray[np.bool_]]


def check_path(path: str | Path | None) -> None:
    """Raise unless a result can have this name, before it is computed."""
    if path is not None and Path(path).suffix.lower() != ".npy":
        raise DatasetError(f"`path` must be a name that ends in .npy. Got {str(path)!r} instead.")


def whole(rows: Rows) -> Descriptor:
    """Return rows as a descriptor, for what needs all of them at once: their only parent, if that is what they are."""
    if len(rows.parents) == 1 and not rows.steps:
        return rows.parents[0]
    everywhere = np.ones(len(rows), dtype=bool)
    return Descriptor(rows.name, written(rows, everywhere)[0], everywhere)


def written(rows: Rows, valid: NDArray[np.bool_], *, path: str | Path | None = None, n_results: int = 1) -> Written:
    """Return a matrix with the rows where `valid` holds and NaN elsewhere, and which of its rows are finite.

    It is the map of the .npy at `path`; without one it is in memory or, if `n_results` of that size would be too much
    for that, the map of a temporary file that disappears with it.
    """
    shape, finite = (len(valid), rows.n_features), np.zeros(len(valid), dtype=bool)
    parts = _image_rows(rows, valid, finite)
    if path is not None:
        return _npy(parts, shape, Path(path)), finite
    if n_results * 4 * shape[0] * shape[1] > MAPPED_BYTES:
        return _temporary(parts, shape), finite
    vectors = np.empty(shape, dtype=np.float32)
    for place, part in parts:
        vectors[place] = part
    return vectors, finite


def _image_rows(rows: Rows, valid: NDArray[np.bool_], finite: NDArray[np.bool_]) -> Parts:
    """Yield all rows in order, NaN where there is none, and note in `finite` which are finite."""
    chosen, start = np.flatnonzero(valid), 0
    for places, block in rows.blocks(description=f"Transforming {rows.name}"):
        stop = len(valid) if places.stop == len(chosen) else int(chosen[places.stop])
        part = block.astype(np.float32, order="C", copy=False)
        if stop - start > len(block):
            part = np.full((stop - start, block.shape[1]), np.nan, dtype=np.float32)
            part[valid[start:stop]] = block
        finite[start:stop] = np.isfinite(part).all(axis=1)
        yield slice(start, stop), part
        start = stop


def _npy(parts: Parts, shape: tuple[int, int], path: Path) -> NDArray[np.float32]:
    with write_atomically(path) as temporary, temporary.open("wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for _, part in parts:
            stream.write(part.astype("<f4", copy=False).data)
    return map_npy(path)


def _temporary(parts: Parts, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the map of a file that is removed with the last array that shows it; workers find it by its name."""
    handle, name = tempfile.mkstemp(prefix="veriwild-", suffix=".float32")
    try:
        with os.fdopen(handle, "wb") as stream:
            for _, part in parts:
                stream.write(part.data)
        vectors = np.memmap(name, dtype=np.float32, mode="r", shape=shape)
    except BaseException as error:
        _remove(name, os.getpid())
        if isinstance(error, OSError):
            raise DatasetError(
                f"Cannot write {4 * shape[0] * shape[1] / 2**30:.1f} GiB to {name}: {reason_of(error)}. Make room "
                f"there, or name a folder with more of it in the environment variable TMPDIR."
            ) from error
        raise
    weakref.finalize(vectors.base, _remove, name, os.getpid())
    return vectors


def _remove(name: str, process: int) -> None:
    """Remove a file, unless this is a fork of the process that made it."""
    if os.getpid() == process:
        Path(name).unlink(missing_ok=True)
