"""The exported CSV: columns, row order, and a round trip through pandas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from veriwild_clustering import Dataset, DatasetError, Descriptor, OutlierScores, Partition, export_partition

COLUMNS = ["path", "vehicle_id", "cluster", "confidence", "is_outlier", "outlier_score", "outlier_reason"]


def _read(path) -> pd.DataFrame:
    return pd.read_csv(
        path, dtype={"path": str, "vehicle_id": str, "outlier_reason": str}, keep_default_na=False,
        na_values={"outlier_score": [""]},
    )  # fmt: skip


def test_rows_follow_the_image_table_and_ids_keep_their_zeros(tmp_path, dataset, partition) -> None:
    evidence = np.linspace(0.1, 1, 60)
    evidence[[7, 8]] = 30, np.nan
    outliers = OutlierScores(pd.DataFrame({"flat: KNN": evidence}))
    written = export_partition(tmp_path / "best.csv", dataset, partition, outliers=outliers)
    assert list(written) == COLUMNS
    assert written["path"].tolist() == dataset.images["path"].tolist()
    assert written["vehicle_id"][9] == "00004"
    assert written["cluster"].tolist() == partition.labels.tolist()
    np.testing.assert_allclose(written["confidence"], partition.confidence, rtol=1e-8)
    assert written["is_outlier"].tolist() == outliers.is_outlier.tolist()
    assert written["outlier_reason"][7] == outliers.reasons[7] != ""
    pd.testing.assert_frame_equal(_read(tmp_path / "best.csv"), written, check_dtype=False, rtol=1e-12)


def test_without_outliers_the_columns_stand_empty(tmp_path, dataset, partition) -> None:
    written = export_partition(tmp_path / "best.csv", dataset, partition)
    assert not written["is_outlier"].any()
    assert written["outlier_score"].isna().all()
    assert set(written["outlier_reason"]) == {""}


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paths=st.lists(_texts, min_size=1, max_size=6), data=st.data())
def test_what_is_read_back_is_what_was_written(tmp_path, paths, data) -> None:
    n = len(paths)
    labels = data.draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n))
    confidence = data.draw(st.lists(st.floats(0, 1, width=32), min_size=n, max_size=n))
    dataset = Dataset(pd.DataFrame({"path": paths, "vehicle_id": [f"{i:05d}" for i in range(n)]}))
    partition = Partition(labels, Descriptor("toy", np.zeros((n, 1))), "by hand", confidence=confidence)
    written = export_partition(tmp_path / "best.csv", dataset, partition)
    pd.testing.assert_frame_equal(_read(tmp_path / "best.csv"), written, check_dtype=False, rtol=1e-12)
    np.testing.assert_allclose(written["confidence"], partition.confidence.astype(float), rtol=1e-8)


def test_wrong_lengths_are_named_and_nothing_is_written(tmp_path, dataset, partition) -> None:
    with pytest.raises(ValueError, match=r"`partition.labels` must have one entry per image, shape \(59,\)"):
        export_partition(tmp_path / "best.csv", dataset.take(np.arange(59)), partition)
    short = OutlierScores(pd.DataFrame({"flat: KNN": np.linspace(0, 1, 59)}))
    with pytest.raises(ValueError, match=r"`outliers.is_outlier` must have one entry per image, shape \(60,\)"):
        export_partition(tmp_path / "best.csv", dataset, partition, outliers=short)
    assert not (tmp_path / "best.csv").exists()


def test_an_output_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path, dataset, partition) -> None:
    (tmp_path / "best.csv").mkdir()
    with pytest.raises(DatasetError, match=r"Cannot write .*best\.csv"):
        export_partition(tmp_path / "best.csv", dataset, partition)
    assert not list((tmp_path / "best.csv").iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.csv", "images"]


def test_unknown_vehicles_are_empty(dataset: Dataset, partition: Partition, tmp_path: Path) -> None:
    some = dataset.images.assign(vehicle_id=[None, *dataset.images["vehicle_id"][1:]])
    for images, n_unknown in ((some, 1), (dataset.images.drop(columns="vehicle_id"), 60)):
        export_partition(tmp_path / "best.csv", Dataset(images), partition)
        assert pd.read_csv(tmp_path / "best.csv", dtype=str)["vehicle_id"].isna().sum() == n_unknown
