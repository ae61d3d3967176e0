"""SAM with networks of known answers: where prompts land, which mask is taken, what a grid of points finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from veriwild_clustering import ImageInput, Model, ModelFile, SegmentAnything, Stroke, find_model, segment
from veriwild_clustering.images.models.weights import ModelError
from veriwild_clustering.images.painting.canvas import Canvas

SIDE = 64

ENCODER = """<ir_version: 8, opset_import: ["": 17]>
encoder (float[1, 3, 64, 64] image) => (float[1, 1, 64, 64] image_embeddings)
{ image_embeddings = ReduceMean <axes = [1], keepdims = 1> (image) }"""

# Two masks: everything, with little confidence; and what is as bright as the first point is, with much.
DECODER = """<ir_version: 8, opset_import: ["": 17]>
decoder (float[1, 1, 64, 64] image_embeddings, float[1, n, 2] point_coords, float[1, n] point_labels,
         float[1, 1, 256, 256] mask_input, float[1] has_mask_input, float[2] orig_im_size)
    => (float[1, m, h, w] masks, float[1, 2] iou_predictions)
{ zero = Constant <value = int64[1] {0}> ()
  one = Constant <value = int64[1] {1}> ()
  two = Constant <value = int64[1] {2}> ()
  axis = Constant <value = int64[1] {1}> ()
  points = Squeeze (point_coords, zero)
  first = Slice (points, zero, one, zero)
  whole = Cast <to = 7> (first)
  x = Slice (whole, zero, one, axis)
  y = Slice (whole, one, two, axis)
  place = Concat <axis = 1> (y, x)
  plane = Squeeze (image_embeddings, corner)
  corner = Constant <value = int64[2] {0, 1}> ()
  seen = GatherND (plane, place)
  apart = Sub (image_embeddings, seen)
  far = Abs (apart)
  near = Constant <value = float[1] {0.2}> ()
  closeness = Sub (near, far)
  hundred = Constant <value = float[1] {100}> ()
  alike = Mul (closeness, hundred)
  flat = Mul (far, zerof)
  zerof = Constant <value = float[1] {0}> ()
  all = Add (flat, hundred)
  both = Concat <axis = 1> (all, alike)
  masks = Identity (both)
  iou_predictions = Constant <value = float[1, 2] {0.3, 0.95}> () }"""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> SegmentAnything:
    folder = tmp_path_factory.mktemp("sam")
    for name, text in (("encoder", ENCODER), ("decoder", DECODER)):
        model = onnx.parser.parse_model(text)
        sort_nodes(model)
        onnx.save(model, folder / f"{name}.onnx")
    files = tuple(ModelFile(str(folder / f"{name}.onnx")) for name in ("encoder", "decoder"))
    spec = ImageInput(SIDE, SIDE, scale=1 / 255)
    return SegmentAnything(Model("known", "segmentation", files, license="", source="", input=spec, decoder="sam"))


def sort_nodes(model: onnx.ModelProto) -> None:
    """Put constants first: a graph names values before they are used."""
    nodes = sorted(model.graph.node, key=lambda node: node.op_type != "Constant")
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def scene() -> np.ndarray:
    image = np.full((SIDE, SIDE, 3), 0, np.uint8)
    image[8:24, 8:24] = 120
    image[40:60, 30:60] = 250
    return image


def test_a_point_gives_the_mask_the_network_thinks_best_of(network: SegmentAnything) -> None:
    mask = network.see(scene()).best_mask([(12, 15)])
    np.testing.assert_array_equal(mask, scene()[..., 0] == 120)
    labels = segment(scene(), "sam", model=network, points=[(12, 15)])
    assert labels[12, 12] == 2
    assert (labels == 2).sum() == 16 * 16


def test_each_box_is_an_object(network: SegmentAnything) -> None:
    labels = segment(scene(), "sam", model=network, boxes=[(9, 9, 23, 23), (31, 41, 59, 59)])
    assert sorted(np.unique(labels).tolist()) == [1, 2, 3]
    assert len({labels[0, 0], labels[10, 10], labels[50, 40]}) == 3


def test_without_prompts_everything_is_found_once(network: SegmentAnything) -> None:
    labels = segment(scene(), "sam", model=network, points_per_side=8, min_stability=0.5)
    assert labels.max() == 3
    assert (labels == labels[10, 10]).sum() == 16 * 16
    assert (labels == labels[50, 40]).sum() == 20 * 30
    assert segment(scene(), "sam", model=network, points_per_side=4, min_iou=0.99).max() == 1


def test_strokes_and_boxes_cut_objects_out_of_a_canvas(network: SegmentAnything, tmp_path: Path) -> None:
    canvas, red = Canvas(scene(), tmp_path / "a.npz"), (204, 0, 0)
    stroke = Stroke(((10, 12), (14, 18)), "foreground")
    canvas.cut_out(red, strokes=[stroke, Stroke(((2, 2),), "background")], network=network)
    np.testing.assert_array_equal(canvas.painting.mask(red), scene()[..., 0] == 120)
    canvas.cut_out(red, boxes=[(31, 41, 59, 59)], strokes=[stroke], network=network)
    np.testing.assert_array_equal(canvas.painting.mask(red), scene()[..., 0] > 0)
    with pytest.raises(ValueError, match="must say where the object is"):
        canvas.cut_out(red, strokes=[Stroke(((2, 2),), "background")], network=network)


def test_wrong_models_and_prompts_are_told(network: SegmentAnything, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"mobile_sam_encoder\.onnx.*export the image encoder"):
        SegmentAnything("mobile-sam", folder=tmp_path)
    with pytest.raises(ValueError, match="an encoder, a decoder"):
        SegmentAnything(find_model("osnet-x0-25"))
    with pytest.raises(ValueError, match="`not_points` need"):
        segment(scene(), "sam", model=network, not_points=[(1, 1)])
