"""Label maps from a network of the family of SAM: of what was pointed at, or of everything there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.images.models.record import Model
from veriwild_clustering.images.segmentation.label_maps import LabelMap, stacked_masks
from veriwild_clustering.images.segmentation.prompts import checked_boxes, checked_points
from veriwild_clustering.images.segmentation.sam.predictor import SeenImage, SegmentAnything

__all__ = ["prompted_masks", "sam_segments"]

_OFFSET = 1.0  # logits around 0 between which a stable mask changes little

Points = Sequence[Sequence[float]]


def sam_segments(
    image: NDArray[np.uint8],
    _random_state: int,
    *,
    model: str | Model | SegmentAnything = "mobile-sam",
    folder: str | Path | None = None,
    boxes: Sequence[Sequence[float]] = (),
    points: Points = (),
    not_points: Points = (),
    points_per_side: int = 16,
    min_iou: float = 0.88,
    min_stability: float = 0.95,
    max_overlap: float = 0.7,
) -> LabelMap:
    """Return one segment for each object, smaller ones over larger; what is no object comes first.

    Each box is an object, with the points inside of it; points in no box together mean one more. Without boxes and
    points, everything is sought: a grid of points, of whose masks those are kept that the network thinks good, that are
    stable, and that do not repeat a better one.
    """
    network = model if isinstance(model, SegmentAnything) else SegmentAnything(model, folder=folder)
    seen = network.see(image)
    if len(boxes) or len(points):
        return stacked_masks(prompted_masks(seen, boxes, points, not_points=not_points))
    if len(not_points):
        raise ValueError("`not_points` need `points` or `boxes`: nothing says what the object is.")
    found, iou = _grid_masks(
        seen,
        check_int("points_per_side", points_per_side, low=1),
        min_iou=check_real("min_iou", min_iou, low=0, high=1),
        min_stability=check_real("min_stability", min_stability, low=0, high=1),
    )
    kept = _without_repeats(found, iou, check_real("max_overlap", max_overlap, low=0, high=1))
    return stacked_masks(found[kept])


def prompted_masks(seen: SeenImage, boxes: Points, points: Points, *, not_points: Points = ()) -> NDArray[np.bool_]:
    """Return the mask of each object that was pointed at, shape (n_objects, height, width): see `sam_segments`."""
    corners = checked_boxes(boxes, seen.size)
    on, beside = checked_points("points", points), checked_points("not_points", not_points)
    masks, taken = [], np.zeros(len(on), dtype=bool)
    for box in corners:
        inside = _inside(on, box)
        taken |= inside
        masks.append(seen.best_mask(on[inside].tolist(), beside[_inside(beside, box)].tolist(), box=box.tolist()))
    if not taken.all():
        masks.append(seen.best_mask(on[~taken].tolist(), beside.tolist()))
    return np.stack(masks)


def _inside(points: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(((points >= box[:2]) & (points <= box[2:])).all(axis=1))


def _grid_masks(
    seen: SeenImage, points_per_side: int, *, min_iou: float, min_stability: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the good and stable masks of a grid of points, and how good the network thinks each is."""
    height, width = seen.size
    shares = (np.arange(points_per_side) + 0.5) / points_per_side
    masks, goodness = [np.empty((0, height, width), dtype=bool)], [np.empty(0)]
    for y in shares:
        for x in shares:
            found = seen.masks([(x * width, y * height)])
            inner = (found.logits > _OFFSET).sum(axis=(1, 2))
            outer = (found.logits > -_OFFSET).sum(axis=(1, 2))
            good = (found.iou >= min_iou) & (inner >= min_stability * outer) & (inner > 0)
            masks.append(found.logits[good] > 0)
            goodness.append(found.iou[good].astype(np.float64))
    return np.concatenate(masks), np.concatenate(goodness)


def _without_repeats(masks: NDArray[np.bool_], iou: NDArray[np.float64], max_overlap: float) -> list[int]:
    """Return the masks whose boxes overlap no better one's by more than a share of their union."""
    import cv2

    if not len(masks):
        return []
    boxes = [_box(mask) for mask in masks]
    return np.asarray(cv2.dnn.NMSBoxes(boxes, iou.tolist(), 0.0, max_overlap), dtype=np.intp).ravel().tolist()


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return left, top, width and height."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1),
    )  # fmt: skip
