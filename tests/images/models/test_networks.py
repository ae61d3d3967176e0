"""Networks of every format, batch and shape, on files that are made here and small enough to know the answer."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from veriwild_clustering.images.models.networks import Network, open_network, providers
from veriwild_clustering.images.models.record import ImageInput, Model, ModelFile
from veriwild_clustering.images.models.weights import ModelError

ROOT = Path(__file__).resolve().parents[3]
IMAGES = [np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8) for seed in range(11)]
MEANS = np.stack([image.mean(axis=(0, 1)) for image in IMAGES])


def port(name: str, shape: list, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def save(file: Path, nodes: list, ports: tuple, weights: dict[str, NDArray] | None = None) -> Path:
    inputs, outputs = ports
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(nodes, "network", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
    return file


def color_network(file: Path, batch: int | str, shape: tuple[int, ...] = (1, 3), allowzero: int = 0) -> Path:
    """The mean colour by an average pool and a Reshape to `shape`, then the double of it."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"], name="pool"),
        helper.make_node("Reshape", ["pooled", "shape"], ["flat"], name="flatten", allowzero=allowzero),
        helper.make_node("Add", ["flat", "flat"], ["double"], name="twice"),
    ]
    ports = ([port("image", [batch, 3, 8, 8])], [port("double", [batch, 3])])
    return save(file, nodes, ports, {"shape": np.array(shape)})


def record(file: Path, **changes) -> Model:
    files = (ModelFile(file.name),)
    model = Model("tiny", "embedding", files, license="MIT", source="", input=ImageInput(8, 8), n_features=3)
    return replace(model, **changes)


def opened(file: Path, provider: str = "cpu", n_threads: int = 2, **changes) -> Network:
    return open_network(record(file, **changes), folder=file.parent, provider=provider, n_threads=n_threads)


@pytest.mark.parametrize("provider", ["cpu", "openvino"])
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize(("batch", "shape"), [(1, (1, 3)), (1, (1, -1)), ("n", (0, 3)), (4, (4, 3)), (4, (-1, 3))])
def test_any_number_of_images_whatever_the_batch(tmp_path, provider, n_threads, batch, shape) -> None:
    network = opened(color_network(tmp_path / "a.onnx", batch, shape), provider, n_threads)
    assert network.provider == provider
    for n_images in (0, 1, 4, 11):
        vectors = network.embed(IMAGES[:n_images])
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, 2 * MEANS[:n_images], rtol=1e-5)


@pytest.mark.parametrize("allowzero", [0, 1])
def test_a_fixed_batch_is_freed(tmp_path, allowzero) -> None:
    network = opened(color_network(tmp_path / "a.onnx", 1, (1, -1), allowzero))
    assert network.inputs["image"].shape == (None, 3, 8, 8)
    np.testing.assert_allclose(network.embed(IMAGES), 2 * MEANS, rtol=1e-5)


def test_a_batch_that_mixes_rows_is_not_freed(tmp_path) -> None:
    """A mean over the batch is that of the row itself only while the batch is one."""
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=1),
        helper.make_node("Add", ["image", "mean"], ["sum"]),
        helper.make_node("GlobalAveragePool", ["sum"], ["pooled"]),
    ]
    ports = ([port("image", [1, 3, 8, 8])], [port("pooled", [1, 3, 1, 1])])
    network = opened(save(tmp_path / "a.onnx", nodes, ports, {"axes": np.array([0])}))
    assert network.inputs["image"].shape == (1, 3, 8, 8)
    np.testing.assert_allclose(network.embed(IMAGES), 2 * MEANS, rtol=1e-5)


@pytest.mark.parametrize("provider", ["cpu", "openvino"])
@pytest.mark.parametrize("batch", [1, "n"])
@pytest.mark.parametrize("output", ["pooled", "pool", "flat"])
def test_an_inner_node_is_an_output(tmp_path, provider, batch, output) -> None:
    network = opened(color_network(tmp_path / "a.onnx", batch, (batch == 1, 3)), provider, output=output)
    assert list(network.outputs) == [output]
    np.testing.assert_allclose(network.embed(IMAGES), MEANS, rtol=1e-5)


@pytest.mark.parametrize("provider", ["cpu", "openvino"])
def test_an_unknown_output_is_refused_with_near_names(tmp_path, provider) -> None:
    with pytest.raises(ModelError, match=r"inner node 'poold'. Near: .*'pooled'"):
        opened(color_network(tmp_path / "a.onnx", 1), provider, output="poold")


