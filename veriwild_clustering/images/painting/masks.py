"""What is painted as files: one binary mask for each colour."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.validation import DatasetError, reason_of
from veriwild_clustering.images.painting.states import Color, Painting, packed_color

__all__ = ["mask_files", "mask_name", "read_masks", "write_masks"]

_PARTS = re.compile(r"_mask_\(R[:_](\d{1,3}),G[:_](\d{1,3}),B[:_](\d{1,3})\)\.png")


def mask_name(stem: str, color: Color, *, colons: bool = False) -> str:
    """Return the name of the mask of a colour; Windows has no names with colons."""
    between = ":" if colons else "_"
    parts = ",".join(f"{name}{between}{value}" for name, value in zip("RGB", color, strict=True))
    return f"{stem}_mask_({parts}).png"


def write_masks(folder: Path, stem: str, painting: Painting, *, colons: bool = False) -> list[Path]:
    """Write one mask, 0 and 255, for each colour, remove those of colours that are gone, and return the files."""
    from PIL import Image

    written = []
    for color in painting.colors:
        file = folder / mask_name(stem, color, colons=colons)
        with write_atomically(file) as temporary:
            Image.fromarray(painting.mask(color).astype(np.uint8) * 255).save(temporary, format="PNG")
        written.append(file)
    for stale in set(mask_files(folder, stem)) - set(written):
        stale.unlink()
    return written


def read_masks(folder: Path, stem: str, labels: NDArray[np.int32]) -> Painting:
    """Return what the masks of an image paint on its segments.

    Raises
    ------
    DatasetError
        If a mask cannot be read or has another size than the image.
    """
    from PIL import Image

    painting = Painting.of(labels)
    paint = painting.paint.copy()
    for file, color in sorted(mask_files(folder, stem).items()):
        try:
            with Image.open(file) as image:
                mask = np.asarray(image.convert("L")) > 127
        except OSError as error:
            raise DatasetError(f"{file} cannot be read as a mask: {reason_of(error)}. Remove it.") from error
        if mask.shape != paint.shape:
            raise DatasetError(f"{file} has the shape {mask.shape}, its image {paint.shape}. Remove it.")
        paint[mask] = packed_color(color)
    return Painting(painting.labels, paint)


def mask_files(folder: Path, stem: str) -> dict[Path, Color]:
    """Return the masks of an image that are there, with the colour of each."""
    if not folder.is_dir():
        return {}
    found = {}
    for file in folder.iterdir():
        match = _PARTS.fullmatch(file.name[len(stem) :]) if file.name.startswith(stem) else None
        if match:
            red, green, blue = (int(part) for part in match.groups())
            found[file] = (red, green, blue)
    return found
