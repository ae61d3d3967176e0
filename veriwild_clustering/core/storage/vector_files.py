"""Matrices of vectors: out of pickle, .npy, CSV and parquet without running anything they say, and into .npy."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.descriptor import finite_rows
from veriwild_clustering.core.storage.image_store import safe_path
from veriwild_clustering.core.validation import DatasetError

__all__ = ["VECTOR_SUFFIXES", "as_float32", "read_vectors", "write_npy"]

VECTOR_SUFFIXES = (".pickle", ".pkl", ".npy", ".csv", ".parquet")
_INDEX_COLUMNS = frozenset({"", "index", "Unnamed: 0", "__index_level_0__"})
_BLOCK_BYTES = 64 * 2**20
_RULE = "a pickle must hold one NumPy array and nothing else"
_PATH_COLUMNS = ("path", "paths")


def read_vectors(file: str | Path, paths: Sequence[str]) -> NDArray[Any]:
    """Read a matrix with one row per image.

    Parameters
    ----------
    file : path
        A pickle of a NumPy array, a .npy file (memory-mapped), a CSV or a parquet table of numbers. In tables an index
        column is left out, and rows are matched by a column `path` where there is one.
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
    O(n_images * n_features); a pickle needs its own size in memory once.

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
        matrix = _read_npy(file) if suffix == ".npy" else _read_pickle(file)
    _check_matrix(file, matrix, len(paths))
    return matrix


def as_float32(block: NDArray[Any]) -> NDArray[np.float32]:
    """Return `block` as contiguous float32."""
    with np.errstate(over="ignore"):  # what does not fit becomes infinite and its row is flagged
        return np.ascontiguousarray(block, dtype=np.float32)


def write_npy(target: Path, vectors: NDArray[Any]) -> tuple[NDArray[np.bool_], str]:
    """Write a .npy of float32 block by block; return which rows are finite and the SHA-256 of the file."""
    n_rows, n_features = vectors.shape
    step = max(1, _BLOCK_BYTES // (4 * n_features))
    usable = np.empty(n_rows, dtype=bool)
    with target.open("wb") as stream:
        hashing = _Hashing(stream)
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, n_features)}
        np.lib.format.write_array_header_1_0(hashing, header)
        for start in range(0, n_rows, step):
            block = as_float32(vectors[start : start + step])
            usable[start : start + step] = finite_rows(block)
            hashing.write(block.astype("<f4", copy=False).tobytes())
    return usable, hashing.digest.hexdigest()


class _Hashing:
    """A stream that hashes what passes through it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.digest = stream, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._stream.write(data)


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


def _read_npy(file: Path) -> NDArray[Any]:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        if "Object arrays" in str(error) or "Python objects" in str(error):
            raise DatasetError(f"{file} holds an object array; vectors must be real numbers.") from error
        raise DatasetError(f"{file} is truncated or not a .npy file: {error}.") from error
    if not isinstance(array, np.ndarray):  # an archive of several arrays under the name .npy
        raise DatasetError(f"{file} holds several arrays; save one matrix with numpy.save.")
    return array


def _read_table(file: Path, paths: Sequence[str]) -> NDArray[Any]:
    try:
        table = pd.read_parquet(file) if file.suffix.lower() == ".parquet" else _read_csv(file, len(paths))
    except Exception as error:  # pyarrow and pandas raise many kinds on damaged files
        raise DatasetError(f"{file} cannot be read as a table: {str(error).splitlines()[0]}.") from error
    keys = next((name for name in _PATH_COLUMNS if name in table.columns), None)
    numbers = table.drop(columns=[name for name in table.columns if str(name) in _INDEX_COLUMNS or name == keys])
    text = [str(name) for name in numbers.columns if numbers[name].dtype.kind not in "fiu"]
    if text:
        raise DatasetError(f"{file}: column {text[0]!r} does not hold numbers alone; leave it out.")
    matrix = numbers.to_numpy(dtype=np.float32 if (numbers.dtypes == np.float32).all() else np.float64)
    return matrix if keys is None else _match(file, matrix, keys=table[keys].astype(str), paths=paths)


def _read_csv(file: Path, n_images: int) -> pd.DataFrame:
    """Read a CSV with or without a header; pandas itself writes the numbers 0, 1, 2 … as one."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        first = stream.readline().strip().split(",")
        n_lines = 1 + sum(1 for line in stream if line.strip())
    names = [cell for cell in first if cell]
    counted = n_lines == n_images + 1 and names == [str(place) for place in range(len(names))]
    named = counted or not all(map(_is_number, first))
    return pd.read_csv(file, header=0 if named else None, encoding="utf-8-sig")


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip('" ') or "nan")
    except ValueError:
        return False
    return True