def test_bytes_in_rows_of_pixels(tmp_path) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
    ]
    ports = ([port("image", ["n", "h", "w", 3], TensorProto.UINT8)], [port("mean", ["n", 3])])
    file = save(tmp_path / "a.onnx", nodes, ports, {"axes": np.array([1, 2])})
    spec = ImageInput(8, 8, layout="NHWC", dtype="uint8")
    np.testing.assert_allclose(opened(file, input=spec).embed(IMAGES), MEANS, rtol=1e-5)
    with pytest.raises(ModelError, match=r"uint8 .any, any, any, 3.; the record of 'tiny' says float32"):
        opened(file, input=replace(spec, dtype="float32"))
    with pytest.raises(ModelError, match="say a height and a width"):
        opened(file, input=replace(spec, height=None))


@pytest.mark.parametrize("batch", [1, -1])
def test_openvino_files(tmp_path, batch) -> None:
    import openvino as ov
    from openvino import opset13 as ops

    image = ops.parameter([batch, 3, 8, 8], np.float32, name="image")
    mean = ops.reduce_mean(image, np.array([2, 3]), keep_dims=True)
    mean.set_friendly_name("inner")
    ov.save_model(ov.Model([ops.multiply(mean, np.float32(2))], [image]), tmp_path / "a.xml", compress_to_fp16=False)
    files = (ModelFile("a.xml"), ModelFile("a.bin"))
    for output, factor in ((None, 2), ("inner", 1)):
        network = opened(tmp_path / "a.xml", files=files, output=output)
        assert network.provider == "openvino"
        np.testing.assert_allclose(network.embed(IMAGES), factor * MEANS, rtol=1e-2)  # bfloat16 where the CPU has it
    with pytest.raises(ModelError, match="no output or inner node 'outer'"):
        opened(tmp_path / "a.xml", files=files, output="outer")


def test_several_inputs_and_outputs(tmp_path) -> None:
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["rest"])]
    ports = ([port("a", [1, 2]), port("b", [1, 2])], [port("sum", [1, 2]), port("rest", [1, 2])])
    network = opened(save(tmp_path / "a.onnx", nodes, ports), input=None, n_features=None)
    a, b = np.arange(14.0).reshape(7, 2), np.ones((7, 2))
    outputs = network({"a": a, "b": b})
    np.testing.assert_array_equal(outputs["sum"], a + b)
    np.testing.assert_array_equal(outputs["rest"], a - b)
    assert network({"a": a[:0], "b": b[:0]})["sum"].shape == (0, 2)
    with pytest.raises(ValueError, match=r"must name 'a', 'b'. Got 'a'"):
        network(a)
    with pytest.raises(ValueError, match="as many rows"):
        network({"a": a, "b": b[:3]})
    with pytest.raises(ValueError, match=r"'b' must be float32 \(any, 2\)"):
        network({"a": a, "b": np.ones((7, 3))})
    with pytest.raises(ValueError, match="Got complex128"):
        network({"a": a, "b": b * 1j})
    with pytest.raises(ModelError, match="takes no images"):
        network.embed(IMAGES)


def test_an_output_that_is_not_one_row_for_each_is_refused(tmp_path) -> None:
    nodes = [helper.make_node("Reshape", ["image", "shape"], ["flat"])]
    ports = ([port("image", [1, 3, 8, 8])], [port("flat", [3, 64])])
    network = opened(save(tmp_path / "a.onnx", nodes, ports, {"shape": np.array([3, 64])}), n_features=None)
    with pytest.raises(ModelError, match="not give one row for each"):
        network.embed(IMAGES)


def test_what_the_record_leaves_open_the_file_says(tmp_path) -> None:
    network = opened(color_network(tmp_path / "a.onnx", 1), n_features=None, input=ImageInput())
    assert (network.model.input.height, network.model.input.width, network.n_features) == (8, 8, 3)
    nodes = [helper.make_node("GlobalAveragePool", ["image"], ["mean"])]
    ports = ([port("image", ["n", 3, "h", "w"])], [port("mean", ["n", "c", 1, 1])])
    assert opened(save(tmp_path / "b.onnx", nodes, ports), n_features=None).n_features == 3
    with pytest.raises(ModelError, match="has 3 features; the record of 'tiny' says 5"):
        opened(tmp_path / "b.onnx", n_features=5).embed(IMAGES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_features": 4}, "has 3 features; the record of 'tiny' says 4"),
        (
            {"input": ImageInput(9, 8)},
            r"is float32 \(.*, 3, 8, 8\); the record of 'tiny' says float32 \(any, 3, 9, 8\)",
        ),
        ({"input": ImageInput(8, 8, layout="NHWC")}, "Correct the `input`"),
    ],
)
def test_a_file_that_is_not_what_the_record_says_is_refused(tmp_path, changes, message) -> None:
    with pytest.raises(ModelError, match=message):
        opened(color_network(tmp_path / "a.onnx", 1), **changes)


@pytest.mark.parametrize("name", ["a.onnx", "a.xml", "a.tflite"])
def test_a_broken_file_is_refused(tmp_path, name) -> None:
    (tmp_path / name).write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelError, match=f"{name} cannot be opened as a network"):
        opened(tmp_path / name)


