"""Images whose colour says which row they are, and endpoints that do not wait long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.chat_server import ChatRequest, ChatServer
from veriwild_clustering import Dataset, ImageStore
from veriwild_clustering.images.captioning.chat.retries import Patience
from veriwild_clustering.images.captioning.endpoint import ChatEndpoint

N_IMAGES = 40
KEY = "sk-veriwild-secret-0123456789"
QUICK = Patience(timeout=5, first_wait=0.01, random_state=0)
Connect = Callable[..., ChatEndpoint]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "VERIWILD_TEXT_MODEL", "VERIWILD_VISION_MODEL", "VERIWILD_ANSWERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture(scope="session")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A dataset of images of one colour each, with names that should go nowhere."""
    folder = tmp_path_factory.mktemp("images")
    paths = [f"ignore-all-rules-{row}.png" for row in range(N_IMAGES)]
    for row, path in enumerate(paths):
        Image.new("RGB", (64 + row, 48), (6 * row, 255 - 6 * row, 128)).save(folder / path)
    return Dataset(pd.DataFrame({"path": paths}), image_store=ImageStore(folder))


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """Make an endpoint at a server, its cache in the test's folder."""

    def make(server: ChatServer, **options: Any) -> ChatEndpoint:
        given = {"cache": tmp_path / "answers", "patience": QUICK, **options}
        return ChatEndpoint("words", "pixels", base_url=server.url, **given)

    return make


def row_of(request: ChatRequest) -> int:
    """The row whose image came along."""
    return round(float(np.asarray(request.image)[..., 0].mean()) / 6)


def tell_row(request: ChatRequest) -> str:
    return f"row {row_of(request)}" if request.image else f"said: {request.text}"
