"""Folders as they are written: places, names, lists, and what is refused before anything is touched."""

from __future__ import annotations

import os
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.reporting.folders.conftest import make_files, partition_of, tree
from veriwild_clustering import (
    Dataset,
    DatasetError,
    Descriptor,
    ImageStore,
    Partition,
    find_images,
    undo_folders,
    write_folders,
)

FILES = {"a.jpg": b"one", "b.jpg": b"two", "old/A.JPG": b"three"}


@pytest.fixture
def files(tmp_path: Path) -> Dataset:
    return make_files(tmp_path / "in", FILES)


@pytest.mark.parametrize("transfer", ["copy", "move", "hardlink", "symlink"])
def test_every_image_is_in_the_folder_of_its_cluster(transfer: Any, files: Dataset, tmp_path: Path) -> None:
    before, out = tree(tmp_path / "in"), tmp_path / "out"
    table = write_folders(files, partition_of([0, -1, 0]), out, transfer=transfer, contact_sheets=False)
    assert table["destination"].to_list() == ["cluster_0/a.jpg", "outliers/b.jpg", "cluster_0/A_2.JPG"]
    assert [(out / place).read_bytes() for place in table["destination"]] == list(FILES.values())
    assert tree(tmp_path / "in") == ({} if transfer == "move" else before)
    assert (out / "cluster_0/a.jpg").is_symlink() == (transfer == "symlink")
    assert (out / "cluster_0/a.jpg").stat().st_mtime_ns == before["a.jpg"][1]
    pd.testing.assert_frame_equal(
        pd.read_csv(out / "folders.csv", keep_default_na=False), table, check_dtype=False
    )  # fmt: skip
    assert table["n_bytes"].to_list() == [3, 3, 5]
    assert table["sha256"].str.len().eq(64).all()


def test_dry_run_touches_nothing_and_says_what_comes(files: Dataset, tmp_path: Path) -> None:
    partition = partition_of([0, -1, 0])
    foreseen = write_folders(files, partition, tmp_path / "out", transfer="move", dry_run=True)
    assert not (tmp_path / "out").exists()
    done = write_folders(files, partition, tmp_path / "out", transfer="move")
    pd.testing.assert_frame_equal(foreseen.drop(columns="sha256"), done.drop(columns="sha256"))
    again = write_folders(files, partition, tmp_path / "out", transfer="move", dry_run=True)
    pd.testing.assert_frame_equal(again, foreseen)


def test_names_of_clusters_stand_in_the_table(files: Dataset, tmp_path: Path) -> None:
    partition = Partition([0, 1, 0], Descriptor("toy", np.zeros((3, 1))), "by hand", cluster_names=["buses", ""])
    table = write_folders(files, partition, tmp_path / "out", contact_sheets=False)
    assert table["cluster_name"].to_list() == ["buses", "", "buses"]


def test_what_is_no_image_stays_and_is_listed(tmp_path: Path) -> None:
    make_files(tmp_path / "in", {**FILES, "notes.txt": b"n", ".hidden.jpg": b"h", "line\nbreak.jpg": b"l"})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/far.jpg").write_bytes(b"far")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/far.jpg").symlink_to(tmp_path / "elsewhere/far.jpg")
    (tmp_path / "in/broken.jpg").symlink_to("nowhere.jpg")
    store, paths = find_images(tmp_path / "in")
    assert set(paths) == set(FILES)
    dataset = Dataset(pd.DataFrame({"path": paths}), image_store=store)
    write_folders(dataset, partition_of([0, 0, 0]), tmp_path / "out", transfer="move", contact_sheets=False)
    listed = pd.read_csv(tmp_path / "out/not_sorted.csv").set_index("path")["reason"].to_dict()
    assert listed == {
        ".hidden.jpg": "hidden",
        "broken.jpg": "link",
        "far.jpg": "link",
        "line\\x0abreak.jpg": "not among the images that were grouped",
        "loop": "link to a folder",
        "notes.txt": "no image",
    }
    assert all(os.path.lexists(tmp_path / "in" / name) for name in ("notes.txt", "loop", "far.jpg", "line\nbreak.jpg"))


def test_missing_image_keeps_its_row_and_is_listed(files: Dataset, tmp_path: Path) -> None:
    (tmp_path / "in/b.jpg").unlink()
    for _ in range(2):  # the second time from the journal
        table = write_folders(files, partition_of([0, -1, 0]), tmp_path / "out", transfer="move")
        assert table["destination"].to_list() == ["cluster_0/a.jpg", "", "cluster_0/A_2.JPG"]
    listed = (tmp_path / "out/not_sorted.csv").read_text()
    assert "b.jpg,no such file" in listed or "b.jpg,No such file" in listed
    undo_folders(tmp_path / "out", source=tmp_path / "in")
    assert set(tree(tmp_path / "in")) == {"a.jpg", "old/A.JPG"}


