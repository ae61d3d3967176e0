"""The tables of a summary agree with brute force, published values and each other."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, false_discovery_control

from veriwild_clustering import Descriptor, Partition, describe, exemplars, profile, summarize


@pytest.fixture
def partition() -> Partition:
    """Three overlapping clusters of 60, 40 and 25 points and 5 of noise."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2, -1], [60, 40, 25, 5])
    points = rng.normal(scale=2, size=(3, 5))[labels] + rng.normal(size=(130, 5))
    confidence = rng.random(130)
    return Partition(labels, Descriptor("toy", points), "hdbscan", confidence=confidence)


@pytest.fixture
def images() -> pd.DataFrame:
    """A type that follows the cluster, a colour that does not, one to four images per vehicle."""
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2, 0], [60, 40, 25, 5])
    kinds = np.array(["sedan", "bus", "truck"], dtype=object)
    vehicles = np.sort(rng.integers(0, 60, 130))
    table = pd.DataFrame(
        {
            "path": [f"{i}.jpg" for i in range(130)],
            "vehicle_id": [f"{i:05d}" for i in vehicles],
            "type": kinds[np.where(rng.random(130) < 0.2, rng.integers(0, 3, 130), labels)],
            "color": rng.choice(["white", "black"], 130),
        }
    )
    table.loc[3:9, "type"] = None
    table.loc[120:122, "vehicle_id"] = None
    return table


def test_shape_of_the_tables(partition, images):
    summaries = summarize(partition, images)
    assert summaries.table.drop(columns="text").dtypes.astype(str).to_dict() == {
        "cluster": "int64", "size": "int64", "share": "float64", "spread": "float64", "confidence": "float64",
        "nearest": "int64", "n_vehicles": "Int64", "vehicle_purity": "float64", "vehicle_purity_low": "float64",
        "vehicle_purity_high": "float64", "vehicle_purity_chance": "float64",
    }  # fmt: skip
    assert list(summaries.exemplars) == ["cluster", "rank", "row", "distance", "confidence"]
    near = ["cluster", "rank", "row", "distance", "other", "other_distance", "confidence"]
    assert list(summaries.borderline) == near
    assert list(summaries.differences) == [
        "cluster", "other", "column", "value", "share", "other_share", "difference", "low", "high", "missing",
        "p_value", "q_value", "clear",
    ]  # fmt: skip
    assert list(summaries.sources) == list(summaries.profile)
    assert "3 clusters" in repr(summaries)
    assert summaries.table["text"][1] in summaries._repr_html_()


def test_texts_and_profile_are_those_of_describe_and_profile(partition, images):
    for language in ("en", "ru"):
        summaries = summarize(partition, images, language=language)
        assert summaries.table["text"].tolist() == describe(partition, images, language=language)["text"].tolist()
    pd.testing.assert_frame_equal(summaries.profile, profile(partition, images))


def test_vehicle_purity_agrees_with_counting(partition, images):
    table = summarize(partition, images).table
    n_images, vehicles = len(images), images["vehicle_id"]
    sightings = vehicles.value_counts()
    for row in table.itertuples():
        inside = vehicles[partition.labels == row.cluster].value_counts()
        repeated = inside[sightings[inside.index] > 1]
        whole = int((repeated == sightings[repeated.index]).sum())
        assert row.n_vehicles == len(inside)
        assert row.vehicle_purity == pytest.approx(whole / len(repeated))
        interval = binomtest(whole, len(repeated)).proportion_ci(method="wilson")
        np.testing.assert_allclose([row.vehicle_purity_low, row.vehicle_purity_high], [interval.low, interval.high])
        every, none = (
            sum(comb(n_images - m, row.size - held(m)) / comb(n_images, row.size) for m in sightings[sightings > 1])
            for held in (lambda m: m, lambda _: 0)
        )
        assert row.vehicle_purity_chance == pytest.approx(every / ((sightings > 1).sum() - none))


