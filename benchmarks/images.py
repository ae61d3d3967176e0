"""Images measured per second by two processes, what each measure costs, and near-duplicates beside all pairs by FAISS.

The images are 250 x 300 JPEGs drawn at random, a few thousand of them at most, read again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench

__all__ = ["SIZES", "run"]

SIZES = {"tiny": 100, "small": 1_000, "medium": 4_000, "full": 416_314}
_FILES = 2_000
_PROCESSES = 2
_APART = 4


def run(bench: Bench) -> None:
    """Print the speed of the whole pass, of its parts in one process, and the search for near-duplicates."""
    folder = bench.folder / "images"
    n_files = min(bench.n_images, _FILES)
    bench.measure(_draw, folder, n_files)
    paths = [f"{row % n_files}.jpg" for row in range(bench.n_images)]
    inspected = bench.measure(_inspect, folder, paths, prepare=_start_workers)
    measured = bench.measure(_measure, folder, paths, prepare=_start_workers)
    speed = {"images_per_second": bench.n_images / measured.seconds, "processes": _PROCESSES}
    bench.compare("measure_images beside inspect_images", measured, inspected, **speed)
    parts = bench.measure(_parts, folder, paths[:200], prepare=_imports).value
    for name, seconds in parts.items():
        bench.figure(name, ours=1000 * seconds / len(paths[:200]), unit="ms an image", n_images=len(paths[:200]))
    with bench.independent():
        _compare_duplicates(bench)


def _compare_duplicates(bench: Bench) -> None:
    n_hashes = bench.pick(tiny=1_000, small=20_000, medium=100_000, full=416_314)
    rng = np.random.default_rng(0)
    codes = rng.integers(2**64, size=n_hashes, dtype=np.uint64)
    near = rng.random(n_hashes) < 0.1  # a tenth repeat others, with up to two bits changed
    flips = np.uint64(1) << rng.integers(64, size=(2, n_hashes), dtype=np.uint64)
    codes[near] = codes[rng.integers(n_hashes, size=near.sum())] ^ flips[0, near] ^ flips[1, near]
    ours = bench.measure(_near_duplicates, codes, prepare=_imports)
    theirs = bench.measure(_all_pairs, codes, prepare=_imports)
    bench.compare("near_duplicates beside all pairs", ours, theirs, n_images=n_hashes, equal=ours.value == theirs.value)


def _imports() -> None:
    import cv2  # noqa: F401
    import faiss  # noqa: F401
    import imagehash  # noqa: F401
    import joblib  # noqa: F401

    import veriwild_clustering.images.measurement  # noqa: F401


def _start_workers() -> None:
    from joblib import Parallel, delayed

    _imports()
    Parallel(n_jobs=_PROCESSES)(delayed(_imports)() for _ in range(2 * _PROCESSES))


def _stop_workers() -> None:
    """Let the workers go at once; the process that is measured would wait minutes for them to fall idle."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown()


def _draw(folder: Path, n_files: int) -> None:
    from PIL import Image

    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for row in range(n_files):
        coarse = Image.fromarray(rng.integers(0, 256, (10, 8, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((250, 300), Image.Resampling.BICUBIC))
        noisy = np.clip(smooth + rng.normal(scale=6, size=smooth.shape), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(folder / f"{row}.jpg", quality=90)


def _inspect(folder: Path, paths: Sequence[str]) -> None:
    from veriwild_clustering import ImageStore, inspect_images

    inspect_images(ImageStore(folder), paths, n_jobs=_PROCESSES)
    _stop_workers()


def _measure(folder: Path, paths: Sequence[str]) -> None:
    from veriwild_clustering import ImageStore, measure_images

    measure_images(ImageStore(folder), paths, n_jobs=_PROCESSES)
    _stop_workers()


def _parts(folder: Path, paths: Sequence[str]) -> dict[str, float]:
    """Return the seconds of each part on one core."""
    import imagehash
    from PIL import Image
    from threadpoolctl import threadpool_limits

    from veriwild_clustering.images.appearance.attributes import appearance
    from veriwild_clustering.images.chunks import one_opencv_thread
    from veriwild_clustering.images.quality.measures import quality_measures

    with one_opencv_thread, threadpool_limits(1):
        quality_measures([np.zeros((32, 32, 3), dtype=np.uint8)])  # loads its model
        decoding, images = _timed(lambda: [Image.open(folder / path).convert("RGB") for path in paths])
        pixels = [np.asarray(image) for image in images]
        return {
            "decoding": decoding,
            "quality": _timed(lambda: quality_measures(pixels))[0],
            "appearance": _timed(lambda: appearance(pixels))[0],
            "perceptual hash": _timed(lambda: [imagehash.phash(image) for image in images])[0],
        }


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    started = perf_counter()
    value = function()
    return perf_counter() - started, value


def _near_duplicates(codes: NDArray[np.uint64]) -> list[int]:
    from veriwild_clustering import near_duplicates

    rows: list[int] = near_duplicates([f"{code:016x}" for code in codes.tolist()], max_distance=_APART)["row"].tolist()
    return rows


def _all_pairs(codes: NDArray[np.uint64]) -> list[int]:
    """Return the rows with an earlier look-alike."""
    import faiss

    index = faiss.IndexBinaryFlat(64)
    index.add(codes.view(np.uint8).reshape(-1, 8))
    limits, _, others = index.range_search(codes.view(np.uint8).reshape(-1, 8), _APART + 1)
    rows = np.repeat(np.arange(len(codes)), np.diff(limits).astype(np.int64))
    return np.unique(rows[others < rows]).tolist()
