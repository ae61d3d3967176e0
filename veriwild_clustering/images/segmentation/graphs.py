"""Segments as trees of a graph of neighbouring pixels: Felzenszwalb and Huttenlocher, by two libraries."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import DatasetError, check_int, check_real
from veriwild_clustering.images.segmentation.label_maps import LabelMap, contiguous

__all__ = ["felzenszwalb_segments", "graph_segments", "skimage_segmentation"]


def felzenszwalb_segments(
    image: NDArray[np.uint8], _random_state: int, *, scale: float = 100.0, sigma: float = 0.5, min_size: int = 100
) -> LabelMap:
    """Return scikit-image's segments: a larger `scale` makes larger ones, `sigma` smooths the image before.

    Those of fewer than `min_size` pixels are joined to a neighbour.
    """
    return contiguous(
        skimage_segmentation().felzenszwalb(
            image,
            scale=check_real("scale", scale, low=0),
            sigma=check_real("sigma", sigma, low=0),
            min_size=check_int("min_size", min_size, low=0),
        )
    )


def graph_segments(
    image: NDArray[np.uint8], _random_state: int, *, scale: float = 300.0, sigma: float = 0.5, min_size: int = 100
) -> LabelMap:
    """Return OpenCV's segments; the parameters mean what they mean for "felzenszwalb", on levels of 0 to 255."""
    graph = cv2.ximgproc.segmentation.createGraphSegmentation(
        check_real("sigma", sigma, low=0.01), check_real("scale", scale, low=0), check_int("min_size", min_size, low=0)
    )
    return contiguous(np.asarray(graph.processImage(np.ascontiguousarray(image[..., ::-1]))))


def skimage_segmentation() -> Any:
    """Return `skimage.segmentation`; DatasetError says how to install it."""
    try:
        return import_module("skimage.segmentation")
    except ImportError as error:
        raise DatasetError(
            "This method needs the package scikit-image, which is not installed. "
            'Install it with `pip install \'veriwild-clustering[vision]\'`, or take "slic", "graph" or "kmeans".'
        ) from error
