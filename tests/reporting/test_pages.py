"""HTML pages: they stand alone, escape what they are given, and run in a browser without an error."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from veriwild_clustering import (
    DatasetError,
    Descriptor,
    OutlierScores,
    Partition,
    __version__,
    choose,
    interactive_map,
    leaderboard,
    sweep,
    transform,
    write_report,
)

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_LOADS = {"src", "href", "srcset", "poster", "data", "action"}


class _Page(HTMLParser):
    """What a page would load, its tags, and its text outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.data = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.loads += [value or "" for name, value in attrs if name in _LOADS]
        self._inside = attributes.get("type") or tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "application/json":
            self.data += data
        elif self._inside not in ("script", "style"):
            self.text += data


def _without_plotly(html: str) -> str:
    return re.sub(r"<script>/\*\*\s*\* plotly\.js.*?</script>", "", html, flags=re.DOTALL)


@pytest.fixture
def report(tmp_path, dataset, flat, partition) -> Path:
    wide = Descriptor("wide <b>", np.hstack([flat.vectors, flat.vectors]))
    groups = [np.repeat([0, 1, 2], 20), np.repeat([0, 1, 2, 3], 15), np.repeat([0, 1, 2], [30, 20, 10])]
    partitions = [Partition(g, s, "kmeans", params={"n_clusters": g.max() + 1}) for s in (flat, wide) for g in groups]
    board = leaderboard([*partitions, partition])
    outliers = OutlierScores(pd.DataFrame({"flat: KNN": np.r_[np.linspace(0.1, 1, 58), 9, np.nan]}))
    return write_report(
        tmp_path / "report.html", dataset, board, choice=choose(board), outliers=outliers, title="Trucks & <buses>",
        projections=[flat, transform(wide, PCA(3), name="pca")],
    )  # fmt: skip


@pytest.fixture
def map_page(tmp_path, dataset, flat, partition) -> Path:
    return interactive_map(flat, partition, dataset=dataset, path=tmp_path / "map.html").path


def test_map_shows_every_image_with_its_facts(tmp_path, dataset, flat, partition) -> None:
    result = interactive_map(flat, partition, dataset=dataset, path=tmp_path / "map.html", columns=["type"])
    data = json.loads(_Page(_without_plotly(result.path.read_text(encoding="utf-8"))).data)
    assert [trace.name for trace in result.figure.data] == ["noise · 5", "0 · 25", "1 · 20", "2 · 10"]
    numbers = sorted(i for trace in result.figure.data for i in trace.customdata)
    assert numbers == list(range(60))
    assert len(data["images"]) == len(data["texts"]) == 60
    assert all(image.startswith("data:image/jpeg;base64,") for image in data["images"])
    assert data["texts"][40] == "40.png\nvehicle 00020\ncluster 1, confidence 0.84\ntype: <i>bus</i>"
    assert data["texts"][4].startswith(dataset.images["path"][4] + "\nvehicle 00002\nnoise")
    place = result.figure.data[2]
    row = place.customdata[0]
    assert (place.x[0], place.y[0]) == pytest.approx(flat.vectors[row], abs=1e-4)


def test_map_of_a_sample_says_so_and_keeps_every_cluster(tmp_path, dataset, flat, partition) -> None:
    result = interactive_map(flat, partition, dataset=dataset, path=tmp_path / "map.html", max_points=12)
    assert result.n_shown == sum(len(trace.x) for trace in result.figure.data) == 12
    assert "sample of 12 of 60 images" in result.figure.layout.title.text
    assert len(result.figure.data) == 4


def test_map_of_three_features_is_3d(tmp_path, dataset, flat, partition) -> None:
    deep = Descriptor("deep", np.hstack([flat.vectors, flat.vectors[:, :1]]))
    result = interactive_map(deep, partition, dataset=dataset, path=tmp_path / "map.html")
    assert {trace.type for trace in result.figure.data} == {"scatter3d"}


def test_map_in_a_notebook_is_a_frame_around_the_file(tmp_path, monkeypatch, dataset, flat, partition) -> None:
    monkeypatch.chdir(tmp_path)
    result = interactive_map(flat, partition, dataset=dataset, path="maps/a map.html")
    html = result._repr_html_()
    assert 'src="maps/a%20map.html"' in html
    assert len(html) < 1000


