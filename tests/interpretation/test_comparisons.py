"""A comparison counts what two partitions share and names the attribute that splits a cluster."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering import Descriptor, Partition, compare_partitions


def partition(labels, name: str = "osnet", algorithm: str = "kmeans", **params) -> Partition:
    return Partition(labels, Descriptor(name, np.zeros((len(labels), 1))), algorithm, params=params)


@pytest.fixture
def images() -> pd.DataFrame:
    """120 images, each of its own vehicle: sedans and buses, white and black."""
    return pd.DataFrame({"type": ["sedan", "bus"] * 60, "color": ["white"] * 62 + ["black"] * 58})


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4)), min_size=1, max_size=60))
def test_overlaps_agree_with_counting(pairs):
    first, second = (partition(labels) for labels in np.array(pairs).T)
    table = compare_partitions(first, second).table
    assert table["count"].sum() == first.sizes.sum()
    np.testing.assert_allclose(table.groupby("cluster")["share"].sum(), 1)
    for row in table.itertuples():
        inside = (first.labels == row.cluster) & (second.labels == row.part)
        assert row.count == inside.sum() > 0
        assert row.share == pytest.approx(inside.sum() / (first.labels == row.cluster).sum())
        assert row.part_share == pytest.approx(inside.sum() / (second.labels == row.part).sum())
        assert row.named <= (row.share >= 0.1)
    moved = set(compare_partitions(first, second).moved.tolist())
    for cluster, rows in table.groupby("cluster"):
        members = np.flatnonzero(first.labels == cluster)
        main = np.unique(second.labels[members])[np.unique(second.labels[members], return_counts=True)[1].argmax()]
        assert moved & set(members.tolist()) == set(members[second.labels[members] != main].tolist())
        assert rows["count"].is_monotonic_decreasing
        assert rows["named"].sum() <= (1 if rows["share"].max() >= 0.9 else 4)
    assert moved <= set(np.flatnonzero(first.clustered).tolist())


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(-1, 3), min_size=2, max_size=40), st.sampled_from(["en", "ru"]))
def test_a_partition_compared_with_itself_is_itself(labels, language):
    own = partition(labels)
    for row in compare_partitions(own, partition(labels, "color_model"), language=language).texts.itertuples():
        assert f"{row.cluster} (100 %)" in row.text
        assert ("makes 100 % of it" if language == "en" else "составляет 100 % этого кластера") in row.text


def test_the_attribute_that_splits_a_cluster_is_named(images):
    whole = partition(np.zeros(120, int))
    halves = partition(np.repeat([0, 1], [60, 60]), "color_model")
    english = compare_partitions(whole, halves, images)
    russian = compare_partitions(whole, halves, images, language="ru")
    assert english.texts["text"].tolist() == [
        "Cluster 0 of kmeans on osnet (120 images) is clusters 0 (50 %) and 1 (50 %) of kmeans on color_model, "
        "split by colour: cluster 0 is 100 % white, cluster 1 is 97 % black."
    ]
    assert russian.texts["text"].tolist() == [
        "Кластер 0 разбиения kmeans по osnet (120 изображений) — это кластеры 0 (50 %) и 1 (50 %) разбиения "
        "kmeans по color_model; "
        "эти части различает цвет: в кластере 0 белые — 100 %, в кластере 1 чёрные — 97 %."
    ]
    stated = english.differences[english.differences["stated"]]
    assert stated[["part", "column", "value"]].to_numpy().tolist() == [[0, "color", "white"], [1, "color", "black"]]
    np.testing.assert_allclose(stated["share"], [1, 58 / 60])
    np.testing.assert_allclose(stated["other_share"], [2 / 60, 0])


def test_other_parts_are_what_a_part_is_compared_with(images):
    thirds = partition(np.repeat([0, 1, 2], 40), "color_model")
    table = compare_partitions(partition(np.zeros(120, int)), thirds, images).differences
    assert len(table) == 3 * 4
    for row in table.itertuples():
        inside = thirds.labels == row.part
        holds = images[row.column] == row.value
        assert row.share == pytest.approx(holds[inside].mean())
        assert row.other_share == pytest.approx(holds[~inside].mean())


def test_a_split_that_nothing_explains_is_said_to_be_one(images):
    labels = np.random.default_rng(0).integers(0, 2, 120)
    texts = [
        compare_partitions(partition(np.zeros(120, int)), partition(labels, "b"), images, language=language).texts
        for language in ("en", "ru")
    ]
    assert texts[0]["text"][0].endswith("of kmeans on b, split by no known attribute.")
    assert texts[1]["text"][0].endswith("разбиения kmeans по b; эти части не различает ни один известный признак.")


def test_without_images_nothing_is_said_of_attributes():
    comparison = compare_partitions(partition([0] * 10), partition([0] * 6 + [1] * 4, "b"))
    assert comparison.texts["text"][0].endswith("is clusters 0 (60 %) and 1 (40 %) of kmeans on b.")
    assert len(comparison.differences) == 0


def test_noise_is_a_part(images):
    whole = partition(np.zeros(120, int))
    half_noise = partition(np.repeat([0, -1], [60, 60]), "b", "hdbscan")
    english, russian = (
        compare_partitions(whole, half_noise, images, language=language).texts["text"][0] for language in ("en", "ru")
    )
    assert "is cluster 0 (50 %) and noise (50 %) of hdbscan on b" in english
    assert english.endswith("split by colour: cluster 0 is 100 % white, the noise is 97 % black.")
    assert "это кластер 0 (50 %) и шум (50 %) разбиения hdbscan по b" in russian
    assert russian.endswith("различает цвет: в кластере 0 белые — 100 %, в шуме чёрные — 97 %.")
    back = compare_partitions(half_noise, whole)
    assert back.texts["text"].tolist() == [
        "Cluster 0 of hdbscan on b (60 images) is cluster 0 (100 %) of kmeans on osnet and makes 50 % of it."
    ]


def test_a_cluster_in_many_small_parts_is_scattered():
    comparison = compare_partitions(partition(np.zeros(63, int)), partition(np.arange(63) % 21, "b"))
    text = comparison.texts["text"][0]
    assert text.endswith("is scattered over 21 clusters of kmeans on b, at most 5 % of it in one.")
    assert not comparison.table["named"].any()
    russian = compare_partitions(partition(np.zeros(63, int)), partition(np.arange(63) % 21, "b"), language="ru")
    assert "рассеян по 21 кластеру разбиения kmeans по b, в каждом не больше 5 %" in russian.texts["text"][0]


def test_a_cluster_is_not_called_after_its_small_parts():
    labels = np.repeat([0, 1, *range(2, 12), -1], [12, 11, *[5] * 10, 27])
    comparison = compare_partitions(partition(np.zeros(100, int)), partition(labels, "b"))
    named = "is clusters 0 (12 %), 1 (11 %) and noise (27 %) of kmeans on b."
    assert comparison.texts["text"][0].endswith(named)
    labels[0] = 2  # the named parts now hold less than half
    scattered = compare_partitions(partition(np.zeros(100, int)), partition(labels, "b"))
    assert scattered.texts["text"][0].endswith(
        "is scattered over 12 clusters of kmeans on b, at most 11 % of it in one."
    )
    assert not scattered.table["named"].any()


def test_vehicles_seen_often_are_one_witness_each(images):
    whole, halves = partition(np.zeros(120, int)), partition(np.repeat([0, 1], 60), "b")
    few = images.assign(vehicle_id=np.arange(120) // 40)
    assert compare_partitions(whole, halves, images).differences["clear"].any()
    assert not compare_partitions(whole, halves, few).differences["clear"].any()


@pytest.mark.parametrize(
    ("second", "named"),
    [
        (partition([0, 1], "b"), ("kmeans on a (", "kmeans on b ")),
        (partition([0, 1], "a", n_clusters=2), ("kmeans() on a (", "kmeans(n_clusters=2) on a ")),
        (partition([0, 1], "a"), ("kmeans() (1) on a (", "kmeans() (2) on a ")),
    ],
)
def test_partitions_are_named_as_far_as_tells_them_apart(second, named):
    text = compare_partitions(partition([0, 0], "a"), second).texts["text"][0] + " "
    assert all(name in text.replace(".", " ") for name in named)


def test_bad_arguments_are_named(images):
    one, other = partition([0] * 120), partition([0] * 119)
    with pytest.raises(ValueError, match=r"`second.labels` must have one entry per image"):
        compare_partitions(one, other)
    with pytest.raises(ValueError, match="`images` must have one entry per image"):
        compare_partitions(one, one, images.head(3))
    with pytest.raises(ValueError, match="`language` must be one of"):
        compare_partitions(one, one, language="fr")
    with pytest.raises(ValueError, match="Unknown column"):
        compare_partitions(one, one, images, columns=["brand"])
