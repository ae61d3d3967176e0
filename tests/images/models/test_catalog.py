"""The catalog of networks: what each entry must say, and records of one's own files."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from veriwild_clustering import DatasetError
from veriwild_clustering.images.models.catalog import MODELS, find_model, user_model
from veriwild_clustering.images.models.networks import open_network
from veriwild_clustering.images.models.record import ImageInput, Model, ModelFile

FILES = {file.name: file for model in MODELS.values() for file in model.files}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_entry_says_all_that_is_needed(model: Model) -> None:
    assert MODELS[model.name] is model
    assert re.fullmatch(r"[a-z0-9-]+", model.name)
    assert re.fullmatch(r"(MIT|Apache-2\.0|BSD-3-Clause|AGPL-3\.0-only)", model.license)
    assert model.source.startswith("https://")
    assert (model.input is not None) == (model.task in {"embedding", "attributes", "detection", "segmentation"})
    assert (model.n_features is not None) == ("embedding" in model.task or model.task == "attributes")
    assert bool(model.decoder) == (model.task in {"detection", "segmentation", "super-resolution"})
    assert bool(model.labels) == (model.task in {"attributes", "detection"} or model.decoder == "classes")
    assert (model.scale_factor == 3) == (model.task == "super-resolution")


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_file_has_a_plain_name_and_a_whole_checksum(file: ModelFile) -> None:
    assert Path(file.name).name == file.name
    assert file.url is None or re.match(r"https://[^/ ]+/\S+$", file.url)
    assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    assert (file.sha256 is None) == (file.n_bytes is None)


def test_openvino_files_come_in_pairs_with_the_xml_first() -> None:
    for model in MODELS.values():
        first, *others = (Path(file.name) for file in model.files)
        assert first.suffix != ".bin"
        if first.suffix == ".xml":
            assert [other.name for other in others] == [f"{first.stem}.bin"]


def test_catalog_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        MODELS["mine"] = MODELS["vgg16"]  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        MODELS["vgg16"].license = "MIT"  # type: ignore[misc]


def test_clip_shares_one_vocabulary_between_two_records() -> None:
    assert MODELS["clip-vocabulary"].files == MODELS["clip-vit-b-32-text"].files[1:]


def test_unknown_name_brings_near_ones() -> None:
    with pytest.raises(ValueError, match="osnet-x1-0"):
        find_model("osnet")
    with pytest.raises(ValueError, match="yolox-nano"):
        find_model("yolo-nano")
    with pytest.raises(ValueError, match="vgg16"):
        find_model("")
    assert find_model(MODELS["vgg16"]) is find_model("vgg16")


@pytest.mark.parametrize(
    "wrong",
    [
        {"resize": "squeeze"},
        {"interpolation": "cubic"},
        {"resize_with": "PIL"},
        {"color": "GRAY"},
        {"layout": "CHW"},
        {"dtype": "float16"},
    ],
)
def test_input_of_an_unknown_kind_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be one of"):
        ImageInput(**wrong)  # type: ignore[arg-type]


def test_model_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="`task`"):
        Model("mine", "guessing", (ModelFile("mine.onnx"),), license="MIT", source="")
    with pytest.raises(ValueError, match="`pooling`"):
        Model("mine", "embedding", (ModelFile("mine.onnx"),), license="MIT", source="", pooling="max")
    with pytest.raises(ValueError, match="no files"):
        Model("mine", "embedding", (), license="MIT", source="")


def test_own_onnx_file_becomes_a_record(tmp_path: Path) -> None:
    file = tmp_path / "cars.onnx"
    file.write_bytes(b"weights")
    model = user_model(file, size=(256, 128), mean=[0.5] * 3, std=[0.2] * 3, output="pool", name="mine")
    assert (model.name, model.task, model.output, model.license) == ("mine", "embedding", "pool", "")
    assert model.input == ImageInput(256, 128, scale=1 / 255, mean=(0.5,) * 3, std=(0.2,) * 3)
    assert [Path(part.name) for part in model.files] == [file]
    assert hash(model) == hash(
        user_model(file, size=(256, 128), mean=[0.5] * 3, std=[0.2] * 3, output="pool", name="mine")
    )
    file.write_bytes(b"other weights")
    assert user_model(file).files != model.files


def test_own_openvino_and_tflite_files(tmp_path: Path) -> None:
    for name in ("cars.xml", "cars.bin", "cars.tflite"):
        (tmp_path / name).write_bytes(b"weights")
    assert [Path(part.name).name for part in user_model(tmp_path / "cars.xml").files] == ["cars.xml", "cars.bin"]
    taken = user_model(tmp_path / "cars.tflite").input
    assert taken is not None
    assert (taken.layout, taken.height, taken.width) == ("NHWC", None, None)


@pytest.mark.parametrize("name", ["cars.onnx", "cars.pt", "cars.xml"])
def test_own_file_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    if name != "cars.onnx":
        (tmp_path / name).write_bytes(b"weights")
    with pytest.raises(DatasetError, match=r"cars\.(onnx|pt|bin)"):
        user_model(tmp_path / name)


@pytest.mark.parametrize("n_positions", [3, None])
def test_first_of_many_positions_becomes_the_vector(tmp_path: Path, n_positions: int | None) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 2, 2])
    tokens = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["n", n_positions, 4])
    nodes = [helper.make_node("Reshape", ["image", "shape"], ["rows"]), helper.make_node("Neg", ["rows"], ["tokens"])]
    graph = helper.make_graph(
        nodes, "tokens", [image], [tokens], [helper.make_tensor("shape", TensorProto.INT64, [3], [0, -1, 4])]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "t.onnx")
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    if n_positions:
        with pytest.raises(DatasetError, match="12 features"):
            open_network(dataclasses.replace(user_model(tmp_path / "t.onnx", size=2), n_features=4), provider="cpu")
    model = dataclasses.replace(user_model(tmp_path / "t.onnx", size=2, scale=1.0, pooling="first"), n_features=4)
    network = open_network(model, provider="cpu")
    assert network.embed([pixels, pixels[::-1]]).tolist() == [[0, -3, -6, -9], [-6, -9, 0, -3]]


@pytest.mark.parametrize(
    "wrong",
    [{"height": 0}, {"width": -1}, {"fill": 256}, {"scale": float("nan")}, {"mean": (0.5,)}, {"std": (1.0, 0.0, 1.0)}],
)
def test_input_with_an_impossible_number_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be"):
        ImageInput(**wrong)  # type: ignore[arg-type]


def test_checksum_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        ModelFile("cars.onnx", sha256="abc")


def test_path_in_place_of_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="user_model"):
        find_model(tmp_path / "cars.onnx")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="user_model"):
        find_model("models/cars.onnx")


def test_own_file_is_found_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "cars.onnx").write_bytes(b"weights")
    assert user_model("~/cars.onnx").files[0].name == str(tmp_path / "cars.onnx")
