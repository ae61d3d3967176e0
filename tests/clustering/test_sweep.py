"""Grids: what they mean, what they refuse, and that neither order nor parallel work changes the result."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import joblib
import numpy as np
import pytest
from sklearn.cluster import Birch, KMeans, MeanShift
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from veriwild_clustering import Dataset, Descriptor, Partition, sweep
from veriwild_clustering.clustering import grid as grid_module
from veriwild_clustering.clustering.families.agglomerative import AgglomerativeFamily
from veriwild_clustering.clustering.store import PartitionStore
from veriwild_clustering.core.progress import track

GRID = {
    "kmeans": {"n_clusters": range(2, 5), "init": ["k-means++", "random"]},
    "agglomerative": {"n_clusters": [2, 3], "linkage": ["ward", "single"]},
    "dbscan": {"eps": "knee"},
}


def _same(first: Partition, second: Partition) -> bool:
    return (
        first.name == second.name
        and dict(first.params) == dict(second.params)
        and np.array_equal(first.labels, second.labels)
        and np.allclose(first.confidence, second.confidence, atol=1e-6)
    )


def test_order_is_descriptors_then_the_grid_as_written(toy_dataset: Dataset):
    half = Descriptor("half", toy_dataset["toy"].vectors[:, :4])
    partitions = sweep([toy_dataset["toy"], half], GRID)
    assert len(partitions) == 2 * (6 + 4 + 1)
    assert [p.descriptor.name for p in partitions] == ["toy"] * 11 + ["half"] * 11
    assert [p.algorithm for p in partitions[:11]] == ["kmeans"] * 6 + ["agglomerative"] * 4 + ["dbscan"]
    assert [p.name for p in partitions[:3]] == [
        "kmeans(n_clusters=2, init=k-means++) on toy",
        "kmeans(n_clusters=2, init=random) on toy",
        "kmeans(n_clusters=3, init=k-means++) on toy",
    ]
    assert [p.params["linkage"] for p in partitions[6:10]] == ["ward", "single"] * 2


def test_a_dataset_is_a_sequence_of_descriptors(toy_dataset: Dataset):
    assert [p.descriptor.name for p in sweep(toy_dataset, {"kmeans": {"n_clusters": 3}})] == ["toy"]


def test_parallel_work_gives_the_same_partitions(toy_space: Descriptor, tmp_path):
    alone = sweep(toy_space, GRID, n_jobs=1)
    together = sweep(toy_space, GRID, n_jobs=2, store=tmp_path)
    assert all(_same(a, b) for a, b in zip(alone, together, strict=True))
    assert together[0].descriptor is toy_space


def test_seed_comes_from_the_grid_or_from_the_sweep(toy_space: Descriptor):
    grid = {"kmeans": {"n_clusters": 8, "init": "random"}}
    [first], [again], [other] = (sweep(toy_space, grid, random_state=seed) for seed in (0, 0, 1))
    assert _same(first, again)
    assert adjusted_rand_score(first.labels, other.labels) < 1
    seeds = sweep(toy_space, {"kmeans": {"n_clusters": 8, "init": "random", "random_state": [1, 0]}})
    assert [p.params["random_state"] for p in seeds] == [1, 0]
    np.testing.assert_array_equal(seeds[1].labels, first.labels)


def test_numpy_values_become_plain_ones(toy_space: Descriptor):
    [partition] = sweep(toy_space, {"kmeans": {"n_clusters": np.arange(3, 4)}})
    assert type(partition.params["n_clusters"]) is int


def test_any_scikit_learn_clusterer_joins_under_its_own_name(toy_space: Descriptor):
    prototype = Birch(threshold=1.0)
    steps = make_pipeline(StandardScaler(), KMeans(n_init=3))
    [birch, shift, piped] = sweep(
        toy_space,
        {
            "birch": (prototype, {"n_clusters": [3]}),
            "mean_shift": (MeanShift(), {"bandwidth": 6.0}),
            "scaled": (steps, {"kmeans__n_clusters": 3, "kmeans__random_state": 0}),
        },
    )
    assert adjusted_rand_score(Birch(threshold=1.0, n_clusters=3).fit_predict(toy_space.vectors), birch.labels) == 1.0
    assert birch.algorithm == "birch"
    assert "random_state" not in birch.params
    assert not hasattr(prototype, "labels_")
    assert shift.n_clusters == piped.n_clusters == 3


def test_a_random_clusterer_gets_the_seed(toy_space: Descriptor):
    [partition] = sweep(toy_space, {"mine": (KMeans(8, init="random"), {})}, random_state=5)
    assert partition.params["random_state"] == 5
    expected = KMeans(8, init="random", random_state=5).fit_predict(toy_space.vectors)
    assert adjusted_rand_score(expected, partition.labels) == 1.0


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({}, "`grid` must map at least one algorithm to its parameters"),
        ({"kmean": {}}, r"Unknown algorithm 'kmean'\. Known: 'agglomerative', 'dbscan', .*'kmeans'"),
        ({"kmeans": {"k": 3}}, r"Unknown parameter of kmeans 'k'\. Known: 'algorithm', .*'n_clusters'"),
        ({"gaussian_mixture": {"n_components": 3}}, r"Unknown parameter of gaussian_mixture.*'n_clusters'"),
        ({"birch": (Birch(), {"k": 3})}, "Unknown parameter of birch 'k'"),
        ({"kmeans": {"n_clusters": []}}, "`n_clusters` of kmeans has no values"),
        ({"kmeans": {"n_clusters": 1}}, r"`n_clusters` must be an int in \[2, n_images\)\. Got 1 instead\."),
        ({"kmeans": {"n_clusters": 120}}, r"Got 120 instead\. \(kmeans on 'toy', 120 usable images\.\)"),
        ({"gaussian_mixture": {"covariance_type": "full"}}, r"`n_clusters` must be .* Got 1 instead"),
        ({"kmeans": {"n_clusters": 3, "n_init": 0}}, "'n_init' parameter of KMeans must be .* Got 0 instead"),
        ({"kmeans": {"n_clusters": 3, "random_state": -1}}, r"`random_state` must be an int in \[0, "),
        ({"agglomerative": {"linkage": "wart", "n_clusters": 3}}, "`linkage` must be one of 'ward', .* Got 'wart'"),
        ({"agglomerative": {"metric": "cosine", "n_clusters": 3}}, "`metric` must be 'euclidean' where `linkage`"),
        ({"agglomerative": {"distance_threshold": 1.0, "n_clusters": 3}}, "give one of them"),
        ({"hdbscan": {"min_cluster_size": 1}}, r"`min_cluster_size` must be an int in \[2, n_images\)\. Got 1"),
        ({"hdbscan": {"min_samples": 0}}, r"`min_samples` must be an int in \[1, n_images\)\. Got 0"),
        ({"dbscan": {"eps": 0}}, "`eps` must be a positive number or 'knee'"),
        ({"dbscan": {"eps": "elbow"}}, "`eps` must be a positive number or 'knee'. Got 'elbow'"),
        ({"minibatch_kmeans": {"n_clusters": 3, "compute_labels": False}}, "`compute_labels` must be True"),
        ({"kmeans": (Birch(), {})}, "'kmeans' is the name of a built-in algorithm"),
    ],
)
def test_bad_grids_are_refused(toy_space: Descriptor, grid: dict, message: str):
    with pytest.raises(ValueError, match=message):
        sweep(toy_space, grid)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"kmeans": {"n_clusters": 3.0}}, r"`n_clusters` must be an int in \[2, n_images\)\. Got 3\.0 instead"),
        ({"kmeans": {"n_clusters": True}}, r"`n_clusters` must be an int in \[2, n_images\)\. Got True instead"),
        ({"kmeans": 3}, "The parameters of kmeans must be a mapping of names to values. Got 3"),
        ({"mine": (StandardScaler(), {})}, r"must be parameters, or a pair \(scikit-learn clusterer, parameters\)"),
        ({"mine": (Birch, {})}, r"must be parameters, or a pair \(scikit-learn clusterer, parameters\)"),
    ],
)
def test_values_of_the_wrong_type_are_refused(toy_space: Descriptor, grid: dict, message: str):
    with pytest.raises(TypeError, match=message):
        sweep(toy_space, grid)


def test_everything_is_checked_before_the_first_fit(toy_space: Descriptor, monkeypatch):
    monkeypatch.setattr(KMeans, "fit", lambda *args, **kwargs: pytest.fail("something was fitted"))
    few = Descriptor("few", toy_space.vectors[:4])
    with pytest.raises(ValueError, match=r"Got 4 instead\. \(kmeans on 'few', 4 usable images\.\)"):
        sweep([toy_space, few], {"kmeans": {"n_clusters": [2, 4]}})


def test_descriptors_are_checked(toy_space: Descriptor):
    grid = {"kmeans": {"n_clusters": 2}}
    with pytest.raises(ValueError, match="at least one descriptor"):
        sweep([], grid)
    with pytest.raises(TypeError, match="must be a Descriptor or a sequence of them"):
        sweep([toy_space.vectors], grid)
    with pytest.raises(ValueError, match=r"different names\. Got 'toy' twice"):
        sweep([toy_space, toy_space], grid)
    with pytest.raises(ValueError, match=r"'one' has 1 usable rows\. Clustering needs at least 3"):
        sweep(Descriptor("one", np.eye(1)), grid)
    with pytest.raises(ValueError, match=r"usable vectors of 'same' are all equal: there are no clusters to find"):
        sweep(Descriptor("same", np.ones((20, 2))), grid)
    with pytest.raises(TypeError, match="`random_state` must be an int"):
        sweep(toy_space, grid, random_state=None)


def test_a_fit_that_fails_says_which(toy_space: Descriptor):
    with pytest.raises(ValueError, match=r"reg_covar|ill-defined") as caught:
        sweep(
            Descriptor("flat", np.repeat([[0, 0], [1, 0]], 10, axis=0)),
            {"gaussian_mixture": {"n_clusters": 2, "reg_covar": 0.0, "init_params": "random"}},
        )
    assert "While fitting gaussian_mixture with {'n_clusters': 2" in caught.value.__notes__[0]


def test_bars_name_the_family_and_the_descriptor(toy_space: Descriptor, capsys):
    sweep(toy_space, {"kmeans": {"n_clusters": [2, 3]}, "dbscan": {"eps": 3.0}}, progress=True)
    shown = capsys.readouterr().err
    assert re.search(r"sweep: +0%.* 0/3 ", shown)
    assert re.search(r"kmeans on toy: +0%.* 0/2 ", shown)
    assert "dbscan on toy" in shown
    sweep(toy_space, {"kmeans": {"n_clusters": 2}}, progress=False)
    assert capsys.readouterr().err == ""


class SlowFamily(AgglomerativeFamily):
    """Says when each partition is asked for, and has a bar of its own."""

    asked: ClassVar[list[int]] = []

    def fit_many(self, descriptor: Descriptor, settings: Sequence[Mapping[str, Any]]) -> Iterator[Partition]:
        for _ in track(range(2), description="tree"):
            pass
        for partition in super().fit_many(descriptor, settings):
            self.asked.append(len(list(self.folder.glob("*.npz"))))
            yield partition


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[SlowFamily]:
    family = SlowFamily("agglomerative")
    monkeypatch.setattr(SlowFamily, "folder", tmp_path, raising=False)
    monkeypatch.setattr(SlowFamily, "asked", [])
    monkeypatch.setattr(grid_module, "FAMILIES", {**grid_module.FAMILIES, "agglomerative": family})
    return SlowFamily


def test_partitions_that_share_work_are_stored_one_by_one(slow: type[SlowFamily], toy_space: Descriptor, tmp_path):
    sweep(toy_space, {"agglomerative": {"n_clusters": [2, 3, 4]}}, store=tmp_path)
    assert slow.asked == [0, 1, 2]


@pytest.mark.usefixtures("slow")
def test_bars_within_a_fit_do_as_the_sweep_is_told(toy_space: Descriptor, capsys):
    grid = {"agglomerative": {"n_clusters": [2, 3]}}
    sweep(toy_space, grid, progress=True)
    assert "tree:   0%" in capsys.readouterr().err
    sweep(toy_space, grid, progress=False)
    assert capsys.readouterr().err == ""
    with joblib.parallel_config(backend="threading", n_jobs=2):
        sweep(toy_space, grid, progress=True)
    shown = capsys.readouterr().err
    assert "sweep:   0%" in shown
    assert "tree" not in shown


def test_what_another_machine_has_stored_meanwhile_is_not_fitted_again(
    slow: type[SlowFamily], toy_space: Descriptor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def store_some(store: PartitionStore, descriptor: Descriptor) -> np.ndarray:  # called between planning and fitting
        sweep(toy_space, {"agglomerative": {"n_clusters": [3, 4]}}, store=tmp_path, n_jobs=1)
        return descriptor.vectors

    monkeypatch.setattr(PartitionStore, "mapped", store_some)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        partitions = sweep(toy_space, {"agglomerative": {"n_clusters": [2, 3, 4]}}, store=tmp_path)
    assert [partition.n_clusters for partition in partitions] == [2, 3, 4]
    assert slow.asked == [0, 1, 2]


def test_nothing_that_was_passed_in_changes(toy_space: Descriptor):
    before = toy_space.vectors.copy()
    grid = {"kmeans": {"n_clusters": [2, 3]}}
    sweep(toy_space, grid)
    assert grid == {"kmeans": {"n_clusters": [2, 3]}}
    np.testing.assert_array_equal(toy_space.vectors, before)
