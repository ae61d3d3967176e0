"""Descriptors that need no weights: perceptual hashes, colour histograms, histograms of oriented gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.images.reading import rgb_pixels

__all__ = ["HANDCRAFTED", "HandcraftedDescriptor", "handcrafted_descriptors"]

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

_WINDOW = 64  # side to which gradients and wavelets reduce an image
_SIDE = 32  # side to which colours reduce it
_RANGES = {"HSV": ((0, 0, 0), (360, 1, 1)), "Lab": ((0, -60, -60), (100, 60, 60))}


@dataclass(frozen=True)
class HandcraftedDescriptor:
    """A descriptor computed from pixels alone.

    Parameters
    ----------
    name : str
        What it is called.
    n_features : int
        Length of the vector of an image.
    sees : str
        What it tells apart, in a few words.
    measure : partial
        Makes the vector of one image; its keywords are the settings.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering.descriptors.extraction.handcrafted import HANDCRAFTED
    >>> HANDCRAFTED["phash"]([np.zeros((30, 40, 3), np.uint8)]).shape
    (1, 64)
    """

    name: str
    n_features: int
    sees: str
    measure: partial[Any]

    @property
    def params(self) -> dict[str, Any]:
        """The settings that the vectors depend on, as JSON keeps them."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self.measure.keywords.items()}

    def __call__(self, images: Sequence[Image]) -> Floats:
        """Return one vector per image, shape (n_images, n_features); images are RGB, uint8, of any size."""
        vectors = np.empty((len(images), self.n_features), dtype=np.float32)
        for row, image in enumerate(rgb_pixels(images)):
            vectors[row] = self.measure(image)
        return vectors


def handcrafted_descriptors() -> pd.DataFrame:
    """List the descriptors that need no weights.

    Returns
    -------
    DataFrame
        One row per descriptor: `name`, as extraction takes it; `n_features`; `sees`, what it tells apart.

    Notes
    -----
    Euclidean distance suits all of them: between hashes it is the root of the number of bits that differ, between
    histograms, which hold roots of shares, it is √2 times the Hellinger distance. "appearance" joins gradients [1]_
    (four fifths of its squared length) and the Lab values of each quarter of the image. Listing is O(1), a descriptor
    O(n_pixels) per image, since each is reduced to a fixed size first.

    References
    ----------
    .. [1] Dalal, N. & Triggs, B. (2005). Histograms of oriented gradients for human detection. CVPR.
       https://doi.org/10.1109/CVPR.2005.177

    Examples
    --------
    >>> from veriwild_clustering import handcrafted_descriptors
    >>> table = handcrafted_descriptors().set_index("name")
    >>> int(table.loc["appearance", "n_features"])
    420
    """
    rows = [(item.name, item.n_features, item.sees) for item in HANDCRAFTED.values()]
    return pd.DataFrame(rows, columns=["name", "n_features", "sees"])


def _hash(image: Image, *, function: str, **settings: int) -> NDArray[np.bool_]:
    import imagehash
    from PIL import Image as PillowImage

    return np.asarray(getattr(imagehash, function)(PillowImage.fromarray(image), **settings).hash).ravel()


def _hog(image: Image, *, cell: int) -> Floats:
    """Return gradients of a window, nine directions a cell, 2 x 2 cells a block, as a vector of length one."""
    import cv2

    window, block = (_WINDOW, _WINDOW), (2 * cell, 2 * cell)
    grey = cv2.cvtColor(_reduced(image, _WINDOW), cv2.COLOR_RGB2GRAY)
    return _unit(np.ravel(cv2.HOGDescriptor(window, block, (cell, cell), (cell, cell), 9).compute(grey)))


def _color_histogram(image: Image, *, space: str, bins: tuple[int, int, int]) -> Floats:
    """Return the roots of the shares of colours, those in the middle of the image counting most."""
    codes = np.ravel_multi_index(tuple(_color_bins(image, space, bins).T), bins)
    return np.asarray(np.sqrt(np.bincount(codes, _middle(), int(np.prod(bins)))), dtype=np.float32)


def _color_layout(image: Image, *, space: str, n_bins: int, grid: int) -> Floats:
    """Return the roots of the shares of each channel's values in each cell of a grid, as a vector of length one."""
    place = np.arange(_SIDE) * grid // _SIDE
    cells = (place[:, None] * grid + place).ravel()
    size = n_bins * grid**2
    counts = [np.bincount(cells * n_bins + bins, minlength=size) for bins in _color_bins(image, space, (n_bins,) * 3).T]
    return _unit(np.sqrt(np.concatenate(counts)))


def _appearance(image: Image, *, cell: int, n_bins: int, grid: int, color_share: float) -> Floats:
    shape, color = _hog(image, cell=cell), _color_layout(image, space="Lab", n_bins=n_bins, grid=grid)
    return np.concatenate([np.sqrt(1 - color_share) * shape, np.sqrt(color_share) * color]).astype(np.float32)


def _color_bins(image: Image, space: str, bins: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the bin of each pixel along each channel, shape (_SIDE * _SIDE, 3)."""
    import cv2

    small = _reduced(image, _SIDE).astype(np.float32) / 255
    colors = cv2.cvtColor(small, getattr(cv2, f"COLOR_RGB2{space.upper()}")).reshape(-1, 3)
    low, high = np.array(_RANGES[space], dtype=np.float32)
    shares = (colors - low) / (high - low)
    return np.clip(shares * bins, 0, np.array(bins) - 1).astype(np.int64)


def _reduced(image: Image, side: int) -> Image:
    import cv2

    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _middle() -> NDArray[np.float64]:
    """Return the weights of pixels: a hill that is flat on top, since a crop leaves little around the vehicle."""
    slope = np.exp(-((np.linspace(-1, 1, _SIDE) / 0.7) ** 4))
    return np.outer(slope, slope).ravel() / slope.sum() ** 2


def _unit(vector: NDArray[Any]) -> Floats:
    """Return a vector of length one; that of an image without gradients stays zero."""
    return np.asarray(vector / max(np.linalg.norm(vector), 1e-9), dtype=np.float32)


def _known(
    name: str, n_features: int, sees: str, measure: Callable[..., Any], **settings: Any
) -> HandcraftedDescriptor:
    return HandcraftedDescriptor(name, n_features, sees, partial(measure, **settings))


_TABLE = (
    _known("appearance", 420, "shape, and colours by quarter", _appearance, cell=16, n_bins=8, grid=2, color_share=0.2),
    _known("hog", 1764, "shape: directions of edges", _hog, cell=8),
    _known("lab-histogram", 216, "colours in the middle", _color_histogram, space="Lab", bins=(6, 6, 6)),
    _known("color-histogram", 128, "hues in the middle", _color_histogram, space="HSV", bins=(8, 4, 4)),
    _known("dhash", 64, "near duplicates: gradients", _hash, function="dhash", hash_size=8),
    _known("phash", 64, "near duplicates: frequencies", _hash, function="phash", hash_size=8),
    _known("whash", 64, "near duplicates: wavelets", _hash, function="whash", hash_size=8, image_scale=_WINDOW),
    _known("colorhash", 42, "near duplicates: colours", _hash, function="colorhash", binbits=3),
)

HANDCRAFTED: Mapping[str, HandcraftedDescriptor] = MappingProxyType({item.name: item for item in _TABLE})
"""Descriptors without weights by name; "appearance" is the one to begin with."""
