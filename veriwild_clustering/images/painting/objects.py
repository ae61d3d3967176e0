"""The pixels of what somebody points at with boxes and strokes, by GrabCut or by a network of the family of SAM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.images.segmentation.prompts import Stroke

if TYPE_CHECKING:
    from veriwild_clustering.images.segmentation.sam.predictor import SeenImage

__all__ = ["grabcut_object", "sam_object"]

_POINTS_PER_STROKE = 5

Boxes = Sequence[Sequence[float]]


def grabcut_object(
    image: NDArray[np.uint8], boxes: Boxes, strokes: Sequence[Stroke], *, random_state: int = 0
) -> NDArray[np.bool_]:
    """Return which pixels GrabCut takes for what is inside of the boxes and under the strokes.

    Raises
    ------
    ValueError
        If nothing says where it is, or nothing is found.
    """
    from veriwild_clustering.images.segmentation.grabcut import grabcut_mask

    return _found(grabcut_mask(image, random_state, boxes=boxes, strokes=strokes))


def sam_object(seen: SeenImage, boxes: Boxes, strokes: Sequence[Stroke]) -> NDArray[np.bool_]:
    """Return which pixels a network takes for it: a stroke is some points along it, each box is an object.

    Raises
    ------
    ValueError
        If nothing says where it is, or nothing is found.
    """
    from veriwild_clustering.images.segmentation.sam.segments import prompted_masks

    kinds: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for stroke in strokes:
        kinds[stroke.kind.endswith("foreground")] += _along(stroke.points)
    if not len(boxes) and not kinds[True]:
        raise ValueError("A box, or a stroke on the foreground, must say where the object is. Got neither.")
    masks = prompted_masks(seen, boxes, kinds[True], not_points=kinds[False])
    return _found(np.asarray(masks.any(axis=0)))


def _along(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a few points evenly spaced along a line, both ends among them."""
    corners = np.asarray(points, dtype=np.float64)
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    if not way[-1]:
        return [(float(corners[0, 0]), float(corners[0, 1]))]
    stops = np.linspace(0, way[-1], _POINTS_PER_STROKE)
    x, y = (np.interp(stops, way, corners[:, axis]).tolist() for axis in (0, 1))
    return list(zip(x, y, strict=True))


def _found(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if not mask.any():
        raise ValueError("Nothing was found there. Draw a larger box, or more strokes on the object.")
    return mask
