"""The workspace: what it prepares and keeps, and what it says where something does not belong to the dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Dataset, DatasetError, Descriptor, Partition, SearchIndex, export_partition
from veriwild_clustering.apps.page.preparation.thumbnails import Thumbnails
from veriwild_clustering.apps.page.services.images import dataset_overview, image_page
from veriwild_clustering.apps.page.services.maps import quantised_layout
from veriwild_clustering.apps.page.services.outliers import outlier_page
from veriwild_clustering.apps.page.workspace import Workspace


def small(n_images: int, n_features: int = 4, *, seed: int = 0) -> Dataset:
    vectors = np.random.default_rng(seed).normal(size=(n_images, n_features))
    images = pd.DataFrame({"path": [f"{row}.jpg" for row in range(n_images)]})
    return Dataset(images, {"osnet": Descriptor("osnet", vectors)})


def test_what_was_prepared_is_kept(page_dataset: Dataset, tmp_path: Path) -> None:
    first = Workspace(page_dataset, tmp_path / "app", umap=False)
    first.prepare()
    first.complete()
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "app").rglob("*.*") if file.is_file()}
    again = Workspace(page_dataset, tmp_path / "app", umap=False)
    again.prepare()
    again.complete()
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "app").rglob("*.*") if file.is_file()} == before
    np.testing.assert_array_equal(again.layout("pca-3d"), first.layout("pca-3d"))
    np.testing.assert_array_equal(again.abnormality.scores, first.abnormality.scores)
    assert again.partition_names == first.partition_names


def test_damaged_files_of_the_folder_are_made_again(
    page_dataset: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Workspace(page_dataset, tmp_path / "app", umap=False)
    first.prepare()
    first.complete()
    for file in [*tmp_path.glob("app/spaces/*"), *tmp_path.glob("app/outliers/*"), *tmp_path.glob("app/search/*")]:
        file.write_bytes(file.read_bytes()[:20])
    again = Workspace(page_dataset, tmp_path / "app", umap=False)
    again.complete()
    np.testing.assert_array_equal(again.layout("pca-2d"), first.layout("pca-2d"))
    assert again.abnormality.is_outlier.tolist() == first.abnormality.is_outlier.tolist()
    assert "built again" in caplog.text


def test_a_folder_of_another_dataset_is_refused(tmp_path: Path) -> None:
    Workspace(small(20), tmp_path / "app")
    with pytest.raises(DatasetError, match="belongs to another dataset"):
        Workspace(small(21), tmp_path / "app")
    (tmp_path / "app" / "workspace.json").write_text("{")
    with pytest.raises(DatasetError, match="damaged"):
        Workspace(small(20), tmp_path / "app")


def test_other_vectors_of_the_same_images_are_not_mixed_up(tmp_path: Path) -> None:
    first, second = (Workspace(small(60, seed=seed), tmp_path / "app", umap=False) for seed in (0, 1))
    assert not np.array_equal(first.layout("pca-2d"), second.layout("pca-2d"))
    assert first.default_partition != second.default_partition


@pytest.mark.parametrize(
    "dataset",
    [
        Dataset(pd.DataFrame({"path": []})),
        Dataset(pd.DataFrame({"path": ["a.jpg", "b.jpg"]})),
        Dataset(pd.DataFrame({"path": ["a", "b"]}), {"osnet": Descriptor("osnet", np.full((2, 3), np.nan))}),
        Dataset(pd.DataFrame({"path": ["a", "b"]}), {"osnet": Descriptor("osnet", np.ones((2, 3)))}),
    ],
    ids=["no images", "no descriptor", "no usable row", "all rows equal"],
)
def test_nothing_to_show_is_said_before_anything_is_written(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nothing to show"):
        Workspace(dataset, tmp_path / "app")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("n_images", "n_features"), [(2, 1), (3, 4), (12, 1), (40, 2)])
def test_few_images_have_a_page_too(n_images: int, n_features: int, tmp_path: Path) -> None:
    workspace = Workspace(small(n_images, n_features), tmp_path / "app", umap=False)
    workspace.prepare()
    workspace.complete()
    assert quantised_layout(workspace, "pca-3d").shape == (n_images, 3)
    assert image_page(workspace, offset=0, limit=5).total == n_images
    assert outlier_page(workspace, offset=0, limit=5, min_score=-1e9).total in {0, n_images}
    assert not dataset_overview(workspace).has_images


def test_umap_is_a_map_as_well(page_dataset: Dataset, tmp_path: Path) -> None:
    workspace = Workspace(page_dataset, tmp_path / "app")
    assert workspace.layouts == ("pca-2d", "pca-3d", "umap-2d", "umap-3d")
    assert not workspace.is_ready("umap-2d")
    places = workspace.layout("umap-2d")
    assert places.shape == (90, 2)
    assert np.isnan(places[89]).all()
    assert np.isfinite(places[:89]).all()
    assert Workspace(page_dataset, tmp_path / "app").is_ready("umap-2d")


def test_many_rows_go_to_components_of_a_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from veriwild_clustering.apps.page.preparation import first_partition, spaces

    rng = np.random.default_rng(0)
    centers = rng.normal(scale=8, size=(4, 12))
    kind = rng.integers(4, size=2_000)
    images = pd.DataFrame({"path": [f"{row}.jpg" for row in range(2_000)]})
    vectors = centers[kind] + rng.normal(size=(2_000, 12))
    dataset = Dataset(images, {"osnet": Descriptor("osnet", vectors)})
    monkeypatch.setattr(spaces, "_MAX_FIT", 500)
    monkeypatch.setattr(first_partition, "_MAX_SWEPT", 500)
    partition = Workspace(dataset, tmp_path / "app", umap=False).partition
    workspace = Workspace(dataset, tmp_path / "app", umap=False)
    found = partition(workspace.default_partition)
    assert "500 of 2,000 rows" in found.params["approximation"]
    assert found.n_clusters == 4
    assert all(len(set(kind[found.members(cluster)])) == 1 for cluster in range(4))


def exported(dataset: Dataset, folder: Path, name: str = "best_partition.csv") -> Path:
    labels = np.arange(len(dataset)) % 5
    export_partition(folder / name, dataset, Partition(labels, next(iter(dataset)), "by hand"))
    return folder / name


def test_an_exported_partition_is_shown_first(page_dataset: Dataset, tmp_path: Path) -> None:
    file = exported(page_dataset, tmp_path)
    workspace = Workspace(page_dataset, tmp_path / "app", partition=file, umap=False)
    partition = workspace.partition(workspace.default_partition)
    assert workspace.default_partition.startswith("best_partition-")
    assert partition.n_clusters == 5
    assert np.isfinite(workspace.abnormality.scores).any()  # the CSV has none, so they are worked out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("000.jpg", "x.jpg"), "other images"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "other images"),
        (lambda text: text.replace("cluster", "group", 1), "columns"),
        (lambda text: text.replace(",0,", ",zero,", 1), "whole numbers"),
        (lambda text: "", "cannot be read"),
    ],
)
def test_a_partition_of_something_else_is_refused(
    page_dataset: Dataset, tmp_path: Path, change: object, message: str
) -> None:
    file = exported(page_dataset, tmp_path)
    file.write_text(change(file.read_text()))  # type: ignore[operator]
    with pytest.raises(DatasetError, match=message):
        Workspace(page_dataset, tmp_path / "app", partition=file)


def test_an_index_of_another_dataset_is_refused(page_dataset: Dataset, tmp_path: Path) -> None:
    SearchIndex.build(small(90, 16, seed=3), "osnet", tmp_path / "other.json")
    SearchIndex.build(small(90, 5), "osnet", tmp_path / "narrow.json")
    SearchIndex.build(page_dataset, "osnet", tmp_path / "cut.json")
    [vectors] = [file for file in tmp_path.glob("cut.*") if file.suffix != ".json"]
    vectors.write_bytes(vectors.read_bytes()[:-100])
    for name, message in (
        ("other", "other vectors"),
        ("narrow", "another model"),
        ("cut", "truncated"),
        ("no", "not exist"),
    ):
        with pytest.raises(DatasetError, match=message):
            Workspace(page_dataset, tmp_path / "app", index=tmp_path / f"{name}.json")


def test_an_index_of_ones_own_is_searched(page_dataset: Dataset, tmp_path: Path) -> None:
    SearchIndex.build(page_dataset, {"osnet": 3, "color_model": 1}, tmp_path / "mine.json")
    workspace = Workspace(page_dataset, tmp_path / "app", index=tmp_path / "mine.json")
    assert workspace.default_weights == {"osnet": 0.75, "color_model": 0.25}
    assert workspace.indices.get({"osnet": 0.75, "color_model": 0.25}).space.names == ("osnet", "color_model")


def test_thumbnails_stay_within_their_limit(page_dataset: Dataset, tmp_path: Path) -> None:
    thumbnails = Thumbnails(page_dataset, tmp_path, max_bytes=20_000)
    sizes = [len(thumbnails.get(row, 96).data) for row in range(60)]
    assert sum(sizes) > 20_000
    assert 0 < sum(file.stat().st_size for file in tmp_path.rglob("*.jpg")) <= 20_000


def test_a_folder_that_cannot_be_written_is_named(page_dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "app").write_text("a file")
    with pytest.raises(DatasetError, match="app"):
        Workspace(page_dataset, tmp_path / "app")
