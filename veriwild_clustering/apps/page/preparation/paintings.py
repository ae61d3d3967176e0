"""The images of a dataset as they are painted on: a few are open at a time, and nobody paints into another's stroke."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import BoundedSemaphore, Lock
from zlib import crc32

from joblib import cpu_count

from veriwild_clustering.apps.page.preparation.once import Once
from veriwild_clustering.apps.page.preparation.running import Running
from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.images.painting.canvas import Canvas
from veriwild_clustering.images.painting.folder import PaintingFolder
from veriwild_clustering.images.reading import image_store_of

__all__ = ["MAX_PIXELS", "Paintings"]

MAX_PIXELS = 12_000_000
_N_OPEN = 4
_N_LOCKS = 64


class Paintings:
    """The paintings of a dataset, in the form of a `PaintingSession` over the same folder.

    Parameters
    ----------
    dataset : Dataset
        The images.
    folder : path
        Where paintings and masks are kept.
    """

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self._dataset, self._output = dataset, folder
        self._open: Once[Canvas] = Once(n_kept=_N_OPEN)
        self.running = Running(most=max(2, cpu_count()))
        self._locks, self._opening = [Lock() for _ in range(_N_LOCKS)], BoundedSemaphore(cpu_count())

    @cached_property
    def paths(self) -> list[str]:
        """The path of each row, "" where there is none."""
        return self._dataset.images["path"].fillna("").astype(str).tolist()

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each path."""
        return {path: row for row, path in enumerate(self.paths)}

    @cached_property
    def folder(self) -> PaintingFolder:
        """Where they are kept; DatasetError if the dataset does not know its images."""
        return PaintingFolder(image_store_of(self._dataset), self.paths, self._output)

    @contextmanager
    def held(self, row: int) -> Iterator[Canvas]:
        """Give the canvas of a row to one thread at a time; it is no more than the others that was let go of.

        Raises
        ------
        DatasetError
            If the image cannot be read, or is too large.
        """
        path = self.paths[row]
        with self._locks[crc32(path.encode("utf-8", "surrogatepass")) % _N_LOCKS]:
            canvas = self._open.get(path, lambda: self._opened(path))
            canvas.refresh()
            yield canvas

    def _opened(self, path: str) -> Canvas:
        with self._opening:
            return self.folder.open(path, max_pixels=MAX_PIXELS)
