"""The case data as they are found on disks: where the list, the vectors, the images and the attributes lie."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from veriwild_clustering.core.storage.image_store import ImageStore
from veriwild_clustering.core.storage.raw.row_order import read_image_paths
from veriwild_clustering.core.validation import DatasetError

__all__ = ["RawData", "find_image_store", "given_vectors", "locate_raw_data", "read_origin", "sibling_folder"]

_log = logging.getLogger(__name__)

_PATHS_FILE = "images_paths.csv"
_SPELLINGS = ("raw_data", "row_data")
_ALIASES = {
    "efficientnet-b7": "efficientnet-b7",
    "osnet": "osnet",
    **dict.fromkeys(("type_model", "vdc_type", "mdc_type"), "type_model"),
    **dict.fromkeys(("color_model", "vdc_color", "mdc_color"), "color_model"),
}
_SUFFIXES = frozenset({".pickle", ".pkl", ".npy"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ATTRIBUTE_FILES = {
    "vehicle_info": tuple(
        f"{folder}vehicle_info.txt" for folder in ("train_test_split/", "veriwild/train_test_split/", "veriwild/", "")
    ),
    "truth": ("truth.csv",),
}
_N_PROBES = 64


@dataclass(frozen=True)
class RawData:
    """Where everything lies that `join_dataset` joins.

    Parameters
    ----------
    folder : Path
        The raw-data folder.
    paths_file : Path
        The list of images; it sets the order of the rows.
    paths : tuple of str
        Its paths, with forward slashes.
    descriptor_files : mapping of str to Path
        Files of vectors by the name of the descriptor.
    image_store : ImageStore or None
        The images, None where there are none.
    attribute_files : mapping of str to Path
        Files of known attributes: "vehicle_info" and "truth" where present.
    origin : str
        What the data are, in a sentence; empty for the case data.
    from_images : bool
        Whether the rows are the images that were found, not the lines of `images_paths.csv`. Their paths then say which
        vehicle is seen only if all are named as VeRi-Wild names them, `…/<folder>/<vehicle id>/<image>`, three numbers.
    descriptor_params : mapping of str to mapping
        What made the vectors, by the name of the descriptor, where that is known.

    Examples
    --------
    >>> import pathlib
    >>> from veriwild_clustering import RawData
    >>> folder = pathlib.Path("raw_data")
    >>> raw = RawData(folder, folder / "images_paths.csv", ("veriwild/1/00001/000001.jpg",))
    >>> len(raw.paths), dict(raw.descriptor_files), raw.image_store
    (1, {}, None)
    """

    folder: Path
    paths_file: Path
    paths: tuple[str, ...] = field(repr=False)
    _: KW_ONLY
    descriptor_files: Mapping[str, Path] = field(default_factory=dict)
    image_store: ImageStore | None = None
    attribute_files: Mapping[str, Path] = field(default_factory=dict)
    origin: str = ""
    from_images: bool = False
    descriptor_params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def locate_raw_data(folder: str | Path = "raw_data", *, descriptors: Mapping[str, str | Path] | None = None) -> RawData:
    """Find the case data in any of the layouts in which they are found.

    The list `images_paths.csv`, the folder `descriptors`, the folder or zip `veriwild`, `vehicle_info.txt` and
    `truth.csv` may lie in the folder, in `raw_data` or `row_data` inside it, or beside it.

    Parameters
    ----------
    folder : path, default "raw_data"
        The raw-data folder. If it is called `raw_data` or `row_data` and only the other exists, that one is taken.
    descriptors : mapping of str to path, optional
        Further vectors by name: .npy, pickle, CSV or parquet, one row per line of `images_paths.csv`.

    Returns
    -------
    RawData
        What was found.

    Raises
    ------
    DatasetError
        If the folder, the list of images or any vectors are missing, two files claim one descriptor, or a path is
        unsafe or listed twice.

    Notes
    -----
    O(n_images): the list is read and checked, vectors and images are not.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from veriwild_clustering import locate_raw_data
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "raw_data"
    >>> (folder / "descriptors").mkdir(parents=True)
    >>> size = (folder / "images_paths.csv").write_text("paths\\nveriwild\\\\1\\\\00001\\\\000001.jpg\\n")
    >>> np.save(folder / "descriptors" / "vdc_type.npy", np.ones((1, 512), dtype=np.float32))
    >>> raw = locate_raw_data(folder)
    >>> raw.paths, list(raw.descriptor_files)
    (('veriwild/1/00001/000001.jpg',), ['type_model'])
    """
    found = _existing(Path(folder))
    places = _places(found)
    paths_file = next((place / _PATHS_FILE for place in places if (place / _PATHS_FILE).is_file()), None)
    if paths_file is None:
        raise DatasetError(
            f"{_PATHS_FILE} was not found in {found} or beside it. It lists the images in the order of the vectors; "
            f"take it from the archive of the case data."
        )
    paths = tuple(read_image_paths(paths_file))
    return RawData(
        folder=found,
        paths_file=paths_file,
        paths=paths,
        descriptor_files=_descriptor_files(places, given=descriptors or {}),
        image_store=find_image_store(places, paths),
        attribute_files=_attribute_files(places),
        origin=read_origin(found),
    )


def read_origin(folder: Path) -> str:
    """Return the sentence of `origin.txt` on what the data are, empty where there is none."""
    file = folder / "origin.txt"
    return file.read_text(encoding="utf-8-sig", errors="replace").strip() if file.is_file() else ""


def sibling_folder(folder: Path) -> Path | None:
    """Return the folder, or the one with the other spelling of its name, whichever exists."""
    names = [folder.name, *(name for name in _SPELLINGS if folder.name in _SPELLINGS and name != folder.name)]
    return next((folder.with_name(name) for name in names if folder.with_name(name).is_dir()), None)


def _existing(folder: Path) -> Path:
    if folder.is_file():
        raise DatasetError(f"The raw-data folder {folder} is a file.")
    found = folder if folder.is_dir() else sibling_folder(folder)
    if found is None:
        raise DatasetError(
            f"The raw-data folder {folder} does not exist. Put the case data there (raw_data/README.md shows the "
            f"expected tree) or draw sample data with `python create_dataset.py --sample`."
        )
    if found != folder:
        _log.warning("%s does not exist; %s is used instead.", folder, found)
    return found


def _places(folder: Path) -> list[Path]:
    folder = folder.absolute()
    candidates = [folder, *(folder / name for name in _SPELLINGS), folder.parent]
    return [place for place in candidates if place.is_dir()]


def _descriptor_files(places: Sequence[Path], *, given: Mapping[str, str | Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, file in _listed_vectors(places):
        _claim(found, name, file)
    ordered = {name: found[name] for name in dict.fromkeys([*_ALIASES.values(), *sorted(found)]) if name in found}
    ordered = given_vectors(given, beside=ordered)
    if not ordered:
        raise DatasetError(
            f"No vectors were found in {places[0] / 'descriptors'} or beside it. Expected "
            f"efficientnet-b7.pickle, osnet.pickle, vdc_type.pickle and vdc_color.pickle, or name your own: "
            f"`--descriptor NAME=FILE`."
        )
    missing = [name for name in dict.fromkeys(_ALIASES.values()) if name not in ordered]
    if missing:
        _log.info("Not found, so not joined: %s.", ", ".join(missing))
    return ordered


def given_vectors(given: Mapping[str, str | Path], *, beside: Mapping[str, Path]) -> dict[str, Path]:
    """Return the files of vectors that the user names, after those that are there already."""
    files = dict(beside)
    for name, path in given.items():
        if not _NAME.fullmatch(name):
            raise DatasetError(f"A descriptor's name has only letters, digits, `-`, `_` and `.`. Got {name!r} instead.")
        if not Path(path).is_file():
            raise DatasetError(f"The vectors file {path} of the descriptor {name!r} does not exist.")
        _claim(files, name, Path(path).absolute())
    return files


def _listed_vectors(places: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Give every file in a folder `descriptors`, and files with a known name that lie loose."""
    for place in places:
        for folder, loose in ((place / "descriptors", False), (place, True)):
            for file in sorted(folder.iterdir()) if folder.is_dir() else []:
                known = _ALIASES.get(file.stem)
                if file.suffix.lower() in _SUFFIXES and (known or not loose) and not file.name.startswith("."):
                    yield known or file.stem, file


