"""Attributes: the columns of the image table that say something about many images at once, as codes of their values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.classes import UNCERTAIN, encode
from veriwild_clustering.core.validation import check_int, check_known_names

__all__ = ["Attribute", "encode_attributes", "encode_sources", "vehicle_codes"]

_PREPARED = frozenset({"box_left", "box_top", "box_right", "box_bottom", "cropped", "preparation", "upscaled"})
_IDENTIFIERS = frozenset({"detail", "image_status", "path", "phash", "time", "vehicle_id"}) | _PREPARED
_LABELS = frozenset({"camera", "color", "folder", "model", "time_of_day", "type", "view"})
_MEASURED_LABELS = frozenset({"focus", "light", "measured_color"})
_KNOWN_OF_MEASURED = {"measured_color": ("color",), "light": ("time_of_day", "hours"), "hours": ("time_of_day",)}
_MAX_VALUES = 50
_FEW_NUMBERS = 12
_HOURS = ("00–06", "06–12", "12–18", "18–24")


@dataclass(frozen=True)
class Attribute:
    """One column: the code of each image's value, −1 where it is not known, and the value of each code."""

    name: str
    codes: NDArray[np.int64]
    values: NDArray[np.object_]


def encode_attributes(images: pd.DataFrame, columns: Sequence[str] | None, *, n_bins: int = 3) -> list[Attribute]:
    """Return the attributes named by `columns`, by default all that say something; O(n log n) each."""
    check_int("n_bins", n_bins, low=2)
    if columns is None:
        chosen = _telling(images)
    else:
        check_known_names("column", columns, list(images.columns))
        chosen = {name: _known(name, images[name]) for name in columns}
    return [_encode(name, _as_values(name, column, n_bins)) for name, column in chosen.items()]


def encode_sources(images: pd.DataFrame) -> list[Attribute]:
    """Return the camera and the hour of the day, 0 to 23, where they are known."""
    sources = {"camera": images.get("camera"), "hour": _hour(images)}
    return [_encode(name, column) for name, column in sources.items() if column is not None and column.notna().any()]


def vehicle_codes(images: pd.DataFrame) -> NDArray[np.int64]:
    """Return a number per image that images of one vehicle share; −1 where the vehicle is not known."""
    if "vehicle_id" not in images:
        return np.full(len(images), -1)
    return encode("vehicle_id", images["vehicle_id"], len(images))


def _encode(name: str, values: pd.Series[Any]) -> Attribute:
    codes, distinct = pd.factorize(values, sort=False)
    return Attribute(name, codes.astype(np.int64), np.asarray(distinct, dtype=object))


def _telling(images: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """Return the columns that say something, and what follows from others: aspect ratio, part of the day."""
    found = {str(name): _known(str(name), column) for name, column in images.items() if _is_attribute(str(name))}
    if {"width", "height"} <= found.keys() and "aspect" not in found:
        found["aspect"] = (images["width"] / images["height"].where(images["height"] > 0)).round(2)
    hour = _hour(images)
    if hour is not None and "hours" not in found:
        found["hours"] = (hour // 6).map(dict(enumerate(_HOURS)))
    measured = {name for name, known in _KNOWN_OF_MEASURED.items() if any(_mostly_known(found.get(k)) for k in known)}
    return {
        name: column
        for name, column in found.items()
        if name not in measured and (_is_measure(name, column) or 2 <= column.nunique() <= _MAX_VALUES)
    }


def _is_attribute(name: str) -> bool:
    return name not in _IDENTIFIERS and not name.startswith("has_") and not name.endswith("_confidence")


def _mostly_known(column: pd.Series[Any] | None) -> bool:
    """Tell whether a column speaks for at least half of the images, so that none need be measured instead."""
    return column is not None and bool(column.notna().mean() >= 0.5)


def _known(name: str, column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the column, an empty text as missing, and a measured label that is uncertain: no image *is* uncertain."""
    return column.where(~column.isin(["", UNCERTAIN] if name in _MEASURED_LABELS else [""]))


def _hour(images: pd.DataFrame) -> pd.Series[Any] | None:
    """Return the hour of the day in which each image was taken, None without times; any text with hh:mm will do."""
    if "time" not in images:
        return None
    written = images["time"].astype("string").str.extract(r"(?<!\d)(\d{1,2}):[0-5]\d", expand=False)
    hour = pd.to_numeric(written).astype("Int64")
    return hour.where(hour < 24)


def _is_measure(name: str, column: pd.Series[Any]) -> bool:
    """Tell numbers that measure from labels, which may be written as numbers too."""
    is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return is_number and name not in _LABELS and column.nunique() > _FEW_NUMBERS


def _as_values(name: str, column: pd.Series[Any], n_bins: int) -> pd.Series[Any]:
    """Return the value of each image, measures as the name of their bin; missing stays missing."""
    if not _is_measure(name, column):
        return column
    # Edges are rounded before they cut, so that a bin holds exactly what its name says.
    edges = np.unique([float(f"{edge:.4g}") for edge in column.quantile(np.arange(1, n_bins) / n_bins)])
    names = [f"{edge:g}" for edge in edges]
    bins = [
        f"at most {names[0]}",
        *(f"{low} to {high}" for low, high in itertools.pairwise(names)),
        f"above {names[-1]}",
    ]
    known = column.notna().to_numpy()
    values = np.full(len(column), None, dtype=object)
    values[known] = np.array(bins, dtype=object)[np.searchsorted(edges, column[known])]
    return pd.Series(values)
