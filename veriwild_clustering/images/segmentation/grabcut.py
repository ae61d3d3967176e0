"""Foreground and background told apart by their colours, from boxes and strokes: GrabCut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int
from veriwild_clustering.images.segmentation.label_maps import LabelMap, contiguous
from veriwild_clustering.images.segmentation.prompts import KINDS, Stroke, checked_boxes

__all__ = ["cut_out", "grabcut_mask", "grabcut_segments"]

_CODES = dict(zip(KINDS, (cv2.GC_FGD, cv2.GC_BGD, cv2.GC_PR_FGD, cv2.GC_PR_BGD), strict=True))
_MODEL = (1, 65)  # shape of the mixtures of colours that OpenCV keeps
_SAMPLES = 5  # pixels that each of them needs: one for each of its components

Trimap = NDArray[np.uint8]


def grabcut_segments(
    image: NDArray[np.uint8],
    random_state: int,
    *,
    boxes: Sequence[Sequence[float]] = (),
    strokes: Sequence[Stroke] = (),
    n_iterations: int = 5,
) -> LabelMap:
    """Return background as 1 and foreground as 2, see `grabcut_mask`."""
    found = grabcut_mask(image, random_state, boxes=boxes, strokes=strokes, n_iterations=n_iterations)
    return contiguous(found.astype(np.int32))


def grabcut_mask(
    image: NDArray[np.uint8],
    random_state: int,
    *,
    boxes: Sequence[Sequence[float]] = (),
    strokes: Sequence[Stroke] = (),
    n_iterations: int = 5,
) -> NDArray[np.bool_]:
    """Return which pixels are foreground.

    All that is outside of the `boxes` is background, what is inside may be foreground; strokes are drawn over that in
    their order. Without boxes everything may be foreground where a stroke does not say otherwise.
    """
    if not len(boxes) and not len(strokes):
        raise ValueError('`boxes` or `strokes` must say where the object is: method "grabcut" got neither.')
    size = image.shape[:2]
    trimap = np.full(size, cv2.GC_BGD if len(boxes) else cv2.GC_PR_FGD, dtype=np.uint8)
    for left, top, right, bottom in checked_boxes(boxes, (size[0], size[1])).tolist():
        trimap[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = cv2.GC_PR_FGD
    for stroke in strokes:
        _draw(trimap, stroke)
    for what, codes in (("foreground", (cv2.GC_FGD, cv2.GC_PR_FGD)), ("background", (cv2.GC_BGD, cv2.GC_PR_BGD))):
        found = int(np.isin(trimap, codes).sum())
        if found < _SAMPLES:
            raise ValueError(
                f"`boxes` and `strokes` must leave at least {_SAMPLES} pixels that may be {what}. Got {found}: leave "
                f"room around the box, or add a stroke of kind {what!r}."
            )
    return cut_out(image, trimap, random_state, n_iterations=n_iterations)


def cut_out(image: NDArray[np.uint8], trimap: Trimap, random_state: int, *, n_iterations: int = 5) -> NDArray[np.bool_]:
    """Return which pixels are foreground, from OpenCV's four codes of what is known of each."""
    n_iterations = check_int("n_iterations", n_iterations, low=1)
    mask, inside, outside = trimap.copy(), np.zeros(_MODEL), np.zeros(_MODEL)
    cv2.setRNGSeed(random_state)
    bgr = np.ascontiguousarray(image[..., ::-1])
    grab: Any = cv2.grabCut  # its types do not know that there may be no rectangle
    grab(bgr, mask, None, outside, inside, n_iterations, cv2.GC_INIT_WITH_MASK)
    return np.asarray((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD))


def _draw(trimap: Trimap, stroke: Stroke) -> None:
    corners = np.rint(np.asarray(stroke.points, dtype=np.float64)).astype(np.int32).reshape(-1, 1, 2)
    color = int(_CODES[stroke.kind])
    if len(corners) == 1:
        x, y = corners[0, 0].tolist()
        cv2.circle(trimap, (x, y), stroke.width // 2, color, cv2.FILLED)
    else:
        cv2.polylines(trimap, [corners], isClosed=False, color=color, thickness=stroke.width)
