"""Profiles count right, their intervals are Wilson's, and missing values are left out and counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from veriwild_clustering import Descriptor, Partition, profile


@pytest.fixture
def images() -> pd.DataFrame:
    """200 images with a type that follows the cluster, a colour that does not, sizes, and holes in them."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [100, 60, 40])
    kinds = np.array(["sedan", "bus", "truck"], dtype=object)
    noisy = np.where(rng.random(200) < 0.2, rng.integers(0, 3, 200), labels)
    table = pd.DataFrame(
        {
            "path": [f"veriwild/1/{i:05d}/{i:06d}.jpg" for i in range(200)],
            "vehicle_id": [f"{i // 4:05d}" for i in range(200)],
            "folder": "1",
            "width": rng.integers(50, 300, 200).astype(float),
            "height": 100.0,
            "type": kinds[noisy],
            "color": rng.choice(["white", "black"], 200),
            "camera": rng.integers(1, 30, 200),
            "has_osnet": rng.random(200) < 0.5,
        }
    )
    table.loc[5:24, "type"] = None
    table.loc[150:160, "width"] = np.nan
    return table


@pytest.fixture
def partition() -> Partition:
    """Three clusters of 95, 60 and 40 images; the first five are noise."""
    labels = np.repeat([0, 1, 2], [100, 60, 40])
    labels[:5] = -1
    return Partition(labels, Descriptor("osnet", np.zeros((200, 2), dtype=np.float32)), "hdbscan")


def test_counts_shares_and_intervals_agree_with_brute_force(partition, images):
    images = images.drop(columns="vehicle_id")
    table = profile(partition, images, columns=["type", "color"])
    assert len(table) > 10
    for row in table.itertuples():
        members = images[row.column].iloc[partition.members(row.cluster)]
        count, known = int((members == row.value).sum()), int(members.notna().sum())
        interval = binomtest(count, known).proportion_ci(method="wilson")
        overall = (images[row.column] == row.value).sum() / images[row.column].notna().sum()
        assert (row.count, row.known, row.missing) == (count, known, len(members) - known)
        np.testing.assert_allclose(
            [row.share, row.overall_share, row.lift, row.low, row.high],
            [count / known, overall, count / known / overall, interval.low, interval.high],
        )


def test_images_of_one_vehicle_are_one_observation(partition, images):
    vehicles = images.assign(type=np.where(images.index // 4 % 3 > 0, "bus", "car"))
    table = profile(partition, vehicles, columns=["type"])
    one_each = vehicles.iloc[100::4]  # cluster 1 and 2 hold four images of each of their vehicles
    for row in table[table["cluster"] > 0].itertuples():
        members = one_each["type"][partition.labels[one_each.index] == row.cluster]
        interval = binomtest(int((members == row.value).sum()), len(members)).proportion_ci(method="wilson")
        np.testing.assert_allclose([row.low, row.high], [interval.low, interval.high])


def test_vehicles_seen_unequally_often_count_as_their_effective_number():
    labels = np.zeros(12, dtype=int)
    partition = Partition(labels, Descriptor("osnet", np.zeros((12, 1))), "kmeans")
    images = pd.DataFrame({"vehicle_id": ["a"] * 6 + ["b"] * 3 + ["c", None, None], "type": ["bus"] * 6 + ["car"] * 6})
    table = profile(partition, images, columns=["type"])
    effective = 12**2 / (6**2 + 3**2 + 1 + 1 + 1)
    z = 1.959963984540054
    ends = np.array([0.5 - z / 2 * np.sqrt(1 / (effective + z**2)), 0.5 + z / 2 * np.sqrt(1 / (effective + z**2))])
    np.testing.assert_allclose(table[["low", "high"]].to_numpy(), [ends, ends])


def test_missing_values_are_counted_and_shares_add_up(partition, images):
    table = profile(partition, images)
    assert set(table.loc[(table["cluster"] == 0) & (table["column"] == "type"), "missing"]) == {20}
    np.testing.assert_allclose(table.groupby(["cluster", "column"])["share"].sum(), 1)


def test_default_columns_are_the_telling_ones(partition, images):
    table = profile(partition, images)
    assert list(table["column"].unique()) == ["width", "type", "color", "camera", "aspect"]


def test_numbers_are_cut_into_bins_of_equally_many(partition, images):
    table = profile(partition, images, columns=["width"])
    low, high = images["width"].quantile([1 / 3, 2 / 3])
    counts = table.groupby("value")["count"].sum()
    assert set(counts.index) == {f"at most {low:.4g}", f"{low:.4g} to {high:.4g}", f"above {high:.4g}"}
    in_cluster = images["width"].iloc[partition.members(1)]
    first = table[(table["cluster"] == 1) & (table["value"] == f"at most {low:.4g}")]
    assert first["count"].item() == (in_cluster <= low).sum()


def test_labels_written_as_numbers_stay_labels(partition, images):
    assert set(profile(partition, images, columns=["camera"])["value"]) <= set(range(1, 30))


def test_profile_does_not_depend_on_the_order_of_rows(partition, images):
    order = np.random.default_rng(1).permutation(len(images))
    moved = Partition(partition.labels[order], partition.descriptor.take(order), "hdbscan")
    keys = ["cluster", "column", "value"]
    expected = profile(partition, images, columns=["type", "width"]).sort_values(keys, ignore_index=True)
    actual = profile(moved, images.iloc[order], columns=["type", "width"]).sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(actual, expected)


def test_most_frequent_value_comes_first(partition, images):
    for _, rows in profile(partition, images).groupby(["cluster", "column"]):
        assert rows["count"].is_monotonic_decreasing


def test_nothing_known_gives_an_empty_table(partition, images):
    table = profile(partition, images[["path", "vehicle_id"]])
    assert len(table) == 0
    assert list(table)[:4] == ["cluster", "column", "value", "count"]


def test_column_that_is_never_known_gives_no_row(partition, images):
    images["model"] = None
    assert len(profile(partition, images, columns=["model"])) == 0


def test_input_is_left_as_it_was(partition, images):
    before = images.copy()
    profile(partition, images)
    pd.testing.assert_frame_equal(images, before)


def test_bad_arguments_are_named(partition, images):
    with pytest.raises(ValueError, match="Unknown column 'brand'"):
        profile(partition, images, columns=["brand"])
    with pytest.raises(ValueError, match="`images` must have one entry per image"):
        profile(partition, images.head(3))
    with pytest.raises(ValueError, match="`n_bins` must be an int"):
        profile(partition, images, n_bins=1)
