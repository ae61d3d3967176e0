"""The command `create_dataset.py`: exit codes, messages in one line, the summary."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from veriwild_clustering import Dataset
from veriwild_clustering.apps.cli import main

ROOT = Path(__file__).resolve().parents[2]


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