def _match(file: Path, matrix: NDArray[Any], *, keys: pd.Series, paths: Sequence[str]) -> NDArray[Any]:
    """Return rows in the order of `paths`; images that the table does not name get NaN."""
    index = pd.Index([safe_path(key) for key in keys])
    if index.has_duplicates:
        raise DatasetError(f"{file} names the image {index[index.duplicated()][0]!r} twice.")
    unknown = index.difference(pd.Index(paths))
    if len(unknown):
        raise DatasetError(f"{file} names {len(unknown)} images not in images_paths.csv, first {unknown[0]!r}.")
    rows = index.get_indexer(pd.Index(paths))
    matched = np.full((len(paths), matrix.shape[1]), np.nan, dtype=matrix.dtype)
    matched[rows >= 0] = matrix[rows[rows >= 0]]
    return matched


def _read_pickle(file: Path) -> NDArray[Any]:
    try:
        with file.open("rb") as stream:
            found = _ArraysOnly(stream, encoding="latin1").load()
    except DatasetError as error:
        raise DatasetError(f"{file} was refused: {error}") from error
    except Exception as error:  # a damaged pickle can raise anything; nothing in it can run
        raise DatasetError(
            f"{file} is not a readable pickle, truncated or damaged: {str(error) or type(error).__name__}."
        ) from error
    if not isinstance(found, _Array):
        raise DatasetError(f"{file} holds a {type(found).__name__}; {_RULE}.")
    return found.to_numpy(file)


class _Record:
    """What a pickle may build: plain records, so that no state in it ever reaches NumPy unchecked."""

    def __setstate__(self, state: Any) -> None:
        raise DatasetError("it sets the state of something that has none.")


class _Marker(_Record):
    """Stands for the class numpy.ndarray, which pickles name as an argument."""


class _Dtype(_Record):
    """The record of a dtype: its code and byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1])

    def to_numpy(self) -> np.dtype[Any]:
        if not re.fullmatch(r"[fiu](1|2|4|8)", self.code) or self.order not in "<>=|":
            what = "an object array" if self.code.startswith("O") else f"an array of dtype {self.code!r}"
            raise DatasetError(f"it holds {what}; vectors must be real numbers.")
        return np.dtype(f"{self.order}{self.code}")


class _Array(_Record):
    """The record of an array: shape, dtype, order and the bytes."""

    def __init__(self, *_: Any) -> None:
        self.parts: tuple[Any, Any, bool, Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.parts = shape, dtype, bool(fortran), data

    def to_numpy(self, file: Path) -> NDArray[Any]:
        try:
            shape, dtype, fortran, data = self.parts or ((), None, False, b"")
            if not isinstance(dtype, _Dtype):
                raise DatasetError("it holds an array without a dtype.")
            raw = data.encode("latin1") if isinstance(data, str) else data
            return np.frombuffer(raw, dtype.to_numpy()).reshape(shape, order="F" if fortran else "C")
        except DatasetError as error:
            raise DatasetError(f"{file} was refused: {error}") from error
        except (TypeError, ValueError, UnicodeEncodeError) as error:
            raise DatasetError(f"{file} is truncated or damaged: {error}.") from error


class _Buffer(_Array):
    """The record of an array as protocol 5 writes it."""

    def __init__(self, data: Any, dtype: Any, shape: Any, order: Any, *axis_order: Any) -> None:
        if axis_order and axis_order[0] is not None:
            raise DatasetError("it holds an array with permuted axes; save `numpy.ascontiguousarray(array)`.")
        self.parts = shape, dtype, order == "F", data


class _Encoded(_Record):
    """Text that old protocols use for bytes."""

    def __new__(cls, text: Any, encoding: Any = None) -> Any:
        if encoding not in {"latin1", "latin-1"} or not isinstance(text, str):
            raise DatasetError("it encodes text in a way that NumPy's pickles never do.")
        return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], type[_Record]] = {
    ("numpy", "ndarray"): _Marker,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encoded,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Buffer for core in ("core", "_core")},
}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows the few names of a NumPy array and nothing else."""

    def find_class(self, module: str, name: str) -> type[_Record]:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise DatasetError(f"it asks for {module}.{name}, and {_RULE}. Nothing was run.") from None
