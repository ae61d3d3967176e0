"""Images found in folders, zips and lists: which, in which order, and what is said where there are none."""

from __future__ import annotations

import logging
import os
import zipfile
from pathlib import Path

import pytest

from veriwild_clustering import DatasetError, find_images

FILES = ("2.jpg", "10.JPG", "cars/b.tiff", "cars/B1/1.webp", "cars/a.PnG", "x.gif", "y.bmp", "z.jpeg", "w.tif")
OTHERS = ("notes.txt", "jpg", ".hidden.jpg", ".cache/1.jpg", "__MACOSX/._2.jpg", "table.csv")
ORDER = ["2.jpg", "10.JPG", "cars/a.PnG", "cars/B1/1.webp", "cars/b.tiff", "w.tif", "x.gif", "y.bmp", "z.jpeg"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for name in (*FILES, *OTHERS):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return root


@pytest.fixture
def archive(folder: Path) -> Path:
    file = folder.with_suffix(".ZIP")
    with zipfile.ZipFile(file, "w") as out:
        for name in (*FILES, *OTHERS):
            out.write(folder / name, name)
    return file


def test_folder_is_searched_in_natural_order(folder: Path) -> None:
    store, paths = find_images(folder)
    assert paths == ORDER
    assert [store.read(path).decode() for path in paths] == ORDER


def test_zip_holds_the_same(archive: Path) -> None:
    store, paths = find_images(str(archive))
    assert paths == ORDER
    assert store.is_zip
    assert store.read("cars/B1/1.webp") == b"cars/B1/1.webp"


def test_links_stay_inside(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jpg").touch()
    (folder / "inside.jpg").symlink_to(folder / "cars/a.PnG")
    (folder / "secret.jpg").symlink_to(outside / "secret.jpg")
    (folder / "broken.jpg").symlink_to(folder / "lost.jpg")
    (folder / "circle").symlink_to(folder)
    (folder / "away").symlink_to(outside)
    with caplog.at_level(logging.WARNING):
        store, paths = find_images(folder)
    assert set(paths) - set(ORDER) == {"inside.jpg"}
    assert all(path in store for path in paths)
    assert "2 links to folders" in caplog.text
    assert "2 links that are broken or leave the folder" in caplog.text


def test_names_that_no_table_can_hold_are_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "back\\slash.jpg").touch()
    (folder / "new\nline.jpg").touch()
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.jpg")).touch()
    with caplog.at_level(logging.WARNING):
        assert find_images(folder)[1] == ORDER
    assert "3 names with" in caplog.text


@pytest.mark.parametrize("header", ["path", "paths", "FILE", "filename", "image"])
def test_list_keeps_its_order(folder: Path, header: str) -> None:
    listed = folder / "list.csv"
    listed.write_text(f"type,{header}\nbus,x.gif\ncar,cars\\b.tiff\ncar,lost.jpg\n", encoding="utf-8-sig")
    store, paths = find_images(listed)
    assert paths == ["x.gif", "cars/b.tiff", "lost.jpg"]
    assert [path in store for path in paths] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\na.jpg\n", "must have a column of paths"),
        ("path;type\na.jpg;car\n", "separated by `;`: save it with commas"),
        ("path\n", "lists no image"),
        ("", "cannot be read as a CSV"),
        ("path\na.jpg\n../b.jpg\n", "row 1: .* leaves the folder"),
        ("path\n/etc/passwd\n", "is absolute"),
        ("path\na.jpg\na.jpg\n", "more than once"),
    ],
)
def test_bad_lists_say_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        find_images(tmp_path / "list.csv")


def test_places_without_images_say_what_they_hold(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        find_images(tmp_path / "lost")
    with pytest.raises(DatasetError, match=r"holds no image .* but nothing else"):
        find_images(tmp_path)
    for name in ("a.txt", "b.txt", "c.pdf"):
        (tmp_path / name).touch()
    with pytest.raises(DatasetError, match=r"3 other files, mostly \.txt, \.pdf"):
        find_images(tmp_path)
    with pytest.raises(DatasetError, match="neither a folder, nor a zip, nor a CSV"):
        find_images(tmp_path / "a.txt")
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    with pytest.raises(DatasetError, match="cannot be read as a zip"):
        find_images(tmp_path / "broken.zip")
