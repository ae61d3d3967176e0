"""Groups of images: found where there are some, chosen the same way each time, one or none where there is nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from veriwild_clustering import Descriptor
from veriwild_clustering.apps.engine.grouping import group_images
from veriwild_clustering.core.pickles import read_pickled_array


def _directions(sizes: tuple[int, ...], *, seed: int = 0) -> tuple[Descriptor, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    vectors = 4 * np.eye(len(sizes), 16)[truth] + rng.normal(size=(len(truth), 16)) * 0.4
    return Descriptor("toy", vectors.astype(np.float32)), truth


@pytest.fixture(scope="module")
def many():
    space, truth = _directions((30, 24, 16))
    return space, truth, group_images(space, progress=False)


def test_groups_are_those_of_the_data_and_the_reasons_say_why(many) -> None:
    _, truth, grouping = many
    assert adjusted_rand_score(truth, grouping.partition.labels) > 0.95
    assert grouping.layout.vectors.shape == (70, 3)
    assert np.isfinite(grouping.layout.vectors).all()
    assert grouping.n_compared >= 20
    assert "ranks first of" in grouping.reasons[0]


def test_the_same_vectors_give_the_same_groups_and_places(many) -> None:
    space, _, grouping = many
    again = group_images(space, progress=False)
    assert (again.partition.labels == grouping.partition.labels).all()
    assert (again.layout.vectors == grouping.layout.vectors).all()
    assert again.reasons == grouping.reasons


def test_few_images_are_grouped_without_a_graph() -> None:
    space, truth = _directions((12, 10, 8))
    grouping = group_images(space, progress=False)
    assert adjusted_rand_score(truth, grouping.partition.labels) > 0.9
    assert grouping.layout.vectors.shape == (30, 3)


def test_noise_is_left_where_that_is_asked_for() -> None:
    space, _ = _directions((20, 16))
    stray = np.vstack([space.vectors, -4 * np.eye(16)[[15, 14]]]).astype(np.float32)
    kept = group_images(Descriptor("stray", stray), keep_noise=True, progress=False).partition
    joined = group_images(Descriptor("stray", stray), progress=False).partition
    assert (kept.labels[-2:] == -1).all()
    assert joined.noise_fraction == 0
    assert (joined.confidence[-2:] <= 0.5).all()


@pytest.mark.parametrize("n_images", [1, 2, 4])
def test_too_few_images_are_in_no_group_but_have_places(n_images) -> None:
    grouping = group_images(Descriptor("few", np.eye(4)[:n_images]))
    assert (grouping.partition.labels == -1).all()
    assert grouping.layout.vectors.shape == (n_images, 3)
    assert "too few to tell groups" in grouping.reasons[0]


def test_equal_images_are_one_group() -> None:
    grouping = group_images(Descriptor("equal", np.ones((30, 4))))
    assert (grouping.partition.labels == 0).all()
    assert grouping.reasons == ["All vectors are equal: one group."]
    assert (grouping.layout.vectors == 0).all()


def test_many_duplicates_make_no_error() -> None:
    vectors = np.vstack([np.repeat(np.eye(3), 12, axis=0), [[0.5, 0.5, 0]]])
    grouping = group_images(Descriptor("copies", vectors), progress=False)
    assert adjusted_rand_score(np.repeat([0, 1, 2], 12), grouping.partition.labels[:36]) == 1


def test_unusable_images_stay_in_place() -> None:
    space, _ = _directions((12, 10))
    vectors = space.vectors.copy()
    vectors[[0, 15]] = np.nan
    grouping = group_images(Descriptor("holes", vectors), progress=False)
    assert grouping.partition.labels[[0, 15]].tolist() == [-1, -1]
    assert np.isnan(grouping.layout.vectors[[0, 15]]).all()
    assert np.isfinite(np.delete(grouping.layout.vectors, [0, 15], axis=0)).all()


@pytest.mark.parametrize("n_groups", [2, 3, 5])
def test_a_number_of_groups_that_is_given_is_kept_to(many, n_groups) -> None:
    space, truth, _ = many
    grouping = group_images(space, n_groups=n_groups, progress=False)
    assert grouping.partition.n_clusters == n_groups
    assert grouping.partition.noise_fraction == 0
    assert n_groups != 3 or adjusted_rand_score(truth, grouping.partition.labels) == 1


@pytest.mark.parametrize("n_groups", [1, 70, 2.0])
def test_a_number_of_groups_that_cannot_be_is_refused(many, n_groups) -> None:
    with pytest.raises((TypeError, ValueError), match=r"`n_groups` must be an int in \[2, n_images\)"):
        group_images(many[0], n_groups=n_groups, progress=False)


@pytest.mark.real
def test_groups_of_real_vehicles_agree_with_their_type_as_plain_clusterings_do(real_raw_data) -> None:
    """Density clusters beside HDBSCAN in a UMAP (0.51 and 0.78 by the sample's own table), k-means beside k-means."""
    truth = pd.read_csv(real_raw_data.parent / "truth.csv")
    whole, kinds = truth["corruption"].isna(), truth["type"] + " " + truth["view"]
    osnet = Descriptor("osnet", read_pickled_array(real_raw_data / "descriptors" / "osnet.pickle"))
    found, told = (group_images(osnet, n_groups=n, progress=False).partition.labels for n in (None, 5))
    assert adjusted_rand_score(truth["type"][whole], found[whole]) >= 0.50
    assert adjusted_rand_score(kinds[whole], found[whole]) >= 0.77
    assert adjusted_rand_score(truth["type"][whole], told[whole]) >= 0.57
