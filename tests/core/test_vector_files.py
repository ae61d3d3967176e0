"""Vectors out of files: NumPy's own pickles of every age load, everything else is refused and runs nothing."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from veriwild_clustering import DatasetError
from veriwild_clustering.core.storage.vector_files import as_float32, read_vectors, write_npy

PATHS = ["a/1.jpg", "a/2.jpg", "a/3.jpg"]
MATRIX = np.arange(12, dtype=np.float32).reshape(3, 4) / 7


def pickled(folder: Path, value: Any, *, protocol: int = 4) -> Path:
    file = folder / "vectors.pickle"
    file.write_bytes(pickle.dumps(value, protocol=protocol))
    return file


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", [MATRIX, np.asfortranarray(MATRIX), MATRIX.astype(">f8"), MATRIX[::-1].astype("i4")])
def test_arrays_of_every_protocol_load(protocol: int, array: np.ndarray, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_vectors(pickled(tmp_path, array, protocol=protocol), PATHS), array)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_numpy_1_load(protocol: int, tmp_path: Path) -> None:
    data = pickle.dumps(MATRIX, protocol=protocol)
    short, old = b"numpy._core.", b"numpy.core."
    for module in (b"multiarray", b"numeric"):
        # Names carry their length in protocols 4 and 5, frames theirs; a short pickle needs no frame to be exact.
        data = data.replace(bytes([len(short + module)]) + short + module, bytes([len(old + module)]) + old + module)
    data = data.replace(short, old)
    if protocol >= 4:
        size = int.from_bytes(data[3:11], "little") - 1
        data = data[:3] + size.to_bytes(8, "little") + data[11:]
    assert old in data
    (tmp_path / "vectors.pkl").write_bytes(data)
    np.testing.assert_array_equal(read_vectors(tmp_path / "vectors.pkl", PATHS), MATRIX)


class _RunsCode:
    def __init__(self, file: Path) -> None:
        self.command = f"touch {file}"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrapped", [False, True])
def test_pickle_that_would_run_code_runs_nothing(protocol: int, *, wrapped: bool, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    value: Any = _RunsCode(trace)
    if wrapped:
        value = np.array([[value], [1], [2]], dtype=object)
    with pytest.raises(DatasetError, match=r"vectors\.pickle was refused: it asks for \w+\.system.*Nothing was run"):
        read_vectors(pickled(tmp_path, value, protocol=protocol), PATHS)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("opcodes", "message"),
    [
        (b"cbuiltins\neval\n(S'1'\ntR.", r"asks for builtins\.eval"),
        (b"cnumpy\nload\n(S'x'\ntR.", r"asks for numpy\.load"),
        (b"c_codecs\nencode\n(S'x'\nS'zip'\ntR.", "encodes text in a way"),
        (b"cnumpy\ndtype\n(S'O8'\ntR.", "holds a _Dtype|must hold one NumPy array"),
        (b"cnumpy\nndarray\n.", "must hold one NumPy array"),
        (b"cnumpy\nndarray\n)R}b.", "sets the state of something"),
        (b"cnumpy.core.multiarray\n_reconstruct\n)R.", "without a dtype"),
        (b"Pan image\n.", "truncated or damaged: .*persistent"),
        (b"\x80\x02\x82\x01.", "truncated or damaged: unregistered extension code 1"),
        (b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"abc.", "truncated or damaged"),
        (b"\x80\x05\x96" + (2**36).to_bytes(8, "little") + b"abc.", "truncated or damaged"),
        (b"\x80\x02Nr\xff\xff\xff\x7f.", "holds a NoneType"),  # would reserve 32 GiB for the memo of a C unpickler
        (b"\x80\x04\x95", "truncated or damaged"),
        (b"", "truncated or damaged"),
        (b"not a pickle", "truncated or damaged"),
    ],
)
def test_crafted_pickles_are_refused(opcodes: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "vectors.pickle").write_bytes(opcodes)
    with pytest.raises(DatasetError, match=message):
        read_vectors(tmp_path / "vectors.pickle", PATHS)


@given(place=st.integers(0, 300), noise=st.binary(min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_damaged_pickle_gives_an_array_or_a_dataset_error(
    place: int, noise: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(pickle.dumps(MATRIX))
    place %= len(data)
    data[place : place + len(noise)] = noise
    file = tmp_path_factory.getbasetemp() / "vectors.pickle"
    file.write_bytes(data)
    try:
        assert read_vectors(file, PATHS).shape[0] == len(PATHS)
    except DatasetError as error:
        assert "vectors.pickle" in str(error)  # noqa: PT017


def test_truncated_pickle_is_named(tmp_path: Path) -> None:
    file = pickled(tmp_path, MATRIX)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DatasetError, match=r"vectors\.pickle is not a readable pickle, truncated or damaged"):
        read_vectors(file, PATHS)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (MATRIX.tolist(), "holds a list; a pickle must hold one NumPy array"),
        ({"osnet": MATRIX}, "holds a dict; a pickle must hold one NumPy array"),
        (np.array([[1, None]] * 3, dtype=object), "holds an object array"),
        (np.array([["a", "b"]] * 3), "dtype 'U1'"),
        (np.zeros(3, dtype=[("a", "f4")]), "vectors must be real numbers"),
        (MATRIX.astype(complex), "vectors must be real numbers"),
        (MATRIX[0], r"holds a 1-D array of shape \(4,\)"),
        (MATRIX[None], r"holds a 3-D array of shape \(1, 3, 4\)"),
        (MATRIX.T, r"has shape \(4, 3\) and looks transposed: there are 3 images. Save its transpose"),
        (MATRIX[:2], r"has 2 rows but images_paths\.csv lists 3 images"),
        (MATRIX[:, :0], "has no columns"),
    ],
)
@pytest.mark.parametrize("kind", ["pickle", "npy"])
def test_wrong_contents_are_refused(value: Any, message: str, kind: str, tmp_path: Path) -> None:
    if kind == "pickle":
        file = pickled(tmp_path, value)
    elif not isinstance(value, np.ndarray):
        return
    else:
        file = tmp_path / "vectors.npy"
        np.save(file, value, allow_pickle=True)
        message = message.replace("dtype 'U1'", "dtype <U1")
    with pytest.raises(DatasetError, match=message):
        read_vectors(file, PATHS)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("(1000000000000, 512)", "truncated or not a .npy file: mmap length is greater than file size"),
        ("(-3, 4)", "truncated or not a .npy file"),
        ("(4611686018427387904, 4)", "truncated or not a .npy file"),
    ],
)
def test_npy_that_claims_an_impossible_shape_is_named(shape: str, message: str, tmp_path: Path) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(48)
    (tmp_path / "vectors.npy").write_bytes(data)
    with pytest.raises(DatasetError, match=message):
        read_vectors(tmp_path / "vectors.npy", PATHS)


def test_pickle_under_the_name_npy_is_told_its_name(tmp_path: Path) -> None:
    pickled(tmp_path, MATRIX).rename(tmp_path / "vectors.npy")
    with pytest.raises(DatasetError, match=r"vectors\.npy is not a \.npy file\. If it is a pickle, name it \.pickle"):
        read_vectors(tmp_path / "vectors.npy", PATHS)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", ">f8", "u1", ">i4", "<i8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["pickle", "npy"])
def test_real_numbers_of_every_type_and_order_are_read(
    dtype: str, order: Literal["C", "F"], kind: str, tmp_path: Path
) -> None:
    matrix = np.asarray(np.arange(12).reshape(3, 4), dtype=dtype, order=order)
    np.save(tmp_path / "vectors.npy", matrix)
    file = pickled(tmp_path, matrix) if kind == "pickle" else tmp_path / "vectors.npy"
    np.testing.assert_array_equal(as_float32(read_vectors(file, PATHS)), np.arange(12, dtype="f4").reshape(3, 4))


def test_empty_cells_behind_the_last_column_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "vectors.csv").write_text("x,y\n1,2,\n3,4,\n5,6,\n")
    np.testing.assert_array_equal(read_vectors(tmp_path / "vectors.csv", PATHS), [[1, 2], [3, 4], [5, 6]])


@pytest.mark.parametrize(("name", "keys"), [("path", PATHS), ("number", [7, 8, 9])])
def test_index_of_a_parquet_gives_paths_or_nothing(name: str, keys: list, tmp_path: Path) -> None:
    table = pd.DataFrame(MATRIX, index=pd.Index(keys, name=name)).rename(columns=str)
    table.iloc[:: -1 if name == "path" else 1].to_parquet(tmp_path / "vectors.parquet")
    np.testing.assert_array_equal(read_vectors(tmp_path / "vectors.parquet", PATHS), MATRIX)


def test_npy_is_mapped_and_a_truncated_one_named(tmp_path: Path) -> None:
    file = tmp_path / "vectors.npy"
    np.save(file, MATRIX)
    assert isinstance(read_vectors(file, PATHS), np.memmap)
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(DatasetError, match=r"vectors\.npy is truncated or not a \.npy file"):
        read_vectors(file, PATHS)


def test_missing_file_and_unknown_suffix_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"The vectors file .*lost\.npy does not exist"):
        read_vectors(tmp_path / "lost.npy", PATHS)
    (tmp_path / "vectors.h5").touch()
    with pytest.raises(DatasetError, match=r"vectors come as \.pickle, \.pkl, \.npy, \.csv, \.parquet"):
        read_vectors(tmp_path / "vectors.h5", PATHS)


# Without a header an index column cannot be told from a vector's.
@pytest.mark.parametrize(("header", "index"), [(True, True), (True, False), (False, False)])
def test_csv_with_and_without_header_and_index(*, header: bool, index: bool, tmp_path: Path) -> None:
    file = tmp_path / "vectors.csv"
    pd.DataFrame(MATRIX).to_csv(file, header=header, index=index, encoding="utf-8-sig", lineterminator="\r\n")
    np.testing.assert_array_equal(read_vectors(file, PATHS).astype(np.float32), MATRIX)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_with_paths_are_matched_by_path(suffix: str, tmp_path: Path) -> None:
    table = pd.DataFrame(MATRIX, columns=list("wxyz")).assign(path=[path.replace("/", "\\") for path in PATHS])
    file = tmp_path / f"vectors.{suffix}"
    write = table.iloc[[2, 0]].to_csv if suffix == "csv" else table.iloc[[2, 0]].to_parquet
    write(file, index=False)
    found = read_vectors(file, PATHS).astype(np.float32)
    np.testing.assert_array_equal(found, np.stack([MATRIX[0], np.full(4, np.nan), MATRIX[2]]))
    with pytest.raises(DatasetError, match=r"names 1 images not in images_paths\.csv, first 'a/3\.jpg'"):
        read_vectors(file, PATHS[:2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,x\na,1\nb,2\nc,3\n", "column 'name' does not hold numbers alone"),
        ("path,x\na/1.jpg,1\na/1.jpg,2\n", "names the image 'a/1.jpg' more than once"),
        ("path,x\n../../etc,1\n", r"vectors\.csv: The path '\.\./\.\./etc' leaves"),
        ("path,x\n,1\n", r"vectors\.csv: The path '' names no file"),
        ("x,y\n1,2\n3,4,5\n", "cannot be read as a table"),
        ("x;y\n1,5;2,5\n3,5;4,5\n5,5;6,5\n", "more cells than its header"),
        ("x,y\n1,2,7\n3,4,8\n5,6,9\n", "more cells than its header"),
        ("5,1\n6,2\n7,3\n8,4\n", "has 4 rows but"),
        ("", "cannot be read as a table"),
    ],
)
def test_unfit_tables_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "vectors.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_vectors(tmp_path / "vectors.csv", PATHS)


@given(array=hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)))
@settings(max_examples=50, deadline=None)
def test_written_npy_is_the_float32_of_what_was_given(
    array: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "written.npy"
    usable, digest = write_npy(file, array)
    with np.errstate(over="ignore"):
        expected = array.astype(np.float32)
    np.testing.assert_array_equal(np.load(file), expected)
    np.testing.assert_array_equal(usable, np.isfinite(expected).all(axis=1))
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
