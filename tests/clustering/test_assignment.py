"""Placing new images: the rules of each family, the history of the descriptor, and the file on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import hdbscan
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skops import io

from veriwild_clustering import DatasetError, Descriptor, Partition, PartitionModel, mix, sweep, transform
from veriwild_clustering.core.vectors import blocks

GRID = {
    "kmeans": {"n_clusters": 5},
    "minibatch_kmeans": {"n_clusters": 4},
    "gaussian_mixture": {"n_clusters": 4, "covariance_type": ["full", "tied", "diag", "spherical"], "reg_covar": 1e-3},
    "agglomerative": {"n_clusters": 3},
    "hdbscan": {"min_cluster_size": 8, "min_samples": [None, 3]},
    "dbscan": {"eps": 4.0, "min_samples": 4},
}


@pytest.fixture
def partitions(noisy_space: Descriptor) -> list[Partition]:
    """One partition of the noisy space per family and kind of covariance."""
    return sweep(noisy_space, GRID)


def test_the_images_it_was_fitted_on_get_their_labels_back(noisy_space: Descriptor, partitions: list[Partition]):
    for partition in partitions:
        labels, confidence = PartitionModel.fit(partition).assign({"noisy": noisy_space.vectors})
        if partition.algorithm in {"kmeans", "minibatch_kmeans", "gaussian_mixture"}:
            np.testing.assert_array_equal(labels, partition.labels)
            np.testing.assert_allclose(confidence, partition.confidence, atol=1e-6)
        elif partition.algorithm == "dbscan":
            core = np.flatnonzero(noisy_space.valid)[partition.state["core_rows"]]
            np.testing.assert_array_equal(labels[core], partition.labels[core])
            np.testing.assert_array_equal(labels == -1, partition.labels == -1)
        else:
            assert np.mean(labels == partition.labels) >= 0.9
        assert labels.dtype == np.int32
        assert confidence.dtype == np.float32


def test_blocks_of_rows_make_no_difference(
    noisy_space: Descriptor, partitions: list[Partition], monkeypatch: pytest.MonkeyPatch
):
    new = np.random.default_rng(6).normal(scale=6, size=(50, noisy_space.n_features))
    new[[0, 31]] = np.nan
    models = [PartitionModel.fit(partition) for partition in partitions]
    at_once = [model.assign({"noisy": new}) for model in models]
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 7 * 4 * noisy_space.n_features)  # seven rows at a time
    for model, (labels, confidence) in zip(models, at_once, strict=True):
        in_blocks = model.assign({"noisy": new})
        np.testing.assert_array_equal(in_blocks[0], labels)
        np.testing.assert_allclose(in_blocks[1], confidence, atol=1e-6)


def test_every_rule_gives_labels_and_confidence_in_range(noisy_space: Descriptor, partitions: list[Partition]):
    new = np.random.default_rng(5).normal(scale=6, size=(200, noisy_space.n_features))
    new[7, 3] = np.nan
    for partition in partitions:
        labels, confidence = PartitionModel.fit(partition).assign({"noisy": new})
        assert labels.shape == confidence.shape == (200,)
        assert set(labels.tolist()) <= {-1, *range(partition.n_clusters)}
        assert ((confidence >= 0) & (confidence <= 1)).all()
        assert (confidence[labels == -1] == 0).all()
        assert labels[7] == -1


def test_kmeans_and_mixture_place_as_the_originals_predict(toy_space: Descriptor):
    new = toy_space.vectors + np.random.default_rng(2).normal(scale=3, size=toy_space.vectors.shape).astype(np.float32)
    grid = {
        "kmeans": {"n_clusters": 5, "n_init": 1},
        "gaussian_mixture": {"n_clusters": 5, "covariance_type": "diag"},
    }
    kmeans, mixture = sweep(toy_space, grid)
    originals = [
        (kmeans, KMeans(5, n_init=1, random_state=0).fit(toy_space.vectors)),
        (mixture, GaussianMixture(5, covariance_type="diag", random_state=0).fit(toy_space.vectors.astype(float))),
    ]
    for partition, original in originals:
        old = original.predict(toy_space.vectors.astype(original.means_.dtype if partition is mixture else np.float32))
        number = {int(label): int(partition.labels[old == label][0]) for label in np.unique(old)}
        predicted = original.predict(new.astype(float) if partition is mixture else new)
        labels, _ = PartitionModel.fit(partition).assign({"toy": new})
        np.testing.assert_array_equal(labels, [number[int(label)] for label in predicted])


def test_dbscan_places_by_the_nearest_core_image(noisy_space: Descriptor):
    [partition] = sweep(noisy_space, {"dbscan": {"eps": 4.0, "min_samples": 4}})
    new = np.random.default_rng(3).uniform(-15, 15, size=(300, noisy_space.n_features)).astype(np.float32)
    new[:150] = noisy_space.usable()[:100].repeat(2, axis=0)[:150] + new[:150] / 10
    core = np.flatnonzero(noisy_space.valid)[partition.state["core_rows"]]
    distances = cdist(new, noisy_space.vectors[core])
    expected = np.where(distances.min(axis=1) <= 4.0, partition.labels[core][distances.argmin(axis=1)], -1)
    labels, _ = PartitionModel.fit(partition).assign({"noisy": new})
    np.testing.assert_array_equal(labels, expected)
    assert {-1, 0, 1} <= set(labels.tolist())


@pytest.mark.parametrize(
    "params",
    [
        {"min_cluster_size": 10},
        {"min_cluster_size": 15, "min_samples": 4},
        {"min_cluster_size": 8, "cluster_selection_method": "leaf"},
        {"min_cluster_size": 20, "min_samples": 5, "metric": "manhattan"},
    ],
)
def test_hdbscan_places_as_approximate_predict_does(params: dict):
    rng = np.random.default_rng(4)
    centers = rng.normal(scale=5, size=(4, 3))
    draw = [np.concatenate([center + rng.normal(size=(80, 3)) for center in centers]) for _ in range(2)]
    known, new = (np.concatenate([part, rng.uniform(-12, 12, size=(40, 3))]).astype(np.float32) for part in draw)
    original = hdbscan.HDBSCAN(**params, prediction_data=True).fit(known)
    expected, probabilities = hdbscan.approximate_predict(original, new)
    [partition] = sweep(Descriptor("held", known), {"hdbscan": params})
    labels, confidence = PartitionModel.fit(partition).assign({"held": new})
    number = {int(old): int(partition.labels[original.labels_ == old][0]) for old in np.unique(original.labels_)}
    agree = labels == [number[int(label)] for label in expected]
    assert agree.mean() >= 0.95
    np.testing.assert_allclose(confidence[agree], probabilities[agree], atol=1e-4)


def test_a_lone_cluster_takes_all_and_no_cluster_takes_none(toy_space: Descriptor):
    lone = {"hdbscan": {"min_cluster_size": 60, "allow_single_cluster": True}, "dbscan": {"eps": 1e3}}
    none = {"hdbscan": {"min_cluster_size": 119}, "dbscan": {"eps": 1e-6}}
    for grid, expected in [(lone, 0), (none, -1)]:
        for partition in sweep(toy_space, grid):
            labels, _ = PartitionModel.fit(partition).assign({"toy": toy_space.vectors})
            assert partition.n_clusters == expected + 1
            assert (labels == expected).all()


def test_partitions_made_by_hand_place_by_cluster_means(toy_space: Descriptor):
    by_hand = Partition(np.repeat([0, 1, 2], [60, 40, 20]), toy_space, "by hand")
    labels, _ = PartitionModel.fit(by_hand).assign({"toy": toy_space.vectors})
    np.testing.assert_array_equal(labels, by_hand.labels)


@pytest.fixture
def two_roots(toy_space: Descriptor) -> Partition:
    """K-means on a mixture of two descriptors that each went through transformers."""
    other = Descriptor("other", toy_space.vectors[:, :3] ** 2)
    spaces = [transform(toy_space, make_pipeline(StandardScaler(), PCA(4, random_state=0))), other]
    [partition] = sweep(mix(spaces, weights=[0.8, 0.2]), {"kmeans": {"n_clusters": 3}})
    return partition


def test_new_rows_pass_through_the_whole_history(toy_space: Descriptor, two_roots: Partition):
    model = PartitionModel.fit(two_roots)
    vectors = {"toy": toy_space.vectors.copy(), "other": toy_space.vectors[:, :3] ** 2, "unused": np.zeros(3)}
    np.testing.assert_array_equal(model.assign(vectors)[0], two_roots.labels)
    vectors["other"][4] = np.nan
    labels, confidence = model.assign(vectors)
    assert labels[4] == -1
    assert confidence[4] == 0
    np.testing.assert_array_equal(np.delete(labels, 4), np.delete(two_roots.labels, 4))
    assert all(len(root) == 0 for root in model.space.roots)


def test_saved_models_place_as_before(noisy_space: Descriptor, partitions: list[Partition], tmp_path: Path):
    for partition in partitions:
        model = PartitionModel.fit(partition)
        again = PartitionModel.load(model.save(tmp_path / "model.skops"))
        assert again.algorithm == partition.algorithm
        assert dict(again.params) == dict(partition.params)
        for before, after in zip(
            model.assign({"noisy": noisy_space.vectors}), again.assign({"noisy": noisy_space.vectors}), strict=True
        ):
            np.testing.assert_array_equal(before, after)
    assert [file.name for file in tmp_path.iterdir()] == ["model.skops"]


def test_saved_models_keep_the_history(toy_space: Descriptor, two_roots: Partition, tmp_path: Path):
    vectors = {"toy": toy_space.vectors, "other": toy_space.vectors[:, :3] ** 2}
    model = PartitionModel.load(PartitionModel.fit(two_roots).save(tmp_path / "model.skops"))
    np.testing.assert_array_equal(model.assign(vectors)[0], two_roots.labels)
    assert model.space.recipe == two_roots.descriptor.recipe


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ({}, r"`vectors` must hold 'toy', of which the clusters were made\. Got nothing"),
        ({"osnet": np.zeros((2, 8))}, r"`vectors` must hold 'toy'.* Got 'osnet'"),
        ({"toy": np.zeros((2, 7))}, r"`vectors\['toy'\]` must have shape \(n_new, 8\)\. Got \(2, 7\) instead"),
        ({"toy": np.zeros(8)}, r"must have shape \(n_new, 8\)\. Got \(8,\) instead"),
        ({"toy": np.zeros((2, 8)), "other": np.zeros((3, 3))}, r"same number of rows .* \{'toy': 2, 'other': 3\}"),
    ],
)
def test_vectors_are_checked(two_roots: Partition, vectors: dict, message: str):
    with pytest.raises(ValueError, match=message):
        PartitionModel.fit(two_roots).assign(vectors)


def test_no_rows_at_all(two_roots: Partition):
    labels, confidence = PartitionModel.fit(two_roots).assign({"toy": np.empty((0, 8)), "other": np.empty((0, 3))})
    assert len(labels) == len(confidence) == 0


def test_histories_that_cannot_be_kept_say_so_when_saved(toy_space: Descriptor, tmp_path: Path):
    def double(vectors):
        return 2 * vectors

    embedded = transform(toy_space, TSNE(2, perplexity=5, max_iter=250, init="random", random_state=0))
    doubled = transform(toy_space, FunctionTransformer(double))
    for space, message in [(embedded, "TSNE.* cannot place new rows"), (doubled, "cannot be saved")]:
        [partition] = sweep(space, {"kmeans": {"n_clusters": 3}})
        with pytest.raises(TypeError, match=message):
            PartitionModel.fit(partition).save(tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:n_jobs value:UserWarning", "ignore:Tensorflow not installed:ImportWarning")
def test_umap_places_but_cannot_be_saved(toy_space: Descriptor, tmp_path: Path):
    from umap import UMAP

    space = transform(toy_space, UMAP(n_neighbors=5, n_epochs=20, init="random", random_state=0))
    [partition] = sweep(space, {"kmeans": {"n_clusters": 3}})
    model = PartitionModel.fit(partition)
    assert len(model.assign({"toy": toy_space.vectors[:6]})[0]) == 6
    with pytest.raises(TypeError, match=r"UMAP.* cannot be saved"):
        model.save(tmp_path / "model.skops")


def test_files_that_are_not_models_are_refused(tmp_path: Path):
    with pytest.raises(DatasetError, match=r"does not exist\. A model is written by"):
        PartitionModel.load(tmp_path / "absent.skops")
    (tmp_path / "text.skops").write_text("not a model")
    with pytest.raises(DatasetError, match="is not a saved partition model"):
        PartitionModel.load(tmp_path / "text.skops")
    io.dump({"format": 99}, tmp_path / "other.skops")
    with pytest.raises(DatasetError, match="is not a saved partition model"):
        PartitionModel.load(tmp_path / "other.skops")


def test_a_model_that_names_foreign_code_is_refused(tmp_path: Path):
    io.dump({"format": 1, "transformer": FunctionTransformer(os.system)}, tmp_path / "evil.skops")
    with pytest.raises(DatasetError, match=r"is refused: it holds .*system, which a model never needs"):
        PartitionModel.load(tmp_path / "evil.skops")
