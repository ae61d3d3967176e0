"""One image that is painted on: its states, the last of which is always on the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.images.painting.kept import Method, Packed, read_kept, write_kept
from veriwild_clustering.images.painting.objects import grabcut_object, sam_object
from veriwild_clustering.images.painting.states import Color, Painting
from veriwild_clustering.images.painting.templates import Template
from veriwild_clustering.images.segmentation.prompts import Stroke

if TYPE_CHECKING:
    from veriwild_clustering.images.segmentation.sam.predictor import SeenImage, SegmentAnything

__all__ = ["Canvas"]

_MOST_BYTES = 64 * 2**20  # of steps that can be undone, compressed

Points = Sequence[tuple[float, float]]


class _Step(NamedTuple):
    """A state that was, and the method of then."""

    packed: Packed
    method: Method


class Canvas:
    """An image that is painted on. Every change is kept in a file before it counts, and can be undone.

    Parameters
    ----------
    image : array of shape (height, width, 3), uint8
        RGB.
    file : path
        Where the state is kept. What is there is gone on with, if it is of an image of this size.
    method : Method, optional
        How the image is divided where nothing is kept of it.
    begin : callable, optional
        What is painted on the segments of an image of which nothing is kept; by default nothing.

    Attributes
    ----------
    painting : Painting
        Segments and paint.
    version : int
        How often they have changed, undoing counted; 0 where nothing is kept.
    method : Method
        How the image was divided last.

    Raises
    ------
    DatasetError
        If what is kept is damaged, or cannot be written.

    Notes
    -----
    A change that leaves everything as it is counts for nothing. `undo` goes back to what was when the image was opened,
    or as far as 64 MB of compressed states reach. Not for two threads at once.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from veriwild_clustering.images.painting.canvas import Canvas
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.npz"
    >>> canvas = Canvas(np.full((30, 40, 3), 90, np.uint8), file)
    >>> canvas.fill([(5, 5)], (204, 0, 0)), canvas.fill([(5, 5)], (204, 0, 0)), canvas.version
    (True, False, 1)
    >>> canvas.undo(), canvas.painting.colors, canvas.version
    (True, [], 2)
    """

    def __init__(
        self,
        image: NDArray[np.uint8],
        file: Path,
        *,
        method: Method | None = None,
        begin: Callable[[NDArray[np.int32]], Painting] = Painting.of,
    ) -> None:
        self.image, self._file, self._begin = image, file, begin
        self.method = method or Method()
        self._seen: tuple[SegmentAnything, SeenImage] | None = None
        self._load()

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to be undone."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a change that was undone."""
        return bool(self._future)

    def fill(self, points: Points, color: Color) -> bool:
        """Paint every segment that a stroke touches; this and the following return whether anything changed."""
        return self._do(lambda painting: painting.fill(points, color))

    def unfill(self, points: Points) -> bool:
        """Remove the paint of every segment that a stroke touches."""
        return self._do(lambda painting: painting.unfill(points))

    def cut(self, points: Points) -> bool:
        """Cut segments along a line."""
        return self._do(lambda painting: painting.cut(points))

    def stamp(self, template: Template, **options: Any) -> bool:
        """Paint a template where it is found, see `Painting.stamp`."""
        return self._do(lambda painting: painting.stamp(self.image, template, **options))

    def cut_out(
        self,
        color: Color,
        *,
        boxes: Sequence[Sequence[float]] = (),
        strokes: Sequence[Stroke] = (),
        network: SegmentAnything | None = None,
    ) -> bool:
        """Find what boxes and strokes point at, by GrabCut or by a network, make it one segment, and paint it.

        Raises
        ------
        ValueError
            If nothing says where it is, or nothing is found.
        """
        if network is None:
            mask = grabcut_object(self.image, boxes, strokes, random_state=self.method.random_state)
        else:
            mask = sam_object(self._seen_by(network), boxes, strokes)
        return self._do(lambda painting: painting.cut_out(mask, color))

    def divide(self, method: Method) -> bool:
        """Divide the image anew, by this or another method; the paint stays."""
        labels = method.segments(self.image)
        return self._do(lambda painting: painting.divided(labels), method=method)

    def reset(self) -> bool:
        """Begin anew with the segments of the method and no paint; `undo` takes it back."""
        labels = self.method.segments(self.image)
        return self._do(lambda _: Painting.of(labels))

    def undo(self) -> bool:
        """Go back by one change; False where there is none."""
        return self._go(self._past, self._future)

    def redo(self) -> bool:
        """Do again what was undone; False where there is nothing."""
        return self._go(self._future, self._past)

    def refresh(self) -> None:
        """Take over what another process has kept meanwhile; the changes before cannot be undone then."""
        if self._stamp() != self._known:
            self._load()

    def _load(self) -> None:
        self._past: list[_Step] = []
        self._future: list[_Step] = []
        self._packed: Packed | None = None
        self._known, kept = self._stamp(), read_kept(self._file)
        if kept is not None and kept.painting.labels.shape == self.image.shape[:2]:
            self.painting, self.version, self.method = kept.painting, kept.version, kept.method or self.method
        else:
            self.painting, self.version = self._begin(self.method.segments(self.image)), 0

    def _do(self, action: Callable[[Painting], Painting], *, method: Method | None = None) -> bool:
        after, by = action(self.painting), method or self.method
        if by == self.method and after.same_as(self.painting):
            return False
        here = self._here()
        self._keep(after, Packed.of(after, before=(self.painting, here.packed)), by)
        self._past.append(here)
        self._future.clear()
        while len(self._past) > 1 and sum(one.packed.n_bytes for one in self._past) > _MOST_BYTES:
            self._past.pop(0)
        return True

    def _go(self, source: list[_Step], target: list[_Step]) -> bool:
        if not source:
            return False
        here, there = self._here(), source[-1]
        self._keep(there.packed.painting(), there.packed, there.method)
        source.pop()
        target.append(here)
        return True

    def _here(self) -> _Step:
        """Return the state of now, packed once."""
        self._packed = self._packed or Packed.of(self.painting)
        return _Step(self._packed, self.method)

    def _keep(self, painting: Painting, packed: Packed, method: Method) -> None:
        """Keep a state in the file, then let it count."""
        write_kept(self._file, packed, version=self.version + 1, method=method)
        self._known = self._stamp()
        self.painting, self._packed, self.method, self.version = painting, packed, method, self.version + 1

    def _stamp(self) -> tuple[int, int, int] | None:
        """Return what tells the file from one that another process put in its place."""
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _seen_by(self, network: SegmentAnything) -> SeenImage:
        if self._seen is None or self._seen[0] is not network:
            self._seen = network, network.see(self.image)
        return self._seen[1]
