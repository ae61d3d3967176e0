"""Segments between edges: what is smooth belongs together, what is steep is an edge."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.images.segmentation.label_maps import LabelMap, contiguous

__all__ = ["edge_segments"]

_DIAMETER, _SIGMA = 7, 100  # of the bilateral filter
_PATCH, _WINDOW = 7, 21  # of non-local means


def edge_segments(
    image: NDArray[np.uint8], _random_state: int, *, threshold: float = 60.0, denoise: float = 10.0, close: int = 3
) -> LabelMap:
    """Return the regions between pixels whose Sobel gradient exceeds `threshold`; the edges themselves are 0.

    `denoise` is the strength of non-local means before that, 0 leaves both filters out; gaps of edges are closed with a
    square of `close` pixels.
    """
    threshold = check_real("threshold", threshold, low=0)
    denoise = check_real("denoise", denoise, low=0)
    close = check_int("close", close, low=1)
    smooth: NDArray[Any] = image
    if denoise:
        smooth = cv2.bilateralFilter(image, _DIAMETER, _SIGMA, _SIGMA)
        smooth = cv2.fastNlMeansDenoisingColored(smooth, None, denoise, denoise, _PATCH, _WINDOW)
    grey = cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY)
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    steep = (slope > threshold).astype(np.uint8)
    edges = cv2.morphologyEx(steep, cv2.MORPH_CLOSE, np.ones((close, close), np.uint8))
    regions = cv2.connectedComponents(1 - edges, connectivity=4, ltype=cv2.CV_32S)[1]
    return contiguous(regions, edges=edges > 0)
