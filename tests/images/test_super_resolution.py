"""Super-resolution: sizes, colours, threads, copies; what is missing is named; real weights beside bicubic."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.superres import mean_psnr, originals, shrunk
from veriwild_clustering import Upscaler
from veriwild_clustering.images.models.record import Model, ModelFile
from veriwild_clustering.images.models.weights import ModelError

NETWORKS = ("fsrcnn-x3", "espcn-x3", "sisr-1033")


def scene(height: int = 37, width: int = 50) -> np.ndarray:
    """A smooth image whose channels differ, so that swapped ones are seen."""
    y, x = np.mgrid[:height, :width]
    channels = [200 + 20 * np.sin(x / 5), 100 + 20 * np.cos(y / 4), 30 + 20 * np.sin((x + y) / 6)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def test_bicubic_is_that_of_opencv() -> None:
    expected = cv2.resize(scene(), (150, 111), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(Upscaler("bicubic")(scene()), expected)


def test_a_model_of_another_task_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'bicubic', 'edsr-x3'.* Got 'yolox-nano' instead"):
        Upscaler("yolox-nano")


def test_an_array_that_is_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(height, width, 3\)"):
        Upscaler("bicubic")(np.zeros((4, 4), np.uint8))


def local_model(file: Path, decoder: str) -> Model:
    return Model(
        "mine", "super-resolution", (ModelFile(str(file)),), license="MIT", source="", decoder=decoder, scale_factor=3
    )


def test_opencv_without_its_extra_modules_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "dnn_superres")
    (tmp_path / "net.pb").write_bytes(b"anything")
    with pytest.raises(ModelError, match=r"opencv-contrib-python-headless"):
        Upscaler(local_model(tmp_path / "net.pb", "fsrcnn"))


@pytest.mark.parametrize(("name", "decoder"), [("net.pb", "fsrcnn"), ("net.xml", "openvino-1033")])
def test_a_file_that_is_no_network_is_named(tmp_path: Path, name: str, decoder: str) -> None:
    pytest.importorskip("openvino")
    (tmp_path / name).write_bytes(b"not a network")
    with pytest.raises(ModelError, match=rf"{name} cannot be read"):
        Upscaler(local_model(tmp_path / name, decoder))


def test_a_decoder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`decoder of model 'mine'` must be one of 'edsr', .*Got 'yolox' instead"):
        Upscaler(local_model(tmp_path / "net.pb", "yolox"))


@pytest.mark.real
def test_the_decoder_of_another_network_is_refused_at_once(real_models: Path) -> None:
    with pytest.raises(ModelError, match=r"FSRCNN_x3\.pb cannot be read"):
        Upscaler(local_model(real_models / "FSRCNN_x3.pb", "edsr"))


@pytest.mark.real
def test_params_hold_the_checksums_of_the_files_on_disk(real_models: Path, tmp_path: Path) -> None:
    known = Upscaler("fsrcnn-x3", folder=real_models).params
    own = Upscaler(local_model(real_models / "FSRCNN_x3.pb", "fsrcnn"), folder=tmp_path).params
    assert own == {**known, "model": "mine"}
    assert [len(checksum) for checksum in own["sha256"]] == [64]


@pytest.mark.real
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(37, 50), (1, 1), (3, 90), (128, 16)])
def test_networks_enlarge_any_size_and_keep_the_colours(name: str, size: tuple[int, int], real_models: Path) -> None:
    image = scene(*size)
    large = Upscaler(name, folder=real_models)(image)
    assert large.shape == (3 * size[0], 3 * size[1], 3)
    assert large.dtype == np.uint8
    np.testing.assert_allclose(large.mean(axis=(0, 1)), image.mean(axis=(0, 1)), atol=15)


@pytest.mark.real
@pytest.mark.parametrize("name", NETWORKS)
def test_threads_and_copies_give_the_same_pixels(name: str, real_models: Path) -> None:
    upscale = Upscaler(name, folder=real_models)
    images = [scene(20 + n % 5, 30 + n % 7) for n in range(24)]
    alone = [upscale(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(upscale, images))
    copy = pickle.loads(pickle.dumps(upscale))  # noqa: S301
    assert copy.params == upscale.params
    for place, image in enumerate(alone):
        np.testing.assert_array_equal(together[place], image)
        np.testing.assert_array_equal(copy(images[place]), image)


@pytest.mark.real
def test_padding_changes_hardly_any_pixel(real_models: Path) -> None:
    upscale = Upscaler("sisr-1033", folder=real_models)
    whole = upscale(scene(48, 48)).astype(int)
    part = upscale(scene(48, 48)[:41, :43]).astype(int)
    inner = np.abs(whole[:105, :111] - part[:105, :111])  # the seam is two pixels of the original away
    assert inner.max() <= 16
    assert inner.mean() < 1


@pytest.mark.real
def test_default_model_beats_bicubic_on_real_images(real_raw_data: Path, real_models: Path, tmp_path: Path) -> None:
    upscale, bicubic = Upscaler(folder=real_models), Upscaler("bicubic")
    views = originals(tmp_path, 100)
    assert set(views) == {"rear", "overhead"}
    for images in views.values():
        assert len(images) == 50
        small = [shrunk(image) for image in images]
        ours, theirs = [upscale(image) for image in small], [bicubic(image) for image in small]
        for luma in (True, False):
            assert mean_psnr(images, ours, luma=luma) > mean_psnr(images, theirs, luma=luma) + 1
