"""Evidence: what the rules read beside the columns of the leaderboard, made from them and from sizes of clusters."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy

from veriwild_clustering.evaluation.internal import INTERNAL_METRICS
from veriwild_clustering.evaluation.leaderboard import Leaderboard

__all__ = ["IN_SPACE", "evidence", "reproduced"]

IN_SPACE = {*INTERNAL_METRICS, "silhouette_excess", "gap"}
"""Columns whose values in two descriptors cannot be compared."""

_VEHICLES_SPEAK = 0.5


def evidence(board: Leaderboard) -> pd.DataFrame:
    """Return the table of the leaderboard with, as far as it has what they need, the columns

    `information`, bits that the clusters tell of an image, `stable_information` and `vehicle_information`, those of
    them that are found again in another half of the images or in another image of the vehicle, and
    `reproduced_information`, those found again in both (in the other half alone, where vehicles tell nothing);
    `silhouette_excess` and `gap`, how far silhouette and explained variance exceed those of data without clusters.
    """
    table = board.table
    clustered = 1 - table["noise_fraction"].to_numpy(dtype=float)
    bits = clustered * [_entropy(partition.sizes) for partition in board.partitions]
    found = table.assign(information=bits)
    repeats = {}
    if "stability" in found:
        repeats["stable_information"] = found["stability"].to_numpy(dtype=float)
    # Where no partition keeps most vehicles together, the descriptor shows something else and vehicles cannot judge.
    if "pair_consistency" in found and found["pair_consistency"].max() >= _VEHICLES_SPEAK:
        repeats["vehicle_information"] = found["pair_consistency"].to_numpy(dtype=float)
    for name, agreement in repeats.items():
        found[name] = reproduced(bits, agreement)
    if "stable_information" in repeats:
        found["reproduced_information"] = reproduced(bits, np.prod(np.clip([*repeats.values()], 0, 1), axis=0))
    if "null_silhouette" in found:
        found["silhouette_excess"] = found["silhouette"] - found["null_silhouette"]
    if "null_explained_share" in found:
        within, null_within = (
            1 - found[name].clip(0, 1 - 1e-12) for name in ("explained_share", "null_explained_share")
        )
        found["gap"] = np.log(null_within / within)
    return found


def reproduced(bits: NDArray[np.float64], agreement: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many of the bits two readings share that agree so often beyond chance.

    The mutual information of the two ends of a symmetric channel with 2 ** bits letters, each of which passes with
    probability `agreement` and is else drawn anew.
    """
    letters = 2.0**bits
    kept = np.clip(agreement, 0, 1) * (1 - 1 / letters) + 1 / letters
    others = np.maximum(letters - 1, np.finfo(float).tiny)
    return np.asarray(np.maximum(bits + (xlogy(kept, kept) + xlogy(1 - kept, (1 - kept) / others)) / np.log(2), 0))


def _entropy(sizes: NDArray[np.int64]) -> float:
    """Return the bits that the cluster of a clustered image tells."""
    shares = sizes / max(1, sizes.sum())
    return float(-xlogy(shares, shares).sum() / np.log(2))
