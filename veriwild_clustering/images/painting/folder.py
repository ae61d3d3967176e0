"""Where the paintings of many images are kept: the state of each in a hidden folder, and its masks beside that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from veriwild_clustering.core.storage.image_store import ImageStore, safe_path
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.images.inspection import inspect_image
from veriwild_clustering.images.painting.canvas import Canvas
from veriwild_clustering.images.painting.kept import Method, read_kept
from veriwild_clustering.images.painting.masks import mask_files, read_masks, write_masks
from veriwild_clustering.images.painting.states import Painting
from veriwild_clustering.images.reading import MAX_PIXELS, BadImageError, upright

if TYPE_CHECKING:
    from PIL import Image, ImageFile

__all__ = ["PaintingFolder"]

_KEPT, _SUFFIX = ".painting", ".npz"


class PaintingFolder:
    """The paintings of the images of a store, by the path of each.

    Parameters
    ----------
    store : ImageStore
        Where the images are.
    paths : sequence of str
        All of them: masks are named without the suffix of an image, unless two would have the same name.
    output : path
        Where masks go, in the folders of the images. No path leads outside of it.
    """

    def __init__(self, store: ImageStore, paths: Sequence[str], output: str | Path) -> None:
        self._store, self._paths, self.output = store, paths, Path(output)

    def open(self, path: str, *, method: Method | None = None, max_pixels: int = MAX_PIXELS) -> Canvas:
        """Open an image with what was kept of it, else with its masks.

        Raises
        ------
        DatasetError
            If it cannot be read or has more than `max_pixels`, or what was kept of it is damaged.
        """

        def decoded(image: ImageFile.ImageFile) -> Image.Image:
            if image.width * image.height > max_pixels:
                at_most = f"at most {max_pixels // 10**6} megapixels can be painted here"
                raise BadImageError("too large", f"{image.width} x {image.height} pixels, {at_most}")
            return upright(image)

        file = self._state_file(path)
        row, pixels = inspect_image(self._store, path, decode=decoded)
        if pixels is None:
            raise DatasetError(f"The image {path!r} cannot be read: {row[2]}: {row[3]}.")
        folder, stem = self._place(path)
        begin = partial(read_masks, folder, stem)
        return Canvas(np.asarray(pixels), file, method=method, begin=begin)

    def save(self, path: str, painting: Painting, *, colons: bool = False) -> list[Path]:
        """Write the masks of an image, one for each colour, and return their files."""
        folder, stem = self._place(path)
        return write_masks(folder, stem, painting, colons=colons)

    def saved(self, path: str) -> list[Path]:
        """Return the masks of an image that were written."""
        return sorted(mask_files(*self._place(path)))

    def stem(self, path: str) -> str:
        """Return how the names of an image's masks begin, its folders left out."""
        return self._place(path)[1]

    def read(self, path: str) -> Painting | None:
        """Return what is kept of an image, else what its masks hold; None if there is neither."""
        kept = read_kept(self._state_file(path))
        if kept is not None:
            return kept.painting
        folder, stem = self._place(path)
        if not mask_files(folder, stem):
            return None
        row, _ = inspect_image(self._store, path, decode=lambda _: True)
        if row[0] is None or row[1] is None:
            raise DatasetError(f"The image {path!r} cannot be read: {row[2]}: {row[3]}.")
        return read_masks(folder, stem, np.ones((row[1], row[0]), dtype=np.int32))

    def is_kept(self, path: str) -> bool:
        """Tell whether a state is kept of an image."""
        return self._state_file(path).is_file()

    def kept_paths(self) -> Iterator[str]:
        """Yield the paths of images of which a state is kept, folder by folder."""
        root = self.output / _KEPT
        for file in sorted(root.rglob(f"*{_SUFFIX}")):
            if not file.name.startswith("."):  # one that is being written
                yield file.relative_to(root).as_posix().removesuffix(_SUFFIX)

    @cached_property
    def _taken(self) -> Counter[str]:
        """How many images could give each name to their masks, with their suffix or without."""
        return Counter(map(_stem, self._paths)) + Counter(self._paths)

    def _state_file(self, path: str) -> Path:
        return self.output / _KEPT / f"{safe_path(path)}{_SUFFIX}"

    def _place(self, path: str) -> tuple[Path, str]:
        """Return the folder of an image's masks, and how their names begin."""
        name = PurePosixPath(safe_path(path if self._taken[_stem(path)] > 1 else _stem(path)))
        return self.output / name.parent, name.name


def _stem(path: str) -> str:
    """Return a path without the suffix of its file."""
    head, _, suffix = path.replace("\\", "/").rpartition(".")
    return head if suffix and head and "/" not in suffix and not head.endswith("/") else path
