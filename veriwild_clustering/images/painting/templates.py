"""A template that is looked for in an image, and what is painted where it is found."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_real
from veriwild_clustering.images.reading import rgb_pixels

__all__ = ["Template", "find_template"]

_MAX_PLACES = 10_000


@dataclass(frozen=True, eq=False)
class Template:
    """What to look for, and what to paint there.

    Parameters
    ----------
    template : array of shape (height, width, 3), uint8
        What it looks like.
    segment : array of shape (rows, columns, 3), uint8
        What is painted, its upper left corner on that of the template.
    attention : array of shape (height, width), optional
        Which pixels of the template count, those that are not 0. By default all but the black that reaches in from its
        border.
    mask : array of shape (rows, columns), optional
        Which pixels of `segment` are painted. By default those that are not black.

    Raises
    ------
    ValueError
        If shapes do not fit, or nothing of the template counts.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Template
    >>> grey = np.full((4, 6, 3), 90, np.uint8)
    >>> red = np.zeros((4, 6, 3), np.uint8)
    >>> red[1:3] = (204, 0, 0)
    >>> Template(grey, red).shown.sum()
    np.int64(12)
    """

    template: NDArray[np.uint8]
    segment: NDArray[np.uint8]
    _: KW_ONLY
    attention: NDArray[np.generic] | None = None
    mask: NDArray[np.generic] | None = None

    def __post_init__(self) -> None:
        rgb_pixels([self.template, self.segment])
        for name, whole in (("attention", self.template), ("mask", self.segment)):
            part = getattr(self, name)
            if part is not None and np.shape(part) != whole.shape[:2]:
                raise ValueError(f"`{name}` must have shape {whole.shape[:2]}. Got {np.shape(part)} instead.")
        if not self.counted.any():
            raise ValueError(
                "`attention` must leave a pixel of the template. Got none: what is black to the border is out."
            )

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Which pixels of the template count."""
        if self.attention is not None:
            return np.asarray(self.attention) != 0
        import cv2

        black = np.pad((self.template == 0).all(axis=2), 1, constant_values=True).astype(np.uint8)
        outside = cv2.connectedComponents(black, connectivity=4)[1]
        return np.asarray(outside != outside[0, 0])[1:-1, 1:-1]

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Which pixels of the segment are painted."""
        return np.asarray((self.segment != 0).any(axis=2) if self.mask is None else np.asarray(self.mask) != 0)


def find_template(
    image: NDArray[np.uint8], template: Template, *, threshold: float | None = None, overlapping: bool = True
) -> list[tuple[int, int]]:
    """Return the upper left corners of places like the template, the best last; without a threshold the best alone.

    The error is the normalised squared difference, 0 where all counted pixels are the same. Beside a good place lie
    others that are nearly as good: unless they may be `overlapping`, a place counts only where no better one is nearer
    than half the template.
    """
    import cv2

    [pixels] = rgb_pixels([image])
    if any(part > whole for part, whole in zip(template.template.shape[:2], pixels.shape[:2], strict=True)):
        return []
    counted = np.repeat(template.counted[..., None], 3, axis=2).astype(np.uint8)
    error = cv2.matchTemplate(pixels, template.template, cv2.TM_SQDIFF_NORMED, mask=counted)
    error = np.nan_to_num(error, nan=np.inf, posinf=np.inf)
    if threshold is None:
        best = divmod(int(error.argmin()), error.shape[1])
        return [(best[1], best[0])]
    y, x = np.nonzero(error <= check_real("threshold", threshold, low=0))
    if len(x) > _MAX_PLACES:
        raise ValueError(
            f"`threshold` must leave at most {_MAX_PLACES:,} places. Got {threshold}, which leaves {len(x):,}."
        )
    order = np.argsort(-error[y, x], kind="stable")
    places = np.column_stack([x, y])[order]
    if not overlapping:
        best_first = places[::-1]
        height, width = template.template.shape[:2]
        places = best_first[_apart(best_first, (width, height))][::-1]
    return [(left, top) for left, top in places.tolist()]


def _apart(places: NDArray[np.intp], size: tuple[int, int]) -> NDArray[np.intp]:
    """Return which of the places, the best first, have no better one nearer than half of `size` in both directions."""
    kept = np.empty(0, dtype=np.intp)
    for number, place in enumerate(places):
        near = (2 * np.abs(places[kept] - place) < size).all(axis=1)
        if not near.any():
            kept = np.append(kept, number)
    return kept
