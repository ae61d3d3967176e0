"""Extraction beside a bare onnxruntime loop over the same images, its memory as their number grows, and a second run.

With the real sample at hand (VERIWILD_SHARED) its images go through OSNet x0.25, again and again up to the size;
without it, drawn noise through a small network. Loops and extraction take turns; the figures are those of the medians.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench, Measured, n_cores

__all__ = ["SIZES", "run"]

SIZES = {"tiny": 64, "small": 2_000, "medium": 10_000, "full": 100_000}
_SHARED = Path(os.environ.get("VERIWILD_SHARED", Path(__file__).resolve().parents[2] / "shared"))
_SAMPLE = _SHARED / "data/veriwild_sample/raw_data"
_OSNET = _SHARED / "weights/osnet-x0-25/osnet_x0_25_market1501.onnx"
_MEAN, _STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
_BATCH = 64
_SPEED_IMAGES = 2_000  # beyond it, images only show that memory stays
_TURNS = 3


def run(bench: Bench) -> None:
    """Print the speed beside the loops, and memory over all images with a descriptor that costs next to nothing."""
    images, model = _inputs(bench)
    freed = bench.folder / "freed.onnx"  # of any number of rows, as a loop over batches needs it
    bench.measure(_free, model, freed)
    found = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.jpg"))
    paths = [found[row % len(found)] for row in range(bench.n_images)]
    some = paths[:_SPEED_IMAGES]
    turns = bench.pick(tiny=1, small=_TURNS, medium=_TURNS, full=_TURNS)
    plain, parallel, ours = [], [], []
    for _ in range(turns):
        plain.append(bench.measure(_loop, images, some, freed, prepare=_imports))
        parallel.append(bench.measure(_loop, images, some, freed, side_by_side=n_cores(), prepare=_imports))
        ours.append(bench.measure(_extract, images, some, model, bench.folder / "vectors", prepare=_imports))
        error = float(np.abs(ours[-1].value - plain[-1].value).max())
    for name, baseline in (("a loop", plain), ("a loop on each core", parallel)):
        _compare(bench, name, ours, baseline, largest_difference=error, n_images=len(some))
    with bench.independent():
        _compare_memory(bench, images, paths)


def _compare(bench: Bench, name: str, ours: list[Measured], baseline: list[Measured], **extra: Any) -> None:
    pairs = [loop.seconds / own.seconds for own, loop in zip(ours, baseline, strict=True)]
    typical = sorted(ours, key=lambda one: one.seconds)[len(ours) // 2]
    loop = sorted(baseline, key=lambda one: one.seconds)[len(baseline) // 2]
    bench.compare(
        f"extract beside {name}",
        typical,
        loop,
        **extra,
        images_per_second=extra["n_images"] / typical.seconds,
        ratios=pairs,
        median_ratio=median(pairs),
    )


def _compare_memory(bench: Bench, images: Path, paths: Sequence[str]) -> None:
    """Print the memory with a tenth of the images and with all of them."""
    tenth = bench.measure(_mean_color, images, paths[: len(paths) // 10], bench.folder / "tenth", prepare=_imports)
    whole = bench.measure(_mean_color, images, paths, bench.folder / "whole", prepare=_imports)
    speed = len(paths) / whole.seconds
    bench.compare("extract the mean colour of all images beside a tenth", whole, tenth, images_per_second=speed)
    again = bench.measure(_mean_color, images, paths, bench.folder / "whole", prepare=_imports)
    bench.compare("the same once more beside the first time", again, whole)


def _inputs(bench: Bench) -> tuple[Path, Path]:
    """Return the folder of images and the network."""
    if _SAMPLE.is_dir() and _OSNET.is_file():
        return _SAMPLE, _OSNET
    bench.say("no real sample: drawn noise and a small network")
    folder, model = bench.folder / "images", bench.folder / "small.onnx"
    if not model.exists():
        bench.measure(_draw, folder, model)
    return folder, model


def _draw(folder: Path, model: Path) -> None:
    import onnx
    from PIL import Image

    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    for row in range(64):
        Image.fromarray(rng.integers(0, 256, (128, 96, 3), dtype=np.uint8)).save(folder / f"{row}.jpg")
    graph = """<ir_version: 8, opset_import: ["": 17]>
        small (float[n, 3, 256, 128] image) => (float[n, 3, 1, 1] mean) { mean = GlobalAveragePool (image) }"""
    onnx.save(onnx.parser.parse_model(graph), model)


def _free(model: Path, target: Path) -> None:
    import onnx

    from veriwild_clustering.images.models.onnx_graphs import free_batch

    network = onnx.load(model)
    if network.graph.input[0].type.tensor_type.shape.dim[0].dim_value:
        free_batch(network.graph)
    onnx.save(network, target)


def _imports() -> None:
    import cv2  # noqa: F401
    import joblib  # noqa: F401
    import onnxruntime  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    from PIL import JpegImagePlugin  # noqa: F401

    import veriwild_clustering.descriptors.extraction.extract  # noqa: F401


def _loop(images: Path, paths: Sequence[str], model: Path, *, side_by_side: int = 1) -> NDArray[np.float32]:
    """Decode, scale and run batch by batch, as one writes it in a notebook.

    onnxruntime has all cores for each batch; or several batches run side by side, each on one thread, with decoding.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 0 if side_by_side == 1 else 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def embed(start: int) -> NDArray[np.float32]:
        batch = np.stack([_read(images / path) for path in paths[start : start + _BATCH]])
        vectors: NDArray[np.float32] = session.run(None, {name: batch})[0].reshape(len(batch), -1)
        return vectors

    starts = range(0, len(paths), _BATCH)
    with ThreadPoolExecutor(side_by_side) as pool:
        return np.concatenate(list(map(embed, starts) if side_by_side == 1 else pool.map(embed, starts)))


def _read(file: Path) -> NDArray[np.float32]:
    import cv2
    from PIL import Image

    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"))
    scaled = (cv2.resize(pixels, (128, 256)).astype(np.float32) / 255 - _MEAN) / _STD
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def _extract(images: Path, paths: Sequence[str], model: Path, folder: Path) -> NDArray[np.float32]:
    """Extract into an empty folder."""
    from veriwild_clustering import ImageStore, extract
    from veriwild_clustering.images.models.catalog import user_model

    shutil.rmtree(folder, ignore_errors=True)
    record = user_model(model, size=(256, 128), scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    made = extract((ImageStore(images), list(paths)), [record], folder=folder, batch_size=_BATCH, progress=False)
    return np.array(made.descriptors[record.name].vectors)


class _MeanColor:
    name, n_features = "mean-color", 3
    params: Mapping[str, Any] = MappingProxyType({})

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return np.array([image.mean(axis=(0, 1)) for image in images], dtype=np.float32)


def _mean_color(images: Path, paths: Sequence[str], folder: Path) -> None:
    from veriwild_clustering import ImageStore, extract

    extract((ImageStore(images), list(paths)), [_MeanColor()], folder=folder, progress=False)
