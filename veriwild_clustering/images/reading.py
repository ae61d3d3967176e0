"""An image of the dataset as pixels: decoded with care, upright, RGB."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.validation import DatasetError, check_int

if TYPE_CHECKING:
    from PIL import Image, ImageFile

__all__ = [
    "MAX_PIXELS",
    "BadImageError",
    "decode_image",
    "image_bytes",
    "image_store_of",
    "open_header",
    "read_image",
    "rgb_pixels",
    "thumbnail",
    "upright",
]

MAX_PIXELS = 100_000_000
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # formats whose decoders run no program
_TILE = (225, 225, 225)
_CROSS = (150, 150, 150)


class BadImageError(Exception):
    """An image that cannot be used, with a status for the image table and the detail for the report."""

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class _Silence:
    """Silences what Pillow warns about while any thread of this process is inside.

    The filters of `warnings` are shared by all threads, so `catch_warnings` would have them decode one at a time. One
    filter for Pillow alone comes with the first thread and goes with the last.
    """

    def __init__(self) -> None:
        self._lock, self._n_inside = threading.Lock(), 0
        self._filter = ("ignore", None, Warning, re.compile(r"PIL\."), 0)

    def __enter__(self) -> None:
        with self._lock:
            self._n_inside += 1
            # What is in the list may have been swapped by a `catch_warnings` elsewhere since the first thread came.
            if warnings.filters[:1] != [self._filter]:
                warnings.filterwarnings("ignore", module=self._filter[3].pattern)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._n_inside -= 1
            if not self._n_inside and self._filter in warnings.filters:
                warnings.filters.remove(self._filter)  # type: ignore[attr-defined]


_silence = _Silence()


@contextmanager
def _decoding() -> Iterator[None]:
    """Silence what decoders warn about and turn whatever they raise into a BadImageError."""
    with _silence:
        try:
            yield
        except BadImageError:
            raise
        except Exception as error:  # decoders raise anything on damaged bytes: OSError, SyntaxError, struct.error …
            cut = "truncated" in str(error).lower() or isinstance(error, EOFError)
            raise BadImageError("truncated" if cut else "unreadable", str(error) or type(error).__name__) from error


@contextmanager
def open_header(store: ImageStore, path: str) -> Iterator[ImageFile.ImageFile]:
    """Give the image with its header read and its pixels not yet decoded.

    Raises
    ------
    BadImageError
        If the file is missing, outside the store, empty, not an image, or above `MAX_PIXELS`; also if decoding fails
        inside the block.
    """
    with _opened(image_bytes(store, path), max_pixels=MAX_PIXELS) as image:
        yield image


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS, reduced_to: int | None = None) -> Image.Image:
    """Return the image that a file holds: upright, RGB, of several the first; at most `reduced_to` pixels of it.

    Raises
    ------
    BadImageError
        If it is not an image of a known format, or has more than `max_pixels`, which is found out before decoding.
    """
    if not data:
        raise BadImageError("empty", "the file has zero bytes")
    with _opened(data, max_pixels=max_pixels) as image:
        return upright(image, max_pixels=reduced_to)


@contextmanager
def _opened(data: bytes, *, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    from PIL import Image, UnidentifiedImageError

    with _decoding():
        try:
            image = Image.open(BytesIO(data), formats=_FORMATS)
        except Image.DecompressionBombError as error:
            raise BadImageError("too large", f"{error}") from error
        except UnidentifiedImageError as error:
            raise BadImageError("unreadable", "not an image of a known format") from error
        with image:
            if image.width * image.height > max_pixels:
                detail = f"{image.width} x {image.height} pixels, at most {max_pixels // 10**6} megapixels are decoded"
                raise BadImageError("too large", detail)
            yield image


def upright(image: Image.Image, *, max_pixels: int | None = None) -> Image.Image:
    """Return the image decoded, turned as its EXIF orientation says, RGB.

    With more than `max_pixels` it comes at a half, a third … of its size, whichever is the first to fit.
    """
    from PIL import Image, ImageOps

    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I;16"):  # 16 bits of grey, which `convert` would cut off at 255
        turned = Image.fromarray((np.asarray(turned) >> 8).astype(np.uint8))
    whole = turned.convert("RGB")
    factor = 1 if max_pixels is None else ceil(sqrt(whole.width * whole.height / max_pixels))
    return whole.reduce(factor) if factor > 1 else whole


def rgb_pixels(images: Sequence[Any]) -> list[NDArray[np.uint8]]:
    """Return decoded images as arrays, each contiguous in memory; ValueError names the first that is not RGB."""
    arrays = [np.ascontiguousarray(image) for image in images]
    for place, array in enumerate(arrays):
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
            raise ValueError(
                f"`images` must be arrays of shape (height, width, 3) and dtype uint8, not empty. "
                f"Got shape {array.shape} and dtype {array.dtype} at {place} instead."
            )
    return arrays


def image_bytes(store: ImageStore, path: str) -> bytes:
    """Return the file of an image.

    Raises
    ------
    BadImageError
        If it is missing, outside the store, empty, or cannot be read.
    """
    try:
        data = store.read(path)
    except FileNotFoundError as error:
        raise BadImageError("missing", "no such file") from error
    except DatasetError as error:
        raise BadImageError("refused", str(error)) from error
    except OSError as error:
        raise BadImageError("unreadable", str(error)) from error
    if not data:
        raise BadImageError("empty", "the file has zero bytes")
    return data


def image_store_of(dataset: Dataset) -> ImageStore:
    """Return where the images of a dataset lie; DatasetError if it does not know."""
    if dataset.image_store is None:
        raise DatasetError(
            "This dataset does not know where its image files lie. Open it with "
            "`Dataset.open(csv, images=...)`, naming their folder or zip."
        )
    return dataset.image_store


def read_image(dataset: Dataset, row: int) -> Image.Image:
    """Return the image of one row: decoded, turned upright as its EXIF orientation says, RGB.

    Parameters
    ----------
    dataset : Dataset
        The dataset.
    row : int
        Row of the image table.

    Returns
    -------
    PIL.Image.Image
        The image, mode RGB.

    Raises
    ------
    DatasetError
        If the dataset knows no images or the image of this row is missing or broken.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> from PIL import Image
    >>> from veriwild_clustering import Dataset, ImageStore, read_image
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> Image.new("L", (40, 30)).save(folder / "a.png")
    >>> dataset = Dataset(pd.DataFrame({"path": ["a.png"]}), image_store=ImageStore(folder))
    >>> image = read_image(dataset, 0)
    >>> image.size, image.mode
    ((40, 30), 'RGB')
    """
    path = _path_of(dataset, row)
    store = image_store_of(dataset)
    try:
        return _decode(store, path, size=None)
    except BadImageError as error:
        raise DatasetError(f"The image of row {row}, {path!r}, cannot be read: {error}.") from error


def thumbnail(dataset: Dataset, row: int, *, size: int = 96) -> Image.Image:
    """Return the image of one row scaled to fit a square, or a grey tile with a cross if it cannot be read.

    Parameters
    ----------
    dataset : Dataset
        The dataset.
    row : int
        Row of the image table.
    size : int, default 96
        Side of the square in pixels.

    Returns
    -------
    PIL.Image.Image
        RGB, its longer side `size` pixels.

    Examples
    --------
    >>> import pandas as pd
    >>> from veriwild_clustering import Dataset, thumbnail
    >>> dataset = Dataset(pd.DataFrame({"path": ["lost.jpg"]}))
    >>> thumbnail(dataset, 0, size=32).size
    (32, 32)
    """
    size = check_int("size", size, low=1)
    path = _path_of(dataset, row)
    if dataset.image_store is None:
        return _crossed_tile(size)
    try:
        return _decode(dataset.image_store, path, size=size)
    except BadImageError:
        return _crossed_tile(size)


def _path_of(dataset: Dataset, row: int) -> str:
    return str(dataset.images["path"].iat[check_int("row", row, low=0, high=len(dataset), high_name="n_images")])


def _decode(store: ImageStore, path: str, *, size: int | None) -> Image.Image:
    from PIL import Image

    with open_header(store, path) as image:
        if size is not None:
            image.draft("RGB", (2 * size, 2 * size))  # lets JPEG skip detail that the thumbnail cannot show
        whole = upright(image)
    if size is None:
        return whole
    scale = size / max(whole.size)
    target = (max(1, round(whole.width * scale)), max(1, round(whole.height * scale)))
    return whole.resize(target, Image.Resampling.LANCZOS)


def _crossed_tile(size: int) -> Image.Image:
    from PIL import Image, ImageDraw

    tile = Image.new("RGB", (size, size), _TILE)
    draw = ImageDraw.Draw(tile)
    near, far = size // 4, size - 1 - size // 4
    width = max(1, size // 24)
    draw.line((near, near, far, far), fill=_CROSS, width=width)
    draw.line((near, far, far, near), fill=_CROSS, width=width)
    return tile
