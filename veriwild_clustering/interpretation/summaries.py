"""All that a person needs to know a cluster by: its figures, its images, its claims, and two sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.validation import check_int
from veriwild_clustering.interpretation.evidence.attributes import encode_sources, vehicle_codes
from veriwild_clustering.interpretation.evidence.geometry import next_centers
from veriwild_clustering.interpretation.exemplars import best_rows
from veriwild_clustering.interpretation.findings import gather
from veriwild_clustering.interpretation.language.languages import language_of
from veriwild_clustering.interpretation.profiles import profile_attributes
from veriwild_clustering.interpretation.sentences import compose

__all__ = ["ClusterSummaries", "summarize"]


@dataclass(frozen=True, eq=False, repr=False)
class ClusterSummaries:
    """What `summarize` found out about each cluster, in tables with a column `cluster`.

    Values stay as they are in the image table; `table["text"]` alone is in the language asked for.

    Parameters
    ----------
    partition : Partition
        The clusters.
    table : DataFrame
        One row per cluster: cluster; size; share (of all images); spread (mean distance to the centre over the average
        of all clustered images); confidence (median); nearest (the cluster with the nearest centre, −1 if there is
        none); n_vehicles; vehicle_purity (of its vehicles seen more than once, the share whose images all lie in it)
        with its 95 % Wilson interval over vehicles, vehicle_purity_low and vehicle_purity_high, and
        vehicle_purity_chance (the same to be expected of clusters of these sizes drawn at random); text. What needs
        vehicles is missing where none is known.
    exemplars : DataFrame
        Typical images, the medoid first: cluster, rank, row, distance (to the centre), confidence.
    borderline : DataFrame
        Doubtful images, the most doubtful first: cluster, rank, row, distance, other (the cluster with the next
        centre), other_distance, confidence.
    profile : DataFrame
        As `profile` returns it.
    claims : DataFrame
        The rows of the profile that the text states, in its order, with q_value, the adjusted p-value.
    differences : DataFrame
        Against the nearest cluster: cluster, other, column, value, share, other_share, difference and its 95 %
        interval low and high, missing (images whose value is not known), p_value, q_value, clear. The first row of
        each cluster is what the text states if it is clear.
    sources : DataFrame
        Where and when the images were taken, as rows of a profile: column "camera" and column "hour", from 0 to 23.
    language : {"en", "ru"}, default="en"
        The language of the text.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Descriptor, Partition, summarize
    >>> partition = Partition([0, 0, 0, 1], Descriptor("toy", np.array([[0.0], [1], [2], [9]])), "by hand")
    >>> summarize(partition, pd.DataFrame({"type": ["bus", "bus", "bus", "car"]}))
    ClusterSummaries('by hand() on toy', 2 clusters, 0 claims)
    """

    partition: Partition
    table: pd.DataFrame
    _: KW_ONLY
    exemplars: pd.DataFrame
    borderline: pd.DataFrame
    profile: pd.DataFrame
    claims: pd.DataFrame
    differences: pd.DataFrame
    sources: pd.DataFrame
    language: str = "en"

    def __repr__(self) -> str:
        return f"ClusterSummaries({self.partition.name!r}, {len(self.table)} clusters, {len(self.claims)} claims)"

    def _repr_html_(self) -> str:
        return self.table[["cluster", "size", "share", "text"]].to_html(index=False)


def summarize(
    partition: Partition,
    images: pd.DataFrame,
    *,
    columns: Sequence[str] | None = None,
    n_images: int = 8,
    language: str = "en",
) -> ClusterSummaries:
    """Find out what each cluster holds, where it comes from and how it differs from the next one.

    Parameters
    ----------
    partition : Partition
        The clusters.
    images : DataFrame
        The image table, one row per image.
    columns : sequence of str, optional
        The attributes to speak of; by default those that `profile` finds.
    n_images : int, default=8
        How many exemplars and borderline images per cluster, of different vehicles where it has so many.
    language : {"en", "ru"}, default="en"
        The language of the text.

    Returns
    -------
    ClusterSummaries
        The tables; `table["text"]` has two sentences per cluster, as `describe` composes them.

    Raises
    ------
    ValueError
        If the image table has another number of rows than the partition, or a column or the language is not known.

    See Also
    --------
    describe : The sentences alone, and what makes a claim.
    compare_partitions : Which cluster is which in another partition.

    Notes
    -----
    O(n_images * n_clusters * n_features) for the borderline images, in three passes over the vectors, and
    O(n_images log n_images) per attribute.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Descriptor, Partition, summarize
    >>> points = np.repeat([[0.0], [1], [9], [10]], 10, axis=0)
    >>> images = pd.DataFrame({"vehicle_id": np.arange(40) // 2, "type": ["bus"] * 20 + ["car"] * 20})
    >>> summaries = summarize(Partition(np.repeat([0, 1], 20), Descriptor("toy", points), "by hand"), images)
    >>> summaries.table[["cluster", "size", "nearest", "n_vehicles", "vehicle_purity"]].to_numpy().tolist()
    [[0, 20, 1, 10, 1.0], [1, 20, 0, 10, 1.0]]
    >>> summaries.claims[["cluster", "column", "value", "share", "lift"]].to_numpy().tolist()
    [[0, 'type', 'bus', 1.0, 2.0], [1, 'type', 'car', 1.0, 2.0]]
    """
    check_int("n_images", n_images, low=1)
    spoken = language_of(language)
    findings = gather(partition, images, columns)
    vehicles = vehicle_codes(images)
    measured: dict[str, NDArray[Any]] = {"distance": findings.facts.distances}
    exemplars = _ranked(partition, measured["distance"], vehicles, measured, n_images=n_images)
    other, other_distance = next_centers(partition, findings.facts.centers)
    measured |= {"other": other, "other_distance": other_distance}
    borderline = _ranked(partition, other_distance - measured["distance"], vehicles, measured, n_images=n_images)
    return ClusterSummaries(
        partition,
        findings.facts.table.assign(text=compose(findings, spoken, partition)),
        exemplars=exemplars,
        borderline=borderline[borderline["other"] != NOISE],
        profile=findings.profile,
        claims=findings.claims,
        differences=findings.differences,
        sources=profile_attributes(partition, encode_sources(images), vehicles),
        language=language,
    )


def _ranked(
    partition: Partition,
    badness: NDArray[np.float64],
    vehicles: NDArray[np.int64],
    measured: Mapping[str, NDArray[Any]],
    *,
    n_images: int,
) -> pd.DataFrame:
    """Return the best images of each cluster, with what was measured of them."""
    chosen = [
        best_rows(partition.members(cluster), badness, vehicles)[:n_images] for cluster in range(partition.n_clusters)
    ]
    rows = np.concatenate([np.empty(0, dtype=np.int64), *chosen])
    counts = [len(part) for part in chosen]
    return pd.DataFrame(
        {
            "cluster": np.repeat(np.arange(partition.n_clusters), counts),
            "rank": np.concatenate([np.empty(0, dtype=np.int64), *map(np.arange, counts)]),
            "row": rows,
            **{name: values[rows] for name, values in measured.items()},
            "confidence": partition.confidence[rows].astype(np.float64),
        }
    )
