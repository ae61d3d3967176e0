"""Export of a partition: one CSV row per image with its cluster and, where known, why it is an outlier."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.validation import check_rows

__all__ = ["Outliers", "export_partition"]


class Outliers(Protocol):
    """What an export says of outliers, one entry per image: `OutlierScores`, or scores from elsewhere."""

    @property
    def scores(self) -> NDArray[np.float64]:
        """Higher is more abnormal."""

    @property
    def is_outlier(self) -> NDArray[np.bool_]:
        """Which images are flagged."""

    @property
    def reasons(self) -> NDArray[np.object_]:
        """Why an image is flagged."""


def export_partition(
    path: str | Path, dataset: Dataset, partition: Partition, *, outliers: Outliers | None = None
) -> pd.DataFrame:
    """Write a partition as CSV, one row per image, in the order of the image table.

    Parameters
    ----------
    path : str or Path
        The file to write; replaced as a whole or not at all.
    dataset : Dataset
        The images.
    partition : Partition
        One label per image.
    outliers : OutlierScores, optional
        One score per image. Without it `is_outlier` is False, `outlier_score` and `outlier_reason` are empty.

    Returns
    -------
    DataFrame
        What was written: `path`, `vehicle_id` (empty where unknown), `cluster` (−1 is noise), where clusters have names
        `cluster_name` (empty for noise), `confidence` in [0, 1], `is_outlier`, `outlier_score` (higher is more
        abnormal), `outlier_reason`.

    Raises
    ------
    ValueError
        If `partition` or `outliers` do not have one entry per image.
    DatasetError
        If the file cannot be written.

    Notes
    -----
    O(n_images). UTF-8, comma-separated, quoted where needed. Read vehicle ids as text or their leading zeros are
    lost: `pd.read_csv(path, dtype={"vehicle_id": str})`. Numbers keep nine significant digits. Texts are written as
    they are, since a path must lead back to its image: a path that begins with "=" is a formula to a spreadsheet, so
    import the file there as text if the image names come from somebody else.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor, Partition, export_partition
    >>> dataset = Dataset(pd.DataFrame({"path": ["a.jpg", "b.jpg"], "vehicle_id": ["00001", "00002"]}))
    >>> partition = Partition([0, 0], Descriptor("toy", np.zeros((2, 1))), "by hand")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "best.csv")
    ...     table = export_partition(file, dataset, partition)
    ...     print(file.read_text())
    path,vehicle_id,cluster,confidence,is_outlier,outlier_score,outlier_reason
    a.jpg,00001,0,1.0,False,,
    b.jpg,00002,0,1.0,False,,
    """
    n_images = len(dataset)
    check_rows("partition.labels", partition.labels, n_images)
    flags, scores, reasons = (
        np.zeros(n_images, dtype=bool),
        np.full(n_images, np.nan),
        np.full(n_images, "", dtype=object),
    )
    if outliers is not None:
        flags = check_rows("outliers.is_outlier", outliers.is_outlier, n_images).astype(bool)
        scores = check_rows("outliers.scores", outliers.scores, n_images).astype(float)
        reasons = check_rows("outliers.reasons", outliers.reasons, n_images)
    texts = dataset.images.reindex(columns=["path", "vehicle_id"]).astype(object).fillna("").astype(str)
    table = pd.DataFrame(
        {
            "path": texts["path"].to_numpy(),
            "vehicle_id": texts["vehicle_id"].to_numpy(),
            "cluster": partition.labels.astype(np.int64),
            **_names(partition),
            "confidence": _nine_digits(partition.confidence),
            "is_outlier": flags,
            "outlier_score": _nine_digits(scores),
            "outlier_reason": pd.Series(reasons).fillna("").astype(str).to_numpy(),
        }
    )
    with write_atomically(path) as temporary:
        # A lone carriage return is not quoted for its own sake, and would break its row in two.
        texts = table[["path", "vehicle_id", *_names(partition)]]
        broken = texts.apply(lambda texts: texts.str.contains("\r")).to_numpy().any()
        quoting: Any = csv.QUOTE_NONNUMERIC if broken else csv.QUOTE_MINIMAL
        table.to_csv(temporary, index=False, lineterminator="\n", quoting=quoting)
    return table


def _names(partition: Partition) -> dict[str, np.ndarray]:
    """Return the column of names, none where clusters have none."""
    names = np.array([*partition.cluster_names, ""], dtype=object)
    return {"cluster_name": names[partition.labels]} if partition.cluster_names else {}


def _nine_digits(numbers: np.ndarray) -> list[float]:
    """Round to nine significant digits: as many as a float32 has, and the same on every machine."""
    return [float(f"{number:.9g}") for number in numbers]
