"""Opening a dataset: files that do not belong together are never opened silently."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Dataset, DatasetError, join_dataset, locate_raw_data, read_image
from veriwild_clustering.core.storage.reading import verify_dataset

BuildRaw = Callable[..., Path]


@pytest.fixture
def written(build_raw: BuildRaw, tmp_path: Path) -> Path:
    join_dataset(locate_raw_data(build_raw()), tmp_path / "transport_dataset.csv")
    return tmp_path / "transport_dataset.csv"


def edit_manifest(csv: Path, **changes: object) -> None:
    file = csv.with_suffix("") / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_table(csv: Path, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    edit(pd.read_csv(csv, dtype=str)).to_csv(csv, index=False)


def cut(file: Path, n_bytes: int) -> None:
    file.write_bytes(file.read_bytes()[:-n_bytes])


def lengthen(file: Path) -> None:
    file.write_bytes(file.read_bytes() + bytes(4))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no csv": (
        lambda csv: csv.unlink(),
        r"transport_dataset\.csv does not exist\. Make it with `python create_dataset",
    ),
    "no folder": (lambda csv: shutil.rmtree(csv.with_suffix("")), r"manifest\.json is missing: the vectors of"),
    "no vectors": (
        lambda csv: (csv.with_suffix("") / "osnet.npy").unlink(),
        r"osnet\.npy, the vectors of 'osnet', is missing",
    ),
    "cut vectors": (
        lambda csv: cut(csv.with_suffix("") / "osnet.npy", 4),
        r"osnet\.npy is truncated or not a \.npy file",
    ),
    "long vectors": (
        lambda csv: lengthen(csv.with_suffix("") / "osnet.npy"),
        r"osnet\.npy is longer than its header says",
    ),
    "other shape": (
        lambda csv: np.save(csv.with_suffix("") / "osnet.npy", np.zeros((36, 6), np.float32)),
        r"osnet\.npy has shape \(36, 6\) and dtype float32, the manifest says \(36, 5\)",
    ),
    "other dtype": (
        lambda csv: np.save(csv.with_suffix("") / "osnet.npy", np.zeros((36, 5))),
        r"osnet\.npy has shape \(36, 5\) and dtype float64",
    ),
    "rows cut": (lambda csv: edit_table(csv, lambda table: table[:-1]), r"has 35 rows but its vectors have 36"),
    "sorted": (
        lambda csv: edit_table(csv, lambda table: table.sort_values("path", ascending=False)),
        "are not in the order of its vectors: it was sorted",
    ),
    "flag edited": (
        lambda csv: edit_table(csv, lambda table: table.assign(has_osnet=["False", *["True"] * 35])),
        "`has_osnet` of .* marks 35 rows but the vectors have 36",
    ),
    "flag lost": (lambda csv: edit_table(csv, lambda table: table.drop(columns="has_osnet")), "no column `has_osnet`"),
    "flag wrong": (
        lambda csv: edit_table(csv, lambda table: table.assign(has_osnet="maybe")),
        r"dataset\.csv is damaged",
    ),
    "no path": (lambda csv: edit_table(csv, lambda table: table.drop(columns="path")), "has no column `path`"),
    "empty csv": (lambda csv: csv.write_text(""), "cannot be read as a CSV"),
    "manifest damaged": (
        lambda csv: (csv.with_suffix("") / "manifest.json").write_text("{"),
        r"manifest\.json is damaged",
    ),
    "manifest lacks": (
        lambda csv: (csv.with_suffix("") / "manifest.json").write_text('{"format_version": 1}'),
        r"manifest\.json is damaged: it lacks descriptors, images",
    ),
    "no list of descriptors": (lambda csv: edit_manifest(csv, descriptors=None), r"manifest\.json is damaged"),
    "descriptors as text": (
        lambda csv: edit_manifest(csv, descriptors="osnet"),
        r"manifest\.json is damaged: it lacks",
    ),
    "empty descriptor": (lambda csv: edit_manifest(csv, descriptors=[{}]), r"is damaged: it lacks .*name"),
    "images as text": (lambda csv: edit_manifest(csv, images="x"), r"manifest\.json is damaged: it lacks inside"),
    "semicolons": (
        lambda csv: csv.write_text(csv.read_text().replace(",", ";")),
        r"no column `path`.*A spreadsheet may have saved it with `;`",
    ),
    "a cell too many": (
        lambda csv: csv.write_text(csv.read_text().replace("True\n", "True,x\n")),
        r"dataset\.csv is damaged",
    ),
    "newer format": (lambda csv: edit_manifest(csv, format_version=2), "has format 2; this version reads 1"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named_with_its_remedy(damage: str, written: Path) -> None:
    inflict, message = DAMAGE[damage]
    inflict(written)
    with pytest.raises(DatasetError, match=message):
        Dataset.open(written)


@pytest.mark.parametrize("place", [".", "/", "", "transport_dataset"])
def test_folder_in_place_of_the_csv_is_named(place: str, written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written.parent)
    with pytest.raises(DatasetError, match=r"is a folder\. Name the CSV"):
        Dataset.open(place)


def test_changed_bytes_are_found_by_verification(written: Path) -> None:
    verify_dataset(written)
    file = written.with_suffix("") / "osnet.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    Dataset.open(written)
    with pytest.raises(DatasetError, match=r"osnet\.npy has changed since it was written"):
        verify_dataset(written)


def test_vectors_are_mapped_read_only(written: Path) -> None:
    vectors = Dataset.open(written)["osnet"].vectors
    assert isinstance(vectors, np.memmap)
    assert not vectors.flags.writeable


def test_dataset_moves_with_its_raw_data(written: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in list(tmp_path.iterdir()):
        if path != moved:
            shutil.move(path, moved / path.name)
    dataset = Dataset.open(moved / "transport_dataset.csv")
    assert read_image(dataset, 7).size == (16, 14)


def test_images_may_lie_elsewhere(written: Path, tmp_path: Path) -> None:
    (tmp_path / "raw_data/veriwild").rename(tmp_path / "elsewhere")
    assert Dataset.open(written).image_store is None
    dataset = Dataset.open(written, images=tmp_path / "elsewhere")
    assert read_image(dataset, 0).mode == "RGB"
    with pytest.raises(DatasetError, match=r"`images` must be the folder or zip of the images\. .*lost does not exist"):
        Dataset.open(written, images=tmp_path / "lost")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty holds none of them"):
        Dataset.open(written, images=tmp_path / "empty")


def test_inline_csv_alone_opens_and_finds_raw_data_beside_it(build_raw: BuildRaw, tmp_path: Path) -> None:
    raw = build_raw("zip")
    (raw / "origin.txt").write_text("Made for a test.")
    output = tmp_path / "transport_dataset.csv"
    dataset = join_dataset(locate_raw_data(raw), output, inline_vectors=True)
    assert sorted(file.name for file in output.with_suffix("").iterdir()) == ["manifest.json", "report.csv"]
    shutil.rmtree(output.with_suffix(""))
    alone = Dataset.open(output)
    assert alone.names == dataset.names
    assert alone.origin == "Made for a test."
    assert read_image(alone, 0).size == read_image(dataset, 0).size
    pd.testing.assert_frame_equal(alone.images, dataset.images)
    for descriptor in alone:
        np.testing.assert_array_equal(descriptor.vectors, dataset[descriptor.name].vectors)


def test_inline_csv_that_lost_columns_is_refused(build_raw: BuildRaw, tmp_path: Path) -> None:
    output = tmp_path / "transport_dataset.csv"
    join_dataset(locate_raw_data(build_raw()), output, inline_vectors=True)
    edit_table(output, lambda table: table.drop(columns="osnet_4"))
    with pytest.raises(DatasetError, match="has 4 columns of vectors for 'osnet', not 5"):
        Dataset.open(output)


def test_taking_rows_keeps_them_aligned(written: Path) -> None:
    dataset = Dataset.open(written)
    part = dataset.take([30, 2])
    assert part.images["path"].tolist() == dataset.images["path"][[30, 2]].tolist()
    np.testing.assert_array_equal(part["osnet"].vectors, dataset["osnet"].vectors[[30, 2]])


def test_dataset_shows_itself(written: Path) -> None:
    edit_manifest(written, origin="Made <here>")
    shown = Dataset.open(written)._repr_html_()
    assert "Made &lt;here&gt;" in shown
    assert "5 features, 36 usable rows" in shown