def test_a_changed_file_is_opened_anew(tmp_path) -> None:
    file = color_network(tmp_path / "a.onnx", 1)
    np.testing.assert_allclose(Network(record(file), [file]).embed(IMAGES), 2 * MEANS, rtol=1e-5)
    file.write_bytes(b"no longer")
    with pytest.raises(ModelError, match="cannot be opened"):
        Network(record(file), [file])
    with pytest.raises(ModelError, match="no file"):
        Network(record(file), [tmp_path / "b.onnx"])


def test_providers(tmp_path, monkeypatch) -> None:
    file = color_network(tmp_path / "a.onnx", 1)
    assert {"cpu", "openvino"} <= set(providers())
    for unknown in {"abacus", "cuda"} - set(providers()):
        with pytest.raises(ValueError, match=f"'cpu', 'openvino', which this machine has. Got '{unknown}'"):
            opened(file, unknown)
    monkeypatch.setenv("VERIWILD_PROVIDER", "openvino")
    assert open_network(record(file), folder=tmp_path).provider == "openvino"
    assert opened(file, "auto").provider == providers()[0]


def test_number_of_threads(tmp_path, monkeypatch) -> None:
    file = color_network(tmp_path / "a.onnx", 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert open_network(record(file), folder=tmp_path).n_threads == 1
    with pytest.raises(ValueError, match="`n_threads` must be"):
        opened(file, n_threads=0)


@pytest.mark.parametrize("provider", ["cpu", "openvino"])
def test_threads_share_a_network(tmp_path, provider) -> None:
    network = opened(color_network(tmp_path / "a.onnx", 1), provider)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(network.embed, [IMAGES] * 20):
            np.testing.assert_allclose(vectors, 2 * MEANS, rtol=1e-5)


def test_a_network_travels_to_another_process(tmp_path) -> None:
    network = opened(color_network(tmp_path / "a.onnx", 1))
    again = pickle.loads(pickle.dumps(network))  # noqa: S301
    assert (again.model, again.provider, again.n_threads) == (network.model, "cpu", 2)
    np.testing.assert_array_equal(again.embed(IMAGES), network.embed(IMAGES))


def test_a_wrong_image_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match="dtype float64"):
        opened(color_network(tmp_path / "a.onnx", 1)).embed([np.zeros((8, 8, 3))])


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch) -> None:
    file = color_network(tmp_path / "a.onnx", 1)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"package onnx, which is not installed.*veriwild-clustering\[models\]"):
        opened(file)


def test_importing_loads_no_runtime() -> None:
    code = (
        "import sys, veriwild_clustering.images.models.networks; "
        "print({'onnx', 'onnxruntime', 'openvino', 'cv2'} & {*sys.modules})"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_a_file_that_is_no_network_is_refused_unopened(tmp_path) -> None:
    (tmp_path / "words.txt.gz").write_bytes(b"words")
    with pytest.raises(ModelError, match=r"words\.txt\.gz is no network that can be opened"):
        opened(tmp_path / "words.txt.gz")


def test_a_forked_process_runs_the_network(tmp_path) -> None:
    """In a process of its own: a fork of one with many threads may hang for other reasons."""
    color_network(tmp_path / "a.onnx", 1)
    code = f"""if True:
        import multiprocessing, numpy as np, sys
        from veriwild_clustering import ImageInput, Model, ModelFile
        from veriwild_clustering.images.models.networks import open_network
        record = Model("tiny", "embedding", (ModelFile("a.onnx"),), license="", source="", input=ImageInput(8, 8))
        network = open_network(record, folder={str(tmp_path)!r}, provider="cpu", n_threads=2)
        images = [np.full((8, 8, 3), 3, np.uint8)] * 9
        network.embed(images)
        child = multiprocessing.get_context("fork").Process(target=network.embed, args=(images,), daemon=True)
        child.start()
        child.join(20)
        sys.exit(child.exitcode != 0)
    """
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_copy_takes_the_number_of_threads_that_its_process_may_use(tmp_path, monkeypatch) -> None:
    network = open_network(record(color_network(tmp_path / "a.onnx", 1)), folder=tmp_path)
    bound = pickle.dumps(network)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert pickle.loads(bound).n_threads == 1  # noqa: S301


def test_params_change_with_all_that_changes_vectors(tmp_path) -> None:
    file = color_network(tmp_path / "a.onnx", 1)
    params = opened(file).params
    assert json.loads(json.dumps(params)) == params
    assert params["sha256"] == [hashlib.sha256(file.read_bytes()).hexdigest()]
    others = [
        opened(file, output="pooled"),
        opened(file, provider="openvino"),
        opened(file, input=ImageInput(8, 8, color="BGR")),
        opened(file, pooling="first", n_features=None),
    ]
    assert params not in [other.params for other in others]
