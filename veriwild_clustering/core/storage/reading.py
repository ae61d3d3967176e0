"""Opening `transport_dataset.csv` with its vectors, after checking that they belong together."""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.storage.atomic import MANIFEST, finish_commit, vectors_folder
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.storage.raw_data import find_image_store, read_origin, sibling_folder
from veriwild_clustering.core.storage.row_order import order_fingerprint
from veriwild_clustering.core.storage.vector_files import map_npy
from veriwild_clustering.core.validation import DatasetError

__all__ = ["FORMAT_VERSION", "MEASURED_KINDS", "read_dataset", "read_manifest", "recorded_checksum", "verify_dataset"]

FORMAT_VERSION = 1
_TEXT_COLUMNS = frozenset({"path", "vehicle_id", "folder", "image_status", "phash"})
MEASURED_KINDS = frozenset({"bool", "float64", "str"})
_IMAGES_ENTRY = frozenset({"location", "strip", "inside"})
_DESCRIPTOR_ENTRY = frozenset({"name", "file", "rows", "dims", "dtype", "sha256", "usable_rows"})
_REMEDY = "Run `python create_dataset.py` again."
_PLAIN_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")


def read_dataset(path: str | Path, *, images: str | Path | None = None) -> Dataset:
    """Open a dataset that `join_dataset` wrote; vectors are memory-mapped, read-only.

    Parameters
    ----------
    path : path
        The CSV.
    images : path, optional
        Folder or zip of the images. By default where the manifest says, else a folder `raw_data` beside the CSV.

    Returns
    -------
    Dataset
        The dataset.

    Raises
    ------
    DatasetError
        If a file is missing or damaged, or the files do not belong together.

    Notes
    -----
    O(n_images): vectors are not read. `verify_dataset` reads them all and compares checksums.
    """
    csv = Path(path)
    if csv.is_dir():
        raise DatasetError(f"{csv} is a folder. Name the CSV, for example transport_dataset.csv.")
    finish_commit(csv)
    if not csv.is_file():
        raise DatasetError(f"{csv} does not exist. Make it with `python create_dataset.py`.")
    manifest = read_manifest(csv)
    columns = _columns(csv)
    widths = _inline_widths(columns)
    flagged = [name[4:] for name in columns if name.startswith("has_")]
    if manifest is None and any(name not in widths for name in flagged):
        raise DatasetError(
            f"{vectors_folder(csv) / MANIFEST} is missing: the vectors of {csv} lie in the folder beside it. "
            f"Bring the folder too. {_REMEDY}"
        )
    table = _read_table(csv, columns, widths, measured=manifest.get("measured", {}) if manifest else {})
    entries: list[dict[str, Any]] = [{"name": name, "file": None} for name in flagged]
    if manifest is not None:
        _check_rows(csv, table, manifest)
        entries = manifest["descriptors"]
    descriptors = {entry["name"]: _descriptor(csv, table, entry, widths=widths) for entry in entries}
    inline = [f"{name}_{place}" for name, width in widths.items() for place in range(width)]
    store, origin = _image_store(csv, table, manifest, given=images), _origin(csv, manifest)
    return Dataset(_typed(table.drop(columns=inline)), descriptors, store, origin=origin)


def read_manifest(csv: str | Path) -> dict[str, Any] | None:
    """Return the manifest of a dataset's CSV, None where there is none.

    Raises
    ------
    DatasetError
        If it is damaged or of a newer format.
    """
    file = vectors_folder(Path(csv)) / MANIFEST
    if not file.is_file():
        return None
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        version = int(manifest["format_version"])
        missing = {"rows", "row_order_sha256", "descriptors", "origin", "images"} - set(manifest)
        if not missing:
            missing.update(*(_DESCRIPTOR_ENTRY - set(entry) for entry in manifest["descriptors"]))
            missing.update(_IMAGES_ENTRY - set(_IMAGES_ENTRY if manifest["images"] is None else manifest["images"]))
            if not set(manifest.get("measured", {}).values()) <= MEASURED_KINDS:
                raise ValueError("it names kinds of measures that are not known")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{file} is damaged: {error}. {_REMEDY}") from error
    if version > FORMAT_VERSION:
        raise DatasetError(f"{file} has format {version}; this version reads {FORMAT_VERSION}. Update it.")
    if missing:
        raise DatasetError(f"{file} is damaged: it lacks {', '.join(sorted(missing))}. {_REMEDY}")
    return dict(manifest)


