"""What clusters hold: the share of each attribute value in each cluster against its share overall."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_int, check_known_names, check_rows

__all__ = ["profile", "wilson_interval"]

_IDENTIFIERS = frozenset({"detail", "image_status", "path", "time", "vehicle_id"})
_LABELS = frozenset({"camera", "color", "folder", "model", "time_of_day", "type", "view"})
_MAX_VALUES = 50
_FEW_NUMBERS = 12
_COLUMNS = ["cluster", "column", "value", "count", "known", "missing", "share", "overall_share", "lift", "low", "high"]


def profile(
    partition: Partition,
    images: pd.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    n_bins: int = 3,
) -> pd.DataFrame:
    """Tabulate how often each attribute value occurs in each cluster, and how much more often than overall.

    Parameters
    ----------
    partition : Partition
        The clusters.
    images : DataFrame
        The image table, one row per image.
    columns : sequence of str, optional
        The attributes. By default all columns of 2 to 50 distinct values or of numbers, but for the identifiers
        (path, vehicle_id, time, image_status, has_…), and the aspect ratio where width and height are known.
    n_bins : int, default=3
        Columns of numbers are cut into so many bins of equally many images.

    Returns
    -------
    DataFrame
        One row per cluster, column and value that occurs there, most frequent first within a cluster and column:

        - cluster, column, value: where and what; bins read "at most 98", "98 to 120", "above 120"
        - count: images of the cluster with the value
        - known, missing: images of the cluster whose value is known, and not known
        - share: count / known, in [0, 1]
        - overall_share: the same over all images, noise included
        - lift: share / overall_share
        - low, high: 95 % Wilson interval of the share [1]_, in which images of one `vehicle_id`, where the table has
          it, count as one observation

    Raises
    ------
    ValueError
        If the image table has another number of rows than the partition or a column is not known.

    Notes
    -----
    Images of one vehicle agree in colour and type, so they are not independent evidence. The number of observations
    in the interval is therefore the effective one of a cluster sample whose units are vehicles [2]_, (Σ m)² / Σ m²
    with m images of a vehicle in the cluster: exact for what is a property of the vehicle, and wider than need be for
    what changes from image to image. O(n_images log n_images) per column.

    References
    ----------
    .. [1] Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22(158).
       https://doi.org/10.1080/01621459.1927.10502953
    .. [2] Kish, L. (1965). Survey sampling. Wiley. Chapter 5, design effect with an intraclass correlation of one.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Descriptor, Partition, profile
    >>> space = Descriptor("osnet", np.zeros((4, 1)))
    >>> partition = Partition(np.array([0, 0, 0, 1]), space, "kmeans")
    >>> table = profile(partition, pd.DataFrame({"type": ["bus", "bus", "car", "car"]}))
    >>> print(table[["cluster", "value", "count", "share", "lift"]].round(2).to_string(index=False))
     cluster value  count  share  lift
           0   bus      2   0.67  1.33
           0   car      1   0.33  0.67
           1   car      1   1.00  2.00
    """
    check_rows("images", images.index, len(partition))
    check_int("n_bins", n_bins, low=2)
    if columns is not None:
        check_known_names("column", columns, list(images.columns))
    attributes = _attributes(images) if columns is None else {name: images[name] for name in columns}
    vehicles = _vehicles(images)
    parts = [
        _profile_column(partition, name, _as_values(name, column, n_bins), vehicles=vehicles)
        for name, column in attributes.items()
    ]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COLUMNS)
    return table.sort_values("cluster", kind="stable", ignore_index=True)


def wilson_interval(share: NDArray[Any], total: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the 95 % Wilson interval of a share of `total` observations; `total` is at least 1."""
    z = 1.959963984540054
    center = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return np.clip(center - half, 0, 1), np.clip(center + half, 0, 1)


def _vehicles(images: pd.DataFrame) -> NDArray[np.int64]:
    """Return a number per image that images of one vehicle share; an image without a vehicle stands alone."""
    if "vehicle_id" not in images:
        return np.arange(len(images))
    codes = pd.factorize(images["vehicle_id"])[0]
    return np.where(codes >= 0, codes, len(images) + np.arange(len(images)))


def _effective_numbers(clusters: NDArray[np.int32], vehicles: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the effective number of observations of each cluster, given those of each image."""
    n_vehicles = int(vehicles.max(initial=0)) + 1
    pairs, counts = np.unique(clusters * np.int64(n_vehicles) + vehicles, return_counts=True)
    total, squares = (np.bincount(pairs // n_vehicles, weights=counts**power) for power in (1, 2))
    return total**2 / np.maximum(squares, 1)


def _is_measure(name: str, column: pd.Series[Any]) -> bool:
    """Tell numbers that measure from labels, which may be written as numbers too."""
    is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return is_number and name not in _LABELS and column.nunique() > _FEW_NUMBERS


def _attributes(images: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """Return the columns that say something about many images at once."""
    found = {
        str(name): column
        for name, column in images.items()
        if name not in _IDENTIFIERS and not str(name).startswith("has_")
    }
    if {"width", "height"} <= found.keys() and "aspect" not in found:
        found["aspect"] = (images["width"] / images["height"].where(images["height"] > 0)).round(2)
    return {
        name: column
        for name, column in found.items()
        if _is_measure(name, column) or 2 <= column.nunique() <= _MAX_VALUES
    }


def _as_values(name: str, column: pd.Series[Any], n_bins: int) -> pd.Series[Any]:
    """Return the value of each image, measures as the name of their bin; missing stays missing."""
    if not _is_measure(name, column):
        return column
    edges = np.unique(column.quantile(np.arange(1, n_bins) / n_bins))
    names = [f"{edge:.4g}" for edge in edges]
    bins = [
        f"at most {names[0]}",
        *(f"{low} to {high}" for low, high in itertools.pairwise(names)),
        f"above {names[-1]}",
    ]
    known = column.notna().to_numpy()
    values = np.full(len(column), None, dtype=object)
    values[known] = np.array(bins, dtype=object)[np.searchsorted(edges, column[known])]
    return pd.Series(values)


def _profile_column(
    partition: Partition, name: str, values: pd.Series[Any], *, vehicles: NDArray[np.int64]
) -> pd.DataFrame:
    """Return the rows of one attribute, by cluster and then by falling count."""
    codes, distinct = pd.factorize(values, sort=False)
    is_known = codes >= 0
    overall = np.bincount(codes[is_known], minlength=len(distinct)) / max(1, is_known.sum())
    used = is_known & partition.clustered
    counts = np.zeros((partition.n_clusters, len(distinct)), dtype=np.int64)
    np.add.at(counts, (partition.labels[used], codes[used]), 1)
    known = counts.sum(axis=1)
    cluster, value = np.nonzero(counts)
    order = np.lexsort((value, -counts[cluster, value], cluster))
    cluster, value = cluster[order], value[order]
    count = counts[cluster, value]
    share = count / known[cluster]
    low, high = wilson_interval(share, _effective_numbers(partition.labels[used], vehicles[used])[cluster])
    return pd.DataFrame(
        {
            "cluster": cluster,
            "column": name,
            "value": pd.Series(np.asarray(distinct, dtype=object)[value], dtype=object),
            "count": count,
            "known": known[cluster],
            "missing": (partition.sizes - known)[cluster],
            "share": share,
            "overall_share": overall[value],
            "lift": share / overall[value],
            "low": low,
            "high": high,
        }
    )
