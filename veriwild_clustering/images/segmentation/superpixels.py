"""Superpixels: small segments of similar size that follow the edges of an image."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.images.segmentation.label_maps import LabelMap, contiguous

__all__ = ["mslic_segments", "slic_segments"]

# OpenCV's MSLIC writes outside of its memory where an image does not hold whole cells, and at least a few a side.
_LEAST_SIDE, _CELLS = 4, 3


def _superpixels(
    image: NDArray[np.uint8],
    _random_state: int,
    *,
    algorithm: int,
    region_size: int,
    ruler: float = 30.0,
    n_iterations: int = 10,
    min_share: float = 25.0,
) -> LabelMap:
    """Return superpixels of about `region_size` pixels a side, in CIELAB.

    `ruler` weighs place against colour: more of it makes squares. Parts below `min_share` per cent of a superpixel of
    average size are joined to their neighbour. In a small image they become as small as it needs.
    """
    region_size = check_int("region_size", region_size, low=_LEAST_SIDE)
    ruler = check_real("ruler", ruler, low=0)
    n_iterations = check_int("n_iterations", n_iterations, low=1)
    min_share = check_real("min_share", min_share, low=0, high=100)
    height, width = image.shape[:2]
    side = max(_LEAST_SIDE, min(region_size, min(height, width) // _CELLS))
    missing = [(0, max(_CELLS, -(-length // side)) * side - length) for length in (height, width)]
    padded = np.pad(image, (*missing, (0, 0)), mode="edge")
    slic = cv2.ximgproc.createSuperpixelSLIC(cv2.cvtColor(padded, cv2.COLOR_RGB2LAB), algorithm, side, ruler)
    slic.iterate(n_iterations)
    slic.enforceLabelConnectivity(round(min_share))
    return contiguous(np.asarray(slic.getLabels())[:height, :width])


slic_segments = partial(_superpixels, algorithm=cv2.ximgproc.SLIC, region_size=20)
mslic_segments = partial(_superpixels, algorithm=cv2.ximgproc.MSLIC, region_size=20)
