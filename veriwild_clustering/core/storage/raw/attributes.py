"""What is known about each image beside its vectors: `vehicle_info.txt` and `truth.csv`, matched by path."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.storage.tables import index_by_path, path_column, read_csv, refuse_duplicates
from veriwild_clustering.core.validation import DatasetError, reason_of

__all__ = ["Issue", "join_attributes"]

Issue = tuple[int, str, str]  # row, what, detail

_VEHICLE_INFO = {"camera id": "camera", "time": "time", "model": "model", "type": "type", "color": "color"}
_OWN_COLUMNS = frozenset({"path", "paths", "vehicle_id", "folder", "width", "height", "image_status"})


def join_attributes(images: pd.DataFrame, files: Mapping[str, Path]) -> tuple[pd.DataFrame, list[Issue]]:
    """Return the image table with its known attributes, and the rows where sources disagree.

    Parameters
    ----------
    images : DataFrame
        `path`, `vehicle_id`, `folder`.
    files : mapping of str to Path
        "vehicle_info" and "truth", where present. What the first says stands; the second adds what is absent. Columns
        of `truth.csv` that the dataset measures itself (`width`, `has_…`) are left out.

    Returns
    -------
    images : DataFrame
        With one more text column per attribute, missing where unknown.
    issues : list of (row, what, detail)
        Conflicts, and images that a file does not name.

    Raises
    ------
    DatasetError
        If a file cannot be read or names an image twice.
    """
    joined = images
    issues: list[Issue] = []
    if "vehicle_info" in files:
        joined, issues = _add_vehicle_info(joined, files["vehicle_info"])
    if "truth" in files:
        joined, more = _add_truth(joined, files["truth"])
        issues = issues + more
    return joined, issues


def _add_vehicle_info(images: pd.DataFrame, file: Path) -> tuple[pd.DataFrame, list[Issue]]:
    info = _read_text_table(file, sep=";", quoting=csv.QUOTE_NONE)
    info.columns = [name.strip().lower() for name in info.columns]
    if "id/image" not in info:
        raise DatasetError(f"{file} must begin with `id/image;Camera ID;Time;Model;Type;Color`.")
    info = info.set_index("id/image").rename(columns=_VEHICLE_INFO)
    refuse_duplicates(file, info.index)
    stems = images["path"].str.replace(r"^.*/|\.[^./]*$", "", regex=True)
    keys = pd.Index(images["vehicle_id"].fillna("") + "/" + stems)
    known = info.index.get_indexer(keys) >= 0
    _refuse_strangers(file, known)
    values = info[[name for name in _VEHICLE_INFO.values() if name in info]].reindex(keys)
    return images.join(values.set_axis(images.index)), _not_listed(stems[~known], info.index)


def _not_listed(stems: pd.Series, listed: pd.Index) -> list[Issue]:
    """Return what `vehicle_info.txt` says of images that it does not list under their vehicle."""
    owners: dict[str, str] = {}
    if len(stems):
        parts = (entry.rpartition("/") for entry in listed.dropna()[::-1])
        owners = {image: vehicle for vehicle, _, image in parts}  # of several the first
    return [
        (int(row), "another vehicle in vehicle_info", f"image {stem} belongs to vehicle {owners[stem]} there")
        if stem in owners
        else (int(row), "not in vehicle_info", "")
        for row, stem in zip(stems.index.to_numpy(), stems, strict=True)
    ]


def _add_truth(images: pd.DataFrame, file: Path) -> tuple[pd.DataFrame, list[Issue]]:
    truth = _by_path(file, _read_text_table(file, sep=",", quoting=csv.QUOTE_MINIMAL), images)
    known = truth.index.get_indexer(pd.Index(images["path"])) >= 0
    _refuse_strangers(file, known)
    rows = truth.reindex(images["path"]).set_axis(images.index)
    issues: list[Issue] = [(int(row), f"not in {file.name}", "") for row in images.index[~known]]
    joined = images.copy()
    for name in truth.columns:
        if name != "vehicle_id" and (name in _OWN_COLUMNS or name.startswith("has_")):
            continue
        if name not in joined:
            joined[name] = rows[name]
            continue
        differs = joined[name].notna() & rows[name].notna() & (joined[name] != rows[name])
        issues += [
            (int(row), f"{name} conflict", f"{joined[name][row]!r} stands, {file.name} says {rows[name][row]!r}")
            for row in images.index[differs]
        ]
        joined[name] = joined[name].fillna(rows[name])
    return joined, issues


def _by_path(file: Path, truth: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return the table indexed by path; a table without paths must have one row per image, in order."""
    key = path_column(truth)
    if key is not None:
        return truth.set_index(index_by_path(file, truth[key])).drop(columns=key)
    if any(";" in name for name in truth.columns):
        raise DatasetError(f"{file} separates its columns with `;`. Save it with commas.")
    if len(truth) != len(images):
        raise DatasetError(
            f"{file} has no column `path` and {len(truth)} rows for {len(images)} images: its rows cannot be matched. "
            f"Add a column `path` as in images_paths.csv."
        )
    return truth.set_index(pd.Index(images["path"]))


def _read_text_table(file: Path, *, sep: str, quoting: Any) -> pd.DataFrame:
    for encoding in ("utf-8-sig", "gb18030"):  # the list given on request was written on a Chinese system
        try:
            return read_csv(
                file, sep=sep, dtype="str", keep_default_na=False, na_values=[""], encoding=encoding, quoting=quoting
            )
        except UnicodeDecodeError:
            continue
        except DatasetError:
            raise
        except (OSError, ValueError) as error:
            raise DatasetError(f"{file} cannot be read as a table: {reason_of(error)}.") from error
    raise DatasetError(f"{file} cannot be read as text; save it in UTF-8.")


def _refuse_strangers(file: Path, known: NDArray[np.bool_]) -> None:
    if not known.any():
        raise DatasetError(f"{file} names none of the images in images_paths.csv. Remove it or bring the right one.")
