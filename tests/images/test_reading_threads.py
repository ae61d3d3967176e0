"""Threads decode side by side: no warning gets out, and the filters of `warnings` are as they were afterwards."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from veriwild_clustering import ImageStore
from veriwild_clustering.images.inspection import inspect_image
from veriwild_clustering.images.reading import open_header


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    return ImageStore(tmp_path)


def test_threads_are_inside_together(store: ImageStore) -> None:
    together = threading.Barrier(3, timeout=10)  # breaks if one thread waits for another to leave

    def decode(_: int) -> str:
        row, _ = inspect_image(store, "a.png", decode=lambda image: together.wait())
        return row[2]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(decode, range(3))) == ["ok"] * 3


def test_pillow_is_silent_inside_alone(store: ImageStore) -> None:
    def complain() -> None:
        warnings.warn_explicit("bomb", Image.DecompressionBombWarning, "Image.py", 1, module="PIL.Image")

    before = list(warnings.filters)
    with open_header(store, "a.png"):
        complain()
        with pytest.raises(UserWarning, match="mine"):
            warnings.warn("mine", UserWarning, stacklevel=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with open_header(store, "a.png"):
                complain()
    assert warnings.filters == before
    with pytest.raises(Image.DecompressionBombWarning):
        complain()