def test_chance_is_what_random_clusters_have():
    rng = np.random.default_rng(2)
    images = pd.DataFrame({"vehicle_id": np.arange(60) // 2})
    space = Descriptor("toy", rng.normal(size=(60, 2)))
    tables = [
        summarize(Partition(rng.permutation(np.repeat([0, 1], [45, 15])), space, "x"), images).table for _ in range(40)
    ]
    counted = pd.concat(tables).groupby("cluster")[["vehicle_purity", "vehicle_purity_chance"]].mean()
    np.testing.assert_allclose(counted["vehicle_purity"], counted["vehicle_purity_chance"], atol=0.05)


def test_images_are_those_of_exemplars_and_their_distances_hold(partition, images):
    summaries = summarize(partition, images, n_images=5)
    points = partition.descriptor.vectors.astype(float)
    centers = np.array([points[partition.labels == cluster].mean(axis=0) for cluster in range(3)])
    for kind, table in (("exemplar", summaries.exemplars), ("borderline", summaries.borderline)):
        expected = exemplars(partition, n=5, kind=kind, groups=images["vehicle_id"])
        for cluster, rows in table.groupby("cluster"):
            assert rows["row"].tolist() == expected[cluster].tolist()
            assert rows["rank"].tolist() == list(range(5))
    for row in summaries.borderline.itertuples():
        distances = np.linalg.norm(centers - points[row.row], axis=1)
        assert row.distance == pytest.approx(distances[row.cluster], rel=1e-5)
        distances[row.cluster] = np.inf
        assert row.other == distances.argmin()
        assert row.other_distance == pytest.approx(distances.min(), rel=1e-5)
        assert row.confidence == partition.confidence[row.row]


def test_difference_interval_is_the_published_one():
    """Newcombe (1998), table II, method 10: 56 of 70 against 48 of 80."""
    labels = np.repeat([0, 1], [80, 70])
    images = pd.DataFrame({"type": ["bus"] * 48 + ["car"] * 32 + ["bus"] * 56 + ["car"] * 14})
    points = labels[:, None].astype(float)
    table = summarize(Partition(labels, Descriptor("toy", points), "by hand"), images).differences
    row = table[(table["cluster"] == 1) & (table["value"] == "bus")].iloc[0]
    np.testing.assert_allclose(row[["difference", "low", "high"]].to_list(), [0.2, 0.0524, 0.3339], atol=5e-5)


def test_differences_are_clear_by_interval_size_and_q_value(partition, images):
    table = summarize(partition, images).differences
    np.testing.assert_allclose(table["q_value"], false_discovery_control(table["p_value"]))
    apart = (table["low"] * table["high"] > 0) & (table["difference"].abs() >= 0.2) & (table["q_value"] <= 0.05)
    assert table["clear"].tolist() == apart.tolist()
    assert table.loc[table["clear"], "column"].unique().tolist() == ["type"]
    assert table.groupby("cluster")["clear"].first().all()
    np.testing.assert_allclose(table["difference"], table["share"] - table["other_share"])
    sides = table["cluster"].map(images["type"].isna().groupby(partition.labels).sum())
    sides += table["other"].map(images["type"].isna().groupby(partition.labels).sum())
    assert table["missing"].tolist() == sides.where(table["column"] == "type", 0).tolist()


def test_claims_keep_their_false_share_by_their_p_values(partition, images):
    images = images.drop(columns="vehicle_id")
    summaries = summarize(partition, images)
    table = summaries.profile
    for row in table.itertuples():
        exact = binomtest(row.count, row.known, row.overall_share, alternative="greater").pvalue
        assert row.p_value == pytest.approx(exact)
    adjusted = table.assign(q_value=false_discovery_control(table["p_value"]))
    stated = summaries.claims.merge(adjusted, on=["cluster", "column", "value"], suffixes=("", "_expected"))
    assert len(stated) == len(summaries.claims) > 0
    np.testing.assert_allclose(stated["q_value"], stated["q_value_expected"])
    assert (stated["q_value"] <= 0.05).all()


def test_without_vehicles_what_needs_them_is_missing(partition, images):
    summaries = summarize(partition, images.drop(columns="vehicle_id"))
    missing = ["n_vehicles", *(name for name in summaries.table if name.startswith("vehicle_purity"))]
    assert summaries.table[missing].isna().all(axis=None)
    assert not summaries.table["text"].str.contains("vehicle").any()


def test_vehicles_seen_once_have_no_purity(partition, images):
    summaries = summarize(partition, images.assign(vehicle_id=np.arange(130)))
    assert summaries.table["vehicle_purity"].isna().all()
    assert summaries.table["vehicle_purity_chance"].isna().all()
    assert summaries.table["n_vehicles"].tolist() == [60, 40, 25]
    assert not summaries.table["text"].str.contains("wholly").any()


def test_one_cluster_has_neither_border_nor_neighbour(images):
    space = Descriptor("toy", np.random.default_rng(0).normal(size=(130, 3)))
    summaries = summarize(Partition(np.zeros(130, int), space, "kmeans"), images)
    assert summaries.table["nearest"].tolist() == [-1]
    assert len(summaries.borderline) == len(summaries.differences) == 0
    assert len(summaries.exemplars) == 8


def test_all_noise_gives_empty_tables(images):
    summaries = summarize(Partition(np.full(130, -1), Descriptor("toy", np.ones((130, 2))), "hdbscan"), images)
    tables = [summaries.table, summaries.exemplars, summaries.borderline, summaries.claims, summaries.differences]
    assert [len(table) for table in tables] == [0] * 5
    assert "text" in summaries.table


def test_bad_arguments_are_named(partition, images):
    with pytest.raises(ValueError, match="`language` must be one of 'en', 'ru'"):
        summarize(partition, images, language="de")
    with pytest.raises(ValueError, match="`n_images` must be an int"):
        summarize(partition, images, n_images=0)
    with pytest.raises(ValueError, match="`images` must have one entry per image"):
        summarize(partition, images.head(3))
    with pytest.raises(ValueError, match="Unknown column 'brand'"):
        summarize(partition, images, columns=["brand"])
