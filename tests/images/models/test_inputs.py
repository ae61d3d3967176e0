"""Images as the input of a network, against Pillow, OpenCV and plain float64."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from veriwild_clustering.images.models.inputs import image_batch, placement
from veriwild_clustering.images.models.record import ImageInput

IMAGENET = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def draw(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def scaled(pixels: NDArray[np.uint8], spec: ImageInput) -> NDArray[np.float64]:
    return (pixels.astype(np.float64) * spec.scale - spec.mean) / spec.std


@pytest.mark.parametrize(
    ("interpolation", "opencv", "pillow"),
    [
        ("bilinear", cv2.INTER_LINEAR, Image.Resampling.BILINEAR),
        ("bicubic", cv2.INTER_CUBIC, Image.Resampling.BICUBIC),
        ("area", cv2.INTER_AREA, Image.Resampling.BOX),
    ],
)
@pytest.mark.parametrize("size", [(90, 40), (8, 9), (1, 1)])
def test_stretch_is_what_opencv_and_pillow_do(interpolation, opencv, pillow, size) -> None:
    image = draw(*size)
    spec = ImageInput(32, 16, interpolation=interpolation, **IMAGENET)
    by_opencv = cv2.resize(image, (16, 32), interpolation=opencv)
    np.testing.assert_allclose(image_batch([image], spec)[0].transpose(1, 2, 0), scaled(by_opencv, spec), rtol=1e-6)
    by_pillow = np.asarray(Image.fromarray(image).resize((16, 32), pillow))
    batch = image_batch([image], replace(spec, resize_with="pillow"))
    np.testing.assert_allclose(batch[0].transpose(1, 2, 0), scaled(by_pillow, spec), rtol=1e-6)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("color", ["RGB", "BGR"])
def test_channels_axes_and_type(layout: str, dtype: str, color: str) -> None:
    images = [draw(6, 5, seed) for seed in range(3)]
    batch = image_batch(images, ImageInput(6, 5, layout=layout, dtype=dtype, color=color))
    assert batch.dtype == dtype
    assert batch.flags.c_contiguous
    shown = batch.transpose(0, 2, 3, 1) if layout == "NCHW" else batch
    np.testing.assert_array_equal(shown if color == "RGB" else shown[..., ::-1], np.stack(images))


def test_mean_and_std_follow_the_order_of_the_colors() -> None:
    red = np.full((4, 4, 3), (255, 0, 0), np.uint8)
    batch = image_batch([red], ImageInput(4, 4, color="BGR", mean=(1.0, 2.0, 3.0), std=(1.0, 2.0, 4.0)))
    assert batch[0, :, 0, 0].tolist() == [-1.0, -1.0, 63.0]


@pytest.mark.parametrize("size", [(300, 200), (201, 302), (224, 224), (50, 75), (1, 9)])
def test_crop_is_that_of_torchvision(size: tuple[int, int]) -> None:
    """Shorter side to 64 pixels, the longer rounded down, the middle cut out, as CLIP's preprocessing does."""
    image, side = draw(*size), 64
    short, long = min(size), max(size)
    drawn = (side, side * long // short) if size[0] <= size[1] else (side * long // short, side)
    resized = np.asarray(Image.fromarray(image).resize(drawn[::-1], Image.Resampling.BICUBIC))
    top, left = (round((have - side) / 2) for have in drawn)
    spec = ImageInput(side, side, "crop", interpolation="bicubic", resize_with="pillow", layout="NHWC", dtype="uint8")
    np.testing.assert_array_equal(image_batch([image], spec)[0], resized[top : top + side, left : left + side])


def test_crop_reads_the_middle_of_a_very_long_image() -> None:
    image = np.zeros((2, 40_000, 3), np.uint8)
    image[:, 19_990:20_010] = 255
    batch = image_batch([image, image.transpose(1, 0, 2)], ImageInput(8, 8, "crop"))
    assert batch.min() == 255


@pytest.mark.parametrize("resize", ["letterbox", "letterbox-center"])
@pytest.mark.parametrize("size", [(30, 60), (60, 30), (45, 44), (1, 1), (1, 500), (500, 1)])
def test_letterbox_keeps_the_aspect_and_fills_the_rest(resize: str, size: tuple[int, int]) -> None:
    spec = ImageInput(40, 50, resize, fill=7)
    batch = image_batch([np.full((*size, 3), 200, np.uint8)], spec)[0]
    scale, (left, top) = placement(size, spec)
    drawn_width, drawn_height = np.rint(scale * size[::-1]).astype(int)
    expected = np.full((40, 50), 7)
    expected[top : top + drawn_height, left : left + drawn_width] = 200
    np.testing.assert_array_equal(batch, np.broadcast_to(expected, (3, 40, 50)))
    assert drawn_height == 40 or drawn_width == 50
    room = (50 - drawn_width, 40 - drawn_height)
    assert (left, top) == (0, 0) if resize == "letterbox" else np.abs(np.subtract(room, (2 * left, 2 * top))).max() <= 1


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(20, 200), st.integers(20, 200)),
    resize=st.sampled_from(["stretch", "crop", "letterbox", "letterbox-center"]),
)
def test_a_bright_spot_lies_where_the_placement_says(size: tuple[int, int], resize: str) -> None:
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    top, left = height // 2 - 4, width // 2 - 4
    image[top : top + 8, left : left + 8] = 255
    spec = ImageInput(120, 100, resize, interpolation="area", resize_with="pillow", fill=0)
    weights = image_batch([image], spec)[0, 0].astype(float)
    across, down = (weights.sum(axis) @ (np.arange(weights.shape[1 - axis]) + 0.5) / weights.sum() for axis in (0, 1))
    scale, corner = placement(size, spec)
    np.testing.assert_allclose((across, down), np.array([left + 4, top + 4]) * scale + corner, atol=0.6)


@pytest.mark.parametrize("size", [(8, 400), (401, 8)])
def test_the_middle_of_a_very_long_image_lies_in_the_middle_of_the_input(size: tuple[int, int]) -> None:
    scale, corner = placement(size, ImageInput(32, 32, "crop"))
    np.testing.assert_allclose(scale, 4, rtol=0.01)
    np.testing.assert_allclose(np.array(size[::-1]) / 2 * scale + corner, 16, atol=2)


def test_no_images_make_an_empty_batch() -> None:
    assert image_batch([], ImageInput(4, 5)).shape == (0, 3, 4, 5)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_what_is_no_image_is_refused(image: NDArray) -> None:
    with pytest.raises(ValueError, match="at 1 instead"):
        image_batch([draw(3, 3), image], ImageInput(4, 4))


def test_an_input_without_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match="height and a width"):
        image_batch([draw(3, 3)], ImageInput())
