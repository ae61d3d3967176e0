"""Measured colour, light and focus of whole samples against their truth: the drawn one, and the real one by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from veriwild_clustering import appearance

SEEN_IN_REAL_IMAGES = """
grey|white, white|grey, white, white|red, white, grey, white, white, black, blue|black,
white|grey, white, black, grey, black|red, grey, black|blue|grey, white|black, grey|white, white,
white, white|black|grey, red|blue|brown, white, red, white, yellow|black, black, white|grey, grey|blue,
black, grey, black, white|grey, grey|white|black|red, white, grey, orange, brown|white|grey, white,
grey|white|blue|green, red|orange, white|green, white, grey|white|black, white|grey, white, white, grey|white,
grey|black|white
"""
"""What eyes call fifty undamaged images, drawn by `sample(50, random_state=0)`; several where they would not choose."""


def measured(raw_data: Path, truth: pd.DataFrame) -> pd.DataFrame:
    """The truth with what is measured beside it."""

    def pixels(path: str) -> NDArray[np.uint8]:
        with Image.open(raw_data / "veriwild" / path) as image:
            return np.asarray(image.convert("RGB"))

    return truth.reset_index(drop=True).join(appearance([pixels(path) for path in truth["path"]]))


@pytest.fixture(scope="module")
def drawn(drawn_project: Path) -> pd.DataFrame:
    truth = pd.read_csv(drawn_project / "raw_data" / "truth.csv", dtype=str, keep_default_na=False)
    table = measured(drawn_project / "raw_data", truth[truth["corruption"].isin(["", "blur"])])
    return table.assign(paint=table["color"].replace("silver", "grey"))


def by(table: pd.DataFrame, time_of_day: str) -> pd.DataFrame:
    return table[(table["time_of_day"] == time_of_day) & (table["corruption"] == "")]


def test_color_by_day_is_that_of_the_paint(drawn: pd.DataFrame) -> None:
    day = by(drawn, "day")
    assert (day["measured_color"] == day["paint"]).mean() >= 0.9
    assert (day["measured_color"] == "uncertain").mean() <= 0.03


def test_no_paint_is_mistaken_by_day_more_often_than_not(drawn: pd.DataFrame) -> None:
    day = by(drawn, "day")
    right = (day["measured_color"] == day["paint"]).groupby(day["paint"]).mean()
    assert right.min() >= 0.75


def test_color_at_night_is_uncertain_rather_than_wrong(drawn: pd.DataFrame) -> None:
    night = by(drawn, "night")
    wrong = (night["measured_color"] != night["paint"]) & (night["measured_color"] != "uncertain")
    assert wrong.mean() <= 0.01


def test_of_colors_with_a_confidence_so_many_are_right(drawn: pd.DataFrame) -> None:
    named = by(drawn, "day")
    named = named[named["measured_color"] != "uncertain"]
    bins = pd.cut(named["measured_color_confidence"], [0.5, 0.7, 0.9, 1.0])
    right = (named["measured_color"] == named["paint"]).groupby(bins, observed=True).agg(["mean", "size"])
    claimed = named["measured_color_confidence"].groupby(bins, observed=True).mean()
    error = (right["mean"] - claimed).abs()
    assert error.max() <= 0.12
    assert np.average(error, weights=right["size"]) <= 0.04


@pytest.mark.parametrize("time_of_day", ["day", "night"])
def test_light_is_that_of_the_hour(drawn: pd.DataFrame, time_of_day: str) -> None:
    assert (by(drawn, time_of_day)["light"] == time_of_day).mean() >= 0.95


def test_focus_tells_blurred_drawings_from_sharp_ones(drawn: pd.DataFrame) -> None:
    assert (by(drawn, "day")["focus"] == "sharp").mean() >= 0.98
    assert (drawn.loc[drawn["corruption"] == "blur", "focus"] != "sharp").mean() >= 0.8  # some are blurred by a hair


@pytest.mark.real
def test_real_images_agree_with_the_eye(real_raw_data: Path) -> None:
    truth = pd.read_csv(real_raw_data.parent / "truth.csv", keep_default_na=False)
    table = measured(real_raw_data, truth[truth["corruption"] == ""].sample(50, random_state=0))
    seen = [set(names.split("|")) for names in SEEN_IN_REAL_IMAGES.replace(",", " ").split()]
    agree = [color in names for color, names in zip(table["measured_color"], seen, strict=True)]
    assert np.mean(agree) >= 0.75
    assert (table["light"] == "day").all()


@pytest.mark.real
def test_real_blur_is_blurred(real_raw_data: Path) -> None:
    truth = pd.read_csv(real_raw_data.parent / "truth.csv", keep_default_na=False)
    some = pd.concat([truth[truth["corruption"] == "blur"], truth[truth["corruption"] == ""].iloc[::10]])
    table = measured(real_raw_data, some)
    blurred = table["corruption"] == "blur"
    assert (table.loc[blurred, "focus"] == "blurred").all()
    assert (table.loc[~blurred, "focus"] == "sharp").mean() >= 0.98
