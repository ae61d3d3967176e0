"""The order of rows: the list of image paths that sets it, and the checks that vectors follow it."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.storage.image_store import safe_path
from veriwild_clustering.core.validation import DatasetError
from veriwild_clustering.core.vectors.blocks import read_blocks

__all__ = [
    "SameVehicleCheck",
    "check_same_vehicle",
    "found_paths",
    "order_fingerprint",
    "read_image_paths",
    "sorted_by_hand",
    "split_paths",
]

_HEADERS = frozenset({"path", "paths"})
_SHOWN = 3
_SHOWN_CHARACTERS = 80
_LAGS = (1, 2, 3)
_AS_IN_VERIWILD = re.compile(r"(^|/)\d+/\d{5}/\d{6}\.[A-Za-z]+$")
_SCATTERED_ROW_BYTES = 2**17  # a row read alone out of a memory map brings the pages around it along


def read_image_paths(file: Path) -> list[str]:
    """Read `images_paths.csv`: the paths with forward slashes, in the order of the file.

    A byte-order mark, CRLF, quotes, an index column and the header `path` for `paths` make no difference.

    Raises
    ------
    DatasetError
        If the file is not such a table, or a path is unsafe or listed twice; with the first rows concerned.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{file} cannot be read as a CSV in UTF-8: {error}.") from error
    while rows and not rows[-1]:
        rows.pop()
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = next((place for place, cell in enumerate(header) if cell in _HEADERS), None)
    if column is None:
        raise DatasetError(f"{file} must begin with the header `paths`. Got {','.join(header)[:60]!r} instead.")
    cells = rows[1:]
    if not cells:
        raise DatasetError(f"{file} lists no images.")
    _refuse(file, [row for row, cell in enumerate(cells) if len(cell) != len(header)], "malformed lines", values=cells)
    return _checked_paths(file, [cell[column] for cell in cells])


def _checked_paths(file: Path, given: list[str]) -> list[str]:
    paths: list[str] = []
    unsafe: list[int] = []
    for row, path in enumerate(given):
        try:
            paths.append(safe_path(path))
        except DatasetError:
            unsafe.append(row)
    _refuse(file, unsafe, "paths that are empty, absolute or leave the folder of the images", values=given)
    duplicated = np.flatnonzero(pd.Index(paths).duplicated()).tolist()
    _refuse(file, duplicated, "paths that an earlier row lists already", values=given)
    return paths


def _refuse(file: Path, bad: list[int], what: str, *, values: Sequence[object]) -> None:
    if bad:
        shown = "; ".join(f"row {row} (line {row + 2}) {repr(values[row])[:_SHOWN_CHARACTERS]}" for row in bad[:_SHOWN])
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise DatasetError(
            f"{file} holds {what}: {shown}{more}. Restore the original file: "
            f"leaving lines out would misalign every descriptor."
        )


def split_paths(paths: Sequence[str]) -> pd.DataFrame:
    """Return `path`, `vehicle_id` and `folder` of paths `…/<folder>/<vehicle id>/<image>`; missing in shorter ones."""
    parts = [path.split("/") for path in paths]
    return pd.DataFrame(
        {
            "path": pd.Series(list(paths), dtype="str"),
            "vehicle_id": pd.Series([part[-2] if len(part) >= 3 else None for part in parts], dtype="str"),
            "folder": pd.Series([part[-3] if len(part) >= 3 else None for part in parts], dtype="str"),
        }
    )


def found_paths(paths: Sequence[str]) -> pd.DataFrame:
    """Return the same of images found in any folder: as above if all are named as in VeRi-Wild, else no vehicle at all.

    `folder` is then the whole path of the folder; missing for an image that lies in none.
    """
    if all(map(_AS_IN_VERIWILD.search, paths)):
        return split_paths(paths)
    folders = pd.Series([path.rpartition("/")[0] or None for path in paths], dtype="str")
    unknown = pd.Series(None, index=folders.index, dtype="str")
    return pd.DataFrame({"path": pd.Series(list(paths), dtype="str"), "vehicle_id": unknown, "folder": folders})


def order_fingerprint(paths: Sequence[str]) -> str:
    """Return the SHA-256 of the paths in their order."""
    return hashlib.sha256("\n".join(paths).encode()).hexdigest()


def sorted_by_hand(folders: pd.Series) -> bool:
    """Tell whether folders follow each other as 1, 2, … 10 and not as a directory listing gives them, 1, 10, 2, …"""
    order = [name for name in pd.unique(folders.dropna()) if name.isdigit()]
    numeric = all(int(left) < int(right) for left, right in pairwise(order))
    return numeric and order != sorted(order)


