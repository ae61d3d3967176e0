"""Truth masks of the drawn sample: where they lie, what they cover, and that the sample stays the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from veriwild_clustering import DatasetError, draw_sample, locate_raw_data
from veriwild_clustering.samples.canvas import Canvas, Viewpoint

N_IMAGES = 120


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "raw_data"
    return draw_sample(folder, n_images=N_IMAGES, masks=True, random_state=2, n_jobs=1)


@pytest.fixture(scope="module")
def truth(drawn: Path) -> pd.DataFrame:
    return pd.read_csv(drawn / "truth.csv", dtype=str, keep_default_na=False)


def mask_of(drawn: Path, path: str) -> np.ndarray:
    with Image.open((drawn / "masks" / path).with_suffix(".png")) as image:
        assert image.mode == "L"
        return np.asarray(image)


def test_every_image_has_a_mask_of_its_size_with_two_values(drawn: Path, truth: pd.DataFrame) -> None:
    assert len(list((drawn / "masks").rglob("*.png"))) == N_IMAGES
    for path in truth["path"]:
        mask = mask_of(drawn, path)
        with Image.open(drawn / "veriwild" / path) as image:
            assert mask.shape == image.size[::-1]
        assert set(np.unique(mask)) <= {0, 255}


def test_a_mask_covers_a_vehicle_and_nothing_else(drawn: Path, truth: pd.DataFrame) -> None:
    shares = np.array([np.mean(mask_of(drawn, path) == 255) for path in truth["path"]])
    absent = truth["corruption"].isin(["empty", "not a vehicle"]).to_numpy()
    assert absent.any()
    assert (shares[absent] == 0).all()
    assert shares[~absent].min() > 0.2
    assert shares[~absent].max() < 0.95


def test_the_mask_holds_the_paint_of_the_vehicle(drawn: Path, truth: pd.DataFrame) -> None:
    """Red vehicles by day: what is strongly red lies within the mask."""
    rows = truth.query("color == 'red' and time_of_day == 'day' and corruption == ''")
    assert len(rows) > 0
    for path in rows["path"]:
        with Image.open(drawn / "veriwild" / path) as image:
            red, green, blue = np.moveaxis(np.asarray(image, dtype=int), 2, 0)
        painted = (red > 90) & (red > 2 * green) & (red > 2 * blue)
        assert np.mean(mask_of(drawn, path)[painted] == 255) > 0.95


def test_the_sample_is_the_same_with_and_without_masks(drawn: Path, tmp_path: Path) -> None:
    plain = draw_sample(tmp_path / "raw_data", n_images=N_IMAGES, random_state=2, n_jobs=1)
    files = {path.relative_to(plain) for path in plain.rglob("*") if path.is_file()}
    with_masks = {path.relative_to(drawn) for path in drawn.rglob("*") if path.is_file()}
    assert {path for path in with_masks - files if path.parts[0] != "masks"} == set()
    assert files <= with_masks
    assert all((plain / path).read_bytes() == (drawn / path).read_bytes() for path in files)


def test_reading_raw_data_passes_over_masks(drawn: Path, truth: pd.DataFrame) -> None:
    raw = locate_raw_data(drawn)
    assert raw.paths == tuple(truth["path"])
    assert raw.image_store is not None
    assert raw.image_store.location.relative_to(drawn).parts[0] == "veriwild"


def test_masks_that_are_there_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "raw_data" / "masks").mkdir(parents=True)
    with pytest.raises(DatasetError, match="already holds masks"):
        draw_sample(tmp_path / "raw_data", n_images=50, masks=True, n_jobs=1)


def test_shadows_and_what_came_before_leave_no_trace() -> None:
    canvas = Canvas(Viewpoint(0.0, 0.2, 10.0, 1.0), (40, 30), (-0.2, -0.2, 0.2, 0.2))
    canvas.polygon(np.array([(0.0, 0.0), (80, 0), (80, 60), (0, 60)]), (90, 90, 90))
    assert not np.asarray(canvas.mask()).any()
    canvas.trace()
    canvas.shadow([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], strength=0.9, radius=2)
    assert not np.asarray(canvas.mask()).any()
    canvas.polygon(np.array([(20.0, 20.0), (39, 20), (39, 29), (20, 29)]), (200, 0, 0))
    expected = np.zeros((30, 40), dtype=np.uint8)
    expected[10:15, 10:20] = 255
    np.testing.assert_array_equal(np.asarray(canvas.mask()), expected)
