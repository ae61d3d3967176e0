"""Images into descriptors at the edges: two runs at once, lost files, errors in the middle, unusable values."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veriwild_clustering import DatasetError, Preparation, Upscaler, extract
from veriwild_clustering.core.storage.atomic import only_run
from veriwild_clustering.descriptors.extraction import results

N_IMAGES = 9
PREPARATION = Preparation(Upscaler("bicubic"))


class AnyModel:
    """A model that does what it is given: by default the mean colour; knows how many images it saw."""

    n_features = 3

    def __init__(self, name: str = "any", work: Callable[[Sequence[np.ndarray]], np.ndarray] | None = None) -> None:
        self.name, self.n_seen, self._work = name, 0, work
        self.params: dict[str, str] = {}

    def __call__(self, images: Sequence[np.ndarray]) -> np.ndarray:
        self.n_seen += len(images)
        return np.array([image.mean(axis=(0, 1)) for image in images]) if self._work is None else self._work(images)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for row in range(N_IMAGES):
        Image.new("RGB", (16, 20 + row), (20 * row, 0, 99)).save(folder / f"{row}.png")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("[!.]*")}


@pytest.mark.parametrize("lost", ["images.parquet", "extraction.json", "any.npy"])
def test_lost_file_is_made_again(images: Path, tmp_path: Path, lost: str) -> None:
    extract(images, [AnyModel()], folder=tmp_path / "out")
    whole = files(tmp_path / "out")
    (tmp_path / "out" / lost).unlink()
    extract(images, [AnyModel()], folder=tmp_path / "out")
    assert files(tmp_path / "out") == whole


def test_vectors_lost_after_a_kill_in_the_last_step_are_made_again(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(results.shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            extract(images, [AnyModel()], folder=tmp_path / "out")
    (tmp_path / "out" / "any.npy").unlink()
    made = extract(images, [AnyModel()], folder=tmp_path / "out")
    assert made.descriptors["any"].n_valid == N_IMAGES


def test_second_run_in_a_folder_is_refused(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with only_run(out, target=out), pytest.raises(DatasetError, match=r"Another run is writing .*out\. Wait"):
        extract(images, [AnyModel()], folder=out)
    assert not out.exists()
    extract(images, [AnyModel()], folder=out)
    assert {file.name for file in out.iterdir()} == {"extraction.json", "images.parquet", "any.npy"}
    with only_run(out, target=out):
        extract(images, [AnyModel()], folder=out)  # all is there


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_threads_end_with_an_error(images: Path, tmp_path: Path, error: type[BaseException]) -> None:
    def fail(_: object) -> np.ndarray:
        raise error

    model = AnyModel(work=fail)
    with pytest.raises(error) as caught:
        extract(images, [model], folder=tmp_path / "out", batch_size=4)
    assert caught.value.__traceback__ is not None  # it would keep them
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("decode")]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_no_numbers_are_flagged(images: Path, tmp_path: Path, value: float) -> None:
    def work(seen: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([[value if len(image) == 20 else 1.0, 2, 3] for image in seen])

    made = extract(images, [AnyModel(work=work)], folder=tmp_path / "out")
    assert not made.table["has_any"][0]
    assert made.descriptors["any"].n_valid == N_IMAGES - 1
    assert made.table["image_status"][0] == "ok"


def test_other_preparation_is_another_table(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    extract(images, [AnyModel("a")], folder=out, preparation=PREPARATION)
    plain = extract(images, [AnyModel("b")], folder=out)
    assert "upscaled" not in plain.table
    again = extract(images, [AnyModel("a")], folder=out, preparation=PREPARATION)
    assert again.table["upscaled"].all()
    with pytest.raises(ValueError, match="`preparation` must have `params`"):
        extract(images, [AnyModel("a")], folder=out, preparation=lambda images: images)  # type: ignore[arg-type]


def test_moved_folders_are_known_again(images: Path, tmp_path: Path) -> None:
    extract(images, [AnyModel()], folder=tmp_path / "out")
    (tmp_path / "there").mkdir()
    images, out = images.rename(tmp_path / "there/images"), (tmp_path / "out").rename(tmp_path / "there/out")
    model = AnyModel()
    extract(images, [model], folder=out)
    assert model.n_seen == 0
