"""What of an image is sent: its pixels as a small JPEG, and nothing else of the file."""

from __future__ import annotations

import base64
import hashlib
from io import BytesIO

import numpy as np

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.images.reading import image_bytes, image_store_of, open_header, upright

__all__ = ["data_url", "image_digest", "image_tokens"]

_QUALITY = 90
_PIXELS_PER_TOKEN = 32 * 32


def image_digest(dataset: Dataset, row: int) -> str:
    """Return the SHA-256 of the file of an image; BadImageError if it cannot be read."""
    return hashlib.sha256(image_bytes(image_store_of(dataset), _path(dataset, row))).hexdigest()


def data_url(dataset: Dataset, row: int, *, side: int) -> str:
    """Return the image as a JPEG in a `data:` URL, its longer side at most `side` pixels.

    Raises
    ------
    BadImageError
        If the image cannot be decoded.
    """
    from PIL import Image

    with open_header(image_store_of(dataset), _path(dataset, row)) as image:
        image.draft("RGB", (2 * side, 2 * side))  # lets JPEG skip detail that would be scaled away
        whole = upright(image)
    whole.thumbnail((side, side), Image.Resampling.LANCZOS)
    bare = Image.fromarray(np.asarray(whole))  # comments, profiles and EXIF would travel with the object
    encoded = BytesIO()
    bare.save(encoded, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode('ascii')}"


def image_tokens(side: int) -> int:
    """Return about how many tokens an image has: one per 32 x 32 pixels of a square with that side."""
    return -(-side * side // _PIXELS_PER_TOKEN)


def _path(dataset: Dataset, row: int) -> str:
    return str(dataset.images["path"].iat[row])
