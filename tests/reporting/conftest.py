"""What tests of figures and pages share: no window opens, no figure stays open, images on disk, pages taken apart."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

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


_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_LOADS = {"src", "href", "srcset", "poster", "data", "action"}
_VOID = {"br", "img", "input", "link", "meta"}


class Page(HTMLParser):
    """What a page would load, its tags, and its text outside of scripts and styles; all without plotly.js."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = re.sub(r"<script>/\*\*\s*\* plotly\.js.*?</script>", "", html, flags=re.DOTALL)
        self.loads: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.data = ""
        self.unclosed: list[str] = []
        self._inside = ""
        self._sections: dict[str, int] = {}
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.text += " "
        self.tags.append((tag, attributes))
        self.loads += [value or "" for name, value in attrs if name in _LOADS]
        self._inside = attributes.get("type") or tag
        if tag not in _VOID:
            self.unclosed.append(tag)
        if tag == "section":
            self._sections[attributes["id"] or ""] = len(self.text)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""
        assert self.unclosed.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._inside == "application/json":
            self.data += data
        elif self._inside not in ("script", "style"):
            self.text += data

    def section(self, name: str) -> str:
        """Return the text of one section, with one space between any two words."""
        starts = [*self._sections.values(), len(self.text)]
        position = list(self._sections).index(name)
        return " ".join(self.text[starts[position] : starts[position + 1]].split())

    @property
    def links(self) -> list[str]:
        """Where its links lead."""
        return [attributes["href"] or "" for tag, attributes in self.tags if tag == "a"]

    @property
    def policy(self) -> str:
        """Its Content-Security-Policy."""
        policies = [a["content"] for tag, a in self.tags if a.get("http-equiv") == "Content-Security-Policy"]
        return policies[0] or ""


@pytest.fixture
def read_page() -> Callable[[Path], Page]:
    """A function that reads a page."""
    return lambda path: Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def browse(tmp_path: Path) -> Callable[[Path], SimpleNamespace]:
    """A function that shows a page in a browser and returns its console, its requests and what became of it."""
    if _CHROMIUM is None:
        pytest.skip("no chromium on PATH")
    log = tmp_path / "net.json"

    def show(page: Path) -> SimpleNamespace:
        shown = subprocess.run(
            [
                _CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-extensions", "--enable-unsafe-swiftshader", "--enable-logging=stderr",
                "--virtual-time-budget=4000", f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}",
                "--dump-dom", page.as_uri(),
            ],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        # The browser's own requests, such as the search for updates, have no origin.
        events = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
        asked = [event["url"] for event in events if event.get("initiator", "not an origin") != "not an origin"]
        return SimpleNamespace(
            console=[line for line in shown.stderr.splitlines() if ":CONSOLE" in line],
            requests=[url for url in asked if not url.startswith(("data:", "blob:", "file:"))],
            dom=shown.stdout,
        )

    return show
