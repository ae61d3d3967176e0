"""A sentence or two per cluster, composed from what was measured, each claim with its figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.partition import Partition
from veriwild_clustering.interpretation.geometry import cluster_centers, own_distances
from veriwild_clustering.interpretation.profiles import profile

__all__ = ["claims", "describe"]

_MAX_CLAIMS = 3
_MAX_VALUES = 2
_MIN_SHARE = 0.2
_MIN_LIFT = 1.1
_ATTRIBUTES = {
    "camera": "from camera {}",
    "color": "{}",
    "model": "model {}",
    "time_of_day": "{} (time of day)",
    "type": "{}",
    "view": "{} view",
}
_WORDINGS = _ATTRIBUTES | {
    "aspect": "with width / height {}",
    "folder": "in folder {}",
    "height": "with height {} px",
    "width": "with width {} px",
}


def describe(partition: Partition, images: pd.DataFrame, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Say in a sentence or two what each cluster holds.

    Parameters
    ----------
    partition : Partition
        The clusters.
    images : DataFrame
        The image table, one row per image.
    columns : sequence of str, optional
        The attributes to speak of; by default those that `profile` finds.

    Returns
    -------
    DataFrame
        One row per cluster: cluster, size, share (of all images), text.

    Raises
    ------
    ValueError
        If the image table has another number of rows than the partition or a column is not known.

    Notes
    -----
    The first sentence names at most three attribute values that are more frequent in the cluster than overall: those
    whose 95 % interval of the share lies above the overall share and which hold for at least a fifth of the cluster,
    at least 1.1 times as often as overall; at most two values of one attribute, what is known of the vehicle and the
    view before what is measured on the image, in the order of share · log(lift). The second says how far the images
    spread around the centre of their cluster, against the average over all clustered images, and which centre is
    nearest. O(n_images * n_features), and what `profile` costs.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Descriptor, Partition, describe
    >>> points = np.array([[0.0], [1], [2], [3], [9], [9], [10], [10]])
    >>> partition = Partition(np.repeat([0, 1], 4), Descriptor("osnet", points), "kmeans")
    >>> print(describe(partition, pd.DataFrame({"type": ["bus"] * 4 + ["car"] * 4}))["text"][1])
    Cluster 1 (4 images, 50.0 %): 100 % car (2.0 times its share overall). Spread 0.67 times the average; nearest to
    cluster 0.
    """
    stated = claims(profile(partition, images, columns=columns))
    places = _places(partition)
    texts = []
    for cluster in range(partition.n_clusters):
        head = _head(partition, images, cluster)
        own = stated[stated["cluster"] == cluster]
        said = ", ".join(_phrase(claim) for _, claim in own.iterrows()) or "no known attribute stands out"
        texts.append(f"{head}: {said}. {places[cluster]}.")
    return pd.DataFrame(
        {
            "cluster": np.arange(partition.n_clusters),
            "size": partition.sizes,
            "share": partition.sizes / max(1, len(partition)),
            "text": texts,
        }
    )


def claims(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a profile that `describe` states, in its order."""
    clear = (table["low"] > table["overall_share"]) & (table["lift"] >= _MIN_LIFT)
    large = table["count"] >= _MIN_SHARE * (table["known"] + table["missing"])
    stated = table[clear & large]
    keys = {
        "secondary": ~stated["column"].isin(_ATTRIBUTES),
        "weight": -(stated["share"] * np.log(stated["lift"].to_numpy(dtype=float))),
    }
    ranked = stated.assign(**keys).sort_values(["cluster", *keys], kind="stable").drop(columns=[*keys])
    of_column = ranked.groupby(["cluster", "column"]).head(_MAX_VALUES)
    return of_column.groupby("cluster").head(_MAX_CLAIMS).reset_index(drop=True)


def _head(partition: Partition, images: pd.DataFrame, cluster: int) -> str:
    """Name the cluster with its size and, where known, its number of vehicles."""
    rows = partition.members(cluster)
    facts = [_counted(len(rows), "image"), f"{len(rows) / len(partition):.1%}".replace("%", " %")]
    if "vehicle_id" in images and (n_vehicles := images["vehicle_id"].iloc[rows].nunique()):
        facts.append(_counted(n_vehicles, "vehicle"))
    return f"Cluster {cluster} ({', '.join(facts)})"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _phrase(claim: pd.Series[Any]) -> str:
    """Word one claim: share, value, lift, and how many images it is about if some are not known."""
    column, value = str(claim["column"]), claim["value"]
    named = _WORDINGS.get(column, f"with {column} {{}}").replace("{}", str(value))
    known = f" of the {claim['known']:,} known" if claim["missing"] else ""
    # Never round up to the whole: "100 %" says that there is no exception.
    percent = "over 99" if 0.995 <= claim["share"] < 1 else f"{100 * claim['share']:.0f}"
    return f"{percent} %{known} {named} ({claim['lift']:.1f} times its share overall)"


def _places(partition: Partition) -> list[str]:
    """Say of each cluster how far it spreads and which other one is nearest."""
    if partition.n_clusters == 0:
        return []
    centers = cluster_centers(partition)
    own = own_distances(partition, centers)
    average = float(np.nanmean(own))
    nearest = _nearest_centers(centers)
    texts = []
    for cluster in range(partition.n_clusters):
        spread = own[partition.members(cluster)].mean() / average if average > 0 else 1.0
        neighbor = f"; nearest to cluster {nearest[cluster]}" if len(centers) > 1 else ""
        texts.append(f"Spread {spread:.2f} times the average{neighbor}")
    return texts


def _nearest_centers(centers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each centre the index of the nearest other one."""
    from scipy.spatial.distance import cdist

    distances = cdist(centers, centers)
    np.fill_diagonal(distances, np.inf)
    return distances.argmin(axis=1)
