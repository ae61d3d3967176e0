"""Internal scores: equal to scikit-learn's, undefined without an exception, with noise beside them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from veriwild_clustering import Descriptor, Partition, internal_scores

REFERENCES = {
    "calinski_harabasz": metrics.calinski_harabasz_score,
    "davies_bouldin": metrics.davies_bouldin_score,
    "silhouette": metrics.silhouette_score,
}


@pytest.fixture
def noisy() -> Partition:
    """Overlapping clusters, far from the origin, with noise and with rows that have no vector."""
    rng = np.random.default_rng(1)
    vectors = (100 + rng.normal(size=(300, 7))).astype(np.float32)
    vectors[[5, 50, 250]] = np.nan
    return Partition(rng.integers(-1, 6, size=300), Descriptor("far", vectors), "random")


@pytest.mark.parametrize("name", REFERENCES)
def test_equals_scikit_learn_on_the_clustered_rows(noisy: Partition, name: str) -> None:
    kept = noisy.clustered
    expected = REFERENCES[name](noisy.descriptor.vectors[kept].astype(np.float64), noisy.labels[kept])
    assert internal_scores(noisy)[name] == pytest.approx(expected, rel=1e-9)


def test_noise_and_cluster_count_stand_beside_the_metrics(noisy: Partition) -> None:
    scores = internal_scores(noisy)
    assert list(scores) == [*REFERENCES, "noise_fraction", "n_clusters"]
    assert scores["noise_fraction"] == noisy.noise_fraction > 0
    assert scores["n_clusters"] == noisy.n_clusters == 6


def test_another_space_is_scored_over_the_rows_usable_in_both(noisy: Partition) -> None:
    vectors = np.random.default_rng(2).normal(size=(300, 3)).astype(np.float32)
    vectors[:40] = np.nan
    other = Descriptor("other", vectors)
    kept = noisy.clustered & other.valid
    expected = metrics.davies_bouldin_score(vectors[kept].astype(np.float64), noisy.labels[kept])
    assert internal_scores(noisy, descriptor=other)["davies_bouldin"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "labels",
    [[0] * 6, [-1] * 6, [0, 1, 2, 3, 4, 5], [0, -1, -1, -1, -1, -1], [0, 1, -1, -1, -1, -1]],
    ids=["one cluster", "all noise", "every image a cluster", "one image", "two images apart"],
)
def test_undefined_metrics_are_nan(labels: list[int]) -> None:
    partition = Partition(labels, Descriptor("line", np.arange(6.0)[:, None]), "by hand")
    scores = internal_scores(partition)
    assert all(np.isnan(scores[name]) for name in REFERENCES)
    assert scores["n_clusters"] == partition.n_clusters


def test_one_row() -> None:
    scores = internal_scores(Partition([0], Descriptor("dot", np.ones((1, 2))), "by hand"))
    assert np.isnan(scores["silhouette"])
    assert scores["noise_fraction"] == 0


def test_coinciding_points_are_not_an_error() -> None:
    scores = internal_scores(Partition([0, 0, 1, 1], Descriptor("same", np.ones((4, 2))), "by hand"))
    assert scores["davies_bouldin"] == 0
    assert scores["silhouette"] == 0


def test_silhouette_of_a_sample_is_near_the_whole_and_repeats(toy_space: Descriptor) -> None:
    partition = Partition(np.repeat([0, 1, 2], (60, 40, 20)), toy_space, "known")
    whole = internal_scores(partition)["silhouette"]
    drawn = [internal_scores(partition, silhouette_sample=50, random_state=seed)["silhouette"] for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn == pytest.approx([whole] * 3, abs=0.05)


def test_renumbering_clusters_changes_nothing(noisy: Partition) -> None:
    # Sizes are made unequal in another order, so that the numbers really differ.
    swapped = Partition(np.where(noisy.clustered, 5 - noisy.labels, -1), noisy.descriptor, "random")
    assert internal_scores(swapped) == pytest.approx(internal_scores(noisy), rel=1e-12)


def test_another_number_of_images_is_refused(noisy: Partition, toy_space: Descriptor) -> None:
    with pytest.raises(ValueError, match=r"one row per image of the partition, 300\. Got 120"):
        internal_scores(noisy, descriptor=toy_space)


def test_sample_must_be_possible(noisy: Partition) -> None:
    with pytest.raises(ValueError, match=r"`silhouette_sample` must be an int in \[2, inf\)\. Got 1"):
        internal_scores(noisy, silhouette_sample=1)
