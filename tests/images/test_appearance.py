"""Colour, light and focus of single images whose answer is known: painted blocks on a road, and what light does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from veriwild_clustering import appearance

Image = NDArray[np.uint8]

PAINTS = {
    "black": (24, 24, 27),
    "white": (250, 250, 250),
    "grey": (120, 122, 126),
    "red": (190, 20, 30),
    "orange": (240, 120, 20),
    "yellow": (245, 205, 30),
    "green": (20, 120, 60),
    "blue": (30, 70, 170),
    "purple": (100, 30, 130),
    "pink": (245, 150, 175),
    "brown": (98, 62, 38),
}


def vehicle(paint: tuple[int, int, int], *, height: int = 150, width: int = 200, road: int = 118) -> Image:
    """A painted block with dark windows, tyres and red lamps, on a road."""
    image = np.full((height, width, 3), road, np.uint8)

    def fill(top: float, bottom: float, left: float, right: float, color: tuple[int, int, int]) -> None:
        image[int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = color

    fill(0.15, 0.85, 0.12, 0.88, paint)
    fill(0.25, 0.45, 0.2, 0.8, (28, 32, 36))
    fill(0.5, 0.58, 0.13, 0.18, (230, 30, 30))
    fill(0.5, 0.58, 0.82, 0.87, (230, 30, 30))
    fill(0.8, 0.92, 0.16, 0.28, (20, 20, 20))
    fill(0.8, 0.92, 0.72, 0.84, (20, 20, 20))
    return image


def lit(image: Image, *light: float) -> Image:
    """The image under a light of this strength in red, green and blue."""
    return pixels(np.clip(image * np.array(light), 0, 255))


def pixels(values: NDArray[np.generic]) -> Image:
    return np.asarray(values, dtype=np.uint8)


def color_of(image: Image) -> str:
    return str(appearance([image])["measured_color"].iat[0])


@pytest.mark.parametrize("name", PAINTS)
def test_every_basic_color_is_named(name: str) -> None:
    assert color_of(vehicle(PAINTS[name])) == name


@pytest.mark.parametrize("name", PAINTS)
def test_size_and_direction_do_not_change_the_color(name: str) -> None:
    image = vehicle(PAINTS[name])
    assert color_of(np.fliplr(image)) == color_of(pixels(cv2.resize(image, (97, 61)))) == name


@pytest.mark.parametrize("surroundings", [(92, 118, 62), (120, 160, 220), (176, 158, 122)])
def test_verge_sky_and_sand_around_a_vehicle_do_not_win(surroundings: tuple[int, int, int]) -> None:
    image = vehicle(PAINTS["red"])
    image[(image == 118).all(axis=2)] = surroundings
    assert color_of(image) == "red"


def test_a_tinted_white_balance_leaves_grey_and_white() -> None:
    for name in ("grey", "white"):
        assert color_of(lit(vehicle(PAINTS[name]), 0.93, 1.0, 0.99)) == name


@pytest.mark.parametrize("name", PAINTS)
def test_color_is_uncertain_where_light_hides_it(name: str) -> None:
    image = vehicle(PAINTS[name])
    grey = pixels(np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2))
    images = {"night": lit(image, 0.3, 0.3, 0.3), "lamps": lit(image, 1.3, 0.95, 0.3), "infrared": grey}
    assert dict(zip(images, appearance(list(images.values()))["measured_color"], strict=True)) == dict.fromkeys(
        images, "uncertain"
    )


def test_light_follows_the_surroundings_not_the_lamps() -> None:
    by_day = vehicle(PAINTS["black"])
    by_night = lit(vehicle(PAINTS["white"]), 0.25, 0.25, 0.25)
    by_night[70:90, 40:60] = by_night[70:90, 140:160] = 255
    table = appearance([by_day, by_night])
    assert table["light"].tolist() == ["day", "night"]
    assert (table["light_confidence"] > 0.95).all()


def test_light_is_uncertain_at_dusk() -> None:
    strengths = np.linspace(0.3, 1.0, 15)
    table = appearance([lit(vehicle(PAINTS["red"]), *[strength] * 3) for strength in strengths])
    assert table["light"].drop_duplicates().tolist() == ["night", "uncertain", "day"]


def test_focus_follows_blur_whatever_the_contrast() -> None:
    image = vehicle(PAINTS["red"], height=128, width=128)
    for strength in (1.0, 0.4):
        faded = lit(image, strength, strength, strength)
        ever_softer = [faded, *(pixels(cv2.GaussianBlur(faded, (0, 0), sigma)) for sigma in np.linspace(0.4, 4, 30))]
        focus = appearance(ever_softer)["focus"]
        assert focus[focus != "uncertain"].drop_duplicates().tolist() == ["sharp", "soft", "blurred"]


@pytest.mark.parametrize("shape", [(60, 60), (15, 200), (1, 1)])
def test_focus_is_uncertain_without_edges_or_pixels(shape: tuple[int, int]) -> None:
    table = appearance([np.full((*shape, 3), 130, np.uint8)])
    assert table["focus"].tolist() == ["uncertain"]
    assert table["focus_confidence"].tolist() == [0.0]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), height=st.integers(1, 90), width=st.integers(1, 90))
def test_any_image_gets_a_known_answer_with_a_probability(seed: int, height: int, width: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    row = appearance([image]).iloc[0]
    assert row["measured_color"] in {*PAINTS, "uncertain"}
    assert row["light"] in {"day", "night", "uncertain"}
    assert row["focus"] in {"sharp", "soft", "blurred", "uncertain"}
    assert all(0 <= row[f"{name}_confidence"] <= 1 for name in ("measured_color", "light", "focus"))


def test_an_image_does_not_depend_on_the_others() -> None:
    images = [vehicle(paint, road=90 + 3 * step) for step in range(13) for paint in PAINTS.values()]
    together = appearance(images)
    assert together.equals(appearance(images[::-1]).iloc[::-1].reset_index(drop=True))
    assert together.iloc[[140]].reset_index(drop=True).equals(appearance([images[140]]))


def test_no_images_give_an_empty_table_of_the_same_types() -> None:
    empty, one = appearance([]), appearance([vehicle(PAINTS["blue"])])
    assert len(empty) == 0
    assert empty.dtypes.equals(one.dtypes)


@pytest.mark.parametrize("wrong", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 5, 3), np.uint8)])
def test_what_is_no_rgb_image_is_refused_with_its_place(wrong: NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match="at 1 instead"):
        appearance([vehicle(PAINTS["red"]), wrong])  # type: ignore[list-item]
