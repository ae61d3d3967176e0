"""Reruns: each repeat equals the algorithm run by hand on the rows drawn, and the draws are as they are said to be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from veriwild_clustering import Descriptor, Partition, PartitionModel, Reruns, rerun, sweep
from veriwild_clustering.descriptors.null_data import null_descriptor

GRID = {
    "kmeans": {"n_clusters": [2, 3]},
    "gaussian_mixture": {"n_clusters": [3], "covariance_type": ["diag"]},
    "agglomerative": {"n_clusters": [3, 4]},
    "hdbscan": {"min_cluster_size": [10], "min_samples": [6]},
    "dbscan": {"eps": [4.0], "min_samples": [6]},
}
HALVED = GRID | {
    "hdbscan": {"min_cluster_size": [5], "min_samples": [3]},
    "dbscan": {"eps": [4.0], "min_samples": [3]},
}


@pytest.fixture
def partitions(toy_space: Descriptor) -> list[Partition]:
    return sweep(toy_space, GRID)


def test_half_samples_are_the_algorithms_on_halves(toy_space: Descriptor, partitions: list[Partition]) -> None:
    reruns = rerun(partitions, "half samples", n_repeats=4)
    for one, other in (reruns.repeats[:2], reruns.repeats[2:]):
        np.testing.assert_array_equal(np.sort(np.concatenate([one.rows, other.rows])), np.arange(120))
        for half, rest in ((one, other), (other, one)):
            by_hand = sweep(toy_space.take(half.rows), HALVED)
            for i, partition in enumerate(by_hand):
                np.testing.assert_array_equal(half.labels[i], partition.labels)
                placed, _ = PartitionModel.fit(partition).assign({"toy": toy_space.vectors[rest.rows]})
                np.testing.assert_array_equal(half.placed[i], placed)
    assert len({repeat.rows.tobytes() for repeat in reruns.repeats}) == 4


def test_whole_vehicles_are_drawn(partitions: list[Partition]) -> None:
    vehicles = np.array([f"v{i // 4}" for i in range(100)] + [None] * 20, dtype=object)
    reruns = rerun(partitions[:1], "vehicles", groups=vehicles, n_repeats=3)
    assert len(reruns) == 3
    for repeat in reruns.repeats:
        known = repeat.rows[repeat.rows < 100]
        assert set(np.unique(vehicles[known], return_counts=True)[1]) == {4}
        assert len(known) / 4 + (len(repeat.rows) - len(known)) in {22, 23}  # of 25 vehicles and 20 images without
    lone = np.isin(np.arange(100, 120), reruns.repeats[0].rows)
    assert 0 < lone.sum() < 20


def test_seeds_change_the_seed_alone(toy_space: Descriptor, partitions: list[Partition]) -> None:
    reruns = rerun(partitions, "seeds", n_repeats=2)
    for repeat in reruns.repeats:
        by_hand = sweep(toy_space, GRID, random_state=repeat.seed)
        np.testing.assert_array_equal(repeat.labels, [partition.labels for partition in by_hand])
    assert reruns.repeats[0].seed != reruns.repeats[1].seed


@pytest.mark.parametrize("kind", ["gaussian", "permuted columns"])
def test_null_data_are_clustered_by_the_same_algorithms(
    toy_space: Descriptor, partitions: list[Partition], kind: str
) -> None:
    for repeat in rerun(partitions, kind, n_repeats=2).repeats:
        null = null_descriptor(toy_space, kind, rows=repeat.rows, random_state=repeat.seed)
        np.testing.assert_array_equal(repeat.labels, [partition.labels for partition in sweep(null, GRID)])


@settings(max_examples=20, deadline=None)
@given(n=st.integers(3, 40), d=st.integers(1, 40), seed=st.integers(0, 99))
def test_gaussian_data_have_the_same_mean_and_covariance(n: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3).astype(np.float32)
    vectors[:, 0] = 7  # a constant column is no reason to fail
    null = null_descriptor(Descriptor("x", vectors), "gaussian", rows=np.arange(n), random_state=seed).vectors
    scale = np.abs(vectors).max()
    np.testing.assert_allclose(null.mean(axis=0), vectors.mean(axis=0), atol=1e-5 * scale)
    both = [np.cov(one, rowvar=False, dtype=np.float64) for one in (null, vectors)]
    np.testing.assert_allclose(*both, atol=1e-4 * scale**2)
    assert d == 1 or not np.allclose(null, vectors, atol=1e-3 * scale)


def test_gaussian_data_of_other_shape_are_gaussian() -> None:
    from scipy.stats import kstest

    skewed = Descriptor("skewed", np.random.default_rng(0).exponential(size=(2000, 3)))
    null = null_descriptor(skewed, "gaussian", rows=np.arange(2000), random_state=0).vectors
    for column in null.T:
        assert kstest((column - column.mean()) / column.std(), "norm").pvalue > 0.01


def test_permuted_columns_keep_their_values() -> None:
    space = Descriptor("x", np.random.default_rng(0).normal(size=(50, 4)))
    null = null_descriptor(space, "permuted columns", rows=np.arange(50), random_state=0).vectors
    np.testing.assert_array_equal(np.sort(null, axis=0), np.sort(space.vectors, axis=0))
    assert not (null == space.vectors).all(axis=1).any()


@pytest.mark.parametrize("on", ["half samples", "seeds", "gaussian"])
def test_unusable_rows_stay_noise(toy_space: Descriptor, on: str) -> None:
    vectors = toy_space.vectors.copy()
    vectors[::10] = np.nan
    holed = sweep(Descriptor("holed", vectors), {"kmeans": {"n_clusters": 3}, "dbscan": {"eps": 4.0}})
    for repeat in rerun([*holed, *sweep(toy_space, {"kmeans": {"n_clusters": 3}})], on, n_repeats=2).repeats:
        broken = repeat.rows % 10 == 0
        assert broken.any()
        assert (repeat.labels[0][broken] == -1).all()
        assert (repeat.labels[0][~broken] >= 0).all()
        assert (repeat.labels[2] >= 0).all()
    # What no space can use is not drawn at all.
    assert all((repeat.rows % 10 != 0).all() for repeat in rerun(holed, on, n_repeats=2).repeats)


@pytest.mark.parametrize("on", ["half samples", "seeds", "gaussian", "permuted columns"])
def test_at_most_max_rows_are_worked_on(partitions: list[Partition], on: str) -> None:
    reruns = rerun(partitions[:2], on, n_repeats=2, max_rows=40)
    assert [len(repeat.rows) for repeat in reruns.repeats] == [40, 40]
    one, other = (set(repeat.rows) for repeat in reruns.repeats)
    assert one.isdisjoint(other) if on == "half samples" else one == other


def test_a_cut_by_distance_is_made_by_number(toy_space: Descriptor) -> None:
    cut = sweep(toy_space, {"agglomerative": {"distance_threshold": 30.0}})
    assert cut[0].n_clusters == 3
    for repeat in rerun(cut, "half samples", n_repeats=2).repeats:
        assert set(repeat.labels[0]) == {0, 1, 2}


def test_draws_repeat_with_their_seed_alone_and_jobs_change_nothing(partitions: list[Partition]) -> None:
    def content(**how: int) -> list[bytes]:
        found = rerun(partitions[:4], "half samples", n_repeats=2, **how)
        return [part.tobytes() for repeat in found.repeats for part in (repeat.rows, repeat.labels, repeat.placed)]

    assert content() == content(n_jobs=2) != content(random_state=1)


def test_a_repeat_does_not_depend_on_what_else_runs_again(partitions: list[Partition]) -> None:
    together = rerun(partitions, "half samples", n_repeats=2)
    for i, partition in enumerate(partitions):
        alone = rerun([partition], "half samples", n_repeats=2)
        for one, other in zip(together.repeats, alone.repeats, strict=True):
            np.testing.assert_array_equal(one.labels[i], other.labels[0])


def test_what_cannot_run_again_is_named(toy_space: Descriptor) -> None:
    foreign = sweep(toy_space, {"mine": (KMeans(n_init=1), {"n_clusters": [3]})})
    hand = Partition(np.zeros(120), toy_space, "by hand")
    with pytest.raises(ValueError, match=r"built-in algorithms.*mine\(n_clusters=3\) on toy, by hand\(\) on toy"):
        rerun([*foreign, hand], "seeds")
    tied = sweep(toy_space, {"agglomerative": {"n_clusters": 3, "connectivity": [np.ones((120, 120))]}})
    with pytest.raises(ValueError, match="`connectivity`"):
        rerun(tied, "half samples")


def test_impossible_requests_are_refused_before_anything_runs(partitions: list[Partition]) -> None:
    for wrong, words in (
        ({"on": "halves"}, "`on` must be one of 'half samples'"),
        ({"on": "vehicles"}, "`groups`.*Got none"),
        ({"on": "seeds", "groups": np.arange(120)}, "`groups`.*Got them for 'seeds'"),
        ({"on": "vehicles", "groups": np.arange(120) // 40}, "3 usable groups"),
        ({"on": "seeds", "n_repeats": 1}, "`n_repeats`"),
        ({"on": "half samples", "max_rows": 5}, "`max_rows`"),
    ):
        with pytest.raises(ValueError, match=words):
            rerun(partitions, **wrong)
    with pytest.raises(ValueError, match="at least one Partition"):
        rerun([], "seeds")
    many = sweep(partitions[0].descriptor, {"kmeans": {"n_clusters": 70}})
    with pytest.raises(ValueError, match=r"`n_clusters`.*again on 60 images: half samples"):
        rerun(many, "half samples")


def test_it_says_what_it_holds(partitions: list[Partition]) -> None:
    reruns = rerun(partitions[:2], "half samples", n_repeats=2)
    assert isinstance(reruns, Reruns)
    assert repr(reruns) == "Reruns(2 partitions on half samples, 2 repeats of 60 rows)"
    assert "max_rows" in reruns._repr_html_()
