"""One row of figures per cluster: how large, how compact, what lies beside it, how whole its vehicles are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.partition import Partition
from veriwild_clustering.interpretation.evidence.geometry import cluster_centers, nearest_centers, own_distances
from veriwild_clustering.interpretation.evidence.tallies import wilson_interval

__all__ = ["ClusterFacts", "cluster_facts"]


@dataclass(frozen=True, eq=False)
class ClusterFacts:
    """The table of figures, with the centres and the distances to them from which it was made."""

    table: pd.DataFrame
    centers: NDArray[np.float64]
    distances: NDArray[np.float64]


def cluster_facts(partition: Partition, vehicles: NDArray[np.int64]) -> ClusterFacts:
    """Measure each cluster; two passes over the vectors. `vehicles` is −1 where the vehicle is not known."""
    centers = cluster_centers(partition)
    distances = own_distances(partition, centers)
    of_cluster = pd.DataFrame(
        {"label": partition.labels, "distance": distances, "confidence": partition.confidence.astype(np.float64)}
    )[partition.clustered].groupby("label")
    average = float(distances[partition.clustered].mean()) if partition.n_clusters else 0.0
    spread = of_cluster["distance"].mean().to_numpy() / average if average > 0 else np.ones(partition.n_clusters)
    table = pd.DataFrame(
        {
            "cluster": np.arange(partition.n_clusters),
            "size": partition.sizes,
            "share": partition.sizes / max(1, len(partition)),
            "spread": spread,
            "confidence": of_cluster["confidence"].median().to_numpy(),
            "nearest": nearest_centers(centers),
        }
    )
    return ClusterFacts(table.join(_vehicle_purity(partition, vehicles)), centers, distances)


def _vehicle_purity(partition: Partition, vehicles: NDArray[np.int64]) -> pd.DataFrame:
    """Count the vehicles of each cluster, and those seen more than once of which every image lies in it."""
    known = vehicles >= 0
    sightings = np.bincount(vehicles[known]) if known.any() else np.zeros(0, dtype=np.int64)
    used = known & partition.clustered
    cells = pd.DataFrame({"cluster": partition.labels[used], "vehicle": vehicles[used]})
    inside = cells.groupby(["cluster", "vehicle"]).size().reset_index(name="images")
    total = sightings[inside["vehicle"]]
    counted = inside.assign(seen=total > 1, whole=(total > 1) & (inside["images"] == total)).groupby("cluster")
    clusters = range(partition.n_clusters)
    seen, whole = (counted[name].sum().reindex(clusters, fill_value=0).to_numpy(float) for name in ("seen", "whole"))
    share = np.divide(whole, seen, out=np.full(len(seen), np.nan), where=seen > 0)
    low, high = wilson_interval(share, np.maximum(seen, 1))
    n_vehicles = counted.size().reindex(clusters, fill_value=0).to_numpy()
    return pd.DataFrame(
        {
            "n_vehicles": pd.array(n_vehicles if known.any() else [pd.NA] * len(n_vehicles), dtype="Int64"),
            "vehicle_purity": share,
            "vehicle_purity_low": low,
            "vehicle_purity_high": high,
            "vehicle_purity_chance": np.where(seen > 0, _whole_by_chance(partition, sightings), np.nan),
        }
    )


def _whole_by_chance(partition: Partition, sightings: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of whole vehicles, of those seen more than once, in clusters of these sizes drawn at random.

    Expected number of vehicles wholly within over the expected number of those seen there, both hypergeometric.
    """
    from scipy.stats import hypergeom

    times, vehicles = np.unique(sightings[sightings > 1], return_counts=True)
    drawn = hypergeom(len(partition), times[:, None], partition.sizes[None, :])
    whole, seen = vehicles @ drawn.pmf(times[:, None]), vehicles @ drawn.sf(0)
    return np.divide(whole, seen, out=np.full(len(whole), np.nan), where=seen > 0)