def test_odd_names_survive_and_twins_get_numbers(tmp_path: Path) -> None:
    twins = [unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD")]
    long = "x" * 251 + ".jpg"
    names = [
        "10:30.jpg",
        "-rf.jpg",
        "a b.jpg",
        "ж" * 125 + ".jpg",
        *twins,
        long,
        f"old/{long}",
        "a_2.jpg",
        "a.jpg",
        "o/a.jpg",
    ]
    dataset = make_files(tmp_path / "in", {name: str(i).encode() for i, name in enumerate(names)})
    table = write_folders(dataset, partition_of([0] * len(names)), tmp_path / "out", contact_sheets=False)
    written = [place.removeprefix("cluster_0/") for place in table["destination"]]
    assert written[:5] == names[:5]
    assert written[5] == unicodedata.normalize("NFD", "é") + "_2.jpg"
    assert written[7] == "x" * 249 + "_2.jpg"
    assert written[8:] == ["a_2.jpg", "a.jpg", "a_3.jpg"]
    assert [(tmp_path / "out" / place).read_bytes() for place in table["destination"]] == [
        str(i).encode() for i in range(len(names))
    ]


def test_images_of_every_kind_get_their_tile(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (60, 40), "red").save(folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:300])
    (folder / "empty.jpg").touch()
    Image.new("CMYK", (30, 30)).save(folder / "cmyk.jpg")
    Image.new("RGBA", (30, 30), (0, 0, 255, 90)).save(folder / "alpha.png")
    Image.fromarray(np.full((20, 20), 40000, dtype=np.uint16)).save(folder / "deep.png")
    Image.new("L", (1, 1)).save(folder / "dot.png")
    Image.new("1", (20000, 6000)).save(folder / "huge.png")
    frames = [Image.new("P", (20, 20), color) for color in (1, 2)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    store, paths = find_images(folder)
    dataset = Dataset(pd.DataFrame({"path": paths}), image_store=store)
    write_folders(dataset, partition_of([0] * len(paths)), tmp_path / "out", transfer="move")
    with Image.open(tmp_path / "out/contact_sheets/cluster_0.jpg") as sheet:
        assert sheet.format == "JPEG"
        assert np.asarray(sheet).min(axis=2).std() > 0
    assert len(list((tmp_path / "out/cluster_0").iterdir())) == 9


def test_zip_is_copied_from_and_never_moved(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for path, data in FILES.items():
            archive.writestr(path, data)
        archive.writestr("notes.txt", b"n")
    store, paths = find_images(tmp_path / "in.zip")
    dataset = Dataset(pd.DataFrame({"path": paths}), image_store=store)
    with pytest.raises(DatasetError, match="can only be copied"):
        write_folders(dataset, partition_of([0, 0, 0]), tmp_path / "out", transfer="move")
    assert not (tmp_path / "out").exists()
    table = write_folders(dataset, partition_of([0, 0, 0]), tmp_path / "out", contact_sheets=False)
    assert {(tmp_path / "out" / place).read_bytes() for place in table["destination"]} == set(FILES.values())
    assert (tmp_path / "out/not_sorted.csv").read_text() == "path,reason\nnotes.txt,no image\n"
    undo_folders(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("in", "lies inside"),
        ("in/new", "lies inside"),
        (".", "not empty"),
        ("full", "not empty: 1 files or folders, such as 'letter.txt'"),
        ("file", "is a file"),
        ("file/below", "Cannot write"),
    ],
)
def test_places_that_cannot_be_written_are_refused(out: str, message: str, files: Dataset, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("dear")
    (tmp_path / "file").write_text("a file")
    before = tree(tmp_path)
    for dry_run in (True, False):
        with pytest.raises(DatasetError, match=message):
            write_folders(files, partition_of([0, 0, 0]), tmp_path / out, dry_run=dry_run)
    assert tree(tmp_path) == before


def test_read_only_target_is_one_clear_error(files: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(DatasetError, match="Read-only file system"):
        write_folders(files, partition_of([0, 0, 0]), tmp_path / "out")


def test_move_that_would_break_links_is_refused(files: Dataset, tmp_path: Path) -> None:
    (tmp_path / "in/link.jpg").symlink_to("a.jpg")
    dataset = Dataset(pd.DataFrame({"path": ["a.jpg", "link.jpg"]}), image_store=files.image_store)
    with pytest.raises(DatasetError, match=r"1 images are symbolic links .*'link.jpg'"):
        write_folders(dataset, partition_of([0, 0]), tmp_path / "out", transfer="move")
    write_folders(dataset, partition_of([0, 0]), tmp_path / "out", contact_sheets=False)
    assert (tmp_path / "out/cluster_0/link.jpg").read_bytes() == b"one"


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        ([0, 0], {}, ValueError, "one entry per image"),
        ([0, 0, 0], {"transfer": "teleport"}, ValueError, "`transfer` must be one of 'copy'"),
    ],
)
def test_wrong_arguments_are_named(
    labels: list[int], options: dict[str, Any], error: type[Exception], message: str, files: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        write_folders(files, partition_of(labels), tmp_path / "out", **options)
    with pytest.raises(DatasetError, match="does not know where its image files lie"):
        write_folders(Dataset(files.images), partition_of([0, 0, 0]), tmp_path / "out")


def test_image_listed_twice_is_refused(files: Dataset, tmp_path: Path) -> None:
    dataset = Dataset(pd.DataFrame({"path": ["a.jpg", "./a.jpg"]}), image_store=ImageStore(tmp_path / "in"))
    with pytest.raises(DatasetError, match=r"names the image 'a.jpg' more than once"):
        write_folders(dataset, partition_of([0, 0]), tmp_path / "out")
