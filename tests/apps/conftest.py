"""Raw data that the commands' tests share."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def raw_data(tmp_path: Path) -> Path:
    """A raw-data folder of thirty rows without images: two groups of vectors, the last row unusable."""
    folder = tmp_path / "raw_data"
    (folder / "descriptors").mkdir(parents=True)
    paths = [f"veriwild\\1\\{i // 2:05d}\\{i:06d}.jpg" for i in range(30)]
    (folder / "images_paths.csv").write_text("\n".join(["paths", *paths, ""]))
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    vectors[20:] += 20
    vectors[29] = np.nan
    (folder / "descriptors" / "osnet.pickle").write_bytes(pickle.dumps(vectors))
    return folder
