"""The image files of a folder, a zip or a CSV of paths: what a dataset is made of where nobody lists its images."""

from __future__ import annotations

import logging
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from veriwild_clustering.core.storage.image_store import ImageStore, safe_path
from veriwild_clustering.core.storage.tables import read_csv, refuse_duplicates
from veriwild_clustering.core.validation import DatasetError, reason_of

__all__ = ["IMAGE_SUFFIXES", "find_images"]

_log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})
_COLUMNS = ("path", "paths", "file", "filename", "image")
_DIGITS = re.compile(r"(\d+)")
_SHOWN = 3


def find_images(source: str | Path) -> tuple[ImageStore, list[str]]:
    """Find the image files of a folder and all folders in it, of a zip, or those that a CSV lists.

    Files are told by their suffix, in any case: jpg, jpeg, png, bmp, webp, tif, tiff, gif. Hidden files and folders and
    what macOS adds to a zip are left out. Links to folders and links that leave the folder are not followed, which also
    keeps circles out; a warning says how many there were.

    Parameters
    ----------
    source : path
        A folder; a zip, which is read in place; or a CSV with a column `path`, `paths`, `file`, `filename` or `image`,
        whose paths are relative to its folder.

    Returns
    -------
    store : ImageStore
        Where the files lie.
    paths : list of str
        Their paths: in the order of the CSV, else in natural order, `2.jpg` before `10.jpg`.

    Raises
    ------
    DatasetError
        If there is no such file or folder, or no image in it, or the CSV lists a path twice or one outside its folder.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from veriwild_clustering import find_images
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "cars").mkdir()
    >>> for name in ("cars/10.jpg", "cars/2.JPG", "notes.txt"):
    ...     (folder / name).touch()
    >>> find_images(folder)[1]
    ['cars/2.JPG', 'cars/10.jpg']
    """
    place = Path(source)
    if place.is_dir():
        return ImageStore(place), _images_among(_files_below(place), place)
    if not place.exists():
        raise DatasetError(f"{place} does not exist. Name a folder of images, a zip of images or a CSV of paths.")
    if place.suffix.lower() == ".csv":
        return ImageStore(place.absolute().parent), _listed_paths(place)
    if place.suffix.lower() == ".zip" or zipfile.is_zipfile(place):
        store = ImageStore(place)
        return store, _images_among(store.members(), place)
    raise DatasetError(f"{place} is neither a folder, nor a zip, nor a CSV. Name the folder in which the images lie.")


def _images_among(files: Iterable[str], place: Path) -> list[str]:
    """Return the images among `files` in natural order, or raise saying what else there is."""
    visible = [file for file in files if not any(_is_clutter(part) for part in file.split("/"))]
    images = [file for file in visible if PurePosixPath(file).suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise DatasetError(f"{place} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}) but {_what(visible)}.")
    return sorted(images, key=_natural)


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _what(files: list[str]) -> str:
    """Return how many files there are, and of which kinds."""
    if not files:
        return "nothing else either"
    kinds = Counter(PurePosixPath(file).suffix.lower() or "no suffix" for file in files).most_common(_SHOWN)
    return f"{len(files):,} other files, mostly {', '.join(kind for kind, _ in kinds)}"


def _natural(path: str) -> tuple[list[list[tuple[int, str]]], str]:
    """Return a key that sorts numbers by value, folder by folder; equal keys fall back to the path itself."""
    parts = [_DIGITS.split(part.casefold()) for part in path.split("/")]
    return [[(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in part] for part in parts], path


def _files_below(root: Path) -> Iterator[str]:
    """Yield the files below a folder, relative to it, and warn of what had to be skipped."""
    skipped: Counter[str] = Counter()
    inside = os.path.realpath(root).rstrip(os.sep) + os.sep

    def unreadable(_: OSError) -> None:
        skipped["folders that cannot be read"] += 1

    for folder, subfolders, names in os.walk(root, onerror=unreadable):
        here = Path(folder)
        skipped["links to folders"] += sum((here / name).is_symlink() for name in subfolders)
        subfolders[:] = [name for name in subfolders if not _is_clutter(name)]
        for name in names:
            file = here / name
            relative = file.relative_to(root).as_posix()
            if file.is_symlink() and not (os.path.realpath(file).startswith(inside) and file.is_file()):
                skipped["links that are broken or leave the folder"] += 1
            elif _is_plain(relative):
                yield relative
            else:
                skipped["names with backslashes, control characters or no valid text"] += 1
    found = [f"{count:,} {what}" for what, count in skipped.items() if count]
    if found:
        _log.warning("Skipped in %s: %s.", root, "; ".join(found))


def _is_plain(relative: str) -> bool:
    """Tell whether a path can stand in a table and leads back to its file."""
    try:
        return safe_path(relative) == relative and bool(relative.encode())
    except (DatasetError, UnicodeEncodeError):
        return False


def _listed_paths(file: Path) -> list[str]:
    try:
        table = read_csv(file, dtype="str", keep_default_na=False, encoding="utf-8-sig")
    except DatasetError:
        raise
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file} cannot be read as a CSV: {reason_of(error)}.") from error
    names = {str(name).strip().lower(): name for name in reversed(table.columns)}
    column = next((names[name] for name in _COLUMNS if name in names), None)
    if column is None:
        hint = " Its columns are separated by `;`: save it with commas." if any(";" in name for name in names) else ""
        raise DatasetError(f"{file} must have a column of paths: {', '.join(_COLUMNS)}.{hint}")
    if table.empty:
        raise DatasetError(f"{file} lists no image.")
    base = file.absolute().parent
    paths = []
    for row, path in enumerate(table[column]):
        try:
            paths.append(safe_path(path))
        except DatasetError as error:
            raise DatasetError(
                f"{file}, row {row}: {error} Paths are relative to {base} and stay inside it; put the CSV into a "
                f"folder that holds all images."
            ) from error
    refuse_duplicates(file, pd.Index(paths))
    return paths
