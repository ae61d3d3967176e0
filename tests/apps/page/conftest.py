"""A small workspace and what asks its server, in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from veriwild_clustering import Dataset, Descriptor, ImageStore
from veriwild_clustering.apps.page.server.application import create_app
from veriwild_clustering.apps.page.workspace import Workspace

N_IMAGES = 90


def make_dataset(folder: Path, *, seed: int = 0) -> Dataset:
    """Ninety images of three kinds, two per vehicle; row 89 has no vector and its file is missing."""
    rng = np.random.default_rng(seed)
    kind = np.repeat([0, 1, 2], [45, 30, 15])
    centers = rng.normal(scale=5, size=(3, 16))
    vectors = (centers[kind] + rng.normal(size=(N_IMAGES, 16))).astype(np.float32)
    vectors[-1] = np.nan
    paints = np.array([(200, 30, 30), (240, 240, 240), (30, 60, 200)], dtype=np.uint8)
    for row in range(N_IMAGES - 1):
        pixels = np.full((30, 40, 3), 120, np.uint8)
        pixels[6:24, 6:34] = paints[kind[row]]
        Image.fromarray(pixels).save(folder / f"{row:03d}.jpg")
    images = pd.DataFrame(
        {
            "path": [f"{row:03d}.jpg" for row in range(N_IMAGES)],
            "vehicle_id": [f"{row // 2:05d}" for row in range(N_IMAGES)],
            "camera": (np.arange(N_IMAGES) % 4).astype(str),
            "type": np.array(["sedan", "bus", "truck"])[kind],
            "width": np.arange(N_IMAGES) + 30.0,
            "has_osnet": [True] * (N_IMAGES - 1) + [False],
        }
    )
    descriptors = {"osnet": Descriptor("osnet", vectors), "color_model": Descriptor("color_model", vectors[:, :6])}
    return Dataset(images, descriptors, ImageStore(folder), origin="Squares for tests.")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser that draws with WebGL2, without a graphics card."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    software = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=software)
        yield opened
        opened.close()


@pytest.fixture(autouse=True)
def no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says: no test asks an endpoint that it did not start."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "VERIWILD_TEXT_MODEL", "VERIWILD_VISION_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def page_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def workspace(page_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace that tests read and do not change."""
    models = tmp_path_factory.mktemp("no-models")
    made = Workspace(page_dataset, tmp_path_factory.mktemp("app"), umap=False, models=models)
    made.prepare()
    made.complete()
    return made


@pytest.fixture
def fresh(page_dataset: Dataset, tmp_path: Path) -> Workspace:
    """A workspace of one's own, to be changed."""
    return Workspace(page_dataset, tmp_path / "app", umap=False)


@pytest.fixture(scope="session")
def client_of() -> Callable[..., TestClient]:
    """What makes a client of the server of a workspace, which is asked for as this machine."""

    def make(workspace: Workspace, token: str | None = None, **options: object) -> TestClient:
        application = create_app(workspace, token=token, interface=False)
        return TestClient(application, base_url="http://127.0.0.1:7860", follow_redirects=False, **options)

    return make


@pytest.fixture(scope="session")
def client(workspace: Workspace, client_of: Callable[..., TestClient]) -> TestClient:
    return client_of(workspace)


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    pixels = np.full((120, 160, 3), 128, np.uint8)
    pixels[20:100, 20:140] = (180, 20, 30)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()
