"""The figure of a preparation: which images are drawn where, their boxes, sizes and marks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from veriwild_clustering import Detection, Preparation, Upscaler, plot_preparation


class FindsTheMiddle:
    def __call__(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        sizes = [(image.shape[1], image.shape[0]) for image in images]
        return [[Detection((w / 4, h / 4, 3 * w / 4, 3 * h / 4), "car", 0.8)] for w, h in sizes]


def test_shows_before_and_after_with_sizes(dataset) -> None:
    _, ax = plot_preparation(dataset, Preparation(Upscaler("bicubic")), rows=[0, 30], n_columns=1, size=48)
    texts = [text.get_text() for text in ax.texts if text.get_text()]
    assert texts == ["upscaled", "24 × 16 px", "72 × 48 px"] * 2
    assert ax.get_title(loc="left") == "2 of 2 images upscaled, 0 cropped"
    canvas = np.asarray(ax.images[0].get_array())
    for left in (0, 48 + 26):
        assert np.argmax(canvas[24, left + 24]) == 0  # red, before and after
        assert np.argmax(canvas[48 + 34 + 24, left + 24]) == 1  # green, on the line below


def test_draws_the_box_where_it_is(dataset) -> None:
    file = dataset.image_store.location / "00.png"
    Image.open(file).resize((240, 160)).save(file)
    _, ax = plot_preparation(dataset, Preparation(None, FindsTheMiddle()), rows=[0], size=100)
    assert ax.get_title(loc="left") == "0 of 1 images upscaled, 1 cropped"
    assert "car 0.80" in [text.get_text() for text in ax.texts]
    box = ax.patches[-1]
    # 240 x 160 pixels are drawn as 100 x 67, 16 below the upper edge of the tile
    np.testing.assert_allclose((box.get_x(), box.get_y()), (24.5, 32.2), atol=1)
    np.testing.assert_allclose((box.get_width(), box.get_height()), (50, 33.3), atol=0.1)


def test_images_that_cannot_be_read_are_tiles(dataset) -> None:
    _, ax = plot_preparation(dataset, Preparation(), rows=[3, 4, 5], size=48)
    texts = [text.get_text() for text in ax.texts if text.get_text()]
    assert texts == ["cannot be read", "cannot be read", "24 × 16 px", "24 × 16 px"]
    assert ax.get_title(loc="left") == "0 of 1 images upscaled, 0 cropped"


def test_nothing_to_show_is_an_empty_figure(dataset) -> None:
    _, ax = plot_preparation(dataset, Preparation(), rows=[], title="Cost in $")
    assert ax.get_title(loc="left") == r"Cost in \$"


def test_a_row_that_does_not_exist_is_named(dataset) -> None:
    with pytest.raises(ValueError, match=r"`rows` must be an int in \[0, n_images\). Got 60 instead"):
        plot_preparation(dataset, Preparation(), rows=[0, 60])
