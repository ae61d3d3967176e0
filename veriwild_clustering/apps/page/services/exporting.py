"""Exporting: the files that the library writes of a partition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.images.quality.verdicts import quality_reasons
from veriwild_clustering.reporting.export import export_partition
from veriwild_clustering.reporting.viewer.records import image_records, write_records

__all__ = ["export_csv", "export_records"]


def export_csv(workspace: Workspace, name: str = "") -> Path:
    """Return a CSV of the newest version of a partition, as `export_partition` writes it."""
    return _exported(workspace, name, "csv")


def export_records(workspace: Workspace, name: str = "") -> Path:
    """Return the records of the newest version of a partition as JSON, as `write_records` writes them.

    The label is the name of the cluster, and the places are those of the map by UMAP if it has been made.
    """
    return _exported(workspace, name, "json")


def _exported(workspace: Workspace, name: str, suffix: str) -> Path:
    """Write a file once per version, and let go of those of versions before."""
    name = name or workspace.default_partition
    partition, version = workspace.partition(name), workspace.library.current(name)
    file = workspace.folder / "exports" / f"{name}-{version:06d}.{suffix}"

    def make() -> Path:
        if suffix == "csv":
            export_partition(file, workspace.dataset, partition, outliers=workspace.outliers(name))
        else:
            write_records(file, image_records(_records(workspace, partition)))
        for other in file.parent.glob(f"{name}-??????.{suffix}"):
            if other.name < file.name:
                other.unlink(missing_ok=True)
        return file

    return workspace.remember(("export", name, version, suffix), make)


def _records(workspace: Workspace, partition: Partition) -> pd.DataFrame:
    images = workspace.dataset.images
    layout = next((name for name in ("umap-3d",) if name in workspace.layouts and workspace.is_ready(name)), "pca-3d")
    places, reasons = workspace.layout(layout), quality_reasons(images)
    names = [partition.cluster_name(cluster) for cluster in range(-1, partition.n_clusters)]
    return pd.DataFrame(
        {
            "filename": images["path"].fillna("").astype(str),
            "label": np.asarray(names, dtype=object)[partition.labels + 1],
            **{axis: places[:, column] for column, axis in enumerate("xyz")},
            "group": partition.labels,
            "quality": np.where(reasons == "", "high", "low"),
            "confidence": partition.confidence,
            "quality_reason": reasons.to_numpy(),
        }
    )
