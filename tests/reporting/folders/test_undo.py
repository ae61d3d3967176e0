"""Undo: the state before, or a list of what stands against it."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.reporting.folders.conftest import make_files, partition_of, tree
from veriwild_clustering import Dataset, DatasetError, find_images, undo_folders, write_folders

FILES = {"a.jpg": b"one", "b.jpg": b"two", "old/A.JPG": b"three"}


@pytest.fixture
def files(tmp_path: Path) -> Dataset:
    return make_files(tmp_path / "in", FILES)


def sort(files: Dataset, tmp_path: Path, transfer: Any) -> Path:
    write_folders(files, partition_of([0, -1, 0]), tmp_path / "out", transfer=transfer)
    return tmp_path / "out"


@pytest.mark.parametrize("transfer", ["copy", "move", "hardlink", "symlink"])
def test_undo_brings_back_what_was(transfer: Any, files: Dataset, tmp_path: Path) -> None:
    before = tree(tmp_path)
    out = sort(files, tmp_path, transfer)
    done = undo_folders(out, source=tmp_path / "in")
    assert set(done["undone"]) == {"moved back" if transfer == "move" else "removed"}
    assert tree(tmp_path) == before
    assert not out.exists()
    with pytest.raises(DatasetError, match="no sorting that could be undone"):
        undo_folders(out)


def test_moved_images_come_back_into_folders_that_were_deleted(files: Dataset, tmp_path: Path) -> None:
    before = tree(tmp_path / "in")
    out = sort(files, tmp_path, "move")
    (tmp_path / "in/old").rmdir()
    (tmp_path / "in").rmdir()
    undo_folders(out, source=tmp_path / "in")
    assert tree(tmp_path / "in") == before


def test_all_that_stands_against_an_undo_of_a_move_is_listed(files: Dataset, tmp_path: Path) -> None:
    out = sort(files, tmp_path, "move")
    times = (out / "cluster_0/a.jpg").stat()
    (out / "cluster_0/a.jpg").write_bytes(b"ONE")  # as long as before, and its time put back
    os.utime(out / "cluster_0/a.jpg", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "in/b.jpg").write_bytes(b"new")
    (out / "cluster_0/A_2.JPG").unlink()
    before = tree(tmp_path)
    with pytest.raises(DatasetError, match=r"nothing was touched\. 3 images") as refused:
        undo_folders(out, source=tmp_path / "in")
    said = str(refused.value)
    assert "cluster_0/a.jpg was changed" in said
    assert f"outliers/b.jpg cannot go back: another file is at {tmp_path / 'in/b.jpg'}" in said
    assert "cluster_0/A_2.JPG is gone" in said
    assert tree(tmp_path) == before


def test_copy_that_is_the_only_one_left_is_kept(files: Dataset, tmp_path: Path) -> None:
    out = sort(files, tmp_path, "copy")
    (tmp_path / "in/a.jpg").unlink()
    (tmp_path / "in/b.jpg").write_bytes(b"edited")
    (out / "cluster_0/A_2.JPG").unlink()  # nothing to undo about it
    with pytest.raises(DatasetError, match="2 images are not as they were left") as refused:
        undo_folders(out)
    assert "cluster_0/a.jpg is the only one left: its original a.jpg was changed or removed" in str(refused.value)
    assert (out / "cluster_0/a.jpg").read_bytes() == b"one"


def test_files_of_others_stay(files: Dataset, tmp_path: Path) -> None:
    out = sort(files, tmp_path, "copy")
    (out / "cluster_0/letter.txt").write_text("dear")
    (out / "folders.csv").write_text("edited")
    undo_folders(out)
    assert {path: data for path, (data, _) in tree(out).items()} == {
        "cluster_0/letter.txt": b"dear",
        "folders.csv": b"edited",
    }


def test_another_sorting_is_refused_until_the_first_is_undone(files: Dataset, tmp_path: Path) -> None:
    out = sort(files, tmp_path, "copy")
    before = tree(out)
    with pytest.raises(DatasetError, match="holds another sorting"):
        write_folders(files, partition_of([0, 0, 0]), out)
    assert tree(out) == before
    undo_folders(out)
    write_folders(files, partition_of([0, 0, 0]), out)
    assert (out / "cluster_0/b.jpg").exists()


def test_file_that_came_into_the_way_of_a_killed_run_is_not_replaced(files: Dataset, tmp_path: Path) -> None:
    out = sort(files, tmp_path, "move")
    journal = out / ".veriwild_folders/journal.jsonl"
    journal.write_bytes(journal.read_bytes().rpartition(b'["complete"]')[0] + b'["comp')  # as a kill would leave it
    (out / "cluster_0/a.jpg").rename(tmp_path / "in/a.jpg")
    (out / "cluster_0/a.jpg").write_bytes(b"foreign")
    with pytest.raises(DatasetError, match=r"cluster_0/a\.jpg is in the way"):
        sort(files, tmp_path, "move")
    assert (out / "cluster_0/a.jpg").read_bytes() == b"foreign"
    (out / "cluster_0/a.jpg").unlink()
    sort(files, tmp_path, "move")
    assert (out / "cluster_0/a.jpg").read_bytes() == b"one"


def test_copy_out_of_a_zip_that_holds_another_image_by_now_is_kept(tmp_path: Path) -> None:
    archive = tmp_path / "in.zip"
    for data in (b"one", b"ONE"):
        with zipfile.ZipFile(archive, "w") as written:
            written.writestr("a.jpg", data)
        os.utime(archive, ns=(10**18, 10**18 + ord(data[:1])))
        if data == b"one":
            store, paths = find_images(archive)
            dataset = Dataset(pd.DataFrame({"path": paths}), image_store=store)
            write_folders(dataset, partition_of([0]), tmp_path / "out", contact_sheets=False)
    with pytest.raises(DatasetError, match=r"cluster_0/a\.jpg is the only one left"):
        undo_folders(tmp_path / "out")
    assert (tmp_path / "out/cluster_0/a.jpg").read_bytes() == b"one"


def edit(file: Path, change: Callable[[str], str]) -> None:
    before = file.read_text()
    file.write_text(change(before))
    assert file.read_text() != before


PLACES = ["../precious.jpg", "/precious.jpg", "cluster_0/../../precious.jpg", "cluster_0/old/a.jpg", "cluster_1/a.jpg"]


@pytest.mark.parametrize("place", PLACES)
def test_a_plan_that_leads_out_of_its_folder_is_refused(place: str, files: Dataset, tmp_path: Path) -> None:
    out = sort(files, tmp_path, "copy")
    precious = tmp_path / "precious.jpg"
    precious.write_bytes(FILES["a.jpg"])
    edit(out / ".veriwild_folders/plan.jsonl", lambda plan: plan.replace("cluster_0/a.jpg", place))
    with pytest.raises(DatasetError, match=r"plan\.jsonl is damaged"):
        undo_folders(out)
    assert precious.exists()


@pytest.mark.parametrize("path", ["../home/.profile", "/home/.profile", "old/../../home/.profile", "C:/home/.profile"])
def test_a_plan_that_moves_images_out_of_their_folder_is_refused(path: str, files: Dataset, tmp_path: Path) -> None:
    out = sort(files, tmp_path, "move")
    edit(out / ".veriwild_folders/plan.jsonl", lambda plan: plan.replace('["a.jpg"', f'["{path}"'))
    with pytest.raises(DatasetError, match=r"plan\.jsonl is damaged"):
        undo_folders(out, source=tmp_path / "in")
    assert (out / "cluster_0/a.jpg").exists()


@pytest.mark.parametrize("header", [{"location": "home"}, {"inside": "../home"}, {"location": "in/../home"}])
def test_images_go_back_to_the_folder_that_is_named_and_to_no_other(
    header: dict[str, str], files: Dataset, tmp_path: Path
) -> None:
    out = sort(files, tmp_path, "move")
    (tmp_path / "home").mkdir()
    header = {key: str(tmp_path / value) if key == "location" else value for key, value in header.items()}

    def mislead(plan: str) -> str:
        first, _, rest = plan.partition("\n")
        return json.dumps({**json.loads(first), **header}) + "\n" + rest

    edit(out / ".veriwild_folders/plan.jsonl", mislead)
    before = tree(tmp_path)
    with pytest.raises(DatasetError, match="was not sorted from"):
        undo_folders(out, source=tmp_path / "in")
    with pytest.raises(DatasetError, match="name it as `source`"):
        undo_folders(out)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("transfer", ["copy", "move"])
@pytest.mark.parametrize(
    "part", ["cluster_0", "contact_sheets", ".veriwild_folders/stage", ".veriwild_folders/journal.jsonl", "whole state"]
)
def test_links_in_the_folder_lead_nowhere(part: str, transfer: Any, files: Dataset, tmp_path: Path) -> None:
    out = sort(files, tmp_path, transfer)
    away, place = tmp_path / "away", out / part.replace("whole state", ".veriwild_folders")
    if place.exists():
        place.rename(away)  # what lies there is as recorded, but it is not in the folder
    else:
        away.mkdir()
        (away / "letter.txt").write_text("dear")
    place.symlink_to(away)
    before = tree(tmp_path), away.is_file() and away.read_bytes()
    for attempt in (lambda: undo_folders(out, source=tmp_path / "in"), lambda: sort(files, tmp_path, transfer)):
        with pytest.raises(DatasetError, match="is a link, which no sorting makes"):
            attempt()
    assert (tree(tmp_path), away.is_file() and away.read_bytes()) == before


def test_link_among_the_images_leads_nowhere(files: Dataset, tmp_path: Path) -> None:
    out = sort(files, tmp_path, "move")
    (tmp_path / "home").mkdir()
    (tmp_path / "in/old").rmdir()
    (tmp_path / "in/old").symlink_to(tmp_path / "home")
    with pytest.raises(DatasetError, match="leads outside"):
        undo_folders(out, source=tmp_path / "in")
    assert not any((tmp_path / "home").iterdir())


SHA = "0" * 64


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "\x00\x00",
        "[]",
        "7",
        '["erase"]',
        "[" * 100_000,
        '["file", 0, 3, 5, "../../../home"]',
        f'["file", 0, -1, 5, "{SHA}"]',
        f'["file", -1, 3, 5, "{SHA}"]',
        f'["file", 3, 3, 5, "{SHA}"]',
        f'["file", true, 3, 5, "{SHA}"]',
        '["left", 9, "gone"]',
        f'["made", "../precious.jpg", "{SHA}"]',
        f'["made", "/precious.jpg", "{SHA}"]',
        '["made", 7, 7]',
    ],
    ids=range(15),
)
def test_damaged_line_of_the_journal_is_named(line: str, files: Dataset, tmp_path: Path) -> None:
    out = sort(files, tmp_path, "move")
    journal = out / ".veriwild_folders/journal.jsonl"
    edit(journal, lambda text: text.replace("\n", f"\n{line}\n", 1))
    before = tree(tmp_path)
    for attempt in (lambda: undo_folders(out, source=tmp_path / "in"), lambda: sort(files, tmp_path, "move")):
        with pytest.raises(DatasetError, match=r"journal\.jsonl, line 2, is damaged .*nothing was touched"):
            attempt()
    assert tree(tmp_path) == before


@pytest.mark.parametrize("torn", ["{", '["made", "folders.csv', '["undo"]', "\x00\x00"])
def test_line_that_a_kill_cut_off_is_dropped(torn: str, files: Dataset, tmp_path: Path) -> None:
    before = tree(tmp_path)
    out = sort(files, tmp_path, "move")
    edit(out / ".veriwild_folders/journal.jsonl", lambda text: text + torn)
    undo_folders(out, source=tmp_path / "in")
    assert tree(tmp_path) == before
