"""The viewer: a self-contained page on which the records of images can be turned, searched and looked at in 3-D."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.partition import NOISE
from veriwild_clustering.core.validation import check_int
from veriwild_clustering.reporting.figures.galleries import thumbnail_uris
from veriwild_clustering.reporting.figures.maps import stratified_rows
from veriwild_clustering.reporting.figures.style import palette
from veriwild_clustering.reporting.pages.page import write_page

__all__ = ["write_viewer"]

Record = Mapping[str, Any]
_QUALITIES = {"high": "#0072b2", "low": "#d55e00"}
_MOST_LABELS = 40  # no palette tells more apart; further labels stay grey
_SHOWN = ("label", "group", "quality", "confidence", "quality_reason", "group_quality", "upscaled", "box")


def write_viewer(
    records: Sequence[Record],
    path: str | Path,
    *,
    dataset: Dataset | None = None,
    title: str = "Groups of images",
    max_points: int = 5000,
    thumbnail_size: int = 96,
    random_state: int = 0,
    progress: bool | None = None,
) -> Path:
    """Write a page that shows records in three dimensions, coloured by group, label or quality.

    Parameters
    ----------
    records : sequence of mapping
        What `image_records` or `read_records` returns.
    path : str or Path
        The HTML file to write.
    dataset : Dataset, optional
        Where the images come from, image i belonging to record i; without it there are no thumbnails.
    title : str, default="Groups of images"
        Heading of the page.
    max_points : int, default=5000
        Of more images a sample of about so many is shown, each group in proportion; the page says so.
    thumbnail_size : int, default=96
        Side of the thumbnails in pixels.
    random_state : int, default=0
        Seed of the sample.
    progress : bool, optional
        Whether to show a progress bar; by default where somebody watches.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ValueError
        If `dataset` has another number of images.
    DatasetError
        If the page cannot be written.

    Notes
    -----
    The page asks for nothing: script and thumbnails are inside, two or three kB per image. It is drawn with the
    browser's own canvas. Images without coordinates are listed, not drawn. O(n_images), O(max_points) images are read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from veriwild_clustering import write_viewer
    >>> place = {"x": 0.0, "y": 1.0, "z": 2.0}
    >>> record = {"filename": "a.jpg", "label": "car", **place, "group": 0, "quality": "high"}
    >>> page = write_viewer([record], pathlib.Path(tempfile.mkdtemp()) / "viewer.html")
    >>> "a.jpg" in page.read_text()
    True
    """
    from markupsafe import Markup

    if dataset is not None and len(dataset) != len(records):
        raise ValueError(f"`dataset` must have one image per record, {len(records)}. Got {len(dataset)} instead.")
    max_points = check_int("max_points", max_points, low=1)
    placed = np.array([all(record[axis] is not None for axis in "xyz") for record in records], dtype=bool)
    rows = np.flatnonzero(placed)
    groups = np.array([record["group"] for record in records], dtype=np.int64)
    rows = stratified_rows(rows, groups[rows], max_rows=max_points, random_state=random_state) if len(rows) else rows
    shown = [records[row] for row in rows.tolist()]
    data = {
        "points": [_point(record) for record in shown],
        "images": [] if dataset is None else thumbnail_uris(dataset, rows, size=thumbnail_size, progress=progress),
        "colors": {"group": _group_colors(groups), "label": _label_colors(records), "quality": _QUALITIES},
    }
    # "<" cannot occur in the JSON text, so nothing in it can end the script element.
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    left_out = [
        {"filename": records[row]["filename"], "status": records[row].get("status", "")}
        for row in np.flatnonzero(~placed).tolist()
    ]
    return write_page(
        path, "viewer.html", scripts=True, title=title, facts=_facts(records, groups, n_shown=len(shown)),
        left_out=left_out[:500], n_left_out=len(left_out), data=Markup(text),  # noqa: S704 - escaped above
    )  # fmt: skip


def _point(record: Record) -> dict[str, Any]:
    facts = {name: record[name] for name in _SHOWN if record.get(name) not in (None, "")}
    return {"name": record["filename"], "at": [record[axis] for axis in "xyz"], **facts}


def _group_colors(groups: np.ndarray[Any, np.dtype[np.int64]]) -> dict[int, str]:
    """Return a colour per group, without noise."""
    known = [int(group) for group in np.unique(groups) if group != NOISE]
    return dict(zip(known, palette(len(known)), strict=True))


def _label_colors(records: Sequence[Record]) -> dict[str, str]:
    """Return a colour per label, the most frequent first; what is not known has none."""
    counts = Counter(str(record["label"]) for record in records)
    ordered = sorted(counts, key=lambda label: (-counts[label], label))
    known = [label for label in ordered if label.lower() not in {"unknown", "uncertain"}][:_MOST_LABELS]
    return dict(zip(known, palette(len(known)), strict=True))


def _facts(records: Sequence[Record], groups: Any, *, n_shown: int) -> str:
    n_groups = len(set(groups.tolist()) - {NOISE})
    noise = int(
        np.sum([group == NOISE and record["x"] is not None for group, record in zip(groups, records, strict=True)])
    )
    parts = [
        f"{len(records):,} image{'s' * (len(records) != 1)}",
        f"{n_groups} group{'s' * (n_groups != 1)}",
        f"{noise:,} in no group",
    ]
    n_placed = sum(record["x"] is not None for record in records)
    if n_shown < n_placed:
        parts.append(f"a sample of {n_shown:,} is shown")
    return " · ".join(parts)