@dataclass(frozen=True)
class SameVehicleCheck:
    """How much closer images of one vehicle are than neighbouring rows of two vehicles.

    Parameters
    ----------
    auc : float
        ROC AUC of cosine similarity, NaN with fewer than ten pairs of either kind.
    n_pairs : int
        Number of same-vehicle pairs that entered.
    at_chance : bool
        Whether the AUC cannot be told from 0.5 (less than three standard errors above it).
    folders_at_chance : tuple of str
        Folders whose own pairs are at chance although those of another are not: part of the rows is misaligned.
    """

    auc: float
    n_pairs: int
    at_chance: bool = False
    folders_at_chance: tuple[str, ...] = ()

    @property
    def is_suspicious(self) -> bool:
        """Whether all rows or those of some folders look misaligned."""
        return self.at_chance or bool(self.folders_at_chance)


def check_same_vehicle(
    vectors: NDArray[Any], images: pd.DataFrame, *, usable: NDArray[np.bool_], max_pairs: int = 2000
) -> SameVehicleCheck:
    """Check statistically that rows of vectors follow the rows of the image table.

    The pairs of different vehicles are neighbouring rows, up to three apart: a shift of the rows, or folders in another
    order, leaves most neighbours of one vehicle together, and only the places where the vehicle changes give it away.

    Parameters
    ----------
    vectors : array of shape (n_images, n_features)
        The vectors.
    images : DataFrame
        Image table with `vehicle_id` and `folder`.
    usable : array of shape (n_images,), bool
        Rows with a usable vector.
    max_pairs : int, default 2000
        Most pairs of either kind; they are drawn with a fixed seed.

    Returns
    -------
    SameVehicleCheck
        The figure and what it means.

    Notes
    -----
    O(n_images + max_pairs * n_features).
    """
    vehicles, folders = images["vehicle_id"].to_numpy(), images["folder"].to_numpy()
    rows = np.flatnonzero(usable & images["vehicle_id"].notna().to_numpy())
    by_vehicle = rows[np.argsort(vehicles[rows], kind="stable")] if len(rows) else rows
    rng = np.random.default_rng(0)
    same = _neighbours(by_vehicle, vehicles, same=True, rng=rng, max_pairs=max_pairs)
    different = _neighbours(rows, vehicles, same=False, rng=rng, max_pairs=max_pairs)
    if min(len(same), len(different)) < 10:
        return SameVehicleCheck(float("nan"), len(same))
    pairs = np.vstack([same, different])
    is_same = np.arange(len(pairs)) < len(same)
    similarity = _similarity(vectors, pairs)
    auc, error = _auc(similarity, is_same)
    at_chance = auc < 0.5 + 3 * error
    weak = () if at_chance else _weak_folders(similarity, is_same, folders[pairs[:, 0]])
    return SameVehicleCheck(auc, len(same), at_chance, weak)


def _neighbours(
    rows: NDArray[np.int64], vehicles: NDArray[np.object_], *, same: bool, rng: np.random.Generator, max_pairs: int
) -> NDArray[np.int64]:
    pairs = np.vstack([np.column_stack([rows[:-lag], rows[lag:]]) for lag in _LAGS])
    pairs = pairs[(vehicles[pairs[:, 0]] == vehicles[pairs[:, 1]]) == same]
    if len(pairs) > max_pairs:
        pairs = pairs[np.sort(rng.choice(len(pairs), max_pairs, replace=False))]
    return pairs


def _similarity(vectors: NDArray[Any], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    rows, place = np.unique(pairs, return_inverse=True)
    sample = np.empty((len(rows), vectors.shape[1]))
    wanted = np.isin(np.arange(len(vectors)), rows)
    for places, block in read_blocks(vectors, valid=wanted, row_bytes=_SCATTERED_ROW_BYTES):
        sample[places] = block
    sample -= sample.mean(axis=0)
    spread = sample.std(axis=0)
    sample /= np.where(spread > 0, spread, 1)
    sample /= np.maximum(np.linalg.norm(sample, axis=1, keepdims=True), np.finfo(float).tiny)
    left, right = place.reshape(pairs.shape).T
    return np.einsum("ij,ij->i", sample[left], sample[right])


def _auc(similarity: NDArray[np.float64], is_same: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the ROC AUC and the standard error it would have under pure chance."""
    from sklearn.metrics import roc_auc_score

    n_same = int(is_same.sum())
    n_other = len(is_same) - n_same
    return float(roc_auc_score(is_same, similarity)), float(np.sqrt((n_same + n_other + 1) / (12 * n_same * n_other)))


def _weak_folders(
    similarity: NDArray[np.float64], is_same: NDArray[np.bool_], folders: NDArray[np.object_]
) -> tuple[str, ...]:
    """Return the folders at chance that lie far below the best one."""
    figures = {}
    for folder in pd.unique(folders):
        here = folders == folder
        if min(is_same[here].sum(), (~is_same[here]).sum()) >= 30:
            figures[str(folder)] = _auc(similarity[here], is_same[here])
    best, best_error = max(figures.values(), default=(0.0, 0.0))
    return tuple(
        folder
        for folder, (auc, error) in figures.items()
        if auc < 0.5 + 2 * error and best - auc > 4 * np.hypot(error, best_error)
    )
