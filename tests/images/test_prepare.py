"""Preparation: only what is small is made larger, boxes lie in the original, each image says what was done to it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering import Detection, Preparation, Upscaler
from veriwild_clustering.images.preparation.prepare import preparation_table

BICUBIC = Upscaler("bicubic")
SIDES = st.integers(1, 150)


class FindsRed:
    """A detector of red rectangles: the box of all red pixels is a car."""

    params: ClassVar = {"model": "finds-red", "min_confidence": 0.25}

    def __call__(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> list[Detection]:
        y, x = np.nonzero(image[..., 0].astype(int) - image[..., 1] > 127)
        if not len(y):
            return []
        return [Detection((float(x.min()), float(y.min()), x.max() + 1.0, y.max() + 1.0), "car", 0.9)]


def scene(height: int, width: int, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    image = np.full((height, width, 3), 90, np.uint8)
    if box is not None:
        left, top, right, bottom = box
        image[top:bottom, left:right] = (255, 0, 0)
    return image


def test_without_upscaler_and_detector_images_come_back_as_they_are() -> None:
    images = [scene(20, 30), scene(300, 200)]
    for image, prepared in zip(images, Preparation()(images), strict=True):
        np.testing.assert_array_equal(prepared.image, image)
        assert (prepared.upscaled, prepared.box, prepared.reason) == (False, None, "as it is")
    assert Preparation(BICUBIC, FindsRed())([]) == []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 150), st.integers(1, 150)), max_size=4), st.integers(1, 100), st.integers(1, 150)
)
def test_only_what_is_small_is_upscaled(sizes: list[tuple[int, int]], min_side: int, max_side: int) -> None:
    images = [scene(*size) for size in sizes]
    done = Preparation(BICUBIC, min_side=min_side, max_side=max_side)(images)
    for (height, width), image, prepared in zip(sizes, images, done, strict=True):
        assert prepared.upscaled == (min(height, width) < min_side and max(height, width) <= max_side)
        assert prepared.image.shape == ((3 * height, 3 * width, 3) if prepared.upscaled else image.shape)
        if not prepared.upscaled:
            np.testing.assert_array_equal(prepared.image, image)


@pytest.mark.parametrize("upscaler", [None, BICUBIC])
def test_box_of_a_small_image_lies_in_its_own_pixels(upscaler: Upscaler | None) -> None:
    box = (12, 20, 62, 70)
    [prepared] = Preparation(upscaler, FindsRed(), margin=0, min_side=128)([scene(90, 100, box)])
    factor = 1 if upscaler is None else 3
    np.testing.assert_allclose(prepared.box, box, atol=0 if upscaler is None else 0.7)  # upscaling blurs the edge
    assert (prepared.box_label, prepared.box_confidence) == ("car", 0.9)
    np.testing.assert_allclose(prepared.image.shape[:2], (50 * factor, 50 * factor), atol=4)
    assert prepared.image.mean(axis=(0, 1)) @ (1, -1, 0) > 240  # the red part and hardly anything else


def test_the_small_part_of_a_large_image_keeps_its_pixels() -> None:
    image = scene(400, 600, (100, 100, 160, 140))
    [prepared] = Preparation(BICUBIC, FindsRed(), margin=0.1)([image])
    assert (prepared.box, prepared.upscaled) == ((100, 100, 160, 140), False)
    assert prepared.reason == "car: the only vehicle"
    np.testing.assert_array_equal(prepared.image, image[96:144, 94:166])


def test_a_small_image_is_upscaled_before_it_is_cut() -> None:
    [prepared] = Preparation(BICUBIC, FindsRed(), min_side=200, margin=0)([scene(60, 60, (10, 10, 50, 50))])
    assert prepared.upscaled
    assert prepared.image.shape[0] < 3 * 60  # and cut, though the part is small still
    assert prepared.reason == "upscaled 3 times: 60 x 60 pixels; car: the only vehicle"


def test_an_image_without_an_object_stays_whole() -> None:
    large, small = scene(200, 300), scene(60, 60)
    first, second = Preparation(BICUBIC, FindsRed(), min_side=64)([large, small])
    np.testing.assert_array_equal(first.image, large)
    assert first.reason == "whole image: nothing found"
    assert second.image.shape == (180, 180, 3)
    assert second.reason == "upscaled 3 times: 60 x 60 pixels; whole image: nothing found"


def test_a_close_view_is_not_cut_but_its_box_is_known() -> None:
    box = (10, 10, 90, 70)
    image = scene(80, 100, box)
    [whole] = Preparation(None, FindsRed())([image])
    np.testing.assert_array_equal(whole.image, image)
    assert (whole.box, whole.box_label, whole.cropped) == (box, "car", False)
    assert whole.reason == "whole image: 60% of it is the car"
    [cut] = Preparation(None, FindsRed(), max_share=0.6, margin=0)([image])
    assert (cut.cropped, cut.image.shape) == (True, (60, 80, 3))


def test_table_has_a_row_per_image() -> None:
    preparation = Preparation(BICUBIC, FindsRed(), margin=0, min_side=64)
    table = preparation_table(preparation([scene(200, 300, (10, 20, 180, 190)), scene(60, 60)]))
    expected = pd.DataFrame(
        {
            "upscaled": [False, True],
            "cropped": [True, False],
            "box_left": [10.0, np.nan],
            "box_top": [20.0, np.nan],
            "box_right": [180.0, np.nan],
            "box_bottom": [190.0, np.nan],
            "box_label": pd.Series(["car", None], dtype="str"),
            "box_confidence": [0.9, np.nan],
            "foreground_share": [np.nan, np.nan],
            "preparation": [
                "car: the only vehicle",
                "upscaled 3 times: 60 x 60 pixels; whole image: nothing found",
            ],
        }
    )
    pd.testing.assert_frame_equal(table, expected)
    empty = preparation_table([])
    pd.testing.assert_series_equal(empty.dtypes, expected.dtypes)


def test_params_name_everything_that_changes_pixels() -> None:
    preparation = Preparation(BICUBIC, FindsRed())
    params = preparation.params
    assert json.loads(json.dumps(params)) == params
    assert (params["upscaler"], params["detector"]) == (BICUBIC.params, FindsRed.params)
    changes = {
        "upscaler": None,
        "detector": None,
        "min_side": 63,
        "max_side": 65,
        "margin": 0.2,
        "max_share": 0.9,
        "vehicles_first": False,
    }
    for name, value in changes.items():
        assert replace(preparation, **{name: value}).params != params
    assert hash(preparation) == hash(replace(preparation))
    copy = pickle.loads(pickle.dumps(Preparation(BICUBIC, min_side=50)))  # noqa: S301
    assert copy.params == Preparation(BICUBIC, min_side=50).params


@pytest.mark.parametrize(("name", "value"), [("min_side", 0), ("max_side", 0), ("margin", -0.1), ("max_share", 1.1)])
def test_settings_out_of_range_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        Preparation(**{name: value})


@pytest.mark.parametrize("step", ["upscaler", "detector", "masker"])
def test_a_name_in_place_of_a_step_is_refused(step: str) -> None:
    with pytest.raises(TypeError, match=rf"`{step}` must be {step.capitalize()}\(\.\.\.\) or None. Got 'name'"):
        Preparation(**{step: "name"})
