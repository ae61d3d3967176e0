"""Records: what is known of each image after a run of the engine, as strict JSON for this viewer or any other."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import pandas as pd

from veriwild_clustering.core.storage.atomic import write_atomically
from veriwild_clustering.core.validation import DatasetError

__all__ = ["FIELDS", "image_records", "plain_value", "read_records", "write_records"]

FIELDS = (
    "filename", "label", "x", "y", "z", "group", "quality",
    "confidence", "box", "upscaled", "quality_reason", "group_quality", "status",
)  # fmt: skip
_REQUIRED = FIELDS[:7]
_DIGITS = 5


def image_records(images: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one record per image, in row order.

    Parameters
    ----------
    images : DataFrame
        One row per image with the columns `filename`, `label`, `x`, `y`, `z`, `group` and `quality`. Further fields are
        taken where there is a column: `confidence`, `box` (left, top, right, bottom), `upscaled`, `quality_reason`,
        `group_quality` and `status`.

    Returns
    -------
    list of dict
        The fields in that order, as plain Python values; what is not known (NaN, infinite, None) is None.

    Raises
    ------
    ValueError
        If a required column is missing.

    Notes
    -----
    Real numbers are rounded to five decimals. O(n_images).

    Examples
    --------
    >>> import pandas as pd
    >>> from veriwild_clustering import image_records
    >>> table = {"filename": ["a.jpg"], "label": ["car"], "x": [0.5], "y": [float("nan")], "z": [1], "group": [0]}
    >>> image_records(pd.DataFrame({**table, "quality": ["high"]}))
    [{'filename': 'a.jpg', 'label': 'car', 'x': 0.5, 'y': None, 'z': 1, 'group': 0, 'quality': 'high'}]
    """
    missing = [name for name in _REQUIRED if name not in images]
    if missing:
        raise ValueError(f"`images` must have the columns {', '.join(_REQUIRED)}. Missing: {', '.join(missing)}.")
    columns = {name: [plain_value(value) for value in images[name]] for name in FIELDS if name in images}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def write_records(path: str | Path, records: Sequence[Mapping[str, Any]]) -> Path:
    """Write records as a JSON array, one record per line, under a temporary name first.

    Parameters
    ----------
    path : path
        The JSON file.
    records : sequence of mapping
        What `image_records` returns.

    Returns
    -------
    Path
        The file. The same records give the same bytes.

    Raises
    ------
    DatasetError
        If the file cannot be written.
    ValueError
        If a record holds NaN or infinity, which JSON does not know.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from veriwild_clustering import write_records
    >>> path = write_records(pathlib.Path(tempfile.mkdtemp()) / "result.json", [{"filename": "a.jpg", "x": None}])
    >>> path.read_text()
    '[\\n{"filename": "a.jpg", "x": null}\\n]\\n'
    """
    lines = ",\n".join(json.dumps(dict(record), ensure_ascii=False, allow_nan=False) for record in records)
    path = Path(path)
    with write_atomically(path) as temporary:
        temporary.write_text(f"[\n{lines}\n]\n" if lines else "[]\n", encoding="utf-8")
    return path


def read_records(path: str | Path) -> list[dict[str, Any]]:
    """Read records, of the engine or of any other program that writes the same fields.

    Parameters
    ----------
    path : path
        A JSON array of objects with at least `filename`, `label`, `x`, `y`, `z`, `group` and `quality`.

    Returns
    -------
    list of dict
        The records.

    Raises
    ------
    DatasetError
        If the file cannot be read, is no such array, or a record lacks a field.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from veriwild_clustering import read_records
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "result.json"
    >>> size = file.write_text("[]")
    >>> read_records(file)
    []
    """
    try:
        records = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(records, list):
        raise DatasetError(f"{path} must hold a JSON array with one object per image.")
    for place, record in enumerate(records):
        missing = [name for name in _REQUIRED if not isinstance(record, dict) or name not in record]
        if missing:
            raise DatasetError(f"Record {place} of {path} lacks {', '.join(missing)}.")
    return records


def plain_value(value: Any) -> Any:
    """Return a value as JSON knows it; what is not known is None."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain_value(part) for part in value]
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return round(float(value), _DIGITS) if math.isfinite(value) else None
    if value is pd.NA or value is pd.NaT:
        return None
    return value.item() if hasattr(value, "item") else str(value)
