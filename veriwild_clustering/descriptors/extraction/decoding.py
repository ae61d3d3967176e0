"""Images decoded ahead of what is done with them: by threads, in order, in memory that stays small."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.images.inspection import Row, inspect_image
from veriwild_clustering.images.reading import upright

__all__ = ["MAX_PIXELS", "Decoded", "decoded_groups"]

MAX_PIXELS = 4_000_000  # of an image; a larger one comes at a half, a third … of its size
_RUN = 8  # images that a thread decodes at a time: to hand over each of them alone would cost as much as a small one
_AHEAD = 16  # runs that may lie decoded
_AHEAD_BYTES = 2**28
_GROUP_BYTES = 2**26


class Decoded(NamedTuple):
    """An image, and what the image table says of it."""

    row: Row
    pixels: NDArray[np.uint8] | None  # RGB; None where it cannot be decoded

    @property
    def n_bytes(self) -> int:
        """Size of the pixels."""
        return 0 if self.pixels is None else self.pixels.nbytes

    @property
    def scale(self) -> float:
        """Pixels of the image as it is seen per pixel of `pixels`."""
        return 1.0 if self.pixels is None else (self.row[0] or 1) / self.pixels.shape[1]


def decoded_groups(
    store: ImageStore, paths: Sequence[str], *, start: int, batch_size: int, n_threads: int
) -> Generator[tuple[slice, list[Decoded]], None, None]:
    """Yield the images from row `start` on, decoded, in groups of successive rows.

    A group is a batch, or a part of one where the images are large: which rows are in a group depends on the images and
    on `batch_size` alone, as long as `start` is a multiple of it.
    """
    runs = [
        slice(first, min(first + _RUN, batch + batch_size, len(paths)))
        for batch in range(start, len(paths), batch_size)
        for first in range(batch, min(batch + batch_size, len(paths)), _RUN)
    ]
    group: list[Decoded] = []
    for run, images in zip(runs, _decoded_runs(store, (paths[run] for run in runs), n_threads), strict=True):
        group += images
        at_end = run.stop % batch_size == 0 or run.stop == len(paths)
        if at_end or sum(image.n_bytes for image in group) >= _GROUP_BYTES:
            yield slice(run.stop - len(group), run.stop), group
            group = []


def _decoded_runs(store: ImageStore, runs: Iterable[Sequence[str]], n_threads: int) -> Iterator[list[Decoded]]:
    """Yield the images of each run, in order, as many runs ahead as fit into memory if all are like the last."""
    pending: deque[Future[list[Decoded]]] = deque()
    ahead = n_threads + 1
    with ThreadPoolExecutor(n_threads, thread_name_prefix="decode") as pool:
        try:
            for run in runs:
                pending.append(pool.submit(_decode, store, run))
                while len(pending) >= ahead:
                    images = pending.popleft().result()
                    n_bytes = sum(image.n_bytes for image in images)
                    ahead = n_threads + 1 + min(_AHEAD, _AHEAD_BYTES // max(1, n_bytes))
                    yield images
            while pending:
                yield pending.popleft().result()
        finally:
            for left in pending:
                left.cancel()


def _decode(store: ImageStore, paths: Sequence[str]) -> list[Decoded]:
    found = (inspect_image(store, path, decode=partial(upright, max_pixels=MAX_PIXELS)) for path in paths)
    return [Decoded(row, None if image is None else np.asarray(image)) for row, image in found]
