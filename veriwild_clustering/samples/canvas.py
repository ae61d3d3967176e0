"""A canvas on which flat faces in space are drawn in perspective, larger than needed and then reduced: smooth edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["SUPERSAMPLING", "Canvas", "Color", "Viewpoint", "mix_colors"]

SUPERSAMPLING = 2
_NEAR = 0.5

Color = tuple[float, float, float]


def mix_colors(first: Color, second: Color, share: float) -> Color:
    """Return `first` with `share` of `second` in it."""
    r, g, b = ((1 - share) * one + share * two for one, two in zip(first, second, strict=True))
    return r, g, b


@dataclass(frozen=True)
class Viewpoint:
    """Where the lens stands, in metres and radians: x points to the front of the vehicle, y to its left, z up."""

    azimuth: float
    elevation: float
    distance: float
    target_height: float

    @cached_property
    def position(self) -> NDArray[np.float64]:
        """The lens, shape (3,)."""
        flat = np.cos(self.elevation)
        direction = [flat * np.cos(self.azimuth), flat * np.sin(self.azimuth), np.sin(self.elevation)]
        return self.distance * np.array(direction) + [0, 0, self.target_height]

    @cached_property
    def _axes(self) -> NDArray[np.float64]:
        """Right, up and forward as columns."""
        forward = np.array([0, 0, self.target_height]) - self.position
        forward /= np.linalg.norm(forward)
        right = np.array([forward[1], -forward[0], 0.0])
        right /= np.linalg.norm(right)
        return np.column_stack([right, np.cross(right, forward), forward])

    def look(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return points in space as (right, up, depth), shape (n, 3)."""
        return np.asarray((np.asarray(points, dtype=float) - self.position) @ self._axes)


@dataclass
class Canvas:
    """An RGB image of `size` pixels seen from `viewpoint`; `frame` is (left, top, right, bottom), offsets per depth."""

    viewpoint: Viewpoint
    size: tuple[int, int]
    frame: tuple[float, float, float, float]
    image: Image.Image = field(init=False)
    silhouette: Image.Image | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.image = Image.new("RGB", (self.size[0] * SUPERSAMPLING, self.size[1] * SUPERSAMPLING))
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def trace(self) -> None:
        """From here on, remember which pixels faces and polygons cover; shadows do not count."""
        self.silhouette = Image.new("L", self.image.size)

    def project(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return the pixels of points in space, shape (n, 2); what lies behind the lens is cut off."""
        seen = _clip_near(self.viewpoint.look(points))
        if len(seen) == 0:
            return np.empty((0, 2))
        left, top, right, bottom = self.frame
        scale = np.array([self.image.width / (right - left), self.image.height / (bottom - top)])
        return np.asarray((seen[:, :2] * [1, -1] / seen[:, 2:] - [left, top]) * scale)

    def face(self, points: ArrayLike, color: Color, *, alpha: float = 1.0) -> None:
        """Fill a polygon in space."""
        self.polygon(self.project(points), color, alpha=alpha)

    def polygon(self, pixels: NDArray[np.float64], color: Color, *, alpha: float = 1.0) -> None:
        """Fill a polygon of pixels."""
        if len(pixels) >= 3:
            fill = (*(int(min(255, max(0, channel))) for channel in color), int(255 * alpha))
            corners = [tuple(pixel) for pixel in np.clip(pixels, -4e3, 4e3).tolist()]
            self._draw.polygon(corners, fill=fill)
            self._cover(corners)

    def shaded(self, points: ArrayLike, colors: Sequence[Color]) -> None:
        """Fill a polygon in space with a gradient of `colors` from its top to its bottom on the image."""
        pixels = self.project(points)
        if len(pixels) < 3:
            return
        low, high = pixels[:, 1].min(), pixels[:, 1].max()
        x0, y0 = np.floor(np.clip(pixels.min(axis=0), 0, None)).astype(int).tolist()
        x1, y1 = np.ceil(np.minimum(pixels.max(axis=0) + 1, self.image.size)).astype(int).tolist()
        if x1 <= x0 or y1 <= y0:
            return
        stops = np.linspace(low, high, len(colors))
        column = np.column_stack([np.interp(np.arange(y0, y1), stops, channel) for channel in np.transpose(colors)])
        gradient = Image.fromarray(np.clip(column, 0, 255).astype(np.uint8)[:, None])
        mask = Image.new("L", (x1 - x0, y1 - y0))
        ImageDraw.Draw(mask).polygon([tuple(pixel) for pixel in (pixels - [x0, y0]).tolist()], fill=255)
        self.image.paste(gradient.resize(mask.size, Image.Resampling.NEAREST), (x0, y0), mask)
        self._cover([tuple(pixel) for pixel in pixels.tolist()])

    def shadow(self, points: ArrayLike, *, strength: float, radius: float) -> None:
        """Darken a polygon in space with a soft edge of `radius` pixels of the final image."""
        mask = Image.new("L", self.size)
        pixels = self.project(points) / SUPERSAMPLING
        ImageDraw.Draw(mask).polygon([tuple(pixel) for pixel in pixels.tolist()], fill=int(255 * strength))
        soft = mask.filter(ImageFilter.GaussianBlur(radius))
        if box := soft.getbbox():
            place = (box[0] * SUPERSAMPLING, box[1] * SUPERSAMPLING)
            size = ((box[2] - box[0]) * SUPERSAMPLING, (box[3] - box[1]) * SUPERSAMPLING)
            self.image.paste((8, 9, 12), place, soft.crop(box).resize(size, Image.Resampling.BILINEAR))

    def _cover(self, corners: Sequence[tuple[float, ...]]) -> None:
        if self.silhouette is not None:
            ImageDraw.Draw(self.silhouette).polygon([(x, y) for x, y in corners], fill=255)

    def mask(self) -> Image.Image:
        """Return what was covered since `trace`, in the final size: 255 where that is half a pixel or more, else 0."""
        if self.silhouette is None:
            return Image.new("L", self.size)
        return self.silhouette.reduce(SUPERSAMPLING).point([0] * 127 + [255] * 129)

    def finished(self) -> NDArray[np.float32]:
        """Return the image reduced to its size, shape (height, width, 3), values in [0, 255]."""
        return np.asarray(self.image.reduce(SUPERSAMPLING), dtype=np.float32)


def _clip_near(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut a polygon of (right, up, depth) at the plane just before the lens."""
    if (points[:, 2] >= _NEAR).all():
        return points
    kept = []
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        if start[2] >= _NEAR:
            kept.append(start)
        if (start[2] >= _NEAR) != (end[2] >= _NEAR):
            kept.append(start + (end - start) * (_NEAR - start[2]) / (end[2] - start[2]))
    return np.array(kept).reshape(-1, 3)
