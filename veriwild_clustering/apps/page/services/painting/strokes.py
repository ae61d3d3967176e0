"""Strokes on an image: each is made to the version that whoever paints has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from veriwild_clustering.apps.page.preparation.paintings import MAX_PIXELS
from veriwild_clustering.apps.page.problems import BadRequestError, UnavailableError
from veriwild_clustering.apps.page.services.painting.schemas import (
    Change,
    Cut,
    CutOut,
    Divide,
    Fill,
    Matches,
    MatchRequest,
    PaintingState,
    Pattern,
    Stamp,
    StrokeRequest,
    Unfill,
)
from veriwild_clustering.apps.page.services.painting.states import SAM, opened, sam_missing, state_of
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.core.storage.partitions import VersionConflictError
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.images.painting.canvas import Canvas
from veriwild_clustering.images.painting.kept import Method
from veriwild_clustering.images.painting.states import Color, unpacked_color
from veriwild_clustering.images.painting.templates import Template, find_template
from veriwild_clustering.images.segmentation.prompts import Stroke

__all__ = ["apply_stroke", "divide", "find_matches", "redo", "reset", "undo"]

_MAX_SHOWN = 500
_MEGAPIXEL = 1_000_000
_MOST_PIXELS = {
    "edge": _MEGAPIXEL, "quickshift": _MEGAPIXEL, "chan-vese": _MEGAPIXEL, "kmeans": _MEGAPIXEL,
    "grabcut": 2 * _MEGAPIXEL,
}  # fmt: skip
_ALREADY = "This image is being worked on right now. Try again when that is done."
_TOO_MANY = "Other images are being worked on. Try again in a moment."


def apply_stroke(workspace: Workspace, row: int, request: StrokeRequest) -> PaintingState:
    """Make a stroke and return what is painted then.

    Raises
    ------
    VersionConflictError
        If somebody else has painted since.
    BadRequestError
        If it cannot be made: nothing to look for, nothing found, a box without area.
    UnavailableError
        If SAM is asked for and not at hand, or the image is too large for what is asked.
    BusyError
        If long work on this image, or on others, is under way.
    """
    stroke = request.stroke
    with _refusals("stroke"):
        action = _action(workspace, stroke)
        with _worked_on(workspace, row, is_long=isinstance(stroke, CutOut)):
            return _changed(workspace, row, request, action)


def divide(workspace: Workspace, row: int, request: Divide) -> PaintingState:
    """Divide an image anew and return what is painted then; raises as `apply_stroke` does."""

    def action(canvas: Canvas) -> bool:
        height, width = canvas.image.shape[:2]
        _check_size(request.method, height * width)
        params = _params(request.method, request.side, height * width)
        if request.method == "sam":
            params["model"] = _network(workspace)
        return canvas.divide(Method(request.method, params=params))

    with _refusals("method"), _worked_on(workspace, row, is_long=True):
        return _changed(workspace, row, request, action)


def undo(workspace: Workspace, row: int, request: Change) -> PaintingState:
    """Go back by one stroke, where there is one."""
    return _changed(workspace, row, request, Canvas.undo)


def redo(workspace: Workspace, row: int, request: Change) -> PaintingState:
    """Do again what was undone, where there is something."""
    return _changed(workspace, row, request, Canvas.redo)


def reset(workspace: Workspace, row: int, request: Change) -> PaintingState:
    """Begin anew with the segments of the method and no paint; undoing takes it back."""
    with _refusals("method"):
        return _changed(workspace, row, request, Canvas.reset)


def find_matches(workspace: Workspace, row: int, request: MatchRequest) -> Matches:
    """Return where a pattern would be painted; nothing is changed."""
    with _refusals("pattern"):
        template = _template(workspace, request.pattern)
        with opened(workspace, row) as canvas:
            image = canvas.image
        found = find_template(image, template, threshold=request.threshold, overlapping=False)
    height, width = template.template.shape[:2]
    places = [[left, top] for left, top in found[-_MAX_SHOWN:]]
    return Matches(width=width, height=height, total=len(found), places=places)


def _changed(workspace: Workspace, row: int, request: Change, action: Callable[[Canvas], bool]) -> PaintingState:
    with opened(workspace, row, base_version=request.base_version) as canvas:
        action(canvas)
        return state_of(workspace, row, canvas)


def _action(workspace: Workspace, stroke: Fill | Unfill | Cut | Stamp | CutOut) -> Callable[[Canvas], bool]:
    """Return what a stroke does to a canvas; a template is taken from its image first."""
    if isinstance(stroke, Stamp):
        template = _template(workspace, stroke.pattern)
        return lambda canvas: canvas.stamp(template, threshold=stroke.threshold, overlapping=False)
    if isinstance(stroke, CutOut):
        return lambda canvas: _cut_out(workspace, canvas, stroke)
    points = _points(stroke.points)
    if isinstance(stroke, Fill):
        return lambda canvas: canvas.fill(points, _color(stroke.color))
    return (lambda canvas: canvas.unfill(points)) if isinstance(stroke, Unfill) else lambda canvas: canvas.cut(points)


def _cut_out(workspace: Workspace, canvas: Canvas, stroke: CutOut) -> bool:
    height, width = canvas.image.shape[:2]
    _check_size(stroke.by, height * width)
    strokes = [
        Stroke(tuple(_points(line)), kind, stroke.brush)
        for kind, lines in (("foreground", stroke.foreground), ("background", stroke.background))
        for line in lines
    ]
    network = _network(workspace) if stroke.by == "sam" else None
    return canvas.cut_out(_color(stroke.color), boxes=stroke.boxes, strokes=strokes, network=network)


def _template(workspace: Workspace, pattern: Pattern) -> Template:
    with opened(workspace, pattern.row) as canvas:
        return canvas.painting.template(canvas.image, (pattern.point[0], pattern.point[1]))


def _network(workspace: Workspace) -> Any:
    """Return the network that is at hand; it stays open."""
    from veriwild_clustering.images.models.weights import is_cached
    from veriwild_clustering.images.segmentation.sam.predictor import SegmentAnything

    missing = sam_missing(workspace)
    if missing:
        raise UnavailableError(missing, field="by")
    name = next(name for name in SAM if is_cached(name, folder=workspace.models))
    return workspace.remember(("network", name), lambda: SegmentAnything(name, folder=workspace.models))


def _params(method: str, side: int, n_pixels: int) -> dict[str, Any]:
    """Return the parameters of a method that make segments of about `side` pixels, where it has any."""
    if method in {"slic", "mslic", "superpixel-kmeans"}:
        return {"region_size": side}
    if method in {"felzenszwalb", "graph"}:
        return {"min_size": side * side // 4}
    return {"n_segments": max(1, n_pixels // side**2)} if method == "watershed" else {}


def _check_size(what: str, n_pixels: int) -> None:
    most = _MOST_PIXELS.get(what, MAX_PIXELS)
    if n_pixels > most:
        raise UnavailableError(
            f"The image has {n_pixels / _MEGAPIXEL:.1f} megapixels, {what!r} takes at most {most // _MEGAPIXEL} here.",
            field="method",
        )


@contextmanager
def _worked_on(workspace: Workspace, row: int, *, is_long: bool) -> Iterator[None]:
    """Refuse long work where there is enough of it."""
    running = workspace.paintings.running
    with running.claimed(str(row), already=_ALREADY, too_many=_TOO_MANY) if is_long else nullcontext():
        yield


@contextmanager
def _refusals(field: str) -> Iterator[None]:
    """Let what the library refuses be a refusal of the request."""
    try:
        yield
    except (BadRequestError, DatasetError, VersionConflictError):
        raise
    except (ValueError, TypeError) as error:
        raise BadRequestError(str(error), field=field) from error


def _points(line: list[list[float]]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in line]


def _color(text: str) -> Color:
    return unpacked_color(int(text[1:], 16))
