"""What clusters hold: the share of each attribute value in each cluster against its share overall."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_rows
from veriwild_clustering.interpretation.evidence.attributes import Attribute, encode_attributes, vehicle_codes
from veriwild_clustering.interpretation.evidence.tallies import Tally, excess_p, wilson_interval

__all__ = ["profile", "profile_attributes"]

_COLUMNS = [
    *("cluster", "column", "value", "count", "known", "missing"),
    *("share", "overall_share", "lift", "low", "high", "p_value"),
]


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
        (path, vehicle_id, time, image_status, phash, has_…) and confidences; also the aspect ratio where width and
        height are known, and the quarter of the day (`hours`) where `time` is. What is measured on the image
        (`measured_color`, `light`) gives way to what is known (`color`; `time_of_day`, `hours`) of at least half of
        the images.
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
        - p_value: probability of such a share or a larger one at the overall share, among as many observations

    Raises
    ------
    ValueError
        If the image table has another number of rows than the partition or a column is not known.

    Notes
    -----
    An empty text is not known, nor is a measured label that is "uncertain".

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
    return profile_attributes(partition, encode_attributes(images, columns, n_bins=n_bins), vehicle_codes(images))


def profile_attributes(
    partition: Partition, attributes: Iterable[Attribute], vehicles: NDArray[np.int64]
) -> pd.DataFrame:
    """Return the profile of encoded attributes, as `profile` does."""
    parts = [_profile_attribute(partition, attribute, vehicles) for attribute in attributes]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COLUMNS)
    return table.sort_values("cluster", kind="stable", ignore_index=True)


def _profile_attribute(partition: Partition, attribute: Attribute, vehicles: NDArray[np.int64]) -> pd.DataFrame:
    """Return the rows of one attribute, by cluster and then by falling count."""
    tally = Tally(attribute, partition.labels, partition.n_clusters, vehicles)
    codes = attribute.codes[attribute.codes >= 0]
    overall = np.bincount(codes, minlength=len(attribute.values)) / max(1, len(codes))
    cluster, value = np.nonzero(tally.counts)
    order = np.lexsort((value, -tally.counts[cluster, value], cluster))
    cluster, value = cluster[order], value[order]
    share, effective = tally.shares[cluster, value], tally.effective[cluster]
    low, high = wilson_interval(share, effective)
    return pd.DataFrame(
        {
            "cluster": cluster,
            "column": attribute.name,
            "value": pd.Series(attribute.values[value], dtype=object),
            "count": tally.counts[cluster, value],
            "known": tally.known[cluster],
            "missing": (partition.sizes - tally.known)[cluster],
            "share": share,
            "overall_share": overall[value],
            "lift": share / overall[value],
            "low": low,
            "high": high,
            "p_value": excess_p(share, effective, overall[value]),
        }
    )
