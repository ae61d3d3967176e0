"""Palette and labels: distinct colours, and text that fits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from veriwild_clustering.reporting.figures import style


def _lab(colors: list[str]) -> np.ndarray:
    return style._perceived(np.array([to_rgb(color) for color in colors]))


def test_oklab_gives_the_published_coordinates() -> None:
    # Ottosson (2020): white is (1, 0, 0), the sRGB red is (0.628, 0.225, 0.126).
    white, red = _lab(["white", "red"])[0]
    np.testing.assert_allclose(white, [1, 0, 0], atol=1e-3)
    np.testing.assert_allclose(red, [0.628, 0.225, 0.126], atol=1e-3)


def test_a_longer_palette_extends_a_shorter_one() -> None:
    assert style.palette(30)[:7] == style.palette(7)
    assert len(set(style.palette(30))) == 30
    assert style.palette(0) == []


def test_thirty_colors_stay_apart_for_every_viewer_and_from_noise() -> None:
    seen = _lab([*style.palette(30), style.NOISE_COLOR, "white"])
    for view in seen:
        distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(view, 2)]
        assert min(distances) > 0.03  # about twice what an eye can just tell apart
    few = _lab([*style.palette(8), style.NOISE_COLOR])
    assert min(np.linalg.norm(a - b) for view in few for a, b in itertools.combinations(view, 2)) > 0.07


def test_palette_refuses_what_is_not_a_count() -> None:
    with pytest.raises(ValueError, match=r"`n_colors` must be an int in \[0, inf\). Got -1 instead."):
        style.palette(-1)


@pytest.mark.parametrize(("n", "shown", "last"), [(5, 5, "4"), (16, 16, "15"), (17, 16, "+ 2 more clusters")])
def test_legend_is_capped_and_says_how_many_it_hides(n: int, shown: int, last: str) -> None:
    handles = style.cap_legend([Line2D([], [], label=str(i)) for i in range(n)], 16, what="clusters")
    assert len(handles) == shown
    assert handles[-1].get_label() == last


def test_values_that_name_a_paint_are_drawn_in_it() -> None:
    assert style.named_color("Red") == style.named_color(" red ") == "#c8232c"
    assert style.named_color("sedan") is None