def test_map_names_what_is_wrong(tmp_path, dataset, flat, partition) -> None:
    with pytest.raises(ValueError, match="Unknown column 'wheels'"):
        interactive_map(flat, partition, dataset=dataset, path=tmp_path / "m.html", columns=["wheels"])
    with pytest.raises(ValueError, match="`dataset` must have 60 images"):
        interactive_map(flat, partition, dataset=dataset.take([0]), path=tmp_path / "m.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(DatasetError, match=r"Cannot write .*folder\.html"):
        interactive_map(flat, partition, dataset=dataset, path=tmp_path / "folder.html")


def test_report_tells_what_was_chosen_and_what_the_clusters_hold(report) -> None:
    page = _Page(_without_plotly(report.read_text(encoding="utf-8")))
    assert "Drawn images & simulated vectors." in page.text
    assert "Why this one" in page.text
    assert "ranks first" in page.text
    headings = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert headings == ["chosen", "maps", "clusters", "descriptors", "outliers", "leaderboard"]
    assert [a["href"] for tag, a in page.tags if tag == "a"] == ["#chosen", *(f"#{name}" for name in headings)]
    assert "2 of 60 images (3.3%) are flagged by KNN" in page.text
    assert page.text.count("Most typical") == page.text.count("At the border") == 3
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) >= 3 * 8 + 2
    # The box of the interactive map is empty until it is used.
    assert all(image["alt"] for image in images if "src" in image)


@pytest.mark.parametrize("name", ["report", "map_page"])
def test_pages_load_nothing_and_forbid_it(name, request) -> None:
    html = _without_plotly(request.getfixturevalue(name).read_text(encoding="utf-8"))
    page = _Page(html)
    assert all(load.startswith(("data:", "#")) for load in page.loads)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|https?://", html)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


@pytest.mark.parametrize("name", ["report", "map_page"])
def test_hostile_names_stay_text(name, request) -> None:
    html = _without_plotly(request.getfixturevalue(name).read_text(encoding="utf-8"))
    page = _Page(html)
    assert "<script>alert" not in html
    assert not {"i", "b"} & {tag for tag, attributes in page.tags if "style" not in attributes}


def test_report_shows_typical_images_of_different_vehicles(tmp_path, toy_dataset) -> None:
    board = leaderboard(sweep(toy_dataset["toy"], {"kmeans": {"n_clusters": [2, 3, 4]}}))
    page = write_report(tmp_path / "report.html", toy_dataset, board, choice=choose(board), interactive=False)
    html = page.read_text(encoding="utf-8")
    assert f"Made by veriwild_clustering {__version__}." in html
    strips = re.findall(r"Most typical(.*?)At the border", html, flags=re.DOTALL)
    vehicles = [re.findall(r'alt="veriwild/1/(\d+)/', strip) for strip in strips]
    assert [len(shown) for shown in vehicles] == [8] * choose(board).partition.n_clusters
    assert all(len(set(shown)) == len(shown) for shown in vehicles)


def test_report_without_extras_leaves_their_sections_out(tmp_path, dataset, flat) -> None:
    groups = [np.repeat([0, 1, 2], 20), np.repeat([0, 1, 2, 3], 15)]
    board = leaderboard([Partition(g, flat, "kmeans", params={"n_clusters": g.max() + 1}) for g in groups])
    path = write_report(tmp_path / "report.html", dataset, board, choice=choose(board))
    page = _Page(path.read_text(encoding="utf-8"))
    headings = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert headings == ["chosen", "clusters", "leaderboard"]
    assert path.stat().st_size < 2_000_000


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
@pytest.mark.parametrize("name", ["report", "map_page"])
def test_a_browser_shows_the_page_without_errors_or_requests(name, request, tmp_path) -> None:
    page = request.getfixturevalue(name)
    log = tmp_path / "net.json"
    shown = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
            "--enable-unsafe-swiftshader", "--enable-logging=stderr", "--virtual-time-budget=4000",
            f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    console = [line for line in shown.stderr.splitlines() if ":CONSOLE" in line]
    assert not console
    assert len(re.findall(r'<path class="point[ "]', shown.stdout)) == 60  # the map was drawn by the script
    # The browser's own requests, such as the search for updates, have no origin.
    events = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    asked = [event["url"] for event in events if event.get("initiator", "not an origin") != "not an origin"]
    assert [url for url in asked if not url.startswith(("data:", "blob:", "file:"))] == []
