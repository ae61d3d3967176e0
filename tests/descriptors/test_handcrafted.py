"""Descriptors without weights: their reference, their invariants, and images at the edge."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from veriwild_clustering import handcrafted_descriptors
from veriwild_clustering.descriptors.extraction.handcrafted import HANDCRAFTED

NAMES = list(HANDCRAFTED)
HASHES = {
    "phash": imagehash.phash,
    "dhash": imagehash.dhash,
    "whash": lambda image: imagehash.whash(image, image_scale=64),
    "colorhash": imagehash.colorhash,
}


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def plain(color: tuple[int, int, int]) -> np.ndarray:
    return np.full((40, 60, 3), color, np.uint8)


def test_list_says_what_each_gives() -> None:
    table = handcrafted_descriptors()
    assert table["name"].tolist() == NAMES
    assert table["n_features"].tolist() == [HANDCRAFTED[name]([noise(20, 30)]).shape[1] for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_any_size_and_content_gives_finite_numbers(name: str) -> None:
    images = [plain((0, 0, 0)), plain((255, 255, 255)), noise(1, 1), noise(1, 200), noise(3, 2), noise(3000, 2500)]
    vectors = HANDCRAFTED[name](images)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(images), HANDCRAFTED[name].n_features)
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors, axis=1).max() <= np.sqrt(HANDCRAFTED[name].n_features)


@pytest.mark.parametrize("name", NAMES)
def test_row_depends_on_its_image_alone(name: str) -> None:
    images = [noise(40, 50, seed) for seed in range(4)]
    together = HANDCRAFTED[name](images)
    travelled = pickle.loads(pickle.dumps(HANDCRAFTED[name]))  # noqa: S301
    apart = np.vstack([travelled([image]) for image in images])
    np.testing.assert_array_equal(together, apart)
    assert HANDCRAFTED[name]([]).shape == (0, HANDCRAFTED[name].n_features)


@pytest.mark.parametrize("name", NAMES)
def test_settings_survive_json(name: str) -> None:
    params = HANDCRAFTED[name].params
    assert params
    assert json.loads(json.dumps(params)) == params


@pytest.mark.parametrize("name", HASHES)
def test_squared_distance_of_hashes_counts_the_bits_that_differ(name: str) -> None:
    images = [np.asarray(Image.fromarray(noise(4, 5, seed)).resize((90, 70))) for seed in (1, 2)]
    one, other = HANDCRAFTED[name](images)
    hashes = [HASHES[name](Image.fromarray(image)) for image in images]
    assert ((one - other) ** 2).sum() == hashes[0] - hashes[1] > 0


@pytest.mark.parametrize("name", ["lab-histogram", "color-histogram"])
def test_histograms_are_roots_of_shares(name: str) -> None:
    vectors = HANDCRAFTED[name]([noise(50, 60), plain((200, 30, 30)), plain((30, 30, 200))])
    np.testing.assert_allclose((vectors**2).sum(axis=1), 1, rtol=1e-5)
    assert np.linalg.norm(vectors[1] - vectors[2]) == pytest.approx(np.sqrt(2), rel=1e-5)  # nothing in common


@pytest.mark.parametrize("name", ["lab-histogram", "color-histogram"])
def test_colours_in_the_middle_count_most(name: str) -> None:
    red, blue = plain((200, 30, 30)), plain((30, 30, 200))
    framed = blue.copy()
    framed[8:-8, 12:-12] = red[0, 0]  # 36 % of the area
    vectors = HANDCRAFTED[name]([red, blue, framed])
    assert np.linalg.norm(vectors[2] - vectors[0]) < np.linalg.norm(vectors[2] - vectors[1])


def test_hog_sees_edges_not_light() -> None:
    ramp = np.repeat(np.repeat(np.linspace(20, 100, 64).astype(np.uint8)[None, :, None], 64, axis=0), 3, axis=2)
    across, brighter, down = HANDCRAFTED["hog"]([ramp, ramp + 100, ramp.transpose(1, 0, 2).copy()])
    assert across @ brighter > 0.95
    assert across @ down < 0.5
    assert not HANDCRAFTED["hog"]([plain((9, 9, 9))]).any()


def test_images_that_are_not_rgb_are_refused() -> None:
    with pytest.raises(ValueError, match="at 1 instead"):
        HANDCRAFTED["hog"]([noise(5, 5), np.zeros((5, 5), np.uint8)])


@pytest.mark.real
def test_appearance_clusters_real_images_by_type_and_view(real_raw_data: Path) -> None:
    truth = pd.read_csv(real_raw_data.parent / "truth.csv")
    images = [np.asarray(Image.open(real_raw_data / "veriwild" / path).convert("RGB")) for path in truth["path"]]
    kept = truth["corruption"].isna()
    labels = KMeans(8, n_init=2, random_state=0).fit_predict(HANDCRAFTED["appearance"](images))
    assert adjusted_rand_score(truth["type"][kept], labels[kept]) > 0.3
    assert adjusted_rand_score((truth["type"] + truth["view"])[kept], labels[kept]) > 0.5
