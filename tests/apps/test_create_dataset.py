"""The command `create_dataset.py`: exit codes, messages in one line, the summary."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Dataset
from veriwild_clustering.apps.cli import main
from veriwild_clustering.images import measurement
from veriwild_clustering.images.inspection import inspect_image

ROOT = Path(__file__).resolve().parents[2]

# Runs the command in chunks of 16 images and kills its own process, as nobody can catch, at the 41st image.
KILLED_RUN = """
import os, signal, sys
from veriwild_clustering.apps.cli import main
from veriwild_clustering.images import measurement

original, left = measurement.inspect_image, 40

def counted(*arguments, **options):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **options)

measurement.inspect_image, measurement._CHUNK = counted, 16
main(["create-dataset", *sys.argv[1:]])
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a drawn sample of sixty images, joined by the script itself."""
    folder = tmp_path_factory.mktemp("sample")
    command = [sys.executable, ROOT / "create_dataset.py", "--sample", "60", "--jobs", "1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    (folder / "stdout").write_text(done.stdout)
    return folder


def test_sample_is_drawn_joined_and_called_what_it_is(sample: Path) -> None:
    shown = (sample / "stdout").read_text()
    assert "drawn images and simulated vectors, not VeRi-Wild" in shown
    assert "osnet: 512 features, 60 usable rows" in shown
    assert "table: transport_dataset.csv" in shown
    dataset = Dataset.open(sample / "transport_dataset.csv")
    assert len(dataset) == 60
    assert "drawn" in dataset.origin.lower()
    assert dataset.images["image_status"].eq("ok").all()
    assert dataset.images[["brightness", "light", "phash"]].notna().all(axis=None)
    assert not list(sample.glob(".*"))


def create(sample: Path, *options: str, raw_data: str | None = None) -> int:
    raw = raw_data or str(sample / "raw_data")
    return main(["create-dataset", "--raw-data", raw, "--output", str(sample / "again.csv"), "--jobs", "1", *options])


def test_own_vectors_inline_without_images(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(sample / "mine.npy", np.arange(120.0).reshape(60, 2))
    assert create(sample, "--descriptor", f"mine={sample / 'mine.npy'}", "--inline-vectors", "--no-images") == 0
    assert "mine: 2 features, 60 usable rows" in capsys.readouterr().out
    dataset = Dataset.open(sample / "again.csv")
    np.testing.assert_array_equal(dataset["mine"].vectors, np.arange(120.0).reshape(60, 2))
    assert dataset.images["width"].isna().all()


def test_sizes_and_checks_alone_without_measures(sample: Path) -> None:
    assert create(sample, "--no-measures") == 0
    images = Dataset.open(sample / "again.csv").images
    assert images["width"].notna().all()
    assert images["image_status"].eq("ok").all()
    assert not {"brightness", "light", "phash"} & set(images)


def test_killed_run_goes_on_where_it_stopped(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, unfinished = sample / "killed.csv", sample / ".killed.unfinished"
    options = ["--raw-data", str(sample / "raw_data"), "--output", str(output), "--jobs", "1", "--quiet"]
    killed = subprocess.run([sys.executable, "-c", KILLED_RUN, *options], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not output.exists()
    assert len(list(unfinished.glob("*.parquet"))) == 2
    read = []
    monkeypatch.setattr(measurement, "_CHUNK", 16)
    monkeypatch.setattr(measurement, "inspect_image", lambda *a, **o: read.append(a[1]) or inspect_image(*a, **o))
    assert main(["create-dataset", *options]) == 0
    assert not unfinished.exists()
    images = Dataset.open(output).images
    assert read == images["path"].tolist()[32:]
    pd.testing.assert_frame_equal(images, Dataset.open(sample / "transport_dataset.csv").images)


def test_quiet_says_nothing(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(sample, "--quiet", "--no-images") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--descriptor", "mine"], "--descriptor takes NAME=FILE. Got 'mine' instead."),
        (["--descriptor", "a=b", "--descriptor", "a=c"], "--descriptor names 'a' twice"),
        (["--descriptor", "osnet=create_dataset.py"], "Two files claim the descriptor 'osnet'"),
        (["--descriptor", "mine=lost.npy"], "lost.npy of the descriptor 'mine' does not exist"),
        (["--jobs", "0"], "`--jobs` must be an int in [1, inf). Got 0 instead."),
        (["--sample"], "already holds images_paths.csv"),
        (["--sample", "1"], "must be an int in [50, inf). Got 1 instead."),
        (["--output", ""], "The output must be a name that ends in .csv"),
        (["--output", "/dev/null/transport_dataset.csv"], "Cannot write /dev/null/transport_dataset.csv"),
    ],
)
def test_bad_input_is_one_line_and_exits_with_2(
    options: list[str], message: str, sample: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert create(sample, *options) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("veriwild create-dataset: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert not shown.out


def test_missing_raw_data_names_the_remedy(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(sample, raw_data="lost") == 2
    assert "--sample" in capsys.readouterr().err


def test_missing_package_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "pandas.py").write_text("raise ModuleNotFoundError('gone', name='pandas')")
    done = subprocess.run(
        [sys.executable, ROOT / "create_dataset.py"], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "The Python package 'pandas' is missing. Install all with: pip install -r requirements.txt\n"
