"""Raw data in the layouts in which they are found, small enough to be made for each test."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# Folders in the order of a directory listing, four images of each of three vehicles per folder.
PATHS = [
    f"veriwild/{folder}/{3 * place + vehicle:05d}/{12 * place + 4 * vehicle + image:06d}.jpg"
    for place, folder in enumerate(("1", "10", "2"))
    for vehicle in range(3)
    for image in range(4)
]


def _jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, size=(12 + seed % 5, 16, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def jpegs() -> dict[str, bytes]:
    """The encoded images by path."""
    return {path: _jpeg(row) for row, path in enumerate(PATHS)}


@pytest.fixture(scope="session")
def vectors() -> dict[str, np.ndarray]:
    """Vectors that tell the nine vehicles apart, by file name."""
    rng = np.random.default_rng(0)
    widths = {"efficientnet-b7": 7, "osnet": 5, "vdc_type": 4, "vdc_color": 3}
    vehicles = np.repeat(np.arange(9), 4)
    return {
        name: (rng.normal(scale=4, size=(9, width))[vehicles] + rng.normal(size=(36, width))).astype(np.float32)
        for name, width in widths.items()
    }


def _write_images(place: Path, jpegs: dict[str, bytes], layout: str) -> None:
    prefix = "veriwild/" if "doubled" in layout else ""
    if "zip" in layout:
        with zipfile.ZipFile(place / "veriwild.zip", "w") as archive:
            for path, data in jpegs.items():
                archive.writestr(path.removeprefix("veriwild/") if "bare" in layout else prefix + path, data)
        return
    for path, data in jpegs.items():
        file = place / f"{prefix}{path}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


BuildRaw = Callable[..., Path]


@pytest.fixture
def build_raw(tmp_path: Path, jpegs: dict[str, bytes], vectors: dict[str, np.ndarray]) -> BuildRaw:
    """Return a function that writes raw data in a given layout and returns their folder."""

    def build(images: str = "doubled", *, folder: str = "raw_data", beside: tuple[str, ...] = (), **names: str) -> Path:
        raw = tmp_path / folder
        raw.mkdir()

        def place(what: str) -> Path:
            return tmp_path if what in beside else raw

        listed = "".join(path.replace("/", "\\") + "\n" for path in PATHS)
        (place("paths") / "images_paths.csv").write_text("paths\n" + listed)
        loose = names.pop("loose", "")
        vectors_folder = place("descriptors") if loose else place("descriptors") / "descriptors"
        vectors_folder.mkdir(exist_ok=True)
        for name, matrix in vectors.items():
            with (vectors_folder / f"{names.get(name, name)}.pickle").open("wb") as stream:
                pickle.dump(matrix, stream)
        if images:
            _write_images(place("images"), jpegs, images)
        return raw

    return build
