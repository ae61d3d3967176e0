"""HTML pages: they stand alone, escape what they are given, and run in a browser without an error."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from veriwild_clustering import (
    Dataset,
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


def test_map_shows_every_image_with_its_facts(tmp_path, dataset, flat, partition, read_page) -> None:
    result = interactive_map(flat, partition, dataset=dataset, path=tmp_path / "map.html", columns=["type"])
    data = json.loads(read_page(result.path).data)
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


def test_report_tells_what_was_chosen_and_what_the_clusters_hold(report, read_page) -> None:
    page = read_page(report)
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
def test_pages_load_nothing_and_forbid_it(name, request, read_page) -> None:
    page = read_page(request.getfixturevalue(name))
    assert all(load.startswith(("data:", "#")) for load in page.loads)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|https?://", page.html)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


@pytest.mark.parametrize("name", ["report", "map_page"])
def test_hostile_names_stay_text(name, request, read_page) -> None:
    page = read_page(request.getfixturevalue(name))
    assert "<script>alert" not in page.html
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


def test_report_without_extras_leaves_their_sections_out(tmp_path, dataset, flat, read_page) -> None:
    groups = [np.repeat([0, 1, 2], 20), np.repeat([0, 1, 2, 3], 15)]
    board = leaderboard([Partition(g, flat, "kmeans", params={"n_clusters": g.max() + 1}) for g in groups])
    path = write_report(tmp_path / "report.html", dataset, board, choice=choose(board))
    page = read_page(path)
    headings = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert headings == ["chosen", "clusters", "leaderboard"]
    assert path.stat().st_size < 2_000_000


def _measured(dataset: Dataset) -> Dataset:
    images = dataset.images.assign(
        image_status=["ok"] * 58 + ["missing", "truncated"],
        brisque=np.r_[np.linspace(10, 30, 57), 20, np.nan, np.nan],
        sharpness=2.0,
        measured_color=["white"] * 40 + ["<b>red"] * 15 + ["uncertain"] * 3 + [None] * 2,
        light="day",
        focus=None,
        light_confidence=0.9,
        phash=[
            "00000000000000ff",
            "00000000000000fe",
            *(f"{i * 0x0123456789ABCDEF % 2**64:016x}" for i in range(3, 61)),
        ],
    )
    return Dataset(images, dataset.descriptors, dataset.image_store)


def test_report_tells_what_was_measured_of_the_images(tmp_path, dataset, flat, read_page) -> None:
    groups = [np.repeat([0, 1, 2], 20), np.repeat([0, 1, 2, 3], 15)]
    board = leaderboard([Partition(g, flat, "kmeans", params={"n_clusters": g.max() + 1}) for g in groups])
    path = write_report(tmp_path / "report.html", _measured(dataset), board, choice=choose(board))
    section = read_page(path).section("images")
    assert "cannot be decoded 2 3.3% look like an earlier image 1 1.7%" in section
    assert "median brisque 20 higher is worse median sharpness 2 lower is worse" in section
    assert "measured color white 40 (69.0%) <b>red 15 (25.9%) uncertain 3 (5.2%)" in section
    assert "focus" not in section  # nothing is known of it


def test_report_counts_the_reasons_of_outliers(report, read_page) -> None:
    section = read_page(report).section("outliers")
    assert "far from its neighbours in flat: 1 (50.0%)" in section
    assert "no usable vector in flat: 1 (50.0%)" in section


def test_map_shows_what_is_known_before_what_is_measured(tmp_path, dataset, flat, partition, read_page) -> None:
    result = interactive_map(flat, partition, dataset=_measured(dataset), path=tmp_path / "map.html")
    texts = json.loads(read_page(result.path).data)["texts"]
    lines = next(text for text in texts if text.startswith("40.png")).splitlines()
    assert lines[3:] == ["type: <i>bus</i>", "measured_color: <b>red", "light: day"]


@pytest.mark.parametrize("name", ["report", "map_page"])
def test_a_browser_shows_the_page_without_errors_or_requests(name, request, browse) -> None:
    seen = browse(request.getfixturevalue(name))
    assert seen.console == []
    assert seen.requests == []
    assert len(re.findall(r'<path class="point[ "]', seen.dom)) == 60  # the map was drawn by the script
