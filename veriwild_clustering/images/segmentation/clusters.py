"""Segments as clusters: k-means of pixels or of superpixels, by colour and place."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.images.segmentation.label_maps import LabelMap, contiguous
from veriwild_clustering.images.segmentation.superpixels import slic_segments

__all__ = ["kmeans_segments", "superpixel_kmeans_segments"]

_N_ITERATIONS, _PRECISION = 100, 0.2

Floats = NDArray[np.float32]


def kmeans_segments(
    image: NDArray[np.uint8],
    random_state: int,
    *,
    n_segments: int = 15,
    position_weight: float = 0.2,
    n_attempts: int = 10,
) -> LabelMap:
    """Return k-means clusters of pixels by RGB and place, of which a pixel counts `position_weight` levels."""
    place = np.indices(image.shape[:2]).reshape(2, -1).T
    rows = np.hstack([image.reshape(-1, 3), check_real("position_weight", position_weight, low=0) * place])
    labels = _kmeans(rows.astype(np.float32), random_state, n_clusters=n_segments, n_attempts=n_attempts)
    return contiguous(labels.reshape(image.shape[:2]))


def superpixel_kmeans_segments(
    image: NDArray[np.uint8],
    random_state: int,
    *,
    n_segments: int = 15,
    position_weight: float = 0.2,
    n_attempts: int = 10,
    region_size: int = 20,
    ruler: float = 30.0,
) -> LabelMap:
    """Return k-means clusters of SLIC superpixels by their mean CIELAB colour and mean place."""
    pieces = slic_segments(image, random_state, region_size=region_size, ruler=ruler) - 1
    weight = check_real("position_weight", position_weight, low=0)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    pixels = np.hstack([lab, weight * np.indices(image.shape[:2]).reshape(2, -1).T])
    index, size = pieces.ravel(), np.bincount(pieces.ravel())
    means = np.column_stack([np.bincount(index, column) / size for column in pixels.T]).astype(np.float32)
    return contiguous(_kmeans(means, random_state, n_clusters=n_segments, n_attempts=n_attempts)[pieces])


def _kmeans(rows: Floats, random_state: int, *, n_clusters: int, n_attempts: int) -> NDArray[np.int32]:
    """Return the cluster of each row, with fewer clusters where there are fewer rows."""
    n_attempts = check_int("n_attempts", n_attempts, low=1)
    n_clusters = min(check_int("n_segments", n_clusters, low=1), len(rows))
    if len(rows) == 1:  # OpenCV would take its columns for rows
        return np.zeros(1, dtype=np.int32)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, _N_ITERATIONS, _PRECISION)
    cv2.setRNGSeed(random_state)
    kmeans: Any = cv2.kmeans  # its types do not know that there may be no labels
    labels = kmeans(rows, n_clusters, None, stop, n_attempts, cv2.KMEANS_PP_CENTERS)[1]
    return np.asarray(labels, dtype=np.int32).ravel()
