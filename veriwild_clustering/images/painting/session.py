"""A session of painting over many images, without any window: strokes, undo, what is kept and what is saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.validation import DatasetError, check_int
from veriwild_clustering.images.listing import find_images
from veriwild_clustering.images.painting.canvas import Canvas
from veriwild_clustering.images.painting.coco import write_coco
from veriwild_clustering.images.painting.folder import PaintingFolder
from veriwild_clustering.images.painting.kept import Method
from veriwild_clustering.images.painting.states import Color, Painting
from veriwild_clustering.images.painting.templates import Template
from veriwild_clustering.images.reading import image_store_of
from veriwild_clustering.images.segmentation.prompts import Stroke

if TYPE_CHECKING:
    from veriwild_clustering.images.segmentation.sam.predictor import SegmentAnything

__all__ = ["PaintingSession"]

Points = Sequence[tuple[float, float]]


class PaintingSession:
    """Paint the segments of many images and save masks.

    Parameters
    ----------
    source : path or Dataset
        A folder, zip or CSV for `find_images`, or a dataset that knows its images.
    output : path
        Where masks go, in the folders of the source.
    method : str, default "slic"
        How images are segmented, see `segment`.
    random_state : int, default 0
        Seed of the method.
    params : mapping, optional
        Parameters of the method.
    ahead : bool, default True
        Whether the next image is read and segmented in a thread while one paints.

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
    back to what was when the image was opened. A stroke that changes nothing counts for nothing. `save` writes the
    masks. The page of `veriwild app` keeps its paintings in the same form.

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
        source: str | Path | Dataset,
        output: str | Path,
        *,
        method: str = "slic",
        random_state: int = 0,
        params: Mapping[str, Any] | None = None,
        ahead: bool = True,
    ) -> None:
        self.output = Path(output)
        store, self.paths = self._images_of(source)
        if not self.paths:
            raise DatasetError(f"{source} holds no image but those in {self.output}.")
        self._folder = PaintingFolder(store, self.paths, self.output)
        self._method = Method(method, random_state, dict(params or {}))
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="segments ahead") if ahead else None
        self._ahead: tuple[int, Future[Canvas]] | None = None
        self._open(0)

    def fill(self, points: Points, color: Color) -> None:
        """Paint every segment that a stroke touches; one point is a click."""
        self._canvas.fill(points, color)

    def unfill(self, points: Points) -> None:
        """Remove the paint of every segment that a stroke touches."""
        self._canvas.unfill(points)

    def cut(self, points: Points) -> None:
        """Cut segments along a line."""
        self._canvas.cut(points)

    def stamp(self, template: Template, *, threshold: float | None = None, overlapping: bool = True) -> None:
        """Paint a template where it is found, see `Painting.stamp`."""
        self._canvas.stamp(template, threshold=threshold, overlapping=overlapping)

    def template(self, point: tuple[float, float]) -> Template:
        """Return what is painted at a point as a template, for this image or the next ones."""
        return self.painting.template(self.image, point)

    def cut_out(
        self,
        color: Color,
        *,
        boxes: Sequence[Sequence[float]] = (),
        strokes: Sequence[Stroke] = (),
        network: SegmentAnything | None = None,
    ) -> None:
        """Paint what boxes and strokes point at as one segment: by GrabCut, or by a network that sees an image once.

        Raises
        ------
        ValueError
            If nothing says where it is, or nothing is found.
        """
        self._canvas.cut_out(color, boxes=boxes, strokes=strokes, network=network)

    def divide(self, method: str, *, random_state: int = 0, **params: Any) -> None:
        """Divide this image anew by another method, see `segment`; the paint stays."""
        self._canvas.divide(Method(method, random_state, params))

    def reset(self) -> None:
        """Begin anew with the segments of its method and no paint; `undo` takes it back."""
        self._canvas.reset()

    def undo(self) -> bool:
        """Go back by one stroke; False where there is none."""
        return self._canvas.undo()

    def redo(self) -> bool:
        """Do again what was undone; False where there is nothing."""
        return self._canvas.redo()

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
        return self._folder.save(self.paths[self.position], self.painting, colons=colons)

    def save_coco(self, path: str | Path, *, names: Mapping[Color, str] | None = None, form: str = "rle") -> None:
        """Write what is painted on all images as COCO's JSON, with run lengths ("rle") or "polygons"."""
        write_coco(Path(path), self._painted(), names=names, form=form)

    @property
    def painting(self) -> Painting:
        """Segments and paint of this image."""
        return self._canvas.painting

    @property
    def image(self) -> NDArray[np.uint8]:
        """Its pixels."""
        return self._canvas.image

    def _painted(self) -> Iterator[tuple[str, Painting]]:
        for position, path in enumerate(self.paths):
            painting = self.painting if position == self.position else self._folder.read(path)
            if painting is not None:
                yield path, painting

    def _turn(self, position: int) -> bool:
        if not 0 <= position < len(self.paths):
            return False
        self._open(position)
        return True

    def _open(self, position: int) -> None:
        """Open an image, from what was made ahead if it was this one, and let the next one be made."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == position:
            canvas = ahead[1].result()
            canvas.refresh()
        else:
            canvas = self._opened(position)
        self.position, self._canvas = position, canvas
        following = position + 1
        if self._threads is not None and following < len(self.paths):
            self._ahead = following, self._threads.submit(self._opened, following)

    def _opened(self, position: int) -> Canvas:
        return self._folder.open(self.paths[position], method=self._method)

    def _images_of(self, source: str | Path | Dataset) -> tuple[ImageStore, list[str]]:
        """Return where the images are, and the paths of all but those among the masks."""
        if isinstance(source, Dataset):
            return image_store_of(source), source.images["path"].dropna().astype(str).tolist()
        store, found = find_images(source)
        try:
            inside = self.output.resolve().relative_to(Path(source).resolve()).as_posix()
        except ValueError:  # the masks lie elsewhere
            return store, found
        return store, [path for path in found if not path.startswith(f"{inside}/")]