def _claim(files: dict[str, Path], name: str, file: Path) -> None:
    """Enter a descriptor; names that differ in case alone would share a file on some disks."""
    holder = next((other for other in files if other.casefold() == name.casefold()), None)
    if holder is not None:
        raise DatasetError(
            f"Two files claim the descriptor {name!r}: {files[holder]} and {file}. Remove or rename one of them."
        )
    files[name] = file


def _attribute_files(places: Sequence[Path]) -> dict[str, Path]:
    found = {}
    for kind, names in _ATTRIBUTE_FILES.items():
        options = (place / name for place in places for name in names)
        file = next((option for option in options if option.is_file()), None)
        if file is not None:
            found[kind] = file
    return found


def find_image_store(places: Sequence[Path], paths: Sequence[str]) -> ImageStore | None:
    """Return the folder or zip among `places` that holds most of a spread of the paths.

    Each place may hold the images below the first folder of most paths, below it doubled, in a zip named after it, or
    be that folder or zip itself. Without a hit the first that exists is returned, and None if none does.
    """
    tops = Counter(path.split("/", 1)[0] if "/" in path else "" for path in paths)
    top = max(tops, key=tops.__getitem__, default="")
    probes = paths[:: max(1, len(paths) // _N_PROBES)]
    best, most = None, 0
    for store in _candidate_stores(places, top):
        hits = sum(path in store for path in probes)
        if hits > most or (best is None and (store.is_zip or store.location.name == top)):
            best, most = store, hits
        if hits == len(probes):
            break
    return best


def _candidate_stores(places: Sequence[Path], top: str) -> Iterator[ImageStore]:
    # Folders before zips: opening a zip of 30 GB reads its whole index.
    for place in places:
        below = (place / top / top, place / top, place) if top else (place,)
        yield from (ImageStore(folder, strip=top) for folder in below if folder.is_dir())
        if top and place.is_dir():
            yield ImageStore(place)  # images below several folders
    for place in places:
        zips = [place] if place.is_file() else sorted({place / "veriwild.zip", place / f"{top or 'veriwild'}.zip"})
        for file in zips:
            if file.is_file():
                inside = (f"{top}/{top}", top, "") if top else ("",)
                yield from (ImageStore(file, strip=top, inside=folder) for folder in inside)
                if top:
                    yield ImageStore(file)
