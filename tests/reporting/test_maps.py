"""Maps: points, colours, noise and legend of two- and three-dimensional projections."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from sklearn.decomposition import PCA

from veriwild_clustering import Descriptor, Partition, plot_map, transform
from veriwild_clustering.reporting.figures.maps import stratified_rows
from veriwild_clustering.reporting.figures.marks import MAX_DOTS
from veriwild_clustering.reporting.figures.style import NOISE_COLOR, named_color, palette


def _scatter(ax, label):
    return next(c for c in ax.collections if c.get_label() == label)


def _legend(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_every_point_has_its_clusters_color_and_noise_is_grey_and_below(flat, partition) -> None:
    _, ax = plot_map(flat, partition)
    noise, clustered = _scatter(ax, "noise"), _scatter(ax, "clustered")
    assert len(noise.get_offsets()) == 5
    assert {to_hex(color) for color in noise.get_facecolors()} == {NOISE_COLOR}
    assert noise.get_zorder() < clustered.get_zorder()
    color_at = {
        tuple(p): to_hex(c) for p, c in zip(clustered.get_offsets().data, clustered.get_facecolors(), strict=True)
    }
    for row in np.flatnonzero(partition.clustered):
        assert color_at[tuple(flat.vectors[row].astype(float))] == palette(3)[partition.labels[row]]


def test_legend_title_and_numbers_say_what_is_drawn(flat, partition) -> None:
    _, ax = plot_map(flat, partition)
    assert _legend(ax) == ["0 · 25", "1 · 20", "2 · 10", "noise · 5"]
    assert "60 images, 3 clusters, 8.3% noise" in ax.get_title(loc="left")
    assert [text.get_text() for text in ax.texts] == ["0", "1", "2"]
    np.testing.assert_allclose(ax.texts[2].get_position(), np.median(flat.vectors[50:], axis=0), rtol=1e-6)
    assert ax.get_aspect() == 1
    assert len(ax.get_xticks()) == 0


def test_many_clusters_share_a_capped_legend(flat) -> None:
    _, ax = plot_map(flat, Partition(np.arange(60) % 30, flat, "kmeans"))
    assert len(_legend(ax)) == 16
    assert _legend(ax)[-1] == "+ 15 more clusters"


def test_a_sample_keeps_every_cluster_and_is_named_in_the_title(flat) -> None:
    labels = np.r_[np.zeros(59), 1].astype(int)
    _, ax = plot_map(flat, Partition(labels, flat, "kmeans"), max_points=10)
    assert len(_scatter(ax, "clustered").get_offsets()) == 11
    assert "11 of 60 images" in ax.get_title(loc="left")


def test_a_column_of_words_gets_a_legend_of_its_frequent_values(flat, partition, dataset) -> None:
    values = dataset.images["type"].where(dataset.images.index > 1)
    _, ax = plot_map(flat, partition, values=values)
    assert _legend(ax) == ["sedan · 28", "<i>bus</i> · 20", "truck · 10", "missing · 2"]
    assert ax.get_legend().get_title().get_text() == "type · images"
    _, ax = plot_map(flat, values=dataset.images["vehicle_id"])
    assert _legend(ax)[-1] == "18 other values · 36"


def test_a_column_of_numbers_gets_a_color_bar(flat) -> None:
    fig, ax = plot_map(flat, values=pd.Series(np.r_[np.arange(59.0), np.nan], name="width"))
    assert len(fig.axes) == 2
    assert fig.axes[1].get_ylabel() == "width (1st to 99th percentile)"
    assert len(_scatter(ax, "missing").get_offsets()) == 1


def test_outliers_are_ringed(flat, partition) -> None:
    _, ax = plot_map(flat, partition, outliers=np.arange(60) < 7)
    assert len(_scatter(ax, "outliers").get_offsets()) == 7
    assert _legend(ax)[0] == "outlier · 7"


def test_unusable_rows_have_no_place(flat, partition) -> None:
    vectors = flat.vectors.copy()
    vectors[55] = np.nan
    _, ax = plot_map(Descriptor("holed", vectors), partition)
    assert len(_scatter(ax, "clustered").get_offsets()) == 54
    assert "59 of 60 images" in ax.get_title(loc="left")


def test_three_features_give_a_3d_map_named_after_the_transformer(toy_space) -> None:
    projection = transform(toy_space, PCA(3))
    _, ax = plot_map(projection, Partition(np.zeros(120, int), toy_space, "one"))
    assert ax.name == "3d"
    share = projection.transformer.explained_variance_ratio_[2]
    assert ax.get_zlabel() == f"PCA 3 ({share:.1%} of variance)"
    # Without noise nothing invisible stretches the box.
    assert ax.get_xlim()[1] < projection.vectors[:, 0].max() + np.ptp(projection.vectors[:, 0])


@pytest.fixture(scope="module")
def crowd() -> tuple[Descriptor, Partition]:
    """More points than dots are drawn of, on four places: those of cluster 0, of cluster 1, of both, and of noise."""
    places = np.array([[0, 0], [1, 0], [0.5, 1], [1, 1]], dtype=np.float32)
    labels = np.repeat([0, 1, 0, 1, -1], [30_000, 20_000, 30, 10, 5_000])
    flat = Descriptor("crowd", places[np.repeat([0, 1, 2, 3], [30_000, 20_000, 40, 5_000])])
    return flat, Partition(labels, flat, "kmeans")


def _layer(ax, label):
    return next(image for image in ax.images if image.get_label() == label)


def _pixel(image, x: float, y: float) -> np.ndarray:
    left, right, bottom, top = image.get_extent()
    values = image.get_array()
    height, width = values.shape[:2]
    return np.asarray(values[int((y - bottom) / (top - bottom) * height), int((x - left) / (right - left) * width)])


def test_many_points_become_pixels_with_the_mean_color_of_all_rows(crowd) -> None:
    fig, ax = plot_map(*crowd)
    assert not ax.collections
    assert _legend(ax) == ["0 · 30,030", "1 · 20,010", "noise · 5,000"]
    assert "55,040 images, 2 clusters, 9.1% noise" in ax.get_title(loc="left")
    clustered, noise = _layer(ax, "clustered"), _layer(ax, "noise")
    assert noise.get_zorder() < clustered.get_zorder()
    colors = np.array([to_rgb(color) for color in palette(2)])
    for place, expected in {(0, 0): colors[0], (1, 0): colors[1], (0.5, 1): [0.75, 0.25] @ colors}.items():
        np.testing.assert_allclose(_pixel(clustered, *place)[:3], expected, atol=1e-6)
    assert _pixel(clustered, 0, 0)[3] > _pixel(clustered, 0.5, 1)[3] > 0.5
    assert _pixel(clustered, 1, 1)[3] == 0
    np.testing.assert_allclose(_pixel(noise, 1, 1), [*to_rgb(NOISE_COLOR), 1])
    assert np.count_nonzero(clustered.get_array()[..., 3]) == 3
    fig.canvas.draw()


def test_pixels_are_square_and_cover_every_point(crowd) -> None:
    image = _layer(plot_map(crowd[0])[1], "images")
    left, right, bottom, top = image.get_extent()
    height, width = image.get_array().shape[:2]
    assert (right - left) / width == pytest.approx((top - bottom) / height)
    assert left < 0 < 1 < right
    assert bottom < 0 < 1 < top
    assert max(height, width) > 300


def test_many_values_become_their_mean_per_pixel(crowd) -> None:
    flat, partition = crowd
    values = pd.Series(np.arange(len(flat), dtype=float), name="width").where(partition.clustered)
    fig, ax = plot_map(flat, values=values)
    image = _layer(ax, "values")
    for place, first, last in [((0, 0), 0, 30_000), ((1, 0), 30_000, 50_000), ((0.5, 1), 50_000, 50_040)]:
        assert float(_pixel(image, *place)) == pytest.approx((first + last - 1) / 2)
    assert image.get_array().mask.sum() == image.get_array().size - 3
    assert _pixel(_layer(ax, "missing"), 1, 1)[3] == 1
    assert fig.axes[1].get_ylabel() == "width (1st to 99th percentile)"


def test_many_words_keep_their_paint_and_many_outliers_become_dots(crowd) -> None:
    flat, partition = crowd
    words = pd.Series(np.where(partition.labels == 0, "white", "red"), name="color")
    _, ax = plot_map(flat, values=words, outliers=np.arange(len(flat)) < 2_000)
    assert _legend(ax) == ["outlier · 2,000", "white · 30,030", "red · 25,010"]
    np.testing.assert_allclose(_pixel(_layer(ax, "values"), 0, 0), [*to_rgb(named_color("white") or ""), 1], atol=1e-6)
    outliers = _scatter(ax, "outliers")
    assert len(outliers.get_offsets()) == 2_000
    assert to_hex(outliers.get_facecolors()[0]) == "#000000"


def test_points_on_one_spot_and_samples_of_many_are_drawn(crowd) -> None:
    one = Descriptor("spot", np.ones((MAX_DOTS + 1, 2), dtype=np.float32))
    assert np.count_nonzero(_layer(plot_map(one)[1], "images").get_array()[..., 3]) == 1
    _, ax = plot_map(*crowd, max_points=1_000)
    assert not ax.images
    assert "of 55,040 images" in ax.get_title(loc="left")


def test_a_long_title_is_broken_to_the_width_of_the_figure(flat, partition) -> None:
    _, ax = plot_map(flat, partition, title="a projection with a name " * 6, figsize=(4, 3))
    assert max(map(len, ax.get_title(loc="left").splitlines())) <= 4 * 13


def test_wrong_shapes_are_named(toy_space, flat, partition) -> None:
    with pytest.raises(ValueError, match=r"must have 2 or 3 features. Got 'toy' with 8 instead"):
        plot_map(toy_space)
    with pytest.raises(ValueError, match=r"one label per row of `projection`, 3. Got 60 instead"):
        plot_map(flat.take([0, 1, 2]), partition)
    with pytest.raises(ValueError, match=r"`values` must have one entry per image, shape \(60,\)"):
        plot_map(flat, values=[1, 2])
    with pytest.raises(ValueError, match=r"`outliers` must have one entry per image"):
        plot_map(flat, outliers=[True])


def test_stratified_rows_keep_proportions_and_order() -> None:
    strata = np.repeat([0, 1, 2], [900, 90, 10])
    rows = stratified_rows(np.arange(1000), strata, max_rows=100, random_state=0)
    assert np.bincount(strata[rows]).tolist() == [90, 9, 1]
    assert np.all(np.diff(rows) > 0)
    assert np.array_equal(rows, stratified_rows(np.arange(1000), strata, max_rows=100, random_state=0))
