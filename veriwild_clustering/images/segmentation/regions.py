"""Segments that grow: a contour between two means (Chan–Vese), modes of density (quickshift), basins (watershed)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.images.segmentation.graphs import skimage_segmentation
from veriwild_clustering.images.segmentation.label_maps import LabelMap, contiguous

__all__ = ["chan_vese_segments", "quickshift_segments", "watershed_segments"]


def chan_vese_segments(
    image: NDArray[np.uint8],
    _random_state: int,
    *,
    mu: float = 0.25,
    lambda1: float = 1.0,
    lambda2: float = 1.0,
    n_iterations: int = 100,
    n_levels: int = 2,
) -> LabelMap:
    """Return the two sides of a contour between light and dark, or `n_levels` levels of what the contour is 0 of.

    A larger `mu` makes the contour shorter; `lambda1` and `lambda2` weigh how alike its inside and its outside are.
    """
    n_levels = check_int("n_levels", n_levels, low=2)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255.0
    inside, height, _ = skimage_segmentation().chan_vese(
        grey,
        mu=check_real("mu", mu, low=0),
        lambda1=check_real("lambda1", lambda1, low=0),
        lambda2=check_real("lambda2", lambda2, low=0),
        max_num_iter=check_int("n_iterations", n_iterations, low=1),
        init_level_set="checkerboard",
        extended_output=True,
    )
    if n_levels == 2:
        return contiguous(np.asarray(inside).astype(np.int32))
    return contiguous(np.digitize(height, np.linspace(height.min(), height.max(), n_levels + 1)[1:-1]))


def quickshift_segments(
    image: NDArray[np.uint8],
    random_state: int,
    *,
    kernel_size: float = 3.0,
    max_distance: float = 100.0,
    ratio: float = 0.5,
) -> LabelMap:
    """Return quickshift's segments in CIELAB: each pixel belongs to the nearest one of higher density.

    `kernel_size` is the width of the density in pixels, `max_distance` cuts links that are longer, `ratio` weighs
    colour against place. The cost grows with the square of the kernel.
    """
    if min(image.shape[:2]) < 2:  # its loops need a neighbour
        return np.ones(image.shape[:2], dtype=np.int32)
    return contiguous(
        skimage_segmentation().quickshift(
            image,
            kernel_size=check_real("kernel_size", kernel_size, low=1),
            max_dist=check_real("max_distance", max_distance, low=0),
            ratio=check_real("ratio", ratio, low=0, high=1),
            rng=random_state,
        )
    )


def watershed_segments(
    image: NDArray[np.uint8],
    _random_state: int,
    *,
    n_segments: int = 100,
    compactness: float = 0.001,
    lines: bool = False,
) -> LabelMap:
    """Return the basins of the gradient around `n_segments` places of a grid.

    A larger `compactness` makes squares. With `lines` 0 runs between basins, which then follow the gradient alone.
    """
    skimage = skimage_segmentation()
    from skimage.filters import sobel

    slope = sobel(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255.0)
    basins = skimage.watershed(
        slope,
        markers=min(check_int("n_segments", n_segments, low=1), slope.size),
        compactness=0.0 if lines else check_real("compactness", compactness, low=0),
        watershed_line=bool(lines),
    )
    return contiguous(basins, edges=basins == 0) if lines else contiguous(basins)
