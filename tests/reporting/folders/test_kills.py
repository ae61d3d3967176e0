"""Whatever sequence of runs, kills and undos: no byte is lost, and every image ends in exactly one place."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reporting.folders.conftest import Killed, make_files, partition_of, tree
from veriwild_clustering import Dataset, DatasetError, undo_folders, write_folders

FILES = {"a.jpg": b"one", "b.jpg": b"two", "old/A.jpg": b"three", "old/c.png": b"", "old/deep/a.jpg": b"one"}
LABELS = [0, -1, 0, 1, 0]
PLACES = ["cluster_0/a.jpg", "outliers/b.jpg", "cluster_0/A_2.jpg", "cluster_1/c.png", "cluster_0/a_3.jpg"]

STEPS = ["run", "undo"]
_steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 60)), max_size=6)


def staged(out: Path) -> list[bytes]:
    return [file.read_bytes() for file in (out / ".veriwild_folders/stage").glob("*")]


def attempt(step: str, dataset: Dataset, out: Path, transfer: Any) -> None:
    """Run or undo; where there is nothing to undo, or something is half undone, that is said."""
    refusal = ""
    try:
        if step == "run":
            write_folders(dataset, partition_of(LABELS), out, transfer=transfer, contact_sheets=False)
        else:
            undo_folders(out, source=dataset.image_store.location)
    except DatasetError as error:
        refusal = str(error)
    assert not refusal or ("half undone" if step == "run" else "no sorting") in refusal


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=_steps, transfer=st.sampled_from(["copy", "move", "move", "hardlink", "symlink"]), end=st.sampled_from(STEPS)
)
def test_nothing_is_lost(
    steps: list[tuple[str, int]], transfer: str, end: str, killed_after: Callable[[int], Any]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        images, out = Path(name, "in"), Path(name, "out")
        dataset = make_files(images, FILES)
        before = tree(images)
        for step, n_changes in steps:
            try:
                with killed_after(n_changes):
                    attempt(step, dataset, out, transfer)
            except Killed:
                pass
            held = [data for data, _ in (*tree(images).values(), *tree(out).values())] + staged(out)
            assert set(FILES.values()) <= set(held)
            assert transfer == "move" or tree(images) == before
        attempt("undo", dataset, out, transfer)
        if end == "undo":
            assert tree(images) == before
            assert tree(out) == {}
            return
        write_folders(dataset, partition_of(LABELS), out, transfer=transfer, contact_sheets=False)
        sorted_files = {place: tree(out)[place] for place in PLACES}
        assert sorted_files.keys() | {"folders.csv"} == tree(out).keys()
        assert [data for data, _ in sorted_files.values()] == list(FILES.values())
        if transfer != "symlink":
            assert list(sorted_files.values()) == [before[path] for path in FILES]
        assert tree(images) == ({} if transfer == "move" else before)


@pytest.mark.parametrize("transfer", ["copy", "move"])
def test_killed_at_every_change_it_goes_on_to_the_same_end(
    transfer: Any, tmp_path: Path, killed_after: Callable[[int], Any]
) -> None:
    ends = []
    for n_changes in range(0, 60, 2):
        folder = tmp_path / str(n_changes)
        dataset = make_files(folder / "in", FILES)
        for n in (n_changes, 10**6):
            try:
                with killed_after(n):
                    write_folders(dataset, partition_of(LABELS), folder / "out", transfer=transfer)
            except Killed:
                assert n == n_changes
        ends.append({path: data for path, (data, _) in tree(folder / "out").items()})
    assert all(end == ends[-1] for end in ends)
    sheets = {f"contact_sheets/{folder}.jpg" for folder in ("cluster_0", "cluster_1", "outliers")}
    assert sheets | {"folders.csv", *PLACES} == ends[-1].keys()


_CHILD = """
import sys
import numpy as np, pandas as pd
from veriwild_clustering import Dataset, Descriptor, ImageStore, Partition, write_folders
n = 3000
dataset = Dataset(pd.DataFrame({"path": [f"{i}.jpg" for i in range(n)]}), image_store=ImageStore(sys.argv[1]))
partition = Partition([i % 7 - 1 for i in range(n)], Descriptor("toy", np.zeros((n, 1))), "by hand")
print("ready", flush=True)
write_folders(dataset, partition, sys.argv[2], transfer="move", contact_sheets=False)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_real_kill_is_survived_and_undone(tmp_path: Path) -> None:
    images, out = tmp_path / "in", tmp_path / "out"
    make_files(images, {f"{i}.jpg": str(i).encode() for i in range(3000)})
    before, command = tree(images), [sys.executable, "-c", _CHILD, str(images), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        while not (out / "cluster_0").exists() or not any((out / "cluster_0").iterdir()):
            assert child.poll() is None
            time.sleep(0.001)
        child.kill()
    n_moved = sum(1 for _ in out.glob("*/*.jpg"))
    assert 0 < n_moved <= 3000
    assert subprocess.run(command, check=False).returncode == 0
    assert tree(images) == {}
    assert sum(1 for _ in out.glob("*/*.jpg")) == 3000
    undo_folders(out, source=images)
    assert tree(images) == before
    assert not out.exists()


@pytest.mark.parametrize("transfer", ["copy", "move"])
def test_full_disk_is_one_clear_error_and_the_run_goes_on_later(
    transfer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from veriwild_clustering.reporting.folders import files

    dataset = make_files(tmp_path / "in", FILES)
    before, write, calls = tree(tmp_path / "in"), files._write, []

    def full(stream: Any, chunk: bytes) -> None:
        calls.append(chunk)
        if len(calls) > 1:
            write(stream, chunk[:1])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(stream, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_write", full)
        if transfer == "move":
            patch.setattr(Path, "rename", _cross_device)
        with pytest.raises(DatasetError, match="No space left on device"):
            write_folders(dataset, partition_of(LABELS), tmp_path / "out", transfer=transfer)
    held = {data for data, _ in (*tree(tmp_path / "in").values(), *tree(tmp_path / "out").values())}
    assert set(FILES.values()) <= held
    write_folders(dataset, partition_of(LABELS), tmp_path / "out", transfer=transfer)
    assert set(PLACES) <= tree(tmp_path / "out").keys()
    undo_folders(tmp_path / "out", source=tmp_path / "in")
    assert tree(tmp_path / "in") == before


def test_journal_is_on_the_disk_before_an_image_leaves_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_files(tmp_path / "in", {f"{i}.jpg": str(i).encode() for i in range(3)})
    journal = tmp_path / "out/.veriwild_folders/journal.jsonl"
    fsync, rename = os.fsync, Path.rename
    on_disk: dict[int, bytes] = {}
    gone = []

    def synced(handle: int) -> None:
        fsync(handle)
        on_disk[os.fstat(handle).st_ino] = journal.read_bytes() if journal.exists() else b""

    def renamed(self: Path, target: Path) -> Path:
        if self.parent == tmp_path / "in":
            assert hashlib.sha256(self.read_bytes()).hexdigest().encode() in on_disk[journal.stat().st_ino]
            assert journal.parent.stat().st_ino in on_disk
            gone.append(self.name)
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    write_folders(dataset, partition_of([0, 0, 0]), tmp_path / "out", transfer="move", contact_sheets=False)
    assert gone == ["0.jpg", "1.jpg", "2.jpg"]


def test_file_that_comes_at_the_last_moment_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, out = tmp_path / "in", tmp_path / "out"
    dataset = make_files(images, {"a.jpg": b"one"})
    rename, mkdir = Path.rename, Path.mkdir

    def renamed(self: Path, target: Path) -> Path:
        if self == images / "a.jpg":
            (out / "cluster_0/a.jpg").write_bytes(b"foreign")
        return rename(self, target)

    def made(self: Path, *arguments: Any, **options: Any) -> None:
        mkdir(self, *arguments, **options)
        if self == images:
            (images / "a.jpg").write_bytes(b"foreign")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", renamed)
        with pytest.raises(DatasetError, match=r"cluster_0/a\.jpg is in the way"):
            attempt_move(dataset, out)
    assert (out / "cluster_0/a.jpg").read_bytes() == b"foreign"
    (out / "cluster_0/a.jpg").unlink()
    attempt_move(dataset, out)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", made)
        with pytest.raises(DatasetError, match=r"in/a\.jpg is in the way"):
            undo_folders(out, source=images)
    assert (images / "a.jpg").read_bytes() == b"foreign"
    assert (out / "cluster_0/a.jpg").read_bytes() == b"one"


def attempt_move(dataset: Dataset, out: Path) -> None:
    write_folders(dataset, partition_of([0]), out, transfer="move", contact_sheets=False)


def _cross_device(self: Path, target: Path) -> Path:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def test_move_to_another_file_system_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: Callable[[int], Any]
) -> None:
    link = os.link

    def linked(source: Any, target: Any, **options: Any) -> None:
        if ("/in/" in str(source)) != ("/in/" in str(target)):
            _cross_device(Path(source), Path(target))
        link(source, target, **options)

    monkeypatch.setattr(os, "link", linked)
    monkeypatch.setattr(Path, "rename", _cross_device)
    for n_changes in range(4, 44, 3):
        folder = tmp_path / str(n_changes)
        dataset = make_files(folder / "in", FILES)
        before = tree(folder / "in")
        for step in ("run", "undo"):
            try:
                with killed_after(n_changes):
                    attempt(step, dataset, folder / "out", "move")
            except Killed:
                pass
            held = {data for data, _ in (*tree(folder / "in").values(), *tree(folder / "out").values())}
            assert set(FILES.values()) <= held
        attempt("undo", dataset, folder / "out", "move")
        assert tree(folder / "in") == before
        assert tree(folder / "out") == {}


def test_copy_that_came_out_wrong_costs_no_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from veriwild_clustering.reporting.folders import files

    dataset = make_files(tmp_path / "in", FILES)
    before = tree(tmp_path / "in")
    monkeypatch.setattr(Path, "rename", _cross_device)
    monkeypatch.setattr(files, "_write", lambda stream, chunk: stream.write(b"?" * len(chunk)))
    with pytest.raises(DatasetError, match="is not what was read before"):
        write_folders(dataset, partition_of(LABELS), tmp_path / "out", transfer="move")
    assert tree(tmp_path / "in") == before


def test_two_moves_out_of_one_folder_share_its_images(tmp_path: Path) -> None:
    names = {f"{i}.jpg": str(i).encode() for i in range(400)}
    dataset, partition = make_files(tmp_path / "in", names), partition_of([0] * 400)

    def move(out: str) -> None:
        write_folders(dataset, partition, tmp_path / out, transfer="move", contact_sheets=False)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(move, ["one", "other"]))
    moved = [path.name for out in ("one", "other") for path in (tmp_path / out / "cluster_0").iterdir()]
    assert sorted(moved) == sorted(names)
    assert tree(tmp_path / "in") == {}


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    from filelock import FileLock

    dataset = make_files(tmp_path / "in", FILES)
    (tmp_path / "out/.veriwild_folders").mkdir(parents=True)
    lock = FileLock(tmp_path / "out/.veriwild_folders/.lock")
    with lock, pytest.raises(DatasetError, match="Another run is writing"):
        write_folders(dataset, partition_of(LABELS), tmp_path / "out")
    write_folders(dataset, partition_of(LABELS), tmp_path / "out", contact_sheets=False)
    assert set(PLACES) <= tree(tmp_path / "out").keys()
