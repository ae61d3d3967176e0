"""Training at the edges: few images, no room, what is damaged or strange: clear errors, and nothing is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veriwild_clustering import DatasetError, fit_autoencoder
from veriwild_clustering.descriptors.training.checkpoints import CHECKPOINT

torch = pytest.importorskip("torch")
SMALL = {"n_features": 4, "size": 32, "epochs": 1, "batch_size": 8, "n_jobs": 1}


def draw(folder: Path, *, n_images: int = 8, black: bool = False, n_broken: int = 0) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(n_images):
        pixels = rng.integers(0, 1 if black else 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    for i in range(n_broken):
        (folder / f"broken{i}.png").write_bytes(b"not an image")
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw(tmp_path / "images")


@contextmanager
def room_for(n_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a size, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(("n_images", "n_broken"), [(0, 6), (2, 0), (3, 5)])
def test_too_few_readable_images_are_counted(tmp_path: Path, n_images: int, n_broken: int) -> None:
    folder = draw(tmp_path / "images", n_images=n_images, n_broken=n_broken)
    with pytest.raises(DatasetError, match=f"at least four readable images .* Got {n_images} of {n_images + n_broken}"):
        fit_autoencoder(folder, **SMALL)


@pytest.mark.parametrize("loss", ["mse", "mae", "perceptual"])
def test_black_images_are_trained_on_without_a_division_by_zero(tmp_path: Path, loss: str) -> None:
    trained = fit_autoencoder(draw(tmp_path / "images", black=True), **SMALL, loss=loss)
    assert np.isfinite(trained.embed([np.zeros((1, 1, 3), np.uint8), np.zeros((2, 900, 3), np.uint8)])).all()
    assert np.isfinite(trained.history["validation_loss"]).all()


def test_one_group_at_least_is_trained_on(images: Path) -> None:
    trained = fit_autoencoder(images, **SMALL, groups=[0, 1] * 4, validation_fraction=0.9)
    assert trained.n_images == 8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_features": 1025}, r"`n_features` must be an int in \[1, 1025\)"),
        ({"random_state": 2**32}, r"`random_state` must be an int in \[0, 4294967296\)"),
        ({"device": "abacus"}, "`device` must be one that torch has here. Got 'abacus'"),
    ],
)
def test_what_torch_would_refuse_late_is_refused_early(images: Path, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_autoencoder(images, **SMALL | wrong)


def test_default_number_of_torch_does_not_matter(images: Path) -> None:
    expected = fit_autoencoder(images, **SMALL)
    torch.set_default_dtype(torch.float64)
    try:
        trained = fit_autoencoder(images, **SMALL)
        assert trained.embed([np.zeros((5, 5, 3), np.uint8)]).dtype == np.float32
    finally:
        torch.set_default_dtype(torch.float32)
    assert {name: value.dtype for name, value in trained.weights.items()} == {
        name: value.dtype for name, value in expected.weights.items()
    }


def test_no_room_for_the_checkpoint_leaves_the_one_before(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from veriwild_clustering.descriptors.training.epochs import Training

    folder, epoch = tmp_path / "training", Training._epoch

    def cut_short(self: Training, number: int, **options: object) -> None:
        if number == 2:
            raise KeyboardInterrupt
        epoch(self, number, **options)

    monkeypatch.setattr(Training, "_epoch", cut_short)
    with pytest.raises(KeyboardInterrupt):
        fit_autoencoder(images, **SMALL | {"epochs": 2}, folder=folder)
    monkeypatch.undo()
    before = (folder / CHECKPOINT).read_bytes()
    names = sorted(file.name for file in folder.iterdir())
    with room_for(200_000), pytest.raises(DatasetError, match=r"Cannot write .*checkpoint\.pt: .*make room"):
        fit_autoencoder(images, **SMALL | {"epochs": 2}, folder=folder)
    assert (folder / CHECKPOINT).read_bytes() == before
    assert sorted(file.name for file in folder.iterdir()) == names
    assert len(fit_autoencoder(images, **SMALL | {"epochs": 2}, folder=folder).history) == 2


def test_no_room_for_the_decoded_images_is_said(images: Path, tmp_path: Path) -> None:
    with room_for(4_000), pytest.raises(DatasetError, match=r"Cannot write .*images-.*\.npy: .*make room"):
        fit_autoencoder(images, **SMALL, folder=tmp_path / "training")
    assert not list((tmp_path / "training").iterdir())


@pytest.mark.parametrize("damaged", ["npy", "json"])
def test_damaged_decoded_images_are_decoded_anew(images: Path, tmp_path: Path, damaged: str) -> None:
    folder = tmp_path / "training"
    expected = fit_autoencoder(images, **SMALL, folder=folder)
    (folder / CHECKPOINT).unlink()
    [file] = folder.glob(f"images-*.{damaged}")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    again = fit_autoencoder(images, **SMALL, folder=folder)
    assert again.history["validation_loss"].tolist() == expected.history["validation_loss"].tolist()
    assert file.read_bytes() == whole


@pytest.mark.parametrize("part", ["settings", "network", "optimizer", "history", "everything"])
def test_checkpoint_without_its_parts_is_refused(images: Path, tmp_path: Path, part: str) -> None:
    folder = tmp_path / "training"
    fit_autoencoder(images, **SMALL, folder=folder)
    state = torch.load(folder / CHECKPOINT, weights_only=True)
    torch.save([] if part == "everything" else {**state, part: 5}, folder / CHECKPOINT)
    with pytest.raises(DatasetError, match=r"checkpoint\.pt is damaged, or is no checkpoint\. Remove it to train"):
        fit_autoencoder(images, **SMALL, folder=folder)


def test_other_images_are_refused_before_they_are_decoded(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "training"
    fit_autoencoder(images, **SMALL, folder=folder)
    names = sorted(file.name for file in folder.iterdir())
    with pytest.raises(DatasetError, match=r"belongs to another training: other images, other groups\. Remove it"):
        fit_autoencoder(draw(tmp_path / "others", n_images=9), **SMALL, folder=folder)
    assert sorted(file.name for file in folder.iterdir()) == names


def test_exported_file_tells_nothing_of_this_machine_and_is_replaced_whole(images: Path, tmp_path: Path) -> None:
    trained, file = fit_autoencoder(images, **SMALL), tmp_path / "own.onnx"
    trained.export(file)
    data = file.read_bytes()
    assert b"autoencoder.py" not in data
    assert str(tmp_path).encode() not in data
    with room_for(200_000), pytest.raises(DatasetError, match=r"Cannot write .*own\.onnx: .*make room"):
        trained.export(file)
    assert file.read_bytes() == data
    with pytest.raises(ValueError, match=r"must end in \.onnx"):
        trained.export(tmp_path / "own.pt")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["images", "own.onnx"]
