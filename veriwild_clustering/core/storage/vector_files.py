"""Matrices of vectors: out of pickle, .npy, CSV and parquet without running anything they say, and into .npy."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import finite_rows
from veriwild_clustering.core.pickles import read_pickled_array
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.storage.tables import index_by_path, path_column, read_csv
from veriwild_clustering.core.validation import DatasetError, reason_of
from veriwild_clustering.core.vectors.blocks import release, row_blocks

__all__ = ["VECTOR_SUFFIXES", "as_float32", "map_npy", "read_vectors", "write_npy"]

VECTOR_SUFFIXES = (".pickle", ".pkl", ".npy", ".csv", ".parquet")
_INDEX_COLUMNS = frozenset({"", "index", "Unnamed: 0", "__index_level_0__"})


def read_vectors(file: str | Path, paths: Sequence[str]) -> NDArray[Any]:
    """Read a matrix with one row per image.

    Parameters
    ----------
    file : path
        A pickle of a NumPy array or a .npy file, both memory-mapped, or a CSV or a parquet table of numbers. In tables
        an index column is left out, and rows are matched by a column `path` where there is one.
    paths : sequence of str
        The paths of the images, in order.

    Returns
    -------
    array of shape (n_images, n_features), any real dtype
        The matrix, not yet checked for NaN.

    Raises
    ------
    DatasetError
        If the file is missing, damaged, holds anything but a numeric matrix, or has another number of rows.

    Notes
    -----
    O(1) for .npy files and pickles of protocols 3 to 5, whose pages are read when they are used; pickles of protocols 0
    to 2 and tables are read into memory, at a few times their own size.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "mine.npy"
    >>> np.save(file, np.eye(2))
    >>> read_vectors(file, ["a.jpg", "b.jpg"]).shape
    (2, 2)
    """
    file = Path(file)
    if not file.is_file():
        raise DatasetError(f"The vectors file {file} does not exist.")
    suffix = file.suffix.lower()
    if suffix not in VECTOR_SUFFIXES:
        raise DatasetError(f"{file} cannot be read: vectors come as {', '.join(VECTOR_SUFFIXES)}.")
    if suffix in {".csv", ".parquet"}:
        matrix = _read_table(file, paths)
    else:
        matrix = map_npy(file) if suffix == ".npy" else read_pickled_array(file)
    _check_matrix(file, matrix, len(paths))
    return matrix


def as_float32(block: NDArray[Any]) -> NDArray[np.float32]:
    """Return `block` as contiguous, aligned float32: bytes in a pickle begin anywhere."""
    with np.errstate(over="ignore"):  # what does not fit becomes infinite and its row is flagged
        return np.require(block, np.float32, ["C", "A", "E"])


def write_npy(
    target: Path, vectors: NDArray[Any], *, description: str = "Vectors", progress: bool | None = False
) -> tuple[NDArray[np.bool_], str]:
    """Write a .npy of float32 block by block; return which rows are finite and the SHA-256 of the file."""
    n_rows, n_features = vectors.shape
    blocks = list(row_blocks(n_rows, max(4, vectors.itemsize) * n_features))
    usable = np.empty(n_rows, dtype=bool)
    buffer = np.empty((blocks[0].stop, n_features), dtype="<f4")  # used again: fresh memory costs more than the copy
    with target.open("wb") as stream, ThreadPoolExecutor(1) as aside:
        hashing = _Hashing(stream, aside)
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, n_features)}
        np.lib.format.write_array_header_1_0(hashing, header)
        for rows in track(blocks, description=description, show=progress):
            block = buffer[: rows.stop - rows.start]
            with np.errstate(over="ignore"):  # as in as_float32
                np.copyto(block, vectors[rows], casting="unsafe")
            release(vectors)
            usable[rows] = finite_rows(block)
            hashing.write(block.data)
    return usable, hashing.digest.hexdigest()


def map_npy(file: Path) -> np.memmap[Any, Any]:
    """Memory-map the array of a .npy file, read-only.

    Raises
    ------
    DatasetError
        If the file is truncated, no .npy file, or holds objects or several arrays.
    """
    try:
        with np.errstate(over="ignore"):  # a header may claim more bytes than an integer can count
            array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, OverflowError) as error:
        if "Python objects" in str(error):
            raise DatasetError(f"{file} holds an object array; vectors must be real numbers.") from error
        if "pickled" in str(error):  # what NumPy takes any file without its magic for
            raise DatasetError(f"{file} is not a .npy file. If it is a pickle, name it .pickle.") from error
        raise DatasetError(f"{file} is truncated or not a .npy file: {reason_of(error)}.") from error
    if not isinstance(array, np.memmap):  # an archive of several arrays under the name .npy
        raise DatasetError(f"{file} holds several arrays; save one matrix with numpy.save.")
    return array


class _Hashing:
    """A stream that hashes what passes through it, in another thread while it is written."""

    def __init__(self, stream: BinaryIO, aside: Executor) -> None:
        self._stream, self._aside, self.digest = stream, aside, hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        hashed = self._aside.submit(self.digest.update, data)
        written = self._stream.write(data)
        hashed.result()
        return written


def _check_matrix(file: Path, matrix: NDArray[Any], n_images: int) -> None:
    if matrix.dtype.kind not in "fiu":
        raise DatasetError(f"{file} holds an array of dtype {matrix.dtype}; vectors must be real numbers.")
    if matrix.ndim != 2:
        raise DatasetError(
            f"{file} holds a {matrix.ndim}-D array of shape {matrix.shape}; "
            f"vectors must be a matrix (n_images, n_features)."
        )
    n_rows, n_columns = matrix.shape
    if n_rows != n_images and n_columns == n_images:
        raise DatasetError(
            f"{file} has shape {matrix.shape} and looks transposed: there are {n_images} images. "
            f"Save its transpose, `array.T`."
        )
    if n_rows != n_images:
        raise DatasetError(
            f"{file} has {n_rows} rows but images_paths.csv lists {n_images} images. "
            f"Both must come from the same extraction; vectors cannot be matched by guessing."
        )
    if n_columns == 0:
        raise DatasetError(f"{file} has no columns, shape {matrix.shape}.")


def _read_table(file: Path, paths: Sequence[str]) -> NDArray[Any]:
    try:
        table = _read_parquet(file) if file.suffix.lower() == ".parquet" else _read_csv(file, len(paths))
    except DatasetError:
        raise
    except Exception as error:  # pyarrow and pandas raise many kinds on damaged files
        raise DatasetError(f"{file} cannot be read as a table: {reason_of(error)}.") from error
    keys = path_column(table)
    numbers = table.drop(columns=[name for name in table.columns if str(name) in _INDEX_COLUMNS or name == keys])
    text = [str(name) for name in numbers.columns if numbers[name].dtype.kind not in "fiu"]
    if text:
        raise DatasetError(f"{file}: column {text[0]!r} does not hold numbers alone; leave it out.")
    matrix = numbers.to_numpy(dtype=np.float32 if (numbers.dtypes == np.float32).all() else np.float64)
    return matrix if keys is None else _match(file, matrix, keys=table[keys], paths=paths)


def _read_parquet(file: Path) -> pd.DataFrame:
    table = pd.read_parquet(file)
    return table.reset_index() if {"path", "paths"} & set(table.index.names) else table


def _read_csv(file: Path, n_images: int) -> pd.DataFrame:
    """Read a CSV with or without a header; pandas itself writes the numbers 0, 1, 2 … as one."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        first = stream.readline().strip().split(",")
        n_lines = 1 + sum(1 for line in stream if line.strip())
    names = [cell for cell in first if cell]
    counted = n_lines == n_images + 1 and names == [str(place) for place in range(len(names))]
    named = counted or not all(map(_is_number, first))
    return read_csv(file, header=0 if named else None, encoding="utf-8-sig")


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip('" ') or "nan")
    except ValueError:
        return False
    return True


def _match(file: Path, matrix: NDArray[Any], *, keys: pd.Series, paths: Sequence[str]) -> NDArray[Any]:
    """Return rows in the order of `paths`; images that the table does not name get NaN."""
    index = index_by_path(file, keys)
    unknown = index.difference(pd.Index(paths))
    if len(unknown):
        raise DatasetError(f"{file} names {len(unknown)} images not in images_paths.csv, first {unknown[0]!r}.")
    rows = index.get_indexer(pd.Index(paths))
    matched = np.full((len(paths), matrix.shape[1]), np.nan, dtype=matrix.dtype)
    matched[rows >= 0] = matrix[rows[rows >= 0]]
    return matched
