"""BRISQUE, how unnatural an image looks: the model that the package image-quality carries, evaluated in batches."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.images.quality.scene_statistics import N_FEATURES, N_MOMENTS, scene_features, scene_moments

__all__ = ["INSTALL", "brisque", "brisque_is_installed"]

INSTALL = (
    "it needs the trained model of the package image-quality, which is not installed. "
    "Install it with `pip install image-quality`."
)


def brisque(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Return the BRISQUE of decoded images [1]_: how far their local contrasts are from those of natural images.

    Parameters
    ----------
    images : sequence of array of shape (height, width, 3), uint8
        RGB images.

    Returns
    -------
    array of shape (n_images,), float64
        What image-quality 1.2.7 gives with a current scikit-image: about 0 for the best to 100 for the worst, a little
        beyond for images unlike those of its training. NaN for an even image, or one below 16 pixels on a side.

    Raises
    ------
    ModuleNotFoundError
        If image-quality, which carries the trained model, is not installed.

    Notes
    -----
    O(n_images * n_pixels).

    References
    ----------
    .. [1] Mittal, A., Moorthy, A. K. and Bovik, A. C. (2012). No-reference image quality assessment in the spatial
       domain. IEEE Transactions on Image Processing 21(12). doi:10.1109/TIP.2012.2214050
    """
    moments = [scene_moments(image) for image in images]
    return _model().predict(scene_features(np.reshape(moments, (-1, *N_MOMENTS))))


def brisque_is_installed() -> bool:
    """Return whether the package that carries the trained model is there."""
    return find_spec("imquality") is not None


@dataclass(frozen=True)
class _Model:
    """A support-vector regression with a radial kernel, and the ranges to which its features are scaled."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    vectors: NDArray[np.float64]
    weights: NDArray[np.float64]
    gamma: float
    rho: float

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return one value per row of features."""
        scaled = 2 / (self.high - self.low) * (features - self.low) - 1
        distances = (scaled**2).sum(axis=1)[:, None] + (self.vectors**2).sum(axis=1) - 2 * scaled @ self.vectors.T
        return np.exp(-self.gamma * distances) @ self.weights - self.rho


@cache
def _model() -> _Model:
    """Read the trained model of image-quality; the package itself, which needs older ones, is not imported."""
    package = find_spec("imquality")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(f"BRISQUE cannot be measured: {INSTALL}")
    folder = Path(package.submodule_search_locations[0]) / "models"
    header, _, body = (folder / "brisque_svm.txt").read_text(encoding="ascii").partition("\nSV\n")
    settings = dict(line.split(maxsplit=1) for line in header.splitlines())
    lines = body.splitlines()
    vectors = np.zeros((len(lines), N_FEATURES))  # libsvm leaves zeros out
    for row, line in enumerate(lines):
        for column, value in re.findall(r"(\d+):(\S+)", line):
            vectors[row, int(column) - 1] = float(value)
    weights = np.array([float(line.split(maxsplit=1)[0]) for line in lines])
    with (folder / "normalize.pickle").open("rb") as stream:
        ranges = _ListsOnly(stream).load()
    low, high = (np.array(ranges[key], dtype=np.float64) for key in ("min_", "max_"))
    return _Model(low, high, vectors, weights, gamma=float(settings["gamma"]), rho=float(settings["rho"]))


class _ListsOnly(pickle.Unpickler):
    """Reads lists, dicts and numbers; whatever a pickle would have to import is refused."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}; plain lists are expected.")
