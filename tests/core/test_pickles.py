"""Large arrays out of pickles: mapped where they lie in the file, never read whole, and refused as small ones are."""

from __future__ import annotations

import hashlib
import mmap
import pickle
import tracemalloc
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from veriwild_clustering import DatasetError
from veriwild_clustering.core.pickles import read_pickled_array
from veriwild_clustering.core.storage.vector_files import write_npy

MATRIX = np.random.default_rng(0).normal(size=(1200, 300)).astype(np.float32)
MAPPED_PROTOCOLS = range(3, pickle.HIGHEST_PROTOCOL + 1)


def pickled(folder: Path, value: Any, *, protocol: int = 4) -> Path:
    file = folder / "vectors.pickle"
    file.write_bytes(pickle.dumps(value, protocol=protocol))
    return file


def is_mapped(array: np.ndarray) -> bool:
    owner: Any = array
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    return isinstance(owner, mmap.mmap)


@pytest.mark.parametrize("protocol", MAPPED_PROTOCOLS)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", ">f8", "<i8"])
def test_large_arrays_are_mapped_and_written_as_float32(
    protocol: int, order: Literal["C", "F"], dtype: str, tmp_path: Path
) -> None:
    matrix = np.array(np.tile(MATRIX, (3, 1)) * 9, dtype=dtype, order=order)
    if matrix.dtype.kind == "f":
        matrix[5, 7] = np.nan
    found = read_pickled_array(pickled(tmp_path, matrix, protocol=protocol))
    np.testing.assert_array_equal(found, matrix)
    assert is_mapped(found)
    assert not found.flags.writeable
    assert found.dtype == np.dtype(dtype)
    usable, digest = write_npy(tmp_path / "vectors.npy", found)
    np.testing.assert_array_equal(np.load(tmp_path / "vectors.npy"), matrix.astype(np.float32))
    np.testing.assert_array_equal(usable, np.isfinite(matrix).all(axis=1))
    assert digest == hashlib.sha256((tmp_path / "vectors.npy").read_bytes()).hexdigest()


@pytest.mark.parametrize("protocol", range(3))
def test_large_arrays_of_old_protocols_are_read(protocol: int, tmp_path: Path) -> None:
    found = read_pickled_array(pickled(tmp_path, MATRIX, protocol=protocol))
    np.testing.assert_array_equal(found, MATRIX)
    assert not is_mapped(found)


@pytest.mark.parametrize("protocol", MAPPED_PROTOCOLS)
def test_pickles_by_the_pickler_written_in_python_are_mapped(protocol: int, tmp_path: Path) -> None:
    with (tmp_path / "vectors.pickle").open("wb") as stream:
        pickle._Pickler(stream, protocol=protocol).dump(MATRIX)  # type: ignore[attr-defined]
    found = read_pickled_array(tmp_path / "vectors.pickle")
    np.testing.assert_array_equal(found, MATRIX)
    assert is_mapped(found)


def test_array_inside_a_frame_is_read_with_it(tmp_path: Path) -> None:
    opcodes = pickle.dumps(MATRIX, protocol=3)[2:]  # protocol 3 has no frames
    framed = b"\x80\x04\x95" + len(opcodes).to_bytes(8, "little") + opcodes
    (tmp_path / "vectors.pickle").write_bytes(framed)
    found = read_pickled_array(tmp_path / "vectors.pickle")
    np.testing.assert_array_equal(found, MATRIX)
    assert not is_mapped(found)


@pytest.mark.parametrize("protocol", MAPPED_PROTOCOLS)
def test_reading_takes_no_memory_for_the_array(protocol: int, tmp_path: Path) -> None:
    file = pickled(tmp_path, MATRIX, protocol=protocol)
    tracemalloc.start()
    read_pickled_array(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MATRIX.nbytes / 4


@pytest.mark.parametrize("protocol", MAPPED_PROTOCOLS)
@pytest.mark.parametrize("kept", [0.5, 0.9999])
def test_truncated_large_pickle_is_named(protocol: int, kept: float, tmp_path: Path) -> None:
    file = pickled(tmp_path, MATRIX, protocol=protocol)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DatasetError, match=r"vectors\.pickle is not a readable pickle, truncated or damaged: it ends"):
        read_pickled_array(file)


@pytest.mark.parametrize(
    ("opcode", "width", "length"),
    [(b"B", 4, 2**32 - 1), (b"\x8e", 8, 2**40), (b"\x8e", 8, 2**64 - 1), (b"\x96", 8, 2**40)],
)
def test_lengths_beyond_the_file_are_refused_without_reserving_them(
    opcode: bytes, width: int, length: int, tmp_path: Path
) -> None:
    (tmp_path / "vectors.pickle").write_bytes(b"\x80\x05" + opcode + length.to_bytes(width, "little") + b"abc.")
    tracemalloc.start()
    with pytest.raises(DatasetError, match="truncated or damaged: it ends within the array"):
        read_pickled_array(tmp_path / "vectors.pickle")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (bytes(2**21), "must hold one NumPy array and nothing else"),
        ([MATRIX], "holds a list"),
        (np.full(2**18, "text"), "dtype 'U4'"),
        (MATRIX.astype(complex), "vectors must be real numbers"),
    ],
)
def test_large_pickles_of_other_things_are_refused(value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=message):
        read_pickled_array(pickled(tmp_path, value))


@pytest.mark.parametrize("claimed", [(1201, 300), (-1200, -300), (1200, "300"), "shape"])
def test_shape_that_does_not_fit_the_bytes_is_refused(claimed: Any, tmp_path: Path) -> None:
    class Array:
        def __reduce__(self) -> tuple[Any, ...]:
            construct, arguments, state = MATRIX.__reduce__()  # type: ignore[misc]
            return construct, arguments, (state[0], claimed, *state[2:])

    with pytest.raises(DatasetError, match="truncated or damaged"):
        read_pickled_array(pickled(tmp_path, Array()))
