"""What an image is as RGB pixels, whatever its file holds: grey of 16 bits, CMYK, a palette, several frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veriwild_clustering import ImageStore
from veriwild_clustering.images.inspection import inspect_image
from veriwild_clustering.images.reading import upright

GREY = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))


def save(kind: str, folder: Path) -> str:
    grey = Image.fromarray(GREY)
    if kind.startswith("grey16"):
        Image.fromarray(GREY.astype(np.uint16) * 257).save(folder / kind)
    elif kind == "cmyk.jpg":
        grey.convert("RGB").convert("CMYK").save(folder / kind, quality=100)
    elif kind == "palette.gif":
        grey.convert("P").save(folder / kind)
    elif kind == "frames.gif":
        grey.save(folder / kind, save_all=True, append_images=[Image.new("L", grey.size)])
    else:
        Image.merge("LA", (grey, Image.new("L", grey.size, 7))).save(folder / kind)
    return kind


@pytest.mark.parametrize(
    "kind", ["grey16.png", "grey16.tif", "cmyk.jpg", "palette.gif", "frames.gif", "transparent.png"]
)
def test_pixels_are_what_is_seen(kind: str, tmp_path: Path) -> None:
    row, image = inspect_image(ImageStore(tmp_path), save(kind, tmp_path), decode=upright)
    assert row == (64, 48, "ok", "")
    assert image is not None
    assert np.abs(np.asarray(image).astype(int) - GREY[..., None]).max() <= 2
