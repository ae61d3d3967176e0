"""Data that many tests share: small, made in memory, deterministic."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from veriwild_clustering import Dataset, Descriptor

SHARED = Path(os.environ.get("VERIWILD_SHARED", Path(__file__).resolve().parents[2] / "shared"))
REAL_SAMPLE = SHARED / "data/veriwild_sample/raw_data"
REAL_WEIGHTS = SHARED / "weights"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the notebooks: they take longest, and the last one would run alone."""
    items.sort(key=lambda item: item.get_closest_marker("notebook") is None)


@pytest.fixture(scope="session")
def real_raw_data() -> Path:
    """The raw-data folder of the real sample; skips, with the reason, where it is absent."""
    if not REAL_SAMPLE.is_dir():
        pytest.skip(f"the real sample is not at {REAL_SAMPLE}; set VERIWILD_SHARED to the folder that holds it")
    return REAL_SAMPLE


@pytest.fixture(scope="session")
def real_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of models with the real weights that are at hand, for `folder=`; skips, with the reason, without them."""
    if not REAL_WEIGHTS.is_dir():
        pytest.skip(f"no real weights at {REAL_WEIGHTS}; set VERIWILD_SHARED to the folder that holds weights/")
    folder = tmp_path_factory.mktemp("models")
    for file in REAL_WEIGHTS.glob("*/*"):
        (folder / file.name).symlink_to(file)
    return folder


@pytest.fixture(scope="session")
def drawn_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small drawn sample in `raw_data` and the dataset joined from it."""
    from veriwild_clustering import draw_sample
    from veriwild_clustering.apps.cli import main

    folder = tmp_path_factory.mktemp("drawn")
    draw_sample(folder / "raw_data", n_images=800, random_state=0)
    join = ["create-dataset", "--raw-data", str(folder / "raw_data"), "--output", str(folder / "transport_dataset.csv")]
    assert main(join) == 0
    return folder


@pytest.fixture
def toy_space() -> Descriptor:
    """Three well separated Gaussian clusters of 60, 40 and 20 points in eight dimensions."""
    rng = np.random.default_rng(0)
    centers = rng.normal(scale=6, size=(3, 8))
    points = np.vstack([center + rng.normal(size=(n, 8)) for center, n in zip(centers, (60, 40, 20), strict=True)])
    return Descriptor("toy", points.astype(np.float32))


@pytest.fixture
def toy_dataset(toy_space: Descriptor) -> Dataset:
    """The toy space with an image table: body type follows the cluster, two images per vehicle."""
    n_images = len(toy_space)
    images = pd.DataFrame(
        {
            "path": [f"veriwild/1/{i // 2:05d}/{i:06d}.jpg" for i in range(n_images)],
            "vehicle_id": [f"{i // 2:05d}" for i in range(n_images)],
            "folder": "1",
            "type": ["sedan"] * 60 + ["bus"] * 40 + ["truck"] * 20,
            "color": ["white", "black", "red", "grey"] * 30,
            "has_toy": True,
        }
    )
    return Dataset(images, {"toy": toy_space})
