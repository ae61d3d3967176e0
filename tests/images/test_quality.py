"""Quality measures tell damages apart, one each, and say nothing where there is nothing to say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from veriwild_clustering import quality_measures
from veriwild_clustering.images.quality import measures
from veriwild_clustering.images.quality.measures import QUALITY

Pixels = NDArray[np.uint8]
COLUMNS = [
    *("brisque", "sharpness", "brightness", "dark_share", "glare_share", "contrast", "noise", "blockiness", "entropy")
]


def scene(width: int = 120, height: int = 96) -> Pixels:
    """Rectangles of many colours on grey, drawn four times as large and averaged down: edges of one pixel."""
    rng = np.random.default_rng(0)
    canvas = np.full((4 * height, 4 * width, 3), 120, np.uint8)
    for _ in range(40):
        corner = rng.integers(0, [4 * width, 4 * height])
        color = tuple(int(level) for level in rng.integers(20, 230, size=3))
        cv2.rectangle(canvas, corner.tolist(), (corner + rng.integers(20, 160, size=2)).tolist(), color, -1)
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)


def blurred(image: Pixels, radius: float) -> Pixels:
    return cv2.GaussianBlur(image, (0, 0), radius)


def noisy(image: Pixels, sigma: float) -> Pixels:
    grain = np.random.default_rng(0).normal(0, sigma, image.shape[:2])
    return np.clip(image + grain[:, :, None], 0, 255).round().astype(np.uint8)


def compressed(image: Pixels, quality: int) -> Pixels:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def measured(*images: Pixels) -> pd.DataFrame:
    return quality_measures(images)


def test_columns_are_those_that_are_documented() -> None:
    table = measured(scene())
    assert list(table) == list(QUALITY) == COLUMNS
    assert (table.dtypes == np.float64).all()
    for name, measure in QUALITY.items():
        assert (measure.name, measure.bad in {"high", "low", "both"}) == (name, True)
        assert all((measure.unit, measure.meaning, measure.source))


def test_no_images_give_an_empty_table() -> None:
    table = measured()
    assert (list(table), len(table)) == (COLUMNS, 0)
    assert (table.dtypes == np.float64).all()


@pytest.mark.parametrize(
    ("column", "damages"),
    [
        ("sharpness", [lambda image, r=radius: blurred(image, r) for radius in (3, 2, 1, 0.5, 0.01)]),
        ("noise", [lambda image, s=sigma: noisy(image, s) for sigma in (0, 3, 6, 12, 25)]),
        ("blockiness", [lambda image, q=quality: compressed(image, q) for quality in (95, 40, 20, 10, 5)]),
        ("contrast", [lambda image, s=share: (image * s).astype(np.uint8) for share in (0.1, 0.3, 0.6, 1.0)]),
        ("entropy", [lambda image, s=share: (image * s).astype(np.uint8) for share in (0.1, 0.3, 0.6, 1.0)]),
        ("dark_share", [lambda image, s=share: (image * s).astype(np.uint8) for share in (1.0, 0.5, 0.2)]),
        ("glare_share", [lambda image, k=level: np.maximum(image, k) for level in (0, 250)]),
    ],
)
def test_measure_follows_the_strength_of_its_damage(column: str, damages: list[Callable[[Pixels], Pixels]]) -> None:
    values = measured(*(damage(scene()) for damage in damages))[column]
    assert values.is_monotonic_increasing
    assert values.is_unique


@pytest.mark.parametrize("sigma", [5, 10, 20])
def test_noise_is_measured_in_grey_levels_and_is_no_sharpness(sigma: float) -> None:
    clean, grainy, soft = (
        measured(image).iloc[0] for image in (scene(), noisy(scene(), sigma), noisy(blurred(scene(), 2), sigma))
    )
    assert grainy["noise"] == pytest.approx(sigma, rel=0.15)
    assert grainy["sharpness"] == pytest.approx(clean["sharpness"], rel=0.1)
    assert soft["sharpness"] == pytest.approx(measured(blurred(scene(), 2))["sharpness"][0], rel=0.1)


def test_sharpness_depends_neither_on_contrast_nor_on_size() -> None:
    faint = (scene() * 0.25 + 90).astype(np.uint8)
    values = measured(scene(), faint, scene(240, 192))["sharpness"]
    assert values.to_numpy() == pytest.approx(np.full(3, values[0]), rel=0.1)


def test_tones_are_what_numpy_gives() -> None:
    grey = np.random.default_rng(0).integers(0, 256, size=(37, 23), dtype=np.uint8)
    row = measured(np.dstack([grey] * 3)).iloc[0]
    shares = np.unique(grey, return_counts=True)[1] / grey.size
    expected = {
        "brightness": grey.mean() / 255,
        "contrast": grey.std() / 255,
        "dark_share": (grey < 32).mean(),
        "glare_share": (grey >= 250).mean(),
        "entropy": -(shares * np.log2(shares)).sum(),
    }
    assert row[list(expected)].to_dict() == pytest.approx(expected, rel=1e-6)


def test_share_of_all_pixels_is_one() -> None:
    rng = np.random.default_rng(0)
    for low, high, column in ((0, 32, "dark_share"), (250, 256, "glare_share")):
        images = [rng.integers(low, high, size=(7, 11, 1), dtype=np.uint8).repeat(3, axis=2) for _ in range(50)]
        assert (measured(*images)[column] == 1).all()


def test_blocks_are_told_from_edges_elsewhere() -> None:
    stairs = np.kron(np.random.default_rng(0).integers(0, 255, size=(8, 8)), np.ones((8, 8))).astype(np.uint8)
    aligned, shifted = (np.dstack([grey] * 3) for grey in (stairs, np.roll(stairs, 3, axis=(0, 1))))
    values = measured(aligned, shifted)["blockiness"]
    assert values[0] > 10
    assert values[1] == 0


@pytest.mark.parametrize("level", [0, 128, 255])
def test_even_image_is_unsharp_and_free_of_damage(level: int) -> None:
    row = measured(np.full((40, 50, 3), level, np.uint8)).iloc[0]
    assert row["brightness"] == pytest.approx(level / 255)
    assert row[["sharpness", "contrast", "noise", "blockiness", "entropy"]].abs().max() < 1e-4
    assert np.isnan(row["brisque"])


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 24), width=st.integers(1, 24), seed=st.integers(0, 9))
def test_every_size_has_an_answer(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, size=(height, width, 3), dtype=np.uint8)
    row = measured(image).iloc[0]
    small = min(height, width)
    undefined = {"brisque": small < 16, "blockiness": small < 16, "noise": small < 3}
    assert row.isna().to_dict() == dict.fromkeys(COLUMNS, False) | undefined
    assert row[["brightness", "dark_share", "glare_share", "contrast"]].between(0, 1).all()


def test_rows_do_not_depend_on_each_other() -> None:
    images = [scene(), noisy(scene(), 10), np.zeros((5, 5, 3), np.uint8), blurred(scene(), 2)]
    together = measured(*images)
    alone = pd.concat([measured(image) for image in images], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, rtol=1e-9)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((0, 9, 3), np.uint8),
        np.zeros((9, 9, 3), np.float32),
        Image.new("L", (9, 9)),
    ],
)
def test_other_arrays_are_refused(image: Pixels) -> None:
    with pytest.raises(ValueError, match=r"`images` must be arrays of shape \(height, width, 3\).* at 1 instead"):
        measured(scene(), image)


def test_images_of_pillow_and_views_are_taken() -> None:
    image = scene()[:, ::-1]
    pd.testing.assert_frame_equal(measured(Image.fromarray(image), image), measured(image.copy(), image.copy()))


def test_without_the_model_the_other_measures_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "brisque_is_installed", lambda: False)
    with pytest.warns(UserWarning, match="pip install image-quality"):
        table = measured(scene())
    assert table["brisque"].isna().all()
    assert table.drop(columns="brisque").notna().all(axis=None)


@pytest.mark.real
def test_each_damage_of_the_real_sample_is_found_by_one_measure(real_raw_data: Path) -> None:
    truth = pd.read_csv(real_raw_data.parent / "truth.csv").fillna({"corruption": ""})
    kept = truth[(truth["corruption"] != "") | (truth.index % 5 == 0)]
    files = (real_raw_data / "veriwild" / path for path in kept["path"])
    table = measured(*(np.asarray(Image.open(file).convert("RGB")) for file in files))
    found_by = {
        "blur": "sharpness",
        "dark": "dark_share",
        "glare": "glare_share",
        "noise": "noise",
        "empty": "sharpness",
    }
    for damage, column in found_by.items():
        rows = kept["corruption"].isin(["", damage]).to_numpy()
        sign = -1 if QUALITY[column].bad == "low" else 1
        assert roc_auc_score(kept["corruption"][rows] == damage, sign * table[column][rows]) > 0.99
