"""Which box is chosen and what a crop holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering import Detection, choose_box, crop
from veriwild_clustering.images.preparation.cropping import reason_of_choice

SIZE = (200, 300)
CAR = Detection((10.0, 10.0, 110.0, 90.0), "car", 0.6)
FAR_CAR = Detection((200.0, 5.0, 240.0, 45.0), "car", 0.95)
PERSON = Detection((100.0, 0.0, 300.0, 200.0), "person", 0.9)
TINY = Detection((0.0, 0.0, 30.0, 90.0), "truck", 0.99)


def test_the_largest_vehicle_wins_over_a_surer_one_and_over_a_larger_person() -> None:
    assert choose_box([PERSON, FAR_CAR, CAR], SIZE) == CAR


def test_a_faint_box_around_everything_does_not_win() -> None:
    everything = Detection((0.0, 0.0, 300.0, 200.0), "car", 0.25)
    sure = Detection((50.0, 20.0, 250.0, 160.0), "car", 0.9)
    assert choose_box([everything, sure], SIZE) == sure


@pytest.mark.parametrize("label", ["car", "bus", "truck", "motorcycle", "bicycle", "train", "vehicle"])
def test_what_is_a_vehicle(label: str) -> None:
    assert choose_box([PERSON, Detection(CAR.box, label, 0.3)], SIZE) == Detection(CAR.box, label, 0.3)


def test_other_objects_count_where_there_is_no_vehicle_or_vehicles_are_not_first() -> None:
    assert choose_box([PERSON], SIZE) == PERSON
    assert choose_box([CAR, PERSON], SIZE, vehicles_first=False) == PERSON


def test_small_boxes_are_never_chosen() -> None:
    assert choose_box([TINY], SIZE) is None
    assert choose_box([TINY, PERSON], SIZE) == PERSON
    assert choose_box([TINY], SIZE, min_side=29) == TINY
    assert choose_box([], SIZE) is None


def test_boxes_are_cut_off_at_the_edge_before_they_are_compared() -> None:
    leaving = Detection((250.0, -50.0, 900.0, 40.0), "bus", 0.9)
    assert choose_box([leaving], SIZE) == Detection((250.0, 0.0, 300.0, 40.0), "bus", 0.9)
    assert choose_box([leaving, CAR], SIZE) == CAR
    assert choose_box([Detection((400.0, 0.0, 500.0, 100.0), "bus", 0.9)], SIZE) is None


@pytest.mark.parametrize(
    ("detections", "reason"),
    [
        ([CAR], "car: the only vehicle"),
        ([CAR, FAR_CAR, PERSON], "car: largest of 2 vehicles"),
        ([PERSON], "person: no vehicle found"),
        ([PERSON, TINY], "person: largest object"),
        ([TINY], "whole image: every object is too small"),
        ([], "whole image: nothing found"),
    ],
)
def test_the_reason_tells_what_was_there(detections: list[Detection], reason: str) -> None:
    assert reason_of_choice(detections, choose_box(detections, SIZE)) == reason


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.floats(-50, 150) for _ in range(4)]),
    st.floats(0, 1),
    st.integers(20, 90),
    st.integers(20, 90),
)
def test_a_crop_holds_the_box_and_its_margin_and_no_more(
    ends: tuple[float, ...], margin: float, height: int, width: int
) -> None:
    left, right = sorted(ends[:2])
    top, bottom = sorted(ends[2:])
    image = np.stack([*np.indices((height, width), dtype=np.uint8), np.zeros((height, width), np.uint8)], axis=-1)
    if max(left, 0) >= min(right, width) or max(top, 0) >= min(bottom, height):
        with pytest.raises(ValueError, match="`box` must be"):
            crop(image, (left, top, right, bottom), margin=margin)
        return
    part = crop(image, (left, top, right, bottom), margin=margin)
    for values, low, high, side in (
        (part[:, 0, 0], top, bottom, height),
        (part[0, :, 1], left, right, width),
    ):
        pad = margin * (high - low)
        centers = np.arange(side) + 0.5
        inside = np.flatnonzero((centers + 0.5 > low - pad) & (centers - 0.5 < high + pad))
        np.testing.assert_array_equal(values, inside)


def test_a_crop_is_a_copy_and_the_margin_is_checked() -> None:
    image = np.zeros((50, 50, 3), np.uint8)
    crop(image, (0, 0, 50, 50))[:] = 255
    assert not image.any()
    with pytest.raises(ValueError, match="`margin` must be"):
        crop(image, (0, 0, 50, 50), margin=-0.1)
