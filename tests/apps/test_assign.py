"""`veriwild assign`: the clusters of a saved model for the images of a dataset."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from veriwild_clustering import Dataset, PartitionModel, sweep
from veriwild_clustering.apps.cli import main


@pytest.fixture
def dataset(raw_data: Path, tmp_path: Path) -> Path:
    csv = tmp_path / "transport_dataset.csv"
    assert main(["create-dataset", "--raw-data", str(raw_data), "--output", str(csv), "--no-images", "--quiet"]) == 0
    return csv


def test_images_get_the_clusters_of_the_partition(dataset: Path, tmp_path: Path) -> None:
    [partition] = sweep(Dataset.open(dataset)["osnet"], {"kmeans": {"n_clusters": [2]}})
    model = PartitionModel.fit(partition).save(tmp_path / "model.skops")
    assert main(["assign", str(model), str(dataset), "--output", str(tmp_path / "assigned.csv")]) == 0
    table = pd.read_csv(tmp_path / "assigned.csv", dtype={"vehicle_id": str})
    assert list(table.columns) == ["path", "vehicle_id", "cluster", "confidence"]
    assert table["path"].tolist() == Dataset.open(dataset).images["path"].tolist()
    assert table["cluster"].tolist() == [0] * 20 + [1] * 9 + [-1]
    assert table["confidence"].iloc[-1] == 0


def test_file_that_is_no_model_is_refused_in_one_line(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.skops"
    model.write_bytes(b"not a model")
    assert main(["assign", str(model), str(dataset)]) == 2
    assert capsys.readouterr().err == f"veriwild assign: {model} is not a saved partition model.\n"


def test_missing_model_is_named(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["assign", str(tmp_path / "absent.skops"), str(dataset)]) == 2
    shown = capsys.readouterr().err
    assert f"The file {tmp_path / 'absent.skops'} does not exist. A model is written by" in shown
    assert shown.count("\n") == 1
