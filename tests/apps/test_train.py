"""`veriwild train`: images in, an ONNX model out; interrupted and taken up again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from veriwild_clustering.apps.cli import main
from veriwild_clustering.images.models.catalog import user_model
from veriwild_clustering.images.models.networks import open_network

pytest.importorskip("torch")
FAST = ["--size", "32", "--features", "4", "--epochs", "2", "--batch-size", "8"]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(rng.integers(0, 256, (40, 36, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "broken.jpg").write_bytes(b"not an image")
    return folder


def test_folder_becomes_a_model(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "own.onnx"
    assert main(["train", "--pictures", str(images), "--output", str(output), *FAST]) == 0
    shown = capsys.readouterr().out
    assert "12 images, 1 unreadable ones left out" in shown
    assert f"model: {output}" in shown
    assert pd.read_csv(tmp_path / "own.history.csv")["epoch"].tolist() == [1, 2]
    vectors = open_network(user_model(output), provider="cpu").embed([np.zeros((50, 60, 3), np.uint8)])
    assert vectors.shape == (1, 4)
    assert np.isfinite(vectors).all()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["own.history.csv", "own.onnx", "photos"]


def test_interrupted_command_goes_on(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from veriwild_clustering.descriptors.training.epochs import Training

    command = ["train", "--pictures", str(images), "--output", str(tmp_path / "own.onnx"), "--quiet", *FAST]
    epoch, done = Training._epoch, []

    def interrupted(self: Training, number: int, **options: object) -> None:
        if number == 2 and not done.count(2):
            done.append(2)
            raise KeyboardInterrupt
        done.append(number)
        epoch(self, number, **options)

    monkeypatch.setattr(Training, "_epoch", interrupted)
    assert main(command) == 130
    assert not (tmp_path / "own.onnx").exists()
    assert main(command) == 0
    assert done == [1, 2, 2]
    assert (tmp_path / "own.onnx").is_file()
    assert capsys.readouterr().out == ""


def test_what_cannot_be_used_is_said_in_one_line(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--pictures", str(images), "--output", str(tmp_path / "own.pt")]) == 2
    assert "--output must end in .onnx" in capsys.readouterr().err
    (tmp_path / "taken.onnx").mkdir()
    assert main(["train", "--pictures", str(images), "--output", str(tmp_path / "taken.onnx")]) == 2
    assert "taken.onnx is a folder" in capsys.readouterr().err
    assert main(["train", "--pictures", str(tmp_path / "absent"), "--output", str(tmp_path / "own.onnx")]) == 2
    shown = capsys.readouterr().err
    assert "does not exist" in shown
    assert shown.count("\n") == 1
