"""Images decoded once, for all epochs: small, uint8, in memory or, where they are many, in a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from veriwild_clustering.core.progress import track
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.images.models.inputs import image_batch
from veriwild_clustering.images.models.record import ImageInput
from veriwild_clustering.images.reading import BadImageError, open_header, upright

__all__ = ["TrainingImages", "decode", "input_of"]

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
    fingerprint : str
        Changes with the names, sizes and times of the files, and with the size.
    """

    pixels: NDArray[np.uint8]
    readable: NDArray[np.bool_]
    fingerprint: str


def input_of(size: int) -> ImageInput:
    """Return how an image becomes what the network takes: the very pixels that it was trained on."""
    return ImageInput(size, size, resize_with="pillow", layout="NHWC", dtype="uint8")


def decode(
    store: ImageStore,
    paths: Sequence[str],
    size: int,
    *,
    folder: Path | None = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> TrainingImages:
    """Decode, turn upright and scale each image to `size` x `size` pixels, whatever its aspect; skip the broken ones.

    With a folder, the pixels lie there, 3 `size`² bytes per image, and are taken from there as long as the files are
    the same.
    """
    fingerprint = _fingerprint(store, paths, size)
    if folder is None:
        array = np.empty((len(paths), size, size, 3), dtype=np.uint8)
        readable = _fill(array, store, paths, n_jobs=n_jobs, progress=progress)
        return TrainingImages(array, readable, fingerprint)
    file, note = folder / f"images-{fingerprint}.npy", folder / f"images-{fingerprint}.json"
    if not (file.is_file() and note.is_file()):
        with write_atomically(file) as temporary:
            array = open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(len(paths), size, size, 3))
            readable = _fill(array, store, paths, n_jobs=n_jobs, progress=progress)
            array.flush()
            del array
        with write_atomically(note) as temporary:
            temporary.write_text(json.dumps({"unreadable": np.flatnonzero(~readable).tolist()}), encoding="utf-8")
    readable = np.ones(len(paths), dtype=bool)
    readable[json.loads(note.read_text(encoding="utf-8"))["unreadable"]] = False
    return TrainingImages(np.load(file, mmap_mode="r"), readable, fingerprint)


def _fill(
    array: NDArray[np.uint8], store: ImageStore, paths: Sequence[str], *, n_jobs: int | None, progress: bool | None
) -> NDArray[np.bool_]:
    """Write the images into `array`, in place, and return which could be read."""
    from joblib import Parallel, delayed, effective_n_jobs

    if n_jobs is None and effective_n_jobs() == 1:
        n_jobs = -1
    chunks = [slice(start, start + CHUNK) for start in range(0, len(paths), CHUNK)]
    if len(chunks) <= 4:
        n_jobs = 1  # starting processes costs more than a few chunks
    absolute = replace(store, location=store.location.absolute())  # workers may stand in another folder
    size = array.shape[1]
    work = (delayed(_decode_chunk)(absolute, list(paths[rows]), size) for rows in chunks)
    done = Parallel(n_jobs=n_jobs, return_as="generator")(work)
    readable = np.zeros(len(paths), dtype=bool)
    bar = track(done, description="Images", total=len(chunks), unit=" images", per_step=CHUNK, show=progress)
    for rows, (pixels, good) in zip(chunks, bar, strict=True):
        array[rows], readable[rows] = pixels, good
    return readable


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


def _fingerprint(store: ImageStore, paths: Sequence[str], size: int) -> str:
    facts = [size, [(path, store.stamp(path)) for path in paths]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
