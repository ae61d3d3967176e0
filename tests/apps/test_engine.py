"""`veriwild engine`: a folder of images to strict JSON and a page, and what becomes of input that is no good."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veriwild_clustering import Descriptor, Partition, Preparation
from veriwild_clustering.apps.cli import main
from veriwild_clustering.apps.engine import command
from veriwild_clustering.apps.engine.grouping import Grouping
from veriwild_clustering.apps.networks import options as model_options

ROOT = Path(__file__).resolve().parents[2]

PLAIN = ("--models", "hog", "--no-upscale", "--no-crop", "--quiet", "--jobs", "1")
pytestmark = pytest.mark.filterwarnings("ignore:BRISQUE is left out")


def draw(folder: Path, n_images: int, *, seed: int = 0) -> Path:
    """Draw images of three kinds: upright bars, level bars, a block in the middle."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(n_images):
        pixels = rng.integers(60, 90, (40, 56, 3))
        part = (slice(None), slice(i % 5, None, 8)), (slice(i % 4, None, 8),), (slice(8, 32), slice(14, 42))
        pixels[part[i % 3]] += 120
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{('car', 'bus', 'truck')[i % 3]}_{i:02d}.png")
    return folder


def run(folder: Path, output: Path, *options: str) -> int:
    return main(["engine", "--image_dir", str(folder), "--output", str(output), *(options or PLAIN)])


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of thirty images and two files that only claim to be images."""
    folder = tmp_path_factory.mktemp("engine")
    images = draw(folder / "data" / "images", 30)
    (images / "broken_1.jpg").write_bytes(b"no image")
    (images / "empty.png").write_bytes(b"")
    (images / "notes.txt").write_text("no image either")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["engine", "--image_dir", "./data/images", "--output", "out/r.json", "--label-from", "filename",
                     *PLAIN]) == 0  # fmt: skip
    return folder / "out" / "r.json"


def test_every_image_is_in_the_json_in_the_format_of_viewers(result) -> None:
    records = json.loads(result.read_text(), parse_constant=pytest.fail)
    assert len(records) == 32
    assert list(records[0])[:7] == ["filename", "label", "x", "y", "z", "group", "quality"]
    by_name = {record["filename"]: record for record in records}
    assert by_name["data/images/bus_01.png"]["label"] == "bus"
    assert by_name["data/images/empty.png"]["label"] == "unknown"
    for name, status in (("broken_1.jpg", "unreadable"), ("empty.png", "empty")):
        bad = by_name[f"data/images/{name}"]
        assert (bad["group"], bad["x"], bad["quality"], bad["status"]) == (-1, None, "low", status)
        assert bad["quality_reason"] == f"image file {status}"
    good = [record for record in records if record["status"] == "ok"]
    assert len(good) == 30
    assert all(isinstance(record[axis], float) for record in good for axis in "xyz")
    assert {record["quality"] for record in good} <= {"high", "low"}
    assert {record["group_quality"] for record in good if record["group"] >= 0} <= {"high", "low"}


def test_the_page_lies_beside_it(result) -> None:
    page = result.with_suffix(".html").read_text()
    assert "32 images" in page
    assert "2 without a place" in page
    assert page.count("data:image/jpeg;base64,") == 30


def test_the_same_images_give_the_same_bytes_anew_and_from_kept_vectors(result, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(result.parents[1])
    options = ("--label-from", "filename", "--no-viewer", *PLAIN)
    for vectors in (result.with_name("r_vectors"), tmp_path / "fresh"):
        output = tmp_path / f"{vectors.name}.json"
        assert run(Path("data/images"), output, *options, "--vectors", str(vectors)) == 0
        assert output.read_bytes() == result.read_bytes()
        assert not output.with_suffix(".html").exists()


@pytest.mark.parametrize("n_images", [1, 4])
def test_too_few_images_exit_with_3_and_a_result(n_images, tmp_path, capsys) -> None:
    options = ("--models", "hog", "--no-upscale", "--no-crop", "--jobs", "1")
    assert run(draw(tmp_path / "few", n_images), tmp_path / "r.json", *options) == 3
    records = json.loads((tmp_path / "r.json").read_text())
    assert [record["group"] for record in records] == [-1] * n_images
    assert all(record["x"] is not None for record in records)
    assert "too few to tell groups" in capsys.readouterr().out


def test_broken_images_alone_exit_with_3_and_a_result(tmp_path) -> None:
    for i in range(6):
        (tmp_path / f"{i}.jpg").write_bytes(b"no image")
    assert run(tmp_path, tmp_path / "out" / "r.json") == 3
    records = json.loads((tmp_path / "out" / "r.json").read_text())
    assert {record["status"] for record in records} == {"unreadable"}


@pytest.mark.parametrize("color", [None, "grey"])
def test_copies_of_one_image_are_one_group(color, tmp_path) -> None:
    """Those of an even image have vectors of zeros."""
    image = draw(tmp_path / "one", 1) / "car_00.png"
    if color:
        Image.new("RGB", (30, 20), color).save(image)
    for i in range(12):
        (tmp_path / "copies").mkdir(exist_ok=True)
        (tmp_path / "copies" / f"{i}.png").write_bytes(image.read_bytes())
    assert run(tmp_path / "copies", tmp_path / "r.json") == 0
    records = json.loads((tmp_path / "r.json").read_text())
    assert {(record["group"], record["group_quality"]) for record in records} == {(0, "high")}


@pytest.mark.parametrize("files", [[], ["a.txt", "b.csv"]])
def test_a_folder_without_images_is_refused(files, tmp_path, capsys) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in files:
        (folder / name).write_text("text")
    assert run(folder, tmp_path / "r.json") == 2
    assert "holds no image" in capsys.readouterr().err
    assert not (tmp_path / "r.json").exists()


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys) -> None:
    images = draw(tmp_path / "images", 5)
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "images", tmp_path / "file" / "r.json"):
        assert run(images, output) == 2
        assert "Cannot write" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"images", "file"}


def test_a_model_that_was_asked_for_must_be_there(tmp_path, capsys, monkeypatch) -> None:
    images = draw(tmp_path / "images", 5)
    monkeypatch.setattr("veriwild_clustering.images.models.weights.model_files", _no_weights)
    monkeypatch.setattr("veriwild_clustering.images.preparation.super_resolution.model_files", _no_weights)
    asked = ("--models", "hog", "--no-crop", "--upscale", "fsrcnn-x3")
    assert run(images, tmp_path / "r.json", *asked, "--quiet") == 2
    assert "no weights here" in capsys.readouterr().err


def test_a_default_that_cannot_be_had_is_left_out_with_a_warning(tmp_path, caplog, monkeypatch) -> None:
    images = draw(tmp_path / "images", 4)
    monkeypatch.setattr("veriwild_clustering.images.models.weights.model_files", _no_weights)
    monkeypatch.setattr("veriwild_clustering.images.preparation.super_resolution.model_files", _no_weights)
    monkeypatch.setattr("veriwild_clustering.apps.networks.options._log", logging.getLogger("engine"))  # never disabled
    assert run(images, tmp_path / "r.json", "--no-crop", "--quiet", "--no-viewer") == 3
    said = [record.getMessage() for record in caplog.records if "no weights here" in record.getMessage()]
    assert len(said) == 2
    assert "described by 'hog'" in said[0]
    assert "small images stay small" in said[1]
    assert not any(record["upscaled"] for record in json.loads((tmp_path / "r.json").read_text()))


def test_group_quality_is_high_where_images_of_a_group_are_alike(tmp_path) -> None:
    rng = np.random.default_rng(0)
    centers = np.eye(40)[[0] * 20 + [1] * 20] * 4
    spread = np.repeat([0.2, 4], 20)[:, None]
    space = Descriptor("toy", 10 * (centers + rng.normal(size=(40, 40)) * spread).astype(np.float32))
    grouping = Grouping(Partition(np.repeat([0, 1], 20), space, "by hand"), space, [])
    for offset in (0, 300):  # far from the origin all directions are alike
        shifted = Descriptor("shifted", space.vectors + np.float32(offset))
        assert list(command._group_quality(shifted, grouping)) == ["high"] * 20 + ["low"] * 20


# Kills its own process, as nobody can catch, when half of the vectors are made.
KILLED_RUN = """
import os, signal, sys
from veriwild_clustering.apps.networks import options as model_options
from veriwild_clustering.apps.cli import main
from veriwild_clustering.descriptors.extraction import journal

