"""Groups of similar images are those of the whole, whatever the batches, the order of files and the workers."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from veriwild_clustering import (
    Dataset,
    DatasetError,
    Descriptor,
    export_partition,
    find_images,
    group_similar,
    plot_thresholds,
    write_folders,
)
from veriwild_clustering.clustering.components import LINKAGES
from veriwild_clustering.descriptors.pairwise.measure import similar_pairs
from veriwild_clustering.descriptors.pairwise.vectors import VectorSimilarity

METHODS = ("phash", "dhash", "whash", "colorhash", "ssim", "template", "minhash", "orb")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve drawn images, each with a smaller, a brighter and a recompressed copy; a broken file and an empty one."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    for number in range(12):
        grid = Image.fromarray(rng.integers(0, 200, (10, 12, 3)).astype(np.uint8))
        image = grid.resize((144, 120), Image.Resampling.NEAREST)
        image.save(folder / f"{number:02d}-a.png")
        image.resize((108, 90), Image.Resampling.LANCZOS).save(folder / f"{number:02d}-b.png")
        image.point(lambda value: value + 10).save(folder / f"{number:02d}-c.png")
        image.save(folder / f"{number:02d}-d.jpg", quality=60)
    (folder / "98-broken.jpg").write_bytes(b"no image")
    Image.new("RGB", (100, 100), (90, 90, 90)).save(folder / "99-plain.png")
    store, paths = find_images(folder)
    return Dataset(pd.DataFrame({"path": paths}), image_store=store)


@pytest.mark.parametrize("method", METHODS)
def test_copies_are_found_and_nothing_else(photos: Dataset, method: str) -> None:
    threshold = {"orb": 0.25, "minhash": 0.5, "template": 0.95, "ssim": 0.8, "colorhash": 0.95}.get(method, 0.85)
    groups = group_similar(photos, method=method, threshold=threshold, n_jobs=2)
    labels = groups.partition.labels
    assert labels[-2] == -1
    assert len(groups.partition) == len(photos) == 50
    if method == "colorhash":  # knows few colours: unlike images are similar too
        return
    for number in range(12):
        assert len(set(labels[4 * number : 4 * number + 4].tolist())) == 1
    assert (groups.partition.n_clusters, int((labels == -1).sum())) == (12, 2)
    assert groups.n_compared < groups.n_possible
    assert groups.partition.descriptor.valid.tolist() == [True] * 48 + [False, method not in {"orb", "minhash"}]


@pytest.mark.parametrize("method", METHODS)
def test_batches_order_and_workers_change_nothing(photos: Dataset, method: str) -> None:
    threshold = 0.3 if method in {"orb", "minhash", "ssim"} else 0.8
    order = np.random.default_rng(0).permutation(len(photos))
    whole = group_similar(photos, method=method, threshold=threshold, n_jobs=1)
    parts = group_similar(photos.take(order), method=method, threshold=threshold, batch_size=7, n_jobs=2)
    assert same_groups(whole.partition.labels[order], parts.partition.labels)
    assert whole.n_pairs == parts.n_pairs


def same_groups(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(
        ((one == -1) == (other == -1)).all()
        and ((one[:, None] == one) == (other[:, None] == other))[one >= 0][:, one >= 0].all()
    )


def chains(places: list[float]) -> Dataset:
    """Rows on a line: those less than 1 apart are similar at 0.5 and above."""
    vectors = np.round(np.array(places, dtype=np.float32), 2)[:, None]
    table = pd.DataFrame({"path": [f"{row}.jpg" for row in range(len(places))]})
    return Dataset(table, {"line": Descriptor("line", vectors)})


rows_on_a_line = st.lists(st.floats(0, 20), min_size=2, max_size=30)


@given(rows_on_a_line, st.integers(1, 31), st.sampled_from([1, 2]), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_merging_is_exact(places: list[float], batch_size: int, n_jobs: int, random: object) -> None:
    order = list(range(len(places)))
    random.shuffle(order)  # type: ignore[attr-defined]
    dataset = chains(places)
    options = {"method": "line", "metric": "euclidean", "threshold": 0.5}
    parts = group_similar(dataset.take(order), batch_size=batch_size, n_jobs=n_jobs, **options)
    line = np.sort(np.round(np.array(places, dtype=np.float32), 2))
    n_groups = 1 + int((np.diff(line) > 1).sum())  # walking along the line is the reference
    labels = parts.partition.labels
    assert parts.partition.n_clusters + int((labels == -1).sum()) == n_groups
    assert same_groups(group_similar(dataset, n_jobs=1, **options).partition.labels[order], labels)


@given(st.lists(st.integers(0, 2**16 - 1), min_size=2, max_size=40), st.integers(1, 41), st.integers(0, 6))
@settings(max_examples=200, deadline=None)
def test_representatives_lose_what_they_say(codes: list[int], batch_size: int, distance: int) -> None:
    bits = np.unpackbits(np.array(codes, dtype=">u2").view(np.uint8).reshape(-1, 2), axis=1).astype(np.float32)
    dataset = Dataset(pd.DataFrame({"path": list(map(str, range(len(codes))))}), {"bits": Descriptor("bits", bits)})
    options = {"method": "bits", "metric": "euclidean", "threshold": 1 / (1 + (distance + 0.5) ** 0.5), "n_jobs": 1}
    exact = group_similar(dataset, **options)
    fast = group_similar(dataset, merge="representatives", batch_size=batch_size, **options)
    apart = np.array([[(one ^ other).bit_count() for other in codes] for one in codes])
    similar = np.tril(apart <= distance, -1)
    labels = np.where(fast.partition.labels < 0, -1 - np.arange(len(codes)), fast.partition.labels)
    split = (similar & (labels[:, None] != labels)).sum()
    assert exact.n_pairs == similar.sum()
    assert fast.loss == pytest.approx(split / similar.sum() if similar.any() else 0)
    assert exact.loss == 0
    joined = exact.partition.labels[:, None] == exact.partition.labels
    assert joined[labels[:, None] == labels].all()  # representatives may split a group, never join two


@pytest.mark.parametrize("method", ["phash", "vectors"])
def test_images_like_no_other_stay_in_all_that_is_written(method: str, photos: Dataset, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(len(photos), 8))
    vectors[1] = vectors[0]
    dataset = Dataset(photos.images, {"vectors": Descriptor("vectors", vectors)}, image_store=photos.image_store)
    partition = group_similar(dataset, method=method, threshold=0.99).partition
    alone = int((partition.labels == -1).sum())
    assert alone >= 2
    export_partition(tmp_path / "groups.csv", dataset, partition)
    assert pd.read_csv(tmp_path / "groups.csv")["path"].tolist() == photos.images["path"].tolist()
    table = write_folders(dataset, partition, tmp_path / "out", contact_sheets=False)
    assert sorted(table["path"]) == sorted(photos.images["path"])
    assert sum(1 for file in (tmp_path / "out/outliers").iterdir()) == alone
    assert sum(1 for file in (tmp_path / "out").glob("*/*.[jp]*g")) == len(photos)


def test_many_equal_images_are_a_group_piece_by_piece() -> None:
    vectors = np.repeat(np.eye(2, dtype=np.float32), [300, 200], axis=0)
    found = [*similar_pairs(VectorSimilarity("rows"), vectors, np.arange(500), threshold=0.9)]
    pairs = {pair for one in found for pair in zip(one.rows.tolist(), one.others.tolist(), strict=True)}
    assert len(pairs) == sum(len(one.rows) for one in found) == (300 * 299 + 200 * 199) // 2
    assert max(len(one.rows) for one in found) < 500  # not all pairs at once


def test_sets_of_equal_images_meet_piece_by_piece() -> None:
    vectors = np.repeat(np.array([[1.0, 0.0], [1.0, 0.1]], dtype=np.float32), [700, 600], axis=0)
    found = [*similar_pairs(VectorSimilarity("rows"), vectors, np.arange(1300), threshold=0.9)]
    keys = np.concatenate([1300 * np.maximum(one.rows, one.others) + np.minimum(one.rows, one.others) for one in found])
    assert len(np.unique(keys)) == len(keys) == 1300 * 1299 // 2
    assert max(len(one.rows) for one in found) < 700 * 600 / 4
    assert sum(one.n_compared for one in found) == 1


@pytest.mark.parametrize("merge", ["exact", "representatives"])
def test_equal_images_join_without_their_pairs(merge: str) -> None:
    vectors = np.repeat(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), [3000, 3000, 1], axis=0)
    table = pd.DataFrame({"path": [f"{row}.jpg" for row in range(len(vectors))]})
    dataset = Dataset(table, {"toy": Descriptor("toy", vectors)})
    tracemalloc.start()
    groups = group_similar(dataset, method="toy", threshold=0.9, merge=merge, batch_size=10_000, n_jobs=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert groups.partition.sizes.tolist() == [6000]
    assert groups.n_pairs == 6000 * 5999 // 2
    assert peak < 100 * 2**20  # all pairs of the two sets would take more than 400 MiB


def test_every_linkage_counts_the_same_pairs() -> None:
    dataset = chains([0, 0, 0, 0.8, 0.8, 1.6, 9])
    options = {"method": "line", "metric": "euclidean", "threshold": 0.5}
    counted = {group_similar(dataset, linkage=linkage, **options).n_pairs for linkage in LINKAGES}
    assert counted == {3 + 3 * 2 + 1 + 2}


def test_a_measure_of_pixels_has_no_metric(photos: Dataset) -> None:
    bits = Descriptor("phash", np.eye(len(photos), dtype=np.float32))
    groups = group_similar(Dataset(photos.images, {"phash": bits}, image_store=photos.image_store), threshold=0.9)
    assert "metric" not in groups.partition.params


def test_linkage_breaks_chains() -> None:
    dataset = chains([0, 0.8, 1.6, 2.4, 9])
    options = {"method": "line", "metric": "euclidean", "threshold": 0.5}
    assert group_similar(dataset, **options).partition.sizes.tolist() == [4]
    assert group_similar(dataset, linkage="complete", **options).partition.sizes.tolist() == [2, 2]


@pytest.mark.parametrize("method", ["phash", "dhash", "ssim", "template"])
def test_chosen_threshold_lies_between_copies_and_others(photos: Dataset, method: str) -> None:
    groups = group_similar(photos, method=method)
    assert groups.partition.n_clusters == 12
    assert f"{groups.threshold:g} is its middle" in groups.reason
    at = groups.curve.iloc[(groups.curve["threshold"] - groups.threshold).abs().argmin()]
    assert at["n_groups"] == 12
    assert groups.curve["n_pairs"].is_monotonic_decreasing
    figure = plot_thresholds(groups)
    assert len(figure.to_json()) < 60_000
    assert figure.data[0].customdata[0][0] == groups.curve["n_groups"].iloc[0]


def test_without_copies_the_strict_threshold_is_taken() -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 6))
    dataset = Dataset(
        pd.DataFrame({"path": list(map(str, range(200)))}), {"noise": Descriptor("noise", vectors.astype(np.float32))}
    )
    groups = group_similar(dataset, method="noise")
    assert groups.threshold == 0.95
    assert "grows without a break" in groups.reason or "No two images" in groups.reason


def test_folder_without_a_readable_image_is_all_outliers(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    store, paths = find_images(tmp_path)
    groups = group_similar(Dataset(pd.DataFrame({"path": paths}), image_store=store))
    assert groups.partition.labels.tolist() == [-1]
    assert "too few" in groups.reason


def test_bad_arguments_are_refused(photos: Dataset) -> None:
    with pytest.raises(ValueError, match="`method` must be one of 'phash'"):
        group_similar(photos, method="sift")
    with pytest.raises(ValueError, match="'representatives' is for `linkage` 'components' alone"):
        group_similar(photos, merge="representatives", linkage="average")
    with pytest.raises(ValueError, match="`method` must have 50 rows"):
        group_similar(photos, method=Descriptor("short", np.eye(3)))
    with pytest.raises(ValueError, match="`threshold` must be"):
        group_similar(photos, threshold=90)
    with pytest.raises(DatasetError, match="does not know where its image files lie"):
        group_similar(Dataset(photos.images))
    with pytest.raises(ValueError, match="call `group_similar` without `threshold`"):
        plot_thresholds(group_similar(photos, threshold=0.9))
