"""Detectors: what they put out becomes boxes in pixels of the image, whatever its size and the network's format."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from veriwild_clustering import Detector
from veriwild_clustering.images.models.record import ImageInput, Model, ModelFile

Pixels = NDArray[np.uint8]

SIDE = 96
LABELS = ("person", "bicycle", "car")
YOLOX_CELLS = [(x, y, side) for side in (8, 16, 32) for y in range(SIDE // side) for x in range(SIDE // side)]

# The box of all red pixels, its confidence the share of the input that is not red.
FIND_RED = """
<ir_version: 8, opset_import: ["": 17]>
find_red (float[1, 3, 96, 96] image) => (float[1, N, W] found)
<float above = {ABOVE}, int64 channel = {CHANNEL}, int64[1] one = {1}, float[1,1,4] divisor = {DIVISOR}>
{
    level = Gather <axis = 1> (image, channel)
    is_red = Greater (level, above)
    red = Cast <to = 1> (is_red)
    columns = ReduceMax <axes = [1], keepdims = 1> (red)
    rows = ReduceMax <axes = [2], keepdims = 1> (red)
    left = ArgMax <axis = 2> (columns)
    last_column = ArgMax <axis = 2, select_last_index = 1> (columns)
    right = Add (last_column, one)
    top = ArgMax <axis = 1> (rows)
    last_row = ArgMax <axis = 1, select_last_index = 1> (rows)
    bottom = Add (last_row, one)
    corners = Concat <axis = 2> (left, top, right, bottom)
    pixels = Cast <to = 1> (corners)
    box = Div (pixels, divisor)
    share = ReduceMean <axes = [1, 2], keepdims = 1> (red)
    any = ReduceMax <axes = [1, 2], keepdims = 1> (red)
    sure = Sub (any, share)
    OUTPUT
}
"""
YOLOV10 = """kind = Constant <value = float[1,1,1] {2}> ()
    found = Concat <axis = 2> (box, sure, kind)"""
SSD = """zero = Constant <value = float[1,1,1] {0}> ()
    kind = Constant <value = float[1,1,1] {2}> ()
    object = Concat <axis = 2> (zero, kind, sure, box)
    end = Constant <value = float[1,1,7] {-1, 2, 0.9, 0, 0, 1, 1}> ()
    objects = Concat <axis = 1> (object, end)
    axes = Constant <value = int64[1] {0}> ()
    found = Unsqueeze (objects, axes)"""


def record(path: Path, decoder: str, spec: ImageInput) -> Model:
    return Model(
        path.stem,
        "detection",
        (ModelFile(str(path)),),
        license="MIT",
        source="",
        input=spec,
        labels=LABELS,
        decoder=decoder,
    )


def find_red(folder: Path, decoder: str, spec: ImageInput) -> Model:
    """A network in the format of a detector that finds what is red in images that are otherwise grey."""
    relative = decoder == "openvino-ssd"
    text = FIND_RED.replace("OUTPUT", SSD if relative else YOLOV10)
    text = text.replace("float[1, N, W]", "float[1, 1, N, W]" if relative else "float[1, N, W]")
    text = text.replace("ABOVE", f"{180 * spec.scale}").replace("CHANNEL", str(spec.color.index("R")))
    text = text.replace("DIVISOR", ", ".join([str(SIDE if relative else 1)] * 4))
    path = folder / f"{decoder}-{spec.resize}-{spec.color}.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    return record(path, decoder, spec)


def constant(path: Path, rows: NDArray[np.float32]) -> Path:
    """A network that puts out the same, whatever it sees."""
    node = onnx.helper.make_node("Constant", [], ["output"], value=numpy_helper.from_array(rows[None], "rows"))
    described = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("images", [1, 3, SIDE, SIDE]), ("output", [1, *rows.shape]))
    ]
    graph = onnx.helper.make_graph([node], "constant", described[:1], described[1:])
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)]), path)
    return path


def red_on_grey(size: tuple[int, int], box: tuple[int, int, int, int]) -> Pixels:
    image = np.full((*size, 3), 90, np.uint8)
    left, top, right, bottom = box
    image[top:bottom, left:right] = (255, 0, 0)
    return image


FORMATS = {
    "yolov10": ("yolov10", ImageInput(SIDE, SIDE, "letterbox-center", scale=1 / 255)),
    "ssd": ("openvino-ssd", ImageInput(SIDE, SIDE, color="BGR")),
    "corner": ("yolov10", ImageInput(SIDE, SIDE, "letterbox", color="BGR")),
}


@pytest.fixture(scope="module", params=FORMATS)
def finder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(find_red(tmp_path_factory.mktemp("finder"), *FORMATS[request.param]), min_confidence=0.1)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_boxes_come_back_in_pixels_of_the_image(finder: Detector, data: st.DataObject) -> None:
    height, width = data.draw(st.tuples(st.integers(40, 300), st.integers(40, 300)))
    left, top = data.draw(st.integers(0, width // 2)), data.draw(st.integers(0, height // 2))
    right = data.draw(st.integers(left + width // 3, width))
    bottom = data.draw(st.integers(top + height // 3, height))
    [[found]] = finder([red_on_grey((height, width), (left, top, right, bottom))])
    a_pixel_of_the_input = max(height, width) / SIDE
    np.testing.assert_allclose(found.box, (left, top, right, bottom), atol=1.5 * a_pixel_of_the_input)
    assert found.label == "car"
    assert min(found.box) >= 0
    assert found.box[2] <= width
    assert found.box[3] <= height


def test_images_of_a_batch_do_not_know_of_each_other(finder: Detector) -> None:
    images = [
        red_on_grey((60, 90), (10, 10, 50, 40)),
        np.full((50, 50, 3), 90, np.uint8),
        red_on_grey((200, 120), (30, 100, 120, 200)),
    ]
    together = finder(images)
    assert [len(found) for found in together] == [1, 0, 1]
    assert together == [finder([image])[0] for image in images]
    assert finder([]) == []
    assert pickle.loads(pickle.dumps(finder))(images) == together  # noqa: S301


def test_what_fills_the_image_is_found_at_the_second_look(finder: Detector) -> None:
    image = np.zeros((80, 120, 3), np.uint8) + np.uint8([255, 0, 0])
    [[found]] = Detector(finder.model, min_confidence=0.6)([image])
    np.testing.assert_allclose(found.box, (0, 0, 120, 80), atol=1.5)


def yolox_row(box: tuple[float, ...], scores: tuple[float, ...], cell: int) -> NDArray[np.float32]:
    """What YOLOX puts out for a box when this cell has found it."""
    x, y, side = YOLOX_CELLS[cell]
    left, top, right, bottom = box
    center = ((left + right) / 2 / side - x, (top + bottom) / 2 / side - y)
    return np.float32([*center, np.log((right - left) / side), np.log((bottom - top) / side), 0.8, *scores])


def yolox(path: Path, rows: dict[int, NDArray[np.float32]], *, min_confidence: float = 0.25) -> Detector:
    output = np.zeros((len(YOLOX_CELLS), 5 + len(LABELS)), np.float32)
    for cell, row in rows.items():
        output[cell] = row
    spec = ImageInput(SIDE, SIDE, "letterbox", color="BGR")
    return Detector(record(constant(path, output), "yolox", spec), min_confidence=min_confidence)


def test_yolox_cells_are_decoded_and_scaled_to_the_image(tmp_path: Path) -> None:
    rows = {
        0: yolox_row((8, 16, 40, 48), (0.1, 0.2, 0.9), 0),
        150: yolox_row((50, 4, 90, 36), (0.5, 0.1, 0.1), 150),
        len(YOLOX_CELLS) - 1: yolox_row((0, 0, 10, 10), (0.3, 0.1, 0.1), -1),
    }
    detector = yolox(tmp_path / "cells.onnx", rows)
    [[car, person]] = detector([np.zeros((96, 192, 3), np.uint8)])
    assert (car.label, person.label) == ("car", "person")
    np.testing.assert_allclose([car.confidence, person.confidence], [0.8 * 0.9, 0.8 * 0.5], rtol=1e-6)
    np.testing.assert_allclose([car.box, person.box], [(16, 32, 80, 96), (100, 8, 180, 72)], rtol=1e-5)


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def test_yolox_agrees_with_brute_force(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    output = np.hstack(
        [
            rng.normal(0.5, 0.5, (len(YOLOX_CELLS), 2)),
            rng.normal(0.7, 0.4, (len(YOLOX_CELLS), 2)),
            rng.uniform(size=(len(YOLOX_CELLS), 4)),
        ]
    ).astype(np.float32)
    candidates = []
    for row, (x, y, side) in zip(output.astype(float), YOLOX_CELLS, strict=True):
        center, half = (row[:2] + np.array([x, y])) * side, np.exp(row[2:4]) * side / 2
        kind = int(np.argmax(row[5:]))
        if row[4] * row[5 + kind] >= 0.25:
            candidates.append((row[4] * row[5 + kind], LABELS[kind], (*(center - half), *(center + half))))
    kept: list[tuple[float, str, tuple[float, ...]]] = []
    for one in sorted(candidates, reverse=True):
        if all(one[1] != other[1] or overlap(one[2], other[2]) <= 0.45 for other in kept):
            kept.append(one)

    [found] = yolox(tmp_path / "random.onnx", dict(enumerate(output)))([np.zeros((SIDE, SIDE, 3), np.uint8)])

    assert len(candidates) > len(kept) > 20
    assert [detection.label for detection in found] == [label for _, label, _ in kept]
    np.testing.assert_allclose([d.confidence for d in found], [confidence for confidence, _, _ in kept], rtol=1e-5)
    np.testing.assert_allclose([d.box for d in found], np.clip([box for _, _, box in kept], 0, SIDE), atol=1e-3)


def test_boxes_outside_the_image_and_without_area_are_left_out(tmp_path: Path) -> None:
    rows = np.float32(
        [[10, 60, 50, 90, 0.9, 2], [30, 20, 30, 40, 0.9, 2], [50, 30, 20, 60, 0.9, 2], [-9, 9, 200, 30, 0.8, 7]]
    )
    path = constant(tmp_path / "degenerate.onnx", rows)
    detector = Detector(record(path, "yolov10", ImageInput(SIDE, SIDE, "letterbox")))
    [[found]] = detector([np.zeros((48, 96, 3), np.uint8)])
    assert found.box == (0, 9, 96, 30)
    assert found.label == "class 7"


def test_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`decoder of model 'osnet-x0-25'` must be one of 'yolox', 'yolov10'"):
        Detector("osnet-x0-25")
    model = find_red(tmp_path, *FORMATS["yolov10"])
    with pytest.raises(ValueError, match="`model` must have an `input`"):
        Detector(replace(model, input=None))
    with pytest.raises(ValueError, match="`min_confidence` must be"):
        Detector(model, min_confidence=1.5)
    with pytest.raises(ValueError, match="`images` must be arrays of shape"):
        Detector(model)([np.zeros((10, 10), np.uint8)])


@pytest.mark.parametrize(
    ("decoder", "message"),
    [("yolox", "has 189 rows. Got 5"), ("openvino-ssd", "at least 7 numbers")],
)
def test_an_output_of_another_format_is_refused(tmp_path: Path, decoder: str, message: str) -> None:
    model = record(constant(tmp_path / "other.onnx", np.zeros((5, 6), np.float32)), "yolov10", ImageInput(SIDE, SIDE))
    with pytest.raises(ValueError, match=message):
        Detector(replace(model, decoder=decoder))([np.zeros((10, 10, 3), np.uint8)])


def test_params_hold_the_checksum_of_the_file_on_disk_and_all_settings(tmp_path: Path) -> None:
    model = find_red(tmp_path, *FORMATS["yolov10"])
    assert model.files[0].sha256 is None
    params = Detector(model, min_confidence=0.3).params
    assert json.loads(json.dumps(params)) == params
    assert params["sha256"] == [hashlib.sha256((tmp_path / model.files[0].name).read_bytes()).hexdigest()]
    for other in (
        Detector(model, min_confidence=0.4),
        Detector(model, min_confidence=0.3, provider="openvino"),
        Detector(replace(model, input=replace(model.input, scale=1.0)), min_confidence=0.3),
        Detector(replace(model, labels=("car", "bicycle", "person")), min_confidence=0.3),
    ):
        assert other.params != params
    constant(tmp_path / model.files[0].name, np.zeros((1, 6), np.float32))
    assert Detector(model, min_confidence=0.3).params["sha256"] != params["sha256"]


def test_a_class_below_zero_has_no_label_of_another(tmp_path: Path) -> None:
    path = constant(tmp_path / "negative.onnx", np.float32([[10, 10, 50, 50, 0.9, -1]]))
    [[found]] = Detector(record(path, "yolov10", ImageInput(SIDE, SIDE)))([np.zeros((SIDE, SIDE, 3), np.uint8)])
    assert found.label == "class -1"
