"""Label maps: what every method returns, brought into one form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EDGE", "LabelMap", "connected_regions", "contiguous", "stacked_masks"]

LabelMap = NDArray[np.int32]

EDGE = 0


def contiguous(labels: NDArray[Any], *, edges: NDArray[np.bool_] | None = None) -> LabelMap:
    """Return labels numbered from 1 without gaps, in their own order; pixels of `edges` are 0."""
    inside = np.ones(labels.shape, dtype=np.bool_) if edges is None else ~edges
    result = np.full(labels.shape, EDGE, dtype=np.int32)
    if inside.any():
        result[inside] = _numbered(labels[inside])
    return result


def _numbered(values: NDArray[Any]) -> NDArray[Any]:
    """Return values as numbers from 1 in their order."""
    low, high = int(values.min()), int(values.max())
    if high - low > len(values):  # counting would need more memory than sorting
        return np.asarray(np.unique(values, return_inverse=True)[1] + 1)
    present = np.zeros(high - low + 1, dtype=np.bool_)
    present[values - low] = True
    return np.asarray(present.cumsum()[values - low])


def connected_regions(labels: LabelMap) -> LabelMap:
    """Return a map in which parts of a segment that do not touch, side by side, are segments of their own."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    index = np.arange(labels.size).reshape(labels.shape)
    across, down = labels[:, 1:] == labels[:, :-1], labels[1:] == labels[:-1]
    start = np.concatenate([index[:, :-1][across], index[:-1][down]])
    end = np.concatenate([index[:, 1:][across], index[1:][down]])
    links = coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(labels.size, labels.size))
    found = connected_components(links, directed=False)[1].reshape(labels.shape)
    return contiguous(found, edges=labels == EDGE)


def stacked_masks(masks: NDArray[np.bool_]) -> LabelMap:
    """Return a map of masks, shape (n_masks, height, width), small ones on top; uncovered comes first."""
    labels = np.zeros(masks.shape[1:], dtype=np.int32)
    order = np.argsort(-masks.sum(axis=(1, 2)), kind="stable")
    for number, place in enumerate(order.tolist(), start=1):
        labels[masks[place]] = number
    return contiguous(labels)