def recorded_checksum(descriptor: Descriptor) -> str | None:
    """Return the checksum that the dataset's manifest has of the descriptor's file, None where there is none."""
    vectors, owner = descriptor.vectors, cast("Any", descriptor.vectors.base)
    if not isinstance(vectors, np.memmap) or not isinstance(owner, mmap.mmap):  # a part of a map is no file
        return None
    file = Path(str(vectors.filename))
    try:
        manifest = read_manifest(file.parent.with_name(file.parent.name + ".csv"))
    except DatasetError:
        return None
    entries = manifest["descriptors"] if manifest else []
    return next((entry["sha256"] for entry in entries if entry["file"] == file.name), None)


def verify_dataset(path: str | Path) -> None:
    """Compare the checksum of every file of vectors with the manifest's.

    Raises
    ------
    DatasetError
        If there is no manifest or a file is missing or changed.
    """
    csv = Path(path)
    manifest = read_manifest(csv)
    if manifest is None:
        raise DatasetError(f"{vectors_folder(csv) / MANIFEST} is missing, so nothing can be compared. {_REMEDY}")
    for entry in manifest["descriptors"]:
        if entry["file"]:
            file = _vectors_file(csv, entry)
            with file.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != entry["sha256"]:
                    raise DatasetError(f"{file} has changed since it was written. {_REMEDY}")


def _columns(csv: Path) -> list[str]:
    try:
        columns = [str(name) for name in pd.read_csv(csv, nrows=0, encoding="utf-8-sig").columns]
    except (OSError, ValueError) as error:
        raise DatasetError(f"{csv} cannot be read as a CSV: {error}. {_REMEDY}") from error
    if "path" not in columns:
        raise DatasetError(
            f"{csv} has no column `path`. A spreadsheet may have saved it with `;`, or it is no dataset. {_REMEDY}"
        )
    return columns


def _inline_widths(columns: list[str]) -> dict[str, int]:
    """Return how many columns `<name>_0`, `<name>_1` … each flagged descriptor has in the CSV, where it has any."""
    known = set(columns)
    widths = {}
    for name in (column[4:] for column in columns if column.startswith("has_")):
        width = 0
        while f"{name}_{width}" in known:
            width += 1
        if width:
            widths[name] = width
    return widths


