"""Maps: places of all images as 16-bit integers, and the colours to draw them in, small enough for a browser."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, JsonValue

from veriwild_clustering.apps.page.problems import NotFoundError
from veriwild_clustering.apps.page.services.schemas import Model, plain_value
from veriwild_clustering.apps.page.workspace import Workspace
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.reporting.figures.style import NOISE_COLOR, named_color, palette

__all__ = ["NOWHERE", "Legend", "cluster_color", "color_codes", "legend", "quantised_layout", "ready_first_map"]

NOWHERE = 65535
_HIGHEST = 65534
_MAX_ENTRIES = 40
_N_COLORS = 48
_N_STOPS = 16
_CLIPPED = 0.01
_FEW_NUMBERS = 12


class LegendEntry(Model):
    """A colour and what it stands for."""

    code: int = Field(description="As in the codes of the rows; 0 is noise, or not known.")
    label: str
    color: str
    count: int
    value: JsonValue = Field(description="The value in the image table, or the number of the cluster.")


class Legend(Model):
    """What the colours of a map mean."""

    by: str
    kind: Literal["category", "number"]
    entries: list[LegendEntry] = Field(description="Of numbers: one for images without one, if there are any.")
    low: float | None = Field(
        default=None, description="Of numbers: code 1. The lowest hundredth of the images lies at or below."
    )
    high: float | None = Field(default=None, description="Of numbers: code 65535.")
    stops: list[str] = Field(default=[], description="Of numbers: colours from low to high, evenly spaced.")


def ready_first_map(workspace: Workspace) -> None:
    """Make what the map shows first, so that nobody waits for it."""
    quantised_layout(workspace, workspace.layouts[0])
    legend(workspace, "cluster")


def quantised_layout(workspace: Workspace, name: str) -> NDArray[np.uint16]:
    """Return the places of a map, shape (n_images, 2 or 3): little-endian, 0 to 65534, one scale for all axes.

    Rows without a place are 65535 in every column.
    """
    return workspace.remember(("quantised", name), lambda: _quantised(workspace.layout(name)))


def legend(workspace: Workspace, by: str, *, partition: str = "") -> Legend:
    """Return what colours mean: those of the clusters of a partition, or of the values of a column."""
    return _colors(workspace, by, partition)[0]


def color_codes(workspace: Workspace, by: str, *, partition: str = "") -> NDArray[np.uint16]:
    """Return the code of each row's colour, shape (n_images,), little-endian; 0 is noise, or not known."""
    return _colors(workspace, by, partition)[1]


def cluster_color(cluster: int) -> str:
    """Return the colour of a cluster, the same everywhere on the page."""
    return NOISE_COLOR if cluster < 0 else palette(_N_COLORS)[cluster % _N_COLORS]


def _colors(workspace: Workspace, by: str, partition: str) -> tuple[Legend, NDArray[np.uint16]]:
    if by == "cluster":
        name = partition or workspace.default_partition
        version = workspace.current(name)
        shown = workspace.partition(name, version=version)
        return workspace.remember(("colors", name, version), lambda: _of_clusters(shown))
    images = workspace.dataset.images
    if by == "outlier_score":
        scores = pd.Series(workspace.abnormality.scores)
        return workspace.remember(("colors", by), lambda: _of_numbers(by, scores))
    if by not in images.columns:
        raise NotFoundError(f"There is no column {by!r} to colour by.", field="by")
    values = images[by]
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    make = _of_numbers if is_number and values.nunique() > _FEW_NUMBERS else _of_values
    return workspace.remember(("colors", by), lambda: make(by, values))


def _of_clusters(partition: Partition) -> tuple[Legend, NDArray[np.uint16]]:
    n_noise = len(partition) - int(partition.sizes.sum())
    entries = [
        LegendEntry(
            code=cluster + 1,
            label=partition.cluster_name(cluster),
            color=cluster_color(cluster),
            count=int(size),
            value=cluster,
        )
        for cluster, size in enumerate(partition.sizes[:_HIGHEST])
    ]
    noise = [LegendEntry(code=0, label="noise", color=NOISE_COLOR, count=n_noise, value=-1)] if n_noise else []
    codes = np.minimum(partition.labels + 1, _HIGHEST).astype("<u2")
    return Legend(by="cluster", kind="category", entries=entries + noise), codes


def _of_values(by: str, values: pd.Series[Any]) -> tuple[Legend, NDArray[np.uint16]]:
    """Return the colours of the most frequent values; the others share the last one."""
    counts = values.value_counts()  # the most frequent first, missing ones left out
    shown = counts.index[:_MAX_ENTRIES]
    places = np.asarray(shown.get_indexer(pd.Index(values)))
    known = values.notna().to_numpy()
    codes = np.where(places >= 0, places + 1, np.where(known, len(shown) + 1, 0)).astype("<u2")
    painted = [named_color(value) for value in shown]
    is_paint = sum(color is not None for color in painted) * 2 > len(shown)
    colors = [(is_paint and color) or palette(_N_COLORS)[place] for place, color in enumerate(painted)]
    entries = [
        LegendEntry(
            code=place + 1, label=str(value), color=color, count=int(counts.iloc[place]), value=plain_value(value)
        )
        for place, (value, color) in enumerate(zip(shown, colors, strict=True))
    ]
    others, missing = int(counts.iloc[_MAX_ENTRIES:].sum()), int((~known).sum())
    if others:
        label = f"{len(counts) - _MAX_ENTRIES:,} other values"
        color = palette(_N_COLORS)[_MAX_ENTRIES]
        entries.append(LegendEntry(code=len(shown) + 1, label=label, color=color, count=others, value=None))
    return Legend(by=by, kind="category", entries=entries + _unknown(missing)), codes


def _of_numbers(by: str, values: pd.Series[Any]) -> tuple[Legend, NDArray[np.uint16]]:
    """Return codes over the range of all but the extreme hundredths, which take the colours of its ends."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(numbers)
    codes = np.zeros(len(numbers), dtype="<u2")
    low, high = np.quantile(numbers[known], [_CLIPPED, 1 - _CLIPPED]) if known.any() else (0.0, 0.0)
    span = high - low if high > low else 1.0
    codes[known] = 1 + np.round(np.clip((numbers[known] - low) / span, 0, 1) * _HIGHEST).astype("<u2")
    stops = [to_hex(color) for color in colormaps["cividis"](np.linspace(0, 1, _N_STOPS))]
    entries = _unknown(int((~known).sum()))
    return Legend(by=by, kind="number", entries=entries, low=float(low), high=float(high), stops=stops), codes


def _unknown(count: int) -> list[LegendEntry]:
    return [LegendEntry(code=0, label="not known", color=NOISE_COLOR, count=count, value=None)] if count else []


def _quantised(places: NDArray[np.float32]) -> NDArray[np.uint16]:
    known = np.isfinite(places).all(axis=1)
    coded = np.full(places.shape, NOWHERE, dtype="<u2")
    if known.any():
        shown = places[known].astype(np.float64)
        low = shown.min(axis=0)
        span = float((shown.max(axis=0) - low).max()) or 1.0  # one scale for all axes, so that shapes stay
        coded[known] = np.round((shown - low) / span * _HIGHEST).astype("<u2")
    return coded
