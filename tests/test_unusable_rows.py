"""From vectors to the exported files with rows that cannot be used: nothing fails, warns or moves to another row."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import veriwild_clustering as vc

mpl.use("Agg")

N_IMAGES = 60
UNUSABLE = [0, 5, 59]
GRID = {
    "kmeans": {"n_clusters": [2, 3, 4]},
    "gaussian_mixture": {"n_clusters": [3]},
    "agglomerative": {"n_clusters": [3]},
    "hdbscan": {"min_cluster_size": [5]},
    "dbscan": {"eps": ["knee"], "min_samples": [4]},
}


@pytest.fixture(params=["images and attributes", "vectors alone"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> vc.Dataset:
    """Three clear clusters in turns; three rows without a vector, some images broken or missing, or none at all."""
    rng = np.random.default_rng(0)
    group = np.arange(N_IMAGES) % 3
    vectors = rng.normal(scale=8, size=(3, 6))[group] + rng.normal(size=(N_IMAGES, 6))
    vectors[UNUSABLE] = np.nan
    images = pd.DataFrame({"path": [f"{row}.jpg" for row in range(N_IMAGES)]})
    descriptors = {"osnet": vc.Descriptor("osnet", vectors.astype(np.float32))}
    if request.param == "vectors alone":
        return vc.Dataset(images, descriptors)
    images = images.assign(
        vehicle_id=[f"{row // 6:05d}" for row in range(N_IMAGES)],
        type=np.array(["car", "bus", None], dtype=object)[group],
        unknown=None,
    )
    for row in range(2, N_IMAGES):
        Image.new("RGB", (20, 12), (4 * row, 0, 0)).save(tmp_path / f"{row}.jpg")
    (tmp_path / "2.jpg").write_bytes(b"not an image")
    return vc.Dataset(images, descriptors, vc.ImageStore(tmp_path))


def test_rows_stay_where_they_are_from_vectors_to_files(dataset: vc.Dataset, tmp_path: Path) -> None:
    raw, images = dataset["osnet"], dataset.images
    space = vc.transform(raw, make_pipeline(StandardScaler(), PCA(2, random_state=0)))
    partitions = vc.sweep(space, GRID, random_state=0)
    assert all((partition.labels[UNUSABLE] == -1).all() for partition in partitions)
    board = vc.leaderboard(partitions, truth=images.get("type"), groups=images.get("vehicle_id"))
    choice = vc.choose(board)
    best = choice.partition
    usable = np.setdiff1d(np.arange(N_IMAGES), UNUSABLE)
    assert vc.hungarian_accuracy(best.labels[usable], usable % 3) == 1
    outliers = vc.detect_outliers(raw, random_state=0)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(outliers.scores)), UNUSABLE)
    shown = vc.exemplars(best, n=8)
    assert not set(UNUSABLE) & set(np.concatenate(list(shown.values())).tolist())
    assert len(vc.describe(best, images)) == best.n_clusters

    vc.plot_gallery(dataset, shown)
    vc.plot_map(space, best)
    vc.interactive_map(space, best, dataset=dataset, path=tmp_path / "map.html")
    vc.write_report(tmp_path / "report.html", dataset, board, choice=choice, outliers=outliers, projections=[space])
    vc.export_partition(tmp_path / "best.csv", dataset, best, outliers=outliers)
    written = pd.read_csv(tmp_path / "best.csv")
    assert written["path"].tolist() == images["path"].tolist()
    np.testing.assert_array_equal(written["cluster"], best.labels)
    np.testing.assert_array_equal(np.flatnonzero(written["outlier_score"].isna()), UNUSABLE)
    labels, _ = vc.PartitionModel.fit(best).assign({"osnet": raw.vectors})
    np.testing.assert_array_equal(labels, best.labels)
