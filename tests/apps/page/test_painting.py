"""Painting over the API: every stroke is what the library makes of it, nothing is lost, nothing bad gets in."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import numpy as np
import onnx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from veriwild_clustering import Dataset, Painting, PaintingSession, segment
from veriwild_clustering.apps.page.preparation import paintings
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.images.painting.coco import run_lengths

RED, BLACK = "#cc0000", "#000000"
RGB = {RED: (204, 0, 0), BLACK: (0, 0, 0)}
FILL = {"kind": "fill", "points": [[20, 15]], "color": RED}

# Whatever the image: logits of 100 less the way from the first point, in pixels of the input.
ENCODER = """<ir_version: 8, opset_import: ["": 17]>
encoder (float[1, 3, 1024, 1024] image) => (float[1, 1, 1, 1] image_embeddings)
{ image_embeddings = ReduceMean <axes = [1, 2, 3], keepdims = 1> (image) }"""
DECODER = """<ir_version: 8, opset_import: ["": 17]>
decoder (float[1, 1, 1, 1] image_embeddings, float[1, n, 2] point_coords, float[1, n] point_labels,
         float[1, 1, 256, 256] mask_input, float[1] has_mask_input, float[2] orig_im_size)
    => (float[1, 1, h, w] masks, float[1, 1] iou_predictions)
{ zero = Constant <value = int64[1] {0}> ()
  one = Constant <value = int64[1] {1}> ()
  two = Constant <value = int64[1] {2}> ()
  three = Constant <value = int64[1] {3}> ()
  start = Constant <value_float = 0.0> ()
  by = Constant <value_float = 1.0> ()
  side = Constant <value_float = 1024.0> ()
  most = Constant <value_float = 100.0> ()
  iou_predictions = Constant <value = float[1, 1] {0.9}> ()
  longest = ReduceMax <keepdims = 0> (orig_im_size)
  scale = Div (side, longest)
  height = Slice (orig_im_size, zero, one)
  width = Slice (orig_im_size, one, two)
  h = Squeeze (height)
  w = Squeeze (width)
  rows = Range (start, h, by)
  columns = Range (start, w, by)
  down = Mul (rows, scale)
  across = Mul (columns, scale)
  x = Slice (point_coords, zero, one, two)
  first = Slice (x, zero, one, one)
  y = Slice (point_coords, one, two, two)
  second = Slice (y, zero, one, one)
  px = Squeeze (first)
  py = Squeeze (second)
  dx = Sub (across, px)
  dy = Sub (down, py)
  ax = Abs (dx)
  ay = Abs (dy)
  axes = Constant <value = int64[3] {0, 1, 2}> ()
  wide = Unsqueeze (ax, axes)
  other = Constant <value = int64[3] {0, 1, 3}> ()
  tall = Unsqueeze (ay, other)
  far = Add (wide, tall)
  masks = Sub (most, far) }"""


def sent(client: TestClient, row: int, stroke: dict[str, Any], *, base: int | None = None) -> httpx.Response:
    base = client.get(f"/api/painting/{row}").json()["version"] if base is None else base
    return client.post(f"/api/painting/{row}/strokes", json={"base_version": base, "stroke": stroke})


def made(client: TestClient, row: int, stroke: dict[str, Any]) -> dict[str, Any]:
    answer = sent(client, row, stroke)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def shown(client: TestClient, row: int) -> Painting:
    """Return what the images of the API say: segments by the bytes of their numbers, paint by its colours."""
    segments, paint = (
        np.asarray(Image.open(BytesIO(client.get(f"/api/painting/{row}/{name}.png").content))).astype(np.int32)
        for name in ("segments", "paint")
    )
    labels = segments @ (1 << 16, 1 << 8, 1)
    return Painting(labels, np.where(paint[..., 3] == 255, paint[..., :3] @ (1 << 16, 1 << 8, 1), -1))


@pytest.fixture(scope="module")
def painter(
    page_dataset: Dataset, client_of: Callable[..., TestClient], tmp_path_factory: pytest.TempPathFactory
) -> TestClient:
    """A client of a workspace of which each test paints on rows of its own."""
    return client_of(Workspace(page_dataset, tmp_path_factory.mktemp("painted"), umap=False))


def test_strokes_are_those_of_the_library(painter: TestClient, page_dataset: Dataset) -> None:
    pixels = np.asarray(Image.open(page_dataset.image_store.location / "003.jpg"))
    states = [Painting.of(segment(pixels, "slic"))]
    assert shown(painter, 3).same_as(states[0])
    line = [[2, 2], [30, 20]]
    states.append(states[-1].fill(line, RGB[BLACK]))
    states.append(states[-1].unfill([(20, 15)]))
    states.append(states[-1].cut([(0, 15), (39, 15)]))
    for number, (stroke, expected) in enumerate(
        zip(
            (
                {"kind": "fill", "points": line, "color": BLACK},
                {"kind": "unfill", "points": [[20, 15]]},
                {"kind": "cut", "points": [[0, 15], [39, 15]]},
            ),
            states[1:],
            strict=True,
        ),
        start=1,
    ):
        told = made(painter, 3, stroke)
        assert shown(painter, 3).same_as(expected)
        assert told["version"] == number
        assert told["n_segments"] == expected.labels.max()
        assert [one["n_pixels"] for one in told["colors"]] == [expected.mask(RGB[BLACK]).sum()]
    for what, expected in [("undo", 2), ("undo", 1), ("redo", 2), ("reset", 0), ("undo", 2), ("undo", 1), ("undo", 0)]:
        base = painter.get("/api/painting/3").json()["version"]
        answer = painter.post(f"/api/painting/3/{what}", json={"base_version": base})
        assert answer.status_code == 201
        assert shown(painter, 3).same_as(states[expected]), (what, expected)
    told = answer.json()
    assert (told["version"], told["can_undo"], told["can_redo"], told["colors"]) == (10, False, True, [])


def test_dividing_anew_keeps_the_paint(painter: TestClient) -> None:
    before = made(painter, 10, FILL)
    asked = {"base_version": 1, "method": "graph", "side": 8}
    told = painter.post("/api/painting/10/segments", json=asked).json()
    assert told["method"] == "graph"
    assert told["segments_tag"] != before["segments_tag"]
    assert told["colors"] == before["colors"]


def test_the_image_is_as_large_as_it_is_and_has_a_tag(painter: TestClient) -> None:
    answer = painter.get("/api/painting/11/image.jpg")
    with Image.open(BytesIO(answer.content)) as image:
        assert (image.size, image.format) == ((40, 30), "JPEG")
    again = painter.get("/api/painting/11/image.jpg", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_old_version_is_refused(painter: TestClient) -> None:
    made(painter, 12, FILL)
    answer = sent(painter, 12, {**FILL, "color": BLACK}, base=0)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "conflict"
    assert answer.json()["error"]["current"] == 1
    assert "The painting of '012.jpg' is at version 1" in answer.json()["error"]["message"]
    assert painter.post("/api/painting/12/undo", json={"base_version": 0}).status_code == 409
    assert [one["color"] for one in painter.get("/api/painting/12").json()["colors"]] == [RED]


def test_of_many_threads_no_stroke_is_lost(painter: TestClient) -> None:
    labels = shown(painter, 13).labels
    places = [np.argwhere(labels == label)[0][::-1].tolist() for label in range(1, labels.max() + 1)]

    def insist(number: int) -> None:
        base, stroke = 0, {"kind": "fill", "points": [places[number]], "color": f"#0000{number:02x}"}
        while (answer := sent(painter, 13, stroke, base=base)).status_code != 201:
            assert answer.status_code == 409
            base = answer.json()["error"]["current"]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(insist, range(len(places))))
    painting = shown(painter, 13)
    assert painting.colors == [(0, 0, number) for number in range(len(places))]
    np.testing.assert_array_equal(painting.paint + 1, labels)


def test_what_is_painted_is_kept(fresh: Workspace, client_of: Callable[..., TestClient]) -> None:
    client = client_of(fresh)
    for row in range(6):  # more than are open at a time
        made(client, row, FILL)
    again = client_of(Workspace(fresh.dataset, fresh.folder, umap=False))
    assert [one["row"] for one in again.get("/api/painting/images").json()["items"]] == list(range(6))
    assert again.get("/api/painting").json()["n_kept"] == 6
    for row in range(6):
        assert again.get(f"/api/painting/{row}").json()["version"] == 1
        assert shown(again, row).same_as(shown(client, row))
    session = PaintingSession(fresh.dataset, fresh.folder / "paintings", ahead=False)
    assert session.painting.same_as(shown(client, 0))
    session.fill([(2, 2)], RGB[BLACK])  # in a notebook, beside the page
    assert sent(client, 0, FILL, base=1).status_code == 409
    assert shown(client, 0).same_as(session.painting)


def test_a_template_is_found_in_other_images(painter: TestClient) -> None:
    box = {"kind": "cut_out", "boxes": [[2, 2, 38, 28]], "color": RED}
    red = shown_mask(made(painter, 14, box), painter, 14)
    assert red[6:24, 6:34].mean() > 0.9  # the vehicle, but for what JPEG made of its edge
    assert red[:4].sum() == 0
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    width, height = int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
    pattern = {"row": 14, "point": [20, 15]}
    found = painter.post("/api/painting/15/matches", json={"pattern": pattern, "threshold": 0.01}).json()
    assert found == {"width": width, "height": height, "total": 1, "places": [[int(columns[0]), int(rows[0])]]}
    told = made(painter, 15, {"kind": "stamp", "pattern": pattern, "threshold": 0.01})
    np.testing.assert_array_equal(shown_mask(told, painter, 15), red)
    assert sent(painter, 15, {"kind": "stamp", "pattern": {"row": 14, "point": [0, 0]}}).status_code == 422


def shown_mask(told: dict[str, Any], client: TestClient, row: int) -> np.ndarray:
    assert [one["color"] for one in told["colors"]] == [RED]
    return shown(client, row).mask(RGB[RED])


def test_masks_and_coco_hold_what_is_painted(fresh: Workspace, client_of: Callable[..., TestClient]) -> None:
    client = client_of(fresh)
    made(client, 3, FILL)
    made(client, 3, {"kind": "fill", "points": [[1, 1]], "color": BLACK})
    made(client, 7, FILL)
    painting = shown(client, 3)
    names = [f"003_mask_({text}).png" for text in ("R_0,G_0,B_0", "R_204,G_0,B_0")]
    assert client.post("/api/painting/3/save", json={}).json() == {"files": names}
    assert client.get("/api/painting/3").json()["saved"] == names
    for name, color in zip(names, (BLACK, RED), strict=True):
        mask = np.asarray(Image.open(fresh.folder / "paintings" / name))
        np.testing.assert_array_equal(mask == 255, painting.mask(RGB[color]))
    with ZipFile(BytesIO(client.get("/api/painting/3/masks.zip").content)) as archive:
        assert archive.namelist() == names
        assert all(archive.read(name) == (fresh.folder / "paintings" / name).read_bytes() for name in names)
    with ZipFile(BytesIO(client.get("/api/painting/masks.zip").content)) as archive:
        assert archive.namelist() == [*names, "007_mask_(R_204,G_0,B_0).png"]
    told = client.post("/api/painting/3/save", json={"colons": True}).json()
    assert told["files"] == [name.replace("_0", ":0").replace("_204", ":204") for name in names]
    content = client.get("/api/painting/3/coco.json").json()
    counts = [one["segmentation"]["counts"] for one in content["annotations"]]
    assert counts == [run_lengths(painting.mask(RGB[color])) for color in (BLACK, RED)]
    everything = client.get("/api/painting/coco.json?form=polygons").json()
    assert [image["file_name"] for image in everything["images"]] == ["003.jpg", "007.jpg"]
    assert len(everything["annotations"]) == 3


def test_sam_is_missing_or_cuts_out_as_its_network_says(
    page_dataset: Dataset, tmp_path: Path, client_of: Callable[..., TestClient]
) -> None:
    client = client_of(Workspace(page_dataset, tmp_path / "app", umap=False, models=tmp_path))
    stroke = {"kind": "cut_out", "by": "sam", "foreground": [[[10, 12], [10, 12]]], "color": RED}
    assert "mobile_sam_encoder.onnx" in sent(client, 3, stroke).json()["error"]["message"]
    assert [way["is_at_hand"] for way in client.get("/api/painting").json()["cutting"]] == [True, False]
    for name, text in (("encoder", ENCODER), ("decoder", DECODER)):
        onnx.save(onnx.parser.parse_model(text), tmp_path / f"mobile_sam_{name}.onnx")
    assert [way["is_at_hand"] for way in client.get("/api/painting").json()["cutting"]] == [True, True]
    made(client, 3, stroke)
    rows, columns = np.indices((30, 40))
    expected = (np.abs(columns - 10) + np.abs(rows - 12)) * 1024 / 40 < 100
    np.testing.assert_array_equal(shown(client, 3).mask(RGB[RED]), expected)


@pytest.mark.parametrize(
    "stroke",
    [
        {"kind": "fill", "points": [], "color": RED},
        {"kind": "fill", "points": [[1, 2, 3]], "color": RED},
        {"kind": "fill", "points": [[1, 1e9]], "color": RED},
        {"kind": "fill", "points": [[1, 1]] * 5_000, "color": RED},
        {"kind": "fill", "points": [["1; drop", 1]], "color": RED},
        {"kind": "fill", "points": [[1, 1]], "color": "red"},
        {"kind": "fill", "points": [[1, 1]], "color": "#cc00000"},
        {"kind": "fill", "points": [[1, 1]]},
        {"kind": "fill", "points": [[1, 1]], "color": RED, "path": "../../x"},
        {"kind": "erase", "points": [[1, 1]]},
        {"kind": "cut_out", "color": RED},
        {"kind": "cut_out", "color": RED, "boxes": [[9, 9, 9, 9]]},
        {"kind": "cut_out", "color": RED, "boxes": [[0, 0, 40, 30]]},
        {"kind": "cut_out", "color": RED, "boxes": [[1, 1, 9, 9]] * 40},
        {"kind": "cut_out", "color": RED, "foreground": [[[5, 5]]], "brush": 10_000},
        {"kind": "cut_out", "color": RED, "by": "../sam", "foreground": [[[5, 5]]]},
        {"kind": "stamp", "pattern": {"row": 3, "point": [5, 5]}},
        {"kind": "stamp", "pattern": {"row": 3, "point": [5, 5]}, "threshold": -1},
        {},
    ],
    ids=lambda stroke: json.dumps(stroke)[:50],
)
def test_impossible_strokes_change_nothing(painter: TestClient, stroke: dict[str, Any]) -> None:
    before = painter.get("/api/painting/19").json()
    assert sent(painter, 19, stroke, base=before["version"]).status_code == 422
    assert painter.get("/api/painting/19").json() == before


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "-1e999", "null"])
def test_points_are_numbers(painter: TestClient, text: str) -> None:
    body = f'{{"base_version": 0, "stroke": {{"kind": "unfill", "points": [[1, {text}]]}}}}'
    answer = painter.post("/api/painting/19/strokes", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_images_that_cannot_be_painted_say_why(painter: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cannot be read: missing" in painter.get("/api/painting/89").json()["error"]["message"]
    assert painter.get("/api/painting/90").status_code == 404
    monkeypatch.setattr(paintings, "MAX_PIXELS", 1_000)
    assert "at most" in painter.get("/api/painting/17").json()["error"]["message"]
    assert painter.post("/api/painting/16/segments", json={"base_version": 0, "method": "grabcut"}).status_code == 422


def test_a_stroke_far_outside_does_nothing(painter: TestClient) -> None:
    told = made(painter, 18, {"kind": "fill", "points": [[-65_000, -65_000], [-9, 65_000]], "color": RED})
    assert (told["version"], told["colors"]) == (0, [])
