"""Decoded images as the input of a network: resized, channels in order, scaled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.images.models.record import ImageInput
from veriwild_clustering.images.reading import rgb_pixels

__all__ = ["image_batch", "placement"]

_MAX_ASPECT = 16  # beyond it, "crop" would blow an image up by its longer side only to throw that away


def image_batch(images: Sequence[NDArray[np.uint8]], spec: ImageInput) -> NDArray[Any]:
    """Return images as one input of a network.

    Parameters
    ----------
    images : sequence of arrays of shape (height, width, 3), uint8
        Decoded images, RGB, of any size.
    spec : ImageInput
        What the network wants.

    Returns
    -------
    array of shape (n_images, 3, height, width) or (n_images, height, width, 3), float32 or uint8
        One row per image. Of an image more than 16 times as long as wide, "crop" reads the middle alone.

    Raises
    ------
    ValueError
        If an image is no RGB array of uint8, or `spec` has no size.

    Notes
    -----
    Pixels are resized as bytes, without a detour through floats, as OpenCV and Pillow do it for the networks' authors.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering.images.models.inputs import image_batch
    >>> from veriwild_clustering import ImageInput
    >>> red = np.full((40, 30, 3), (255, 0, 0), np.uint8)
    >>> batch = image_batch([red, red], ImageInput(4, 8, scale=1 / 255))
    >>> batch.shape, batch[0, :, 0, 0].tolist()
    ((2, 3, 4, 8), [1.0, 0.0, 0.0])
    """
    height, width = _size(spec)
    pixels = np.full((len(images), height, width, 3), spec.fill, dtype=np.uint8)
    for row, image in zip(pixels, rgb_pixels(images), strict=True):
        _draw(image, row, spec)
    table = _table(spec)
    planar = np.empty((len(images), 3, height, width), dtype=table.dtype)
    batch = planar if spec.layout == "NCHW" else planar.reshape(pixels.shape)
    for channel, values in enumerate(table):
        source = channel if spec.color == "RGB" else 2 - channel
        into = batch[:, channel] if spec.layout == "NCHW" else batch[..., channel]
        np.take(values, pixels[..., source], out=into, mode="clip")  # a byte is always in the table; "raise" would copy
    return batch


def placement(size: tuple[int, int], spec: ImageInput) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return where an image comes to lie in its input.

    Parameters
    ----------
    size : tuple of int
        Height and width of the image.
    spec : ImageInput
        What the network wants.

    Returns
    -------
    scale : array of shape (2,), float64
        Pixels of the input per pixel of the image: across, down.
    corner : array of shape (2,), int64
        The upper left corner of the image in the input, left and top; negative where it is cut off. A point of the
        image lies at ``point * scale + corner``.

    Examples
    --------
    >>> from veriwild_clustering.images.models.inputs import placement
    >>> from veriwild_clustering import ImageInput
    >>> scale, corner = placement((50, 100), ImageInput(200, 200, "letterbox-center"))
    >>> scale.tolist(), corner.tolist()
    ([2.0, 2.0], [0, 50])
    """
    cut = np.array(_cut(size) if spec.resize == "crop" else (0, 0))
    seen = np.subtract(size, 2 * cut)
    drawn = _drawn_size((int(seen[0]), int(seen[1])), spec)
    scale = (np.array(drawn) / seen)[::-1]
    if spec.resize in {"stretch", "letterbox"}:
        return scale, np.zeros(2, dtype=np.int64)
    room = np.subtract(_size(spec), drawn)[::-1]
    # Both round a half to the even number, with the sign each of them sees: torchvision crops, a letterbox pads.
    corner = np.rint(room / 2) - np.rint(cut[::-1] * scale) if spec.resize == "crop" else np.rint(room / 2 - 0.1)
    return scale, corner.astype(np.int64)


def _size(spec: ImageInput) -> tuple[int, int]:
    if spec.height is None or spec.width is None:
        raise ValueError(
            "`spec` must have a height and a width. Got None, which stands for what a network's file says."
        )
    return spec.height, spec.width


def _drawn_size(size: tuple[int, int], spec: ImageInput) -> tuple[int, int]:
    """Return the height and width to which an image is resized, in whole pixels as the networks' authors round."""
    (height, width), (full_height, full_width) = size, _size(spec)
    if spec.resize == "stretch":
        return full_height, full_width
    by_height = (full_height * width <= full_width * height) != (spec.resize == "crop")
    whole, part, other = (full_height, height, width) if by_height else (full_width, width, height)
    rest = round(other * whole / part) if spec.resize == "letterbox-center" else other * whole // part
    return (whole, max(rest, 1)) if by_height else (max(rest, 1), whole)


def _draw(image: NDArray[np.uint8], into: NDArray[np.uint8], spec: ImageInput) -> None:
    """Draw an image into an input of bytes."""
    if spec.resize == "stretch":
        _resize(image, into, spec)
        return
    if spec.resize == "crop":
        image = _middle(image)
    drawn = np.empty((*_drawn_size(image.shape[:2], spec), 3), dtype=np.uint8)
    _resize(image, drawn, spec)
    left, top = placement(image.shape[:2], spec)[1].tolist()
    height, width = into.shape[:2]
    if spec.resize == "crop":
        into[:] = drawn[-top : height - top, -left : width - left]
    else:
        into[top : top + len(drawn), left : left + drawn.shape[1]] = drawn


def _middle(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image, or of a very long one the middle."""
    height, width = image.shape[:2]
    top, left = _cut((height, width))
    return np.ascontiguousarray(image[top : height - top, left : width - left])


def _cut(size: tuple[int, int]) -> tuple[int, int]:
    """Return how many pixels of a very long image are left out above and below, and on the left and right."""
    height, width = size
    longest = _MAX_ASPECT * min(size)
    return max(0, height - longest) // 2, max(0, width - longest) // 2


def _resize(image: NDArray[np.uint8], into: NDArray[np.uint8], spec: ImageInput) -> None:
    height, width = into.shape[:2]
    if spec.resize_with == "opencv":
        import cv2

        how = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}[spec.interpolation]
        cv2.resize(image, (width, height), dst=into, interpolation=how)
    else:
        from PIL import Image

        filters = Image.Resampling
        how = {"bilinear": filters.BILINEAR, "bicubic": filters.BICUBIC, "area": filters.BOX}[spec.interpolation]
        into[:] = np.asarray(Image.fromarray(image).resize((width, height), how))


def _table(spec: ImageInput) -> NDArray[Any]:
    """Return what each of the 256 values of a byte becomes, per channel: exact, and one pass over the pixels."""
    values = (np.arange(256) * spec.scale - np.array(spec.mean)[:, None]) / np.array(spec.std)[:, None]
    return values.astype(np.float32) if spec.dtype == "float32" else np.clip(np.rint(values), 0, 255).astype(np.uint8)
