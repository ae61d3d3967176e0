"""Descriptor: row-aligned vectors that know which rows are usable and how they were made."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from veriwild_clustering import Dataset, DatasetError, Descriptor

VECTORS = np.array([[0.0, 1.0], [np.nan, 1.0], [2.0, np.inf], [3.0, 4.0]], dtype=np.float32)


def test_rows_that_are_not_finite_are_marked_and_kept():
    descriptor = Descriptor("toy", VECTORS)
    assert descriptor.valid.tolist() == [True, False, False, True]
    assert len(descriptor) == 4
    assert descriptor.n_valid == 2
    np.testing.assert_array_equal(descriptor.usable(), VECTORS[[0, 3]])


def test_expand_puts_values_back_in_their_rows():
    descriptor = Descriptor("toy", VECTORS)
    assert descriptor.expand(np.array([7, 8]), fill=-1).tolist() == [7, -1, -1, 8]


def test_usable_rows_of_a_sound_descriptor_are_not_copied():
    vectors = np.ones((3, 2), dtype=np.float32)
    assert np.shares_memory(Descriptor("toy", vectors).usable(), vectors)


@pytest.mark.parametrize("vectors", [np.zeros(3), np.zeros((2, 2, 2)), np.array([["a"]]), np.array([[None]])])
def test_what_is_not_a_numeric_matrix_is_refused(vectors):
    with pytest.raises(ValueError, match="must be a numeric matrix of shape"):
        Descriptor("toy", vectors)


def test_fingerprint_depends_on_values_and_validity_alone():
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    same = Descriptor("other name", vectors.copy()).fingerprint
    assert Descriptor("toy", vectors).fingerprint == same
    assert Descriptor("toy", vectors, np.array([True, True, False])).fingerprint != same
    assert Descriptor("toy", vectors.reshape(2, 3)).fingerprint != same


def test_new_rows_pass_through_the_whole_history():
    root = Descriptor("toy", np.arange(8, dtype=np.float32).reshape(4, 2))
    scaler = StandardScaler().fit(root.vectors)
    scaled = Descriptor("scaled", scaler.transform(root.vectors), parents=(root,), transformer=scaler)
    new = np.array([[1.0, 1.0]], dtype=np.float32)
    np.testing.assert_allclose(scaled.compute(lambda _: new), scaler.transform(new), rtol=1e-6)
    assert scaled.roots == (root,)
    assert scaled.recipe.startswith("toy → StandardScaler")


def test_a_dataset_refuses_descriptors_of_another_length(toy_dataset):
    with pytest.raises(DatasetError, match="'short' has 2 rows but the image table has 120"):
        Dataset(toy_dataset.images, {"short": Descriptor("short", np.ones((2, 2), dtype=np.float32))})


def test_a_dataset_refuses_a_table_without_paths(toy_dataset):
    with pytest.raises(DatasetError, match="The image table must have a column `path`"):
        Dataset(toy_dataset.images.drop(columns="path"))


def test_a_dataset_names_the_descriptors_it_has(toy_dataset):
    with pytest.raises(ValueError, match=r"Unknown descriptor 'osnet'\. Known: 'toy'"):
        toy_dataset["osnet"]


def test_take_keeps_rows_aligned(toy_dataset):
    rows = np.array([119, 0, 61])
    part = toy_dataset.take(rows)
    assert part.images["path"].tolist() == toy_dataset.images["path"].iloc[rows].tolist()
    np.testing.assert_array_equal(part["toy"].vectors, toy_dataset["toy"].vectors[rows])


def _received(sent: bytes) -> Descriptor:
    return pickle.loads(sent)  # noqa: S301


def _mapped(tmp_path: Path, **options: Any) -> Descriptor:
    np.save(tmp_path / "toy.npy", VECTORS)
    return Descriptor("toy", np.load(tmp_path / "toy.npy", mmap_mode="r"), **options)


def test_a_memory_map_travels_as_the_path_of_its_file(tmp_path: Path):
    np.save(tmp_path / "long.npy", np.ones((50_000, 8), dtype=np.float32))
    descriptor = Descriptor("long", np.load(tmp_path / "long.npy", mmap_mode="r"))
    fingerprint = descriptor.fingerprint
    sent = pickle.dumps(descriptor)
    assert len(sent) < 2_000
    received = _received(sent)
    assert isinstance(received.vectors, np.memmap)
    assert vars(received)["fingerprint"] == fingerprint
    assert received.valid.all()
    np.testing.assert_array_equal(received.vectors, descriptor.vectors)


@pytest.mark.parametrize("order", ["C", "F"])
def test_history_and_unusable_rows_travel_too(tmp_path: Path, order: str):
    np.save(tmp_path / "toy.npy", np.asarray(VECTORS, order=order))
    root = Descriptor("toy", np.load(tmp_path / "toy.npy", mmap_mode="r"))
    child = Descriptor("scaled", VECTORS * 2, parents=(root,), transformer=StandardScaler(), params={"by": 2})
    received = _received(pickle.dumps(child))
    np.testing.assert_array_equal(received.vectors, child.vectors)
    np.testing.assert_array_equal(received.parents[0].vectors, VECTORS)
    assert received.valid.tolist() == received.parents[0].valid.tolist() == [True, False, False, True]
    assert received.recipe == child.recipe
    assert received.params == child.params


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_what_may_differ_from_its_file_travels_by_value(tmp_path: Path, mode: str):
    np.save(tmp_path / "toy.npy", VECTORS)
    vectors = np.load(tmp_path / "toy.npy", mmap_mode=mode)
    vectors[0, 0] = 7
    assert _received(pickle.dumps(Descriptor("toy", vectors))).vectors[0, 0] == 7


def test_part_of_a_memory_map_travels_as_that_part(tmp_path: Path):
    whole = _mapped(tmp_path)
    for part in (whole.vectors[2:], whole.vectors[:, 1:], whole.vectors[[3, 0]]):
        np.testing.assert_array_equal(_received(pickle.dumps(Descriptor("part", part))).vectors, part)


def test_a_machine_without_the_file_says_what_to_share(tmp_path: Path):
    sent = pickle.dumps(_mapped(tmp_path))
    (tmp_path / "toy.npy").unlink()
    with pytest.raises(DatasetError, match=r"toy\.npy cannot be read here .*under the same path"):
        _received(sent)
