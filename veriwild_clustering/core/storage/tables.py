"""Tables that people bring: columns that stay where the header puts them, and paths that name each image once."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from veriwild_clustering.core.storage.image_store import safe_path
from veriwild_clustering.core.validation import DatasetError

__all__ = ["index_by_path", "path_column", "read_csv", "refuse_duplicates"]


def read_csv(file: Path, **options: Any) -> pd.DataFrame:
    """Read a CSV with pandas; empty cells behind the last column are left out, others never shift the columns.

    Raises
    ------
    DatasetError
        If lines have more cells than the header.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(file, index_col=False, **options)
        except pd.errors.ParserWarning as error:
            raise DatasetError(
                f"{file} has lines with more cells than its header. Write decimal numbers with a point, and text that "
                f"holds the separator in quotes."
            ) from error


def path_column(table: pd.DataFrame) -> str | None:
    """Return the name of the column of paths, None where there is none."""
    return next((name for name in ("path", "paths") if name in table), None)


def index_by_path(file: Path, paths: pd.Series) -> pd.Index:
    """Return safe paths with forward slashes, each named once.

    Raises
    ------
    DatasetError
        If a path is missing, unsafe or named twice.
    """
    try:
        index = pd.Index([safe_path("" if pd.isna(path) else str(path)) for path in paths])
    except DatasetError as error:
        raise DatasetError(f"{file}: {error}") from error
    refuse_duplicates(file, index)
    return index


def refuse_duplicates(file: Path, index: pd.Index) -> None:
    """Refuse an index that names an image twice."""
    if index.has_duplicates:
        raise DatasetError(f"{file} names the image {index[index.duplicated()][0]!r} more than once.")