def _read_table(
    csv: Path, columns: list[str], widths: Mapping[str, int], *, measured: Mapping[str, str]
) -> pd.DataFrame:
    kinds: dict[str, str] = dict.fromkeys(columns, "str")
    kinds.update({column: kind for column, kind in measured.items() if column in kinds})
    kinds.update({column: "bool" for column in columns if column.startswith("has_")})
    kinds.update({f"{name}_{place}": "float32" for name, width in widths.items() for place in range(width)})
    try:
        return pd.read_csv(csv, dtype=kinds, keep_default_na=False, na_values=[""], encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DatasetError(f"{csv} is damaged: {str(error).strip()}. {_REMEDY}") from error


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Turn text columns of plain numbers into numbers; identities and zero-padded codes stay text."""
    typed = {}
    for name in table.columns:
        column = table[name]
        if name in _TEXT_COLUMNS or column.dtype.kind in "bfiu":
            continue
        values = [str(value) for value in column.dropna().unique()]
        if name in {"width", "height"} or (values and all(map(_PLAIN_NUMBER.fullmatch, values))):
            typed[name] = pd.to_numeric(column, errors="coerce")
    return table.assign(**typed)


def _check_rows(csv: Path, table: pd.DataFrame, manifest: Mapping[str, Any]) -> None:
    if len(table) != manifest["rows"]:
        raise DatasetError(
            f"{csv} has {len(table)} rows but its vectors have {manifest['rows']}: it was cut, extended, or comes from "
            f"another run. {_REMEDY}"
        )
    if order_fingerprint(table["path"].fillna("").tolist()) != manifest["row_order_sha256"]:
        raise DatasetError(
            f"The rows of {csv} are not in the order of its vectors: it was sorted or edited, or comes from another "
            f"run. {_REMEDY}"
        )


def _descriptor(csv: Path, table: pd.DataFrame, entry: Mapping[str, Any], *, widths: Mapping[str, int]) -> Descriptor:
    name = entry["name"]
    if f"has_{name}" not in table:
        raise DatasetError(f"{csv} has no column `has_{name}` but its manifest lists the descriptor. {_REMEDY}")
    usable, params = table[f"has_{name}"].to_numpy(dtype=bool), entry.get("params", {})
    if "usable_rows" in entry and int(usable.sum()) != entry["usable_rows"]:
        raise DatasetError(
            f"`has_{name}` of {csv} marks {int(usable.sum())} rows but the vectors have {entry['usable_rows']} usable "
            f"ones: the files do not belong together. {_REMEDY}"
        )
    if entry["file"]:
        return Descriptor(name, _map_vectors(csv, entry), usable, params=params)
    width = widths.get(name, 0)
    if width != entry.get("dims", width) or not width:
        raise DatasetError(f"{csv} has {width} columns of vectors for {name!r}, not {entry.get('dims')}. {_REMEDY}")
    vectors = table[[f"{name}_{place}" for place in range(width)]].to_numpy(dtype=np.float32)
    return Descriptor(name, vectors, usable, params=params)


def _vectors_file(csv: Path, entry: Mapping[str, Any]) -> Path:
    file = vectors_folder(csv) / Path(entry["file"]).name
    if not file.is_file():
        raise DatasetError(f"{file}, the vectors of {entry['name']!r}, is missing. {_REMEDY}")
    return file


def _map_vectors(csv: Path, entry: Mapping[str, Any]) -> NDArray[np.float32]:
    file = _vectors_file(csv, entry)
    try:
        vectors = map_npy(file)
    except DatasetError as error:
        raise DatasetError(f"{error} {_REMEDY}") from error
    expected = (entry["rows"], entry["dims"])
    if vectors.shape != expected or vectors.dtype.name != entry["dtype"]:
        raise DatasetError(
            f"{file} has shape {vectors.shape} and dtype {vectors.dtype}, the manifest says {expected} and "
            f"{entry['dtype']}. {_REMEDY}"
        )
    if file.stat().st_size != vectors.offset + vectors.nbytes:
        raise DatasetError(f"{file} is longer than its header says. {_REMEDY}")
    return vectors


def _image_store(
    csv: Path, table: pd.DataFrame, manifest: Mapping[str, Any] | None, *, given: str | Path | None
) -> ImageStore | None:
    paths = table["path"].dropna().tolist()
    if given is not None:
        if not Path(given).exists():
            raise DatasetError(f"`images` must be the folder or zip of the images. {given} does not exist.")
        store = find_image_store([Path(given)], paths)
        if store is None:
            raise DatasetError(f"`images` must be the folder or zip of the images. {given} holds none of them.")
        return store
    if manifest is not None:
        listed = manifest["images"]
        location = csv.parent / listed["location"] if listed else None
        if location is not None and location.exists():
            return ImageStore(location, strip=listed["strip"], inside=listed["inside"])
    beside = sibling_folder(csv.absolute().parent / "raw_data")
    return find_image_store([beside], paths) if beside else None


def _origin(csv: Path, manifest: Mapping[str, Any] | None) -> str:
    if manifest is not None:
        return str(manifest["origin"])
    beside = sibling_folder(csv.absolute().parent / "raw_data")
    return read_origin(beside) if beside else ""
