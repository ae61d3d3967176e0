"""Galleries: which images are drawn where, and what stands beside them."""

from __future__ import annotations

import numpy as np
import pytest

from veriwild_clustering import plot_gallery


def _canvas(ax) -> np.ndarray:
    return np.asarray(ax.images[0].get_array())


def test_a_line_per_cluster_with_label_size_and_images(dataset, partition) -> None:
    _, ax = plot_gallery(dataset, {1: [30, 31], 0: [10, 11, 12], -1: [0]}, partition=partition, size=32)
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["cluster 0", "25 images", "cluster 1", "20 images", "noise", "5 images"]
    canvas = _canvas(ax)
    assert canvas.shape == (3 * 38, 3 * 38, 3)
    assert np.argmax(canvas[16, 16]) == 0  # red, the first cluster's images
    assert np.argmax(canvas[38 + 16, 38 + 16]) == 1  # green, the second's
    assert canvas[38 + 16, 2 * 38 + 16].tolist() == [255, 255, 255]  # the second line is shorter


def test_a_grid_breaks_into_lines_and_lines_of_clusters_do_not(dataset) -> None:
    _, ax = plot_gallery(dataset, np.arange(10), n_columns=4, size=32)
    assert _canvas(ax).shape == (3 * 38, 4 * 38, 3)
    _, ax = plot_gallery(dataset, {0: np.arange(10)}, n_columns=4, size=32)
    assert _canvas(ax).shape == (38, 4 * 38, 3)


def test_broken_and_missing_images_are_grey_tiles(dataset) -> None:
    _, ax = plot_gallery(dataset, [3, 4], size=32)
    canvas = _canvas(ax)
    for left in (0, 38):
        red, green, blue = canvas[2, left + 2]
        assert red == green == blue < 255


def test_captions_are_shortened_and_title_counts(dataset) -> None:
    captions = ["a caption that is far too long for a tile"] * 60
    _, ax = plot_gallery(dataset, [7], captions=captions, size=60)
    assert ax.texts[0].get_text().endswith("…")
    assert max(map(len, ax.texts[0].get_text().splitlines())) <= 10
    assert ax.get_title(loc="left") == "1 of 60 images"


def test_nothing_to_show_is_an_empty_gallery(dataset) -> None:
    _, ax = plot_gallery(dataset, [])
    assert ax.get_title(loc="left") == "0 of 60 images"


@pytest.mark.parametrize("row", [60, -1])
def test_a_row_that_does_not_exist_is_named(dataset, row) -> None:
    with pytest.raises(ValueError, match=rf"`rows` must hold ints in \[0, 60\).* Got {row} instead"):
        plot_gallery(dataset, {0: [1, row]})
