"""Which pixels of an image are the vehicle: by a network that names every pixel, or by colours alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.images.models.catalog import find_model
from veriwild_clustering.images.models.inputs import image_batch
from veriwild_clustering.images.models.networks import open_network
from veriwild_clustering.images.models.record import Model
from veriwild_clustering.images.preparation.detection import VEHICLES
from veriwild_clustering.images.reading import rgb_pixels

__all__ = ["GRABCUT", "Masker"]

GRABCUT = "grabcut"

_CLASSES = "classes"
_SIDE = 128  # pixels of the longer side, to which GrabCut's copy is reduced
_BORDER = 0.03  # share of a side that is background beyond doubt: crops leave a margin
_SMALLEST_SIDE = 16  # below it colours tell nothing

Mask = NDArray[np.bool_]


class Masker:
    """Find the pixels of the vehicle in images.

    Parameters
    ----------
    model : str or Model, default "deeplab-v3"
        "deeplab-v3" of the catalog, the record of another network that gives each pixel the number of a class
        (`decoder` "classes", its `labels` name them), or "grabcut", which needs no weights.
    fill : tuple of three int, default (124, 116, 104)
        What a `Preparation` puts in place of the background, RGB; by default the mean colour of photographs, which
        networks are normalised to see as nothing.
    min_share : float, default 0.05
        A mask of less than this share of the image is none: the vehicle was missed.
    random_state : int, default 0
        Seed of GrabCut.
    folder, provider : optional
        See `model_files` and `open_network`.

    Raises
    ------
    ValueError
        If the model is not one for masks.
    ModelError
        If its files cannot be had.

    Notes
    -----
    A masker is called with images, arrays of shape (height, width, 3), uint8, RGB, and returns a mask, bool of shape
    (height, width), for each: all True where no vehicle was found. One run of the network for each image.

    "grabcut" begins where the colours of the middle are not those of the border, as `appearance` does, and lets GrabCut
    correct that.

    References
    ----------
    .. [1] Chen, L.-C., Papandreou, G., Schroff, F., & Adam, H. (2017). Rethinking atrous convolution for semantic image
       segmentation. https://doi.org/10.48550/arXiv.1706.05587
    .. [2] Rother, C., Kolmogorov, V., & Blake, A. (2004). "GrabCut": interactive foreground extraction using iterated
       graph cuts. https://doi.org/10.1145/1015706.1015720

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Masker
    >>> image = np.full((60, 80, 3), 100, np.uint8)
    >>> image[15:45, 15:65] = (180, 20, 30)
    >>> [mask] = Masker("grabcut")([image])
    >>> bool(mask[15:45, 15:65].all()), int(mask.sum())
    (True, 1500)
    """

    def __init__(
        self,
        model: str | Model = "deeplab-v3",
        *,
        fill: tuple[int, int, int] = (124, 116, 104),
        min_share: float = 0.05,
        random_state: int = 0,
        folder: str | Path | None = None,
        provider: str | None = None,
    ) -> None:
        red, green, blue = (check_int("fill", channel, low=0, high=256) for channel in fill)
        self.fill = red, green, blue
        self.min_share = check_real("min_share", min_share, low=0, high=1)
        self._random_state = check_int("random_state", random_state, low=0, high=2**31)
        self._network = None
        self._vehicles: list[int] = []
        if model != GRABCUT:
            record = find_model(model)
            if record.decoder != _CLASSES or record.input is None:
                raise ValueError(
                    f'`model` must be "deeplab-v3", "grabcut" or a record with the decoder "classes". '
                    f"Got {record.name!r} instead."
                )
            self._network = open_network(record, folder=folder, provider=provider)
            self._vehicles = [place for place, label in enumerate(record.labels) if label in VEHICLES]

    @property
    def params(self) -> dict[str, Any]:
        """All that the pixels depend on, as JSON holds it."""
        made_by = (
            {"model": GRABCUT, "random_state": self._random_state}
            if self._network is None
            else {**self._network.params, "vehicles": self._vehicles}
        )
        return {**made_by, "fill": list(self.fill), "min_share": self.min_share}

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[Mask]:
        """Return which pixels of each image are the vehicle; all where none was found."""
        masks = [self._find(image) for image in rgb_pixels(images)]
        return [mask if mask.mean() >= self.min_share else np.ones_like(mask) for mask in masks]

    def _find(self, image: NDArray[np.uint8]) -> Mask:
        import cv2

        if self._network is None:
            found = _by_colors(image, self._random_state)
        else:
            spec = self._network.model.input
            assert spec is not None  # noqa: S101 - checked when it was opened
            classes = self._network(image_batch([image], spec))[self._network.output][0]
            found = np.isin(np.squeeze(classes), self._vehicles)
        height, width = image.shape[:2]
        share = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(share >= 0.5)


def _by_colors(image: NDArray[np.uint8], random_state: int) -> Mask:
    """Return what GrabCut takes for the vehicle in an image reduced to `_SIDE`."""
    import cv2

    from veriwild_clustering.images.appearance.foreground import SIDE, Pixels
    from veriwild_clustering.images.segmentation.grabcut import cut_out

    if min(image.shape[:2]) < _SMALLEST_SIDE:
        return np.zeros(image.shape[:2], dtype=bool)
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    height, width = (max(_SMALLEST_SIDE, round(side * scale)) for side in image.shape[:2])
    small = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    weights = Pixels.of([small]).weights[0].reshape(SIDE, SIDE)
    likely = cv2.resize(weights, (width, height), interpolation=cv2.INTER_LINEAR) * SIDE**2
    trimap = np.where(likely >= 1, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    across, down = max(1, round(_BORDER * width)), max(1, round(_BORDER * height))
    inside = np.zeros((height, width), dtype=bool)
    inside[down:-down, across:-across] = True
    trimap[~inside] = cv2.GC_BGD
    if (trimap == cv2.GC_PR_FGD).sum() < _SMALLEST_SIDE:
        return np.zeros((height, width), dtype=bool)
    return cut_out(small, trimap, random_state)
