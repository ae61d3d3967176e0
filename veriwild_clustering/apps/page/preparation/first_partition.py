"""The partition that the page begins with: the one that was exported, else the best of a modest sweep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.storage.tables import path_column, read_csv
from veriwild_clustering.core.validation import DatasetError

__all__ = ["ExportedPartition", "best_of_sweep", "read_exported"]

_N_CLUSTERS = range(3, 13)
_MAX_SWEPT = 10_000
_N_REPEATS = 4
_REMEDY = "Export the partition of this dataset again, or leave it out."


@dataclass(frozen=True, eq=False)
class ExportedPartition:
    """What a CSV of `export_partition` holds.

    Parameters
    ----------
    labels, confidence : array of shape (n_images,)
        As in the partition.
    scores, is_outlier, reasons : array of shape (n_images,), optional
        The outliers as they were exported, None where none were.
    """

    labels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    scores: NDArray[np.float64] | None
    is_outlier: NDArray[np.bool_]
    reasons: NDArray[np.object_]

    def partition(self, space: Descriptor, name: str) -> Partition:
        """Return the partition, in the space that the page shows."""
        return Partition(self.labels, space, name, confidence=self.confidence)


def read_exported(file: Path, dataset: Dataset) -> ExportedPartition:
    """Read a CSV that `export_partition` or `veriwild assign` wrote of this dataset.

    Raises
    ------
    DatasetError
        If it cannot be read, or is of other images.
    """
    if not file.is_file():
        raise DatasetError(f"{file} does not exist. {_REMEDY}")
    try:
        table = read_csv(file, keep_default_na=False, na_values={"cluster": [""], "outlier_score": [""]})
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file} cannot be read as a CSV: {error}. {_REMEDY}") from error
    column = path_column(table)
    if column is None or "cluster" not in table:
        raise DatasetError(f"{file} must have the columns `path` and `cluster`. {_REMEDY}")
    if table[column].astype(str).tolist() != dataset.images["path"].fillna("").astype(str).tolist():
        raise DatasetError(f"{file} is of other images than the dataset, or in another order. {_REMEDY}")
    labels = pd.to_numeric(table["cluster"], errors="coerce")
    if labels.isna().any() or (labels % 1 != 0).any():
        raise DatasetError(f"The column `cluster` of {file} must hold whole numbers, −1 for noise. {_REMEDY}")
    return ExportedPartition(
        labels.to_numpy(dtype=np.int32),
        np.clip(_numbers(table, "confidence", fill=1.0), 0, 1).astype(np.float32),
        scores=_scores(table),
        is_outlier=_texts(table, "is_outlier").str.lower().isin(["true", "1"]).to_numpy(),
        reasons=_texts(table, "outlier_reason").to_numpy(dtype=object),
    )


def best_of_sweep(space: Descriptor) -> Partition:
    """Return the best of k-means with 3 to 12 clusters; beyond 10,000 rows those of a sample, which places the others.

    O(n_images) beyond the sample.
    """
    from veriwild_clustering.clustering.assignment import PartitionModel
    from veriwild_clustering.clustering.resampling import rerun
    from veriwild_clustering.clustering.sweep import sweep
    from veriwild_clustering.evaluation.choice.choosing import choose
    from veriwild_clustering.evaluation.leaderboard import leaderboard

    rows = usable = np.flatnonzero(space.valid)
    if len(usable) > _MAX_SWEPT:
        rows = np.sort(np.random.default_rng(0).choice(usable, _MAX_SWEPT, replace=False))
    sample = space if len(usable) == len(rows) else space.take(rows)
    n_different = len(np.unique(sample.usable(), axis=0))
    largest = min(_N_CLUSTERS.stop, n_different // 4)
    if largest <= _N_CLUSTERS.start:
        params = {"reason": f"{n_different} different vectors are too few to group"}
        return Partition(np.zeros(len(space), dtype=np.int32), space, "one cluster", params=params)
    swept = sweep(sample, {"kmeans": {"n_clusters": range(_N_CLUSTERS.start, largest)}}, random_state=0)
    trial = rerun(swept, "half samples", n_repeats=_N_REPEATS, random_state=0)
    best = choose(leaderboard(swept, reruns=[trial])).partition
    if sample is space:
        return best
    labels, confidence = PartitionModel.fit(best).assign({space.name: space.vectors})
    note = f"fitted to {len(rows):,} of {len(usable):,} rows, the others went to the nearest centre"
    params = {**best.params, "approximation": note}
    return Partition(labels, space, best.algorithm, params=params, confidence=confidence, state=best.state)


def _scores(table: pd.DataFrame) -> NDArray[np.float64] | None:
    scores = _numbers(table, "outlier_score", fill=np.nan)
    return scores if np.isfinite(scores).any() else None


def _numbers(table: pd.DataFrame, name: str, *, fill: float) -> NDArray[np.float64]:
    if name not in table:
        return np.full(len(table), fill)
    return pd.to_numeric(table[name], errors="coerce").fillna(fill).to_numpy(dtype=np.float64)


def _texts(table: pd.DataFrame, name: str) -> pd.Series[str]:
    return table[name].astype(str) if name in table else pd.Series([""] * len(table), dtype=str)
