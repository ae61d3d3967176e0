"""The viewer: strict records in, a page that stands alone, escapes what it shows and draws every image with a place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veriwild_clustering import DatasetError
from veriwild_clustering.reporting.viewer.records import FIELDS, image_records, read_records, write_records
from veriwild_clustering.reporting.viewer.viewer import write_viewer


@pytest.fixture
def table(dataset) -> pd.DataFrame:
    """Sixty images in three groups; the first is noise, image 4 was not read and has no place."""
    places = np.random.default_rng(0).normal(size=(60, 3))
    places[4] = np.nan
    return pd.DataFrame(
        {
            "filename": dataset.images["path"],
            "label": dataset.images["type"],
            **dict(zip("xyz", places.T, strict=True)),
            "group": np.r_[-1, np.zeros(3), -1, np.zeros(25), np.ones(20), np.full(10, 2)].astype(np.int32),
            "quality": ["low", *["high"] * 59],
            "confidence": np.linspace(0, 1, 60, dtype=np.float32),
            "box": [[0.0, 1.0, 20.0, 15.5], *[None] * 59],
            "upscaled": np.arange(60) % 2 == 0,
            "status": ["ok", "ok", "ok", "unreadable", "missing", *["ok"] * 55],
        }
    )


def test_records_are_strict_json_in_the_documented_order(table, tmp_path) -> None:
    records = image_records(table)
    path = write_records(tmp_path / "result.json", records)
    read = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert len(read) == 60
    assert list(read[0]) == [name for name in FIELDS if name in table]
    assert read == records == read_records(path)
    assert read[4]["x"] is None
    assert read[4]["group"] == -1
    assert read[0]["box"] == [0.0, 1.0, 20.0, 15.5]
    assert read[1]["box"] is None
    assert read[2]["upscaled"] is True
    assert read[7]["x"] == pytest.approx(table["x"][7], abs=1e-5)
    again = write_records(tmp_path / "again.json", records)
    assert again.read_bytes() == path.read_bytes()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.floats(), st.none(), st.integers(), st.text(), st.booleans()), min_size=1, max_size=8))
def test_any_value_becomes_json(values) -> None:
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name in FIELDS})
    records = json.loads(json.dumps(image_records(frame), allow_nan=False))
    assert len(records) == len(values)


def test_what_is_no_record_is_refused(table, tmp_path) -> None:
    with pytest.raises(ValueError, match="Missing: group"):
        image_records(table.drop(columns="group"))
    file = tmp_path / "result.json"
    for text, message in (
        ("{", "cannot be read as JSON"),
        ("{}", "JSON array"),
        ('[{"x": 1}]', "Record 0 .* filename"),
    ):
        file.write_text(text)
        with pytest.raises(DatasetError, match=message):
            read_records(file)
    with pytest.raises(ValueError, match="JSON"):
        write_records(file, [{"x": float("nan")}])
    assert file.read_text() == '[{"x": 1}]'


def test_page_holds_every_placed_image_and_lists_the_others(table, dataset, tmp_path, read_page) -> None:
    page = read_page(write_viewer(image_records(table), tmp_path / "v.html", dataset=dataset, title="Cars & <b>"))
    data = json.loads(page.data)
    assert len(data["points"]) == len(data["images"]) == 59
    assert all(image.startswith("data:image/jpeg;base64,") for image in data["images"])
    assert "60 images · 3 groups · 1 in no group" in page.text
    assert "1 without a place: not drawn" in page.text
    assert ": missing" in page.text
    assert "Cars & <b>" in page.text
    assert set(data["colors"]["group"]) == {"0", "1", "2"}
    assert "<script>alert" not in page.html
    assert "<i>bus" not in page.html


def test_page_loads_nothing(table, tmp_path, read_page) -> None:
    page = read_page(write_viewer(image_records(table), tmp_path / "v.html"))
    assert all(load.startswith(("data:", "#")) for load in page.loads)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|https?://", page.html)
    assert page.policy.startswith("default-src 'none'")
    assert json.loads(page.data)["images"] == []


def test_of_many_images_a_sample_is_shown_and_the_page_says_so(table, tmp_path, read_page) -> None:
    page = read_page(write_viewer(image_records(table), tmp_path / "v.html", max_points=12))
    points = json.loads(page.data)["points"]
    assert len(points) <= 14
    assert {point["group"] for point in points} == {-1, 0, 1, 2}
    assert f"a sample of {len(points)} is shown" in page.text


@pytest.mark.parametrize("n_images", [0, 1])
def test_page_of_hardly_any_images(n_images, table, tmp_path, read_page) -> None:
    page = read_page(write_viewer(image_records(table.iloc[:n_images]), tmp_path / "v.html"))
    assert len(json.loads(page.data)["points"]) == n_images


def test_dataset_of_other_images_is_refused(table, dataset, tmp_path) -> None:
    with pytest.raises(ValueError, match="one image per record, 60"):
        write_viewer(image_records(table), tmp_path / "v.html", dataset=dataset.take([0]))


def _points(dom: str) -> str:
    found = re.search(r'data-drawn="(\d+)"', dom)
    assert found
    return found[1]


def test_a_browser_draws_the_images_without_errors_or_requests(table, dataset, tmp_path: Path, browse) -> None:
    seen = browse(write_viewer(image_records(table), tmp_path / "v.html", dataset=dataset))
    assert seen.console == []
    assert seen.requests == []
    assert _points(seen.dom) == "59"
    legend = re.findall(r"<span>(group \d|no group)</span><em>(\d+)</em>", seen.dom)
    assert legend == [("group 0", "28"), ("group 1", "20"), ("group 2", "10"), ("no group", "1")]


def test_search_legend_and_keys_work_in_a_browser(table, dataset, tmp_path: Path, browse) -> None:
    page = write_viewer(image_records(table), tmp_path / "v.html", dataset=dataset)
    act = """<script>
      const press = key => document.querySelector("canvas").dispatchEvent(new KeyboardEvent("keydown", { key }));
      document.querySelector("[value=label]").click();
      document.querySelector(".legend input").click();
      document.querySelector("#search").value = "5";
      document.querySelector("#search").dispatchEvent(new Event("input"));
      press("n"); press("ArrowLeft"); press("+");
    </script></body>"""
    page.write_text(page.read_text().replace("</body>", act))
    seen = browse(page)
    assert seen.console == []
    assert _points(seen.dom) == "30"  # the most frequent label is switched off
    assert "15 found" in seen.dom
    card = seen.dom.partition('class="card"')[2].partition("</dl>")[0]
    assert '<strong title="35.png">35.png</strong>' in card  # the first that is found and shown
    assert "data:image/jpeg" in card


def test_names_are_shown_without_the_folders_in_common(tmp_path: Path, browse) -> None:
    place = dict.fromkeys("xyz", 0.0)
    names = ["../photos/of cars/a/1.png", "../photos/of cars/a/2.png", "../photos/of cars/ab/3.png"]
    records = [{"filename": name, "label": "car", **place, "group": 0, "quality": "high"} for name in names]
    page = write_viewer(records, tmp_path / "v.html")
    act = """<script>
      document.querySelector("#search").value = "a";
      document.querySelector("#search").dispatchEvent(new Event("input"));
      document.querySelector("#next").click();
    </script></body>"""
    page.write_text(page.read_text().replace("</body>", act))
    seen = browse(page)
    assert seen.console == []
    hits = re.findall(r'<button type="button" title="(.*?)">(.*?)</button>', seen.dom)
    assert hits == [(name, name.removeprefix("../photos/of cars/")) for name in names]
    assert f'<strong title="{names[0]}">a/1.png</strong>' in seen.dom


def test_every_color_stands_out_on_dark_paper(tmp_path: Path, browse) -> None:
    places = np.random.default_rng(0).normal(size=(12, 3)).tolist()
    records = [
        {"filename": f"{i}.png", "label": "car", "x": x, "y": y, "z": z, "group": i, "quality": "high"}
        for i, (x, y, z) in enumerate(places)
    ]
    page = write_viewer(records, tmp_path / "v.html")
    night = "<body><script>window.matchMedia = () => ({ matches: true, addEventListener() {} })</script>"
    page.write_text(page.read_text().replace("<body>", night))
    seen = browse(page)
    assert seen.console == []
    legend = seen.dom.partition('class="legend"')[2].partition("</ul>")[0]
    colors = np.array(re.findall(r"--color: rgb\((\d+),(\d+),(\d+)\)", legend), dtype=float)
    assert colors.shape == (12, 3)
    assert len(np.unique(colors, axis=0)) == 12
    assert (_contrast(colors, np.array([0x0F, 0x13, 0x18])) >= 3).all()


def _contrast(colors: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """Return the contrast that WCAG 2 defines, of which signs need 3."""
    linear = [np.where(c <= 10.31, c / 3294.6, ((c / 255 + 0.055) / 1.055) ** 2.4) for c in (colors, paper)]
    light, dark = (part @ [0.2126, 0.7152, 0.0722] + 0.05 for part in linear)
    return light / dark
