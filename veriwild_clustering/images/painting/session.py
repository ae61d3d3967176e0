"""A session of painting over a folder of images, without any window: strokes, undo, what is kept and what is saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.validation import DatasetError, check_int
from veriwild_clustering.images.inspection import inspect_image
from veriwild_clustering.images.listing import find_images
from veriwild_clustering.images.painting.coco import write_coco
from veriwild_clustering.images.painting.masks import has_masks, read_masks, read_state, write_masks, write_state
from veriwild_clustering.images.painting.states import Color, Painting
from veriwild_clustering.images.painting.templates import Template
from veriwild_clustering.images.reading import upright
from veriwild_clustering.images.segmentation.segmenting import segment

__all__ = ["PaintingSession"]

_KEPT = ".painting"

Points = Sequence[tuple[float, float]]


class PaintingSession:
    """Paint the segments of a folder of images and save masks.

    Parameters
    ----------
    source : path
        A folder, zip or CSV for `find_images`.
    output : path
        Where masks go, in the folders of the source.
    method : str, default "slic"
        How images are segmented, see `segment`.
    random_state : int, default 0
        Seed of the method.
    params : mapping, optional
        Parameters of the method.

    Attributes
    ----------
    paths : list of str
        The images.
    position : int
        Which of them is painted on.
    image : array of shape (height, width, 3), uint8
        Its pixels.
    painting : Painting
        Its segments and paint.

    Raises
    ------
    DatasetError
        If there are no images, or one cannot be read when it is opened.

    Notes
    -----
    Every stroke is kept at once, in a hidden folder of `output`, so that nothing is lost with the process; `undo` goes
    back to what was when the image was opened. `save` writes the masks.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from veriwild_clustering import PaintingSession
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (40, 30), "teal").save(folder / "a.png")
    >>> session = PaintingSession(folder, folder / "masks", method="graph")
    >>> session.fill([(5, 5)], (204, 0, 0))
    >>> [file.name for file in session.save()]
    ['a_mask_(R_204,G_0,B_0).png']
    """

    def __init__(
        self,
        source: str | Path,
        output: str | Path,
        *,
        method: str = "slic",
        random_state: int = 0,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.output = Path(output)
        self._store, found = find_images(source)
        inside = self._inside(Path(source))
        self.paths = [path for path in found if inside is None or not path.startswith(f"{inside}/")]
        if not self.paths:
            raise DatasetError(f"{source} holds no image but those in {self.output}.")
        self._method, self._random_state, self._params = method, random_state, dict(params or {})
        stems = Counter(str(PurePosixPath(path).with_suffix("")) for path in self.paths)
        self._names = {path: self._name(path, stems) for path in self.paths}
        self.position = 0
        self._open(0)

    def fill(self, points: Points, color: Color) -> None:
        """Paint every segment that a stroke touches; one point is a click."""
        self._do(lambda painting: painting.fill(points, color))

    def unfill(self, points: Points) -> None:
        """Remove the paint of every segment that a stroke touches."""
        self._do(lambda painting: painting.unfill(points))

    def cut(self, points: Points) -> None:
        """Cut segments along a line."""
        self._do(lambda painting: painting.cut(points))

    def stamp(self, template: Template, *, threshold: float | None = None) -> None:
        """Paint a template where it is found, see `Painting.stamp`."""
        self._do(lambda painting: painting.stamp(self.image, template, threshold=threshold))

    def reset(self) -> None:
        """Begin anew with the segments of the method; `undo` takes it back."""
        self._do(lambda _: self._segmented())

    def undo(self) -> bool:
        """Go back by one stroke; False where there is none."""
        return self._go(self.position_in_history - 1)

    def redo(self) -> bool:
        """Do again what was undone; False where there is nothing."""
        return self._go(self.position_in_history + 1)

    def next(self) -> bool:
        """Open the next image; False at the last."""
        return self._turn(self.position + 1)

    def previous(self) -> bool:
        """Open the previous image; False at the first."""
        return self._turn(self.position - 1)

    def open(self, position: int) -> None:
        """Open an image by its number."""
        self._open(check_int("position", position, low=0, high=len(self.paths), high_name="n_images"))

    def save(self, *, colons: bool = False) -> list[Path]:
        """Write the masks of this image, one for each colour, and return their files."""
        folder, stem = self._place()
        return write_masks(folder, stem, self.painting, colons=colons)

    def save_coco(self, path: str | Path, *, names: Mapping[Color, str] | None = None, form: str = "rle") -> None:
        """Write what is painted on all images as COCO's JSON, with run lengths ("rle") or "polygons"."""
        kept = {name: self._kept_of(name) for name in self.paths}
        write_coco(Path(path), {name: one for name, one in kept.items() if one is not None}, names=names, form=form)

    @property
    def painting(self) -> Painting:
        """Segments and paint of this image."""
        return self._history[self.position_in_history]

    def _do(self, action: Callable[[Painting], Painting]) -> None:
        after = action(self.painting)
        self._history[self.position_in_history + 1 :] = [after]
        self._go(len(self._history) - 1)

    def _go(self, place: int) -> bool:
        if not 0 <= place < len(self._history):
            return False
        self.position_in_history = place
        write_state(self._state_file(self.paths[self.position]), self.painting)
        return True

    def _turn(self, position: int) -> bool:
        if not 0 <= position < len(self.paths):
            return False
        self._open(position)
        return True

    def _open(self, position: int) -> None:
        """Open an image with what was kept of it, else with its masks."""
        image, painting = self._read(self.paths[position])
        self.position, self.image, self._history, self.position_in_history = position, image, [painting], 0

    def _read(self, path: str) -> tuple[NDArray[np.uint8], Painting]:
        row, pixels = inspect_image(self._store, path, decode=upright)
        if pixels is None:
            raise DatasetError(f"The image {path!r} cannot be read: {row[2]}: {row[3]}.")
        image = np.asarray(pixels)
        kept = read_state(self._state_file(path), (image.shape[0], image.shape[1]))
        if kept is not None:
            return image, kept
        folder, stem = self._place(path)
        return image, read_masks(folder, stem, self._segments(image))

    def _segments(self, image: NDArray[np.uint8]) -> NDArray[np.int32]:
        return segment(image, self._method, random_state=self._random_state, **self._params)

    def _segmented(self) -> Painting:
        return Painting.of(self._segments(self.image))

    def _kept_of(self, path: str) -> Painting | None:
        if path == self.paths[self.position]:
            return self.painting
        folder, stem = self._place(path)
        if not self._state_file(path).exists() and not has_masks(folder, stem):
            return None
        return self._read(path)[1]

    def _state_file(self, path: str) -> Path:
        return self.output / _KEPT / f"{path}.npz"

    def _place(self, path: str | None = None) -> tuple[Path, str]:
        """Return the folder of an image's masks, and how their names begin."""
        name = PurePosixPath(self._names[path or self.paths[self.position]])
        return self.output / name.parent, name.name

    @staticmethod
    def _name(path: str, stems: Mapping[str, int]) -> str:
        """Return the path without its suffix, unless another image differs by that alone."""
        stem = str(PurePosixPath(path).with_suffix(""))
        return stem if stems[stem] == 1 else path

    def _inside(self, source: Path) -> str | None:
        """Return where the masks lie among the images, None if they lie elsewhere."""
        try:
            return self.output.resolve().relative_to(source.resolve()).as_posix()
        except ValueError:
            return None
