"""Every claim of a description holds for the figures it states."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Descriptor, Partition, describe, profile
from veriwild_clustering.interpretation.findings import claims


@pytest.fixture
def partition(toy_space) -> Partition:
    """The toy space with its true clusters."""
    return Partition(np.repeat([0, 1, 2], [60, 40, 20]), toy_space, "kmeans")


def test_every_claim_holds(partition, toy_dataset):
    images = toy_dataset.images.copy()
    images.loc[::7, "type"] = "van"
    images.loc[::11, "type"] = None
    text = describe(partition, images, columns=["type", "color"])["text"]
    n_claims = 0
    for cluster, sentence in enumerate(text):
        members = images["type"].iloc[partition.members(cluster)]
        pattern = r"(\d+) %(?: of the (\d+) known)? (\w+) \(([\d.]+) times its share overall\)"
        for percent, known, value, lift in re.findall(pattern, sentence):
            share = (members == value).sum() / members.notna().sum()
            overall = (images["type"] == value).sum() / images["type"].notna().sum()
            assert int(percent) == round(100 * share)
            assert int(known) == members.notna().sum()
            assert float(lift) == pytest.approx(share / overall, abs=0.05)
            n_claims += 1
    assert n_claims >= 3


def test_head_states_size_share_and_vehicles(partition, toy_dataset):
    table = describe(partition, toy_dataset.images)
    assert table["text"][1].startswith("Cluster 1 (40 images, 33.3 %, 20 vehicles): 100 % bus (3.0 times its share")
    assert table["size"].tolist() == [60, 40, 20]
    np.testing.assert_allclose(table["share"], [0.5, 1 / 3, 1 / 6])


def test_spread_and_nearest_cluster_are_measured(partition, toy_dataset):
    points = partition.descriptor.vectors.astype(float)
    centers = np.array([points[partition.labels == c].mean(axis=0) for c in range(3)])
    own = np.linalg.norm(points - centers[partition.labels], axis=1)
    for cluster, sentence in enumerate(describe(partition, toy_dataset.images)["text"]):
        spread, nearest = re.search(
            r"Spread ([\d.]+) times the average; nearest to cluster (\d)[,;.]", sentence
        ).groups()
        assert float(spread) == pytest.approx(own[partition.labels == cluster].mean() / own.mean(), abs=0.005)
        distances = np.linalg.norm(centers - centers[cluster], axis=1)
        assert int(nearest) == np.argsort(distances)[1]


def test_claims_are_those_whose_interval_excludes_the_overall_share(partition, toy_dataset):
    rng = np.random.default_rng(0)
    images = toy_dataset.images.assign(view=rng.choice(["front", "rear"], 120), width=rng.integers(50, 200, 120))
    table = profile(partition, images)
    stated = claims(table)
    assert (stated["low"] > stated["overall_share"]).all()
    assert (stated["count"] >= 0.2 * partition.sizes[stated["cluster"]]).all()
    assert not stated.duplicated(["cluster", "column"]).any()
    assert stated.groupby("cluster").size().max() <= 3
    assert (stated.groupby("cluster")["column"].first() == "type").all()
    assert len(stated.merge(table)) == len(stated)


def test_a_cluster_of_two_values_names_both_but_no_third(partition, toy_dataset):
    images = toy_dataset.images.copy()
    images["color"] = "white"
    images.loc[partition.members(1), "color"] = ["grey"] * 16 + ["blue"] * 12 + ["red"] * 12
    stated = claims(profile(partition, images, columns=["color"]))
    assert stated.loc[stated["cluster"] == 1, "value"].tolist() == ["grey", "blue"]


def test_random_attributes_are_not_claimed(partition, toy_dataset):
    images = toy_dataset.images[["path", "color"]]
    assert describe(partition, images)["text"].str.contains("no known attribute stands out").all()


def test_a_value_known_for_one_image_alone_is_not_claimed(partition, toy_dataset):
    images = toy_dataset.images.assign(model=None)
    images.loc[[3, 70, 110], "model"] = ["A", "B", "B"]
    assert not describe(partition, images)["text"].str.contains("model").any()


def test_a_share_is_not_rounded_up_to_the_whole():
    kinds = np.array(["bus"] * 499 + ["car"] * 501)
    partition = Partition(np.repeat([0, 1], 500), Descriptor("d", np.eye(1000, 2, dtype=np.float32)), "kmeans")
    text = describe(partition, pd.DataFrame({"type": kinds}))["text"]
    assert ": over 99 % bus (2.0 times" in text[0]
    assert ": 100 % car (2.0 times" in text[1]


def test_without_attributes_sizes_are_described(partition):
    sizes = np.repeat([300, 120, 80], [60, 40, 20]) + np.arange(120) % 20
    images = pd.DataFrame({"path": [f"{i}.jpg" for i in range(120)], "width": sizes, "height": 100})
    text = describe(partition, images)["text"]
    edge = np.quantile(sizes, 2 / 3)
    share = np.mean(sizes[:60] > edge)
    lift = share / np.mean(sizes > edge)
    said = f"{100 * share:.0f} % with width above {edge:.4g} px ({lift:.1f} times its share overall)"
    assert text[0].startswith(f"Cluster 0 (60 images, 50.0 %): {said}")


def test_one_cluster_has_no_nearest(toy_space, toy_dataset):
    partition = Partition(np.zeros(120, dtype=int), toy_space, "kmeans")
    text = describe(partition, toy_dataset.images)["text"]
    assert text.tolist() == [
        "Cluster 0 (120 images, 100.0 %, 60 vehicles): no known attribute stands out. Spread 1.00 times the average."
    ]


def test_all_noise_is_described_by_nothing(toy_space, toy_dataset):
    table = describe(Partition(np.full(120, -1), toy_space, "hdbscan"), toy_dataset.images)
    assert len(table) == 0
    assert list(table) == ["cluster", "size", "share", "text"]


def test_identical_points_have_an_average_spread(toy_dataset):
    partition = Partition(np.repeat([0, 1], 60), Descriptor("same", np.ones((120, 2), dtype=np.float32)), "kmeans")
    assert describe(partition, toy_dataset.images)["text"].str.contains("Spread 1.00 times").all()
