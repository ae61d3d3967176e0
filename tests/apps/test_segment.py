"""`veriwild segment`: label maps and overlays of every kind of file, and a line for what cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veriwild_clustering import segment
from veriwild_clustering.apps.cli import main


def test_every_kind_of_image_is_segmented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    gradient = Image.linear_gradient("L").resize((60, 40))
    gradient.convert("CMYK").save(images / "cmyk.jpg")
    gradient.convert("RGBA").save(images / "alpha.png")
    Image.fromarray(np.asarray(gradient).astype(np.uint16) * 257).save(images / "deep.png")
    gradient.save(images / "moving.gif", save_all=True, append_images=[gradient.rotate(180)])
    Image.new("RGB", (1, 1)).save(images / "one.png")
    (images / "broken.png").write_bytes(b"no image")
    assert main(["segment", str(images), str(out), "--method", "graph", "--set", "min_size=20"]) == 0
    shown = capsys.readouterr().out
    assert "5 of 6 images" in shown
    assert "cannot be read: broken.png" in shown
    assert len(list(out.glob("*.labels.png"))) == len(list(out.glob("*.overlay.jpg"))) == 5
    expected = segment(np.asarray(gradient.convert("RGB")), "graph", min_size=20)
    with Image.open(out / "alpha.png.labels.png") as stored:
        np.testing.assert_array_equal(np.asarray(stored), expected)


def test_a_huge_image_is_segmented_at_a_smaller_size(tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((3_000, 2_000)).save(tmp_path / "huge.jpg")
    options = ["--method", "watershed", "--set", "n_segments=24", "--set", "compactness=0", "--no-overlays"]
    assert main(["segment", str(tmp_path), str(tmp_path / "out"), *options]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["huge.jpg.labels.png"]
    with Image.open(tmp_path / "out" / "huge.jpg.labels.png") as stored:
        labels = np.asarray(stored)
    assert labels.shape == (1_000, 1_500)  # at most four million pixels
    assert labels.min() == 1


def test_wrong_parameters_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    assert main(["segment", str(tmp_path), str(tmp_path / "out"), "--set", "colour=3"]) == 2
    assert "Unknown parameter of method 'slic'" in capsys.readouterr().err
