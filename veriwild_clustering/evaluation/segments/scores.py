"""Scores of a segmentation against true regions: do boundaries meet, and how far do segments spill over?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.validation import check_int
from veriwild_clustering.images.segmentation.label_maps import EDGE

__all__ = ["segment_scores"]


def segment_scores(labels: ArrayLike, truth: ArrayLike, *, tolerance: int = 2) -> dict[str, float]:
    """Score how well the segments of an image agree with its true regions.

    Parameters
    ----------
    labels : array of shape (height, width), int
        The segment of each pixel, as `segment` gives it; 0 is an edge between segments.
    truth : array of shape (height, width), int or bool
        The true region of each pixel, such as a mask of the vehicle; each value is a region.
    tolerance : int, default 2
        How far a boundary may lie off, in pixels along either axis.

    Returns
    -------
    dict of str to float
        `boundary_recall`, the share of pixels at a true boundary that have a boundary of segments within the tolerance,
        NaN where the truth has no boundary; `undersegmentation_error`, the share of pixels by which segments spill over
        true regions, 0 where each lies within one, NaN where all pixels are edges; `n_segments`; `edge_share`, the
        share of pixels that are edges.

    Raises
    ------
    ValueError
        If the arrays are not of one shape (height, width) with pixels, do not hold whole numbers, or a segment is
        negative.

    Notes
    -----
    A pixel is at a boundary if a pixel beside, above or below it has another value. Boundary recall is that of [1]_
    without its one-to-one matching, as benchmarks of superpixels count it, whose tolerance is 0.0025 of the diagonal
    [3]_. The undersegmentation error is that of Neubert and Protzel [2]_, not Levinshtein's: it sums, over each segment
    and each region that it meets, the lesser of what lies within the region and without, so a segment halved by a
    boundary counts in full. More segments make both scores better: compare them at similar numbers. Edges are
    boundaries, and belong to no segment, so the error leaves them out. O(n_pixels log n_pixels).

    References
    ----------
    .. [1] Martin, D. R., Fowlkes, C. C., & Malik, J. (2004). Learning to detect natural image boundaries using local
       brightness, color, and texture cues. https://doi.org/10.1109/TPAMI.2004.1273918
    .. [2] Neubert, P., & Protzel, P. (2012). Superpixel benchmark and comparison. Forum Bildverarbeitung 2012, 1-12.
    .. [3] Stutz, D., Hermans, A., & Leibe, B. (2018). Superpixels: An evaluation of the state-of-the-art.
       https://doi.org/10.1016/j.cviu.2017.03.007

    Examples
    --------
    >>> from veriwild_clustering import segment_scores
    >>> truth = [[0, 0, 0, 1, 1, 1]] * 4
    >>> scores = segment_scores([[1, 1, 2, 2, 2, 2]] * 4, truth, tolerance=1)
    >>> scores["boundary_recall"], round(scores["undersegmentation_error"], 3), scores["n_segments"]
    (1.0, 0.333, 2)
    """
    segments, regions = _label_map("labels", labels), _label_map("truth", truth)
    if segments.shape != regions.shape:
        raise ValueError(
            f"`labels` and `truth` must be of one shape. Got {segments.shape} and {regions.shape} instead."
        )
    if segments.min() < EDGE:
        raise ValueError(f"`labels` must not be negative. Got {segments.min()} instead.")
    tolerance = check_int("tolerance", tolerance, low=0)
    edges = segments == EDGE
    return {
        "boundary_recall": _boundary_recall(segments, regions, tolerance),
        "undersegmentation_error": _undersegmentation_error(segments[~edges], regions[~edges]),
        "n_segments": len(np.unique(segments[~edges])),
        "edge_share": float(edges.mean()),
    }


def _label_map(name: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "biu":
        raise ValueError(
            f"`{name}` must hold whole numbers, shape (height, width). Got {array.dtype}, shape {array.shape} instead."
        )
    return array.astype(np.int64)


def _boundary_recall(segments: NDArray[np.int64], regions: NDArray[np.int64], tolerance: int) -> float:
    from scipy.ndimage import maximum_filter

    true = _boundaries(regions)
    if not true.any():
        return float("nan")
    near = maximum_filter(_boundaries(segments) | (segments == EDGE), size=2 * tolerance + 1, mode="constant")
    return float(near[true].mean())


def _boundaries(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which pixels differ from one beside, above or below."""
    found = np.zeros(labels.shape, dtype=np.bool_)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    return found


def _undersegmentation_error(segments: NDArray[np.int64], regions: NDArray[np.int64]) -> float:
    if len(segments) == 0:
        return float("nan")
    pairs, shared = np.unique(np.column_stack([segments, regions]), axis=0, return_counts=True)
    place = np.unique(pairs[:, 0], return_inverse=True)[1]
    size = np.bincount(place, weights=shared)[place]
    return float(np.minimum(shared, size - shared).sum() / len(segments))
