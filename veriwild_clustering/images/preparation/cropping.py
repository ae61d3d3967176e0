"""Which box of an image to keep, and the image cut down to it."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_real
from veriwild_clustering.images.preparation.detection import VEHICLES, Detection

__all__ = ["choose_box", "crop", "reason_of_choice"]


def choose_box(
    detections: Sequence[Detection], size: tuple[int, int], *, vehicles_first: bool = True, min_side: float = 30
) -> Detection | None:
    """Return the main object of an image: the largest confident vehicle, else the largest confident object.

    Parameters
    ----------
    detections : sequence of Detection
        What a `Detector` found.
    size : (int, int)
        Height and width of the image in pixels: `image.shape[:2]`. Boxes are cut off at its edge before they are
        compared.
    vehicles_first : bool, default True
        Whether anything that is not a vehicle counts only where there is no vehicle.
    min_side : float, default 30
        Pixels: a box with a side of no more than this is too small to be worth a crop.

    Returns
    -------
    Detection or None
        That of the largest area times confidence, its box cut off at the edge of the image; None if there is none that
        is large enough.

    Notes
    -----
    In street scenes the most confident box is often that of a small vehicle far away, so area decides, and the
    confidence keeps a faint box around everything from winning. Where no box is called a vehicle, a large one of
    another name is most often the vehicle nevertheless: detectors trained on photographs taken at eye level call a car
    seen from above a suitcase.

    Examples
    --------
    >>> from veriwild_clustering import Detection, choose_box
    >>> near = Detection((10.0, 10.0, 110.0, 90.0), "car", 0.6)
    >>> far = Detection((200.0, 5.0, 240.0, 45.0), "car", 0.9)
    >>> rider = Detection((0.0, 0.0, 150.0, 200.0), "person", 0.9)
    >>> choose_box([far, near, rider], (200, 300)) == near
    True
    >>> choose_box([far], (200, 300), min_side=50) is None
    True
    """
    height, width = size
    seen = [_inside(detection, width, height) for detection in detections]
    large = [detection for detection in seen if min(detection.width, detection.height) > min_side]
    vehicles = [detection for detection in large if detection.label in VEHICLES] if vehicles_first else []
    return max(vehicles or large, key=lambda detection: detection.area * detection.confidence, default=None)


def _inside(detection: Detection, width: int, height: int) -> Detection:
    left, top, right, bottom = np.clip(detection.box, 0, (width, height, width, height)).tolist()
    return Detection((left, top, right, bottom), detection.label, detection.confidence)


def reason_of_choice(detections: Sequence[Detection], chosen: Detection | None) -> str:
    """Return why `choose_box` chose so: "car: largest of 3 vehicles", "whole image: nothing found"."""
    if chosen is None:
        return f"whole image: {'every object is too small' if detections else 'nothing found'}"
    n_vehicles = sum(detection.label in VEHICLES for detection in detections)
    if chosen.label not in VEHICLES:
        return f"{chosen.label}: {'largest object' if n_vehicles else 'no vehicle found'}"
    return f"{chosen.label}: {f'largest of {n_vehicles} vehicles' if n_vehicles > 1 else 'the only vehicle'}"


def crop(image: NDArray[np.uint8], box: Sequence[float], *, margin: float = 0.05) -> NDArray[np.uint8]:
    """Return the part of an image inside a box and a margin around it.

    Parameters
    ----------
    image : array of shape (height, width, n_channels), uint8
        The image.
    box : sequence of four floats
        Left, top, right, bottom in pixels; whatever lies outside the image is cut off.
    margin : float, default 0.05
        How much is added on each side, as a share of the width or height of the box.

    Returns
    -------
    array of shape (height, width, n_channels), uint8
        A copy: all pixels that the box with its margin touches.

    Raises
    ------
    ValueError
        If the box has no area inside the image.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import crop
    >>> crop(np.zeros((100, 200, 3), np.uint8), (20, 30, 60, 50), margin=0.1).shape
    (24, 48, 3)
    """
    margin = check_real("margin", margin, low=0)
    left, top, right, bottom = box
    height, width = image.shape[:2]
    inside = max(left, 0) < min(right, width) and max(top, 0) < min(bottom, height)
    if not (inside and np.isfinite(box).all()):
        raise ValueError(
            f"`box` must be left, top, right, bottom with an area inside the image of {width} x {height} pixels. "
            f"Got {tuple(box)} instead."
        )
    across, down = margin * (right - left), margin * (bottom - top)
    rows = slice(max(floor(top - down), 0), min(ceil(bottom + down), height))
    columns = slice(max(floor(left - across), 0), min(ceil(right + across), width))
    return image[rows, columns].copy()
