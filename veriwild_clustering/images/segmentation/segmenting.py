"""An image divided into segments by any of the methods, under one signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from numpy.typing import ArrayLike

from veriwild_clustering.core.validation import check_choice, check_int, check_known_names
from veriwild_clustering.images.reading import rgb_pixels
from veriwild_clustering.images.segmentation.label_maps import LabelMap, connected_regions

__all__ = ["METHODS", "PROMPTED", "method_parameters", "segment"]

METHODS: Mapping[str, str] = {
    "slic": "superpixels:slic_segments",
    "mslic": "superpixels:mslic_segments",
    "kmeans": "clusters:kmeans_segments",
    "superpixel-kmeans": "clusters:superpixel_kmeans_segments",
    "edge": "edges:edge_segments",
    "felzenszwalb": "graphs:felzenszwalb_segments",
    "graph": "graphs:graph_segments",
    "chan-vese": "regions:chan_vese_segments",
    "quickshift": "regions:quickshift_segments",
    "watershed": "regions:watershed_segments",
    "grabcut": "grabcut:grabcut_segments",
    "sam": "sam.segments:sam_segments",
}
"""Module and function of each method."""

PROMPTED = frozenset({"grabcut"})
"""Methods that need to be told where the object is."""

_COMMON = 2  # the image and the seed come first


def segment(
    image: ArrayLike,
    method: str = "slic",
    *,
    random_state: int = 0,
    connected: bool = False,
    **params: Any,
) -> LabelMap:
    """Divide an image into segments.

    Parameters
    ----------
    image : array of shape (height, width, 3), uint8
        RGB.
    method : str, default "slic"
        "slic" or "mslic" (superpixels), "kmeans" or "superpixel-kmeans" (colour and place), "edge" (what lies between
        edges), "felzenszwalb" or "graph" (trees of a graph), "chan-vese" (a contour), "quickshift" (modes), "watershed"
        (basins), "grabcut" (boxes and strokes), "sam" (a network: points, boxes, or everything).
    random_state : int, default 0
        Seed of the methods that draw numbers.
    connected : bool, default False
        Whether parts of a segment that do not touch become segments of their own.
    **params
        Of the method: ``region_size``, ``ruler``, ``n_iterations``, ``min_share`` of superpixels; ``n_segments``,
        ``position_weight``, ``n_attempts`` of k-means; ``threshold``, ``denoise``, ``close`` of edges; ``scale``,
        ``sigma``, ``min_size`` of graphs; ``mu``, ``lambda1``, ``lambda2``, ``n_iterations``, ``n_levels`` of
        Chan–Vese; ``kernel_size``, ``max_distance``, ``ratio`` of quickshift; ``n_segments``, ``compactness``,
        ``lines`` of watershed; ``boxes``, ``strokes``, ``n_iterations`` of GrabCut; ``model``, ``boxes``, ``points``,
        ``not_points`` of SAM and, where neither boxes nor points are given, ``points_per_side``, ``min_iou``,
        ``min_stability``, ``max_overlap``.

    Returns
    -------
    array of shape (height, width), int32
        The segment of each pixel, from 1 without gaps; 0 is an edge between segments, which only "edge" and "watershed"
        with ``lines`` give. Of "grabcut" and "sam" 1 is what is no object, where there is any.

    Raises
    ------
    ValueError
        If the method or a parameter is not known, a value is none that the method takes, or the image is not RGB.
    DatasetError
        If a package or the weights of a network cannot be had.

    Notes
    -----
    O(n_pixels), for "edge" times the window of non-local means, for "quickshift" times the square of the kernel.
    "felzenszwalb", "chan-vese", "quickshift" and "watershed" are scikit-image's and need the extra `vision`; the others
    are OpenCV's. The same seed gives the same map.

    References
    ----------
    .. [1] Achanta, R., Shaji, A., Smith, K., Lucchi, A., Fua, P., & Süsstrunk, S. (2012). SLIC superpixels compared to
       state-of-the-art superpixel methods. https://doi.org/10.1109/TPAMI.2012.120
    .. [2] Felzenszwalb, P. F., & Huttenlocher, D. P. (2004). Efficient graph-based image segmentation.
       https://doi.org/10.1023/B:VISI.0000022288.19776.77
    .. [3] Chan, T. F., & Vese, L. A. (2001). Active contours without edges. https://doi.org/10.1109/83.902291
    .. [4] Rother, C., Kolmogorov, V., & Blake, A. (2004). "GrabCut": interactive foreground extraction using iterated
       graph cuts. https://doi.org/10.1145/1015706.1015720
    .. [5] Kirillov, A., et al. (2023). Segment anything. https://doi.org/10.1109/ICCV51070.2023.00371

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import segment
    >>> image = np.full((60, 80, 3), 60, np.uint8)
    >>> image[20:40, 20:60] = (200, 30, 30)
    >>> labels = segment(image, "graph")
    >>> labels.shape, labels.dtype, int(labels.min()), int(labels[0, 0] != labels[30, 40])
    ((60, 80), dtype('int32'), 1, 1)
    """
    check_choice("method", method, METHODS)
    random_state = check_int("random_state", random_state, low=0, high=2**31)
    check_known_names(f"parameter of method {method!r}:", params, method_parameters(method))
    [pixels] = rgb_pixels([image])
    labels = _function(method)(pixels, random_state, **params)
    return connected_regions(labels) if connected else labels


def method_parameters(method: str) -> dict[str, Any]:
    """Return the parameters of a method with their defaults."""
    given = list(inspect.signature(_function(method)).parameters.values())[_COMMON:]
    return {one.name: one.default for one in given if one.name != "algorithm"}


def _function(method: str) -> Callable[..., LabelMap]:
    module, _, name = METHODS[method].partition(":")
    found: Callable[..., LabelMap] = getattr(import_module(f"{__package__}.{module}"), name)
    return found
