"""Joining the case data: one table with a row per image, and the vectors of each descriptor in the same order."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from veriwild_clustering import __version__
from veriwild_clustering.core.dataset import Dataset
from veriwild_clustering.core.descriptor import finite_rows
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.storage.atomic import MANIFEST, staged_dataset, vectors_folder
from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.storage.raw.attributes import Issue, join_attributes
from veriwild_clustering.core.storage.raw.row_order import (
    SameVehicleCheck,
    check_same_vehicle,
    found_paths,
    order_fingerprint,
    sorted_by_hand,
    split_paths,
)
from veriwild_clustering.core.storage.raw_data import RawData
from veriwild_clustering.core.storage.reading import FORMAT_VERSION, MEASURED_KINDS, read_dataset
from veriwild_clustering.core.storage.vector_files import as_float32, read_vectors, write_npy
from veriwild_clustering.core.validation import DatasetError

__all__ = ["REPORT", "Inspection", "check_output", "join_dataset"]

_log = logging.getLogger(__name__)

REPORT = "report.csv"
_CSV_ROWS = 10_000
_PIXEL_COLUMNS = ["width", "height", "image_status"]
_MEASURED = "{:.5g}"  # as many digits as a measure can mean: the CSV stays small

Inspection = Callable[[ImageStore, Sequence[str]], pd.DataFrame]


def join_dataset(
    raw: RawData,
    output: str | Path = "transport_dataset.csv",
    *,
    inspected: pd.DataFrame | Inspection | None = None,
    inline_vectors: bool = False,
    progress: bool | None = None,
) -> Dataset:
    """Join the case data into `transport_dataset.csv` and, beside it, a folder of vectors, and open the result.

    Rows that cannot be used stay, flagged in `has_<descriptor>` or `image_status`, and are listed in `report.csv`.
    Everything is checked before any old file is replaced; a killed run leaves the old dataset or the new one.

    Parameters
    ----------
    raw : RawData
        What `locate_raw_data` found.
    output : path, default "transport_dataset.csv"
        The CSV to write. Vectors, manifest and report go to the folder of the same name without `.csv`.
    inspected : DataFrame or callable, optional
        What `measure_images` or `inspect_images` returned for `raw.paths`, or one of these functions, called once the
        vectors have passed their checks. Without it width, height and image status stay empty.
    inline_vectors : bool, default False
        Write the vectors as columns `<descriptor>_<j>` of the CSV instead: one file, for small sets.
    progress : bool, optional
        Whether to show progress bars. By default where somebody watches.

    Returns
    -------
    Dataset
        The dataset as it was written.

    Raises
    ------
    DatasetError
        If vectors, attributes or inspected images do not fit the list of images, or the output cannot be written.

    Notes
    -----
    O(n_images * n_features). Vectors stream from file to file: memory is that of the table and of some 64 MB blocks.
    Pickles of protocols 0 to 2, tables of vectors and `inline_vectors` need the vectors in memory. Measures of images
    are written with five significant digits.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from veriwild_clustering import join_dataset, locate_raw_data
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "raw_data"
    >>> (folder / "descriptors").mkdir(parents=True)
    >>> size = (folder / "images_paths.csv").write_text("paths\\nveriwild\\\\1\\\\00007\\\\000001.jpg\\n")
    >>> np.save(folder / "descriptors" / "osnet.npy", np.ones((1, 512)))
    >>> dataset = join_dataset(locate_raw_data(folder), folder.parent / "transport_dataset.csv")
    >>> dataset.images["vehicle_id"].item(), dataset["osnet"].vectors.shape
    ('00007', (1, 512))
    """
    csv = Path(output)
    check_output(raw, csv)
    images, issues = join_attributes(_split(raw), raw.attribute_files)
    _refuse_vector_columns(images, raw)
    warnings = [] if raw.from_images else _order_warnings(images)
    with staged_dataset(csv) as stage:
        joined: list[_Joined] = []
        files = list(raw.descriptor_files.items())
        for name, file in track(files, description="Descriptors", show=progress):
            target = None if inline_vectors else stage / f"{name}.npy"
            joined.append(_join_vectors(name, file, images=images, target=target, progress=progress))
        for part in joined:
            warnings += part.warnings
            issues += part.issues
        pixels, bad_images = _pixels(raw, inspected)
        issues += bad_images
        images, more = _without_measured(images, pixels, raw)
        warnings += more
        table = _table(images, pixels, joined)
        _write_csv(stage / csv.name, table, [part for part in joined if inline_vectors])
        _report(raw, issues).to_csv(stage / REPORT, index_label="row", lineterminator="\n")
        manifest = _manifest(raw, csv, joined=joined, pixels=pixels, issues=issues, warnings=warnings)
        (stage / MANIFEST).write_text(json.dumps(manifest, indent=2, allow_nan=False), encoding="utf-8")
    for message in warnings:
        _log.warning("%s", message)
    return read_dataset(csv)


def check_output(raw: RawData, output: Path) -> None:
    """Raise if the dataset cannot be written under this name: no .csv, or in the way of the raw data."""
    if output.suffix.lower() != ".csv":
        raise DatasetError(f"The output must be a name that ends in .csv. Got {str(output)!r} instead.")
    files = [raw.paths_file, *raw.descriptor_files.values(), *raw.attribute_files.values()]
    if output.resolve() in {file.resolve() for file in files}:
        raise DatasetError(f"{output} is a file of the raw data. Choose another name.")
    if vectors_folder(output).resolve() in {raw.folder.resolve(), *(file.parent.resolve() for file in files)}:
        raise DatasetError(f"{output} would put its vectors into the raw data. Choose another name.")


def _split(raw: RawData) -> pd.DataFrame:
    return found_paths(raw.paths) if raw.from_images else split_paths(raw.paths)


def _refuse_vector_columns(images: pd.DataFrame, raw: RawData) -> None:
    """Refuse attributes named `<descriptor>_<j>`, which would be read as vectors inside the CSV."""
    for column in images.columns:
        name, _, place = column.rpartition("_")
        if name in raw.descriptor_files and place.isdecimal():
            file = raw.attribute_files["truth"].name
            raise DatasetError(f"The column {column!r} of {file} has the name of a column of vectors. Rename it.")


def _order_warnings(images: pd.DataFrame) -> list[str]:
    if sorted_by_hand(images["folder"]):
        return [
            "The folders in images_paths.csv follow each other as 1, 2, … 10, while the original lists 1, 10, 2, …: "
            "rows of the vectors follow the original file. If the list was sorted, restore it."
        ]
    return []


@dataclass(frozen=True)
class _Joined:
    """A descriptor on its way into the dataset."""

    name: str
    source: Path
    n_features: int
    usable: NDArray[np.bool_]
    check: SameVehicleCheck
    sha256: str | None
    inline: NDArray[np.float32] | None

    @property
    def issues(self) -> list[Issue]:
        return [(int(row), f"no usable {self.name} vector", "NaN or infinity") for row in np.flatnonzero(~self.usable)]

    @property
    def warnings(self) -> list[str]:
        check = self.check
        if not check.is_suspicious:
            return []
        where = "" if check.at_chance else f"in the folders {', '.join(check.folders_at_chance)} "
        return [
            f"{self.name}: {where}images of one vehicle are no closer than neighbouring rows of two vehicles "
            f"(ROC AUC {check.auc:.2f} over all {check.n_pairs} pairs). Either the rows of {self.source} are not "
            f"in the order of images_paths.csv, or the descriptor does not tell vehicles apart."
        ]


def _join_vectors(
    name: str, file: Path, *, images: pd.DataFrame, target: Path | None, progress: bool | None
) -> _Joined:
    vectors = read_vectors(file, images["path"].tolist())
    n_features = int(vectors.shape[1])
    inline, sha256 = None, None
    if target is None:
        inline = as_float32(vectors)
        usable = finite_rows(inline)
    else:
        usable, sha256 = write_npy(target, vectors, description=f"{name}, 64 MB a step", progress=progress)
    check = check_same_vehicle(vectors, images, usable=usable)
    return _Joined(name, file, n_features, usable, check, sha256, inline)


def _pixels(raw: RawData, inspected: pd.DataFrame | Inspection | None) -> tuple[pd.DataFrame, list[Issue]]:
    """Return what is known about the pixels, the columns that every dataset has first, and the unusable images."""
    if callable(inspected):
        inspected = None if raw.image_store is None else inspected(raw.image_store, raw.paths)
    if inspected is None:
        return pd.DataFrame(index=range(len(raw.paths)), columns=_PIXEL_COLUMNS), []
    if len(inspected) != len(raw.paths):
        raise DatasetError(f"`inspected` has {len(inspected)} rows but {raw.paths_file} lists {len(raw.paths)} images.")
    bad = np.flatnonzero(inspected["image_status"].to_numpy() != "ok")
    status, detail = inspected["image_status"].to_numpy(), inspected["detail"].to_numpy()
    pixels = inspected[[*_PIXEL_COLUMNS, *inspected.columns.drop([*_PIXEL_COLUMNS, "detail"])]]
    return pixels.reset_index(drop=True), [(int(row), f"image {status[row]}", str(detail[row])) for row in bad]


def _without_measured(images: pd.DataFrame, pixels: pd.DataFrame, raw: RawData) -> tuple[pd.DataFrame, list[str]]:
    """Return the attributes without those that have the name of a measure, and a warning that names them."""
    twice = [name for name in images.columns if name in pixels]
    if not twice:
        return images, []
    listed, file = ", ".join(map(repr, twice)), raw.attribute_files["truth"].name
    message = f"{file} has columns that are measured from the images, not taken from there: {listed}. Rename them."
    return images.drop(columns=twice), [message]


def _table(images: pd.DataFrame, pixels: pd.DataFrame, joined: Sequence[_Joined]) -> pd.DataFrame:
    first = ["path", "vehicle_id", "folder"]
    floats = pixels.select_dtypes("float").columns
    texts = {name: pixels[name].map(_MEASURED.format, na_action="ignore") for name in floats}
    flags = pd.DataFrame({f"has_{part.name}": part.usable for part in joined}, index=images.index)
    return pd.concat([images[first], pixels.assign(**texts), images.drop(columns=first), flags], axis=1)


def _write_csv(target: Path, table: pd.DataFrame, inline: Sequence[_Joined]) -> None:
    """Write the table a block of rows at a time, so that inline vectors never become one huge frame."""
    for start in range(0, len(table), _CSV_ROWS):
        rows = slice(start, start + _CSV_ROWS)
        blocks = [
            pd.DataFrame(
                part.inline[rows],
                index=table.index[rows],
                columns=[f"{part.name}_{place}" for place in range(part.n_features)],
            )
            for part in inline
            if part.inline is not None
        ]
        block = pd.concat([table.iloc[rows], *blocks], axis=1)
        # Nine significant digits carry every float32 exactly.
        block.to_csv(
            target, mode="a", header=start == 0, index=False, float_format="%.9g", lineterminator="\n", encoding="utf-8"
        )


def _report(raw: RawData, issues: Sequence[Issue]) -> pd.DataFrame:
    rows = [row for row, _, _ in issues]
    report = pd.DataFrame(issues, columns=["row", "what", "detail"]).set_index("row")
    report.insert(0, "path", [raw.paths[row] for row in rows])
    return report.sort_index(kind="stable")


def _manifest(
    raw: RawData,
    csv: Path,
    *,
    joined: Sequence[_Joined],
    pixels: pd.DataFrame,
    issues: Sequence[Issue],
    warnings: Sequence[str],
) -> dict[str, Any]:
    store = raw.image_store
    kinds = {name: str(pixels[name].dtype) for name in pixels.columns.drop(_PIXEL_COLUMNS)}
    return {
        "format_version": FORMAT_VERSION,
        "package_version": __version__,
        "rows": len(raw.paths),
        "row_order_sha256": order_fingerprint(raw.paths),
        "origin": raw.origin,
        "images": store and {"location": _portable(store.location, csv), "strip": store.strip, "inside": store.inside},
        "measured": {name: kind for name, kind in kinds.items() if kind in MEASURED_KINDS},
        "descriptors": [_entry(part, csv, raw) for part in joined],
        "issues": dict(Counter(what for _, what, _ in issues)),
        "warnings": list(warnings),
    }


def _entry(part: _Joined, csv: Path, raw: RawData) -> Mapping[str, Any]:
    known = np.isfinite(part.check.auc)
    params = raw.descriptor_params.get(part.name)
    source = part.source if params is None else raw.paths_file  # made of the images, in a file that does not stay
    return {
        "name": part.name,
        "file": None if part.sha256 is None else f"{part.name}.npy",
        "rows": len(part.usable),
        "dims": part.n_features,
        "dtype": "float32",
        "sha256": part.sha256,
        "source": _portable(source, csv),
        "params": dict(params or {}),
        "usable_rows": int(part.usable.sum()),
        "same_vehicle_auc": round(part.check.auc, 4) if known else None,
        "same_vehicle_pairs": part.check.n_pairs,
        "at_chance": part.check.at_chance,
        "folders_at_chance": list(part.check.folders_at_chance),
    }


def _portable(file: Path, csv: Path) -> str:
    """Return a path relative to the CSV where it lies below the same folder, so that both can move together."""
    file, base = file.absolute(), csv.parent.absolute()
    return file.relative_to(base).as_posix() if file.is_relative_to(base) else str(file)
