"""What `veriwild engine` says of images: labels from words, from attributes; several models; one of one's own."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from veriwild_clustering import ImageInput, Model, ModelFile
from veriwild_clustering.apps.cli import main
from veriwild_clustering.core.storage.raw_data import locate_raw_data
from veriwild_clustering.descriptors.extraction import embedders
from veriwild_clustering.images.models import catalog

PLAIN = ("--models", "hog", "--no-upscale", "--no-crop", "--quiet")
pytestmark = pytest.mark.filterwarnings("ignore:BRISQUE is left out")


def run(folder: Path, output: Path, *options: str) -> int:
    return main(["engine", "--image_dir", str(folder), "--output", str(output), "--jobs", "1", *options])


@pytest.fixture
def tiny_clip(tmp_path, monkeypatch) -> Path:
    """A cache of models in which CLIP knows colours: images by their mean, words by their letters x, q and z."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "vocabulary.txt.gz").write_bytes(gzip.compress(b"#version"))
    letters = np.zeros((514, 3), np.float32)
    for place, letter in enumerate("xqz"):
        letters[[ord(letter) - ord("!"), 256 + ord(letter) - ord("!")], place] = 1
    info = helper.make_tensor_value_info
    for file, nodes, given, weights in (
        ("image.onnx", [helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0)],
         info("x", TensorProto.FLOAT, ["n", 3, 8, 8]), {"axes": np.array([2, 3])}),
        ("text.onnx", [helper.make_node("Gather", ["letters", "input_ids"], ["each"]),
                       helper.make_node("ReduceSum", ["each", "axis"], ["y"], keepdims=0)],
         info("input_ids", TensorProto.INT64, ["n", 77]), {"letters": letters, "axis": np.array([1])}),
    ):  # fmt: skip
        constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
        graph = helper.make_graph(nodes, "tiny", [given], [info("y", TensorProto.FLOAT, ["n", 3])], constants)
        opset = [helper.make_opsetid("", 18)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), folder / file)
    name = "clip-vit-b-32"
    tiny = Model(name, "embedding", (ModelFile("image.onnx"),), license="MIT", source="", input=ImageInput(8, 8))
    files = ModelFile("text.onnx"), ModelFile("vocabulary.txt.gz")
    text = Model(f"{name}-text", "text embedding", files, license="MIT", source="", output="y")
    known = {**catalog.MODELS, name: replace(tiny, n_features=3), text.name: text}
    for module in (catalog, embedders):
        monkeypatch.setattr(module, "MODELS", known)
    return folder


def colored(folder: Path) -> Path:
    """Draw four red, green and blue images each, and write one file that is none."""
    folder.mkdir()
    for i in range(12):
        color = np.full(3, 20) + 180 * np.eye(3)[i % 3] + i
        Image.new("RGB", (16, 12), tuple(color.astype(int).tolist())).save(folder / f"{'xqz'[i % 3]}_{i}.png")
    (folder / "none.png").write_bytes(b"no image")
    return folder


def test_labels_are_those_of_clip_whatever_describes_the_images(tiny_clip, tmp_path) -> None:
    images = colored(tmp_path / "images")
    asked = (
        "--labels",
        ", ".join(30 * letter for letter in "xqz"),
        "--models-folder",
        str(tiny_clip),
        "--no-upscale",
        "--no-crop",
        "--quiet",
    )
    for models in (("--models", "hog"), (), ("--models", "lab-histogram", "clip-vit-b-32")):
        output = tmp_path / f"{len(models)}.json"
        assert run(images, output, *models, *asked, "--vectors", str(tmp_path / "vectors")) == 0
        for record in json.loads(output.read_text()):
            name = Path(record["filename"]).name
            assert record["label"] == ("unknown" if name == "none.png" else 30 * name[0])


def test_several_descriptors_have_the_same_say(tiny_clip, tmp_path, capsys) -> None:
    images = colored(tmp_path / "images")
    both = ("--models", "clip-vit-b-32", "hog", "--models-folder", str(tiny_clip), "--no-upscale", "--no-crop")
    assert run(images, tmp_path / "r.json", *both) == 0
    assert "described by clip-vit-b-32 + hog" in capsys.readouterr().out
    groups = {name[0]: set() for name in "xqz"}
    for record in json.loads((tmp_path / "r.json").read_text()):
        if record["status"] == "ok":
            groups[Path(record["filename"]).name[0]].add(record["group"])
    assert sorted(map(len, groups.values())) == [1, 1, 1]
    assert len(set.union(*groups.values())) == 3


def test_a_network_of_ones_own_describes_images(tiny_clip, tmp_path) -> None:
    images = colored(tmp_path / "images")
    own = ("--model", str(tiny_clip / "image.onnx"), "--no-upscale", "--no-crop", "--quiet")
    assert run(images, tmp_path / "r.json", *own) == 0
    assert {record["group"] for record in json.loads((tmp_path / "r.json").read_text())} == {-1, 0, 1, 2}


def test_labels_cannot_come_from_two_places(tmp_path, capsys) -> None:
    images = colored(tmp_path / "images")
    assert run(images, tmp_path / "r.json", *PLAIN, "--labels", "bus,car", "--label-from", "filename") == 2
    assert "--labels come from CLIP" in capsys.readouterr().err


@pytest.mark.parametrize("labels", ["", "bus", "bus,", "bus,car,bus"])
def test_labels_that_are_none_are_refused_before_the_work(labels, tmp_path, capsys) -> None:
    assert run(colored(tmp_path / "images"), tmp_path / "r.json", *PLAIN, "--labels", labels) == 2
    assert "two or more that differ" in capsys.readouterr().err
    assert not (tmp_path / "r_vectors").exists()


def test_a_text_model_that_is_missing_is_told_before_the_work(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("veriwild_clustering.apps.engine.labels.model_files", _no_weights)
    assert run(colored(tmp_path / "images"), tmp_path / "r.json", *PLAIN, "--labels", "bus,car") == 2
    assert "no weights here" in capsys.readouterr().err
    assert not (tmp_path / "r_vectors").exists()


@pytest.mark.real
def test_labels_of_attributes_are_types_of_vehicles(real_raw_data, real_models, tmp_path) -> None:
    truth = pd.read_csv(real_raw_data.parent / "truth.csv").query("corruption.isna()").groupby("type").head(8)
    store = locate_raw_data(real_raw_data).image_store
    for row, path in enumerate(truth["path"]):
        (tmp_path / f"{row}.jpg").write_bytes(store.read(path))
    pd.DataFrame({"path": [f"{row}.jpg" for row in range(len(truth))]}).to_csv(tmp_path / "images.csv", index=False)
    asked = ("--models", "hog", "--label-from", "attributes", "--models-folder", str(real_models), "--no-upscale")
    assert run(tmp_path / "images.csv", tmp_path / "r.json", *asked, "--no-crop", "--quiet") == 0
    labels = [record["label"] for record in json.loads((tmp_path / "r.json").read_text())]
    assert set(labels) <= {"car", "van", "truck", "bus"}
    assert len(set(labels)) > 1


def _no_weights(*_args: object, **_options: object) -> list[Path]:
    from veriwild_clustering.images.models.weights import ModelError

    raise ModelError("no weights here.")
