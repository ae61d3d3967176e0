"""Raw data are found in every layout, and what is wrong with them is said before anything else happens."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from veriwild_clustering import DatasetError, locate_raw_data

BuildRaw = Callable[..., Path]
NAMES = ["efficientnet-b7", "osnet", "type_model", "color_model"]


@pytest.mark.parametrize("images", ["plain", "doubled", "zip", "doubled zip"])
@pytest.mark.parametrize("beside", [(), ("paths",), ("descriptors",), ("images",), ("paths", "descriptors", "images")])
def test_layouts(images: str, beside: tuple[str, ...], build_raw: BuildRaw, jpegs: dict[str, bytes]) -> None:
    raw = locate_raw_data(build_raw(images, beside=beside))
    assert raw.paths == tuple(jpegs)
    assert list(raw.descriptor_files) == NAMES
    assert raw.image_store is not None
    assert all(path in raw.image_store for path in raw.paths)


@pytest.mark.parametrize(
    ("type_name", "color_name"), [("vdc_type", "vdc_color"), ("mdc_type", "mdc_color"), ("type_model", "color_model")]
)
@pytest.mark.parametrize("loose", ["", "yes"])
def test_names_of_the_vectors(type_name: str, color_name: str, loose: str, build_raw: BuildRaw) -> None:
    raw = locate_raw_data(build_raw(loose=loose, vdc_type=type_name, vdc_color=color_name))
    assert list(raw.descriptor_files) == NAMES
    assert raw.descriptor_files["type_model"].stem == type_name
    assert raw.descriptor_files["color_model"].stem == color_name


@pytest.mark.parametrize(("there", "asked"), [("row_data", "raw_data"), ("raw_data", "row_data")])
def test_other_spelling_is_used_and_said(
    there: str, asked: str, build_raw: BuildRaw, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build_raw(folder=there)
    with caplog.at_level(logging.WARNING):
        raw = locate_raw_data(tmp_path / asked)
    assert raw.folder == tmp_path / there
    assert "does not exist" in caplog.text
    assert "is used instead" in caplog.text


def test_archive_folder_with_raw_data_inside(build_raw: BuildRaw, tmp_path: Path) -> None:
    """The archive holds `descriptors`, `images_paths.csv` and `raw_data/veriwild.zip`."""
    build_raw("zip", beside=("paths", "descriptors"))
    raw = locate_raw_data(tmp_path)
    assert raw.image_store is not None
    assert raw.image_store.location == tmp_path / "raw_data" / "veriwild.zip"
    assert list(raw.descriptor_files) == NAMES


def test_without_images_the_store_is_none(build_raw: BuildRaw) -> None:
    assert locate_raw_data(build_raw("")).image_store is None


def test_folder_with_the_images_wins_over_an_empty_one(build_raw: BuildRaw) -> None:
    raw = build_raw("zip")
    (raw / "veriwild").mkdir()
    store = locate_raw_data(raw).image_store
    assert store is not None
    assert store.location.name == "veriwild.zip"


def test_origin_and_attribute_files_are_found(build_raw: BuildRaw) -> None:
    raw = build_raw()
    (raw / "origin.txt").write_text("Drawn.\n")
    (raw.parent / "truth.csv").write_text("path\n")
    (raw / "veriwild" / "train_test_split").mkdir()
    (raw / "veriwild" / "train_test_split" / "vehicle_info.txt").write_text("id/image\n")
    found = locate_raw_data(raw)
    assert found.origin == "Drawn."
    assert found.attribute_files == {
        "vehicle_info": raw / "veriwild/train_test_split/vehicle_info.txt",
        "truth": raw.parent / "truth.csv",
    }


def test_own_descriptors_join(build_raw: BuildRaw, tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.ones((36, 2)))
    raw = locate_raw_data(build_raw(), descriptors={"my-own_1.0": tmp_path / "mine.npy"})
    assert list(raw.descriptor_files) == [*NAMES, "my-own_1.0"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../x", r"has only letters, digits, `-`, `_` and `\.`\. Got '\.\./x' instead"),
        ("", "has only letters"),
        ("a b", "has only letters"),
        ("osnet", "Two files claim the descriptor 'osnet'"),
        ("OSNet", "Two files claim the descriptor 'OSNet'"),
    ],
)
def test_unfit_names_of_own_descriptors(name: str, message: str, build_raw: BuildRaw, tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.ones((36, 2)))
    with pytest.raises(DatasetError, match=message):
        locate_raw_data(build_raw(), descriptors={name: tmp_path / "mine.npy"})


def test_two_files_for_one_descriptor_are_both_named(build_raw: BuildRaw) -> None:
    raw = build_raw()
    shutil.copy(raw / "descriptors/vdc_type.pickle", raw / "type_model.pickle")
    with pytest.raises(DatasetError, match=r"'type_model': .*vdc_type\.pickle and .*type_model\.pickle"):
        locate_raw_data(raw)


def test_what_is_missing_is_named(build_raw: BuildRaw, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"raw-data folder .*lost does not exist\. .*--sample"):
        locate_raw_data(tmp_path / "lost")
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="file is a file"):
        locate_raw_data(tmp_path / "file")
    raw = build_raw()
    with pytest.raises(DatasetError, match=r"vectors file .*lost\.npy of the descriptor 'mine' does not exist"):
        locate_raw_data(raw, descriptors={"mine": tmp_path / "lost.npy"})
    shutil.rmtree(raw / "descriptors")
    with pytest.raises(DatasetError, match=r"No vectors were found in .*descriptors or beside it"):
        locate_raw_data(raw)
    (raw / "images_paths.csv").unlink()
    with pytest.raises(DatasetError, match=r"images_paths\.csv was not found in .* or beside it"):
        locate_raw_data(raw)


def test_origin_that_is_not_text_does_not_stop_the_join(build_raw: BuildRaw) -> None:
    raw = build_raw()
    (raw / "origin.txt").write_bytes(b"drawn \xff")
    assert locate_raw_data(raw).origin == "drawn \N{REPLACEMENT CHARACTER}"


LINES = ["veriwild\\1\\00001\\000001.jpg", "veriwild\\10\\00002\\000002.jpg"]


@pytest.mark.parametrize(
    "text",
    [
        "paths\r\n{}\r\n{}\r\n",
        "\ufeffpaths\n{}\n{}\n",
        '"paths"\n"{}"\n"{}"\n',
        ",paths\n0,{}\n1,{}\n",
        "path\n{}\n{}",
        "paths\n{}\n{}\n\n\n",
        "index,path\n0,./{}\n1,{}\n",
    ],
)
def test_harmless_variants_of_the_list(text: str, build_raw: BuildRaw) -> None:
    raw = build_raw()
    (raw / "images_paths.csv").write_bytes(text.format(*LINES).encode())
    assert locate_raw_data(raw).paths == tuple(line.replace("\\", "/") for line in LINES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must begin with the header `paths`"),
        ("paths\n", "lists no images"),
        ("file\na.jpg\n", "must begin with the header `paths`"),
        ("paths\n{0}\n..\\..\\etc\n", r"leave the folder of the images: row 1 \(line 3\)"),
        ("paths\n/etc/passwd\n{0}\n", r"absolute or leave the folder of the images: row 0 \(line 2\) '/etc/passwd'"),
        ("paths\nC:\\1.jpg\n{0}\n", r"absolute .*row 0"),
        ("paths\n{0}\n{1}\n{0}\n", r"paths that an earlier row lists already: row 2 \(line 4\)"),
        ("paths\n{0}\nveriwild/1//00001/000001.jpg\n", r"an earlier row lists already: row 1"),
        ("paths\n{0}\n\n{1}\n", r"malformed lines: row 1 \(line 3\)"),
        ("paths\n{0},7\n{1}\n", r"malformed lines: row 0 \(line 2\)"),
        ("paths\n" + "/x\n" * 5, r"row 2 \(line 4\) '/x' and 2 more\. Restore the original file"),
        ("paths\n\xff\xfe", "cannot be read as a CSV in UTF-8"),
        ("paths\n{0}\na\x00b\n", "row 1"),
        ('paths\n"{0}\n' + "{1}\n" * 99, r"^.{0,500}$"),  # an open quote swallows the rest of the file
    ],
)
def test_unusable_lists_are_refused_with_their_rows(text: str, message: str, build_raw: BuildRaw) -> None:
    raw = build_raw()
    (raw / "images_paths.csv").write_bytes(text.format(*LINES).encode("latin1"))
    with pytest.raises(DatasetError, match=message):
        locate_raw_data(raw)
