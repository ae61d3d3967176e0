"""What is painted on an image: an immutable state, and what each stroke makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import check_int
from veriwild_clustering.images.painting.templates import Template, find_template
from veriwild_clustering.images.segmentation.label_maps import EDGE, LabelMap, connected_regions, contiguous

__all__ = ["Color", "Painting", "packed_color", "unpacked_color"]

Color = tuple[int, int, int]
Point = tuple[float, float]

_NOTHING = -1


def packed_color(color: Sequence[int]) -> int:
    """Return a colour, three numbers from 0 to 255, as one number."""
    red, green, blue = (check_int("color", channel, low=0, high=256) for channel in color)
    return red << 16 | green << 8 | blue


def unpacked_color(number: int) -> Color:
    """Return red, green and blue of a colour that is one number."""
    return number >> 16 & 255, number >> 8 & 255, number & 255


@dataclass(frozen=True, eq=False)
class Painting:
    """Segments of an image and the colours that were painted on them.

    Parameters
    ----------
    labels : array of shape (height, width), int32
        The segment of each pixel, 0 on edges and cuts.
    paint : array of shape (height, width), int32
        The colour of each pixel as one number, -1 where nothing is painted.

    Notes
    -----
    Points are (x, y) in pixels. A method returns a new state and leaves this one as it is. What is painted on an edge
    or outside the image does nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Painting
    >>> painting = Painting.of(np.array([[1, 1, 2], [1, 1, 2]], np.int32))
    >>> painted = painting.fill([(2, 0)], (204, 0, 0))
    >>> painted.colors, painted.mask((204, 0, 0)).sum(), painting.colors
    ([(204, 0, 0)], np.int64(2), [])
    """

    labels: LabelMap
    paint: NDArray[np.int32]

    @classmethod
    def of(cls, labels: NDArray[np.integer]) -> Painting:
        """Return an unpainted state of a label map."""
        return cls(np.asarray(labels, dtype=np.int32), np.full(np.shape(labels), _NOTHING, dtype=np.int32))

    @property
    def colors(self) -> list[Color]:
        """The colours that are there, in order."""
        return [unpacked_color(number) for number in np.unique(self.paint).tolist() if number != _NOTHING]

    def mask(self, color: Sequence[int]) -> NDArray[np.bool_]:
        """Return where a colour is."""
        return np.asarray(self.paint == packed_color(color))

    def same_as(self, other: Painting) -> bool:
        """Tell whether segments and paint are the same."""
        return np.array_equal(self.labels, other.labels) and np.array_equal(self.paint, other.paint)

    def fill(self, points: Sequence[Point], color: Sequence[int]) -> Painting:
        """Paint every segment that a stroke along `points` touches; one point is a click."""
        return self._painted(points, packed_color(color))

    def unfill(self, points: Sequence[Point]) -> Painting:
        """Remove the paint of every segment that a stroke touches."""
        return self._painted(points, _NOTHING)

    def cut(self, points: Sequence[Point]) -> Painting:
        """Draw a line one pixel wide along `points`: it becomes an edge, and what it parts become two segments."""
        line = self._line(points, diagonal=False)
        labels = np.where(line, EDGE, self.labels).astype(np.int32)
        return Painting(connected_regions(labels), np.where(line, _NOTHING, self.paint).astype(np.int32))

    def cut_out(self, mask: NDArray[np.bool_], color: Sequence[int]) -> Painting:
        """Make one segment of the pixels of a mask and paint it; other segments keep the rest of themselves."""
        if mask.shape != self.labels.shape:
            raise ValueError(f"`mask` must have shape {self.labels.shape}. Got {mask.shape} instead.")
        labels = np.where(mask, self.labels.max() + 1, self.labels)
        paint = np.where(mask, packed_color(color), self.paint)
        return Painting(contiguous(labels, edges=labels == EDGE), paint.astype(np.int32))

    def divided(self, labels: NDArray[np.integer]) -> Painting:
        """Return other segments under the same paint; edges bear none."""
        numbers = np.asarray(labels, dtype=np.int32)
        return Painting(numbers, np.where(numbers == EDGE, _NOTHING, self.paint).astype(np.int32))

    def template(self, image: NDArray[np.uint8], point: Point) -> Template:
        """Return what is painted at a point as a template: all pixels of its colour that hang together.

        Raises
        ------
        ValueError
            If nothing is painted there.
        """
        import cv2

        x, y = (round(value) for value in point)
        height, width = self.paint.shape
        if not (0 <= x < width and 0 <= y < height) or self.paint[y, x] == _NOTHING:
            raise ValueError(f"`point` must lie on paint, which is what to look for. Got {x}, {y}.")
        same = (self.paint == self.paint[y, x]).astype(np.uint8)
        regions = cv2.connectedComponents(same, connectivity=4)[1]
        region = np.asarray(regions == regions[y, x])
        rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
        part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        shown = region[part]
        segment = np.zeros((*shown.shape, 3), dtype=np.uint8)
        segment[shown] = unpacked_color(int(self.paint[y, x]))
        return Template(image[part], segment, attention=shown, mask=shown)

    def stamp(
        self,
        image: NDArray[np.uint8],
        template: Template,
        *,
        threshold: float | None = None,
        overlapping: bool = True,
    ) -> Painting:
        """Paint a template where `find_template` finds it: at the best place, or wherever its error is small enough."""
        paint = self.paint.copy()
        segment, mask = template.segment, template.shown
        colors = (segment.astype(np.int32) * (1 << 16, 1 << 8, 1)).sum(axis=2).astype(np.int32)
        for x, y in find_template(image, template, threshold=threshold, overlapping=overlapping):
            part = paint[y : y + mask.shape[0], x : x + mask.shape[1]]
            seen = mask[: part.shape[0], : part.shape[1]]
            part[seen] = colors[: part.shape[0], : part.shape[1]][seen]
        return replace(self, paint=paint)

    def _painted(self, points: Sequence[Point], number: int) -> Painting:
        touched = np.setdiff1d(self.labels[self._line(points, diagonal=True)], [EDGE])
        paint = np.where(np.isin(self.labels, touched), number, self.paint)
        return replace(self, paint=paint.astype(np.int32))

    def _line(self, points: Sequence[Point], *, diagonal: bool) -> NDArray[np.bool_]:
        """Return the pixels of a line; where it is not `diagonal`, no two of its steps meet at a corner alone."""
        import cv2

        canvas = np.zeros(self.labels.shape, dtype=np.uint8)
        corners = np.rint(np.asarray(points, dtype=np.float64).reshape(-1, 2)).astype(int).tolist()
        for start, end in zip(corners, corners[1:] or corners, strict=False):
            cv2.line(canvas, start, end, 1, 1, cv2.LINE_8 if diagonal else cv2.LINE_4)
        return canvas.astype(bool)
