"""Null columns: they equal what the definitions give, say "no structure" of Gaussian data and "structure" of groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from veriwild_clustering import Descriptor, leaderboard, rerun, sweep
from veriwild_clustering.descriptors.null_data import null_descriptor

SCORES = {
    "calinski_harabasz": calinski_harabasz_score,
    "davies_bouldin": davies_bouldin_score,
    "silhouette": silhouette_score,
}
FAMILIES: dict[str, Any] = {
    "kmeans": {"n_clusters": [2, 4, 8]},
    "gaussian_mixture": {"n_clusters": [4, 8], "covariance_type": ["full"]},
    "agglomerative": {"n_clusters": [4, 8], "linkage": ["ward", "average"]},
    "hdbscan": {"min_cluster_size": [10, 25], "min_samples": [5]},
    "dbscan": {"eps": "knee", "min_samples": [10]},
}


def explained_share(vectors: np.ndarray, labels: np.ndarray) -> float:
    """The share of the variance of the clustered rows that their clusters explain, times the share of these rows."""
    clustered = labels >= 0
    rows, codes = vectors[clustered].astype(np.float64), labels[clustered]
    if len(np.unique(codes)) < 2:
        return 0.0
    within = sum(((rows[codes == c] - rows[codes == c].mean(axis=0)) ** 2).sum() for c in np.unique(codes))
    return float((1 - within / ((rows - rows.mean(axis=0)) ** 2).sum()) * clustered.mean())


def elongated(rng: np.random.Generator, n_images: int, n_features: int) -> Descriptor:
    """One Gaussian cloud, stretched along random directions."""
    scales = rng.normal(size=(n_features, n_features)) * np.exp(-np.arange(n_features) / 2)[:, None]
    return Descriptor(f"gaussian {n_features}", rng.normal(size=(n_images, n_features)) @ scales + 5)


def groups(rng: np.random.Generator, n_images: int, n_features: int) -> Descriptor:
    """Four Gaussian clouds apart from each other."""
    centers = 9 * rng.normal(size=(4, n_features))
    return Descriptor("groups", centers[np.arange(n_images) % 4] + rng.normal(size=(n_images, n_features)))


def verdicts(space: Descriptor, *, grid: dict[str, Any] | None = None, kinds: tuple[str, ...] = ("gaussian",)) -> Any:
    partitions = sweep(space, grid or FAMILIES)
    return leaderboard(partitions, reruns=[rerun(partitions, on) for on in kinds]).table


@pytest.mark.parametrize("kind", ["gaussian", "permuted columns"])
def test_columns_are_what_the_definitions_give(toy_space: Descriptor, kind: str) -> None:
    partitions = sweep(toy_space, {"kmeans": {"n_clusters": [3]}, "dbscan": {"eps": [4.0], "min_samples": [5]}})
    reruns = rerun(partitions, kind, n_repeats=3)
    table = leaderboard(partitions, reruns=[reruns]).table
    prefix = {"gaussian": "null", "permuted columns": "permuted"}[kind]
    for i, partition in enumerate(partitions):
        spaces = [null_descriptor(toy_space, kind, rows=one.rows, random_state=one.seed) for one in reruns.repeats]
        found = [(space.vectors, one.labels[i]) for space, one in zip(spaces, reruns.repeats, strict=True)]
        scored = [(rows[labels >= 0], labels[labels >= 0]) for rows, labels in found if labels.max() > 0]
        for name, metric in SCORES.items():
            expected = np.mean([metric(*pair) for pair in scored]) if scored else np.nan
            assert table[f"{prefix}_{name}"][i] == pytest.approx(expected, rel=1e-4, nan_ok=True)
        shares = np.array([explained_share(*pair) for pair in found])
        own = explained_share(toy_space.vectors, partition.labels)
        unexplained = np.log(1 - shares)
        spread = max(0.001, unexplained.std(ddof=1) * np.sqrt(4 / 3))
        z = (unexplained.mean() - np.log(1 - own)) / spread
        assert table[f"{prefix}_explained_share"][i] == pytest.approx(shares.mean(), abs=1e-6)
        assert table[f"{prefix}_z"][i] == pytest.approx(z, rel=1e-3)
        if kind == "gaussian":
            assert table["explained_share"][i] == pytest.approx(own, abs=1e-6)


@pytest.mark.parametrize(("n_images", "n_features", "seed"), [(300, 2, 0), (300, 12, 1)])
def test_gaussian_data_have_no_structure_for_any_family(n_images: int, n_features: int, seed: int) -> None:
    table = verdicts(elongated(np.random.default_rng(seed), n_images, n_features))
    assert set(table["algorithm"]) == set(FAMILIES)
    assert (table["structure"] == "no structure").all()


def test_more_images_and_other_seeds_of_gaussian_data() -> None:
    grid = {"kmeans": {"n_clusters": [2, 3, 5, 9]}}
    for seed, n_images in enumerate([5000, 300, 300, 300, 300]):
        table = verdicts(elongated(np.random.default_rng(seed), n_images, 4), grid=grid)
        assert (table["structure"] == "no structure").all()


@pytest.mark.parametrize(("n_features", "seed"), [(4, 2), (20, 1)])
def test_groups_have_structure_for_every_family(n_features: int, seed: int) -> None:
    space = groups(np.random.default_rng(seed), 400, n_features)
    table = verdicts(space, kinds=("gaussian", "permuted columns"))
    assert set(table["algorithm"][table["n_clusters"] == 4]) == set(FAMILIES)
    assert (table["structure"] == "structure").all()


def test_the_covariance_alone_is_no_structure_though_the_indices_are_high() -> None:
    diagonal = np.random.default_rng(0).normal(size=(500, 2)) @ [[3, 3], [0.3, -0.3]]
    table = verdicts(
        Descriptor("diagonal", diagonal), grid={"kmeans": {"n_clusters": [2]}}, kinds=("gaussian", "permuted columns")
    )
    assert table["silhouette"][0] > 0.4
    assert table["calinski_harabasz"][0] > 2 * table["permuted_calinski_harabasz"][0]
    assert table["calinski_harabasz"][0] == pytest.approx(table["null_calinski_harabasz"][0], rel=0.1)
    assert table["structure"][0] == "no structure"


def test_skew_of_single_columns_is_weak_structure() -> None:
    space = Descriptor("skewed", np.exp(0.8 * np.random.default_rng(0).normal(size=(500, 5))))
    grid = {"kmeans": {"n_clusters": [8, 12]}}
    assert (verdicts(space, grid=grid)["structure"] == "structure").all()
    both = verdicts(space, grid=grid, kinds=("gaussian", "permuted columns"))
    assert (both["structure"] == "weak structure").all()


def test_nothing_found_is_no_structure() -> None:
    space = elongated(np.random.default_rng(0), 300, 6)
    table = verdicts(space, grid={"hdbscan": {"min_cluster_size": [100]}})
    assert table["n_clusters"][0] == 0
    assert table[["explained_share", "null_explained_share", "null_z"]].iloc[0].tolist() == [0, 0, 0]
    assert np.isnan(table["null_silhouette"][0])
    assert table["structure"][0] == "no structure"


def test_the_verdict_needs_gaussian_data(toy_space: Descriptor) -> None:
    table = verdicts(toy_space, grid={"kmeans": {"n_clusters": [3]}}, kinds=("permuted columns",))
    assert "structure" not in table
    assert table["permuted_z"][0] > 10


def test_scores_of_a_sample_are_brought_to_all_images() -> None:
    space = elongated(np.random.default_rng(0), 2000, 3)
    partitions = sweep(space, {"kmeans": {"n_clusters": [4]}})
    boards = [leaderboard(partitions, reruns=[rerun(partitions, "gaussian", max_rows=n)]).table for n in (500, 2000)]
    sampled, whole = (board["null_calinski_harabasz"][0] for board in boards)
    assert sampled == pytest.approx(whole, rel=0.1)


def test_unusable_rows_count_nowhere() -> None:
    rng = np.random.default_rng(0)
    vectors = groups(rng, 200, 4).vectors
    holed = np.full((300, 4), np.nan, dtype=np.float32)
    holed[::3], holed[1::3] = vectors[:100], vectors[100:]
    [partition] = sweep(Descriptor("holed", holed), {"kmeans": {"n_clusters": 4}})
    kept = np.flatnonzero(partition.descriptor.valid)
    table = leaderboard([partition], reruns=[rerun([partition], "gaussian")]).table
    assert table["explained_share"][0] == pytest.approx(explained_share(holed[kept], partition.labels[kept]), abs=1e-6)
    assert table["structure"][0] == "structure"


def test_few_repeats_do_not_deny_structure() -> None:
    centers = 20 * np.repeat(np.eye(4), 30, axis=0)
    space = Descriptor("apart", centers + np.random.default_rng(0).normal(size=centers.shape))
    partitions = sweep(space, {"kmeans": {"n_clusters": 4}})
    for n_repeats, verdict in ((5, ""), (6, "structure")):
        board = leaderboard(partitions, reruns=[rerun(partitions, "gaussian", n_repeats=n_repeats)])
        assert board.table["structure"].tolist() == [verdict]
