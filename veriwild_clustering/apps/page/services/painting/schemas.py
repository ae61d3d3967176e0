"""What the tab of painting asks and is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from veriwild_clustering.apps.page.services.schemas import Model, RowNumber

__all__ = [
    "Change",
    "Cut",
    "CutOut",
    "Divide",
    "Fill",
    "MatchRequest",
    "Matches",
    "PaintedImage",
    "PaintingOverview",
    "PaintingState",
    "SaveRequest",
    "SavedMasks",
    "Stamp",
    "StrokeRequest",
    "Unfill",
    "Way",
]

_FARTHEST = 65_536
_MAX_POINTS = 2_000
_MAX_BRUSHES = 64
_MAX_BOXES = 16

Coordinate = Annotated[float, Field(ge=-_FARTHEST, le=_FARTHEST)]
Point = Annotated[list[Coordinate], Field(min_length=2, max_length=2, description="x and y in pixels of the image.")]
Line = Annotated[list[Point], Field(min_length=1, max_length=_MAX_POINTS)]
Box = Annotated[list[Coordinate], Field(min_length=4, max_length=4, description="Left, top, right, bottom.")]
HexColor = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", examples=["#cc0000"])]
Version = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True, description="The version that one has seen.")]
MethodName = Literal[
    "slic", "mslic", "kmeans", "superpixel-kmeans", "edge", "felzenszwalb", "graph", "chan-vese", "quickshift",
    "watershed", "sam",
]  # fmt: skip


class Way(Model):
    """A method, and whether it can be had here."""

    name: str
    is_at_hand: bool
    about: str = Field(description="What it does, or what is missing.")


class PaintingOverview(Model):
    """What painting needs to know before an image is opened."""

    n_images: int
    has_images: bool
    max_pixels: int = Field(description="Larger images cannot be painted here.")
    n_kept: int = Field(description="Images of which something is kept.")
    methods: list[Way] = Field(description="How an image can be divided into segments.")
    cutting: list[Way] = Field(description="What can cut out what boxes and strokes point at.")


class PaintedColor(Model):
    """How much is painted with a colour."""

    color: str
    n_pixels: int
    share: float = Field(description="Of the image.")


class PaintingState(Model):
    """What is painted on an image."""

    row: int
    path: str
    width: int
    height: int
    version: int = Field(description="How often it has changed, undoing counted; 0 where nothing is kept.")
    method: str
    side: int | None = Field(description="Of a segment, in pixels, where the method is given one.")
    n_segments: int
    segments_tag: str = Field(description="Another where the segments are others.")
    colors: list[PaintedColor]
    can_undo: bool
    can_redo: bool
    saved: list[str] = Field(description="Names of the masks that were written, now or before.")


class PaintedImage(Model):
    """An image of which something is kept."""

    row: int
    path: str
    colors: list[str]


class Fill(Model):
    """Paint every segment that a line touches; one point is a click."""

    kind: Literal["fill"]
    points: Line
    color: HexColor


class Unfill(Model):
    """Remove the paint of every segment that a line touches."""

    kind: Literal["unfill"]
    points: Line


class Cut(Model):
    """Cut segments along a line, one pixel wide."""

    kind: Literal["cut"]
    points: Line


class Pattern(Model):
    """What is looked for: what is painted at a point of an image, of this or of another row."""

    row: RowNumber
    point: Point


Threshold = Annotated[
    float | None,
    Field(ge=0, le=1, description="The largest error of a place; null takes the best place alone."),
]


class Stamp(Model):
    """Paint the pattern wherever it is found."""

    kind: Literal["stamp"]
    pattern: Pattern
    threshold: Threshold = None


class CutOut(Model):
    """Make one segment of what boxes and strokes point at, and paint it."""

    kind: Literal["cut_out"]
    by: Literal["grabcut", "sam"] = "grabcut"
    boxes: list[Box] = Field(default=[], max_length=_MAX_BOXES)
    foreground: list[Line] = Field(default=[], max_length=_MAX_BRUSHES)
    background: list[Line] = Field(default=[], max_length=_MAX_BRUSHES)
    brush: Annotated[int, Field(ge=1, le=100, strict=True, description="Width of the strokes in pixels.")] = 3
    color: HexColor


Stroke = Annotated[Fill | Unfill | Cut | Stamp | CutOut, Field(discriminator="kind")]


class Change(Model):
    """A change of the version that one has seen."""

    base_version: Version


class StrokeRequest(Change):
    """A stroke on the version that one has seen."""

    stroke: Stroke


class Divide(Change):
    """Divide the image anew; the paint stays."""

    method: MethodName
    side: Annotated[int, Field(ge=4, le=400, strict=True, description="Of a segment in pixels, about.")] = 20


class MatchRequest(Model):
    """Where a pattern would be painted."""

    pattern: Pattern
    threshold: Threshold = None


class Matches(Model):
    """Where a pattern is found; nothing is painted."""

    width: int
    height: int
    total: int
    places: list[list[int]] = Field(description="Left and top of some of them, the best last.")


class SaveRequest(Model):
    """How the masks are named."""

    colons: bool = Field(default=False, description="`(R:204,G:0,B:0)`, which Windows does not allow.")


class SavedMasks(Model):
    """The masks that were written."""

    files: list[str] = Field(description="Below the folder of paintings, one for each colour.")
