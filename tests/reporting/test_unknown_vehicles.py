"""A dataset whose vehicles are not known, as images of one's own give it: everything works and says nothing of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import (
    Dataset,
    Partition,
    choose,
    describe,
    exemplars,
    export_partition,
    leaderboard,
    summarize,
    sweep,
    write_cluster_pages,
    write_report,
)


@pytest.fixture
def unknown(dataset: Dataset) -> Dataset:
    images = dataset.images.assign(vehicle_id=pd.Series(None, index=dataset.images.index, dtype="str"))
    return Dataset(images, dataset.descriptors, dataset.image_store)


def test_choice_and_report_leave_vehicles_out(unknown: Dataset, tmp_path: Path, read_page: Callable[..., Any]) -> None:
    partitions = sweep(unknown["flat"], {"kmeans": {"n_clusters": [2, 3, 4]}}, random_state=0)
    board = leaderboard(partitions, groups=unknown.images["vehicle_id"])
    choice = choose(board)
    assert choice.partition.n_clusters == 3
    report = read_page(write_report(tmp_path / "report.html", unknown, board, choice=choice, interactive=False))
    assert "60 images, 3 partitions compared" in " ".join(report.text.split())
    index, *_ = write_cluster_pages(tmp_path / "pages", unknown, choice.partition)
    assert "vehicles" not in read_page(index).text.lower().replace("images of vehicles", "")


def test_clusters_are_described_without_vehicles(unknown: Dataset, partition: Partition, tmp_path: Path) -> None:
    images = unknown.images
    assert not describe(partition, images)["text"].str.contains("vehicle").any()
    assert summarize(partition, images).table["vehicle_purity"].isna().all()
    shown = exemplars(partition, n=4, groups=images["vehicle_id"])
    expected = exemplars(partition, n=4)
    assert all(np.array_equal(shown[cluster], expected[cluster]) for cluster in expected)
    assert (export_partition(tmp_path / "best.csv", unknown, partition)["vehicle_id"] == "").all()


def test_where_the_vehicle_is_describes_no_cluster(unknown: Dataset, partition: Partition) -> None:
    boxes = unknown.images.assign(box_left=np.repeat([0.0, 50, 90], [30, 20, 10]), preparation=["a", "b"] * 30)
    text = describe(partition, boxes)["text"]
    assert not text.str.contains("box|preparation").any()
