"""The similarities of images by name, and the matrix of similarities of a few images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_choice
from veriwild_clustering.descriptors.pairwise.corners import CornerSimilarity
from veriwild_clustering.descriptors.pairwise.hashes import HashSimilarity
from veriwild_clustering.descriptors.pairwise.keypoints import KeypointSimilarity
from veriwild_clustering.descriptors.pairwise.measure import Measure, similarity_matrix
from veriwild_clustering.descriptors.pairwise.structure import StructuralSimilarity
from veriwild_clustering.descriptors.pairwise.templates import TemplateSimilarity
from veriwild_clustering.images.reading import rgb_pixels

__all__ = ["MEASURES", "similarity"]

_ALL: tuple[Measure, ...] = (
    *(HashSimilarity(name) for name in ("phash", "dhash", "whash", "colorhash")),
    StructuralSimilarity(),
    TemplateSimilarity(),
    CornerSimilarity(),
    KeypointSimilarity(),
)

MEASURES: Mapping[str, Measure] = MappingProxyType({measure.name: measure for measure in _ALL})
"""Similarities of images by name."""


def similarity(images: Sequence[Any], *, method: str = "phash") -> NDArray[np.float64]:
    """Return how similar images are, each to each.

    Parameters
    ----------
    images : sequence of array of shape (height, width, 3), uint8
        RGB images, of any size.
    method : str, default="phash"
        "phash", "dhash", "whash" and "colorhash" are the share of bits of a perceptual hash that agree; "ssim" the mean
        structural similarity [1]_ and "template" one minus OpenCV's normalised squared difference, both of squares of
        64 pixels; "minhash" the Jaccard index of where corners lie, estimated [2]_; "orb" the share of keypoints [3]_
        with a mutual match.

    Returns
    -------
    array of shape (n_images, n_images), float64
        Symmetric, in [0, 1], 1 for an image and itself.

    Raises
    ------
    ValueError
        If the method is not known, or an array is no RGB image.
    ImportError
        If "minhash" is asked for without the extra "vision".

    Notes
    -----
    O(n_images²) similarities. `group_similar` finds the pairs above a threshold without computing all.

    References
    ----------
    .. [1] Wang, Z. et al. (2004). Image quality assessment: from error visibility to structural similarity. IEEE
       Transactions on Image Processing. https://doi.org/10.1109/TIP.2003.819861
    .. [2] Broder, A. Z. (1997). On the resemblance and containment of documents. SEQUENCES.
       https://doi.org/10.1109/SEQUEN.1997.666900
    .. [3] Rublee, E. et al. (2011). ORB: an efficient alternative to SIFT or SURF. ICCV.
       https://doi.org/10.1109/ICCV.2011.6126544

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import similarity
    >>> grey = np.full((40, 40, 3), 100, np.uint8)
    >>> similarity([grey, grey, grey + 100], method="template").round(2)
    array([[1. , 1. , 0.5],
           [1. , 1. , 0.5],
           [0.5, 0.5, 1. ]])
    """
    measure = MEASURES[check_choice("method", method, MEASURES)]
    pixels = rgb_pixels(images)
    return similarity_matrix(measure, measure.features(pixels), np.arange(len(pixels))) if pixels else np.zeros((0, 0))
