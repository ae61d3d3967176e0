"""Preparation of images for a network: small ones made larger, the main object cut out, its background removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int, check_real
from veriwild_clustering.images.preparation.cropping import choose_box, crop, reason_of_choice
from veriwild_clustering.images.preparation.detection import Detection, Detector
from veriwild_clustering.images.preparation.masking import Masker
from veriwild_clustering.images.preparation.super_resolution import Upscaler
from veriwild_clustering.images.reading import rgb_pixels

__all__ = ["Preparation", "Prepared", "preparation_table"]

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image as a network shall see it, and what was done to it.

    Parameters
    ----------
    image : array of shape (height, width, 3), uint8
        RGB.
    upscaled : bool
        Whether super-resolution made it larger.
    box : tuple of four floats, optional
        Left, top, right, bottom of the main object in pixels of the original image, without the margin. None: none was
        found.
    box_label : str, optional
        What the detector takes it for.
    box_confidence : float, optional
        How sure it is, 0 to 1.
    cropped : bool
        Whether the image was cut to the box.
    foreground_share : float, optional
        The share of `image` that a masker left of it, 0 to 1; 1 where it found no vehicle and left everything. None:
        there was no masker.
    reason : str
        What was done and why, in words.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Preparation
    >>> [prepared] = Preparation()([np.zeros((40, 60, 3), np.uint8)])
    >>> prepared.image.shape, prepared.box, prepared.reason
    ((40, 60, 3), None, 'as it is')
    """

    image: NDArray[np.uint8]
    _: KW_ONLY
    upscaled: bool = False
    box: Box | None = None
    box_label: str | None = None
    box_confidence: float | None = None
    cropped: bool = False
    foreground_share: float | None = None
    reason: str = "as it is"


@dataclass(frozen=True)
class Preparation:
    """Make small images larger, cut out the main object, remove its background; each step can be left out.

    Parameters
    ----------
    upscaler : Upscaler, optional
        Makes images larger. None: none is.
    detector : Detector, optional
        Finds the objects of which `choose_box` takes one. None: images stay whole.
    min_side : int, default 32
        Pixels: an image is small, and made larger, if its shorter side is below this.
    max_side : int, default 1024
        Pixels: an image with a longer side above this is not made larger, however low it is.
    margin : float, default 0.05
        How much is left around the box on each side, as a share of its width or height.
    max_share : float, default 0.5
        An image of which the box takes up more than this share is not cut: it is a close view already.
    vehicles_first : bool, default True
        Whether other objects count only where there is no vehicle.
    masker : Masker, optional
        Fills what is no vehicle with a neutral colour, in the end. None: the background stays.

    Notes
    -----
    A preparation is called with images, arrays of shape (height, width, 3), uint8, RGB, of any sizes, and returns a
    `Prepared` for each. A small image goes through super-resolution before detection, so that the detector gains from
    it as well. One that is large keeps its pixels, byte for byte; the part that is cut out of it is not made larger,
    however small it is. Which box is large enough to be cut out is decided in pixels of the original, where its detail
    is.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Preparation, Upscaler
    >>> prepare = Preparation(Upscaler("bicubic"), min_side=100)
    >>> small, large = prepare([np.zeros((60, 150, 3), np.uint8), np.zeros((100, 150, 3), np.uint8)])
    >>> small.image.shape, small.reason
    ((180, 450, 3), 'upscaled 3 times: 150 x 60 pixels')
    >>> large.image.shape, large.upscaled
    ((100, 150, 3), False)
    """

    upscaler: Upscaler | None = None
    detector: Detector | None = None
    _: KW_ONLY
    min_side: int = 32
    max_side: int = 1024
    margin: float = 0.05
    max_share: float = 0.5
    vehicles_first: bool = True
    masker: Masker | None = None

    def __post_init__(self) -> None:
        for name in ("upscaler", "detector", "masker"):
            step = getattr(self, name)
            if step is not None and not callable(step):
                raise TypeError(f"`{name}` must be {name.capitalize()}(...) or None. Got {step!r} instead.")
        check_int("min_side", self.min_side, low=1)
        check_int("max_side", self.max_side, low=1)
        check_real("margin", self.margin, low=0)
        check_real("max_share", self.max_share, low=0, high=1)

    @property
    def params(self) -> dict[str, Any]:
        """All that decides about the pixels, as JSON holds it: settings, and what tells the models from any other."""
        masker = {} if self.masker is None else {"masker": self.masker.params}  # without it, as before there was any
        return {
            **masker,
            "upscaler": None if self.upscaler is None else self.upscaler.params,
            "detector": None if self.detector is None else self.detector.params,
            "min_side": self.min_side,
            "max_side": self.max_side,
            "margin": self.margin,
            "max_share": self.max_share,
            "vehicles_first": self.vehicles_first,
        }

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[Prepared]:
        """Return each image prepared."""
        originals = rgb_pixels(images)
        seen = [self._enlarged(original) for original in originals]
        if self.detector is not None:
            found = self.detector([one.image for one in seen])
            seen = [self._cut(*one) for one in zip(seen, originals, found, strict=True)]
        if self.masker is None:
            return seen
        masks = self.masker([one.image for one in seen])
        return [_masked(one, mask, self.masker.fill) for one, mask in zip(seen, masks, strict=True)]

    def _enlarged(self, image: NDArray[np.uint8]) -> Prepared:
        """Return an image, upscaled if it is small."""
        height, width = image.shape[:2]
        small = min(height, width) < self.min_side and max(height, width) <= self.max_side
        if self.upscaler is None or not small:
            return Prepared(image)
        reason = f"upscaled {self.upscaler.factor} times: {width} x {height} pixels"
        return Prepared(self.upscaler(image), upscaled=True, reason=reason)

    def _cut(self, seen: Prepared, original: NDArray[np.uint8], detections: Sequence[Detection]) -> Prepared:
        """Return an image cut to its main object, found on `seen` and kept in pixels of `original`."""
        factor = seen.image.shape[0] / original.shape[0]
        inside = [replace(one, box=_scaled(one.box, 1 / factor)) for one in detections]
        chosen = choose_box(inside, original.shape[:2], vehicles_first=self.vehicles_first)
        choice = reason_of_choice(inside, chosen)
        if chosen is None:
            return replace(seen, reason=_joined(seen, choice))
        found = replace(seen, box=chosen.box, box_label=chosen.label, box_confidence=chosen.confidence)
        share = chosen.area / (original.shape[0] * original.shape[1])
        if share > self.max_share:
            return replace(found, reason=_joined(seen, f"whole image: {share:.0%} of it is the {chosen.label}"))
        part = crop(seen.image, _scaled(chosen.box, factor), margin=self.margin)
        return replace(found, image=part, cropped=True, reason=_joined(seen, choice))


