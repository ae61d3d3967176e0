"""What detectors put out, read as boxes in pixels of their input; and the way from there back to the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.images.models.inputs import placement
from veriwild_clustering.images.models.record import ImageInput

__all__ = ["DECODERS", "Boxes", "to_image"]

_YOLOX_STRIDES = (8, 16, 32)
_MAX_OVERLAP = 0.45  # intersection over union above which two boxes of one class are one object, as YOLOX has it


class Boxes(NamedTuple):
    """Boxes of one image: left, top, right, bottom of each, its confidence, the index of its class."""

    corners: NDArray[np.float64]
    confidence: NDArray[np.float64]
    classes: NDArray[np.intp]


Output = NDArray[np.float32]
Decoder = Callable[[Output, tuple[int, int], float], Boxes]


def _yolox(output: Output, size: tuple[int, int], min_confidence: float) -> Boxes:
    """Read rows of centre, logarithm of the size, objectness and class scores, one for each cell of three grids."""
    rows = _matrix(output, "yolox", n_columns=6)
    cells, strides = _yolox_cells(*size)
    if len(rows) != len(cells):
        raise ValueError(f"A YOLOX output for {size[1]} x {size[0]} pixels has {len(cells)} rows. Got {len(rows)}.")
    scores = rows[:, 4:5] * rows[:, 5:]
    classes = scores.argmax(axis=1)
    confidence = scores.max(axis=1)
    found = confidence >= min_confidence
    centers, sizes = (rows[found, :2] + cells[found]) * strides[found], np.exp(rows[found, 2:4]) * strides[found]
    corners = np.hstack([centers - sizes / 2, centers + sizes / 2])
    return _without_repeats(Boxes(corners, confidence[found], classes[found]))


@lru_cache(maxsize=8)
def _yolox_cells(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the upper left corner of each cell, in cells, and its side in pixels."""
    grids = [np.indices((height // side, width // side))[::-1].reshape(2, -1).T for side in _YOLOX_STRIDES]
    sides = np.repeat(_YOLOX_STRIDES, [len(grid) for grid in grids])
    return np.vstack(grids).astype(np.float64), sides[:, None].astype(np.float64)


def _without_repeats(boxes: Boxes) -> Boxes:
    """Keep of boxes that lie on each other the most confident of each class."""
    import cv2

    corners = np.hstack([boxes.corners[:, :2], boxes.corners[:, 2:] - boxes.corners[:, :2]])
    kept = cv2.dnn.NMSBoxesBatched(
        corners.tolist(), boxes.confidence.tolist(), boxes.classes.tolist(), 0.0, _MAX_OVERLAP
    )
    return _select(boxes, np.asarray(kept, dtype=np.intp))


def _yolov10(output: Output, _size: tuple[int, int], min_confidence: float) -> Boxes:
    """Read rows of left, top, right, bottom in pixels, confidence, class: each object is there once."""
    rows = _matrix(output, "yolov10", n_columns=6)
    found = rows[rows[:, 4] >= min_confidence]
    return Boxes(found[:, :4], found[:, 4], found[:, 5].astype(np.intp))


def _openvino_ssd(output: Output, size: tuple[int, int], min_confidence: float) -> Boxes:
    """Read rows of image, class, confidence and corners as shares of the sides; image -1 ends the list."""
    rows = _matrix(output, "openvino-ssd", n_columns=7)
    found = rows[(rows[:, 0] >= 0) & (rows[:, 2] >= min_confidence)]
    height, width = size
    return Boxes(found[:, 3:7] * (width, height, width, height), found[:, 2], found[:, 1].astype(np.intp))


DECODERS: Mapping[str, Decoder] = {"yolox": _yolox, "yolov10": _yolov10, "openvino-ssd": _openvino_ssd}


def _matrix(output: Output, decoder: str, *, n_columns: int) -> NDArray[np.float64]:
    if output.ndim < 2 or output.shape[-1] < n_columns:
        raise ValueError(
            f"Decoder {decoder!r} reads rows of at least {n_columns} numbers. Got shape {output.shape} instead."
        )
    return output.reshape(-1, output.shape[-1]).astype(np.float64)


def _select(boxes: Boxes, rows: NDArray[np.intp]) -> Boxes:
    return Boxes(boxes.corners[rows], boxes.confidence[rows], boxes.classes[rows])


def to_image(boxes: Boxes, size: tuple[int, int], spec: ImageInput) -> Boxes:
    """Return boxes in pixels of the image (height, width) that `image_batch` made an input of, cut off at its edge.

    The most confident comes first; what has no area inside the image is left out.
    """
    height, width = size
    scale, corner = placement(size, spec)
    corners = (boxes.corners.reshape(-1, 2, 2) - corner) / scale
    corners = np.clip(corners, 0, (width, height)).reshape(-1, 4)
    order = np.lexsort((*corners.T[::-1], boxes.classes, -boxes.confidence))
    seen = (corners[order, 2] > corners[order, 0]) & (corners[order, 3] > corners[order, 1])
    return _select(Boxes(corners, boxes.confidence, boxes.classes), order[seen])
