"""Small versions of images in a folder that does not grow beyond a limit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore, Lock

from joblib import cpu_count

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.images.reading import thumbnail

__all__ = ["SIZES", "Thumbnail", "Thumbnails"]

SIZES = (64, 96, 128, 192, 256, 384)
_MAX_BYTES = 512 * 2**20
_KEPT = 0.8  # of the limit, once it is reached
_QUALITY = 85


@dataclass(frozen=True)
class Thumbnail:
    """A small image: its bytes, and a tag that is another when the image is another."""

    data: bytes
    tag: str
    media_type: str = "image/jpeg"


class Thumbnails:
    """The thumbnails of a dataset, made when they are first asked for.

    Parameters
    ----------
    dataset : Dataset
        The images; where one cannot be read there is a grey tile with a cross.
    folder : path
        Where they are kept.
    max_bytes : int
        How much may lie there. Beyond it the oldest go.
    """

    def __init__(self, dataset: Dataset, folder: Path, *, max_bytes: int = _MAX_BYTES) -> None:
        self._dataset, self._folder, self._max_bytes = dataset, folder, max_bytes
        self._paths = dataset.images["path"]
        self._lock, self._decoding = Lock(), BoundedSemaphore(cpu_count())
        self._n_bytes: int | None = None  # that lie in the folder; counted when the first is written

    def get(self, row: int, size: int) -> Thumbnail:
        """Return the thumbnail of a row, its longer side `size` pixels."""
        tag = self.tag(row, size)
        file = self._folder / f"{size}" / f"{row // 1000:04d}" / f"{row}-{tag}.jpg"
        try:
            return Thumbnail(file.read_bytes(), tag)
        except OSError:
            data = self._encoded(row, size)
        self._keep(file, data)
        return Thumbnail(data, tag)

    def tag(self, row: int, size: int) -> str:
        """Return the tag of a thumbnail without making it."""
        path, store = str(self._paths.iat[row]), self._dataset.image_store
        stamp = store.stamp(path) if store is not None else None
        return hashlib.sha256(repr((path, stamp, size)).encode()).hexdigest()[:16]

    def _encoded(self, row: int, size: int) -> bytes:
        from io import BytesIO

        encoded = BytesIO()
        with self._decoding:
            thumbnail(self._dataset, row, size=size).save(encoded, "JPEG", quality=_QUALITY)
        return encoded.getvalue()

    def _keep(self, file: Path, data: bytes) -> None:
        try:
            with write_atomically(file, durable=False) as temporary:
                temporary.write_bytes(data)
        except DatasetError:  # a disk that is full, or read-only, makes the page slower and breaks nothing
            return
        with self._lock:
            self._n_bytes = self._counted() if self._n_bytes is None else self._n_bytes + len(data)
            if self._n_bytes > self._max_bytes:
                self._n_bytes = self._shrunk()

    def _counted(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _shrunk(self) -> int:
        files = sorted(self._files())
        left = sum(size for _, size, _ in files)
        for _, size, file in files:
            if left <= _KEPT * self._max_bytes:
                break
            file.unlink(missing_ok=True)
            left -= size
        return left

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return time, size and path of what lies in the folder."""
        found = []
        for file in self._folder.glob("*/*/*.jpg"):
            try:
                status = file.stat()
            except OSError:  # gone meanwhile
                continue
            found.append((status.st_mtime, status.st_size, file))
        return found
