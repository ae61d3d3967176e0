"""BRISQUE equals image-quality's own value, whatever the image; where there is none, the answer is defined."""

from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import gennorm

from benchmarks.brisque import image_quality_scores
from veriwild_clustering.images.quality import brisque as module
from veriwild_clustering.images.quality.brisque import brisque
from veriwild_clustering.images.quality.scene_statistics import scene_features, scene_moments

pytest.importorskip("imquality", reason="the package image-quality, which carries the model, is not installed")

Pixels = NDArray[np.uint8]


def texture(height: int, width: int, *, seed: int = 0) -> Pixels:
    """Smooth colour noise at two scales, as natural images have it."""
    rng = np.random.default_rng(seed)
    coarse, fine = (cv2.GaussianBlur(rng.normal(size=(height, width, 3)), (0, 0), scale) for scale in (6, 1))
    return np.clip(128 + 500 * coarse + 60 * fine, 0, 255).astype(np.uint8)


def overexposed(image: Pixels) -> Pixels:
    return np.clip(image.astype(int) + 110, 0, 255).astype(np.uint8)


def with_even_part(image: Pixels, color: tuple[int, int, int]) -> Pixels:
    changed = image.copy()
    changed[: len(image) // 2] = color
    return changed


IMAGES = {
    "even sizes": texture(64, 48),
    "odd sizes": texture(61, 47),
    "one odd size": texture(50, 37),
    "smallest": texture(16, 16),
    "narrow and large": texture(16, 1_003),
    "grey": np.dstack([texture(60, 60)[:, :, 0]] * 3),
    "blurred": cv2.GaussianBlur(texture(64, 64), (0, 0), 3),
    "dark": texture(60, 60) // 12,
    "overexposed": overexposed(texture(64, 60)),
    "half black": with_even_part(texture(60, 61), (0, 0, 0)),
    "half white": with_even_part(texture(60, 61), (255, 255, 255)),
    "half of one colour": with_even_part(texture(60, 61), (37, 101, 210)),
    "noise": np.random.default_rng(0).integers(0, 256, size=(50, 40, 3), dtype=np.uint8),
    "ramp": np.dstack([np.tile(np.arange(60, dtype=np.uint8), (50, 1))] * 3),
}


@pytest.mark.parametrize("name", IMAGES)
def test_equals_image_quality(name: str) -> None:
    expected = image_quality_scores([IMAGES[name]])
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(brisque([IMAGES[name]]), expected, atol=1e-3)


@pytest.mark.real
def test_equals_image_quality_on_real_images(real_raw_data: Path) -> None:
    files = sorted(real_raw_data.rglob("*.jpg"))[::40]
    images = [np.asarray(Image.open(file).convert("RGB"))[: -1 - place % 2] for place, file in enumerate(files)]
    np.testing.assert_allclose(brisque(images), image_quality_scores(images), atol=1e-3)


def test_batch_gives_what_single_images_give() -> None:
    images = list(IMAGES.values())
    np.testing.assert_allclose(brisque(images), np.concatenate([brisque([image]) for image in images]), rtol=1e-9)


def test_small_and_even_images_have_no_value() -> None:
    images = [texture(15, 40), texture(40, 15), np.full((40, 40, 3), (200, 30, 90), np.uint8), texture(40, 40)]
    assert np.isnan(brisque(images)).tolist() == [True, True, True, False]
    assert brisque([]).shape == (0,)


def test_distortion_raises_the_score() -> None:
    natural = texture(128, 128)
    noisy = np.clip(natural + np.random.default_rng(0).normal(0, 40, natural.shape), 0, 255).astype(np.uint8)
    scores = brisque([natural, noisy, cv2.GaussianBlur(natural, (0, 0), 4)])
    assert scores[0] < min(scores[1:])


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 6.0])
def test_fit_finds_the_shape_of_generalised_gaussians(shape: float) -> None:
    values = gennorm.ppf((np.arange(100_000) + 0.5) / 100_000, shape)
    negative = values[values < 0]
    sums = [values.size, np.abs(values).sum(), (values**2).sum(), (negative**2).sum(), negative.size]
    features = scene_features(np.tile(sums, (1, 10, 1)))[0]
    shapes = features[[0, 2, 6, 10, 14, 18, 20, 24, 28, 32]]
    assert shapes == pytest.approx(np.full(10, shape), rel=0.01)
    assert features[[1, 4, 5]] == pytest.approx(np.full(3, values.var()), rel=1e-6)
    assert features[3] == pytest.approx(0, abs=1e-6)


def test_flat_topped_field_ends_the_range_of_shapes() -> None:
    moments = scene_moments(texture(32, 32))
    moments[0] = [100, 100, 100, 50, 50]  # all values 1 or -1: more even than any generalised Gaussian
    assert scene_features(moments[None])[0, 0] == 10


def test_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    module._model.cache_clear()
    try:
        with pytest.raises(ModuleNotFoundError, match="pip install image-quality"):
            brisque([texture(32, 32)])
    finally:
        module._model.cache_clear()


def test_ranges_that_import_something_are_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match="plain lists are expected"):
        module._ListsOnly(BytesIO(pickle.dumps({"min_": Path("a")}))).load()
