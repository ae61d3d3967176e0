"""Undo: the state before, or a list of what stands against it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.reporting.folders.conftest import make_files, partition_of, tree
from veriwild_clustering import Dataset, DatasetError, undo_folders, write_folders

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
    done = undo_folders(out)
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
    undo_folders(out)
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
        undo_folders(out)
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


@pytest.mark.parametrize("place", ["../precious.jpg", "/precious.jpg", "cluster_0/../../precious.jpg"])
def test_a_plan_that_leads_out_of_its_folder_is_refused(place: str, files: Dataset, tmp_path: Path) -> None:
    out = sort(files, tmp_path, "copy")
    precious = tmp_path / "precious.jpg"
    precious.write_bytes(FILES["a.jpg"])
    plan = out / ".veriwild_folders/plan.jsonl"
    plan.write_text(plan.read_text().replace("cluster_0/a.jpg", place))
    with pytest.raises(DatasetError, match=r"plan\.jsonl is damaged"):
        undo_folders(out)
    assert precious.exists()
