"""A run killed at any step leaves the old dataset or the new one, and the next run completes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from veriwild_clustering import Dataset, DatasetError, join_dataset, locate_raw_data
from veriwild_clustering.core.storage.atomic import write_atomically

# Runs the command and kills its own process, as nobody can catch, at the n-th call of one method of Path.
KILLED_RUN = """
import os, signal, sys
from pathlib import Path
from veriwild_clustering.apps.cli import main

method, calls = sys.argv[1], int(sys.argv[2])
original = getattr(Path, method)

def counted(self, *arguments, **options):
    global calls
    calls -= 1
    if calls < 0 and ".partial" in str(self):
        os.kill(os.getpid(), signal.SIGKILL)
    calls += ".partial" not in str(self)
    return original(self, *arguments, **options)

setattr(Path, method, counted)
main(["create-dataset", "--no-images", "--quiet", *sys.argv[3:]])
"""


def run_killed(raw: Path, output: Path, *, method: str, calls: int) -> int:
    command = [sys.executable, "-c", KILLED_RUN, method, str(calls), "--raw-data", str(raw), "--output", str(output)]
    return subprocess.run(command, check=False, capture_output=True).returncode


def total(dataset: Dataset) -> float:
    return sum(float(descriptor.vectors.sum()) for descriptor in dataset)


# `open` writes the files, a .npy each, `write_text` the manifest, `replace` moves each of seven into place.
@pytest.mark.parametrize(
    ("method", "calls", "leaves_new"),
    [("open", 1, False), ("write_text", 0, False)]
    + [("replace", calls, True) for calls in (0, 4, 5, 6)]
    + [("rmdir", 0, True)],
)
def test_killed_run_leaves_old_or_new(
    method: str, calls: int, *, leaves_new: bool, build_raw: Callable[..., Path], tmp_path: Path
) -> None:
    folder, output = build_raw(""), tmp_path / "transport_dataset.csv"
    old = total(join_dataset(locate_raw_data(folder), output))
    for file in (folder / "descriptors").iterdir():
        matrix = np.load(file, allow_pickle=True) + np.float32(1)
        file.write_bytes(matrix.dumps())
    assert run_killed(folder, output, method=method, calls=calls) == -signal.SIGKILL
    found = total(Dataset.open(output))
    again = total(join_dataset(locate_raw_data(folder), output))
    assert again == pytest.approx(old + 36 * 19)
    assert found == pytest.approx(again if leaves_new else old)
    assert not list(output.with_suffix("").glob(".*"))


@pytest.mark.parametrize(("method", "calls"), [("open", 3)])
def test_first_run_killed_leaves_no_dataset(
    method: str, calls: int, build_raw: Callable[..., Path], tmp_path: Path
) -> None:
    folder, output = build_raw(""), tmp_path / "transport_dataset.csv"
    assert run_killed(folder, output, method=method, calls=calls) == -signal.SIGKILL
    with pytest.raises(DatasetError, match=r"transport_dataset\.csv does not exist. Make it with"):
        Dataset.open(output)
    assert len(join_dataset(locate_raw_data(folder), output)) == 36
    assert not list(output.with_suffix("").glob(".*"))


def test_first_run_killed_between_moves_is_finished_by_opening(build_raw: Callable[..., Path], tmp_path: Path) -> None:
    folder, output = build_raw(""), tmp_path / "transport_dataset.csv"
    assert run_killed(folder, output, method="replace", calls=2) == -signal.SIGKILL
    assert not output.exists()
    assert len(Dataset.open(output)) == 36


def test_failing_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    target.write_text("old")

    def fail() -> None:
        with write_atomically(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ["note.txt"]
    assert target.read_text() == "old"


def test_written_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    with write_atomically(tmp_path / "note.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "note.txt").stat().st_mode == (tmp_path / "usual").stat().st_mode
