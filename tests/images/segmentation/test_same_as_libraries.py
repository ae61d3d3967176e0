"""Every method beside the plain call of the library it stands on: the same partition, whatever its numbers."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import sobel
from skimage.segmentation import chan_vese, felzenszwalb, quickshift, watershed

from veriwild_clustering import segment

BOX = (12, 14, 86, 62)  # left, top, right, bottom
STOP = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 0.2)


def scene(seed: int) -> np.ndarray:
    """A car-like shape on asphalt under a brighter sky; its sides are whole superpixels of 20 pixels."""
    image = np.full((80, 100, 3), 110, dtype=np.uint8)
    image[:25] = (170, 190, 215)
    image[25:60, 18:80] = (190, 30, 40)
    image[30:40, 30:66] = (40, 45, 60)
    noise = np.random.default_rng(seed).normal(0, 5, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def superpixels(image: np.ndarray, algorithm: int) -> np.ndarray:
    slic = cv2.ximgproc.createSuperpixelSLIC(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), algorithm, 20, 30.0)
    slic.iterate(10)
    slic.enforceLabelConnectivity(25)
    return slic.getLabels()


def kmeans(rows: np.ndarray, n_clusters: int) -> np.ndarray:
    cv2.setRNGSeed(0)
    return cv2.kmeans(rows.astype(np.float32), n_clusters, None, STOP, 10, cv2.KMEANS_PP_CENTERS)[1].ravel()


def pixel_kmeans(image: np.ndarray) -> np.ndarray:
    rows = [[*image[y, x], 0.2 * y, 0.2 * x] for y, x in np.ndindex(image.shape[:2])]
    return kmeans(np.array(rows), 15).reshape(image.shape[:2])


def superpixel_kmeans(image: np.ndarray) -> np.ndarray:
    pieces, lab = superpixels(image, cv2.ximgproc.SLIC), cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    rows = []
    for piece in range(pieces.max() + 1):
        y, x = np.nonzero(pieces == piece)
        rows.append([*lab[y, x].astype(np.float64).mean(axis=0), 0.2 * y.mean(), 0.2 * x.mean()])
    return kmeans(np.array(rows), 6)[pieces]


def between_edges(image: np.ndarray) -> np.ndarray:
    smooth = cv2.bilateralFilter(image, 7, 100, 100)
    grey = cv2.cvtColor(cv2.fastNlMeansDenoisingColored(smooth, None, 10, 10, 7, 21), cv2.COLOR_RGB2GRAY).astype(float)
    steep = np.hypot(ndimage.sobel(grey, axis=0, mode="mirror"), ndimage.sobel(grey, axis=1, mode="mirror")) > 60
    closed = cv2.morphologyEx(steep.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return ndimage.label(closed == 0)[0]


def foreground(image: np.ndarray) -> np.ndarray:
    left, top, right, bottom = BOX
    mask, models = np.zeros(image.shape[:2], np.uint8), (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.setRNGSeed(0)
    rectangle = left, top, right - left, bottom - top
    cv2.grabCut(image[..., ::-1].copy(), mask, rectangle, *models, 5, cv2.GC_INIT_WITH_RECT)
    return np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))


PLAIN: dict[str, tuple[Callable[[np.ndarray], np.ndarray], dict]] = {
    "slic": (lambda image: superpixels(image, cv2.ximgproc.SLIC), {}),
    "mslic": (lambda image: superpixels(image, cv2.ximgproc.MSLIC), {}),
    "kmeans": (pixel_kmeans, {}),
    "superpixel-kmeans": (superpixel_kmeans, {"n_segments": 6}),
    "edge": (between_edges, {}),
    "felzenszwalb": (lambda image: felzenszwalb(image, scale=100, sigma=0.5, min_size=100), {}),
    "chan-vese": (
        lambda image: chan_vese(
            cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255, mu=0.25, max_num_iter=100, init_level_set="checkerboard"
        ),
        {},
    ),
    "graph": (
        lambda image: cv2.ximgproc.segmentation.createGraphSegmentation(0.5, 300, 100).processImage(
            np.ascontiguousarray(image[..., ::-1])
        ),
        {},
    ),
    "quickshift": (lambda image: quickshift(image, kernel_size=3, max_dist=20, ratio=0.5, rng=0), {"max_distance": 20}),
    "watershed": (
        lambda image: watershed(sobel(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255), markers=60, compactness=0.001),
        {"n_segments": 60},
    ),
    "grabcut": (foreground, {"boxes": [BOX]}),
}


@pytest.mark.parametrize("method", PLAIN)
def test_the_partition_is_that_of_the_plain_call(method: str) -> None:
    plain, params = PLAIN[method]
    for seed in range(2):
        image = scene(seed)
        labels, expected = segment(image, method, **params), plain(image)
        pairs = np.unique(np.column_stack([labels.ravel(), expected.ravel()]), axis=0)
        assert len(pairs) == len(np.unique(labels)) == len(np.unique(expected)) > 1
