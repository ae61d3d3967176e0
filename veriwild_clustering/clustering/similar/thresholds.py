"""How many groups, outliers and similar pairs each threshold gives, and where lowering it adds the fewest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.clustering.components import group_labels
from veriwild_clustering.clustering.similar.reading import Compared
from veriwild_clustering.core.vectors.links import Links
from veriwild_clustering.descriptors.pairwise.measure import Found, similar_pairs, similarity_matrix

__all__ = ["Choice", "choose_threshold"]

_MOST_IMAGES = 1_000
_CHANCE_IMAGES = 150
_CHANCE = 0.99  # quantile of the similarities of any two images
_FEWEST_IMAGES = 3
_WINDOW = 0.05
_STEPS = 100
_SHOWN = 5


@dataclass(frozen=True)
class Choice:
    """A threshold, why this one, and the curve in which it was found."""

    threshold: float
    reason: str
    curve: pd.DataFrame


def choose_threshold(compared: Compared, *, random_state: int, n_jobs: int) -> Choice:
    """Return the threshold where lowering it adds the fewest pairs in proportion, on a sample of the images."""
    rng = np.random.default_rng(random_state)
    rows, strict = compared.rows, compared.measure.strict
    sample = np.sort(rng.choice(rows, size=min(len(rows), _MOST_IMAGES), replace=False))
    if len(sample) < _FEWEST_IMAGES:
        reason = f"Fewer than {_FEWEST_IMAGES} images can be compared, too few to choose a threshold from: {strict}."
        return Choice(strict, reason, _curve(sample, [], np.array([strict, 1.0]), n_images=len(rows)))
    low = _chance(compared, rng.choice(sample, size=min(len(sample), _CHANCE_IMAGES), replace=False), n_jobs=n_jobs)
    thresholds = np.unique(np.append(np.linspace(low, 1, _STEPS + 1), 1.0))
    found = list(similar_pairs(compared.measure, compared.features, sample, threshold=low, n_jobs=n_jobs))
    curve = _curve(sample, found, thresholds, n_images=len(rows))
    similarities = np.sort(np.concatenate([np.empty(0), *(one.similarities for one in found)]))
    threshold, reason = _flattest(similarities, low, strict=strict)
    of = "all" if len(sample) == len(rows) else f"a sample of {len(sample):,} of {len(rows):,}"
    return Choice(threshold, f"{reason} Looked at in {of} images.", curve)


def _chance(compared: Compared, sample: NDArray[np.int64], *, n_jobs: int) -> float:
    """Return a similarity that few pairs reach: the lowest threshold that is looked at."""
    matrix = similarity_matrix(compared.measure, compared.features, np.sort(sample), n_jobs=n_jobs)
    values = matrix[np.tril_indices(len(matrix), -1)]
    return float(min(np.quantile(values, _CHANCE), (np.median(values) + 1) / 2, 1 - 2 * _WINDOW))


def _flattest(similarities: NDArray[np.float64], low: float, *, strict: float) -> tuple[float, str]:
    """Return the middle of the window over which the logarithm of the number of pairs grows least, with the reason."""
    width = min(_WINDOW, (1 - low) / 4)
    bottoms = np.linspace(low, 1 - width, _STEPS)
    above = len(similarities) - np.searchsorted(similarities, bottoms + width - 1e-9)
    all_above = len(similarities) - np.searchsorted(similarities, bottoms)
    usable = above >= 1
    if not usable.any():
        return strict, (
            f"No two images are similar by {1 - width:.2f} or more, so nothing tells where similar begins: the strict "
            f"{strict} is taken."
        )
    growth = np.full(len(bottoms), np.inf)
    growth[usable] = np.log((all_above[usable] + 1) / (above[usable] + 1))
    flattest = np.flatnonzero(growth <= growth.min() + 1e-12)
    best = int(flattest[len(flattest) // 2])
    if best == 0:
        return strict, (
            f"The number of similar pairs grows without a break as the threshold falls, so there is no gap between "
            f"similar images and others: the strict {strict} is taken."
        )
    threshold = round(float(bottoms[best] + width / 2), 4)
    return threshold, (
        f"From {bottoms[best] + width:.3f} down to {bottoms[best]:.3f} the number of similar pairs grows from "
        f"{above[best]:,} to {all_above[best]:,}, in proportion the least of all such steps above {low:.3f}, which "
        f"{1 - _CHANCE:.0%} of any two images reach: {threshold:g} is its middle."
    )


def _curve(
    rows: NDArray[np.int64], found: list[Found], thresholds: NDArray[np.float64], *, n_images: int
) -> pd.DataFrame:
    """Return one row per threshold: groups, outliers and largest groups of the sample, pairs of all images."""
    empty = np.empty(0, dtype=np.int64)
    one = np.searchsorted(rows, np.concatenate([empty, *(pairs.rows for pairs in found)]))
    other = np.searchsorted(rows, np.concatenate([empty, *(pairs.others for pairs in found)]))
    similarities = np.concatenate([np.empty(0), *(pairs.similarities for pairs in found)])
    scale = n_images * (n_images - 1) / max(1, len(rows) * (len(rows) - 1))
    lines = []
    links = Links(len(rows))
    for threshold in thresholds[::-1]:
        near = similarities >= threshold
        links.add(one[near], other[near])
        labels = group_labels(links.components()) if len(rows) else np.empty(0, dtype=np.int32)
        sizes = np.bincount(labels[labels >= 0])
        largest = ", ".join(f"{size:,}" for size in sizes[:_SHOWN]) + (" …" if len(sizes) > _SHOWN else "")
        lines.append((threshold, len(sizes), int((labels < 0).sum()), near.sum() * scale, largest))
    table = pd.DataFrame(lines[::-1], columns=["threshold", "n_groups", "n_outliers", "n_pairs", "largest"])
    return table.assign(n_images=len(rows))
