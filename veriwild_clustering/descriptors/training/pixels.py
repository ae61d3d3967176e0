"""Images decoded once, for all epochs: small, uint8, in memory or, where they are many, in a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.lib.format import write_array_header_1_0
from numpy.typing import NDArray

from veriwild_clustering.core.progress import track
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.images.models.inputs import image_batch
from veriwild_clustering.images.models.record import ImageInput
from veriwild_clustering.images.reading import BadImageError, open_header, upright

__all__ = ["TrainingImages", "decode", "fingerprint_of", "input_of"]

CHUNK = 128


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """The pixels of all images, and which of them are any.

    Parameters
    ----------
    pixels : array of shape (n_images, size, size, 3), uint8
        RGB, black where unreadable; a memory map where a folder was given.
    readable : array of shape (n_images,), bool
        Which images could be read.
    """

    pixels: NDArray[np.uint8]
    readable: NDArray[np.bool_]


def input_of(size: int) -> ImageInput:
    """Return how an image becomes what the network takes: the very pixels that it was trained on."""
    return ImageInput(size, size, resize_with="pillow", layout="NHWC", dtype="uint8")


def fingerprint_of(store: ImageStore, paths: Sequence[str], size: int) -> str:
    """Return what changes with the names, sizes and times of the files, and with the size."""
    facts = [size, [(path, store.stamp(path)) for path in paths]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def decode(
    store: ImageStore,
    paths: Sequence[str],
    size: int,
    *,
    file: Path | None = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> TrainingImages:
    """Decode, turn upright and scale each image to `size` x `size` pixels, whatever its aspect; skip the broken ones.

    With a file, the pixels lie there, 3 `size`² bytes per image, and are taken from there if they are whole.
    """
    shape = (len(paths), size, size, 3)
    if file is not None and (kept := _kept(file, shape)) is not None:
        return kept
    chunks = _decoded(store, paths, size, n_jobs=n_jobs, progress=progress)
    readable = np.zeros(len(paths), dtype=bool)
    if file is None:
        pixels = np.empty(shape, dtype=np.uint8)
        for rows, block, good in chunks:
            pixels[rows], readable[rows] = block, good
        return TrainingImages(pixels, readable)
    with write_atomically(file) as temporary, temporary.open("wb") as stream:
        write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for rows, block, good in chunks:
            stream.write(block.tobytes())  # a memory map would end the process where the disk is full
            readable[rows] = good
    with write_atomically(_note(file)) as temporary:
        temporary.write_text(json.dumps({"unreadable": np.flatnonzero(~readable).tolist()}), encoding="utf-8")
    return TrainingImages(np.load(file, mmap_mode="r"), readable)


def _kept(file: Path, shape: tuple[int, ...]) -> TrainingImages | None:
    """Return what an earlier call has left in a file, None where that is nothing or is damaged."""
    try:
        readable = np.ones(shape[0], dtype=bool)
        readable[json.loads(_note(file).read_text(encoding="utf-8"))["unreadable"]] = False
        pixels = np.load(file, mmap_mode="r")
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    return TrainingImages(pixels, readable) if (pixels.shape, pixels.dtype) == (shape, np.uint8) else None


def _note(file: Path) -> Path:
    return file.with_suffix(".json")


def _decoded(
    store: ImageStore, paths: Sequence[str], size: int, *, n_jobs: int | None, progress: bool | None
) -> Iterator[tuple[slice, NDArray[np.uint8], NDArray[np.bool_]]]:
    """Yield, chunk by chunk, the rows, their pixels and which of them could be read."""
    from joblib import Parallel, delayed, effective_n_jobs

    if n_jobs is None and effective_n_jobs() == 1:  # nobody has asked joblib for more or for another backend
        n_jobs = -1
    chunks = [slice(start, start + CHUNK) for start in range(0, len(paths), CHUNK)]
    if len(chunks) <= 4:
        n_jobs = 1  # starting processes costs more than a few chunks
    absolute = replace(store, location=store.location.absolute())  # workers may stand in another folder
    work = (delayed(_decode_chunk)(absolute, list(paths[rows]), size) for rows in chunks)
    done = Parallel(n_jobs=n_jobs, return_as="generator")(work)
    bar = track(done, description="Images", total=len(chunks), unit=" images", per_step=CHUNK, show=progress)
    for rows, (pixels, good) in zip(chunks, bar, strict=True):
        yield rows, pixels, good


def _decode_chunk(store: ImageStore, paths: list[str], size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    pixels = np.zeros((len(paths), size, size, 3), dtype=np.uint8)
    good = np.zeros(len(paths), dtype=bool)
    for place, path in enumerate(paths):
        try:
            with open_header(store, path) as image:
                pixels[place] = image_batch([np.asarray(upright(image))], input_of(size))[0]
                good[place] = True
        except BadImageError:
            continue
    return pixels, good
