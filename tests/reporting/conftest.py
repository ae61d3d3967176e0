"""What tests of figures and pages share: no window opens, no figure stays open, and images on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from veriwild_clustering import Dataset, Descriptor, ImageStore, Partition

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture
def flat() -> Descriptor:
    """A 2-D projection of 60 images: three groups of 30, 20 and 10."""
    rng = np.random.default_rng(0)
    centers = np.repeat([[0, 0], [8, 0], [0, 8]], [30, 20, 10], axis=0)
    return Descriptor("flat", (centers + rng.normal(size=(60, 2))).astype(np.float32))


@pytest.fixture
def partition(flat: Descriptor) -> Partition:
    """The three groups, with five images of the first left as noise."""
    labels = np.repeat([0, 1, 2], [30, 20, 10])
    labels[:5] = -1
    confidence = np.linspace(0.5, 1, 60)
    return Partition(labels, flat, "hdbscan", params={"min_cluster_size": 5}, confidence=confidence)


@pytest.fixture
def dataset(flat: Descriptor, tmp_path: Path) -> Dataset:
    """Sixty images, red, green and blue by group; image 3 is broken, image 4 has a hostile name and is missing."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(60):
        Image.new("RGB", (24, 16), ("red", "green", "blue")[(i >= 30) + (i >= 50)]).save(folder / f"{i:02d}.png")
    (folder / "03.png").write_bytes(b"not an image")
    paths = [f"{i:02d}.png" for i in range(60)]
    paths[4] = "</script><script>alert('4')</script>\"<b>.png"
    images = pd.DataFrame(
        {
            "path": paths,
            "vehicle_id": [f"{i // 2:05d}" for i in range(60)],
            "type": np.repeat(["sedan", "<i>bus</i>", "truck"], [30, 20, 10]),
            "has_flat": True,
        }
    )
    return Dataset(images, {"flat": flat}, image_store=ImageStore(folder), origin="Drawn images & simulated vectors.")
