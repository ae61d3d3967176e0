"""Descriptions of real images, with the network of vehicle attributes at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from veriwild_clustering import Dataset
from veriwild_clustering.apps.page.services.describing import decode_upload, describe_image
from veriwild_clustering.apps.page.workspace import Workspace


@pytest.mark.real
def test_the_type_is_told_where_the_network_is_at_hand(
    real_raw_data: Path, real_models: Path, page_dataset: Dataset, tmp_path: Path
) -> None:
    workspace = Workspace(page_dataset, tmp_path / "app", umap=False, models=real_models)
    files = sorted(real_raw_data.rglob("*.jpg"))[::100]
    assert files
    shown = [describe_image(workspace, decode_upload(file.read_bytes())) for file in files]
    told = [one for one in shown if one.vehicle_type != "uncertain"]
    assert told
    assert {one.vehicle_type for one in told} <= {"car", "bus", "truck", "van"}
    assert all(one.confidence.vehicle_type >= 0.5 and one.sources["vehicle_type"] == "attributes" for one in told)
    assert all(one.confidence.view_angle == 0 for one in shown)
