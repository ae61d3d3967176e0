"""Masks of vehicles: a network of known answers in the catalog's contract, GrabCut, and the step of a preparation."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from veriwild_clustering import Masker, Model, ModelFile, Preparation, Upscaler, find_model
from veriwild_clustering.images.preparation.prepare import preparation_table

FILL = (124, 116, 104)
BOX = np.s_[30:90, 40:160]

# Red is a car, green is a person, blue is a bus, as Pascal VOC numbers them; the rest is background.
CLASSES = """<ir_version: 8, opset_import: ["": 17]>
classes (uint8[1, 513, 513, 3] image) => (int64[1, 513, 513] classes)
{ values = Cast <to = 1> (image)
  middle = Constant <value = float[1] {200}> ()
  numbers = Constant <value = int64[3] {7, 15, 6}> ()
  last = Constant <value = int64[1] {3}> ()
  bright = Greater (values, middle)
  flags = Cast <to = 7> (bright)
  each = Mul (flags, numbers)
  classes = ReduceMax <axes = [3], keepdims = 0> (each) }"""


@pytest.fixture(scope="module")
def deeplab(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The record of "deeplab-v3" with a network of known answers."""
    file = tmp_path_factory.mktemp("models") / "classes.onnx"
    onnx.save(onnx.parser.parse_model(CLASSES), file)
    return replace(find_model("deeplab-v3"), files=(ModelFile(str(file)),))


def scene(color: tuple[int, int, int]) -> np.ndarray:
    image = np.full((120, 200, 3), 90, np.uint8)
    image[BOX] = color
    return image


@pytest.mark.parametrize("color", [(255, 0, 0), (0, 0, 255)], ids=["car", "bus"])
def test_pixels_of_a_vehicle_are_those_the_network_calls_one(deeplab: Model, color: tuple[int, int, int]) -> None:
    [mask] = Masker(deeplab)([scene(color)])
    assert mask.shape == (120, 200)
    assert mask.dtype == bool
    expected = np.zeros_like(mask)
    expected[BOX] = True
    assert mask[BOX].mean() > 0.97
    assert not mask[:28].any()
    assert (mask != expected).mean() < 0.02  # the border is rounded to pixels of the input


def test_what_is_no_vehicle_leaves_the_image_whole(deeplab: Model) -> None:
    person, nothing = Masker(deeplab)([scene((0, 255, 0)), scene((90, 90, 90))])
    assert person.all()
    assert nothing.all()


def test_a_mask_that_is_too_small_is_none(deeplab: Model) -> None:
    image = scene((255, 0, 0))
    share = 60 * 120 / (120 * 200)
    assert not Masker(deeplab, min_share=share - 0.05)([image])[0].all()
    assert Masker(deeplab, min_share=share + 0.05)([image])[0].all()


def test_params_and_copies_know_network_and_settings(deeplab: Model) -> None:
    masker = Masker(deeplab, fill=(1, 2, 3), min_share=0.1)
    assert json.loads(json.dumps(masker.params)) == masker.params
    assert (masker.params["model"], masker.params["fill"], masker.params["min_share"]) == ("deeplab-v3", [1, 2, 3], 0.1)
    labels = find_model("deeplab-v3").labels
    assert {labels[place] for place in masker.params["vehicles"]} == {"bicycle", "bus", "car", "motorcycle", "train"}
    assert Masker("grabcut", random_state=4).params["random_state"] == 4
    copy = pickle.loads(pickle.dumps(masker))  # noqa: S301
    assert copy.params == masker.params
    np.testing.assert_array_equal(copy([scene((255, 0, 0))])[0], masker([scene((255, 0, 0))])[0])


def test_grabcut_finds_the_vehicle_or_keeps_everything() -> None:
    image = np.full((72, 96, 3), 110, np.uint8)
    image[18:-18, 19:-20] = (190, 30, 40)
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    nothing, tiny = np.full((40, 40, 3), 90, np.uint8), np.zeros((3, 2, 3), np.uint8)
    mask, whole, smallest = Masker("grabcut")([noisy, nothing, tiny])
    assert mask[36, 48]
    assert not mask[:6].any()
    assert whole.all()
    assert smallest.all()
    assert Masker("grabcut")([]) == []


def test_a_preparation_fills_the_background_last(deeplab: Model) -> None:
    image, nothing = scene((255, 0, 0)), scene((90, 90, 90))
    done, kept = Preparation(masker=Masker(deeplab))([image, nothing])
    [mask] = Masker(deeplab)([image])
    np.testing.assert_array_equal(done.image[mask], image[mask])
    assert (done.image[~mask] == FILL).all()
    assert done.foreground_share == pytest.approx(mask.mean())
    assert done.reason == f"background removed: {mask.mean():.0%} left"
    np.testing.assert_array_equal(kept.image, nothing)
    assert (kept.foreground_share, kept.reason) == (1, "background kept: no vehicle found")
    [both] = Preparation(Upscaler("bicubic"), min_side=150, masker=Masker(deeplab, fill=(0, 0, 0)))([image])
    assert both.image.shape == (360, 600, 3)
    assert (both.image[:60] == 0).all()
    assert both.reason.startswith("upscaled 3 times: 200 x 120 pixels; background removed")
    assert preparation_table([done, kept, both])["foreground_share"].tolist()[1] == 1
    assert "masker" not in Preparation().params
    assert Preparation(masker=Masker(deeplab)).params["masker"]["model"] == "deeplab-v3"


def test_a_network_that_names_no_pixels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='`model` must be "deeplab-v3", "grabcut" or'):
        Masker("yolox-nano", folder=tmp_path)
    for fill in ((0, 0, 256), (0, -1, 0)):
        with pytest.raises(ValueError, match="`fill` must be"):
            Masker("grabcut", fill=fill)
    with pytest.raises(ValueError, match="`min_share` must be"):
        Masker("grabcut", min_share=1.5)


@pytest.mark.real
def test_deeplab_finds_real_vehicles(real_raw_data: Path, real_models: Path) -> None:
    from PIL import Image

    files = sorted(real_raw_data.rglob("*.jpg"))[::120][:10]
    images = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    masks = Masker("deeplab-v3", folder=real_models)(images)
    found = [mask for mask in masks if not mask.all()]
    assert len(found) >= 5
    for mask in found:  # vehicles fill the middle of these images, not their border
        height, width = mask.shape
        middle = mask[height // 4 : -height // 4, width // 4 : -width // 4].mean()
        assert middle > mask[[0, -1]].mean()
