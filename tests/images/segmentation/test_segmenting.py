"""Segments: one contract for all methods, on images of all kinds, and what bad input says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veriwild_clustering import Stroke, draw_sample, segment
from veriwild_clustering.images.segmentation.label_maps import connected_regions, contiguous
from veriwild_clustering.images.segmentation.segmenting import METHODS, PROMPTED

PLAIN = [name for name in METHODS if name not in PROMPTED and name != "sam"]


def scene(seed: int = 0, size: tuple[int, int] = (72, 96)) -> np.ndarray:
    """A red car-like rectangle on noisy asphalt."""
    image = np.full((*size, 3), 110, dtype=np.uint8)
    image[size[0] // 4 : -size[0] // 4, size[1] // 5 : -size[1] // 5] = (190, 30, 40)
    noise = np.random.default_rng(seed).normal(0, 4, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def check_map(labels: np.ndarray, size: tuple[int, ...]) -> None:
    assert labels.dtype == np.int32
    assert labels.shape == size
    assert set(np.unique(labels).tolist()) - {0} == set(range(1, int(labels.max()) + 1))
    assert labels.min() >= 0


@pytest.mark.parametrize("method", PLAIN)
def test_labels_are_contiguous_cover_all_and_depend_on_the_seed_alone(method: str) -> None:
    for seed in range(3):
        image = scene(seed)
        labels = segment(image, method, random_state=seed)
        check_map(labels, image.shape[:2])
        np.testing.assert_array_equal(labels, segment(image, method, random_state=seed))
        assert method == "edge" or labels.min() == 1


@pytest.mark.parametrize("method", PLAIN)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2), (17, 5), (64, 3)])
def test_small_images_have_segments_too(method: str, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    check_map(segment(image, method), size)


@pytest.mark.parametrize("method", ["slic", "mslic"])
@pytest.mark.parametrize("region_size", [4, 7, 20, 33])
def test_superpixels_of_sizes_that_are_no_whole_cells(method: str, region_size: int) -> None:
    for size in ((61, 83), (41, 101), (99, 34), (160, 21)):
        labels = segment(scene(0, size), method, region_size=region_size, min_share=0)
        check_map(labels, size)
        assert labels.max() >= 9  # three cells a side at least


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Twenty drawn images, small."""
    folder = draw_sample(tmp_path_factory.mktemp("drawn") / "raw_data", n_images=50, random_state=3, n_jobs=1)
    images = []
    for file in sorted(folder.rglob("*.jpg"))[:20]:
        with Image.open(file) as opened:
            opened.thumbnail((56, 56))
            images.append(np.asarray(opened.convert("RGB")))
    return images


@pytest.mark.parametrize("method", PLAIN)
def test_drawn_images_are_segmented(method: str, drawn: list[np.ndarray]) -> None:
    maps = [segment(image, method, random_state=1) for image in drawn]
    for image, labels in zip(drawn, maps, strict=True):
        check_map(labels, image.shape[:2])
        assert method == "edge" or labels.min() == 1
    assert sum(labels.max() > 1 for labels in maps) >= 15
    for image, labels in zip(drawn[:4], maps, strict=False):
        np.testing.assert_array_equal(labels, segment(image, method, random_state=1))


@pytest.mark.real
@pytest.mark.parametrize("method", PLAIN)
def test_real_images_are_segmented(method: str, real_raw_data: Path) -> None:
    for file in sorted(real_raw_data.rglob("*.jpg"))[::65][:20]:
        image = np.asarray(Image.open(file).convert("RGB"))
        labels = segment(image, method)
        check_map(labels, image.shape[:2])
        np.testing.assert_array_equal(labels, segment(image, method))


def test_the_object_is_a_segment_of_its_own() -> None:
    truth = np.zeros((72, 96), dtype=bool)
    truth[18:-18, 19:-20] = True
    for method in ("graph", "felzenszwalb", "slic"):
        labels = segment(scene(), method)
        inside = np.bincount(labels[truth], minlength=labels.max() + 1)
        whole = np.bincount(labels.ravel())
        assert np.minimum(inside, whole - inside).sum() < 0.06 * truth.sum()  # what leaks over the border


def test_connected_parts_what_does_not_touch() -> None:
    labels = np.array([[1, 2, 1], [1, 2, 1]], dtype=np.int32)
    assert connected_regions(labels).tolist() == [[1, 2, 3], [1, 2, 3]]
    image = np.repeat(np.array([[0, 200, 0]], np.uint8), 20, axis=1).repeat(30, axis=0)[..., None].repeat(3, axis=2)
    params = {"n_segments": 2, "position_weight": 0}
    assert segment(image, "kmeans", **params).max() == 2
    assert segment(image, "kmeans", connected=True, **params).max() == 3


def test_edges_are_zero_and_the_rest_contiguous() -> None:
    labels, edges = np.array([[4, 4, 9]]), np.array([[False, True, False]])
    assert contiguous(labels, edges=edges).tolist() == [[1, 0, 2]]
    assert contiguous(labels, edges=~np.zeros_like(edges)).tolist() == [[0, 0, 0]]
    assert contiguous(np.array([[-5, 10**9], [7, -5]])).tolist() == [[1, 3], [2, 1]]
    assert contiguous(np.array([[250, 3]], np.uint8)).tolist() == [[2, 1]]
    assert (segment(scene(), "edge") == 0).any()
    assert (segment(scene(), "watershed", lines=True) == 0).any()


def test_grabcut_finds_what_the_box_holds_and_strokes_correct_it() -> None:
    image = scene()
    found = segment(image, "grabcut", boxes=[(10, 10, 86, 62)])
    assert found[36, 48] == 2
    assert found[2, 2] == 1
    assert abs(int((found == 2).sum()) - 36 * 57) < 120
    stroke = Stroke(((20, 36), (40, 36)), "background", width=9)
    corrected = segment(image, "grabcut", boxes=[(10, 10, 86, 62)], strokes=[stroke])
    assert (corrected[34:39, 22:38] == 1).all()


def test_wrong_input_is_told() -> None:
    image = scene()
    with pytest.raises(ValueError, match="`method` must be one of 'slic'"):
        segment(image, "snakes")
    with pytest.raises(ValueError, match=r"Unknown parameter of method 'slic'.*'colour'"):
        segment(image, "slic", colour=3)
    with pytest.raises(ValueError, match="`images` must be arrays"):
        segment(image[..., 0])
    with pytest.raises(ValueError, match="`boxes` or `strokes`"):
        segment(image, "grabcut")
    with pytest.raises(ValueError, match="pixels that may be background"):
        segment(image, "grabcut", boxes=[(0, 0, 96, 72)])
    with pytest.raises(ValueError, match="area inside the image"):
        segment(image, "grabcut", boxes=[(200, 0, 300, 72)])
    with pytest.raises(ValueError, match="`kind` must be one of"):
        Stroke(((1, 1),), "sky")
