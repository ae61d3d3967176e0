"""The join of the real sample: every row is the source's row."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Dataset, inspect_images, join_dataset, locate_raw_data, read_image
from veriwild_clustering.core.storage.raw.row_order import check_same_vehicle
from veriwild_clustering.core.storage.raw_data import find_image_store

pytestmark = pytest.mark.real

SOURCES = {"efficientnet-b7": "efficientnet-b7", "osnet": "osnet", "type_model": "vdc_type", "color_model": "vdc_color"}


@pytest.fixture(scope="module")
def dataset(real_raw_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    output = tmp_path_factory.mktemp("real") / "transport_dataset.csv"
    return join_dataset(locate_raw_data(real_raw_data), output, inspected=inspect_images)


def source(real_raw_data: Path, name: str) -> np.ndarray:
    file = real_raw_data / f"descriptors/{SOURCES[name]}.pickle"
    matrix: np.ndarray = pickle.loads(file.read_bytes())  # noqa: S301
    return matrix


def test_rows_follow_the_list(dataset: Dataset, real_raw_data: Path) -> None:
    lines = (real_raw_data / "images_paths.csv").read_text().split()[1:]
    assert len(dataset) == 1284
    assert dataset.images["path"].tolist() == [line.replace("\\", "/") for line in lines]
    assert dataset.images["folder"].unique().tolist() == ["1", "10", "2", "3", "4", "5", "6", "7", "8", "9"]
    assert dataset.images["vehicle_id"].nunique() == 967
    truth = pd.read_csv(real_raw_data.parent / "truth.csv", dtype=str)
    for column in ("vehicle_id", "camera", "view", "type", "corruption"):
        pd.testing.assert_series_equal(dataset.images[column], truth[column], check_dtype=False)


@pytest.mark.parametrize("name", SOURCES)
def test_every_vector_is_its_source_row(name: str, dataset: Dataset, real_raw_data: Path) -> None:
    matrix = source(real_raw_data, name)
    np.testing.assert_array_equal(dataset[name].vectors, matrix)
    assert dataset[name].valid.all()
    folder_10 = np.flatnonzero(dataset.images["folder"] == "10")
    assert folder_10.tolist() == list(range(128, 252))
    np.testing.assert_array_equal(dataset[name].vectors[folder_10], matrix[128:252])


def test_every_image_is_whole(dataset: Dataset) -> None:
    assert dataset.images["image_status"].eq("ok").all()
    for row in (0, 128, 251, 1283):
        assert read_image(dataset, row).size == tuple(dataset.images.loc[row, ["width", "height"]])


@pytest.mark.parametrize("name", SOURCES)
def test_vehicles_tell_alignment_from_misalignment(name: str, dataset: Dataset) -> None:
    descriptor, images = dataset[name], dataset.images
    numeric = np.lexsort((images["path"], images["folder"].astype(int)))
    orders = {
        "shuffled": np.random.default_rng(0).permutation(len(images)),
        "folders 1, 2, … 10": numeric,
        "shifted by one": np.roll(np.arange(len(images)), 1),
    }
    aligned = check_same_vehicle(descriptor.vectors, images, usable=descriptor.valid)
    assert aligned.auc > 0.8
    assert not aligned.is_suspicious
    for order, rows in orders.items():
        assert check_same_vehicle(descriptor.vectors[rows], images, usable=descriptor.valid).is_suspicious, order


def test_zip_in_place_equals_the_folder(dataset: Dataset, real_raw_data: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw_data"
    raw.mkdir()
    shutil.copy(real_raw_data / "images_paths.csv", raw)
    shutil.copytree(real_raw_data / "descriptors", raw / "descriptors", copy_function=shutil.copy)
    shutil.copy(real_raw_data.parent / "truth.csv", raw)
    with zipfile.ZipFile(raw / "veriwild.zip", "w") as archive:
        for file in sorted((real_raw_data / "veriwild/veriwild").rglob("*.jpg")):
            archive.write(file, file.relative_to(real_raw_data))
    zipped = join_dataset(locate_raw_data(raw), tmp_path / "transport_dataset.csv", inspected=inspect_images)
    assert zipped.image_store is not None
    assert zipped.image_store.is_zip
    pd.testing.assert_frame_equal(zipped.images, dataset.images)
    folder_store = find_image_store([real_raw_data], dataset.images["path"].tolist())
    assert folder_store is not None
    assert all(zipped.image_store.read(path) == folder_store.read(path) for path in dataset.images["path"])


def test_manifest_records_how_close_vehicles_are(dataset: Dataset, real_raw_data: Path, tmp_path: Path) -> None:
    join_dataset(locate_raw_data(real_raw_data), tmp_path / "transport_dataset.csv")
    manifest = json.loads((tmp_path / "transport_dataset/manifest.json").read_text())
    closeness = {entry["name"]: entry["same_vehicle_auc"] for entry in manifest["descriptors"]}
    assert closeness["osnet"] > 0.97
    assert closeness["efficientnet-b7"] > 0.97
    assert manifest["warnings"] == []