original = journal.Journal.write
def write(self, rows, *rest):
    if rows.start >= 64:
        os.kill(os.getpid(), signal.SIGKILL)
    original(self, rows, *rest)
journal.Journal.write = write
journal._SECONDS = 0
main(sys.argv[1:])
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path) -> None:
    images = draw(tmp_path / "images", 30)
    for i in range(50):  # more than a batch of images; what cannot be read costs nothing
        (images / f"a_{i}.jpg").write_bytes(b"no image")
    plain = ("--models", "dhash", *PLAIN[2:], "--no-viewer")
    command = ["engine", "--image_dir", str(images), "--output", str(tmp_path / "r.json"), *plain]
    killed = subprocess.run([sys.executable, "-c", KILLED_RUN, *command], cwd=ROOT, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "r.json").exists()
    kept = [path for path in (tmp_path / "r_vectors").rglob("*") if path.is_file()]
    assert kept
    assert run(images, tmp_path / "r.json", *plain) == 0
    assert run(images, tmp_path / "whole.json", *plain) == 0
    assert (tmp_path / "r.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    vectors = [(tmp_path / f"{name}_vectors" / "dhash.npy").read_bytes() for name in ("r", "whole")]
    assert vectors[0] == vectors[1]


def test_the_viewer_never_takes_the_place_of_the_result(tmp_path, capsys) -> None:
    images = draw(tmp_path / "images", 5)
    assert run(images, tmp_path / "r.html") == 2
    assert "--output names the JSON" in capsys.readouterr().err
    (tmp_path / "s.html").mkdir()
    assert run(images, tmp_path / "s.json") == 2
    assert "it is a folder" in capsys.readouterr().err
    assert run(images, tmp_path / "bare") in (0, 3)
    assert json.loads((tmp_path / "bare").read_text())


@pytest.mark.parametrize(
    "option",
    [("--jobs", "0"), ("--image_dir", ""), ("--random-state", "-1"), ("--groups", "1"), ("--models", "nonsense")],
)
def test_arguments_that_make_no_sense_are_refused_before_the_work(option, tmp_path, capsys) -> None:
    assert run(draw(tmp_path / "images", 5), tmp_path / "r.json", *PLAIN, *option) == 2
    assert (option[1] or "--image_dir is empty") in capsys.readouterr().err
    assert not (tmp_path / "r.json").exists()


def test_names_with_spaces_letters_of_all_kinds_and_markup_survive(tmp_path) -> None:
    images = draw(tmp_path / "a folder", 9)
    names = ["два слова.png", "車_1.PNG", "<img src=x onerror=alert(1)>.png", "a'b\"c&amp;.png", "100%.png"]
    for file, name in zip(sorted(images.iterdir()), names, strict=False):
        file.rename(images / name)
    assert run(images, tmp_path / "r.json") == 0
    records = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert {Path(record["filename"]).name for record in records} >= set(names)
    assert "<img src=x" not in (tmp_path / "r.html").read_text(encoding="utf-8")


def _no_weights(*_args: object, **_options: object) -> list[Path]:
    from veriwild_clustering.images.models.weights import ModelError

    raise ModelError("no weights here.")


def test_masks_are_chosen_as_the_other_steps_and_never_unasked(monkeypatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(model_options, "Masker", lambda name, **_: asked.append(name) or len)
    parser = argparse.ArgumentParser()
    model_options.add_model_options(parser)
    model_options.add_preparation_options(parser, by_default=True)
    without = ["--no-upscale", "--no-crop"]
    for options in ([], ["--no-mask"]):
        assert model_options.preparation_from(parser.parse_args([*without, *options])) is None
    for options in (["--mask"], ["--mask", "grabcut"]):
        arguments = parser.parse_args([*without, *options])
        assert model_options.preparation_from(arguments) == Preparation(masker=len)
    assert asked == ["deeplab-v3", "grabcut"]


def test_a_licence_is_accepted_for_the_models_of_preparation_too(tmp_path, monkeypatch) -> None:
    accepted: list[tuple[str, Path | None]] = []
    monkeypatch.setattr(model_options, "accept_license", lambda name, *, folder: accepted.append((name, folder)))
    monkeypatch.setattr(model_options, "Detector", lambda _name, **_: len)
    parser = argparse.ArgumentParser()
    model_options.add_model_options(parser)
    model_options.add_preparation_options(parser, by_default=False)
    arguments = parser.parse_args(["--crop", "yolov10s", "--accept-license"])
    assert model_options.preparation_from(arguments, folder=tmp_path) == Preparation(None, len)
    assert accepted == [("yolov10s", tmp_path)]
    assert model_options.preparation_from(parser.parse_args(["--mask", "grabcut", "--accept-license"])) is not None
    assert accepted == [("yolov10s", tmp_path)]
    assert model_options.preparation_from(parser.parse_args([])) is None
