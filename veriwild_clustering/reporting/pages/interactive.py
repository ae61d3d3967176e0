"""Interactive maps: a self-contained HTML page in which hovering over a point shows its image."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.partition import NOISE, Partition
from veriwild_clustering.core.validation import check_int, check_known_names
from veriwild_clustering.images.quality.measures import QUALITY
from veriwild_clustering.reporting.figures.galleries import thumbnail_uris
from veriwild_clustering.reporting.figures.maps import axis_names, check_projection, stratified_rows
from veriwild_clustering.reporting.figures.style import INK, NOISE_COLOR, palette
from veriwild_clustering.reporting.pages.page import plotly_js, render, write_page

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["InteractiveMap", "interactive_map", "map_fragment"]

_NOT_ATTRIBUTES = ("path", "vehicle_id", "folder", "width", "height", "image_status", "phash", *QUALITY)
_MEASURED = ("measured_color", "light", "focus")
_MAX_ATTRIBUTES = 8


@dataclass(frozen=True, eq=False, repr=False)
class InteractiveMap:
    """An interactive map that was written to a file.

    Parameters
    ----------
    figure : plotly Figure
        The plot alone, without images: one trace per cluster; `customdata` numbers the points.
    path : Path
        The HTML file: stands alone, some 5 MB of plotly.js and two or three kB per point.
    n_shown : int
        Number of points drawn.
    n_images : int
        Number of images in the dataset.
    """

    figure: go.Figure
    path: Path
    n_shown: int
    n_images: int

    def __repr__(self) -> str:
        return f"InteractiveMap({str(self.path)!r}, {self.n_shown:,} of {self.n_images:,} images)"

    def _repr_html_(self) -> str:
        source = escape(quote(Path(os.path.relpath(self.path)).as_posix()))
        return (
            f'<iframe src="{source}" title="interactive map" loading="lazy" '
            f'style="width:100%;height:640px;border:1px solid #8884;border-radius:6px"></iframe>'
            f'<p><a href="{source}" target="_blank">Open the interactive map</a> '
            f"({self.n_shown:,} of {self.n_images:,} images; hover over a point to see its image)</p>"
        )


def interactive_map(
    projection: Descriptor,
    partition: Partition,
    *,
    dataset: Dataset,
    path: str | Path,
    columns: Sequence[str] | None = None,
    max_points: int = 3000,
    thumbnail_size: int = 96,
    title: str | None = None,
    random_state: int = 0,
    progress: bool | None = None,
) -> InteractiveMap:
    """Write a map in which hovering over a point shows its image, and the legend switches clusters on and off.

    Parameters
    ----------
    projection : Descriptor
        Two or three features per image.
    partition : Partition
        Colours the points: one trace per cluster, noise in light grey.
    dataset : Dataset
        Where images, paths and attributes come from.
    path : str or Path
        The HTML file to write.
    columns : sequence of str, optional
        Columns of the image table to show in the box; by default up to eight known attributes.
    max_points : int, default=3000
        Draw a sample of about this many images, each cluster in proportion; the title says so.
    thumbnail_size : int, default=96
        Side of the images in pixels.
    title : str, optional
        By default the partition and the number of images.
    random_state : int, default=0
        Seed of the sample.
    progress : bool, optional
        Whether to show a progress bar; by default where somebody watches.

    Returns
    -------
    InteractiveMap
        Shows itself in a notebook as a frame around the file, so the notebook stays small.

    Raises
    ------
    ValueError
        If `projection` does not have two or three features, lengths differ, or a column is unknown.
    DatasetError
        If the file cannot be written.

    Notes
    -----
    O(max_points) images are read. The page makes no request to the network: plotly.js and the thumbnails are inside.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, pandas as pd
    >>> from veriwild_clustering import Dataset, Descriptor, Partition, interactive_map
    >>> flat = Descriptor("flat", np.eye(2))
    >>> dataset = Dataset(pd.DataFrame({"path": ["a.jpg", "b.jpg"], "vehicle_id": ["1", "2"]}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = interactive_map(flat, Partition([0, 1], flat, "a"), dataset=dataset, path=f"{folder}/map.html")
    >>> page.n_shown, [trace.name for trace in page.figure.data]
    (2, ['0 · 1', '1 · 1'])
    """
    path = Path(path)
    figure, data = _map_data(
        projection, partition, dataset, columns=columns, max_points=max_points, thumbnail_size=thumbnail_size,
        title=title, random_state=random_state, progress=progress,
    )  # fmt: skip
    n_shown = len(data["images"])
    write_page(
        path, "map_page.html", scripts=True, title=title or partition.name, plotly_js=plotly_js(),
        fragment=_fragment("map", figure, data),
    )  # fmt: skip
    return InteractiveMap(figure, path, n_shown, len(dataset))


def map_fragment(projection: Descriptor, partition: Partition, *, dataset: Dataset, **options: Any) -> str:
    """Return an interactive map as part of a page that defines Plotly; `options` as of `interactive_map`."""
    return _fragment("map", *_map_data(projection, partition, dataset, **options))


def _attribute_columns(images: pd.DataFrame) -> list[str]:
    """Return the columns that say something about the vehicle, what is known before what is measured."""
    columns = [str(c) for c in images.columns if c not in _NOT_ATTRIBUTES]
    telling = [c for c in columns if not c.startswith("has_") and not c.endswith("_confidence")]
    return sorted(telling, key=lambda column: column in _MEASURED)


def _fragment(name: str, figure: go.Figure, data: dict[str, Any]) -> Any:
    from markupsafe import Markup

    # "<" cannot occur in the JSON text, so nothing in it can end the script element.
    text = json.dumps({"figure": json.loads(figure.to_json()), **data}, ensure_ascii=False).replace("<", "\\u003c")
    label = f"Scatter plot of {len(data['images'])} images coloured by cluster"
    return Markup(render("map.html", id=name, label=label, data=Markup(text)))  # noqa: S704 - escaped above


def _map_data(
    projection: Descriptor,
    partition: Partition,
    dataset: Dataset,
    *,
    columns: Sequence[str] | None = None,
    max_points: int = 3000,
    thumbnail_size: int = 96,
    title: str | None = None,
    random_state: int = 0,
    progress: bool | None = None,
) -> tuple[go.Figure, dict[str, Any]]:
    """Return the figure and, per point, its image and text."""
    check_projection(projection, partition)
    if len(dataset) != len(projection):
        raise ValueError(
            f"`dataset` must have {len(projection)} images, as `projection` has. Got {len(dataset)} instead."
        )
    max_points = check_int("max_points", max_points, low=1)
    shown = _attribute_columns(dataset.images)[:_MAX_ATTRIBUTES] if columns is None else list(columns)
    check_known_names("column", shown, [str(c) for c in dataset.images.columns])
    rows = np.flatnonzero(projection.valid)
    rows = stratified_rows(rows, partition.labels[rows], max_rows=max_points, random_state=random_state)
    figure = _figure(projection, partition, rows, title=title)
    images = thumbnail_uris(dataset, rows, size=thumbnail_size, progress=progress)
    return figure, {"images": images, "texts": _texts(dataset, partition, rows, shown)}


def _texts(dataset: Dataset, partition: Partition, rows: NDArray[np.int64], columns: list[str]) -> list[str]:
    table = dataset.images.iloc[rows]
    lines = []
    for row, record in zip(rows, table.to_dict("records"), strict=True):
        label = partition.labels[row]
        name = partition.cluster_name(label)
        place = name if label == NOISE else f"{name}, confidence {partition.confidence[row]:.2f}"
        known = [f"{column}: {record[column]}" for column in columns if pd.notna(record[column])]
        vehicle = [f"vehicle {record['vehicle_id']}"] if "vehicle_id" in record else []
        lines.append("\n".join([str(record["path"]), *vehicle, place, *known]))
    return lines


def _figure(projection: Descriptor, partition: Partition, rows: NDArray[np.int64], *, title: str | None) -> go.Figure:
    import plotly.graph_objects as go

    flat = projection.n_features == 2
    colors = palette(partition.n_clusters)
    labels = partition.labels[rows]
    marker_size = float(np.clip(200 / np.sqrt(max(1, len(rows))), 4, 9)) * (1 if flat else 0.6)
    figure = go.Figure()
    for cluster in [NOISE, *range(partition.n_clusters)]:
        here = np.flatnonzero(labels == cluster)
        if not len(here):
            continue
        noise = cluster == NOISE
        count = int(np.sum(partition.labels == cluster))
        points = dict(zip("xyz", projection.vectors[rows[here]].T.round(5).tolist(), strict=False))
        marker = {
            "color": NOISE_COLOR if noise else colors[cluster],
            "size": marker_size,
            "opacity": 0.5 if noise else 0.85,
        }
        trace = go.Scatter if flat else go.Scatter3d
        figure.add_trace(
            trace(**points, mode="markers", name=f"{'noise' if noise else cluster} · {count:,}", marker=marker,
                  customdata=here.tolist(), hoverinfo="none", legendrank=1001 if noise else 1000)
        )  # fmt: skip
    names = axis_names(projection)
    axes = [{"title": {"text": escape(name)}, "showticklabels": False, "zeroline": False} for name in names]
    written = _title(projection, partition, len(rows)) if title is None else escape(title)
    figure.update_layout(
        title={"text": written, "font": {"size": 15}}, font={"color": INK}, template="plotly_white",
        legend={"title": {"text": "cluster · images"}, "itemsizing": "constant"},
        margin={"l": 50, "r": 10, "t": 70, "b": 45}, hoverdistance=12,
    )  # fmt: skip
    if flat:
        figure.update_layout(xaxis=axes[0], yaxis={**axes[1], "scaleanchor": "x"})
    else:
        figure.update_scenes(xaxis=axes[0], yaxis=axes[1], zaxis=axes[2], aspectmode="data")
    return figure


def _title(projection: Descriptor, partition: Partition, n_shown: int) -> str:
    n_images = len(partition)
    counted = f"{n_images:,} images" if n_shown == n_images else f"sample of {n_shown:,} of {n_images:,} images"
    facts = f"{counted}, {partition.n_clusters} clusters, {partition.noise_fraction:.1%} noise; {projection.name}"
    return f"{escape(partition.name)}<br><sup>{escape(facts)}</sup>"
