"""Corrections by hand: what they do to labels, names and confidence, and that they can be taken back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering import (
    Descriptor,
    Partition,
    PartitionModel,
    mark_outliers,
    merge_clusters,
    rename_cluster,
    sweep,
    unmark_outliers,
)
from veriwild_clustering.clustering.editing import marked_outliers

SPACE = Descriptor("toy", np.arange(12.0)[:, None])
LABELS = [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, -1]


@pytest.fixture
def partition() -> Partition:
    return Partition(LABELS, SPACE, "by hand", confidence=np.linspace(0.1, 0.9, 12), cluster_names=["a", "", "c"])


def kinds(partition: Partition) -> list[str]:
    return [edit["kind"] for edit in partition.params["edits"]]


def test_a_name_changes_nothing_else(partition: Partition) -> None:
    named = rename_cluster(partition, 1, "  taxis ")
    assert named.cluster_names == ("a", "taxis", "c")
    np.testing.assert_array_equal(named.labels, partition.labels)
    assert partition.cluster_names == ("a", "", "c")
    assert rename_cluster(named, 1, "").cluster_name(1) == "cluster 1"
    assert named.name == partition.name


def test_merged_clusters_are_renumbered_with_their_names(partition: Partition) -> None:
    merged = merge_clusters(partition, [2, 1])
    assert merged.labels.tolist() == [1] * 5 + [0] * 6 + [-1]
    assert merged.cluster_names == ("c", "a")
    np.testing.assert_array_equal(merged.confidence, partition.confidence)
    assert kinds(merge_clusters(rename_cluster(merged, 0, "x"), [0, 1])) == ["merge", "rename", "merge"]


def test_marked_images_are_noise_until_they_are_unmarked(partition: Partition) -> None:
    marked = mark_outliers(partition, [0, 1, 11])
    assert marked.labels.tolist() == [-1, -1, 1, 1, 1, 0, 0, 0, 0, 2, 2, -1]
    assert marked.cluster_names == ("", "a", "c")
    assert marked_outliers(marked).tolist() == [0, 1, 11]
    assert marked.confidence[0] == 0
    back = unmark_outliers(marked, [0, 1, 11])
    np.testing.assert_array_equal(back.labels, partition.labels)
    np.testing.assert_array_equal(back.confidence, partition.confidence)
    assert back.cluster_names == partition.cluster_names
    assert marked_outliers(back).size == 0


def test_a_marked_image_follows_its_cluster_into_a_merge(partition: Partition) -> None:
    merged = merge_clusters(mark_outliers(partition, [5]), [1, 2])
    assert merged.labels[5] == -1
    assert unmark_outliers(merged, [5]).labels.tolist() == merge_clusters(partition, [1, 2]).labels.tolist()


def test_a_merged_partition_still_places_new_rows() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(n, 2)) + at for n, at in ((30, 0), (20, 9), (10, 30))])
    [fitted] = sweep(Descriptor("osnet", points), {"kmeans": {"n_clusters": 3}})
    merged = merge_clusters(fitted, [0, 1])
    labels, _ = PartitionModel.fit(merged).assign({"osnet": [[4.0, 4.0], [30.0, 30.0]]})
    assert labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda p: rename_cluster(p, 3, "x"), "cluster"),
        (lambda p: rename_cluster(p, -1, "x"), "cluster"),
        (lambda p: rename_cluster(p, 0, "a\tb"), "printed"),
        (lambda p: rename_cluster(p, 0, "x" * 81), "80"),
        (lambda p: merge_clusters(p, [1]), "two or more"),
        (lambda p: merge_clusters(p, [1, 1]), "two or more"),
        (lambda p: mark_outliers(p, [12]), "rows"),
        (lambda p: mark_outliers(p, []), "an image at least"),
        (lambda p: mark_outliers(p, [9, 10]), "would keep no image"),
        (lambda p: unmark_outliers(p, [3]), "not marked"),
    ],
)
def test_impossible_edits_say_what_is_wrong(partition: Partition, edit: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        edit(partition)  # type: ignore[operator]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_marks_and_merges_come_apart_again(data: st.DataObject) -> None:
    """Whatever is done in whichever order, unmarking everything leaves the merges alone."""
    edited, plain = (Partition(LABELS, SPACE, "by hand") for _ in range(2))
    for _ in range(data.draw(st.integers(1, 5))):
        if edited.n_clusters > 1 and data.draw(st.booleans()):
            pair = data.draw(st.lists(st.integers(0, edited.n_clusters - 1), min_size=2, max_size=2, unique=True))
            rows = [int(edited.members(cluster)[0]) for cluster in pair]
            edited, plain = merge_clusters(edited, pair), merge_clusters(plain, [int(plain.labels[r]) for r in rows])
        else:
            rows = data.draw(st.lists(st.integers(0, 11), min_size=1, max_size=3))
            try:
                edited = mark_outliers(edited, rows)
            except ValueError:
                continue
    marked = marked_outliers(edited)
    assert (edited.labels[marked] == -1).all()
    if len(marked):
        edited = unmark_outliers(edited, marked)
    np.testing.assert_array_equal(edited.labels, plain.labels)