def _masked(seen: Prepared, mask: NDArray[np.bool_], fill: tuple[int, int, int]) -> Prepared:
    """Return an image with what lies outside a mask filled."""
    share = float(mask.mean())
    done = "background kept: no vehicle found" if mask.all() else f"background removed: {share:.0%} left"
    image = np.where(mask[..., None], seen.image, np.array(fill, dtype=np.uint8))
    reason = done if seen.reason == Prepared.reason else f"{seen.reason}; {done}"
    return replace(seen, image=image, foreground_share=share, reason=reason)


def _joined(seen: Prepared, choice: str) -> str:
    return f"{seen.reason}; {choice}" if seen.upscaled else choice


def _scaled(box: Box, factor: float) -> Box:
    left, top, right, bottom = (factor * edge for edge in box)
    return left, top, right, bottom


def preparation_table(prepared: Sequence[Prepared]) -> pd.DataFrame:
    """Return what was done to each image: one row per image.

    Parameters
    ----------
    prepared : sequence of Prepared
        What a `Preparation` returned.

    Returns
    -------
    DataFrame
        `upscaled` and `cropped` (bool); `box_left`, `box_top`, `box_right`, `box_bottom` (float64, pixels of the
        original image, NaN where nothing was found), `box_label` (str), `box_confidence` (float64); `foreground_share`
        (float64, NaN without a masker); `preparation` (str), the reason in words.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Preparation
    >>> from veriwild_clustering.images.preparation.prepare import preparation_table
    >>> preparation_table(Preparation()([np.zeros((40, 60, 3), np.uint8)]))["preparation"].tolist()
    ['as it is']
    """
    boxes = np.array([one.box or (np.nan,) * 4 for one in prepared], dtype=np.float64).reshape(-1, 4)
    edges = {f"box_{edge}": boxes[:, place] for place, edge in enumerate(("left", "top", "right", "bottom"))}
    return pd.DataFrame(
        {
            "upscaled": np.array([one.upscaled for one in prepared], dtype=bool),
            "cropped": np.array([one.cropped for one in prepared], dtype=bool),
            **edges,
            "box_label": pd.Series([one.box_label for one in prepared], dtype="str"),
            "box_confidence": np.array([one.box_confidence for one in prepared], dtype=np.float64),
            "foreground_share": np.array([one.foreground_share for one in prepared], dtype=np.float64),
            "preparation": pd.Series([one.reason for one in prepared], dtype="str"),
        }
    )
