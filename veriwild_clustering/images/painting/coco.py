"""Painted masks as COCO's JSON: one annotation for each colour of each image, run lengths or polygons."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.validation import check_choice
from veriwild_clustering.images.painting.states import Color, Painting

__all__ = ["run_lengths", "write_coco"]

Mask = NDArray[np.bool_]


def write_coco(
    path: Path,
    paintings: Iterable[tuple[str, Painting]],
    *,
    names: Mapping[Color, str] | None = None,
    form: str = "rle",
) -> None:
    """Write the colours of all images, each with its path, into one JSON file; paintings are looked at one by one.

    `form` is "rle" or "polygons". Polygons run along the edges of pixels, one for each run of rows that have the same
    pixels of a region, so that holes are left out and nothing is rounded.
    """
    check_choice("form", form, ("rle", "polygons"))
    known = dict(names or {})
    images: list[dict[str, Any]] = []
    found: list[tuple[Color, dict[str, Any]]] = []
    for place, (name, painting) in enumerate(paintings, start=1):
        height, width = painting.paint.shape
        images.append({"id": place, "file_name": name, "width": width, "height": height})
        found += [(color, {"image_id": place, **_shape(painting.mask(color), form)}) for color in painting.colors]
    colors = sorted({color for color, _ in found} | set(known))
    ids = {color: place for place, color in enumerate(colors, start=1)}
    annotations = [
        {"id": number, "category_id": ids[color], **shape} for number, (color, shape) in enumerate(found, start=1)
    ]
    categories = [
        {"id": number, "name": known.get(color, "R_{},G_{},B_{}".format(*color)), "color": list(color)}
        for color, number in ids.items()
    ]
    content = {"images": images, "annotations": annotations, "categories": categories}
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")


def run_lengths(mask: Mask) -> list[int]:
    """Return how many pixels follow each other that are not, are, are not … in the mask, column by column."""
    flat = mask.ravel(order="F").astype(np.int8)
    ends = np.flatnonzero(np.diff(flat, prepend=0, append=-1))
    return np.diff(ends, prepend=0).tolist()


def _shape(mask: Mask, form: str) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    shape: dict[str, Any] = {
        "area": int(mask.sum()),
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
    }
    if form == "polygons":
        return {**shape, "iscrowd": 0, "segmentation": _polygons(mask)}
    return {**shape, "iscrowd": 1, "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)}}


def _polygons(mask: Mask) -> list[list[int]]:
    """Return rectangles that cover a mask exactly: runs of a row, joined with the same runs of the rows below."""
    open_runs: dict[tuple[int, int], int] = {}
    polygons: list[list[int]] = []
    for row in range(len(mask) + 1):
        pixels = mask[row : row + 1].astype(np.int8).ravel()  # none below the last row, where every run ends
        steps = np.flatnonzero(np.diff(pixels, prepend=0, append=0)).tolist()
        runs = set(zip(steps[::2], steps[1::2], strict=True))
        ended = [run for run in open_runs if run not in runs]
        polygons += [_rectangle(run, open_runs.pop(run), row) for run in ended]
        for run in runs - set(open_runs):
            open_runs[run] = row
    return sorted(polygons)


def _rectangle(run: Sequence[int], top: int, bottom: int) -> list[int]:
    left, right = run
    return [left, top, right, top, right, bottom, left, bottom]
