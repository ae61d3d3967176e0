"""The join: order kept, bad rows kept and listed, everything checked before anything is replaced."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from veriwild_clustering import Dataset, DatasetError, RawData, inspect_images, join_dataset, locate_raw_data

BuildRaw = Callable[..., Path]
NAMES = ["efficientnet-b7", "osnet", "type_model", "color_model"]


def write_vehicle_info(raw: Path, paths: list[str], *, lines: dict[int, str] | None = None) -> None:
    rows = [
        f"{path.split('/')[2]}/{Path(path).stem};{row % 3:02d};2018-03-11 10:00:0{row % 10};Audi A{row % 4};SUV;white;"
        for row, path in enumerate(paths)
    ]
    for row, line in (lines or {}).items():
        rows[row] = line
    (raw / "train_test_split").mkdir()
    text = "id/image;Camera ID;Time;Model;Type;Color\n" + "".join(f"{row}\n" for row in rows if row)
    (raw / "train_test_split/vehicle_info.txt").write_text(text)


def report_of(csv: Path) -> pd.DataFrame:
    return pd.read_csv(csv.with_suffix("") / "report.csv", keep_default_na=False)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "transport_dataset.csv"


@pytest.mark.parametrize("inline", [False, True])
def test_rows_follow_the_list_and_vectors_their_source(
    *, inline: bool, build_raw: BuildRaw, vectors: dict[str, np.ndarray], jpegs: dict[str, bytes], output: Path
) -> None:
    raw = locate_raw_data(build_raw())
    inspected = inspect_images(raw.image_store, raw.paths, n_jobs=1) if raw.image_store else None
    dataset = join_dataset(raw, output, inspected=inspected, inline_vectors=inline)
    images = dataset.images
    assert list(images["path"]) == list(jpegs)
    assert list(images.columns) == [
        "path", "vehicle_id", "folder", "width", "height", "image_status", *(f"has_{name}" for name in NAMES),
    ]  # fmt: skip
    assert images["folder"].unique().tolist() == ["1", "10", "2"]
    assert images["vehicle_id"][0] == "00000"
    assert images["width"].eq(16).all()
    assert images["height"].tolist() == [12 + row % 5 for row in range(36)]
    assert images["image_status"].eq("ok").all()
    for name, matrix in zip(NAMES, vectors.values(), strict=True):
        np.testing.assert_array_equal(dataset[name].vectors, matrix)
        assert dataset[name].valid.all()
        assert isinstance(dataset[name].vectors, np.memmap) is not inline
    assert dataset.image_store == raw.image_store
    assert report_of(output).empty
    assert not list(output.parent.glob("**/.*"))


def test_manifest_says_what_was_joined(build_raw: BuildRaw, vectors: dict[str, np.ndarray], output: Path) -> None:
    raw = build_raw()
    (raw / "origin.txt").write_text("Made for a test.")
    dataset = join_dataset(locate_raw_data(raw), output)
    manifest = json.loads((output.with_suffix("") / "manifest.json").read_text())
    assert dataset.origin == manifest["origin"] == "Made for a test."
    assert (manifest["format_version"], manifest["rows"], manifest["issues"]) == (1, 36, {})
    assert manifest["images"] == {"location": "raw_data/veriwild/veriwild", "strip": "veriwild", "inside": ""}
    assert [entry["name"] for entry in manifest["descriptors"]] == NAMES
    entry = manifest["descriptors"][1]
    file = output.with_suffix("") / entry["file"]
    assert entry["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert entry["source"] == "raw_data/descriptors/osnet.pickle"
    assert (entry["rows"], entry["dims"], entry["dtype"], entry["usable_rows"]) == (36, 5, "float32", 36)
    assert entry["same_vehicle_auc"] > 0.9
    np.testing.assert_array_equal(np.load(file), vectors["osnet"])


def test_bad_vectors_are_kept_flagged_counted_and_listed(
    build_raw: BuildRaw, vectors: dict[str, np.ndarray], output: Path, tmp_path: Path
) -> None:
    matrix = vectors["osnet"].astype(np.float64)
    matrix[3, 0], matrix[20, 2], matrix[35, 1] = np.nan, -np.inf, 1e300
    np.save(tmp_path / "mine.npy", matrix)
    raw = locate_raw_data(build_raw(""), descriptors={"mine": tmp_path / "mine.npy"})
    dataset = join_dataset(raw, output)
    assert len(dataset) == 36
    assert np.flatnonzero(~dataset["mine"].valid).tolist() == [3, 20, 35]
    assert np.flatnonzero(~dataset.images["has_mine"]).tolist() == [3, 20, 35]
    report = report_of(output)
    assert report["row"].tolist() == [3, 20, 35]
    assert report["path"].tolist() == [raw.paths[row] for row in (3, 20, 35)]
    assert report["what"].unique().tolist() == ["no usable mine vector"]
    manifest = json.loads((output.with_suffix("") / "manifest.json").read_text())
    assert manifest["issues"] == {"no usable mine vector": 3}
    assert manifest["descriptors"][-1]["usable_rows"] == 33


def test_bad_images_are_kept_flagged_counted_and_listed(build_raw: BuildRaw, output: Path) -> None:
    raw = locate_raw_data(build_raw("plain"))
    (raw.folder / raw.paths[5]).unlink()
    (raw.folder / raw.paths[7]).write_bytes(b"")
    (raw.folder / raw.paths[9]).write_bytes(b"<html>not found</html>")
    dataset = join_dataset(raw, output, inspected=inspect_images)
    status = dataset.images["image_status"]
    assert status[[5, 7, 9]].tolist() == ["missing", "empty", "unreadable"]
    assert status.eq("ok").sum() == 33
    assert dataset.images["width"].isna().sum() == 3
    assert report_of(output)[["row", "what"]].to_numpy().tolist() == [
        [5, "image missing"], [7, "image empty"], [9, "image unreadable"],
    ]  # fmt: skip


def test_attributes_come_from_both_files(build_raw: BuildRaw, output: Path) -> None:
    raw = build_raw("")
    paths = locate_raw_data(raw).paths
    write_vehicle_info(raw, list(paths), lines={0: "", 1: f"99999/{Path(paths[1]).stem};07;now;VW;bus;red;"})
    truth = pd.DataFrame({"path": paths, "camera": "00", "view": "rear", "width": 7, "vehicle_id": "00000"})
    truth["model"] = "Lada"
    truth.iloc[::-1].iloc[1:].to_csv(raw / "truth.csv", index=False)  # another order, one image left out
    images = join_dataset(locate_raw_data(raw), output).images
    assert list(images.columns[6:12]) == ["camera", "time", "model", "type", "color", "view"]
    assert images["camera"].tolist()[:6] == ["00", "00", "02", "00", "01", "02"]
    assert images["model"].tolist()[1:4] == ["Lada", "Audi A2", "Audi A3"]
    assert images["view"].isna().tolist() == [False] * 35 + [True]
    assert images["width"].isna().all()
    assert images["vehicle_id"].nunique() == 9
    report = report_of(output).groupby("what")["row"].apply(list)
    assert report["not in vehicle_info"] == [0]
    assert report["another vehicle in vehicle_info"] == [1]
    assert report["not in truth.csv"] == [35]
    assert report["vehicle_id conflict"] == list(range(4, 35))
    assert report["camera conflict"] == [row for row in range(2, 35) if row % 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,view\nother.jpg,rear\n", r"truth\.csv names none of the images"),
        ("view\nrear\n", r"truth\.csv has no column `path` and 1 rows for 36 images"),
        ("path,view\na.jpg,rear\na.jpg,side\n", r"names the image 'a\.jpg' more than once"),
        ("path,view\n../a.jpg,rear\n", r"truth\.csv: The path '\.\./a\.jpg' leaves"),
        ("path,view\na.jpg,rear,7,8\n", r"truth\.csv has lines with more cells than its header"),
        ("view\n" + "rear,x\n" * 36, r"truth\.csv has lines with more cells than its header"),
        ("path;view\n" + "a.jpg;rear\n" * 36, r"truth\.csv separates its columns with `;`"),
        ("osnet_0\n" + "a\n" * 36, r"The column 'osnet_0' of truth\.csv has the name of a column of vectors"),
    ],
)
def test_unfit_truth_is_refused(text: str, message: str, build_raw: BuildRaw, output: Path) -> None:
    raw = build_raw("")
    (raw / "truth.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        join_dataset(locate_raw_data(raw), output)
    assert not output.exists()


def test_truth_without_paths_follows_the_rows(build_raw: BuildRaw, output: Path) -> None:
    raw = build_raw("")
    pd.DataFrame({"speed": range(36), "code": [f"{row:03d}" for row in range(36)]}).to_csv(
        raw / "truth.csv", index=False
    )
    images = join_dataset(locate_raw_data(raw), output).images
    assert images["speed"].tolist() == list(range(36))
    assert images["code"][7] == "007"


@pytest.mark.parametrize(
    ("rows", "message"),
    [(slice(0, 35), "has 35 rows but"), (slice(0, 0), "has 0 rows but"), (None, "looks transposed")],
)
def test_wrong_vectors_leave_nothing_behind(
    rows: slice | None, message: str, build_raw: BuildRaw, vectors: dict[str, np.ndarray], output: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "mine.npy", vectors["osnet"].T if rows is None else vectors["osnet"][rows])
    raw = locate_raw_data(build_raw(), descriptors={"mine": tmp_path / "mine.npy"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match=message):
        join_dataset(raw, output)
    assert sorted(tmp_path.rglob("*")) == before


def test_progress_is_shown_within_each_descriptor(
    build_raw: BuildRaw, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = locate_raw_data(build_raw(""))
    join_dataset(raw, output)
    assert not capsys.readouterr().err
    join_dataset(raw, output, progress=True)
    shown = capsys.readouterr().err
    assert "Descriptors" in shown
    assert all(f"{name}, 64 MB a step" in shown for name in raw.descriptor_files)


def test_failed_join_leaves_the_old_dataset(build_raw: BuildRaw, output: Path, tmp_path: Path) -> None:
    folder = build_raw()
    join_dataset(locate_raw_data(folder), output)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    (tmp_path / "mine.npy").write_bytes(b"")
    raw = locate_raw_data(folder, descriptors={"mine": tmp_path / "mine.npy"})
    with pytest.raises(DatasetError, match=r"mine\.npy is truncated"):
        join_dataset(raw, output)
    (tmp_path / "mine.npy").unlink()
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_second_join_replaces_the_first_and_foreign_files_stay(build_raw: BuildRaw, output: Path) -> None:
    raw = build_raw()
    join_dataset(locate_raw_data(raw), output)
    (output.with_suffix("") / "notes.txt").write_text("mine")
    (raw / "descriptors/osnet.pickle").unlink()
    dataset = join_dataset(locate_raw_data(raw), output)
    assert dataset.names == ["efficientnet-b7", "type_model", "color_model"]
    assert sorted(file.name for file in output.with_suffix("").iterdir()) == [
        "color_model.npy", "efficientnet-b7.npy", "manifest.json", "notes.txt", "report.csv", "type_model.npy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("file/transport_dataset.csv", "Cannot write .*: Not a directory|Cannot write .*: File exists"),
        ("taken.csv", r"Cannot write .*taken\.csv"),
        ("folder.csv", r"Cannot write .*folder\.csv: it is a folder"),
        ("table.txt", r"must be a name that ends in \.csv"),
        ("raw_data.csv", "would put its vectors into the raw data"),
        ("raw_data/descriptors.csv", "would put its vectors into the raw data"),
        ("raw_data/images_paths.csv", r"images_paths\.csv is a file of the raw data"),
    ],
)
def test_unwritable_output_is_named(place: str, message: str, build_raw: BuildRaw, tmp_path: Path) -> None:
    raw = locate_raw_data(build_raw(""))
    (tmp_path / "file").touch()
    (tmp_path / "taken").touch()
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match=message):
        join_dataset(raw, tmp_path / place)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_folder_without_permission_is_named(build_raw: BuildRaw, tmp_path: Path) -> None:
    raw = locate_raw_data(build_raw(""))
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(DatasetError, match=r"Cannot write .*: no permission"):
        join_dataset(raw, locked / "transport_dataset.csv")


def test_inspected_must_fit(build_raw: BuildRaw, output: Path) -> None:
    raw = locate_raw_data(build_raw())
    assert raw.image_store is not None
    inspected = inspect_images(raw.image_store, raw.paths[1:], n_jobs=1)
    with pytest.raises(DatasetError, match="`inspected` has 35 rows but"):
        join_dataset(raw, output, inspected=inspected)


@given(
    vectors=hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5)),
    text=st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), min_size=1, max_size=8),
    inline=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_what_is_written_opens_equal(
    vectors: np.ndarray, text: str, *, inline: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("roundtrip")
    paths = tuple(f"veriwild/1/{row:05d}/{row}.jpg" for row in range(len(vectors)))
    np.save(folder / "mine.npy", vectors)
    pd.DataFrame({"path": paths, "note": text}).to_csv(folder / "truth.csv", index=False, lineterminator="\n")
    raw = RawData(
        folder / "raw",
        folder / "raw/images_paths.csv",
        paths,
        descriptor_files={"mine": folder / "mine.npy"},
        attribute_files={"truth": folder / "truth.csv"},
    )
    output = folder / "transport_dataset.csv"
    join_dataset(raw, output, inline_vectors=inline)
    if inline:
        shutil.rmtree(output.with_suffix(""))
    dataset = Dataset.open(output)
    shutil.rmtree(folder)
    valid = np.isfinite(vectors).all(axis=1)
    np.testing.assert_array_equal(dataset["mine"].vectors, vectors)
    np.testing.assert_array_equal(dataset["mine"].valid, valid)
    assert tuple(dataset.images["path"]) == paths
    assert {str(value) for value in dataset.images["note"]} == {text} or dataset.images["note"].dtype.kind in "if"
